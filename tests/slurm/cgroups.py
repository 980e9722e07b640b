"""What of cgroup version 1 works on this machine: containers often have it read-only, new systems not at all."""

import os
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def can_track() -> bool:
    """Groups can be made in the freezer controller, so that no process of a job is ever lost."""
    return _try("freezer", None, "")


def can_limit_memory() -> bool:
    """The kernel can be told to kill what uses more memory than it asked for."""
    return _try("memory", "memory.limit_in_bytes", str(1 << 30))


def _try(controller: str, file: str | None, value: str) -> bool:
    group = _ROOT / controller / f"onebox_probe_{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        return False
    try:
        if file is not None:
            (group / file).write_text(value)
    except OSError:
        return False
    finally:
        group.rmdir()
    return True


def members(node: str) -> set[int]:
    """Processes of a node's jobs, where SLURM tracks them by groups."""
    found: set[int] = set()
    for file in (_ROOT / "freezer" / f"slurm_{node}").glob("**/cgroup.procs"):
        with suppress(OSError):
            found.update(map(int, file.read_text().split()))
    return found


def remove(node: str) -> None:
    """Remove the groups that SLURM made for a node and leaves behind; those with processes in them stay."""
    for top in _ROOT.glob(f"*/slurm_{node}"):
        for folder, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                os.rmdir(folder)
