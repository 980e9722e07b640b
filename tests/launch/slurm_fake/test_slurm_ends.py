"""How an attempt ended, what becomes of its job, and what a look finds of those that left no word."""

import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.launch.slurm import aftermath
from harness.launch.slurm.cancel import cancel_tasks
from harness.launch.slurm.causes import WhyStopped, earlier_start, is_stale, killed_cause
from harness.launch.slurm.ledger import START_MARK, Submission, open_submissions
from harness.launch.slurm.submit import queued_tasks
from harness.launch.work import FENCED
from harness.record.atomic import write_json
from harness.record.attempts import open_attempt
from harness.record.lock import FileLock
from harness.record.status import Status, write_status
from harness.study.resources import Resources
from tests.launch.slurm_fake import fake_stages
from tests.launch.slurm_fake.conftest import Toy
from tests.launch.slurm_fake.fake_slurm import die_at_work, task_environment


@pytest.fixture
def one(toy: Toy) -> Toy:
    """One stage, ``a``, and ``b`` which waits for it."""
    toy.add("a")
    toy.add("b", "a", kind="evaluate")
    return toy


def allow(toy: Toy, **allowances: int) -> None:
    toy.resources = {"all": Resources(**allowances)}


def vanish(toy: Toy, name: str, state: str) -> None:
    """A job's work is under way, and then the job is gone, without a word and without its batch script's last lines."""
    task = toy.task(name)
    toy.scheduler.begin(task)
    assert task.array.folder is not None
    die_at_work(Submission(task.array.folder), task.index, task)
    toy.scheduler.end(task, state)


# ---- the batch script's last lines


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
    monkeypatch.setattr(aftermath, "LOCK_PATIENCE_S", 5.0)
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


# ---- a job whose predecessor's processes live on


def test_the_lock_of_a_job_that_the_scheduler_takes_for_ended_is_seized(one: Toy) -> None:
    one.submit()
    task = one.task("a")
    assert task.array.folder is not None
    with FileLock(one.own("a").lock_file) as lock:
        lock.acquire(job=task.job_id, restart=0)
        die_at_work(Submission(task.array.folder), task.index, task)
        one.scheduler.begin(task)
        one.scheduler.restart(task, "NODE_FAIL")
        one.scheduler.run_all()
        assert not lock.is_mine()
    assert one.exits("a") == ["node failed", "completed"]
    assert set(one.states().values()) == {"done"}


def test_who_has_a_right_to_a_lock(one: Toy) -> None:
    one.add("c")
    one.submit()
    own, other = one.task("a"), one.task("c")
    own.restarts = 1
    with task_environment(own):
        assert not is_stale({})
        assert not is_stale({"job": "", "pid": 7})  # a local run
        assert is_stale({"job": own.job_id, "restart": 0})
        assert not is_stale({"job": own.job_id, "restart": 1})
        one.scheduler.begin(other)
        assert not is_stale({"job": other.job_id, "restart": 0})
        other.state = "COMPLETING"
        assert not is_stale({"job": other.job_id, "restart": 0})
        other.restarts = 1
        assert is_stale({"job": other.job_id, "restart": 0})
        one.scheduler.end(other, "NODE_FAIL")
        assert is_stale({"job": other.job_id, "restart": 1})
        assert is_stale({"job": "4711_0", "restart": 0})  # nobody knows it any more
        one.scheduler.down = "scontrol gave no answer in 120 s; is slurmctld up?"
        assert not is_stale({"job": other.job_id, "restart": 1})


def test_a_cause_is_written_to_the_attempt_that_it_is_of(one: Toy) -> None:
    """Of the first start nobody ever learns how it ended; the second one is killed, and says so."""
    one.scheduler.accounting = False
    one.submit()
    task = one.task("a")
    one.scheduler.begin(task)
    die_at_work(Submission(task.array.folder), task.index, task)  # type: ignore[arg-type]
    one.scheduler.restart(task, "NODE_FAIL")
    fake_stages.ORDERS["a"] = ["stop"]
    one.scheduler.step()
    assert one.exits("a") == ["preempted", "preempted"]
    one.scheduler.kills[one.id("a")] = [137]
    one.scheduler.step()
    assert one.exits("a") == ["preempted", "preempted", "killed"]
    assert "no word of it in the accounting" in one.attempts("a")[0]["reason"]


def test_how_the_start_before_ended(one: Toy) -> None:
    one.submit()
    task = one.task("a")
    with task_environment(task):
        one.scheduler.begin(task)
        one.scheduler.restart(task, "PREEMPTED")
        assert earlier_start(False) == ("preempted", "SLURM took it off and started the job anew (PREEMPTED)")
        assert earlier_start(True)[0] == "node failed"
        one.scheduler.begin(task)
        one.scheduler.restart(task, "NODE_FAIL")
        assert earlier_start(False)[0] == "node failed"
        one.scheduler.accounting = False
        assert earlier_start(False)[0] == "preempted"  # free, as a lost node would be
        assert earlier_start(True)[0] == "node failed"


# ---- a look


def test_nothing_was_ever_submitted_and_nobody_is_asked(one: Toy) -> None:
    assert one.states() == {"a": "missing", "b": "missing"}
    assert one.scheduler.calls == {}


def test_pending_starting_running_ending(one: Toy) -> None:
    one.submit()
    task = one.task("a")
    assert one.states() == {"a": "queued", "b": "queued"}
    assert one.reason("a") == "others come first"
    task.reason = "Licenses"
    assert one.reason("a") == "Licenses"
    one.scheduler.begin(task)
    assert one.states() == {"a": "running", "b": "queued"}
    assert one.reason("a") == "starting on n1"
    with FileLock(one.own("a").lock_file) as lock:
        lock.acquire(job=task.job_id)
        assert one.reason("a") == "a job is at work on it"
        assert one.look().tasks[one.id("a")].job_id == task.job_id
        assert one.look().open
    task.state = "COMPLETING"
    assert one.states()["a"] == "queued"
    assert one.reason("a") == "ending just now"
    one.finish("a")
    assert one.states()["a"] == "done"


def test_a_failed_stage_that_is_ending_is_failed(one: Toy) -> None:
    one.submit()
    task = one.task("a")
    one.scheduler.begin(task)
    task.state = "COMPLETING"
    write_status(one.own("a").status_file, Status("failed", 1, reason="ValueError: no"))
    assert one.states() == {"a": "failed", "b": "queued"}


def test_what_is_queued_again_says_how_far_it_is(one: Toy) -> None:
    one.scheduler.kills[one.id("a")] = [137]
    one.submit()
    one.scheduler.step()
    assert one.states()["a"] == "queued"
    assert one.reason("a") == "about to start again; 7 of 10 steps are behind it"


@pytest.mark.parametrize(
    ("state", "cause", "shown"),
    [
        ("TIMEOUT", "timed out", "failed"),
        ("OUT_OF_MEMORY", "out of memory", "failed"),
        ("NODE_FAIL", "node failed", "failed"),
        ("FAILED", "killed", "failed"),
        ("CANCELLED by 1000", "cancelled", "interrupted"),
        ("PREEMPTED", "preempted", "interrupted"),
    ],
)
def test_accounting_tells_how_a_job_ended_that_could_not(one: Toy, state: str, cause: str, shown: str) -> None:
    one.submit()
    vanish(one, "a", state)
    assert one.states()["a"] == shown
    (attempt,) = one.attempts("a")
    assert attempt["exit"] == cause
    assert attempt["reason"] == f"SLURM: {state}, job {one.task('a').job_id} on n1"
    assert attempt["seconds"] is not None
    assert one.reason("a") == f"{cause} ({attempt['reason']})"
    one.scheduler.accounting = False
    assert one.states()["a"] == shown  # it is written down
    assert one.attempts("a") == [attempt]


def test_a_job_that_ended_before_its_work_leaves_an_attempt_too(one: Toy) -> None:
    one.submit()
    task = one.task("a")
    one.scheduler.begin(task)
    one.scheduler.end(task, "NODE_FAIL")
    assert one.states() == {"a": "failed", "b": "blocked"}
    (attempt,) = one.attempts("a")
    assert (attempt["exit"], attempt["scheduler_id"]) == ("node failed", task.job_id)
    assert attempt["reason"].endswith("before its work began")


def test_without_accounting_an_end_is_unknown_and_said_to_be(one: Toy) -> None:
    one.scheduler.accounting = False
    one.submit()
    vanish(one, "a", "NODE_FAIL")
    assert one.states()["a"] == "interrupted"
    assert one.exits("a") == ["lost"]
    reason = one.reason("a")
    assert f"its job {one.task('a').job_id} is gone from the queue and nobody knows why" in reason
    assert "without a word" in reason
    assert "it never began" in one.reason("b")
    found = one.submit()
    assert one.names(found.stages) == ["a", "b"]
    one.scheduler.run_all()
    assert set(one.states().values()) == {"done"}


def test_accounting_that_lags_is_no_end(one: Toy) -> None:
    """A row that is not there yet means that nobody knows yet, and the next look asks again."""
    one.scheduler.lagging = True
    one.submit()
    vanish(one, "a", "TIMEOUT")
    assert one.states()["a"] == "interrupted"
    assert "nobody knows why" in one.reason("a")
    record = (one.own("a").path / "attempts" / "0001" / "attempt.json").read_text()
    assert '"exit": "running"' in record  # nothing was written
    one.look()
    one.scheduler.lagging = False
    assert one.states()["a"] == "failed"
    assert one.exits("a") == ["timed out"]


def test_accounting_that_still_says_running_is_no_end(one: Toy) -> None:
    one.submit()
    vanish(one, "a", "NODE_FAIL")
    one.scheduler.says = {one.task("a").job_id: "RUNNING"}
    assert "nobody knows why" in one.reason("a")
    record = (one.own("a").path / "attempts" / "0001" / "attempt.json").read_text()
    assert '"exit": "running"' in record


def test_only_the_last_start_of_a_job_counts(one: Toy) -> None:
    one.submit()
    task = one.task("a")
    one.scheduler.begin(task)
    one.scheduler.restart(task, "PREEMPTED")
    vanish(one, "a", "TIMEOUT")
    assert one.states()["a"] == "failed"
    assert one.exits("a") == ["timed out"]


def test_the_scheduler_is_silent_and_the_folders_speak_alone(one: Toy) -> None:
    one.submit()
    one.scheduler.step()
    one.scheduler.down = "squeue gave no answer in 120 s; is slurmctld up?"
    found = one.look()
    assert found.trouble == one.scheduler.down
    assert [each.state for each in found.states.values()] == ["done", "missing"]
    assert found.tasks == {}


def test_what_the_scheduler_says_nothing_of_is_not_over(one: Toy) -> None:
    """`ablate attach` waits as long as something is open: one question without an answer must not end it."""
    one.submit()
    assert one.look().open
    one.scheduler.down = "squeue gave no answer in 120 s; is slurmctld up?"
    assert one.look().open
    one.finish("a", "b")
    assert not one.look().open


@pytest.mark.parametrize("count", [3, 300])
def test_one_or_two_calls_however_many_stages(toy: Toy, count: int) -> None:
    toy.resources = {"all": Resources(parallel=1000)}
    toy.scheduler.max_array_size = 100
    for number in range(count):
        toy.add(f"s{number}")
    toy.submit()
    toy.scheduler.calls.clear()
    assert set(toy.states().values()) == {"queued"}
    assert toy.scheduler.calls == {"squeue": 1}
    for task in toy.scheduler.tasks():
        toy.scheduler.begin(task)
    toy.scheduler.end(toy.task("s0"), "NODE_FAIL")
    toy.scheduler.end(toy.task(f"s{count - 1}"), "NODE_FAIL")
    toy.scheduler.calls.clear()
    assert sorted(toy.states().values())[:2] == ["failed", "failed"]
    assert toy.scheduler.calls == {"squeue": 1, "sacct": 1}


def test_what_was_cancelled_while_pending_is_not_failed(one: Toy) -> None:
    one.submit()
    cancel_tasks(list(queued_tasks(one.store, one.scheduler).values()), one.scheduler)
    assert one.states() == {"a": "missing", "b": "missing"}
    assert one.reason("a") == one.reason("b") == "cancelled before it began"
    assert not one.own("a").path.exists()
    assert not one.look().open


def test_what_was_cancelled_at_work_and_killed_is_interrupted(one: Toy) -> None:
    one.scheduler.accounting = False
    one.submit()
    Submission(one.task("a").array.folder).note_cancelled([0])  # type: ignore[arg-type]
    vanish(one, "a", "CANCELLED")
    assert one.states()["a"] == "interrupted"
    assert one.exits("a") == ["cancelled"]
    assert "by ablate cancel" in one.reason("a")


def test_a_cancelled_job_that_is_ending_is_out_of_the_queue(one: Toy) -> None:
    one.submit()
    task = one.task("a")
    one.scheduler.begin(task)
    task.state = "COMPLETING"
    submission = Submission(task.array.folder)  # type: ignore[arg-type]
    assert queued_tasks(one.store, one.scheduler)[one.id("a")].queued is not None
    submission.note_cancelled([task.index])
    assert queued_tasks(one.store, one.scheduler)[one.id("a")].queued is None


def test_the_end_of_a_job_is_not_written_over_another_ones_attempt(one: Toy) -> None:
    """An attempt of a local run was killed; the job that was to go on never began, for what it needs was cancelled."""
    other = open_attempt(one.own("b"), "local", "4711", "local-submission")
    write_status(one.own("b").status_file, Status("running", 1, 7, 10, started=other.began))
    fake_stages.ORDERS["a"] = ["stop"]
    one.scheduler.show = {"JobState": "COMPLETING"}
    one.submit()
    one.scheduler.run_all()
    assert one.task("b").state == "CANCELLED"
    one.look()
    (attempt,) = one.attempts("b")
    assert attempt["submission"] == "local-submission"
    assert attempt["exit"] == "lost"
    assert "SLURM" not in attempt["reason"]


def test_a_submission_made_while_a_look_is_under_way_stays_open(one: Toy) -> None:
    """Accounting takes its time, and meanwhile another command submits: that submission was not looked at."""
    one.submit(only=[one.id("a")])
    vanish(one, "a", "NODE_FAIL")
    one.add("c")

    def meanwhile() -> None:
        one.submit(only=[one.id("c")])

    one.scheduler.hooks["sacct"] = meanwhile
    one.look()
    found = one.submit(only=[one.id("c")])
    assert (one.names(found.queued), found.stages) == (["c"], [])
    assert one.in_queue() == ["c"]


def test_a_look_at_what_is_being_handed_over_just_now(one: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is there and the queue does not know it yet; of its stage it is known how it ended the last time."""
    fake_stages.ORDERS["a"] = ["fail"]
    one.submit()
    one.scheduler.run_all()
    run, seen = one.scheduler.run, []

    def slow(command: Sequence[str], **options: object) -> str:
        if command[0] == "sbatch":
            seen.append(one.reason("a"))
        return run(command, **options)

    monkeypatch.setattr(one.scheduler, "run", slow)
    one.submit()
    assert seen == ["ValueError: a was told to fail", "others come first"]
    assert one.states() == {"a": "queued", "b": "queued"}
    found = one.submit()
    assert (one.names(found.queued), found.stages) == (["a", "b"], [])


def test_submissions_are_closed_once_nothing_is_to_be_learnt(one: Toy) -> None:
    one.submit()
    one.look()
    assert len(open_submissions(one.store)) == 2
    one.scheduler.step()
    one.look()
    assert len(open_submissions(one.store)) == 1
    one.scheduler.step()
    one.look()
    assert open_submissions(one.store) == []
    one.scheduler.calls.clear()
    one.look()
    assert one.scheduler.calls == {}


def test_another_studys_jobs_in_the_same_store_stay_open(one: Toy) -> None:
    one.submit()
    other = replace(one, stages={})
    other.add("z")
    other.look()
    assert len(open_submissions(one.store)) == 2
    assert one.states() == {"a": "queued", "b": "queued"}


def test_logs_of_a_task_are_its_own(one: Toy) -> None:
    one.submit()
    submission = queued_tasks(one.store, one.scheduler)[one.id("a")].submission
    for name in ("100_0_0_log.out", "100_0_0_log.err", "100_1_0_log.out", "100_10_0_log.out", "100_0_log.out"):
        (submission.path / name).write_text(f"{name}\n")
    assert [path.name for path in submission.logs(0)] == ["100_0_0_log.err", "100_0_0_log.out"]
    assert list(submission.said(0).values()) == ["100_0_0_log.err\n", "100_0_0_log.out\n"]


def test_what_was_asked_more_of_later_is_not_called_a_lost_job(toy: Toy) -> None:
    """Done as it was submitted; then another checkpoint is asked of it. Its old job ended well."""
    toy.add("a", checkpoints=[5])
    toy.submit()
    toy.scheduler.run_all()
    toy.add("a", checkpoints=[5, 10])
    assert toy.states() == {"a": "missing"}
    assert toy.reason("a") == "outputs are incomplete or lack a requested checkpoint"
    assert toy.names(toy.submit().stages) == ["a"]
    toy.scheduler.run_all()
    assert toy.states() == {"a": "done"}


@pytest.mark.parametrize("why", ["another checkpoint", "damaged"])
def test_what_was_done_once_and_is_to_be_done_again_stays_in_the_queue(toy: Toy, why: str) -> None:
    """Its old manifest is there until its job starts, and a look must not take the submission for one that is over."""
    toy.add("a", checkpoints=[5])
    toy.submit()
    toy.scheduler.run_all()
    toy.look()
    if why == "damaged":
        (toy.own("a").path / "out.json").unlink()
    else:
        toy.add("a", checkpoints=[5, 10])
    toy.submit()
    assert toy.states() == {"a": "queued"}
    assert toy.states() == {"a": "queued"}
    found = toy.submit()
    assert (toy.names(found.queued), found.stages) == (["a"], [])
    assert toy.in_queue() == ["a"]
    toy.scheduler.run_all()
    assert toy.states() == {"a": "done"}


def test_a_broken_manifest_is_not_fatal(one: Toy) -> None:
    one.submit()
    broken = one.store.root / ".submitit" / "slurm-000000000000"
    write_json(broken / "submitted.json", {"job_id": "5"})  # its manifest was deleted
    assert one.states() == {"a": "queued", "b": "queued"}
