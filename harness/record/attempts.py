"""Attempts: one folder for each time that a stage was started, kept whatever became of it."""

import resource
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.record.atomic import read_json, write_json, write_text
from harness.record.folders import StageFolder
from harness.record.provenance import provenance


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


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

    def close(self, exit_cause: str, reason: str = "", traceback: str = "") -> None:
        """Note the end.

        Args:
            exit_cause: completed, failed or interrupted.
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
            "reason": reason,
        }
        self.record |= end
        write_json(self.path / "attempt.json", self.record)


def open_attempt(folder: StageFolder, scheduler: str, scheduler_id: str, submission: str) -> Attempt:
    """Begin the next attempt; the caller holds the lock. Earlier ones without an end are noted as lost."""
    earlier = sorted((folder.path / "attempts").glob("[0-9]*"))
    for path in earlier:
        record = read_json(path / "attempt.json")
        if record and record["exit"] == "running":
            write_json(path / "attempt.json", record | {"exit": "lost"})
    number = int(earlier[-1].name) + 1 if earlier else 1
    record = {
        "attempt": number,
        "scheduler": scheduler,
        "scheduler_id": scheduler_id,
        "submission": submission,
        "start": _now(),
        "end": None,
        "exit": "running",
        "seconds": None,
        "cpu_seconds": None,
        "reason": "",
        **provenance(),
    }
    attempt = Attempt(folder.path / "attempts" / f"{number:04d}", record)
    write_json(attempt.path / "attempt.json", record)
    return attempt


def list_attempts(folder: StageFolder) -> list[dict[str, Any]]:
    """Records of all attempts, first to last; one without an end and without a living job is ``lost``."""
    found = []
    for path in sorted((folder.path / "attempts").glob("[0-9]*")):
        record = read_json(path / "attempt.json")
        if record is not None:
            if record["exit"] == "running" and not folder.is_locked():
                record["exit"] = "lost"
            found.append(record)
    return found


def last_log(folder: StageFolder) -> Path | None:
    """Log of the latest attempt; None when the stage was never started."""
    logs = sorted((folder.path / "attempts").glob("[0-9]*/log.txt"))
    return logs[-1] if logs else None
