"""What a printed percentage can stand for: an interval of percentages, and so of counts out of n.

A figure with two decimals is the true percentage rounded (half up or to even) or cut after the second decimal: both
occur in papers, often in one table. All arithmetic is exact (`fractions.Fraction`): 54.16 has no exact binary form.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

WAYS = ("rounded", "cut")


@dataclass(frozen=True)
class Counts:
    """Right answers out of n that a printed percentage can stand for, ends included."""

    low: int
    high: int
    n: int

    @property
    def percent(self) -> float:
        """Of the middle of the interval."""
        return 100.0 * (self.low + self.high) / 2 / self.n


def unit(text: str) -> Fraction:
    """The last printed decimal's worth: 1/100 for ``31.38``, 1/10 for ``61.6``, 1 for ``62``."""
    return Fraction(1, 10 ** len(text.partition(".")[2]))


def span(text: str) -> tuple[Fraction, Fraction]:
    """The percentages that may have been printed as ``text``, as ``[low, high)``: rounded or cut."""
    value, last = Fraction(text), unit(text)
    return value - last / 2, value + last


def bounds(text: str, n: int) -> tuple[Fraction, Fraction]:
    """Right answers out of n by `span`, as real numbers within 0 and n; whole ones where there is a whole one."""
    found = counts(text, n)
    if found is not None:
        return Fraction(found.low), Fraction(found.high)
    low, high = span(text)
    return max(low * n / 100, Fraction(0)), min(high * n / 100, Fraction(n))


def counts(text: str, n: int) -> Counts | None:
    """The counts out of n whose percentage rounds to, or is cut to, the printed one; None if there is none.

    That a printed mean of whole numbers can be impossible for its n is the GRIM test (Brown & Heathers 2017, Social
    Psychological and Personality Science 8:363). It can tell only while a count is worth more than about one and a
    half of the last decimal: see `can_tell`.

    Args:
        text: the percentage as printed, such as ``31.38``.
        n: number of questions, at least 1.
    """
    found = [count for way in WAYS if (count := _counts(text, n, way)) is not None]
    return Counts(min(one.low for one in found), max(one.high for one in found), n) if found else None


def ways(text: str, n: int) -> tuple[str, ...]:
    """By which of `WAYS` a count out of n can have been printed so."""
    return tuple(way for way in WAYS if _counts(text, n, way) is not None)


def can_tell(text: str, n: int) -> bool:
    """Whether some percentage with as many decimals is impossible for n."""
    return Fraction(100, n) > unit(text) * 3 / 2


def _counts(text: str, n: int, way: str) -> Counts | None:
    value, last = Fraction(text), unit(text)
    if way == "rounded":
        low, high = math.ceil((value - last / 2) * n / 100), math.floor((value + last / 2) * n / 100)
    else:
        # the upper end is excluded
        low, high = math.ceil(value * n / 100), math.ceil((value + last) * n / 100) - 1
    low, high = max(low, 0), min(high, n)
    return Counts(low, high, n) if low <= high else None
