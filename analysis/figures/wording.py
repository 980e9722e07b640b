"""Words and numbers of the captions."""

from collections.abc import Sequence

import pandas as pd


def value_text(value: float, decimals: int = 1) -> str:
    """``93.1``; a rounded zero has no sign, and a minus is one."""
    text = f"{value:.{decimals}f}"
    return (text.lstrip("-") if float(text) == 0.0 else text).replace("-", "−")


def signed_text(value: float, decimals: int = 1) -> str:
    """``+3.2`` or ``−3.2``; a rounded zero has no sign."""
    text = f"{value:+.{decimals}f}"
    return (text.lstrip("+-") if float(text) == 0.0 else text).replace("-", "−")


def course(values: pd.Series, unit: str) -> tuple[str, str]:
    """How something went from its first value to its last, as verb and rest: ``goes``, ``from 10.5 to 12.0 tokens``.

    Where the ends are the same to the digit shown, it ``stays at 10.5 tokens`` if all between them is too, and
    ``begins and ends at 10.5 tokens`` otherwise.

    Args:
        values: in their order.
        unit: in the plural; a blank is put before it.
    """
    shown = [value_text(float(value)) for value in values]
    if shown[0] != shown[-1]:
        return "goes", f"from {shown[0]} to {shown[-1]} {unit}"
    return "stays" if len(set(shown)) == 1 else "begins and ends", f"at {shown[0]} {unit}"


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def counted(number: int, word: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{number:,} {word}{'s' * (number != 1)}"


def span(numbers: pd.Series, word: str) -> str:
    """``3 seeds`` where all have as many, ``2 to 3 seeds`` otherwise."""
    few, many = int(numbers.min()), int(numbers.max())
    return counted(many, word) if few == many else f"{few:,} to {many:,} {word}s"


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def levels(frame: pd.DataFrame) -> tuple[str, str]:
    """What the intervals of contrasts are called, that of direction and that of equivalence.

    Args:
        frame: with a column ``level`` where contrasts have declared levels of their own; 95 % without.
    """
    found = set(frame["level"].dropna().round(6)) if "level" in frame else {0.95}
    if len(found) != 1:
        return "1 − α", "1 − 2α"
    level = found.pop()
    return f"{100 * level:g} %", f"{100 * (2 * level - 1):g} %"
