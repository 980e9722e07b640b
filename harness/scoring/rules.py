"""Scoring rules: from a stored completion to an extracted answer, a parse status and right or wrong.

``lenient``
    the first ``<answer>`` tag's content, or the whole completion where there is no tag, must name one option.
``strict``
    there must be exactly one ``<answer>`` tag, and it must hold one option's letter or text and nothing else.
``authors``
    as the paper's released evaluation reads it (see `harness.scoring.authors`), whose oddities are its own.

For the first two an option is named by its text or its letter (``B``, ``(B)``); upper and lower case, white space and
a final full stop don't count.
"""

import re
from collections.abc import Callable, Sequence
from typing import get_args

from harness.data.question import LETTERS
from harness.scoring.authors import authors
from harness.scoring.reading import CLOSING, OPENING, Finish, Reading, nothing_found
from harness.study.settings import GenerationRule


def named_option(text: str, choices: Sequence[str]) -> str | None:
    """The option that a text names and nothing else; None when it names none."""
    wanted = _normal(text)
    for choice in choices:
        if _normal(choice) == wanted:
            return choice
    letter = re.fullmatch(r"\(?([a-z])\)?", wanted)
    if letter and (position := LETTERS.lower().find(letter[1])) in range(len(choices)):
        return choices[position]
    return None


def answer_tags(text: str) -> list[str]:
    """Contents of the closed ``<answer>`` tags, each from its opening to the next closing.

    Like ``re.findall("<answer>(.*?)</answer>")``, but in linear time on many unclosed tags.
    """
    found = []
    start = text.find(OPENING)
    while start >= 0 and (end := text.find(CLOSING, start)) >= 0:
        found.append(text[start + len(OPENING) : end])
        start = text.find(OPENING, end)
    return found


def _normal(text: str) -> str:
    return " ".join(text.casefold().split()).removesuffix(".").strip()


def lenient(text: str, finish: Finish, choices: Sequence[str]) -> Reading:
    """The first tag or, without one, the whole completion."""
    if not text.strip():
        return Reading(None, "empty")
    tags = answer_tags(text)
    option = named_option(tags[0] if tags else text, choices)
    if option is not None:
        return Reading(option, "ok")
    return Reading(None, "no_option" if tags else nothing_found(finish))


def strict(text: str, finish: Finish, choices: Sequence[str]) -> Reading:
    """Exactly one tag that holds one option."""
    if not text.strip():
        return Reading(None, "empty")
    tags = answer_tags(text)
    if not tags:
        return Reading(None, nothing_found(finish))
    if len(tags) > 1:
        return Reading(None, "ambiguous")
    option = named_option(tags[0], choices)
    return Reading(option, "no_option" if option is None else "ok")


RULES: dict[GenerationRule, Callable[[str, Finish, Sequence[str]], Reading]] = {
    "lenient": lenient,
    "strict": strict,
    "authors": authors,
}
"""Rules that read a completion, by name. What is right: `Reading.correct`."""
assert set(RULES) == set(get_args(GenerationRule))
