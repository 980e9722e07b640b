"""Intervals with the right unit: the seed where there are seeds, the image cluster where there are none.

All functions take and return numbers in the unit of their input (percent in, percentage points out).
Intervals are two-sided; p-values are two-sided against a true value of 0. Rows are never resampled: three
seeds of a thousand questions are three observations of a recipe, not three thousand.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

LEVEL = 0.95
"""Confidence level of every interval."""


@dataclass(frozen=True)
class MeanInterval:
    """A mean (or difference of means) with a Student-t interval. What cannot be computed is None."""

    mean: float
    n: int
    """Number of observations (seeds)."""
    sd: float | None
    """Sample standard deviation of the observations, n - 1 in the denominator."""
    standard_error: float | None
    df: float | None
    half_width: float | None
    p: float | None
    """Two-sided p-value against 0; None without an interval or without any spread."""

    @property
    def low(self) -> float | None:
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        return None if self.half_width is None else self.mean + self.half_width


@dataclass(frozen=True)
class WelchInterval(MeanInterval):
    """Difference of two independent means; ``n`` and ``sd`` are side a's."""

    n_b: int = 0
    sd_b: float | None = None


@dataclass(frozen=True)
class ClusteredInterval(MeanInterval):
    """Mean difference over questions; ``n`` and ``sd`` are over questions, the error over clusters."""

    clusters: int = 0


@dataclass(frozen=True)
class PredictionInterval(MeanInterval):
    """Where one more observation falls; ``standard_error`` is of its distance from the mean, and there is no p."""

    def contains(self, value: float) -> bool | None:
        """Whether a value lies within, ends included; None without an interval."""
        return None if self.half_width is None else abs(value - self.mean) <= self.half_width


def mean_interval(values: ArrayLike, level: float = LEVEL) -> MeanInterval:
    """Student-t interval of a mean: ``m ± t(1 - alpha/2; n - 1) s / sqrt(n)`` (Student 1908, Biometrika 6:1).

    Args:
        values: n observations, shape (n,). With n = 1 there is a mean and no interval.
        level: confidence level.

    Raises:
        ValueError: no observation, or one that is not a finite number.
    """
    array = _finite(values)
    n = len(array)
    mean = float(array.mean())
    if n == 1:
        return MeanInterval(mean, n, sd=None, standard_error=None, df=None, half_width=None, p=None)
    sd = _sd(array)
    error = sd / math.sqrt(n)
    return MeanInterval(mean, n, sd, error, float(n - 1), _half_width(error, n - 1, level), _p(mean, error, n - 1))


def prediction_interval(values: ArrayLike, level: float = LEVEL) -> PredictionInterval:
    """Student-t interval of one more observation: ``m ± t(1 - alpha/2; n - 1) s sqrt(1 + 1 / n)``.

    Of independent, normally distributed observations it holds the next one with probability ``level`` (Fisher 1935,
    Annals of Eugenics 6:391). It does not narrow to nothing with n, as a single observation keeps its spread.

    Args:
        values: n observations, shape (n,). With n = 1 there is a mean and no interval.
        level: probability that the next observation lies within.

    Raises:
        ValueError: no observation, or one that is not a finite number.
    """
    found = mean_interval(values, level)
    if found.sd is None or found.df is None:
        return PredictionInterval(found.mean, found.n, sd=None, standard_error=None, df=None, half_width=None, p=None)
    error = found.sd * math.sqrt(1.0 + 1.0 / found.n)
    return PredictionInterval(
        found.mean, found.n, found.sd, error, found.df, _half_width(error, found.df, level), p=None
    )


def paired_interval(a: Mapping[Any, float], b: Mapping[Any, float], level: float = LEVEL) -> MeanInterval:
    """Paired t interval: `mean_interval` of ``a[k] - b[k]`` over the keys that both sides have.

    Args:
        a, b: value by pairing key (seed). Keys of one side only are left out; the caller counts them.

    Raises:
        ValueError: no common key.
    """
    keys = sorted(set(a) & set(b), key=repr)
    if not keys:
        raise ValueError(f"no pairs: the sides have the keys {sorted(map(repr, a))} and {sorted(map(repr, b))}")
    return mean_interval([a[key] - b[key] for key in keys], level)


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
    first, second = _finite(a), _finite(b)
    difference = float(first.mean() - second.mean())
    sd_a = _sd(first) if len(first) > 1 else None
    sd_b = _sd(second) if len(second) > 1 else None
    if sd_a is None or sd_b is None:
        return WelchInterval(difference, len(first), sd_a, None, None, None, None, len(second), sd_b)
    part_a, part_b = sd_a**2 / len(first), sd_b**2 / len(second)
    error = math.sqrt(part_a + part_b)
    if error == 0.0:
        return WelchInterval(difference, len(first), sd_a, 0.0, None, 0.0, None, len(second), sd_b)
    df = (part_a + part_b) ** 2 / (part_a**2 / (len(first) - 1) + part_b**2 / (len(second) - 1))
    half_width, p = _half_width(error, df, level), _p(difference, error, df)
    return WelchInterval(difference, len(first), sd_a, error, df, half_width, p, len(second), sd_b)


def clustered_interval(differences: ArrayLike, clusters: Sequence[Hashable], level: float = LEVEL) -> ClusteredInterval:
    """Mean of question-paired differences of two fixed checkpoints, standard error clustered by image.

    ``SE² = G / (G - 1) / n² Σ_g (Σ_{i in g} (d_i - d))²`` over the G clusters, with ``t(G - 1)``: the
    cluster-robust variance of a mean (Liang & Zeger 1986, Biometrika 73:13; for evaluations Miller 2024,
    arXiv 2411.00640, section 2.2) with the usual small-sample factor.

    Args:
        differences: one difference for each question, shape (n,).
        clusters: cluster (image) of each question, length n. With one cluster there is no interval.

    Raises:
        ValueError: nothing to average, numbers that are not finite, or lengths that differ.
    """
    array = _finite(differences)
    n = len(array)
    if len(clusters) != n:
        raise ValueError(f"{n} differences but {len(clusters)} clusters; there must be one cluster for each question")
    numbers: dict[Hashable, int] = {}
    index = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters])
    groups = len(numbers)
    mean = float(array.mean())
    sd = _sd(array) if n > 1 else None
    if groups == 1:
        return ClusteredInterval(mean, n, sd, None, None, None, None, groups)
    sums = np.bincount(index, weights=array - mean, minlength=groups)
    # Without any spread the deviations are rounding errors, not evidence.
    error = 0.0 if sd == 0.0 else math.sqrt(groups / (groups - 1) * float((sums**2).sum())) / n
    df = float(groups - 1)
    return ClusteredInterval(mean, n, sd, error, df, _half_width(error, df, level), _p(mean, error, df), groups)


def _finite(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"needs a list of at least one finite number, got {values!r}")
    return array


def _sd(array: np.ndarray) -> float:
    # Equal values can have a mean that differs from them in the last bit.
    return 0.0 if np.ptp(array) == 0.0 else float(array.std(ddof=1))


def _half_width(error: float, df: float, level: float) -> float:
    return float(stdtrit(df, 0.5 + level / 2.0)) * error


def _p(mean: float, error: float, df: float) -> float | None:
    return None if error == 0.0 else 2.0 * float(stdtr(df, -abs(mean) / error))
