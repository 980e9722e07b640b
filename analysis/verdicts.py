"""Verdicts: what an interval decides, about whom, and what it leaves open.

The interval at ``1 - alpha`` (95 %) decides the direction, the one at ``1 - 2 alpha`` (90 %) equivalence within the
margin, which is the two one-sided tests of Schuirmann (1987, J. Pharmacokin. Biopharm. 15:657). Both may hold: a
difference that is real and too small to matter. Where neither holds the verdict is inconclusive, never "no difference".
"""

from dataclasses import dataclass
from typing import Literal

from analysis.combine import Population
from analysis.statistics import MeanInterval

Direction = Literal["higher", "lower"]
INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Verdict:
    """What is decided about a minus b."""

    direction: Direction | None
    """Of side a against side b; None where the interval holds 0."""
    equivalent: bool
    """The difference lies within the margin."""
    reason: str = ""
    """Why nothing can be decided, where that isn't the interval's width."""

    @property
    def name(self) -> str:
        """``higher``, ``lower, below the margin``, ``equivalent within the margin``, ``inconclusive``."""
        if self.direction:
            return self.direction + (", below the margin" if self.equivalent else "")
        return "equivalent within the margin" if self.equivalent else INCONCLUSIVE

    @property
    def decided(self) -> bool:
        return self.direction is not None or self.equivalent


def decide(
    interval: MeanInterval | None,
    margin: float | None,
    alpha: float,
    population: Population,
    seeds: bool,
    reason: str = "",
) -> Verdict:
    """The verdict that an interval allows.

    Args:
        interval: of a minus b, None without an estimate.
        alpha: level of the two-sided test for the direction.
        population: whom the interval speaks about.
        seeds: a side has randomness, so the question is about a method.
        reason: why there is no interval.
    """
    if interval is None or interval.half_width is None:
        return Verdict(None, False, reason or "no interval")
    if population == "checkpoints" and seeds:
        return Verdict(None, False, "one seed gives no interval over methods")
    if interval.standard_error == 0.0:
        return Verdict(None, False, "the runs show no spread at all, so the interval has no width")
    wide, narrow = interval.at(1.0 - alpha), interval.at(1.0 - 2.0 * alpha)
    low, high = _ends(wide)
    direction: Direction | None = "higher" if low > 0.0 else "lower" if high < 0.0 else None
    inner_low, inner_high = _ends(narrow)
    return Verdict(direction, margin is not None and -margin < inner_low and inner_high < margin)


ClaimVerdict = Literal[
    "supported",
    "supported, below the margin",
    "contradicted",
    "contradicted, below the margin",
    "equivalent within the margin",
    "inconclusive",
    "untestable",
]


def judge(direction: Literal["higher", "lower", "equal"], verdict: Verdict, beyond: bool) -> ClaimVerdict:
    """What a contrast's verdict says of a claim about it.

    Args:
        direction: what the claim says of side a against side b.
        beyond: the whole interval lies outside of the margin (or off 0 where there is none); it contradicts a claim of
            equality, which an interval that merely leaves 0 out doesn't.
    """
    if not verdict.decided:
        return INCONCLUSIVE
    if direction == "equal":
        if verdict.equivalent:
            return "supported, below the margin" if verdict.direction else "supported"
        return "contradicted" if beyond else INCONCLUSIVE
    if verdict.direction is None:
        return "equivalent within the margin"
    if verdict.direction == direction:
        return "supported, below the margin" if verdict.equivalent else "supported"
    return "contradicted, below the margin" if verdict.equivalent else "contradicted"


def lies_beyond(interval: MeanInterval | None, margin: float | None) -> bool:
    """Whether a whole interval lies outside of plus or minus the margin (0 without one)."""
    if interval is None or interval.low is None or interval.high is None:
        return False
    limit = margin or 0.0
    return interval.low > limit or interval.high < -limit


def _ends(interval: MeanInterval) -> tuple[float, float]:
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high
