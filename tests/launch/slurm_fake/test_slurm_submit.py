"""Handing over: everything once, whatever dies or refuses half way, and who else is at it."""

import threading
from collections import Counter
from collections.abc import Sequence

import pytest

from harness.launch.select import to_cancel, to_retry
from harness.launch.slurm import submit as submit_module
from harness.launch.slurm.cancel import cancel_tasks
from harness.launch.slurm.ledger import Submission, latest_tasks, open_submissions
from harness.launch.slurm.scheduler import SchedulerError
from harness.launch.slurm.submit import Refused, queued_tasks
from harness.record.lock import FileLock
from harness.study.resources import Resources
from tests.launch.slurm_fake import fake_stages
from tests.launch.slurm_fake.conftest import Toy
from tests.launch.slurm_fake.fake_slurm import Crash, FakeSlurm

ALL = ["eval0", "eval1", "sft0", "sft1", "world"]


def test_a_study_from_sbatch_to_the_end(toy: Toy) -> None:
    toy.chain()
    found = toy.submit()
    assert toy.names(found.stages) == ["world", "sft0", "sft1", "eval0", "eval1"]
    assert toy.scheduler.calls == {"scontrol": 1, "sinfo": 1, "sbatch": 3}
    assert toy.in_queue() == ALL
    assert set(toy.states().values()) == {"queued"}
    assert toy.reason("eval0") == "waits for what it needs"
    toy.scheduler.run_all()
    assert set(toy.states().values()) == {"done"}
    assert fake_stages.STARTED == ["world", "sft0", "sft1", "eval0", "eval1"]
    for name in toy.stages:
        (attempt,) = toy.attempts(name)
        assert (attempt["exit"], attempt["scheduler"], attempt["host"]) == ("completed", "slurm", "n1")
        assert attempt["scheduler_id"] == toy.task(name).job_id
    again = toy.submit()
    assert (again.stages, len(again.done)) == ([], 5)
    assert toy.scheduler.calls["sbatch"] == 3


def test_a_second_command_submits_what_is_neither_done_nor_queued(toy: Toy) -> None:
    toy.chain()
    toy.submit()
    while "sft0" not in fake_stages.STARTED:
        toy.scheduler.step()
    toy.add("grpo", "sft0", kind="grpo")
    toy.add("score", "grpo", "sft1", kind="evaluate")
    found = toy.submit()
    assert toy.names(found.done) == ["world", "sft0"]
    assert sorted(toy.names(found.queued)) == ["eval0", "eval1", "sft1"]
    assert toy.names(found.stages) == ["grpo", "score"]
    sft1, grpo = toy.task("sft1"), toy.task("grpo")
    assert grpo.array.dependency == []  # what it needs is done
    assert toy.task("score").array.dependency == [
        ("afterok", sft1.array.job_id, sft1.index),
        ("afterok", grpo.array.job_id, grpo.index),
    ]
    toy.scheduler.run_all()
    assert set(toy.states().values()) == {"done"}
    assert max(Counter(fake_stages.STARTED).values()) == 1


def test_what_is_done_is_not_waited_for_though_its_job_is_still_there(toy: Toy) -> None:
    """A local run was faster than the queue; that job may be pending for days, or be cancelled by then."""
    toy.chain()
    toy.submit(only=[toy.id("world")])
    toy.finish("world")
    found = toy.submit()
    assert toy.names(found.done) == ["world"]
    assert toy.task("sft0").array.dependency == []
    toy.scheduler.run(["scancel", toy.task("world").job_id])
    assert toy.in_queue() == ["eval0", "eval1", "sft0", "sft1"]


def test_what_failed_is_submitted_again_with_what_stands_on_it(toy: Toy) -> None:
    toy.chain()
    fake_stages.ORDERS["sft1"] = ["fail"]
    toy.submit()
    toy.scheduler.run_all()
    assert toy.states() == {"world": "done", "sft0": "done", "eval0": "done", "sft1": "failed", "eval1": "blocked"}
    assert toy.reason("sft1") == "ValueError: sft1 was told to fail"
    assert toy.reason("eval1") == f"needs the failed {toy.id('sft1')}"
    assert toy.in_queue() == []
    assert len(toy.attempts("eval1")) == 0
    found = toy.submit()
    assert toy.names(found.stages) == ["sft1", "eval1"]
    toy.scheduler.run_all()
    assert set(toy.states().values()) == {"done"}
    assert toy.exits("sft1") == ["failed", "completed"]
    assert Counter(fake_stages.STARTED) == {"world": 1, "sft0": 1, "eval0": 1, "sft1": 2, "eval1": 1}


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_crash_before_sbatch_leaves_nothing_behind_that_matters(toy: Toy, place: int) -> None:
    toy.chain()
    toy.scheduler.crash = {place: "before"}
    with pytest.raises(Crash):
        toy.submit()
    assert len(toy.scheduler.arrays) == place - 1
    toy.submit()
    assert toy.in_queue() == ALL
    toy.scheduler.run_all()
    assert set(toy.states().values()) == {"done"}
    assert max(Counter(fake_stages.STARTED).values()) == 1


@pytest.mark.parametrize("place", [1, 2, 3])
def test_an_array_that_was_handed_over_before_the_crash_is_found_by_its_name(toy: Toy, place: int) -> None:
    toy.chain()
    toy.scheduler.crash = {place: "after"}
    with pytest.raises(Crash):
        toy.submit()
    (orphan,) = [each for each in open_submissions(toy.store) if each.job_id is None]
    before = toy.in_queue()
    found = toy.submit()
    assert toy.names(found.queued) == [name for name in toy.stages if name in before]
    assert toy.in_queue() == ALL
    assert orphan.job_id is not None  # noted meanwhile
    toy.scheduler.run_all()
    assert set(toy.states().values()) == {"done"}
    assert max(Counter(fake_stages.STARTED).values()) == 1


def test_an_orphan_that_ended_before_anybody_looked_is_done_or_started_anew(toy: Toy) -> None:
    toy.chain()
    toy.scheduler.crash = {2: "after"}
    fake_stages.ORDERS["sft1"] = ["fail"]
    with pytest.raises(Crash):
        toy.submit()
    toy.scheduler.run_all()
    assert sorted(toy.names(toy.submit().stages)) == ["eval0", "eval1", "sft1"]
    toy.scheduler.run_all()
    assert set(toy.states().values()) == {"done"}


def test_an_answer_of_sbatch_that_was_lost_is_no_second_submission(toy: Toy) -> None:
    toy.chain()
    toy.scheduler.silent_after = 1
    found = toy.submit()
    assert "gave no answer" in found.error
    assert toy.names(found.left) == ["sft0", "sft1", "eval0", "eval1"]
    toy.scheduler.silent_after = None
    found = toy.submit()
    assert toy.names(found.queued) == ["world", "sft0", "sft1"]
    assert toy.names(found.stages) == ["eval0", "eval1"]
    assert toy.in_queue() == ALL


def test_a_refusal_half_way_leaves_what_was_taken_and_the_rest_for_later(toy: Toy) -> None:
    toy.chain()
    toy.scheduler.refuse_after = 1
    found = toy.submit()
    assert toy.names(found.stages) == ["world"]
    assert toy.names(found.left) == ["sft0", "sft1", "eval0", "eval1"]
    assert "QOS policy" in found.error
    assert len(open_submissions(toy.store)) == 1  # what was refused left no folder
    toy.scheduler.step()
    toy.scheduler.refuse_after = None
    found = toy.submit()
    assert (found.error, toy.names(found.stages)) == ("", ["sft0", "sft1", "eval0", "eval1"])
    toy.scheduler.run_all()
    assert set(toy.states().values()) == {"done"}


def test_what_the_limit_on_jobs_lets_through_goes_in_bit_by_bit(toy: Toy) -> None:
    toy.chain()
    toy.scheduler.most_jobs = 3
    commands = 0
    while set(toy.states().values()) != {"done"}:
        commands += 1
        assert commands < 9
        toy.submit()
        toy.scheduler.run_all()
    assert max(Counter(fake_stages.STARTED).values()) == 1


def test_nothing_is_submitted_while_the_scheduler_is_silent(toy: Toy) -> None:
    toy.chain()
    toy.scheduler.down = "squeue gave no answer in 120 s; is slurmctld up?"
    with pytest.raises(SchedulerError, match="gave no answer"):
        toy.submit()
    toy.scheduler.down = ""
    toy.submit()
    toy.add("more", "sft0")
    toy.scheduler.down = "squeue gave no answer in 120 s; is slurmctld up?"
    with pytest.raises(SchedulerError):
        toy.submit()
    assert len(open_submissions(toy.store)) == len(toy.scheduler.arrays) == 3


def test_two_at_once_never_submit_a_stage_twice(toy: Toy) -> None:
    for number in range(20):
        toy.add(f"s{number}", *([f"s{number - 1}"] if number % 4 else []))
    start, errors = threading.Barrier(4), []

    def submitting() -> None:
        start.wait()
        try:
            toy.submit()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=submitting) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert errors == []
    assert toy.in_queue() == sorted(toy.stages)


def test_a_submission_under_way_elsewhere_is_waited_for_and_then_given_up(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.chain()
    monkeypatch.setattr(submit_module, "LOCK_PATIENCE_S", 0.1)
    with FileLock(toy.store.root / ".submitit" / "submit.lock") as lock:
        lock.acquire()
        with pytest.raises(Refused, match="is under way"):
            toy.submit()
    assert toy.scheduler.calls == {}
    assert len(toy.submit().stages) == 5


def test_the_lock_is_held_by_sbatch_too(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the submitting process dies while sbatch is at it, the next one waits until sbatch is over."""
    toy.chain()
    kept: list[int] = []
    run = toy.scheduler.run

    def noting(command, **options):
        kept.extend(options.get("pass_fds", ()))
        return run(command, **options)

    monkeypatch.setattr(toy.scheduler, "run", noting)
    toy.submit()
    assert len(kept) == 3


def test_stages_at_work_in_a_local_run_are_left_to_it(toy: Toy) -> None:
    toy.chain()
    toy.finish("world")
    with FileLock(toy.own("sft0").lock_file) as lock:
        lock.acquire(pid=1)
        found = toy.submit()
        assert toy.names(found.elsewhere) == ["sft0", "eval0"]
        assert toy.names(found.stages) == ["sft1", "eval1"]
    toy.finish("sft0")
    assert toy.names(toy.submit().stages) == ["eval0"]


def test_only_some_stages(toy: Toy) -> None:
    toy.chain()
    toy.finish("world")
    assert toy.names(toy.submit(only=[toy.id("sft1")]).stages) == ["sft1"]
    assert toy.in_queue() == ["sft1"]


def test_a_stage_whose_input_is_left_out_is_left_out_too(toy: Toy) -> None:
    """A local run calls it blocked. Submitted, it would start at once, find no input and fail for good."""
    toy.chain()
    toy.submit(only=[toy.id("eval0"), toy.id("world")])
    assert toy.in_queue() == ["world"]
    toy.scheduler.run_all()
    assert toy.exits("eval0") == []


def test_a_dry_run_hands_nothing_over_and_leaves_nothing(toy: Toy) -> None:
    toy.chain()
    found = toy.submit(dry_run=True)
    assert len(found.scripts) == 3
    assert "#SBATCH --dependency=" in found.scripts[2]
    assert "aftercorr:<2>" in found.scripts[2]
    assert toy.scheduler.calls["sbatch"] == 0
    assert [path.name for path in toy.store.root.rglob("*") if path.is_file()] == ["cluster.json"]


def test_the_script_says_what_was_asked_for(toy: Toy) -> None:
    toy.resources = {
        "all": Resources(cpus=3, memory_gb=2.5, time="1:30:00", signal_before_s=45, account="vlm"),
        "sft": Resources(
            gpus=2, modules=["cuda"], setup=["echo hello"], environment={"A": "b c"}, container="apptainer exec x.sif",
            sbatch={"exclude": "n[3-4]", "exclusive": True},
        ),
    }  # fmt: skip
    toy.scheduler.cluster = {"sinfo": "main*|infinite|64000|16|gpu:a100:8|(null)|up\n", "sacctmgr": "vlm|normal\n"}
    toy.add("world", kind="world")
    toy.add("sft0", "world", compute={"processes": 2})
    toy.submit()
    lines = (toy.task("sft0").array.folder / "job.sh").read_text().splitlines()
    options = toy.task("sft0").array.options
    assert options["array"] == "0"
    assert (options["time"], options["signal"], options["mem"]) == ("90", "USR2@45", "5120MB")
    assert (options["nodes"], options["ntasks-per-node"], options["cpus-per-task"]) == ("1", "2", "3")
    assert (options["gpus-per-node"], options["account"], options["exclude"]) == ("4", "vlm", "n[3-4]")
    assert options["exclusive"] == options["requeue"] == ""
    assert options["kill-on-invalid-dep"] == "yes"
    order = [lines.index(each) for each in ("module load cuda", "echo hello", "export A='b c'")]
    assert order == sorted(order)
    (step,) = [line for line in lines if line.startswith("srun")]
    assert "apptainer exec x.sif" in step
    assert "--kill-on-bad-exit=1" in step
    assert "export OMP_NUM_THREADS=1" in lines
    world = (toy.task("world").array.folder / "job.sh").read_text()
    assert "apptainer" not in world
    assert "gpus-per-node" not in toy.task("world").array.options
    manifest = Submission(toy.task("sft0").array.folder).manifest
    assert (manifest["gpus"], manifest["minutes"]) == (4, 90)
    assert (manifest["attempts"], manifest["timeouts"]) == (3, 20)


# ---- ids that are given out anew, files of old jobs


def test_ids_given_out_anew_are_not_taken_for_old_ones(toy: Toy) -> None:
    """The scheduler lost its state: the old jobs are gone, and a stranger's and another study's have their ids."""
    toy.chain()
    toy.submit()
    old = toy.task("world").array
    toy.scheduler.arrays.clear()
    toy.scheduler.next_id = int(old.job_id)
    toy.scheduler.accept("0-9", name="somebody-elses")
    toy.scheduler.accept("0-9", name="ablate-sft-0123456789ab")
    tasks = queued_tasks(toy.store, toy.scheduler)
    assert {task.queued for task in tasks.values()} == {None}
    assert len(toy.submit().stages) == 5
    ids = {task.queued.job_id for task in queued_tasks(toy.store, toy.scheduler).values() if task.queued}
    assert len(ids) == 5
    assert all(toy.scheduler.task(each).array.folder for each in ids)


def test_cancelling_never_hits_a_stranger_with_an_old_id(toy: Toy) -> None:
    toy.chain()
    toy.submit()
    first = toy.task("world").array
    toy.scheduler.arrays.clear()
    toy.scheduler.next_id = int(first.job_id)
    toy.scheduler.accept("0-9", name="somebody-elses")
    tasks = [task for task in queued_tasks(toy.store, toy.scheduler).values() if task.queued is not None]
    cancel_tasks(tasks, toy.scheduler)
    assert {task.state for task in toy.scheduler.tasks()} == {"PENDING"}


def test_files_of_an_earlier_job_of_the_same_id_change_nothing(toy: Toy) -> None:
    toy.chain()
    fake_stages.ORDERS["world"] = ["fail"]
    toy.submit()
    toy.scheduler.run_all()
    old = Submission(toy.task("world").array.folder)
    job = old.job_id
    (old.path / f"{job}_0_0_log.out").write_text("slurmstepd: error: Detected 1 oom-kill event(s)\n")
    (old.path / f"{job}_0_0_result.pkl").write_bytes(b"no pickle")
    (toy.store.root / ".submitit" / f"{job}_0_result.pkl").write_bytes(b"no pickle")
    toy.scheduler.arrays.clear()
    toy.scheduler.next_id = int(str(job))
    toy.scheduler.early[toy.id("world")] = [137]
    toy.submit()
    assert toy.task("world").array.job_id == job
    toy.scheduler.run_all()
    assert toy.exits("world") == ["failed", "killed", "completed"]  # not out of memory
    assert set(toy.states().values()) == {"done"}


# ---- retry and cancel


def names(toy: Toy, run: str | None = None, failed_only: bool = False) -> list[str]:
    return toy.names(to_retry(toy.plan, toy.look().states, run, failed_only))


def with_runs(toy: Toy) -> None:
    toy.chain()
    toy.runs = {"seed0": ("world", "sft0", "eval0"), "seed1": ("world", "sft1", "eval1")}


def test_retry_takes_what_failed_and_what_waits_for_it(toy: Toy) -> None:
    with_runs(toy)
    assert names(toy) == []  # never started is not failed
    fake_stages.ORDERS["sft1"] = ["fail"]
    toy.submit()
    toy.scheduler.run_all()
    assert names(toy) == names(toy, failed_only=True) == names(toy, "seed1") == ["sft1", "eval1"]
    assert names(toy, "seed0") == []


def test_retry_of_a_failed_input_takes_what_all_runs_have_of_it(toy: Toy) -> None:
    with_runs(toy)
    fake_stages.ORDERS["world"] = ["fail"]
    toy.submit()
    toy.scheduler.run_all()
    assert names(toy, "seed0") == names(toy) == list(toy.stages)


def test_cancel_takes_what_only_this_run_needs_and_retry_brings_it_back(toy: Toy) -> None:
    with_runs(toy)
    toy.submit()
    assert toy.names(to_cancel(toy.plan, "seed0")) == ["sft0", "eval0"]
    assert toy.names(to_cancel(toy.plan, None)) == list(toy.stages)
    tasks = queued_tasks(toy.store, toy.scheduler)
    cancel_tasks([tasks[each] for each in to_cancel(toy.plan, "seed0")], toy.scheduler)
    assert toy.in_queue() == ["eval1", "sft1", "world"]
    assert toy.states() == {
        "world": "queued",
        "sft0": "missing",
        "eval0": "missing",
        "sft1": "queued",
        "eval1": "queued",
    }
    assert toy.reason("sft0") == "cancelled before it began"
    assert names(toy, failed_only=True) == []
    assert set(names(toy)) == {"world", "sft0", "eval0"}
    found = toy.submit(only=to_retry(toy.plan, toy.look().states, None, False))
    assert toy.names(found.stages) == ["sft0", "eval0"]  # the world is queued already
    toy.scheduler.run_all()
    assert set(toy.states().values()) == {"done"}
    assert max(Counter(fake_stages.STARTED).values()) == 1


def test_what_is_cancelled_is_noted_before_it_is_done(toy: Toy) -> None:
    toy.chain()
    toy.submit()
    tasks = queued_tasks(toy.store, toy.scheduler)
    seen = []
    toy.scheduler.hooks["scancel"] = lambda: seen.append(tasks[toy.id("sft1")].submission.cancelled())
    cancel_tasks([tasks[toy.id("sft1")]], toy.scheduler)
    assert seen == [{tasks[toy.id("sft1")].index}]


def test_those_that_wait_are_cancelled_before_those_that_run(toy: Toy) -> None:
    toy.add("a")
    toy.add("b")
    toy.submit()
    toy.scheduler.begin(toy.task("a"))
    tasks = queued_tasks(toy.store, toy.scheduler)
    cancel_tasks([tasks[toy.id("a")], tasks[toy.id("b")]], toy.scheduler)
    (command,) = [each for each in toy.scheduler.commands if each[0] == "scancel"]
    assert command[-2:] == [toy.task("b").job_id, toy.task("a").job_id]


def test_cancelling_nothing_asks_nobody(toy: Toy) -> None:
    cancel_tasks([], toy.scheduler)
    assert toy.scheduler.calls == {}


def test_where_a_stage_stands_by_the_latest_submission(toy: Toy) -> None:
    toy.add("a")
    for _ in range(3):
        fake_stages.ORDERS["a"] = ["fail"]
        toy.submit()
        toy.scheduler.run_all()
    assert latest_tasks(toy.store)[toy.id("a")].job_id == toy.task("a").job_id
    toy.look()
    assert open_submissions(toy.store) == []  # all is known of them
    assert toy.scheduler.calls["squeue"] == 3
    toy.look()
    assert toy.scheduler.calls["squeue"] == 3


def test_a_queued_stage_that_keeps_too_few_checkpoints_is_waited_for_by_nobody(toy: Toy) -> None:
    """Its job keeps what was asked for when it was submitted; what needs more comes when it is over."""
    toy.add("train", checkpoints=[10])
    toy.submit()
    toy.add("train", checkpoints=[5, 10])
    toy.add("score", "train", kind="evaluate")
    found = toy.submit()
    assert toy.names(found.elsewhere) == ["train", "score"]
    assert found.stages == []
    toy.scheduler.run_all()
    found = toy.submit()
    assert toy.names(found.stages) == ["train", "score"]
    toy.scheduler.run_all()
    assert toy.states() == {"train": "done", "score": "done"}


def test_a_failed_stage_whose_job_is_ending_can_be_submitted_at_once(toy: Toy) -> None:
    toy.add("train")
    toy.add("score", "train", kind="evaluate")
    toy.submit()
    task = toy.task("train")
    fake_stages.ORDERS["train"] = ["fail"]
    toy.scheduler.run_all()
    task.state = "COMPLETING"
    found = toy.submit()
    assert toy.names(found.stages) == ["train", "score"]
    assert all(task.job_id not in each.text(found.job_ids) for array in found.arrays for each in array.after)


def test_an_answer_that_never_came_leaves_what_the_tasks_need(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """sbatch gives up before slurmctld does; the array may be in the queue all the same."""
    toy.add("train")
    taken: list[str] = []

    def submit(script: str, keep_open: Sequence[int] = ()) -> str:
        taken.append(FakeSlurm.submit(toy.scheduler, script, keep_open))
        raise SchedulerError("sbatch: error: Socket timed out on send/recv operation", unknown=True)

    monkeypatch.setattr(toy.scheduler, "submit", submit)
    assert "Socket timed out" in toy.submit().error
    monkeypatch.undo()
    assert toy.names(toy.submit().queued) == ["train"]
    assert toy.task("train").job_id == f"{taken[0]}_0"
