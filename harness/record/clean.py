"""Freeing disk: checkpoints that no stage still to do needs, and what attempts left behind."""

import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.record.atomic import TEMPORARY_SUFFIX, write_json
from harness.record.folders import UNFINISHED, StageFolder, Store
from harness.record.lock import FileLock
from harness.record.outputs import checkpoint_folder
from harness.record.states import needed_checkpoints
from harness.study.stage import TRAINING_KINDS

if TYPE_CHECKING:
    from harness.study.expand import Plan

Keep = Literal["all", "last", "none"]


@dataclass(frozen=True)
class Cleanable:
    """A file or folder that can go."""

    stage: str
    """Stage id."""
    path: Path
    bytes: int
    step: int | None = None
    """Of a checkpoint; None for a leftover."""


def cleanable(plan: "Plan", store: Store, keep: Keep) -> list[Cleanable]:
    """What can be freed in the folders of a plan's stages.

    Checkpoints of trainings that are done, but those that ``keep`` asks for and those that a stage of the plan still
    to do reads; what a finished stage had kept to go on from; temporary files of attempts that were killed. Never
    anything of a stage at work, nor of a shipped one. Other studies' needs are not known here.
    """
    needed = needed_checkpoints(plan.stages, store)
    found: list[Cleanable] = []
    for stage_id, stage in plan.stages.items():
        folder = store.own_folder(stage_id)
        if not folder.path.is_dir() or folder.is_locked():
            continue
        done = folder.is_whole()
        if done and stage.kind in TRAINING_KINDS and keep != "all":
            found += _checkpoints(stage_id, folder, keep, needed[stage_id])
        found += [Cleanable(stage_id, path, _size(path)) for path in _leftovers(folder, done)]
    return found


def clean(found: Iterable[Cleanable], store: Store) -> list[Cleanable]:
    """Delete what `cleanable` found, each stage under its lock; what a job has taken meanwhile is left alone.

    The manifest forgets a checkpoint before it goes, and notes it as cleaned, so that its stage stays done.

    Returns:
        What was deleted.
    """
    by_stage: dict[str, list[Cleanable]] = {}
    for each in found:
        by_stage.setdefault(each.stage, []).append(each)
    gone: list[Cleanable] = []
    for stage_id, things in by_stage.items():
        folder = store.own_folder(stage_id)
        with FileLock(folder.lock_file) as lock:
            if not lock.acquire(pid=os.getpid(), host=socket.gethostname()):
                continue
            _forget(folder, {each.step for each in things if each.step is not None})
            for each in things:
                if each.path.is_dir():
                    shutil.rmtree(each.path)
                else:
                    each.path.unlink(missing_ok=True)
                gone.append(each)
    return gone


def _checkpoints(stage_id: str, folder: StageFolder, keep: Keep, needed: set[int]) -> Iterator[Cleanable]:
    there = folder.checkpoints()
    kept = needed | (set(there[-1:]) if keep == "last" else set())
    for step in there:
        if step not in kept:
            path = checkpoint_folder(folder.path, step)
            yield Cleanable(stage_id, path, _size(path), step)


def _leftovers(folder: StageFolder, done: bool) -> Iterator[Path]:
    unfinished = [folder.path / name for name in UNFINISHED]
    if done:
        yield from (path for path in unfinished if path.exists())
    for path in sorted(folder.path.rglob(f"*{TEMPORARY_SUFFIX}")):
        if not (done and any(path.is_relative_to(each) for each in unfinished)):
            yield path


def _forget(folder: StageFolder, steps: set[int]) -> None:
    """Take checkpoints out of the manifest."""
    record = folder.done_record()
    if record is None or not steps:
        return
    gone = tuple(checkpoint_folder(Path(), step).as_posix() + "/" for step in steps)
    write_json(
        folder.path / "done.json",
        record
        | {
            "files": {name: entry for name, entry in record["files"].items() if not name.startswith(gone)},
            "checkpoints": sorted(set(record["checkpoints"]) - steps),
            "cleaned": sorted({*record.get("cleaned", []), *steps}),
        },
    )


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(each.lstat().st_size for each in files if not each.is_dir())
