"""Answers as the paper's released code reads them, in its evaluation and in its accuracy reward, faults included.

Both go through math-verify, whose reading of prose is generous in odd ways: "I see a desk." names option A (the
article), while "Desk" names nothing. The rules ``strict`` and ``lenient`` are for conclusions, these two for
comparison with what was published.
"""

import re
from collections.abc import Sequence

from harness.data.question import LETTERS
from harness.scoring.math_client import equal, strings_read
from harness.scoring.reading import CLOSING, OPENING, Finish, Reading, nothing_found

_EVALUATED_LETTERS = "ABCDEF"
"""Letters that the released evaluation looks for."""
_LONE_LETTER = re.compile(r"(^|\s|\[|\()([A-H])(\s|\]|\)|$)")
"""As the released code has it: a separator that ends one letter begins no other, so "A B" holds A alone."""


def authors(text: str, finish: Finish, choices: Sequence[str]) -> Reading:
    """The released evaluation's reading of a CV-Bench completion.

    The content of the first ``<answer>`` tag (of a single line) or, where it is empty or there is none, the whole
    completion goes to math-verify, which looks for formulas, numbers, letters in either case, also in brackets, and
    the options' texts. An option is accepted if what was found is its text, as it is or in lower case, or its letter.
    """
    if not text.strip():
        return Reading(None, "empty")
    tag = first_trimmed_tag(text)
    letters = [*_EVALUATED_LETTERS, *_EVALUATED_LETTERS.lower()]
    bracketed = [f"({letter})" for letter in (*_EVALUATED_LETTERS.lower(), *_EVALUATED_LETTERS)]
    found = {each.strip() for each in strings_read(tag or text, [*letters, *bracketed, *choices])} - {""}
    accepted = tuple(
        dict.fromkeys(
            choice
            for letter, choice in zip(LETTERS, choices, strict=False)
            if not found.isdisjoint(_names(letter, choice))
        )
    )
    if len(accepted) == 1:
        return Reading(accepted[0], "ok")
    if accepted:
        return Reading(None, "ambiguous", accepted)
    return Reading(None, "no_option" if tag else nothing_found(finish))


def _names(letter: str, choice: str) -> list[str]:
    lower = letter.lower()
    return [choice.lower().strip(), choice.strip(), letter, lower, f"({lower})", f"({letter})"]


def rewarded(text: str, answer: str) -> bool:
    """Whether the released accuracy reward pays for a completion; ``answer`` is the correct option's text.

    It pays where math-verify finds the same mathematics in the completion as in ``<answer>{answer}</answer>`` (numbers
    inside longer answers: "turned by 30 degrees"); where the content of the first ``<answer>`` tag of a single line
    or, without one, the whole completion is the option's text, white space at the ends left out; and where the
    last capital A to H that stands alone in it is.
    """
    solution = f"{OPENING}{answer}{CLOSING}"
    wanted, given = _stripped_answer(solution), _stripped_answer(text)
    # the cheap tests first: math-verify can only add to what is paid
    return given == wanted or _last_letter(given) == wanted or equal(text, solution)


def _stripped_answer(text: str) -> str:
    tag = first_line_tag(text)
    return (text if tag is None else tag).strip()


def _last_letter(text: str) -> str | None:
    letters = _LONE_LETTER.findall(text)
    return letters[-1][1] if letters else None


def first_line_tag(text: str) -> str | None:
    """Like ``re.search("<answer>(.*?)</answer>", text)[1]``, but in linear time on any text."""
    start = 0
    while (end := text.find(CLOSING, start)) >= 0:
        line = max(start, text.rfind("\n", start, end) + 1)
        opening = text.find(OPENING, line, end)
        if opening >= 0:
            return text[opening + len(OPENING) : end]
        start = end + len(CLOSING)
    return None


def first_trimmed_tag(text: str) -> str | None:
    r"""Like ``re.search(r"<answer>\s*(.*?)\s*</answer>", text)[1]``, but in linear time on any text."""
    start = 0
    while (end := text.find(CLOSING, start)) >= 0:
        before, newline, line = text[start:end].rstrip().rpartition("\n")
        if newline and before.rstrip().endswith(OPENING):
            return line.strip()
        _, tag, content = line.partition(OPENING)
        if tag:
            return content.strip()
        start = end + len(CLOSING)
    return None
