"""Attempts: one folder for each time that a stage was started, kept whatever became of it."""

import resource
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from harness.record.atomic import read_json, write_json, write_text
from harness.record.folders import StageFolder
from harness.record.provenance import provenance

ExitCause = Literal[
    "completed",
    "failed",
    "timed out",
    "preempted",
    "out of memory",
    "node failed",
    "cancelled",
    "interrupted",
    "killed",
    "lost",
    "running",
]
"""How an attempt ended. ``interrupted``: told to stop on this machine; ``killed``: by a signal from outside; ``lost``:
without a word, and nobody knows how."""
EXIT_CAUSES: tuple[ExitCause, ...] = get_args(ExitCause)


def _now() -> str:
    return _utc(time.time())


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _cpu_seconds() -> float:
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@dataclass
class Attempt:
    """An attempt under way, written by the job that holds the stage's lock."""

    path: Path
    record: dict[str, Any]
    began: float = field(default_factory=time.time)
    _clock: float = field(default_factory=time.monotonic)
    _cpu: float = field(default_factory=_cpu_seconds)

    @property
    def number(self) -> int:
        return self.record["attempt"]

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    def seconds(self) -> float:
        return round(time.monotonic() - self._clock, 3)

    def close(self, exit_cause: ExitCause, reason: str = "", traceback: str = "") -> None:
        """Note the end.

        Args:
            reason: one line.
            traceback: goes to ``traceback.txt``.
        """
        if traceback:
            write_text(self.path / "traceback.txt", traceback)
        cpu = round(_cpu_seconds() - self._cpu, 3)
        end = {
            "end": _now(),
            "exit": exit_cause,
            "seconds": self.seconds(),
            "cpu_seconds": cpu,
            "gpu_seconds": round(self.seconds() * self.record["gpus"], 3),
            "reason": reason,
        }
        self.record |= end
        write_json(self.path / "attempt.json", self.record)


def open_attempt(
    folder: StageFolder, scheduler: str, scheduler_id: str, submission: str, gpus: int = 0, restart: int = 0
) -> Attempt:
    """Begin the next attempt; the caller holds the lock. Earlier ones without an end are noted as lost.

    Args:
        gpus: GPUs that it has to itself.
        restart: how often the scheduler started the same job before.
    """
    settle_lost(folder, "lost")
    earlier = _paths(folder)
    number = int(earlier[-1].name) + 1 if earlier else 1
    record = {
        "attempt": number,
        "scheduler": scheduler,
        "scheduler_id": scheduler_id,
        "submission": submission,
        "restart": restart,
        "gpus": gpus,
        "start": _now(),
        "end": None,
        "exit": "running",
        "seconds": None,
        "cpu_seconds": None,
        "gpu_seconds": None,
        "reason": "",
        **provenance(),
    }
    attempt = Attempt(folder.path / "attempts" / f"{number:04d}", record)
    write_json(attempt.path / "attempt.json", record)
    return attempt


def settle_lost(folder: StageFolder, cause: ExitCause, reason: str = "") -> bool:
    """Note how the latest attempt ended, if it couldn't do so itself; the caller holds the lock.

    Its time is counted up to its last sign of life. One that was noted as ``lost`` can still get a better cause.

    Returns:
        Whether the latest attempt was such a one.
    """
    settled = False
    paths = _paths(folder)
    for path in paths:
        record = read_json(path / "attempt.json") or {"exit": ""}
        settled = record["exit"] == "running" or (record["exit"] == "lost" and cause != "lost" and path == paths[-1])
        if settled:
            end = {"exit": cause, "reason": reason} if path == paths[-1] else {"exit": "lost"}
            write_json(path / "attempt.json", record | _last_sign(folder, record) | end)
    return settled


def _last_sign(folder: StageFolder, record: dict[str, Any]) -> dict[str, Any]:
    """End and times of an attempt by what its job wrote last."""
    status = folder.status()
    if status is None or status.attempt != record["attempt"] or not status.started:
        return {}
    seconds = round(status.updated - status.started, 3)
    return {"end": _utc(status.updated), "seconds": seconds, "gpu_seconds": round(seconds * record.get("gpus", 0), 3)}


def _paths(folder: StageFolder) -> list[Path]:
    return sorted((folder.path / "attempts").glob("[0-9]*"))


def list_attempts(folder: StageFolder) -> list[dict[str, Any]]:
    """Records of all attempts, first to last; one without an end and without a living job is ``lost``."""
    found = []
    for path in _paths(folder):
        record = read_json(path / "attempt.json")
        if record is not None:
            if record["exit"] == "running" and not folder.is_locked():
                record |= {**_last_sign(folder, record), "exit": "lost"}
            found.append(record)
    return found


def last_log(folder: StageFolder) -> Path | None:
    """Log of the latest attempt; None when the stage was never started."""
    logs = sorted((folder.path / "attempts").glob("[0-9]*/log.txt"))
    return logs[-1] if logs else None
