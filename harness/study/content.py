"""Identity of files by what is in them, never by where they lie."""

import hashlib
import json
import os
from pathlib import Path

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ablate" / "digests.json"


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content in hexadecimal.

    Files of gigabytes take seconds, so digests are kept by path, size, inode and time of last change, in a file in the
    user's cache folder (``$XDG_CACHE_HOME/ablate``).

    Raises:
        OSError: the file can't be read.
    """
    path = path.resolve()
    stat = path.stat()
    key = f"{path}:{stat.st_size}:{stat.st_ino}:{stat.st_mtime_ns}"
    known = _read_cache()
    if key not in known:
        with path.open("rb") as file:
            known[key] = hashlib.file_digest(file, "sha256").hexdigest()
        _write_cache(known)
    return known[key]


def folder_digest(path: Path) -> str:
    """SHA-256 over the names and digests of all files in a folder and below, hidden ones left out.

    Raises:
        OSError: there is no such folder, or a file can't be read.
        ValueError: the folder holds no files.
    """
    names = sorted(
        file.relative_to(path).as_posix()
        for file in path.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not names:
        if not path.is_dir():
            raise NotADirectoryError(f"there is no folder {path}")
        raise ValueError(f"the folder {path} is empty")
    lines = [f"{name}\0{file_digest(path / name)}" for name in names]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _read_cache() -> dict[str, str]:
    try:
        found = json.loads(_CACHE.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_cache(known: dict[str, str]) -> None:
    try:
        _CACHE.parent.mkdir(parents=True, exist_ok=True)
        temporary = _CACHE.with_name(f"{_CACHE.name}.{os.getpid()}")
        temporary.write_text(json.dumps(known))
        temporary.replace(_CACHE)
    except OSError:
        pass  # a cache that can't be kept is no error
