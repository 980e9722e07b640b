"""The store: one folder per stage, done when its manifest agrees with what is there.

Layout of ``<store>/<stage id>/``: ``stage.json`` (what was asked), ``status.json`` (latest attempt),
``attempts/``, ``lock`` (held by the job at work), the outputs, and ``done.json``: size and hash of every output.
``done.json`` is written last and deleted first, so a folder that has one was whole when it got it.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.record.atomic import TEMPORARY_SUFFIX, read_json, sync_path, write_json
from harness.record.lock import is_locked
from harness.record.outputs import PARTIAL, RESUME, RESUME_POINTER
from harness.record.status import Status, read_status
from harness.study.stage import HASH_VERSION, REVISIONS, Stage

RECORD_FILES = ("stage.json", "status.json", "done.json", "attempts", "lock")
"""Names in a stage's folder that are no outputs."""

UNFINISHED = (RESUME, PARTIAL)
"""Folders with what an attempt that was cut off left for the next one to go on from; no outputs."""

NEEDED = "needed"
"""Among a stage's cosmetic settings: steps of checkpoints that stages still to do read. Never written to a folder."""

_CHECKPOINT = re.compile(r"step-(\d+)$")


@dataclass(frozen=True)
class StageFolder:
    """The folder of one stage."""

    path: Path
    shipped: bool = False
    """It came with the harness: only read, never written."""

    @property
    def lock_file(self) -> Path:
        return self.path / "lock"

    @property
    def status_file(self) -> Path:
        return self.path / "status.json"

    def status(self) -> Status | None:
        """What the latest attempt wrote last."""
        return read_status(self.status_file)

    def is_locked(self) -> bool:
        """A job is at work here."""
        return is_locked(self.lock_file)

    def stage_record(self) -> dict[str, Any]:
        """Content of ``stage.json``; empty when there is none."""
        return read_json(self.path / "stage.json") or {}

    def done_record(self) -> dict[str, Any] | None:
        """Content of ``done.json``: ``files``, ``checkpoints``, ``cleaned``, ``seconds``, ``attempt``, ``versions``."""
        record = read_json(self.path / "done.json")
        return record if isinstance(record, dict) and "files" in record else None

    def is_whole(self) -> bool:
        """There is a manifest and every file in it is there with its size."""
        return self._has_all(self.done_record())

    def _has_all(self, record: dict[str, Any] | None) -> bool:
        if record is None:
            return False
        for name, entry in record["files"].items():
            try:
                if (self.path / name).stat().st_size != entry["size"]:
                    return False
            except OSError:
                return False
        return True

    def is_done(self, stage: Stage) -> bool:
        """The outputs are whole and hold every checkpoint that ``stage`` asks for.

        A checkpoint that was cleaned away counts as there, unless a stage that is not done needs it again (see
        `harness.record.states.with_needs`).
        """
        record = self.done_record()
        if record is None:
            return False
        cleaned = set(record.get("cleaned", [])) - set(stage.cosmetic.get(NEEDED, []))
        there = cleaned.union(record.get("checkpoints", []))
        return there.issuperset(stage.cosmetic.get("checkpoints", [])) and self._has_all(record)

    def checkpoints(self) -> list[int]:
        """Steps of the checkpoints that lie in the folder, whole or not."""
        names = (path.name for path in (self.path / "checkpoints").glob("step-*"))
        return sorted(int(match[1]) for name in names if (match := _CHECKPOINT.match(name)))

    def outputs(self) -> list[str]:
        """Output files relative to the folder, sorted."""
        found = []
        for top in self.path.iterdir():
            if top.name in (*RECORD_FILES, *UNFINISHED):
                continue
            files = [top] if not top.is_dir() else [file for file in top.rglob("*") if not file.is_dir()]
            found += [file.relative_to(self.path).as_posix() for file in files]
        return sorted(name for name in found if not name.endswith(TEMPORARY_SUFFIX))

    def clear_outputs(self) -> None:
        """Delete the manifest, then all that earlier attempts left of outputs, unless it can be gone on from."""
        (self.path / "done.json").unlink(missing_ok=True)
        if (self.path / RESUME / RESUME_POINTER).exists():
            return
        for top in self.path.iterdir():
            if top.name not in (*RECORD_FILES, PARTIAL):
                shutil.rmtree(top) if top.is_dir() and not top.is_symlink() else top.unlink()

    def drop_unfinished(self) -> None:
        """Delete what was kept to go on from."""
        for name in UNFINISHED:
            shutil.rmtree(self.path / name, ignore_errors=True)

    def wanted_checkpoints(self, stage: Stage) -> list[int]:
        """Steps of the checkpoints to keep: those asked for now or ever before."""
        earlier = self.stage_record().get("cosmetic", {}).get("checkpoints", [])
        done = (self.done_record() or {}).get("checkpoints", [])
        return sorted({*earlier, *done, *stage.cosmetic.get("checkpoints", [])})

    def write_stage(self, stage: Stage) -> list[int]:
        """Write ``stage.json``. Returns `wanted_checkpoints`, the same before and after."""
        wanted = self.wanted_checkpoints(stage)
        cosmetic = dict(stage.cosmetic) | ({"checkpoints": wanted} if wanted else {})
        cosmetic.pop(NEEDED, None)
        record = {
            "id": stage.id,
            "kind": stage.kind,
            "settings": stage.settings,
            "inputs": stage.inputs,
            "cosmetic": cosmetic,
            "revision": REVISIONS[stage.kind],
            "hash_version": HASH_VERSION,
        }
        write_json(self.path / "stage.json", record)
        return wanted

    def write_done(self, wanted: Iterable[int] = (), **record: Any) -> None:
        """Write the manifest of all outputs, each synced first.

        Args:
            wanted: steps of checkpoints that must be there.
            record: more to note (``seconds``, ``attempt``, ``versions``).

        Raises:
            RuntimeError: there is no output, or a wanted checkpoint is not among them.
        """
        names = self.outputs()
        if not names:
            raise RuntimeError(f"{self.path.name} ended without any output")
        missing = sorted(set(wanted) - set(self.checkpoints()))
        if missing:
            raise RuntimeError(f"{self.path.name} ended without the checkpoints of steps {missing}")
        files = {}
        for name in names:
            path = self.path / name
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
            files[name] = {"size": path.stat().st_size, "sha256": digest}
        for folder in {(self.path / name).parent for name in names}:
            sync_path(folder)
        write_json(self.path / "done.json", {**record, "files": files, "checkpoints": self.checkpoints()})


class Store:
    """All stage folders: those computed under ``root`` and those shipped with the harness."""

    def __init__(self, root: Path | None = None, shipped: Iterable[Path] = ()) -> None:
        """
        Args:
            root: default ``$ABLATE_STORE``, or ``runs`` in the current folder.
            shipped: folders with ``stage.json``, ``done.json`` and outputs, taken as done under their own id.
        """
        self.root = Path(root or os.environ.get("ABLATE_STORE") or "runs").absolute()
        self.shipped: dict[str, Path] = {}
        for path in shipped:
            stage_id = (read_json(Path(path) / "stage.json") or {}).get("id")
            if stage_id:
                self.shipped[stage_id] = Path(path).absolute()

    def own_folder(self, stage_id: str) -> StageFolder:
        """Where the stage is computed, whether it is there or not."""
        return StageFolder(self.root / stage_id)

    def folder(self, stage_id: str) -> StageFolder:
        """Where the stage's outputs are read: the shipped folder unless there is a computed one."""
        own = self.own_folder(stage_id)
        if stage_id in self.shipped and own.done_record() is None:
            return StageFolder(self.shipped[stage_id], shipped=True)
        return own

    def is_done(self, stage: Stage) -> bool:
        """All that ``stage`` asks for is there and whole."""
        return self.folder(stage.id).is_done(stage)
