"""Rows of the table ``answers``."""

from collections.abc import Mapping
from typing import Any

from harness.scoring.reading import Reading

_PLACE = ("study", "run", "arm", "seed", "step", "phase", "protocol")
_QUESTION = ("suite", "question", "task", "source", "image")


def answer_row(place: Mapping[str, Any], question: Mapping[str, Any], rule: str, reading: Reading) -> dict[str, Any]:
    """One row: what a rule read off one completion, or off the likelihoods of one question's options.

    Args:
        place: run, checkpoint and protocol, such as a row of ``completions``; what else it holds is left aside.
        question: the question's row of ``questions``.
    """
    return {
        **{name: place[name] for name in _PLACE},
        **{name: question[name] for name in _QUESTION},
        "rule": rule,
        "extracted": reading.extracted,
        "status": reading.status,
        "correct": reading.correct(question["answer"]),
    }
