"""What a batch script does when its step did not end well: ``python -m harness.launch.slurm.aftermath FOLDER CODE``.

It decides whether the job goes back into the queue. A stage's own error is final; an attempt that was told to stop, or
was killed, is followed by another one as long as the declared allowances last. Preemptions and failed nodes are free.
"""

import os
import sys
from pathlib import Path

from harness.launch.job import STOPPED, TAKEN
from harness.launch.slurm.causes import is_put_back, killed_cause, own_restarts, own_task
from harness.launch.slurm.ledger import Submission
from harness.launch.work import FENCED
from harness.record.attempts import list_attempts, open_attempt, settle_lost
from harness.record.folders import StageFolder, Store
from harness.record.lock import FileLock
from harness.record.status import status_after, write_status

COUNTED = ("killed", "out of memory", "lost")
"""Causes that use up the declared number of attempts."""

REQUEUE = STOPPED
"""Exit code that tells the batch script to put the job back into the queue."""

NOT_REQUEUED = 77
"""What the batch script calls this with when that was refused."""

LOCK_PATIENCE_S = 20.0
"""The other processes of a job, or what it left behind, may hold the lock for a moment."""


def main(folder: Path, code: int) -> int:
    """Settle how the attempt ended. Returns what the batch script is to do: 0, end well, when the stage is done;
    `REQUEUE`, put the job back, which it does itself because this may run in a container without scontrol; else fail.
    """
    if code == FENCED:
        return code
    submission, index = Submission(folder), int(os.environ["SLURM_ARRAY_TASK_ID"])
    manifest, stage = submission.manifest, submission.stage(index)
    store = Store(Path(manifest["store"]), map(Path, manifest["shipped"]))
    if store.is_done(stage):
        return 0
    if code == TAKEN:  # by a local run, say: whose stage it is, and what waits for it is handed over once it is done
        return 1
    own = store.own_folder(stage.id)
    with FileLock(own.lock_file) as lock:
        if not lock.acquire(LOCK_PATIENCE_S):
            print(f"{stage.id}: somebody else is at work on it", file=sys.stderr)
            return 1
        if store.is_done(stage):  # by somebody who had the lock until now
            return 0
        if code == NOT_REQUEUED and is_put_back():
            return 1
        if code == NOT_REQUEUED:
            verdict = _give_up(own, list_attempts(own)[-1]["attempt"], "SLURM did not put its job back into the queue")
        else:
            verdict = _settle(own, submission, index, code)
        print(f"{stage.id}: {verdict}", file=sys.stderr, flush=True)
        return REQUEUE if verdict.startswith("again") else 1


def _settle(folder: StageFolder, submission: Submission, index: int, code: int) -> str:
    """Write down how this start ended; ``again: ...`` when the job is to go on."""
    manifest, name = submission.manifest, f"{submission.token}-{index}"
    number, own = _own_attempts(folder, name)
    if own and own[-1]["restart"] > own_restarts():  # this start was on a node that was lost and is back
        return "another start of this job has taken it over"
    if not own or own[-1]["restart"] != own_restarts():
        if index in submission.cancelled():
            return "cancelled"
        cause, reason = killed_cause(own_task(), code, submission.said(index).values())
        reason = f"{reason} before its work began; {_last_words(submission, index)}"
        attempt = open_attempt(folder, "slurm", own_task(), name, manifest["gpus"], own_restarts())
        submission.copy_logs(index, attempt.log)
        attempt.close(cause, reason)
        number, own = _own_attempts(folder, name)
    elif own[-1]["exit"] in ("running", "lost"):
        settle_lost(folder, *killed_cause(own_task(), code, submission.said(index).values()))
        number, own = _own_attempts(folder, name)
    elif own[-1]["exit"] == "failed":
        return f"failed: {own[-1]['reason']}"
    cause, reason = own[-1]["exit"], own[-1]["reason"]
    if index in submission.cancelled() or cause == "cancelled":
        return "cancelled"
    counted = sum(each["exit"] in COUNTED for each in own)
    if cause in COUNTED and counted >= manifest["attempts"]:
        return _give_up(folder, number, f"{reason} (attempt {counted} of {manifest['attempts']})")
    timeouts = sum(each["exit"] == "timed out" for each in own)
    if cause == "timed out" and timeouts > manifest["timeouts"]:
        return _give_up(folder, number, f"{reason}; it may go on after {manifest['timeouts']} of them (timeouts)")
    return f"again: {cause}, {reason}"


def _own_attempts(folder: StageFolder, name: str) -> tuple[int, list[dict]]:
    """Number of the latest attempt, and all that this submission made."""
    found = list_attempts(folder)
    return (found[-1]["attempt"] if found else 0), [each for each in found if each["submission"] == name]


def _give_up(folder: StageFolder, attempt: int, reason: str) -> str:
    write_status(folder.status_file, status_after(folder.status(), attempt, "failed", reason))
    return f"failed: {reason}"


def _last_words(submission: Submission, index: int) -> str:
    for log, text in submission.said(index).items():
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            return f"{lines[-1][:200]} ({log})"
    return "it left no message"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
