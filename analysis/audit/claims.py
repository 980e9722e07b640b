"""Does a claimed difference follow from the printed scores?"""

from dataclasses import dataclass
from fractions import Fraction

import pandas as pd

from analysis.audit.aggregates import implied_percent
from analysis.audit.differences import Difference
from analysis.audit.findings import Checked, Finding, Severity, made
from analysis.audit.printed import unit
from analysis.audit.rows import by_configuration, scores_of, tasks_of

CHECK = "claim"


@dataclass(frozen=True)
class ClaimedDifference:
    """A claimed difference in points, and what the printed scores make of it."""

    name: str
    source: str
    figure: str
    """As printed."""
    difference: Difference
    """By the printed scores."""
    a_implied: float | None
    """What side a's parts make of its score, percent; None if it has no parts, or not all are printed."""
    b_implied: float | None

    @property
    def by_parts(self) -> float | None:
        """Points; a side without parts stands with its printed score. None if no side has parts."""
        if self.a_implied is None and self.b_implied is None:
            return None
        a = self.difference.a.percent if self.a_implied is None else self.a_implied
        b = self.difference.b.percent if self.b_implied is None else self.b_implied
        return a - b

    @property
    def fits_printed(self) -> bool:
        # the difference of printed figures is exact, where floats are not
        return fits(self.figure, Fraction(self.difference.a.printed) - Fraction(self.difference.b.printed))

    @property
    def fits_parts(self) -> bool:
        return self.by_parts is not None and fits(self.figure, Fraction(self.by_parts))


def fits(figure: str, points: Fraction) -> bool:
    """Whether a difference, rounded or cut to the figure's decimals, is the figure: 1.63 is a 2, 3.83 is no 5."""
    value, last = Fraction(figure), unit(figure)
    cut = value <= points < value + last if value >= 0 else value - last < points <= value
    return abs(points - value) <= last / 2 or cut


def claimed(scores: pd.DataFrame, benchmarks: pd.DataFrame, claims: pd.DataFrame) -> list[ClaimedDifference]:
    """All claims, by source, name, benchmark and task.

    Args:
        scores, benchmarks, claims: frames of `analysis.audit.read.Published`.
    """
    every, tasks = scores_of(scores), tasks_of(benchmarks)
    rows = by_configuration(every)
    found = []
    columns = ["claim", "source", "figure", "a", "b"]
    for name, source, figure, a, b in claims[columns].itertuples(index=False, name=None):
        sides = [every[a], every[b]]
        keys = [(side.source, side.table, side.condition, side.benchmark) for side in sides]
        implied = [implied_percent(side, tasks, rows[key]) for side, key in zip(sides, keys, strict=True)]
        found.append(ClaimedDifference(name, source, figure, Difference(*sides), *implied))
    return sorted(found, key=lambda one: (one.source, one.name, one.difference.a.label, one.difference.b.label))


def check_claims(scores: pd.DataFrame, benchmarks: pd.DataFrame, claims: pd.DataFrame) -> Checked:
    """Claimed figures against the difference of the printed scores, and of the scores that their parts give.

    A figure that neither gives is an error, one that only the parts give a warning, one that the printed scores give a
    note.

    Args:
        scores, benchmarks, claims: frames of `analysis.audit.read.Published`.
    """
    found = claimed(scores, benchmarks, claims)
    return made(CHECK, "claimed differences", [_judged(one) for one in found], len(found))


def _judged(one: ClaimedDifference) -> Finding:
    a, b = one.difference.a, one.difference.b
    head = (
        f"{one.source}, {one.name}: said to be {one.figure} points, {_name(one, 0)} over {_name(one, 1)} on {a.what}; "
        f"the printed scores differ by {one.difference.points:+.2f} ({a.printed} and {b.printed})"
    )
    if one.by_parts is not None and abs(one.by_parts - one.difference.points) >= 0.005:
        head += f", the scores that their parts give by {one.by_parts:+.2f}"
    if one.fits_printed:
        severity, tail = Severity.NOTE, "The figure is that of the printed scores."
    elif one.fits_parts:
        severity, tail = Severity.WARNING, "The figure follows from the parts, not from the printed scores."
    else:
        severity, tail = Severity.ERROR, "The figure follows from neither, rounded or cut."
        if one.by_parts is None:
            tail = "The figure does not follow from them, rounded or cut."
    error = one.difference.standard_error
    numbers = {
        **{"printed": float(one.figure), "implied": one.difference.points, "implied_other": one.by_parts},
        **{"difference": float(one.figure) - one.difference.points, "standard_error": error},
    }
    return Finding(
        CHECK,
        severity,
        *(a.where, f"{one.name}: {a.condition} - {b.condition}", a.what),
        (a.label, b.label),
        {name: value for name, value in numbers.items() if value is not None},
        f"{head}. {tail}",
    )


def _name(one: ClaimedDifference, side: int) -> str:
    score = (one.difference.a, one.difference.b)[side]
    source = "" if score.source == one.source else f"{score.source} "
    return f"{source}{score.table} {score.condition}".strip()
