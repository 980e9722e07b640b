"""A copy of the code as it is when jobs are submitted: what they run, whatever becomes of the working tree."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from harness.record.atomic import write_json, write_text
from harness.record.provenance import CODE_RECORD, code_root, commit

_SKIPPED = {"__pycache__"}
_DIFF = ("diff", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
"""A patch that ``git apply`` takes, however the user's configuration shows changes."""


class DirtyTree(Exception):
    """The code differs from its commit, and that was not allowed; the message lists the files."""


@dataclass(frozen=True)
class Snapshot:
    """Code that jobs run."""

    path: Path
    """Folder with the package ``harness`` in it."""
    commit: str | None
    """``+dirty`` behind it when the code differs from it; None outside a repository."""
    digest: str


def take_snapshot(store_root: Path, allow_dirty: bool) -> Snapshot:
    """Copy the harness to ``<store>/.code/<digest>-<commit>/`` unless it is there, with a record of where it came from.

    Beside the package lie ``code.json`` (commit, digest, files that differ from the commit), ``changes.patch`` (how
    they differ) and ``environment.txt`` (every installed distribution with its version).

    Raises:
        DirtyTree: files of the harness differ from the commit, and that is not allowed.
    """
    root = code_root()
    changed = _changed(root)
    if changed and not allow_dirty:
        shown = ", ".join(changed[:8]) + (f" and {len(changed) - 8} more" if len(changed) > 8 else "")
        raise DirtyTree(
            f"the code differs from its commit: {shown}; commit it, or say --allow-dirty, which records the change"
        )
    digest = code_digest(root)
    known = commit()  # its mark is about the whole tree, and only this package is run
    head = None if known is None else known.removesuffix("+dirty") + ("+dirty" if changed else "")
    name = digest if head is None else f"{digest}-{head[:9]}{'-dirty' if changed else ''}"
    path = store_root / ".code" / name
    if not (path / CODE_RECORD).exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
        for file in _files(root):
            target = temporary / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / file, target)
        write_text(temporary / "changes.patch", _patch(root) if changed else "")
        write_text(temporary / "environment.txt", _environment())
        write_json(temporary / CODE_RECORD, {"commit": head, "digest": digest, "changed": changed})
        temporary.chmod(0o755)
        try:
            os.rename(temporary, path)
        except OSError:
            shutil.rmtree(temporary)
            if not (path / CODE_RECORD).exists():  # else somebody was faster
                raise
    return Snapshot(path, head, digest)


def code_digest(root: Path) -> str:
    """16 hex digits over every file of the package."""
    digest = hashlib.sha256()
    for file in _files(root):
        digest.update(file.as_posix().encode() + b"\0" + hashlib.sha256((root / file).read_bytes()).digest())
    return digest.hexdigest()[:16]


def _files(root: Path) -> Iterator[Path]:
    """Files of the package relative to the root, sorted."""
    found = (path for path in (root / "harness").rglob("*") if path.is_file() and not _SKIPPED & set(path.parts))
    yield from sorted(path.relative_to(root) for path in found)


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def _changed(root: Path) -> list[str]:
    """Files of the harness that differ from the commit, new ones too; empty outside a repository."""
    if commit() is None:
        return []
    lines = _git(root, "status", "--porcelain", "--untracked-files=all", "--", "harness").splitlines()
    return sorted(line[3:] for line in lines)


def _patch(root: Path) -> str:
    """How the harness differs from the commit, new files whole."""
    text = _git(root, *_DIFF, "HEAD", "--", "harness")
    for name in _git(root, "ls-files", "--others", "--exclude-standard", "--", "harness").splitlines():
        done = subprocess.run(
            ["git", "-C", str(root), *_DIFF, "--no-index", "--", os.devnull, name],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        text += done.stdout
    return text


def _environment() -> str:
    found = {f"{each.metadata['Name']}=={each.version}" for each in metadata.distributions() if each.metadata["Name"]}
    return "".join(f"{line}\n" for line in sorted(found, key=str.lower))
