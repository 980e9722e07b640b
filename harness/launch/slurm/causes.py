"""Why a job of the cluster ended or was told to stop, asked of the scheduler when it happens."""

import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.launch.slurm.ledger import Submission
from harness.launch.slurm.scheduler import SchedulerError, Slurm
from harness.launch.work import signal_names
from harness.record.attempts import ExitCause

ENDED: dict[str, ExitCause] = {
    "TIMEOUT": "timed out",
    "DEADLINE": "timed out",
    "PREEMPTED": "preempted",
    "OUT_OF_MEMORY": "out of memory",
    "NODE_FAIL": "node failed",
    "BOOT_FAIL": "node failed",
    "CANCELLED": "cancelled",
    "REQUEUED": "preempted",
    "FAILED": "killed",
}
"""From accounting's states of a job whose attempt could not say itself how it ended."""

_MEMORY_SIGNS = ("oom-kill", "oom_kill", "out-of-memory", "out of memory", "exceeded memory limit")


def own_task() -> str:
    """``<array>_<task>`` of this job. Never the bare job id: the last task of an array has the array's own, and what is
    done to that is done to all of its tasks."""
    return f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"


def own_restarts() -> int:
    return int(os.environ.get("SLURM_RESTART_COUNT") or 0)


@dataclass(frozen=True)
class WhyStopped:
    """Asks once, at the end of an attempt that was told to stop."""

    submission: Submission
    index: int
    minutes: int
    started: float = field(default_factory=time.time)

    def __call__(self, received: list[int]) -> tuple[ExitCause, str]:
        """Cause and reason, in one line."""
        told = f"told to stop by {signal_names(received)}" if received else "told to stop"
        if self.index in self.submission.cancelled():
            return "cancelled", "by ablate cancel"
        try:
            job = Slurm().job(own_task())
        except SchedulerError as error:
            job, told = {}, f"{told}; {error}"
        if job.get("PreemptTime", "None") not in ("None", "Unknown"):
            return "preempted", f"{told}: by a job of higher priority"
        # What is requeued counts as restarted from the moment on that it is told to end.
        requeued = int(job.get("Restarts") or 0) > own_restarts()
        near = time.time() - self.started >= self.minutes * 60 - 1
        if near or (signal.SIGUSR2 in received and not requeued):
            return "timed out", f"{told}: the time limit of {self.minutes} min is near"
        if job.get("JobState") == "CANCELLED" or (job.get("JobState") == "COMPLETING" and not requeued):
            return "cancelled", f"{told}: by scancel"
        return "preempted", f"{told}: taken off by the scheduler (requeue, preemption or maintenance)"


def is_stale(holder: Mapping[str, Any]) -> bool:
    """Whether the job that holds a stage's lock is one that the scheduler takes for ended: an earlier start of this
    very job, or one that is not running any more. Its processes can live on, on a node that was lost."""
    job_id = holder.get("job")
    if not job_id:
        return False
    if job_id == own_task():
        return int(holder.get("restart", 0)) < own_restarts()
    try:
        job = Slurm().job(job_id)
    except SchedulerError as error:
        return "Invalid job id" in str(error)
    over = job.get("JobState") not in ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED")
    return over or int(job.get("Restarts") or 0) > int(holder.get("restart", 0))


def is_put_back() -> bool:
    """SLURM has this job in its queue again already, as after a preemption."""
    try:
        job = Slurm().job(own_task())
    except SchedulerError:
        return False
    return job.get("JobState") == "PENDING" or int(job.get("Restarts") or 0) > own_restarts()


def earlier_start(seized: bool) -> tuple[ExitCause, str]:
    """How the start before this one ended, if it left no word.

    Args:
        seized: its processes are still there, and out of reach: the scheduler would have ended them on a node that it
            has.
    """
    try:
        states = [each.state.split()[0] for each in Slurm().ended([own_task()])]
    except SchedulerError:  # no accounting here
        states = []
    before = next((each for each in reversed(states) if each not in ("RUNNING", "PENDING", "COMPLETING")), None)
    if seized or before in ("NODE_FAIL", "BOOT_FAIL"):
        return "node failed", "SLURM lost its node and started the job anew"
    # The aftermath of that start never ran, so it was not the batch script that put the job back.
    known = ENDED.get(before or "", "preempted")
    return known, f"SLURM took it off and started the job anew ({before or 'no word of it in the accounting'})"


def killed_cause(task: str, code: int, said: Iterable[str]) -> tuple[ExitCause, str]:
    """Cause and reason of the end of an attempt that left no word, its step being over.

    Args:
        task: the job's id.
        code: of ``srun``; 128 and more is a signal.
        said: by the batch script and srun since the start, where SLURM says what it did.
    """
    name = signal.Signals(code - 128).name if 128 < code < 160 else ""
    how = f"killed by {name}" if name else f"its process ended with code {code}"
    if any(sign in text.lower() for text in said for sign in _MEMORY_SIGNS):
        return "out of memory", f"{how}: it used more memory than it was given (memory_gb)"
    try:
        states = Slurm().run(["sacct", "--noheader", "--parsable2", "--format=State", f"--jobs={task}"])
    except SchedulerError:
        states = ""
    if "OUT_OF_MEMORY" in states:
        return "out of memory", f"{how}: it used more memory than it was given (memory_gb)"
    return "killed", how
