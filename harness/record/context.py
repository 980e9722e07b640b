"""What a stage's code gets to work with: its settings, its inputs' folders, a way to report and to be stopped."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class StopRequested(BaseException):
    """The stage was asked to stop (SIGTERM, SIGUSR2, Ctrl-C). Not an error: the stage can be started again."""


@dataclass
class StageContext:
    """One attempt at a stage, as its code sees it."""

    folder: Path
    """Where the outputs go. It may hold ``resume/`` or ``partial/`` of an attempt that was cut off, to go on from."""
    settings: dict[str, Any]
    """Resolved settings, cosmetic ones left out."""
    cosmetic: dict[str, Any] = field(default_factory=dict)
    """``checkpoints``: steps after which a checkpoint is to be kept; ``resume_every``, ``path``, ``files``."""
    inputs: dict[str, Path] = field(default_factory=dict)
    """Folders of the finished input stages by role."""
    rank: int = 0
    """Of this process among those of the stage's job; only the first (0) writes outputs."""
    report: Callable[[int, int, dict[str, float]], None] = lambda step, total, numbers: None
    """Receives (step, total, numbers)."""
    stop_requested: bool = False
    """Set by the signal handler."""
    report_every: float = 0.5
    """Seconds between two reports at the least; the last step is always reported."""
    _last_report: float = 0.0

    def note(self, step: int, total: int, **numbers: float) -> None:
        """Report progress, now and then and at the end."""
        now = time.monotonic()
        if now - self._last_report >= self.report_every or step >= total:
            self._last_report = now
            self.report(step, total, numbers)

    def progress(self, step: int, total: int, **numbers: float) -> None:
        """Report progress and stop here if that was asked for.

        Raises:
            StopRequested: a stop was asked for since the last call.
        """
        self.note(step, total, **numbers)
        if self.stop_requested:
            raise StopRequested
