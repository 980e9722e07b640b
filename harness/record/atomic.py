"""Files that a reader never sees half of: written to a temporary name, synced, renamed."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

TEMPORARY_SUFFIX = ".tmp~"

_guards: list[Callable[[], None]] = []


@contextmanager
def guarded(check: Callable[[], None]) -> Iterator[None]:
    """Call ``check`` before any file of this process takes its place; what it raises keeps the file from it."""
    _guards.append(check)
    try:
        yield
    finally:
        _guards.remove(check)


@contextmanager
def replacing(path: Path, sync: bool = True) -> Iterator[Path]:
    """A temporary path to write to, which takes the place of ``path`` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}{TEMPORARY_SUFFIX}")
    try:
        yield temporary
        if sync:
            sync_path(temporary)
        for check in _guards:
            check()
        os.replace(temporary, path)
        if sync:
            sync_path(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_path(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes, sync: bool = True) -> None:
    """Write a file in one step; folders above it are made. Without ``sync`` a power cut may lose it whole."""
    with replacing(path, sync) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str, sync: bool = True) -> None:
    """Write a UTF-8 text file in one step."""
    write_bytes(path, text.encode(), sync)


def write_json(path: Path, data: Any, sync: bool = True) -> None:
    """Write JSON with sorted keys in one step: equal data give equal bytes.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, text.encode() + b"\n", sync)


def write_table(path: Path, table: "pa.Table", sync: bool = True) -> None:
    """Write a parquet file (zstd) in one step."""
    import pyarrow.parquet as pq  # slow to import, and the verbs that only look need it not

    with replacing(path, sync) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_json(path: Path) -> Any | None:
    """The data of a JSON file; None when there is no such file, or no JSON in it."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
