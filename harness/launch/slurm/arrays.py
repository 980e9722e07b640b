"""From stages to do to job arrays that wait for each other; plain data, no scheduler is asked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.study.resources import Resources
from harness.study.stage import Stage


@dataclass(frozen=True)
class Place:
    """A task of a job array."""

    array: "Array | str"
    """An array that is submitted now, or the job id of one that is queued."""
    index: int


@dataclass(frozen=True)
class Dependency:
    """What an array, or each of its tasks, waits for."""

    kind: str
    """``aftercorr``: task k for task k of the other; ``afterok``: all for one task; ``afterany``: all for the end of
    another array, however it ends."""
    array: "Array | str"
    index: int | None = None

    def text(self, job_ids: Mapping[int, str]) -> str:
        """As ``sbatch --dependency`` takes it.

        Args:
            job_ids: of arrays that are submitted, by their number.
        """
        job = self.array if isinstance(self.array, str) else job_ids.get(self.array.number, f"<{self.array.number}>")
        return f"{self.kind}:{job}" + ("" if self.index is None else f"_{self.index}")


@dataclass(eq=False)
class Array:
    """One job array: stages of one kind with the same resources."""

    number: int
    """Place in the order of submission, from 1."""
    kind: str
    resources: Resources
    processes: int
    stages: dict[int, str] = field(default_factory=dict)
    """Stage ids by task index."""
    after: list[Dependency] = field(default_factory=list)
    parallel: int | None = None
    """At most so many tasks at once; None: no limit."""

    def indices(self) -> str:
        """As ``sbatch --array`` takes them: ``0-7,9%4``."""
        runs: list[list[int]] = []
        for index in sorted(self.stages):
            if runs and index == runs[-1][1] + 1:
                runs[-1][1] = index
            else:
                runs.append([index, index])
        text = ",".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)
        return text if self.parallel is None else f"{text}%{self.parallel}"


def make_arrays(
    stages: Mapping[str, Stage],
    graph: Mapping[str, Stage],
    queued: Mapping[str, Place],
    resources: Mapping[str, Resources],
    processes: Mapping[str, int],
    max_array_size: int,
) -> list[Array]:
    """Job arrays for stages, in an order in which they can be submitted.

    Stages of one kind and the same resources share an array when they wait for the same tasks, or each for the task of
    its own index in one other array (``aftercorr``; indices need not be contiguous, so a stage keeps the index of what
    it waits for).

    Args:
        stages: to submit, by id, inputs first. Their inputs are done, among them, or in ``queued``.
        graph: all stages of the plan.
        queued: where stages are that are in the queue already.
        resources, processes: by stage id.
        max_array_size: SLURM's MaxArraySize: indices are smaller than it.
    """
    arrays: list[Array] = []
    places: dict[str, Place] = dict(queued)
    open_arrays: dict[tuple[object, ...], Array] = {}
    followers: dict[tuple[object, ...], int] = {}
    sizes = _array_sizes(stages, queued)
    for level in _levels(stages):
        for stage_id in level:
            waits = [places[each] for each in _waits_for(stage_id, stages, graph, queued)]
            given = (stages[stage_id].kind, resources[stage_id].model_dump_json(), processes[stage_id])
            leader = _leader(waits, sizes)
            if leader is None:
                others = _sorted_places(waits)
                key = (given, others)
                array = open_arrays.get(key)
                if array is None or len(array.stages) >= max_array_size:
                    array = open_arrays[key] = _new(arrays, stages[stage_id].kind, resources[stage_id], given[2])
                    array.after = [Dependency("afterok", each.array, each.index) for each in others]
                index = len(array.stages)
            else:
                others = _sorted_places(each for each in waits if each != leader)
                slot = followers[given, leader] = followers.get((given, leader), -1) + 1
                key = (given, _name(leader.array), others, slot)
                array = open_arrays.get(key)
                if array is None:
                    array = open_arrays[key] = _new(arrays, stages[stage_id].kind, resources[stage_id], given[2])
                    array.after = [Dependency("aftercorr", leader.array)]
                    array.after += [Dependency("afterok", each.array, each.index) for each in others]
                index = leader.index
            array.stages[index] = stage_id
            places[stage_id] = Place(array, index)
        sizes.update({_name(array): len(array.stages) for array in arrays})
    _throttle(arrays)
    return arrays


def _new(arrays: list[Array], kind: str, resources: Resources, processes: int) -> Array:
    arrays.append(Array(len(arrays) + 1, kind, resources, processes))
    return arrays[-1]


def _name(array: Array | str) -> str:
    return array if isinstance(array, str) else f"<{array.number}>"


def _sorted_places(places: Iterable[Place]) -> tuple[Place, ...]:
    return tuple(sorted(places, key=lambda each: (_name(each.array), each.index)))


def _array_sizes(stages: Mapping[str, Stage], queued: Mapping[str, Place]) -> dict[str, int]:
    """How many of an array's tasks something is waiting for, by the array's name, of those that are queued."""
    awaited = {each for stage in stages.values() for each in stage.inputs.values() if each in queued}
    sizes: dict[str, int] = {}
    for each in awaited:
        name = _name(queued[each].array)
        sizes[name] = sizes.get(name, 0) + 1
    return sizes


def _leader(waits: list[Place], sizes: Mapping[str, int]) -> Place | None:
    """The task whose index a stage takes over: that in the largest array, if it has more than one task."""
    largest = max(waits, key=lambda each: (sizes[_name(each.array)], _name(each.array)), default=None)
    return largest if largest and sizes[_name(largest.array)] > 1 else None


def _levels(stages: Mapping[str, Stage]) -> list[list[str]]:
    """Stages by the length of the longest chain of others to do that they wait for."""
    depth: dict[str, int] = {}
    levels: list[list[str]] = []
    for stage_id, stage in stages.items():
        depth[stage_id] = max((depth[each] + 1 for each in stage.inputs.values() if each in depth), default=0)
        while len(levels) <= depth[stage_id]:
            levels.append([])
        levels[depth[stage_id]].append(stage_id)
    return levels


def _waits_for(
    stage_id: str, stages: Mapping[str, Stage], graph: Mapping[str, Stage], queued: Mapping[str, Place]
) -> list[str]:
    """Inputs that are to do or queued, without those that another of them waits for itself."""

    def unmet(each: str) -> set[str]:
        return {needed for needed in graph[each].inputs.values() if needed in stages or needed in queued}

    direct = unmet(stage_id)
    implied: set[str] = set()
    todo = list(direct)
    seen: set[str] = set()
    while todo:
        each = todo.pop()
        if each not in seen and each in stages:  # what is queued may have been handed over when more was done
            seen.add(each)
            implied |= unmet(each)
            todo += unmet(each)
    return sorted(direct - implied)


def _throttle(arrays: list[Array]) -> None:
    """Share out each kind's declared parallelism among its arrays, so that all together never exceed it."""
    for kind in {array.kind for array in arrays}:
        own = [array for array in arrays if array.kind == kind]
        limit = min(array.resources.parallel or 1 for array in own)
        if sum(len(array.stages) for array in own) <= limit:
            continue
        side_by_side = min(limit, len(own))
        for place, array in enumerate(own):
            array.parallel = limit // side_by_side + (place % side_by_side < limit % side_by_side)
            if place >= side_by_side:  # more arrays than may run at once: they follow each other
                array.after.append(Dependency("afterany", own[place - side_by_side]))
