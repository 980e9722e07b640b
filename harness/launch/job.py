"""The callable of every job: one attempt at one stage, under the stage's lock.

It is made in a fresh process, by submitit's unpickling or from a submission's manifest, so it imports little: a signal
that comes before the handlers are in place would kill the job without a word.
"""

import os
import socket
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.launch.kinds import stage_function
from harness.launch.ranks import Place, call_meeting, join_meeting, own_place
from harness.launch.work import Signals, WhyStopped, Work, interrupted, stage_context
from harness.record.attempts import ExitCause, list_attempts, open_attempt, settle_lost
from harness.record.context import StopRequested
from harness.record.folders import StageFolder, Store
from harness.record.lock import FileLock, lock_holder
from harness.study.stage import Stage

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

STOPPED = 75
"""Exit code of a job that was told to stop and left all that is needed to go on (sysexits' EX_TEMPFAIL)."""

TAKEN = 74
"""Exit code of a job of a cluster that found another one at work on its stage."""


class StageFailed(Exception):
    """The stage's code failed; the status file has the reason."""


@dataclass
class StageJob:
    """All that a job needs to know."""

    stage: Stage
    root: Path
    """The store."""
    shipped: tuple[Path, ...]
    kinds: Mapping[str, str]
    submission: str
    """Unlike the scheduler's ids, never used twice."""
    runner: Path | None = None
    """Lock file of the runner that waits for this job; None when nobody does."""
    gpus: int = 0
    """GPUs that it has to itself."""
    restart: int = 0
    """How often the scheduler started this job before."""
    why_stopped: WhyStopped = interrupted
    is_stale: Callable[[Mapping[str, Any]], bool] | None = None
    """Tells from what the lock's holder noted that it has no right to it any more, so that it may be seized. None:
    whoever holds the lock keeps it."""
    earlier_start: Callable[[bool], tuple[ExitCause, str]] | None = None
    """Tells how an earlier start ended that left no word, given whether its lock had to be seized."""

    def __call__(self) -> str:
        """Run the stage and write its folder. Returns ``done`` or why there was nothing to do.

        Raises:
            StageFailed: its code failed, or what it left is incomplete.
            SystemExit: it was stopped (`STOPPED`; here submitit may requeue it first), or, on a cluster, another job
                has the stage (`TAKEN`).
        """
        store = Store(self.root, self.shipped)
        folder = store.own_folder(self.stage.id)
        folder.path.mkdir(parents=True, exist_ok=True)
        place = own_place()
        if place.rank > 0:
            return self._compute_along(store, folder, place)
        lock = FileLock(folder.lock_file)
        scheduler, job_id = _scheduler()
        token = uuid.uuid4().hex
        holder = {
            "token": token,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "session": _own_session(),
            "submission": self.submission,
            "runner": str(self.runner or ""),
            "job": job_id if scheduler == "slurm" else "",
            "restart": self.restart,
        }
        with Signals() as signals, lock:
            if not self._take(lock, holder, folder):
                call_meeting(self.root, self.submission, place, None)
                if scheduler == "slurm":  # what waits for this stage must not start now
                    print(f"another job is at work on it: {lock_holder(lock.path)}", file=sys.stderr, flush=True)
                    raise SystemExit(TAKEN)
                return "another job has this stage"
            if store.is_done(self.stage):
                call_meeting(self.root, self.submission, place, None)
                return "done already"
            call_meeting(self.root, self.submission, place, token)
            attempt = open_attempt(folder, scheduler, job_id, self.submission, self.gpus, self.restart)
            watched = self.is_stale is not None
            work = Work(self.stage, self.kinds, store, folder, attempt, signals, lock, self.why_stopped, watched)
            outcome = work.run()
        if outcome == "interrupted":
            if scheduler != "slurm":
                signals.pass_on_preemption()  # submitit requeues the job and exits
            raise SystemExit(STOPPED)
        if outcome == "failed":
            raise StageFailed(f"{self.stage.id}: see {folder.status_file}")
        return "done"

    def _take(self, lock: FileLock, holder: Mapping[str, Any], folder: StageFolder) -> bool:
        """Take the stage's lock, and note how an earlier start of this job ended that couldn't do so itself."""
        owners, seized = {self.submission}, False
        if not lock.acquire(**holder):
            stale = lock_holder(lock.path)
            if self.is_stale is None or not self.is_stale(stale):
                return False
            lock.seize(**holder)
            owners.add(stale.get("submission", ""))
            seized = True
        latest = list_attempts(folder)[-1:] if self.earlier_start and (self.restart or seized) else []
        for each in latest:
            if self.earlier_start and each["submission"] in owners and each["exit"] in ("running", "lost"):
                settle_lost(folder, *self.earlier_start(seized))
        return True

    def _compute_along(self, store: Store, folder: StageFolder, place: Place) -> str:
        """Run the stage's code beside the first process, which alone writes the record."""
        with Signals() as signals:
            if not join_meeting(self.root, self.submission, place, folder):
                return "nothing to do"
            checkpoints = {"checkpoints": folder.wanted_checkpoints(self.stage)}
            context = stage_context(self.stage, store, folder, checkpoints, rank=place.rank)
            signals.watch(context)
            try:
                stage_function(self.stage.kind, self.kinds)(context)
            except StopRequested:
                return "stopped"
        return "done"

    def checkpoint(self) -> "DelayedSubmission":
        """What submitit is to run after a preemption or time-out: the same again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _own_session() -> int | None:
    """On this machine a job leads a session, so that all its processes can be signalled; elsewhere None."""
    if os.environ.get("SUBMITIT_EXECUTOR") != "local":
        return None
    if os.getsid(0) != os.getpid():
        os.setsid()
    return os.getpid()


def _scheduler() -> tuple[str, str]:
    """Name of the scheduler and id of this job there."""
    executor = os.environ.get("SUBMITIT_EXECUTOR")
    if executor is None:
        return "none", str(os.getpid())
    if executor == "slurm":
        return "slurm", f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    from submitit import JobEnvironment

    environment = JobEnvironment()
    return environment.cluster, environment.job_id
