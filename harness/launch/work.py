"""One attempt at a stage, from clearing the folder to the manifest, by the process that holds the stage's lock."""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.launch.kinds import stage_function
from harness.record.atomic import guarded
from harness.record.attempts import Attempt, ExitCause
from harness.record.context import StageContext, StopRequested
from harness.record.folders import StageFolder, Store
from harness.record.lock import FileLock
from harness.record.provenance import versions
from harness.record.status import State, Status, write_status
from harness.study.stage import Stage

LOG_EVERY_S = 10.0
"""Seconds between two lines of progress in a job's log."""

FENCED = 76
"""Exit code of an attempt whose lock another one has seized."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)

WhyStopped = Callable[[list[int]], tuple[ExitCause, str]]
"""From the signals received to the cause and the reason, in one line."""


def interrupted(received: list[int]) -> tuple[ExitCause, str]:
    """Cause and reason of a stop on this machine."""
    return "interrupted", f"stopped by {signal_names(received)}" if received else "stopped"


def signal_names(received: list[int]) -> str:
    return ", ".join(sorted({signal.Signals(number).name for number in received}))


class Signals:
    """Notes the signals that ask to stop; gives the old handlers back at the end."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.context: StageContext | None = None
        self._old: dict[int, Any] = {}

    def _note(self, number: int, frame: Any) -> None:
        self.received.append(number)
        if self.context is not None:
            self.context.stop_requested = True

    def __enter__(self) -> "Signals":
        for number in STOP_SIGNALS:
            self._old[number] = signal.signal(number, self._note)
        # The local runner blocks these while it starts the job, so that a Ctrl-C can't hit it half-started.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def watch(self, context: StageContext) -> None:
        """Tell a stage's code of signals from now on, and of those that came before."""
        self.context = context
        context.stop_requested = bool(self.received)

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
class Work:
    """An attempt under way."""

    stage: Stage
    kinds: Mapping[str, str]
    store: Store
    folder: StageFolder
    attempt: Attempt
    signals: Signals
    lock: FileLock
    why_stopped: WhyStopped = interrupted
    watch_lock: bool = False
    """Look every second whether another attempt has seized the lock, as one does whose scheduler holds this one for
    dead."""
    _last: dict[str, Any] = field(default_factory=dict)
    _logged: float = 0.0
    _over: bool = False

    def run(self) -> State:
        with guarded(self._fence), output_to(self.attempt.log):
            if self.watch_lock:
                threading.Thread(target=self._watch, daemon=True).start()
            try:
                return self._run()
            finally:
                self._over = True

    def _run(self) -> State:
        stage = self.stage
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
            )
            self.signals.watch(context)
            context.progress(0, 0)
            stage_function(stage.kind, self.kinds)(context)
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
        cause, reason = self.why_stopped(self.signals.received) if stopped else ("failed", one_line(error))
        if not isinstance(error, StopRequested):
            print(text, file=sys.stderr, flush=True)
        state: State = "interrupted" if stopped else "failed"
        self._log(f"{cause}: {reason}")
        self.attempt.close(cause, reason, "" if isinstance(error, StopRequested) else text)
        self._status(state, reason)
        return state

    def _fence(self) -> None:
        """Leave at once, and write nothing more, when another attempt has seized the lock."""
        if not self.lock.is_mine():
            os.write(2, b"another attempt has taken this stage over; this one ends here\n")
            os._exit(FENCED)

    def _watch(self) -> None:
        while not self._over:
            self._fence()
            time.sleep(1.0)

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


@contextmanager
def output_to(path: Path) -> Iterator[None]:
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
