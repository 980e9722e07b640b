"""The callable of every job: one attempt at one stage, under the stage's lock.

It is pickled by submitit and unpickled in a fresh process, so it imports little: a signal that comes before
the handlers are in place would kill the job without a word.
"""

import os
import signal
import socket
import sys
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.launch.kinds import stage_function
from harness.launch.ranks import Place, call_meeting, join_meeting, own_place
from harness.record.attempts import Attempt, open_attempt
from harness.record.context import StageContext, StopRequested
from harness.record.folders import StageFolder, Store
from harness.record.lock import FileLock
from harness.record.provenance import versions
from harness.record.status import State, Status, write_status
from harness.study.stage import Stage

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

LOG_EVERY_S = 10.0
"""Seconds between two lines of progress in a job's log."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


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

    def __call__(self) -> str:
        """Run the stage and write its folder. Returns ``done`` or why there was nothing to do.

        Raises:
            StageFailed: its code failed, or what it left is incomplete.
            SystemExit: it was stopped; submitit's requeue may be among the causes.
        """
        store = Store(self.root, self.shipped)
        folder = store.own_folder(self.stage.id)
        folder.path.mkdir(parents=True, exist_ok=True)
        place = own_place()
        if place.rank > 0:
            return self._compute_along(store, folder, place)
        lock = FileLock(folder.lock_file)
        token = uuid.uuid4().hex
        holder = {
            "token": token,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "session": _own_session(),
            "submission": self.submission,
            "runner": str(self.runner or ""),
        }
        with _Signals() as signals, lock:
            if not lock.acquire(**holder):
                call_meeting(self.root, self.submission, place, None)
                return "another job has this stage"
            if store.is_done(self.stage):
                call_meeting(self.root, self.submission, place, None)
                return "done already"
            call_meeting(self.root, self.submission, place, token)
            attempt = open_attempt(folder, *_scheduler(), self.submission)
            with _output_to(attempt.log):
                outcome = _Attempt(self, store, folder, attempt, signals).run()
        if outcome == "interrupted":
            signals.pass_on_preemption()  # submitit requeues the job and exits
            raise SystemExit(1)
        if outcome == "failed":
            raise StageFailed(f"{self.stage.id}: see {folder.status_file}")
        return "done"

    def _compute_along(self, store: Store, folder: StageFolder, place: Place) -> str:
        """Run the stage's code beside the first process, which alone writes the record."""
        with _Signals() as signals:
            if not join_meeting(self.root, self.submission, place, folder):
                return "nothing to do"
            checkpoints = {"checkpoints": folder.wanted_checkpoints(self.stage)}
            context = stage_context(self.stage, store, folder, checkpoints, rank=place.rank)
            signals.context = context
            try:
                stage_function(self.stage.kind, self.kinds)(context)
            except StopRequested:
                return "stopped"
        return "done"

    def checkpoint(self) -> "DelayedSubmission":
        """What submitit is to run after a preemption or time-out: the same again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class _Signals:
    """Notes the signals that ask to stop; gives the old handlers back at the end."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.context: StageContext | None = None
        self._old: dict[int, Any] = {}

    def _note(self, number: int, frame: Any) -> None:
        self.received.append(number)
        if self.context is not None:
            self.context.stop_requested = True

    def __enter__(self) -> "_Signals":
        for number in STOP_SIGNALS:
            self._old[number] = signal.signal(number, self._note)
        # The local runner blocks these while it starts the job, so that a Ctrl-C can't hit it half-started.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def pass_on_preemption(self) -> None:
        handler = self._old.get(signal.SIGUSR2)
        if signal.SIGUSR2 in self.received and callable(handler):
            handler(signal.SIGUSR2, None)


def stage_context(
    stage: Stage, store: Store, folder: StageFolder, cosmetic: Mapping[str, Any], **more: Any
) -> StageContext:
    """What a stage's code gets, its inputs looked up.

    Raises:
        FileNotFoundError: an input is not whole.
    """
    inputs = {role: store.folder(needed) for role, needed in stage.inputs.items()}
    for role, each in inputs.items():
        if not each.is_whole():
            raise FileNotFoundError(f"input {role} ({each.path}) is not whole; run its stage first")
    return StageContext(
        folder=folder.path,
        settings=stage.settings,
        cosmetic={**stage.cosmetic, **cosmetic},
        inputs={role: each.path for role, each in inputs.items()},
        **more,
    )


@dataclass
class _Attempt:
    """One attempt, from clearing the folder to the manifest."""

    job: StageJob
    store: Store
    folder: StageFolder
    attempt: Attempt
    signals: _Signals
    _last: dict[str, Any] = field(default_factory=dict)
    _logged: float = 0.0

    def run(self) -> State:
        stage = self.job.stage
        self._status("running")
        self._log(f"{stage.id}: attempt {self.attempt.number}")
        try:
            wanted = self.folder.write_stage(stage)
            self.folder.clear_outputs()
            context = stage_context(
                stage,
                self.store,
                self.folder,
                {"checkpoints": wanted} if wanted else {},
                report=self._report,
                stop_requested=bool(self.signals.received),
            )
            self.signals.context = context
            context.progress(0, 0)
            stage_function(stage.kind, self.job.kinds)(context)
            if context.stop_requested:
                # a trainer that was told to stop may return as if all were well
                raise StopRequested
            self.folder.drop_unfinished()
            self.folder.write_done(
                wanted, seconds=self.attempt.seconds(), attempt=self.attempt.number, versions=versions()
            )
        except BaseException as error:
            return self._ended_early(error)
        self.attempt.close("completed")
        self._status("done")
        self._log(f"done in {self.attempt.seconds():.0f} s")
        return "done"

    def _ended_early(self, error: BaseException) -> State:
        stopped = isinstance(error, StopRequested) or bool(self.signals.received)
        text = traceback.format_exc()
        reason = _stop_reason(self.signals.received) if stopped else one_line(error)
        if not isinstance(error, StopRequested):
            print(text, file=sys.stderr, flush=True)
        state: State = "interrupted" if stopped else "failed"
        self._log(f"{state}: {reason}")
        self.attempt.close(state, reason, "" if isinstance(error, StopRequested) else text)
        self._status(state, reason)
        return state

    def _report(self, step: int, total: int, numbers: dict[str, float]) -> None:
        self._last = {"step": step, "total": total, "numbers": dict(numbers)}
        self._status("running", sync=False)
        now = time.monotonic()
        if total and (now - self._logged >= LOG_EVERY_S or step >= total):
            self._logged = now
            self._log(" ".join([f"step {step}/{total}", *(f"{name} {value:.4g}" for name, value in numbers.items())]))

    def _log(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def _status(self, state: State, reason: str = "", sync: bool = True) -> None:
        status = Status(
            state,
            self.attempt.number,
            reason=reason,
            started=self.attempt.began,
            updated=time.time(),
            **self._last,
        )
        write_status(self.folder.status_file, status, sync)


def one_line(error: BaseException) -> str:
    """Type and message of an error in one line of at most 300 characters."""
    message = " ".join(str(error).split())
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."


def _stop_reason(received: list[int]) -> str:
    names = sorted({signal.Signals(number).name for number in received})
    return "stopped by " + ", ".join(names) if names else "stopped"


def _own_session() -> int | None:
    """On this machine a job leads a session, so that all its processes can be signalled; elsewhere None."""
    if os.environ.get("SUBMITIT_EXECUTOR") != "local":
        return None
    if os.getsid(0) != os.getpid():
        os.setsid()
    return os.getpid()


def _scheduler() -> tuple[str, str]:
    """Name of the scheduler and id of this job there."""
    if "SUBMITIT_EXECUTOR" not in os.environ:
        return "none", str(os.getpid())
    from submitit import JobEnvironment

    environment = JobEnvironment()
    return environment.cluster, environment.job_id


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send standard output and error, those of child processes too, to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for old, number in zip(kept, (1, 2), strict=True):
            os.dup2(old, number)
            os.close(old)
        os.close(log)
