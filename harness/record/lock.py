"""Who is at work in a folder: a file lock that the system drops when its holder dies, however it dies."""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any


class FileLock:
    """An exclusive ``flock``. Other processes see it as long as this object lives and is not released.

    Lock files are never deleted: a lock on a deleted name would exclude nobody.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, patience: float = 1.0, **holder: Any) -> bool:
        """Take the lock and note ``holder`` in the file; False when somebody else has it.

        Keeps trying for ``patience`` seconds, because whoever asks `is_locked` holds it for an instant.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    return False
                time.sleep(0.02)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        self._descriptor = descriptor
        return True

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
