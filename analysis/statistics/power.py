"""What a design can see: power, smallest detectable difference and seeds needed, from the declared test.

Differences and standard deviations have one unit (percentage points); shares (power, alpha, discordance) lie between 0
and 1. Everything is for the two-sided test at ``alpha``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.optimize import root_scalar
from scipy.special import nctdtr, ndtr, ndtri, stdtrit


@dataclass(frozen=True)
class Design:
    """A contrast over seeds: its sides that aren't constant. Constants cost nothing and add no error."""

    coefficients: tuple[float, ...]
    """Weight of each side's mean: (1, -1) for a difference, (1, -1, -1, 1) for a difference of differences."""
    ns: tuple[int, ...]
    """Number of seeds of each side."""
    paired: bool
    """Tested by t over the seeds' differences; else by Welch's t."""
    correlation: float = 0.0
    """Correlation of any two sides at the same seed; it matters where they are paired."""

    def __post_init__(self) -> None:
        if not self.coefficients or not all(math.isfinite(c) and c != 0.0 for c in self.coefficients):
            raise ValueError(f"coefficients: {self.coefficients}; needs one number that isn't 0 for each side")
        if len(self.ns) != len(self.coefficients) or min(self.ns) < 1:
            raise ValueError(f"ns: {self.ns}; needs a number of seeds for each of {len(self.coefficients)} sides")
        if self.paired and len(set(self.ns)) > 1:
            raise ValueError(f"ns: {self.ns}; paired sides have the same seeds")
        lowest = -1.0 / (len(self.ns) - 1) if len(self.ns) > 1 else -1.0
        if not lowest <= self.correlation < 1.0:
            raise ValueError(
                f"correlation: {self.correlation}; {len(self.ns)} sides can have one from {lowest:.3g} to under 1"
            )
        if self.paired and self._paired_variance() <= 0.0:
            raise ValueError(f"correlation: {self.correlation} leaves the paired differences no spread")

    def _paired_variance(self) -> float:
        squares, total = sum(c * c for c in self.coefficients), sum(self.coefficients)
        return squares + self.correlation * (total * total - squares)

    @property
    def error(self) -> float:
        """Standard error of the contrast, in units of the seeds' standard deviation."""
        if self.paired:
            return math.sqrt(self._paired_variance() / self.ns[0])
        return math.sqrt(sum(c * c / n for c, n in zip(self.coefficients, self.ns, strict=True)))

    @property
    def df(self) -> float | None:
        """Degrees of freedom of the test, for sides of equal spread; None where a side has one seed: no test."""
        if min(self.ns) < 2:
            return None
        if self.paired or len(self.ns) == 1:
            return float(self.ns[0] - 1)
        parts = [c * c / n for c, n in zip(self.coefficients, self.ns, strict=True)]
        return sum(parts) ** 2 / sum(part**2 / (n - 1) for part, n in zip(parts, self.ns, strict=True))


def power_of(design: Design, difference: float, sd: float, alpha: float) -> float:
    """Probability that the test finds a true difference, by the noncentral t distribution.

    Of Welch's test this takes the degrees of freedom at the true spreads, which are taken to be equal. The test itself
    has to estimate them and finds less with few seeds: at 3 a side, 0.53 where this says 0.64.

    Args:
        difference: true value of the contrast.
        sd: standard deviation over seeds of each side, in the same unit.
        alpha: level of the test; where it is one of a family, its adjusted level.

    Returns:
        0 where a side has one seed: there is no test then.
    """
    _positive("sd", sd)
    _share("alpha", alpha)
    return 0.0 if design.df is None else _t_power(abs(difference) / (sd * design.error), design.df, alpha)


def detectable(design: Design, sd: float, alpha: float, power: float) -> float | None:
    """Smallest true difference that the test finds with probability ``power``; None where a side has one seed."""
    _positive("sd", sd)
    _power(power, alpha)
    df = design.df
    return None if df is None else sd * design.error * _solved(lambda shift: _t_power(shift, df, alpha), power)


def seeds_needed(
    coefficients: tuple[float, ...],
    paired: bool,
    difference: float,
    sd: float,
    alpha: float,
    power: float,
    correlation: float = 0.0,
    largest: int = 1000,
) -> int | None:
    """Smallest number of seeds, the same for all sides, at which the test has the power; None over ``largest``.

    Args:
        coefficients: of the sides that aren't constant.
        difference: true value of the contrast, not 0.
    """
    _power(power, alpha)
    _positive("difference", abs(difference))

    def enough(n: int) -> bool:
        design = Design(coefficients, (n,) * len(coefficients), paired, correlation)
        return power_of(design, difference, sd, alpha) >= power

    if largest < 2 or not enough(largest):
        return None
    low, high = 1, largest  # power rises with seeds
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def checkpoint_half_width(questions: int, discordance: float, level: float = 0.95, design_effect: float = 1.0) -> float:
    """Half-width, in percentage points, of the interval of two fixed checkpoints that are equally good.

    ``100 z sqrt(discordance · design_effect / questions)``.

    Args:
        questions: number of questions that both answered.
        discordance: share of questions that one of the two alone has right.
        level: confidence level.
        design_effect: variance with questions clustered by image over that without clusters.
    """
    _checked_questions(questions, discordance, design_effect)
    return 100.0 * float(ndtri(0.5 + level / 2.0)) * math.sqrt(discordance * design_effect / questions)


def checkpoint_power(
    questions: int, discordance: float, difference: float, alpha: float, design_effect: float = 1.0
) -> float:
    """Probability that the question-paired test of two fixed checkpoints finds a true difference.

    By the normal distribution, with the variance of a paired difference of shares, ``discordance - difference²``, over
    ``questions / design_effect`` (Connor 1987, Biometrics 43:207, with the test's variance estimated, as ours is).

    Args:
        difference: true difference, in percentage points; within ``±100 discordance``.
    """
    _checked_questions(questions, discordance, design_effect)
    _share("alpha", alpha)
    share = abs(difference) / 100.0
    if share > discordance:
        raise ValueError(f"difference: {difference} points, but the checkpoints differ on {discordance:.1%} at most")
    variance = (discordance - share * share) * design_effect / questions
    return 1.0 if variance == 0.0 else _z_power(share / math.sqrt(variance), alpha)


def checkpoint_detectable(
    questions: int, discordance: float, alpha: float, power: float, design_effect: float = 1.0
) -> float | None:
    """Smallest true difference of two fixed checkpoints, in percentage points, found with probability ``power``.

    None where even a difference as large as the discordance allows would be missed.
    """
    _checked_questions(questions, discordance, design_effect)
    _power(power, alpha)
    # share / sqrt((discordance - share²) effect / questions) = shift, solved for the share
    ratio = _solved(lambda shift: _z_power(shift, alpha), power) ** 2 * design_effect / questions
    share = math.sqrt(ratio * discordance / (1.0 + ratio))
    return 100.0 * share if share <= discordance else None


def _t_power(shift: float, df: float, alpha: float) -> float:
    critical = float(stdtrit(df, 1.0 - alpha / 2.0))
    wrong = float(nctdtr(df, shift, -critical))
    # The wrong tail is under the normal one beyond the shift; far out, where it is nothing, scipy may have NaN for it.
    return 1.0 - float(nctdtr(df, shift, critical)) + (0.0 if math.isnan(wrong) else wrong)


def _z_power(shift: float, alpha: float) -> float:
    critical = float(ndtri(1.0 - alpha / 2.0))
    return float(ndtr(shift - critical) + ndtr(-shift - critical))


def _solved(power_at: Callable[[float], float], power: float) -> float:
    """The shift, in standard errors, at which the power is reached."""
    high = 1.0
    while power_at(high) < power:
        high *= 2.0
    found = root_scalar(lambda shift: power_at(shift) - power, bracket=(0.0, high), method="brentq", xtol=1e-12)
    return float(found.root)


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0.0):
        raise ValueError(f"{name}: {value}; needs a positive number")


def _share(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name}: {value}; needs a share between 0 and 1")


def _power(power: float, alpha: float) -> None:
    _share("alpha", alpha)
    if not alpha < power < 1.0:
        raise ValueError(f"power: {power}; needs a share over alpha, {alpha}, and under 1")


def _checked_questions(questions: int, discordance: float, design_effect: float) -> None:
    _positive("questions", questions)
    _positive("design_effect", design_effect)
    if not 0.0 < discordance <= 1.0:
        raise ValueError(f"discordance: {discordance}; needs a share over 0, at most 1 (0.2 for 20 %)")
