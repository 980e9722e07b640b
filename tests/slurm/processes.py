"""Processes of this machine, looked up in /proc: there is no service manager, and jobs outlive their slurmd."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path


def all_pids() -> Iterator[int]:
    """Every process of the machine."""
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def is_alive(pid: int) -> bool:
    """Exists and isn't a zombie: what has ended may wait long for a parent that doesn't care."""
    return state_of(pid) not in ("", "Z", "X")


def state_of(pid: int) -> str:
    """The letter of the process's state (``T``: stopped by SIGSTOP), or nothing where there is no such process."""
    try:
        # The name stands in parentheses and may hold any character.
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def name_of(pid: int) -> str:
    """Name of the process's program, or nothing where there is no such process."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return ""


def has_variable(pid: int, name: str, value: str) -> bool:
    """The process was started with this environment variable."""
    try:
        return f"{name}={value}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def is_pending(pid: int, number: signal.Signals) -> bool:
    """The signal was sent to the process, which hasn't taken it yet: it stands still."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    (pending,) = [int(line.split()[1], 16) for line in lines if line.startswith("ShdPnd:")]
    return bool(pending >> (number - 1) & 1)


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal those that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def wait_until(holds: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Whether it came to hold within the time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def stop(pids: Iterable[int], seconds: float) -> None:
    """End processes: asked first, killed when they haven't gone by then."""
    pids = list(pids)
    send(pids, signal.SIGTERM)
    if not wait_until(lambda: not any(map(is_alive, pids)), seconds):
        send(pids, signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, pids)), 30)
