"""How a plan stands, from the run folders' word and the scheduler's."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.launch.slurm.cancel import cancel_tasks
from harness.launch.slurm.ledger import Submission, open_submissions
from harness.launch.slurm.submit import queued_tasks
from harness.record.atomic import write_json
from harness.record.attempts import open_attempt
from harness.record.lock import FileLock
from harness.record.status import Status, write_status
from harness.study.resources import Resources
from tests.launch.slurm_fake import fake_stages
from tests.launch.slurm_fake.conftest import Toy
from tests.launch.slurm_fake.fake_slurm import die_at_work


def vanish(toy: Toy, name: str, state: str) -> None:
    """A job's work is under way, and then the job is gone, without a word and without its batch script's last lines."""
    task = toy.task(name)
    toy.scheduler.begin(task)
    assert task.array.folder is not None
    die_at_work(Submission(task.array.folder), task.index, task)
    toy.scheduler.end(task, state)


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
