"""What a run shows: a live view on a terminal, else one line per event, and every event in a log file."""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.launch.progress import Event, LocalRun, Phase, Watcher
from harness.record.states import stage_labels
from harness.record.status import Status

_SIGNS = {
    "done": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "blocked": ("■", "yellow"),
    "lost": ("↻", "yellow"),
    "stopped": ("‖", "yellow"),
    "started": ("▸", "cyan"),
    "adopted": ("▸", "cyan"),
    "note": ("·", "bold"),
}
_LIVE_LINES = ("done", "failed", "blocked", "lost", "stopped", "adopted", "note")
"""Events that leave a line above the live view; what is started shows in the view itself."""

_PHASES: dict[Phase, str] = {
    "done": "green",
    "running": "cyan",
    "waiting": "",
    "failed": "bold red",
    "blocked": "yellow",
    "left out": "dim",
}

_NUMBERS = ("reward", "accuracy", "loss")
"""Reported numbers that are shown first, then the others as there is room."""


@dataclass
class _Pace:
    """Where a stage was when it was first seen, to tell how fast it goes."""

    attempt: int
    step: int
    time: float


class Display(Watcher):
    """Shows a run of `harness.launch.local.run_local`; use it as a context manager."""

    def __init__(self, console: Console, log: Path, refresh: float = 0.25) -> None:
        """
        Args:
            console: where to show it. Live when it is a terminal.
            log: file that gets a line for every event, appended to.
            refresh: seconds between looks at the status files.
        """
        self.console = console
        self.log = log
        self.refresh = refresh
        self._live: Live | None = None
        self._labels: dict[str, str] = {}
        self._statuses: dict[str, Status] = {}
        self._paces: dict[str, _Pace] = {}
        self._looked = 0.0
        self._began = time.time()

    def __enter__(self) -> "Display":
        if self.console.is_terminal:
            # At the end the view goes away: the lines above it stay, and the caller has the last word.
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def event(self, run: LocalRun, event: Event) -> None:
        """Write a line to the log, and to the console where it belongs."""
        self._know(run)
        if event.what == "found done":
            return
        if event.what in ("started", "adopted"):
            self._statuses.pop(event.stage, None)
        line = self._line(run, event)
        self._write_log(f"{event.what} {line.plain}")
        if self._live is None:
            stamp = datetime.now().strftime("%H:%M:%S ")
            print(f"{stamp}{event.what} {line.plain}", file=self.console.file, flush=True)
        elif event.what in _LIVE_LINES:
            sign, style = _SIGNS[event.what]
            what = "" if event.what in ("done", "note") else f"{event.what} "
            self._live.console.print(Text(f"{sign} {what}", style), line, sep="", highlight=False)

    def tick(self, run: LocalRun) -> None:
        """Redraw the live view."""
        now = time.monotonic()
        if self._live is None or now - self._looked < self.refresh:
            return
        self._looked = now
        self._look(run)
        self._live.update(self.view(run), refresh=True)

    def view(self, run: LocalRun) -> RenderableType:
        """The live view: a line of counts, and a line with a bar for each running stage."""
        self._know(run)
        counts = Counter(run.phases.values())
        head = Text.assemble((run.plan.study.study, "bold"), "  ")
        for phase, style in _PHASES.items():
            if counts[phase] or phase in ("done", "running", "waiting"):
                head.append(f"{counts[phase]} {phase}  ", style)
        head.append(f"{clock(time.time() - self._began)} elapsed", "dim")
        return Group(Text(), head, self._bars(run))

    def _bars(self, run: LocalRun) -> Table:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
        grid.add_column(width=16)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(justify="right", no_wrap=True, style="dim")
        grid.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
        grid.expand = True
        now = time.time()
        for stage_id, phase in run.phases.items():
            if phase != "running":
                continue
            status = self._statuses.get(stage_id)
            if status is None or not status.total:
                bar = ProgressBar(total=None, width=16, animation_time=now, pulse_style="cyan")
                since = clock(now - status.started) if status else ""
                grid.add_row(self._labels[stage_id], bar, "starting", since, "")
                continue
            bar = ProgressBar(total=status.total, completed=status.step, width=16, complete_style="cyan")
            times = f"{clock(now - status.started)}, {self._remaining(stage_id, status)} left"
            grid.add_row(
                self._labels[stage_id], bar, f"{status.step}/{status.total}", times, numbers_text(status.numbers)
            )
        return grid

    def _look(self, run: LocalRun) -> None:
        for stage_id, phase in run.phases.items():
            if phase != "running":
                continue
            status = run.store.own_folder(stage_id).status()
            if status is None or status.state != "running":
                continue
            pace = self._paces.get(stage_id)
            if pace is None or pace.attempt != status.attempt or status.step < pace.step or not pace.step:
                # Step 0 is no beginning: what comes before the first step is mostly imports.
                self._paces[stage_id] = _Pace(status.attempt, status.step, status.updated)
            self._statuses[stage_id] = status

    def _remaining(self, stage_id: str, status: Status) -> str:
        """Time left at the pace since the first step that was seen."""
        pace = self._paces.get(stage_id)
        if pace is None or status.step <= pace.step:
            return "?"
        seconds = (status.updated - pace.time) / (status.step - pace.step) * (status.total - status.step)
        return clock(max(0.0, seconds - (time.time() - status.updated)))

    def _line(self, run: LocalRun, event: Event) -> Text:
        """Which stage, how it went and why."""
        line = Text(self._labels.get(event.stage, ""))
        if event.what == "done":
            line.append(self._outcome(run, event.stage), "dim")
        if event.text:
            style = "bold red" if event.what == "failed" else ""
            line.append(f": {event.text}" if event.stage else event.text, style)
        if event.stage:
            line.append(f"  [{event.stage}]", "dim")
        return line

    def _outcome(self, run: LocalRun, stage_id: str) -> str:
        folder = run.store.folder(stage_id)
        seconds, status = (folder.done_record() or {}).get("seconds"), folder.status()
        numbers = numbers_text(status.numbers) if status else ""
        return "".join(f"  {part}" for part in (clock(seconds) if seconds else "", numbers) if part)

    def _write_log(self, line: str) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now().astimezone().isoformat(timespec="seconds")
        with self.log.open("a") as file:
            file.write(f"{stamp} {line}\n")

    def _know(self, run: LocalRun) -> None:
        if not self._labels:
            self._labels = stage_labels(run.plan)


def clock(seconds: float) -> str:
    """``0:07``, ``12:30`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def numbers_text(numbers: dict[str, float | None], most: int = 4) -> str:
    """``reward 1.42 loss 0.031``: the important ones first, at most so many."""
    order = [name for name in _NUMBERS if name in numbers] + [name for name in numbers if name not in _NUMBERS]
    texts = (f"{name} {'nan' if numbers[name] is None else f'{numbers[name]:.3g}'}" for name in order[:most])
    return "  ".join(texts)
