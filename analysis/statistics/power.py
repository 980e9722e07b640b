"""What a design can see: power, smallest detectable difference and seeds needed, from the declared test.

Differences and standard deviations have one unit (percentage points); shares (power, alpha, discordance) lie between 0
and 1. Everything is for the two-sided test at ``alpha``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import root_scalar
from scipy.special import betaincinv, gammaincinv, nctdtr, ndtr, ndtri, stdtrit

POINTS = 1024
"""Points over the sample variances of Welch's test; a power of 2."""


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


def power_of(design: Design, difference: float, sd: float, alpha: float, *, estimated_df: bool = False) -> float:
    """Probability that the test finds a true difference, by the noncentral t distribution.

    The sides are taken to have equal spreads. Welch's test has to estimate its degrees of freedom even so, and with few
    seeds finds less than a test that knew them: at 3 a side and 2.5 standard deviations 0.53, not 0.64.

    Args:
        difference: true value of the contrast.
        sd: standard deviation over seeds of each side, in the same unit.
        alpha: level of the test; where it is one of a family, its adjusted level.
        estimated_df: the power of Welch's test itself, degrees of freedom estimated; else with those of equal spreads.
            For paired sides and for a single one it is the same.

    Returns:
        0 where a side has one seed: there is no test then.
    """
    _positive("sd", sd)
    _share("alpha", alpha)
    if design.df is None:
        return 0.0
    return _test(design, alpha, estimated_df)(abs(difference) / (sd * design.error))


def detectable(design: Design, sd: float, alpha: float, power: float, *, estimated_df: bool = False) -> float | None:
    """Smallest true difference that the test finds with probability ``power``; None where a side has one seed.

    The arguments are those of `power_of`.
    """
    _positive("sd", sd)
    _power(power, alpha)
    if design.df is None:
        return None
    return sd * design.error * _solved(_test(design, alpha, estimated_df), power)


def seeds_needed(
    coefficients: tuple[float, ...],
    paired: bool,
    difference: float,
    sd: float,
    alpha: float,
    power: float,
    correlation: float = 0.0,
    largest: int = 1000,
    *,
    estimated_df: bool = False,
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
        return power_of(design, difference, sd, alpha, estimated_df=estimated_df) >= power

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


def _test(design: Design, alpha: float, estimated_df: bool) -> Callable[[float], float]:
    """The test's power by the true value in standard errors."""
    df = design.df
    assert df is not None
    if not estimated_df or design.paired or len(design.ns) == 1:
        critical, whole = np.array([stdtrit(df, 1.0 - alpha / 2.0)]), df
    else:
        critical, whole = _welch_critical(design, alpha), float(sum(design.ns) - len(design.ns))

    def power(shift: float) -> float:
        # Far from 0, where both tails are nothing, scipy may have NaN.
        wrong, missed = (np.nan_to_num(nctdtr(whole, shift, side * critical), nan=0.0) for side in (-1.0, 1.0))
        return float((1.0 - missed + wrong).mean())

    return power


def _welch_critical(design: Design, alpha: float) -> np.ndarray:
    """Critical values of Welch's test over what the sample variances may be, for sides of equal spread.

    With ``nu_i = n_i - 1`` and N their sum, the sample variances are ``V p_i / nu_i``: V, their common scale, is
    chi-square with N degrees of freedom, and the shares p, independent of it, are Dirichlet(``nu_i / 2``). Given p the
    degrees of freedom are fixed, and with ``a_i = c_i² / n_i`` Welch's t by ``sqrt(N sum(a_i p_i / nu_i) / sum(a_i))``
    is a noncentral t of N degrees of freedom. It is averaged over quantiles of p for two sides, Sobol points for more.
    """
    nu = np.array(design.ns) - 1.0
    if len(nu) == 2:
        first = betaincinv(nu[0] / 2.0, nu[1] / 2.0, (np.arange(POINTS) + 0.5) / POINTS)
        shares = np.stack([first, 1.0 - first], axis=1)
    else:
        from scipy.stats.qmc import Sobol  # heavy, and seldom needed

        gammas = gammaincinv(nu / 2.0, Sobol(len(nu), rng=np.random.default_rng(0)).random(POINTS))
        shares = gammas / gammas.sum(axis=1, keepdims=True)
    a = np.array([c * c / n for c, n in zip(design.coefficients, design.ns, strict=True)])
    parts = a * shares / nu
    df = parts.sum(axis=1) ** 2 / (parts**2 / nu).sum(axis=1)
    return stdtrit(df, 1.0 - alpha / 2.0) * np.sqrt(nu.sum() * parts.sum(axis=1) / a.sum())


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
