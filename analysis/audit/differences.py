"""Differences between the conditions of one table: what can printed totals tell?

Two conditions answer the same n questions, ``p1`` and ``p2`` of them right (shares), with the difference
``d = p1 - p2``. The test of a difference between these two checkpoints pairs by question: its standard error is
``sqrt((D - d²) / n)`` (McNemar 1947, Psychometrika 12:153), where D, the discordance, is the share of questions that
one of the two alone has right. Printed totals do not tell D, but bound it: ``|d| <= D <= min(p1 + p2, 2 - p1 - p2)``.
The interval ``d ± z_c SE`` leaves out zero just where D is below the critical discordance
``D* = d² (n / z_c² + 1)``. So a difference

- is outside of the noise whatever the discordance if D* is above all D that are possible,
- is inside of the noise whatever the discordance if it is not above any,
- can't be decided from printed totals otherwise.

The unpaired standard error ``sqrt(p1 q1 / n1 + p2 q2 / n2)`` is what a reader can compute: it is the paired one of two
conditions whose right answers have nothing to do with each other.

All of this speaks of two checkpoints. Of the methods that made them, single runs say nothing: the spread between seeds
is not in them. With an SD of s points between seeds (normal, the same for both), the difference of two single runs has
the standard error ``sqrt(SE² + 2 s²)`` (SE unpaired), so it is within 1.96 of its standard errors from
``s* = sqrt(((d / 1.96)² - SE²) / 2)`` on. A difference with a small s* is lost in small spreads.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd
from scipy.special import ndtri

from analysis.audit.rows import Score, Task, by_configuration, scores_of, tasks_of

LEVEL = 0.95
SMALLEST = 30
CRITICAL = float(ndtri(0.5 + LEVEL / 2.0))


class Decision(StrEnum):
    """What printed totals say of a difference between two checkpoints."""

    OUTSIDE = "outside the noise"
    INSIDE = "inside the noise"
    UNDECIDABLE = "undecidable from the printed totals"
    UNKNOWN = "number of questions not known"


@dataclass(frozen=True)
class Difference:
    """Condition a minus condition b on one task. Shares, not percent, but for `points` and the like."""

    a: Score
    b: Score

    @property
    def d(self) -> float:
        return self.a.share - self.b.share

    @property
    def points(self) -> float:
        return self.a.percent - self.b.percent

    @property
    def standard_error(self) -> float | None:
        """Unpaired, points; None if a number of questions is not known."""
        if self.a.n is None or self.b.n is None:
            return None
        parts = (score.share * (1.0 - score.share) / size for score, size in ((self.a, self.a.n), (self.b, self.b.n)))
        return 100.0 * math.sqrt(sum(parts))

    @property
    def z(self) -> float | None:
        error = self.standard_error
        return self.points / error if error else None

    @property
    def low(self) -> float | None:
        error = self.standard_error
        return None if error is None else self.points - CRITICAL * error

    @property
    def high(self) -> float | None:
        error = self.standard_error
        return None if error is None else self.points + CRITICAL * error

    @property
    def n(self) -> int | None:
        """Questions that both answered; None if not known, or not the same number."""
        return self.a.n if self.a.n == self.b.n else None

    @property
    def feasible(self) -> tuple[float, float]:
        """The smallest and the largest discordance that the two shares allow."""
        both = self.a.share + self.b.share
        return abs(self.d), min(both, 2.0 - both)

    @property
    def critical_discordance(self) -> float | None:
        """Below it, the question-paired interval leaves out zero; None without a common number of questions."""
        return None if self.n is None else critical_discordance(self.d, self.n)

    @property
    def decision(self) -> Decision:
        if self.a.n is None or self.b.n is None:
            return Decision.UNKNOWN
        critical = self.critical_discordance
        if critical is None:  # other numbers of questions: other questions, so unpaired
            z = self.z
            return Decision.OUTSIDE if z is not None and abs(z) > CRITICAL else Decision.INSIDE
        low, high = self.feasible
        if critical > high and self.d != 0.0:
            return Decision.OUTSIDE
        return Decision.INSIDE if critical <= low else Decision.UNDECIDABLE

    @property
    def hiding_seed_sd(self) -> float | None:
        """The seed SD, points, from which on two single runs this far apart are within 1.96 standard errors; 0 if they
        are without any; None if the number of questions is not known."""
        error = self.standard_error
        return None if error is None else hiding_seed_sd(self.points, error)

    @property
    def questions_to_be_outside(self) -> int:
        """From how many common questions on it is outside of the noise whatever the discordance; 0 for no difference.

        Not below `SMALLEST`, where the normal distribution is no guide."""
        return 0 if self.d == 0.0 else max(SMALLEST, _least(self.d, self.feasible[1]))


def critical_discordance(d: float, n: int) -> float:
    """``D* = d² (n / z_c² + 1)``: the paired interval leaves out zero where the discordance is smaller."""
    return d * d * (n / CRITICAL**2 + 1.0)


def hiding_seed_sd(points: float, standard_error: float) -> float:
    """``sqrt(((d / z_c)² - SE²) / 2)`` in points, or 0 where d is within z_c SE already."""
    return math.sqrt(max((points / CRITICAL) ** 2 - standard_error**2, 0.0) / 2.0)


def _least(d: float, discordance: float) -> int:
    """The smallest n whose critical discordance is above a discordance."""
    return math.floor(CRITICAL**2 * (discordance / d**2 - 1.0)) + 1


@dataclass(frozen=True)
class Pair:
    """Two conditions of a table on one benchmark: a is the one with the higher headline score."""

    headlines: tuple[Difference, ...]
    """Aggregates; or all tasks where no aggregate is printed."""
    parts: tuple[Difference, ...]
    """Tasks that an aggregate covers."""


def pairs(scores: pd.DataFrame, benchmarks: pd.DataFrame) -> list[Pair]:
    """All pairs of conditions of each table, by benchmark, in an order that does not depend on that of the rows.

    Args:
        scores, benchmarks: frames of `analysis.audit.read.Published`.
    """
    tasks = tasks_of(benchmarks)
    tables: dict[tuple[str, str, str], list[dict[str, Score]]] = {}
    for (source, table, _, benchmark), row in by_configuration(scores_of(scores)).items():
        tables.setdefault((source, table, benchmark), []).append(row)
    made: list[Pair] = []
    for (_, _, benchmark), rows in sorted(tables.items()):
        mine = [task for task in tasks if task.benchmark == benchmark]
        for place, first in enumerate(rows):
            for second in rows[place + 1 :]:
                common = [task for task in mine if task.name in first and task.name in second]
                if common:
                    made.append(_pair(common, first, second))
    return made


def _pair(tasks: list[Task], first: dict[str, Score], second: dict[str, Score]) -> Pair:
    covered = {part for task in tasks for part in task.parts}
    headlines = [task.name for task in tasks if task.name not in covered]
    parts = [task.name for task in tasks if task.name in covered]
    order = [*headlines, *parts]
    # the higher one first; with equal headlines the first part that differs decides
    if [first[task].percent for task in order] < [second[task].percent for task in order]:
        first, second = second, first
    return Pair(
        tuple(Difference(first[task], second[task]) for task in headlines),
        tuple(Difference(first[task], second[task]) for task in parts),
    )
