"""Linear combinations of independent means: differences, interactions, single runs held against them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics.intervals import LEVEL, MeanInterval, PredictionInterval
from analysis.statistics.student import finite, sample_sd, t_half_width, t_p


@dataclass(frozen=True)
class Term:
    """One term ``coefficient · mean(values)`` of a linear combination of independent means."""

    coefficient: float
    values: ArrayLike
    """Observations (one value for each seed), shape (n,)."""
    constant: bool = False
    """A known number (an arm without randomness): one value, which has no spread."""


@dataclass(frozen=True)
class LinearInterval(MeanInterval):
    """A linear combination of independent means.

    ``n`` is the smallest sample of a term that isn't constant; ``sd`` is that of ``coefficient · value`` where one
    term alone isn't constant, None where there are more.
    """

    ns: tuple[int, ...] = ()
    """Number of observations of each term, constants included."""


@dataclass(frozen=True)
class WelchInterval(MeanInterval):
    """Difference of two independent means; ``n`` and ``sd`` are side a's."""

    n_b: int = 0
    sd_b: float | None = None


def welch_interval(a: ArrayLike, b: ArrayLike, level: float = LEVEL) -> WelchInterval:
    """Interval of ``mean(a) - mean(b)`` of independent samples of unequal variance.

    Welch (1947, Biometrika 34:28): with ``v = s² / n`` of each side, the standard error is
    ``sqrt(va + vb)`` and the degrees of freedom are
    ``(va + vb)² / (va² / (na - 1) + vb² / (nb - 1))``. A side of one observation gives a difference and no
    interval.

    Args:
        a, b: observations, shapes (na,) and (nb,).

    Raises:
        ValueError: a side is empty or not finite.
    """
    first, second = finite(a), finite(b)
    found = linear_interval((Term(1.0, first), Term(-1.0, second)), level)
    sd_a, sd_b = (sample_sd(side) if len(side) > 1 else None for side in (first, second))
    error, df, half_width, p = found.standard_error, found.df, found.half_width, found.p
    return WelchInterval(found.mean, len(first), sd_a, error, df, half_width, p, level, len(second), sd_b)


def linear_interval(terms: Sequence[Term], level: float = LEVEL) -> LinearInterval:
    """Interval of ``Σ c_i mean_i`` of independent samples of unequal variance: contrasts and interactions.

    With ``v_i = c_i² s_i² / n_i`` of each term that isn't constant, the standard error is ``sqrt(Σ v_i)`` and the
    degrees of freedom are ``(Σ v_i)² / Σ (v_i² / (n_i - 1))`` (Satterthwaite 1946, Biometrics Bulletin 2:110; Welch
    1947, Biometrika 34:28). Two terms are Welch's interval, one term beside constants is the one-sample t interval. A
    term of one observation that isn't constant, or nothing but constants, gives a mean and no interval.

    Raises:
        ValueError: no term, an empty term, a number that isn't finite, or a constant of several values.
    """
    found = _combined(terms, lambda n: 1.0 / n)
    ns = tuple(len(np.atleast_1d(term.values)) for term in terms)
    half_width = p = None
    if found.error is not None:
        half_width = 0.0 if found.df is None else t_half_width(found.error, found.df, level)
        p = None if found.df is None else t_p(found.mean, found.error, found.df)
    return LinearInterval(found.mean, found.n, found.sd, found.error, found.df, half_width, p, level, ns)


def linear_prediction(terms: Sequence[Term], level: float = LEVEL, further: int = 1) -> PredictionInterval:
    """Where ``Σ c_i x_i`` of one further observation of each term falls, or of the mean of several: printed runs held
    against samples of ours.

    As `linear_interval`, with ``v_i = c_i² s_i² (1 / further + 1 / n_i)``: the further mean's own error and that of
    ours. One term is `prediction_interval`. Constants stay what they are.

    Raises:
        ValueError: as `linear_interval`, or ``further`` under 1.
    """
    if further < 1:
        raise ValueError(f"further: {further} observations; at least 1")
    found = _combined(terms, lambda n: 1.0 / further + 1.0 / n)
    half_width = None
    if found.error is not None:
        half_width = 0.0 if found.df is None else t_half_width(found.error, found.df, level)
    return PredictionInterval(found.mean, found.n, found.sd, found.error, found.df, half_width, None, level)


@dataclass(frozen=True)
class _Combined:
    mean: float
    n: int
    sd: float | None
    error: float | None
    """None where it can't be known."""
    df: float | None
    """None where there is no error, or no spread in any of several terms."""


def _combined(terms: Sequence[Term], variance: Callable[[int], float]) -> _Combined:
    """Mean, error and Welch-Satterthwaite degrees of freedom; ``variance(n)`` is a term's, in units of its s²."""
    if not terms:
        raise ValueError("needs at least one term")
    mean, spreads, sizes = 0.0, [], []
    for term in terms:
        array = finite(term.values)
        if not math.isfinite(term.coefficient):
            raise ValueError(f"coefficient: {term.coefficient} is no finite number")
        mean += term.coefficient * float(array.mean())
        if term.constant:
            if len(array) > 1:
                raise ValueError(f"a constant is one value, got {len(array)}: {array}")
            continue
        sizes.append(len(array))
        spreads.append(abs(term.coefficient) * sample_sd(array) if len(array) > 1 else None)
    known = [spread for spread in spreads if spread is not None]
    smallest = min(sizes, default=1)
    sd = known[0] if len(known) == len(spreads) == 1 else None
    if not spreads or len(known) < len(spreads):
        return _Combined(mean, smallest, sd, None, None)
    errors = [spread * math.sqrt(variance(n)) for spread, n in zip(known, sizes, strict=True)]
    error = math.hypot(*errors)
    if len(errors) == 1:
        return _Combined(mean, smallest, sd, error, float(smallest - 1))
    if error == 0.0:
        return _Combined(mean, smallest, sd, 0.0, None)
    # Of shares, as squares of squares of small numbers underflow.
    df = 1.0 / sum((part / error) ** 4 / (n - 1) for part, n in zip(errors, sizes, strict=True))
    return _Combined(mean, smallest, sd, error, df)
