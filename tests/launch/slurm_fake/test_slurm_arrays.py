"""From stages to job arrays: who shares one, what it waits for, how many run at once."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.launch.slurm.arrays import Array, Dependency, Place, make_arrays
from harness.study.resources import Resources
from harness.study.stage import Stage
from tests.launch.slurm_fake.fake_slurm import FakeSlurm, FakeTask

GIVEN = Resources(cpus=1, parallel=64)


class Graph:
    """Stages by name, and arrays of them."""

    def __init__(self) -> None:
        self.stages: dict[str, Stage] = {}
        self.ids: dict[str, str] = {}

    def add(self, name: str, *inputs: str, kind: str = "sft") -> None:
        stage = Stage(kind, {"name": name}, {f"i{place}": self.ids[each] for place, each in enumerate(inputs)})
        self.ids[name] = stage.id
        self.stages[stage.id] = stage

    def arrays(
        self,
        *names: str,
        queued: dict[str, Place] | None = None,
        size: int = 1000,
        resources: Resources = GIVEN,
        **other: Resources,
    ) -> list[Array]:
        """Arrays for stages, all when none is named; ``other``: resources by name."""
        chosen = {self.ids[name] for name in names or self.ids}
        stages = {each: stage for each, stage in self.stages.items() if each in chosen}
        places = {self.ids[name]: place for name, place in (queued or {}).items()}
        gets = {each: other.get(stage.settings["name"], resources) for each, stage in self.stages.items()}
        return make_arrays(stages, self.stages, places, gets, dict.fromkeys(self.stages, 1), size)

    def names(self, array: Array) -> dict[int, str]:
        return {index: self.stages[each].settings["name"] for index, each in array.stages.items()}


@pytest.fixture
def graph() -> Graph:
    return Graph()


def told(array: Array) -> list[str]:
    return [each.text({}) for each in array.after]


def test_a_thousand_stages_make_ten_arrays_of_a_hundred(graph: Graph) -> None:
    for number in range(1000):
        graph.add(f"s{number}")
    arrays = graph.arrays(size=100)
    assert [array.indices().partition("%")[0] for array in arrays] == ["0-99"] * 10
    assert [name for array in arrays for name in graph.names(array).values()] == [f"s{n}" for n in range(1000)]
    assert sum(array.parallel or 0 for array in arrays) == 64


def test_trainings_and_their_evaluations_go_hand_in_hand(graph: Graph) -> None:
    graph.add("world", kind="world")
    for seed in range(150):
        graph.add(f"sft{seed}", "world")
        graph.add(f"final{seed}", f"sft{seed}", "world", kind="evaluate")
        graph.add(f"curve{seed}", f"sft{seed}", "world", kind="evaluate")
    arrays = graph.arrays(size=100, resources=GIVEN.model_copy(update={"parallel": 1000}))
    assert [(array.kind, array.indices(), told(array)) for array in arrays] == [
        ("world", "0", []),
        ("sft", "0-99", ["afterok:<1>_0"]),
        ("sft", "0-49", ["afterok:<1>_0"]),
        ("evaluate", "0-99", ["aftercorr:<2>"]),  # the world is implied
        ("evaluate", "0-99", ["aftercorr:<2>"]),
        ("evaluate", "0-49", ["aftercorr:<3>"]),
        ("evaluate", "0-49", ["aftercorr:<3>"]),
    ]
    for array in arrays[3:]:
        (leader,) = [each.array for each in array.after]
        assert isinstance(leader, Array)
        for index, name in graph.names(array).items():
            assert name[-len(str(index)) :] == graph.names(leader)[index][-len(str(index)) :]
            assert graph.stages[array.stages[index]].inputs["i0"] == leader.stages[index]


def test_indices_are_kept_where_not_all_are_left(graph: Graph) -> None:
    """Of eight trainings in the queue only some have an evaluation to do."""
    for seed in range(8):
        graph.add(f"sft{seed}")
    for seed in (1, 2, 3, 7):
        graph.add(f"eval{seed}", f"sft{seed}", kind="evaluate")
    queued = {f"sft{seed}": Place("77", seed) for seed in range(8)}
    (array,) = graph.arrays("eval1", "eval2", "eval3", "eval7", queued=queued)
    assert (array.indices(), told(array)) == ("1-3,7", ["aftercorr:77"])
    assert graph.names(array) == {1: "eval1", 2: "eval2", 3: "eval3", 7: "eval7"}


def test_only_equal_resources_share_an_array(graph: Graph) -> None:
    for seed in range(4):
        graph.add(f"s{seed}")
    large = GIVEN.model_copy(update={"memory_gb": 99.0})
    arrays = graph.arrays(s1=large, s3=large)
    assert [sorted(graph.names(array).values()) for array in arrays] == [["s0", "s2"], ["s1", "s3"]]
    assert [array.resources for array in arrays] == [GIVEN, large]


def test_what_waits_for_the_same_single_stages_shares_an_array(graph: Graph) -> None:
    graph.add("a", kind="world")
    graph.add("b", kind="pretrain")
    graph.add("c", "a", "b")
    graph.add("d", "b", "a")
    *_, array = graph.arrays()
    assert graph.names(array) == {0: "c", 1: "d"}
    assert told(array) == ["afterok:<1>_0", "afterok:<2>_0"]


def test_the_throttle_is_shared_out_and_what_is_too_much_follows() -> None:
    graph = Graph()
    for number in range(10):
        graph.add(f"s{number}")
    arrays = graph.arrays(size=2, resources=GIVEN.model_copy(update={"parallel": 3}))
    assert [array.parallel for array in arrays] == [1, 1, 1, 1, 1]
    assert [told(array) for array in arrays] == [[], [], [], ["afterany:<1>"], ["afterany:<2>"]]
    arrays = graph.arrays(size=5, resources=GIVEN.model_copy(update={"parallel": 5}))
    assert [array.indices() for array in arrays] == ["0-4%3", "0-4%2"]


def test_few_stages_are_not_throttled(graph: Graph) -> None:
    for number in range(5):
        graph.add(f"s{number}")
    (array,) = graph.arrays(resources=GIVEN.model_copy(update={"parallel": 5}))
    assert array.indices() == "0-4"


def test_a_dependency_is_written_with_the_job_id_once_there_is_one() -> None:
    array = Array(3, "sft", GIVEN, 1)
    assert Dependency("aftercorr", array).text({3: "812"}) == "aftercorr:812"
    assert Dependency("afterok", array, 7).text({3: "812"}) == "afterok:812_7"
    assert Dependency("afterany", array).text({}) == "afterany:<3>"
    assert Dependency("afterok", "55", 2).text({3: "812"}) == "afterok:55_2"


# ---- any graph at all


KINDS = ("sft", "grpo", "evaluate")


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Graph, int]:
    """A graph, and how many of its stages, inputs first, were submitted by an earlier command."""
    graph = Graph()
    count = draw(st.integers(1, 24))
    for number in range(count):
        near = [f"s{each}" for each in range(max(0, number - 8), number)]
        inputs = draw(st.lists(st.sampled_from(near), max_size=3, unique=True)) if near else []
        graph.add(f"s{number}", *inputs, kind=draw(st.sampled_from(KINDS)))
    return graph, draw(st.integers(0, count))


class Simulation:
    """Hands arrays to the scheduler and lets its tasks run, as many at once as it lets them."""

    def __init__(self, graph: Graph, size: int, parallel: int, seed: int) -> None:
        self.graph, self.size = graph, size
        self.scheduler = FakeSlurm(max_array_size=size)
        self.resources = Resources(cpus=1, parallel=parallel)
        self.random = random.Random(seed)
        self.tasks: dict[str, FakeTask] = {}
        self.stage_of: dict[FakeTask, str] = {}
        self.running: list[FakeTask] = []
        self.done: set[str] = set()
        self.most: Counter[str] = Counter()

    def submit(self, stage_ids: list[str]) -> list[Array]:
        stages = {each: self.graph.stages[each] for each in stage_ids if each not in self.done}
        queued = {
            each: Place(task.array.job_id, task.index)
            for each, task in self.tasks.items()
            if task.queued and each not in stages
        }
        given = dict.fromkeys(self.graph.stages, self.resources)
        arrays = make_arrays(stages, self.graph.stages, queued, given, dict.fromkeys(given, 1), self.size)
        job_ids: dict[int, str] = {}
        for array in arrays:
            for each in array.after:  # only for what is handed over by now
                assert isinstance(each.array, str) or each.array.number in job_ids
            text = ",".join(each.text(job_ids) for each in array.after)
            accepted = self.scheduler.accept(array.indices(), text)
            job_ids[array.number] = accepted.job_id
            for index, stage_id in array.stages.items():
                assert stage_id not in self.tasks
                self.tasks[stage_id] = accepted.tasks[index]
                self.stage_of[accepted.tasks[index]] = stage_id
        assert sorted(each for array in arrays for each in array.stages.values()) == sorted(stages)
        return arrays

    def go(self, ends: int) -> None:
        """Start all that may start, end one at random, and so on."""
        for _ in range(ends):
            while ready := self.scheduler.ready():
                self.scheduler.begin(ready[0])
                self.running.append(ready[0])
                stage = self.graph.stages[self.stage_of[ready[0]]]
                assert set(stage.inputs.values()) <= self.done, "it began before what it needs was done"
            kinds = Counter(self.graph.stages[self.stage_of[task]].kind for task in self.running)
            self.most |= kinds
            if not self.running:
                return
            task = self.running.pop(self.random.randrange(len(self.running)))
            self.scheduler.end(task, "COMPLETED")
            self.done.add(self.stage_of[task])


@given(graphs(), st.integers(2, 6), st.integers(1, 5), st.integers(0, 1000), st.integers(0, 30))
@settings(max_examples=300)
def test_every_stage_runs_once_after_its_inputs_and_never_too_many_at_once(
    made: tuple[Graph, int], size: int, parallel: int, seed: int, ends: int
) -> None:
    """In two submissions, the second while the first one's jobs are pending, running or over."""
    graph, first = made
    simulation = Simulation(graph, size, parallel, seed)
    stage_ids = list(graph.stages)
    arrays = simulation.submit(stage_ids[:first])
    simulation.go(ends)
    assert max(simulation.most.values(), default=0) <= parallel
    for array in (*arrays, *simulation.submit(stage_ids[first:])):
        assert max(array.stages) < size
        assert array.kind in KINDS
        assert len({graph.stages[each].kind for each in array.stages.values()}) == 1
    simulation.go(10_000)
    assert simulation.done == set(graph.stages)


@given(graphs(), st.integers(2, 6), st.integers(1, 5), st.integers(0, 1000))
@settings(max_examples=200)
def test_never_more_of_a_kind_at_once_than_declared(
    made: tuple[Graph, int], size: int, parallel: int, seed: int
) -> None:
    graph, _ = made
    simulation = Simulation(graph, size, parallel, seed)
    simulation.submit(list(graph.stages))
    simulation.go(10_000)
    assert simulation.done == set(graph.stages)
    assert max(simulation.most.values()) <= parallel


@given(graphs(), st.integers(2, 6), st.integers(0, 1000))
@settings(max_examples=150)
def test_what_fails_takes_along_all_that_stands_on_it_and_nothing_else(
    made: tuple[Graph, int], size: int, seed: int
) -> None:
    graph, _ = made
    simulation = Simulation(graph, size, 1000, seed)
    simulation.submit(list(graph.stages))
    bad = simulation.random.choice(list(graph.stages))
    doomed = {bad}
    for stage_id, stage in graph.stages.items():
        if doomed.intersection(stage.inputs.values()):
            doomed.add(stage_id)
    while ready := simulation.scheduler.ready():
        simulation.scheduler.begin(ready[0])
        simulation.scheduler.end(ready[0], "FAILED" if simulation.stage_of[ready[0]] == bad else "COMPLETED")
    ends = {each: task.state for each, task in simulation.tasks.items()}
    assert {each for each, state in ends.items() if state != "COMPLETED"} == doomed
    assert ends[bad] == "FAILED"
    assert {ends[each] for each in doomed - {bad}} <= {"CANCELLED"}


def test_what_waits_for_single_stages_of_two_arrays_is_not_tied_to_the_wrong_index(graph: Graph) -> None:
    """Two trainings read the same two data sets each from a pair: the larger array leads, the other is named task by
    task."""
    for number in range(3):
        graph.add(f"w{number}", kind="world")
    for number in range(2):
        graph.add(f"p{number}", kind="pretrain")
    graph.add("x", "w2", "p0")
    graph.add("y", "w0", "p1")
    arrays = graph.arrays()
    found = {}
    for array in arrays[2:]:
        for index, name in graph.names(array).items():
            found[name] = (index, told(array))
    assert found == {"x": (2, ["aftercorr:<1>", "afterok:<2>_0"]), "y": (0, ["aftercorr:<1>", "afterok:<2>_1"])}
