"""math-verify with a bound on what any text may cost, from any thread, without a sound.

The work is done in one process of its own (see `harness.scoring.math_worker`), which is started when it is first
needed and kept. The limit is on CPU time, not on time by the clock: a busy machine makes no answer disappear. Replies
of words and letters take 1 to 2 ms, most of it for patterns of the options; the slowest that a degenerate model would
write (counting to the limit, a dollar at every word) under 1 s.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

CPU_SECONDS = 2.0
"""When so much processor time was spent on one text, nothing was found in it. (math-verify itself waits 5 s by the
clock.)"""
MAX_CHARACTERS = 8192
"""Of longer texts the first and the last half of so many characters are read: 1,024 tokens, the paper's limit, are some
4,500 characters, and math-verify's patterns take time that grows with the square of the length and faster."""

_OWN_FAULT = {signal.SIGPROF, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS}
"""Deaths that a text brings on itself. Others (the system was short of memory, somebody killed it) are tried again."""
_ATTEMPTS = 3


class WorkerError(RuntimeError):
    """The process for math-verify can't be started or kept alive, whatever the text."""


class Worker:
    """One process that answers one request at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, text: str, **what: Any) -> Any:
        """The worker's answer; None when the text cost too much.

        Raises:
            WorkerError: the process ended several times for reasons that are not the text's.
        """
        request = json.dumps({"cpu_seconds": CPU_SECONDS, "text": _bounded(text), **what}).encode() + b"\n"
        with self._lock:
            for _ in range(_ATTEMPTS):
                answer = self._exchange(request)
                if "value" in answer:
                    return answer["value"]
                if answer.get("died") in _OWN_FAULT:
                    return None
                self._kill()
        raise WorkerError(
            f"the process that runs math-verify ended {_ATTEMPTS} times before it could answer; "
            "see that math-verify is installed and that memory is free"
        )

    def _exchange(self, request: bytes) -> dict[str, Any]:
        """The answer; an empty one if the process is gone."""
        process = self._process = self._process or _start()
        try:
            _write(_descriptor(process.stdin), request)
            return json.loads(_read_line(_descriptor(process.stdout)) or b"{}")
        except BrokenPipeError:
            return {}
        except BaseException:
            self._kill()  # interrupted half-way: the answer must not be taken for the next request's
            raise

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self.close()

    def close(self) -> None:
        """End the process: it ends when its input does."""
        process = self._drop()
        if process is not None:
            process.wait()

    def forget(self) -> None:
        """For a forked process: the worker is its parent's, and must not outlive it for a copy of its input's end."""
        process = self._drop()
        if process is not None:
            process.returncode = 0  # not this process's child

    def _drop(self) -> subprocess.Popen[bytes] | None:
        process, self._process = self._process, None
        for stream in (process.stdin, process.stdout) if process else ():
            if stream is not None:
                stream.close()
        return process


def _start() -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("math_worker.py")
    return subprocess.Popen(
        [sys.executable, "-P", str(script)],  # -P: the modules beside the script are none of its own
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONHASHSEED": "0"},  # the order of sympy's sets
    )


def _descriptor(stream: IO[bytes] | None) -> int:
    assert stream is not None  # both ends are pipes
    return stream.fileno()


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _read_line(descriptor: int) -> bytes:
    """The one line that is to come; nothing when the other side is closed."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(descriptor, 1 << 16)
        if not part:
            return b""
        line += part
    return line


def _bounded(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    half = MAX_CHARACTERS // 2
    return f"{text[:half]} {text[-half:]}"


_worker = Worker()


def _new_worker() -> None:
    """In a forked process: its parent's lock may be held, its parent's pipes are not its own."""
    global _worker
    _worker.forget()
    _worker = Worker()


os.register_at_fork(after_in_child=_new_worker)
atexit.register(lambda: _worker.close())


def strings_read(text: str, strings: Sequence[str]) -> list[str]:
    """What math-verify reads off a text, as strings, with LaTeX, expression and string extraction.

    Args:
        text: any text; see `MAX_CHARACTERS` and `CPU_SECONDS`.
        strings: what string extraction looks for.
    """
    return _worker.ask(text, strings=list(strings)) or []


def equal(text: str, solution: str) -> bool:
    """Whether math-verify finds the same mathematics in a text as in a solution, with its default extraction."""
    if not (may_hold_mathematics(solution) and may_hold_mathematics(text)):
        return False
    return bool(_worker.ask(text, solution=_bounded(solution)))


def may_hold_mathematics(text: str) -> bool:
    """False where math-verify's default extraction can find nothing: its patterns all need a digit or begin with
    a dollar, a backslash or a square bracket."""
    return any(each in "$\\[" or each.isdecimal() for each in text)
