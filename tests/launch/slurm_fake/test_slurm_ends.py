"""What the batch script's last lines make of an attempt's end: who goes on, how often, and what is written down."""

import signal
import threading
import time

import pytest

from harness.launch.slurm import aftermath
from harness.launch.slurm.causes import WhyStopped, killed_cause
from harness.launch.slurm.ledger import START_MARK, Submission
from harness.launch.slurm.submit import queued_tasks
from harness.launch.work import FENCED
from harness.record.lock import FileLock
from harness.study.resources import Resources
from tests.launch.slurm_fake import fake_stages
from tests.launch.slurm_fake.conftest import Toy
from tests.launch.slurm_fake.fake_slurm import die_at_work, task_environment


def allow(toy: Toy, **allowances: int) -> None:
    toy.resources = {"all": Resources(**allowances)}


@pytest.mark.parametrize(("code", "cause"), [(137, "killed by SIGKILL"), (139, "killed by SIGSEGV")])
def test_a_killed_job_is_started_again_as_often_as_declared(one: Toy, code: int, cause: str) -> None:
    allow(one, attempts=3)
    one.scheduler.kills[one.id("a")] = [code] * 5
    one.submit()
    assert len(one.scheduler.run_all()) == 3
    assert one.exits("a") == ["killed"] * 3
    assert [each["restart"] for each in one.attempts("a")] == [0, 1, 2]
    assert one.states() == {"a": "failed", "b": "blocked"}
    assert one.reason("a") == f"{cause} (attempt 3 of 3)"
    status = one.own("a").status()
    assert status is not None
    assert (status.step, status.total, status.attempt) == (7, 10, 3)
    assert one.in_queue() == []

    one.submit()  # has its whole allowance again
    one.scheduler.run_all()
    assert one.exits("a") == ["killed"] * 5 + ["completed"]
    assert set(one.states().values()) == {"done"}


def test_out_of_memory_counts_as_killed_and_says_what_to_change(one: Toy) -> None:
    allow(one, attempts=2)
    one.scheduler.kills[one.id("a")] = [137, 137]
    one.submit()
    task = one.task("a")
    assert task.array.folder is not None
    log = task.array.folder / f"{task.array.job_id}_0_0_log.err"
    log.write_text("slurmstepd: error: Detected 1 oom_kill event in StepId=1.0\n")
    one.scheduler.run_all()
    assert one.exits("a") == ["out of memory"] * 2
    assert "memory_gb" in one.reason("a")
    assert one.reason("a").endswith("(attempt 2 of 2)")


def test_an_earlier_start_that_ran_out_of_memory_is_not_the_latest(one: Toy) -> None:
    one.submit()
    task = one.task("a")
    log = task.array.folder / f"{task.array.job_id}_0_0_log.err"  # type: ignore[operator]
    log.write_text(f"{START_MARK}0 on n1\nslurmstepd: error: Detected 1 oom_kill event\n{START_MARK}1 on n2\nhello\n")
    task.restarts = 1
    one.scheduler.kills[one.id("a")] = [137]
    one.scheduler.step()
    assert one.exits("a") == ["killed"]


def test_another_tasks_log_is_not_this_ones(one: Toy) -> None:
    one.add("c")
    one.scheduler.kills[one.id("c")] = [137]
    one.submit()
    task = one.task("c")
    assert (task.index, one.task("a").index) == (1, 0)
    assert task.array.folder is not None
    (task.array.folder / f"{task.array.job_id}_0_0_log.err").write_text("oom_kill\n")
    (task.array.folder / f"{task.array.job_id}_11_0_log.err").write_text("oom_kill\n")
    one.scheduler.run_all()
    assert one.exits("c") == ["killed", "completed"]


def test_accounting_tells_of_memory_where_the_log_does_not(one: Toy) -> None:
    one.submit()
    task = one.task("a")
    one.scheduler.begin(task)
    one.scheduler.end(task, "OUT_OF_MEMORY")
    assert killed_cause(task.job_id, 137, [])[0] == "out of memory"
    one.scheduler.accounting = False
    assert killed_cause(task.job_id, 137, ["nothing of interest"]) == ("killed", "killed by SIGKILL")
    assert killed_cause(task.job_id, 3, []) == ("killed", "its process ended with code 3")


def test_a_preemption_is_free(one: Toy) -> None:
    allow(one, attempts=1, timeouts=0)
    fake_stages.ORDERS["a"] = ["stop"] * 5
    one.scheduler.show = {"PreemptTime": "2030-01-01T00:00:00"}
    one.submit()
    one.scheduler.run_all()
    assert one.exits("a") == ["preempted"] * 5 + ["completed"]
    assert "higher priority" in one.attempts("a")[0]["reason"]
    assert one.states() == {"a": "done", "b": "done"}


@pytest.mark.parametrize(("timeouts", "starts"), [(0, 1), (2, 3)])
def test_time_outs_have_an_allowance_of_their_own(one: Toy, timeouts: int, starts: int) -> None:
    one.resources = {"all": Resources(attempts=1, timeouts=timeouts, time="3")}  # always near its end
    fake_stages.ORDERS["a"] = ["time"] * 9
    one.submit()
    one.scheduler.run_all()
    assert one.exits("a") == ["timed out"] * starts
    assert one.states() == {"a": "failed", "b": "blocked"}
    assert f"it may go on after {timeouts} of them (timeouts)" in one.reason("a")


def test_the_signal_before_the_time_limit_is_a_time_out_however_early_it_seems(one: Toy) -> None:
    """The clock starts with the Python of the job; modules, set-up and a container may have taken long before."""
    one.resources = {"all": Resources(time="4:00:00")}
    fake_stages.ORDERS["a"] = ["time"]
    one.submit()
    one.scheduler.run_all()
    assert one.exits("a") == ["timed out", "completed"]


def test_kinds_of_ends_are_counted_apart(one: Toy) -> None:
    one.resources = {"all": Resources(attempts=2, timeouts=1, time="3")}
    fake_stages.ORDERS["a"] = ["time"]
    one.scheduler.kills[one.id("a")] = [137]
    one.submit()
    one.scheduler.run_all()
    assert one.exits("a") == ["killed", "timed out", "completed"]


def test_an_error_of_the_stage_is_final(one: Toy) -> None:
    fake_stages.ORDERS["a"] = ["fail"]
    one.submit()
    assert len(one.scheduler.run_all()) == 1
    assert one.exits("a") == ["failed"]
    assert one.task("a").exit_code == "1:0"
    assert one.scheduler.calls["scontrol"] == 1  # of the submission: nobody asked for a requeue
    assert "Traceback" in (one.own("a").path / "attempts" / "0001" / "traceback.txt").read_text()


def test_a_stage_without_outputs_fails(one: Toy) -> None:
    fake_stages.ORDERS["a"] = ["nothing"]
    one.submit()
    one.scheduler.run_all()
    assert one.states() == {"a": "failed", "b": "blocked"}
    assert "without any output" in one.reason("a")


def test_what_ends_before_its_work_with_an_error_is_tried_again_as_often_as_declared(one: Toy) -> None:
    """The node may be to blame."""
    allow(one, attempts=2)
    one.scheduler.early[one.id("a")] = [3, 3]
    one.submit()
    task = one.task("a")
    assert task.array.folder is not None
    log = task.array.folder / f"{task.array.job_id}_0_0_log.err"
    log.write_text("module: command not found\n\n")
    one.scheduler.run_all()
    assert one.exits("a") == ["killed", "killed"]
    reason = one.reason("a")
    assert "its process ended with code 3 before its work began; module: command not found" in reason
    assert str(log) in reason
    assert "module: command not found" in (one.own("a").path / "attempts" / "0001" / "log.txt").read_text()


def test_what_is_killed_before_its_work_began_is_started_again_and_counted(one: Toy) -> None:
    allow(one, attempts=2)
    one.scheduler.early[one.id("a")] = [137, 137]
    one.submit()
    one.scheduler.run_all()
    assert one.exits("a") == ["killed", "killed"]
    assert [each["restart"] for each in one.attempts("a")] == [0, 1]
    assert "before its work began; it left no message (attempt 2 of 2)" in one.reason("a")


def test_a_start_that_never_got_to_its_work_is_told_from_the_one_before(one: Toy) -> None:
    one.scheduler.kills[one.id("a")] = [137]
    one.submit()
    one.scheduler.step()
    one.scheduler.early[one.id("a")] = [3]
    one.scheduler.run_all()
    assert one.exits("a") == ["killed", "killed", "completed"]
    assert "before its work began" in one.attempts("a")[1]["reason"]


def test_what_is_done_all_the_same_ends_well(one: Toy) -> None:
    """srun says that something went wrong, after the last output was written."""
    one.scheduler.early[one.id("a")] = [1]
    one.submit()
    one.finish("a")
    one.scheduler.run_all()
    assert one.task("a").state == "COMPLETED"
    assert one.exits("a") == []
    assert one.states() == {"a": "done", "b": "done"}


def test_what_was_cancelled_is_not_put_back(one: Toy) -> None:
    one.scheduler.kills[one.id("a")] = [143]
    one.submit()
    Submission(one.task("a").array.folder).note_cancelled([0])  # type: ignore[arg-type]
    one.scheduler.run_all()
    assert one.task("a").state == "FAILED"
    assert one.task("a").restarts == 0


def test_what_is_cancelled_at_work_knows_why(one: Toy) -> None:
    one.submit()
    submission = queued_tasks(one.store, one.scheduler)[one.id("a")].submission
    submission.note_cancelled([0])
    assert WhyStopped(submission, 0, 10)([signal.SIGTERM]) == ("cancelled", "by ablate cancel")
    assert one.scheduler.calls["scontrol"] == 1  # its configuration, when it was submitted


def test_what_was_cancelled_and_comes_back_all_the_same_does_nothing(one: Toy) -> None:
    one.submit()
    queued_tasks(one.store, one.scheduler)[one.id("a")].submission.note_cancelled([0])
    one.scheduler.run_all()
    assert one.exits("a") == []
    assert one.task("a").restarts == 0
    assert one.states()["a"] == "missing"


def test_scancel_by_hand_is_not_put_back(one: Toy) -> None:
    fake_stages.ORDERS["a"] = ["stop"]
    one.scheduler.show = {"JobState": "COMPLETING"}
    one.submit()
    one.scheduler.run_all()
    assert one.exits("a") == ["cancelled"]
    assert "scancel" in one.attempts("a")[0]["reason"]
    assert one.task("a").restarts == 0


def test_a_fenced_attempt_touches_nothing(one: Toy) -> None:
    one.submit()
    task = one.task("a")
    assert task.array.folder is not None
    with task_environment(task):
        assert aftermath.main(task.array.folder, FENCED) == FENCED
    assert not one.own("a").path.exists()


def test_a_start_whose_node_comes_back_after_the_next_one_began_settles_nothing(one: Toy) -> None:
    """The next start was preempted by then, so the lock is free and the job may go on: not on this one's word."""
    fake_stages.ORDERS["a"] = ["stop"] * 5
    one.scheduler.show = {"PreemptTime": "2030-01-01T00:00:00"}
    one.submit()
    task = one.task("a")
    one.scheduler.step()
    one.scheduler.step()
    before = one.exits("a")
    assert before == ["preempted", "preempted"]
    calls = one.scheduler.calls["scontrol"]
    task.restarts = 0
    assert task.array.folder is not None
    with task_environment(task):
        assert aftermath.main(task.array.folder, 137) == 1
    assert one.exits("a") == before
    assert one.scheduler.calls["scontrol"] == calls


def test_the_folder_of_another_job_at_work_is_left_alone(one: Toy) -> None:
    one.submit()
    task = one.task("a")
    assert task.array.folder is not None
    with FileLock(one.own("a").lock_file) as lock:
        lock.acquire(job="7_7")
        with task_environment(task):
            assert aftermath.main(task.array.folder, 1) == 1
    assert one.exits("a") == []
    assert one.own("a").status() is None


def test_what_another_job_finished_meanwhile_is_done(one: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job found another one at work, which is done with it by the time that the lock is free."""
    monkeypatch.setattr(aftermath, "LOCK_PATIENCE_S", 120.0)
    one.submit()
    task = one.task("a")
    assert task.array.folder is not None
    with FileLock(one.own("a").lock_file) as lock:
        lock.acquire(job="7_7")

        def finish() -> None:
            time.sleep(0.2)
            one.finish("a")
            lock.release()

        other = threading.Thread(target=finish)
        with task_environment(task):
            other.start()
            code = aftermath.main(task.array.folder, 1)
        other.join()
    assert one.exits("a") == []  # no attempt of its own was made up
    assert one.own("a").status() is None
    assert code == 0


@pytest.mark.parametrize("pending", [True, False])
def test_a_requeue_that_the_scheduler_refuses(one: Toy, pending: bool) -> None:
    """It puts back what it preempts itself, and then says that the job is pending; else the stage has failed."""
    one.submit()
    task = one.task("a")
    assert task.array.folder is not None
    if not pending:
        one.scheduler.begin(task)
    die_at_work(Submission(task.array.folder), task.index, task)
    with task_environment(task):
        assert aftermath.main(task.array.folder, 137) == aftermath.REQUEUE
        assert aftermath.main(task.array.folder, aftermath.NOT_REQUEUED) == 1
    assert one.exits("a") == ["killed"]
    status = one.own("a").status()
    assert status is not None
    assert (status.state == "failed") is not pending
    assert pending or "did not put its job back" in status.reason


def test_a_stage_that_another_job_has_is_not_run_and_its_dependants_do_not_start(one: Toy) -> None:
    one.submit()
    with FileLock(one.own("a").lock_file) as lock:
        lock.acquire(pid=1, job="")
        one.scheduler.run_all()
    assert fake_stages.STARTED == []
    assert (one.task("a").state, one.task("b").state) == ("FAILED", "CANCELLED")
    assert one.exits("a") == []
