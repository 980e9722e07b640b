"""What a study has cost, what is left, what that is measured by, and the budget."""

import time
from pathlib import Path

import pytest

from harness.launch.costs import Cost, allocated_gpus, cost, measured_stages, over_budget
from harness.launch.slurm import aftermath
from harness.launch.slurm.ledger import Submission
from harness.record.atomic import read_json, write_json
from harness.record.attempts import open_attempt, settle_lost
from harness.record.folders import Store
from harness.record.lock import FileLock
from harness.record.states import stage_states
from harness.record.status import Status, write_status
from harness.study import Measured, Plan, load_study, plan_study
from harness.study.estimate import estimate
from harness.study.resources import Resources
from tests.launch.slurm_fake.conftest import Toy
from tests.launch.slurm_fake.fake_slurm import task_environment

STUDY = """\
study: gpu
seeds: [0]
data: {train: {hub: {id: a/b, files: [c]}, first_rows: 1000}, test: {hub: {id: a/c, files: [d]}}}
models: {base: {hub: {id: Qwen/Qwen2-VL-2B}}}
protocols: {think: {prompt: micro-base-think}}
curve: {questions: 0}
factors: {training: [none, sft]}
arms:
  - {training: none, set: {start: base, protocols: [think]}}
  - {training: sft, set: {start: base, protocols: [think]}}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "gpu.yaml"
    path.write_text(STUDY)
    return plan_study(load_study(path, ["sft.compute={processes: 2}"]))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def sft(plan: Plan) -> str:
    (found,) = [stage_id for stage_id, stage in plan.stages.items() if stage.kind == "sft"]
    return found


def attempt(store: Store, plan: Plan, stage_id: str, exit_cause: str, seconds: float, gpus: int = 2) -> int:
    """An attempt as it lies in the folder afterwards. Its number."""
    folder = store.own_folder(stage_id)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_stage(plan.stages[stage_id])
    made = open_attempt(folder, "slurm", "1_0", "x", gpus)
    write_json(
        made.path / "attempt.json",
        made.record | {"exit": exit_cause, "seconds": seconds, "gpu_seconds": seconds * gpus, "end": "2030"},
    )
    return made.number


def done(store: Store, plan: Plan, stage_id: str, number: int, seconds: float) -> None:
    """The stage is done by this attempt."""
    folder = store.own_folder(stage_id)
    wanted = folder.wanted_checkpoints(plan.stages[stage_id])
    for step in wanted:
        write_json(folder.path / "checkpoints" / f"step-{step:06d}" / "model.json", step)
    (folder.path / "out.json").write_text("{}")
    folder.write_done(wanted, seconds=seconds, attempt=number)


def seconds_of(store: Store, stage_id: str) -> float | None:
    found = {each.stage.id: each.seconds for each in measured_stages(store)}
    return found.get(stage_id)


def total(plan: Plan, store: Store, measured: list[Measured] | None = None) -> Cost:
    return cost(plan, store, stage_states(plan, store), measured or [], {})


def test_gpus_by_stage(plan: Plan) -> None:
    kinds = {plan.stages[stage_id].kind: gpus for stage_id, gpus in allocated_gpus(plan, {}).items()}
    assert kinds == {"cvbench": 0, "sat": 0, "model": 0, "sft": 2, "evaluate": 1}
    given = {"sft": Resources(gpus=3), "sat": Resources(gpus=1)}
    assert allocated_gpus(plan, given)[sft(plan)] == 6
    with_all = allocated_gpus(plan, {"all": Resources(gpus=0)})
    assert set(with_all.values()) == {0}


def test_nothing_was_done_and_all_is_to_go(plan: Plan, store: Store) -> None:
    found = total(plan, store)
    estimates = estimate(plan, (), allocated_gpus(plan, {})).values()
    assert found.used == 0
    assert found.low == pytest.approx(sum(each.gpu_hours[0] for each in estimates))
    assert found.high == pytest.approx(sum(each.gpu_hours[1] for each in estimates))
    assert not found.measured
    assert found.sentence().endswith("to go (unmeasured)")


def test_every_attempt_was_paid_for(plan: Plan, store: Store) -> None:
    before = total(plan, store)
    for cause in ("failed", "preempted", "killed", "out of memory"):
        attempt(store, plan, sft(plan), cause, 900.0)
    found = total(plan, store)
    assert found.used == pytest.approx(4 * 900 * 2 / 3600)
    assert (found.low, found.high) == (before.low, before.high)
    number = attempt(store, plan, sft(plan), "completed", 1800.0)
    done(store, plan, sft(plan), number, 1800.0)
    after = total(plan, store)
    assert after.used == pytest.approx(3.0)
    own = estimate(plan, (), allocated_gpus(plan, {}))[sft(plan)]
    assert after.high == pytest.approx(before.high - own.gpu_hours[1])


def test_of_an_attempt_that_left_no_word_its_last_sign_counts(plan: Plan, store: Store) -> None:
    folder = store.own_folder(sft(plan))
    made = open_attempt(folder, "slurm", "1_0", "x", 2)
    now = time.time()
    write_status(folder.status_file, Status("running", made.number, 3, 10, started=now - 1800, updated=now - 900))
    assert total(plan, store).used == pytest.approx(0.5)
    settle_lost(folder, "node failed")
    assert total(plan, store).used == pytest.approx(0.5)


def test_a_stage_at_work_is_paid_for_up_to_now_and_the_rest_is_to_go(plan: Plan, store: Store) -> None:
    before = total(plan, store)
    folder = store.own_folder(sft(plan))
    with FileLock(folder.lock_file) as lock:
        lock.acquire()
        made = open_attempt(folder, "slurm", "1_0", "x", 2)
        now = time.time()
        write_status(folder.status_file, Status("running", made.number, 30, 40, started=now - 3600, updated=now))
        found = total(plan, store)
    assert found.used == pytest.approx(2.0)
    own = estimate(plan, (), allocated_gpus(plan, {}))[sft(plan)]
    assert found.high == pytest.approx(before.high - 0.75 * own.gpu_hours[1])


def test_what_was_measured_takes_the_place_of_what_is_assumed(plan: Plan, store: Store) -> None:
    stages = list(plan.stages.values())
    found = total(plan, store, [Measured(stage, 3600.0) for stage in stages if stage.kind in ("sft", "evaluate")])
    assert found.measured
    assert found.low == found.high == pytest.approx(2.0 + 2 * 1.0)
    assert "unmeasured" not in found.sentence()


def test_the_budget(plan: Plan, store: Store) -> None:
    found = Cost(used=3.0, low=1.0, high=7.0, measured=False)
    assert over_budget(found, None) is None
    assert over_budget(found, 10.0) is None
    told = over_budget(found, 9.5)
    assert told is not None
    for part in ("the budget is 9.5 GPU-hours", "used", "to go", "up to 10", "raise --budget"):
        assert part in told


# ---- what is measured


def test_a_stage_that_was_resumed_took_all_of_its_attempts(plan: Plan, store: Store) -> None:
    stage_id = sft(plan)
    for cause in ("timed out", "preempted", "interrupted"):
        attempt(store, plan, stage_id, cause, 100.0)
    number = attempt(store, plan, stage_id, "completed", 50.0)
    done(store, plan, stage_id, number, 50.0)
    assert seconds_of(store, stage_id) == 350.0


def test_attempts_whose_work_was_lost_are_not_measured(plan: Plan, store: Store) -> None:
    stage_id = sft(plan)
    attempt(store, plan, stage_id, "failed", 100.0)
    number = attempt(store, plan, stage_id, "completed", 50.0)
    done(store, plan, stage_id, number, 50.0)
    assert seconds_of(store, stage_id) == 50.0


def test_a_stage_that_is_computed_again_from_the_start_took_as_long_as_that(plan: Plan, store: Store) -> None:
    """Cleaned checkpoints are needed again: the second attempt finds nothing to go on from and does all steps."""
    stage_id = sft(plan)
    attempt(store, plan, stage_id, "preempted", 60.0)
    number = attempt(store, plan, stage_id, "completed", 40.0)
    done(store, plan, stage_id, number, 40.0)
    assert seconds_of(store, stage_id) == 100.0
    number = attempt(store, plan, stage_id, "completed", 100.0)
    done(store, plan, stage_id, number, 100.0)
    assert seconds_of(store, stage_id) == 100.0


@pytest.mark.parametrize(("step", "expected"), [(9, None), (10, 1000.0), (50, 200.0)])
def test_some_steps_tell_how_long_all_will_take(plan: Plan, store: Store, step: int, expected: float | None) -> None:
    stage_id = sft(plan)
    attempt(store, plan, stage_id, "interrupted", 100.0)
    status = Status("interrupted", 1, step, 100, started=1000.0, updated=1100.0)
    write_status(store.own_folder(stage_id).status_file, status)
    found = seconds_of(store, stage_id)
    assert found == (None if expected is None else pytest.approx(expected))


def test_a_later_attempts_steps_tell_nothing(plan: Plan, store: Store) -> None:
    stage_id = sft(plan)
    attempt(store, plan, stage_id, "interrupted", 100.0)
    attempt(store, plan, stage_id, "interrupted", 100.0)
    status = Status("interrupted", 2, 50, 100, started=1000.0, updated=1100.0)
    write_status(store.own_folder(stage_id).status_file, status)
    assert seconds_of(store, stage_id) is None


def steps_taken(toy: Toy, seconds: float) -> float | None:
    """What a killed toy training, seven of ten steps far after so many seconds, is taken to need."""
    folder = toy.own("a")
    status = folder.status()
    assert status is not None
    record = read_json(folder.path / "attempts" / "0001" / "attempt.json")
    assert record["attempt"] == 1
    return {each.stage.id: each.seconds for each in measured_stages(toy.store)}.get(toy.id("a"), seconds / 7 * 10)


def test_giving_up_leaves_the_times_of_the_steps_as_they_were(toy: Toy) -> None:
    """The stage is failed by the batch script's last lines, not by the attempt, which took 70 s for seven steps."""
    toy.add("a")
    toy.resources = {"all": Resources(attempts=1)}
    toy.submit()
    task = toy.task("a")
    submission = Submission(task.array.folder)  # type: ignore[arg-type]
    folder = toy.own("a")
    made = open_attempt(folder, "slurm", task.job_id, f"{submission.token}-{task.index}")
    folder.write_stage(toy.stages["a"])
    now = time.time()
    write_status(folder.status_file, Status("running", made.number, 7, 10, started=now - 80, updated=now - 10))
    with task_environment(task):
        assert aftermath.main(submission.path, 137) == 1
    assert toy.exits("a") == ["killed"]
    assert steps_taken(toy, 70.0) == pytest.approx(100.0, rel=0.3)


def test_an_end_that_was_found_late_leaves_the_times_of_the_steps_as_they_were(toy: Toy) -> None:
    """It was lost an hour before anybody looked."""
    toy.add("a")
    toy.submit()
    task = toy.task("a")
    toy.scheduler.begin(task)
    submission = Submission(task.array.folder)  # type: ignore[arg-type]
    folder = toy.own("a")
    made = open_attempt(folder, "slurm", task.job_id, f"{submission.token}-{task.index}")
    folder.write_stage(toy.stages["a"])
    now = time.time()
    write_status(folder.status_file, Status("running", made.number, 7, 10, started=now - 3670, updated=now - 3600))
    toy.scheduler.end(task, "NODE_FAIL")
    assert toy.states() == {"a": "failed"}
    assert toy.attempts("a")[0]["seconds"] == pytest.approx(70.0)
    assert steps_taken(toy, 70.0) == pytest.approx(100.0, rel=0.3)
