"""Who is at work in a folder: a file lock that the system drops when its holder dies, however it dies."""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any


class FileLock:
    """An exclusive ``flock``. Other processes see it as long as this object lives and is not released.

    Lock files are never deleted. They can be replaced by `seize`: whoever held the old file then holds nothing any
    more, and learns so from `is_mine`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, patience: float = 1.0, **holder: Any) -> bool:
        """Take the lock and note ``holder`` in the file; False when somebody else has it.

        Keeps trying for ``patience`` seconds, because whoever asks `is_locked` holds it for an instant.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + patience
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.02)
                continue
            if self._is_at_path(descriptor):
                break
            os.close(descriptor)  # somebody seized the lock between the two calls
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        os.fsync(descriptor)  # other nodes read it while it is open
        self._descriptor = descriptor
        return True

    def seize(self, **holder: Any) -> None:
        """Take the lock from a holder that is known to have no right to it any more, by putting another file in place
        of the one that it holds. Only one process may do so at a time."""
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        os.fsync(descriptor)
        os.replace(temporary, self.path)
        self._descriptor = descriptor

    @property
    def descriptor(self) -> int:
        """Of the open lock file; a child process that inherits it holds the lock too.

        Raises:
            RuntimeError: the lock is not held.
        """
        if self._descriptor is None:
            raise RuntimeError(f"{self.path} is not held")
        return self._descriptor

    def is_mine(self) -> bool:
        """It is held, and nobody has seized it."""
        return self._descriptor is not None and self._is_at_path(self._descriptor)

    def _is_at_path(self, descriptor: int) -> bool:
        try:
            opened = os.open(self.path, os.O_RDONLY)  # network file systems answer a mere stat from memory
            try:
                own, there = os.fstat(descriptor), os.fstat(opened)
            finally:
                os.close(opened)
        except OSError:  # gone, or stale
            return False
        return (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "FileLock":
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


def is_locked(path: Path) -> bool:
    """Somebody alive holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def lock_holder(path: Path) -> dict[str, Any]:
    """What the last holder noted; empty when nothing. Means something only while it is held."""
    try:
        noted = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}
