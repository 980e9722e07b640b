"""The process that runs math-verify; a script by itself, started and spoken to by `harness.scoring.math_client`.

math-verify hands texts to sympy, where ``9**9**9**9`` computes for ever inside one call into C that no exception and no
signal handler of Python can end. Only the kernel can: a child answers the requests, and a timer on its CPU time kills
it. Its parent, which never sees a text, reports the death and forks the next child, without importing sympy again.

A line of JSON comes in, one goes out. Requests: ``{"cpu_seconds": s, "text": t}`` with either ``"strings": [...]``
(answer: list of the strings read off the text) or ``"solution": t`` (answer: whether the texts are equal). Answers:
``{"value": ...}``, or ``{"died": signal}``. It ends when its input does.
"""

import json
import logging
import os
import resource
import signal
from functools import lru_cache
from typing import Any

from math_verify import ExprExtractionConfig, LatexExtractionConfig, StringExtractionConfig, parse, verify

MEMORY_BYTES = 2 << 30
"""Address space of the process: what wants more gets a MemoryError, which math-verify takes for no answer."""

Parsed = list[Any]


def strings_read(text: str, strings: tuple[str, ...]) -> list[str]:
    """The parsed answers that are strings, formulas left out: with LaTeX, expression and string extraction."""
    wanted = [LatexExtractionConfig(), ExprExtractionConfig(), StringExtractionConfig(strings=strings)]
    return [found for found in parse(text, wanted, parsing_timeout=0) if isinstance(found, str)]


@lru_cache(maxsize=4096)
def _solution(text: str) -> Parsed:
    return parse(text, parsing_timeout=0)


def equal(text: str, solution: str) -> bool:
    """Whether text and solution hold equal mathematics, with math-verify's default extraction."""
    target = _solution(solution)
    return bool(target) and verify(parse(text, parsing_timeout=0), target, timeout_seconds=0)


def answer(request: dict[str, Any]) -> list[str] | bool:
    """The answer to one request; math-verify's errors count as nothing found."""
    empty: list[str] | bool = [] if "strings" in request else False
    signal.setitimer(signal.ITIMER_PROF, request["cpu_seconds"])
    try:
        if "strings" in request:
            return strings_read(request["text"], tuple(request["strings"]))
        return equal(request["text"], request["solution"])
    except Exception:
        return empty
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _serve(requests: int, answers: int) -> None:
    """Answer until the input ends."""
    with os.fdopen(requests, closefd=False) as lines:
        # buffering is no danger for the next child: there is never more than one request in the pipe
        for line in lines:
            _write(answers, {"value": answer(json.loads(line))})


def _write(descriptor: int, data: dict[str, Any]) -> None:
    with os.fdopen(descriptor, "w", closefd=False) as file:
        file.write(json.dumps(data) + "\n")


def main() -> None:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        # sent to all processes of a job that is to stop; this one is needed until its parent has stopped
        signal.signal(each, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    logging.disable(logging.CRITICAL)
    requests, answers = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)  # whatever a library prints
    equal("$\\frac{1}{2}$", "0.5")  # what is built when first used: no text shall pay for it
    while True:
        child = os.fork()
        if child == 0:
            try:
                _serve(requests, answers)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return
        _write(answers, {"died": os.WTERMSIG(status)})


if __name__ == "__main__":
    main()
