"""The status of a stage's latest attempt, as its job last wrote it."""

import math
import time
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Literal, get_args

from harness.record.atomic import read_json, write_json

State = Literal["done", "running", "queued", "failed", "blocked", "interrupted", "missing"]
"""State of a stage or run. ``queued``, ``blocked`` and ``missing`` are never written: the first is a scheduler's word,
the others follow from other stages."""

STATES: tuple[State, ...] = get_args(State)
FOLDER_STATES = tuple(state for state in STATES if state != "queued")
"""What the run folders alone can tell."""


@dataclass(frozen=True)
class Status:
    """Content of ``status.json``; times are seconds since 1970."""

    state: State
    attempt: int
    step: int = 0
    total: int = 0
    numbers: dict[str, float | None] = field(default_factory=dict)
    """Latest reported numbers; None for one that is not finite."""
    reason: str = ""
    started: float = 0.0
    updated: float = field(default_factory=time.time)


def status_after(before: Status | None, attempt: int, state: State, reason: str) -> Status:
    """The end of an attempt that couldn't tell it itself: with the steps that it made, and when it made them."""
    if before is None or before.attempt != attempt:
        return Status(state, attempt, reason=reason)
    return replace(before, state=state, reason=reason)


def write_status(path: Path, status: Status, sync: bool = True) -> None:
    """Replace a status file."""
    data = asdict(status)
    data["numbers"] = {
        name: float(value) if value is not None and math.isfinite(value) else None
        for name, value in status.numbers.items()
    }
    write_json(path, data, sync)


def read_status(path: Path) -> Status | None:
    """The status; None when there is none that can be read."""
    data = read_json(path)
    if not isinstance(data, dict) or data.get("state") not in STATES or "attempt" not in data:
        return None
    known = {each.name for each in fields(Status)}
    return Status(**{name: value for name, value in data.items() if name in known})
