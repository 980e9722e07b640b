"""A job whose predecessor's processes live on, or that was started anew without a word on how the last start ended."""

from harness.launch.slurm.causes import earlier_start, is_stale
from harness.launch.slurm.ledger import Submission
from harness.record.lock import FileLock
from tests.launch.slurm_fake import fake_stages
from tests.launch.slurm_fake.conftest import Toy
from tests.launch.slurm_fake.fake_slurm import die_at_work, task_environment


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
