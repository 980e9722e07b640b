"""Where a run of a plan on this machine stands: the runner writes it, the display reads it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from harness.launch.processes import JobProcess
from harness.record.folders import Store

if TYPE_CHECKING:
    from harness.study.expand import Plan

Phase = Literal["waiting", "running", "done", "failed", "blocked", "left out"]


@dataclass(frozen=True)
class Event:
    """Something that happened to a stage, for the display and the log."""

    what: Literal["found done", "adopted", "started", "done", "failed", "blocked", "lost", "stopped", "note"]
    stage: str
    """Stage id; empty for a note about the whole."""
    text: str = ""


@dataclass
class LocalRun:
    """Where a run of a plan stands; the display reads it, `run_local` writes it."""

    plan: "Plan"
    store: Store
    workers: int
    phases: dict[str, Phase] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, JobProcess] = field(default_factory=dict)
    """Jobs of this runner by stage id."""
    adopted: set[str] = field(default_factory=set)
    """Stages at work whose jobs another runner, maybe a killed one, started."""
    starts: Counter[str] = field(default_factory=Counter)
    """Jobs that this runner started, by stage id."""
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 all done, 1 something is not, 130 interrupted."""
        if self.interrupted:
            return 130
        return int(any(phase not in ("done", "left out") for phase in self.phases.values()))


class Watcher:
    """What `run_local` tells its caller; this one listens to nothing."""

    def event(self, run: LocalRun, event: Event) -> None:
        """Something happened."""

    def tick(self, run: LocalRun) -> None:
        """Called about ten times a second."""
