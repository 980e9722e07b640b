"""What is wrong with a study file, and where: every message names the place, the value and the mend."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Where = tuple[str | int, ...]
"""Path of a setting in the study, such as ``("arms", 2, "set", "grpo", "steps")``."""


def dotted(where: Where) -> str:
    """A path as ``--set`` takes it: ``arms.2.set.grpo.steps``."""
    return ".".join(str(step) for step in where) or "study file"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    where: Where
    """The setting's path in the study."""
    text: str
    """The value, why it is wrong and what would be right."""


class StudyError(Exception):
    """A study that cannot be loaded or planned; the message has one line per problem.

    Args:
        problems: at least one.
        locate: turns a path into the place shown to the reader: file and line, or the ``--set`` it came from.
    """

    def __init__(self, problems: Iterable[Problem], locate: Callable[[Where], str] = dotted):
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{locate(each.where)}: {each.text}" for each in self.problems))


def choices(value: object, allowed: Iterable[str]) -> str:
    """``did you mean 'x'? Allowed: x, y``, the question left out when nothing is near."""
    names = list(allowed)
    near = difflib.get_close_matches(str(value), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}Allowed: {', '.join(names) or 'nothing'}"


def unknown(what: str, value: object, allowed: Iterable[str]) -> str:
    """Text of a problem with a name that stands for nothing here."""
    return f"unknown {what} {shown(value)}; {choices(value, allowed)}"


def shown(value: object) -> str:
    """A value for a message, cut at 80 characters."""
    text = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
