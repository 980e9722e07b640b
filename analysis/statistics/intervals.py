"""Intervals with the right unit: the seed where there are seeds, the image cluster where there are none.

All functions take and return numbers in the unit of their input (percent in, percentage points out).
Intervals are two-sided; p-values are two-sided against a true value of 0. Rows are never resampled: three
seeds of a thousand questions are three observations of a recipe, not three thousand.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from analysis.statistics.student import finite, sample_sd, t_half_width, t_p

LEVEL = 0.95
"""Confidence level of every interval that asks for no other."""


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
    level: float = LEVEL
    """Confidence level of ``half_width``."""

    @property
    def low(self) -> float | None:
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        return None if self.half_width is None else self.mean + self.half_width

    def at(self, level: float) -> Self:
        """The same estimate at another confidence level: same mean, error, degrees of freedom and p."""
        if self.half_width is None or self.standard_error is None or self.df is None:
            return replace(self, level=level)  # nothing known, or no spread at all: the same at every level
        return replace(self, level=level, half_width=t_half_width(self.standard_error, self.df, level))


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
    array = finite(values)
    n = len(array)
    mean = float(array.mean())
    if n == 1:
        return MeanInterval(mean, n, sd=None, standard_error=None, df=None, half_width=None, p=None, level=level)
    sd = sample_sd(array)
    error = sd / math.sqrt(n)
    half_width, p = t_half_width(error, n - 1, level), t_p(mean, error, n - 1)
    return MeanInterval(mean, n, sd, error, float(n - 1), half_width, p, level)


def prediction_interval(values: ArrayLike, level: float = LEVEL, further: int = 1) -> PredictionInterval:
    """Student-t interval of one more observation, or of the mean of several: ``m ± t(1 - alpha/2; n - 1) s sqrt(1 /
    further + 1 / n)``.

    Of independent, normally distributed observations it holds the next one with probability ``level`` (Fisher 1935,
    Annals of Eugenics 6:391). It does not narrow to nothing with n, as a single observation keeps its spread.

    Args:
        values: n observations, shape (n,). With n = 1 there is a mean and no interval.
        level: probability that what follows lies within.
        further: observations that follow, whose mean it is about.

    Raises:
        ValueError: no observation, or one that is not a finite number, or ``further`` under 1.
    """
    if further < 1:
        raise ValueError(f"further: {further} observations; at least 1")
    found = mean_interval(values, level)
    if found.sd is None or found.df is None:
        return PredictionInterval(
            found.mean, found.n, sd=None, standard_error=None, df=None, half_width=None, p=None, level=level
        )
    error = found.sd * math.sqrt(1.0 / further + 1.0 / found.n)
    half_width = t_half_width(error, found.df, level)
    return PredictionInterval(found.mean, found.n, found.sd, error, found.df, half_width, None, level)


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


def equivalence_p(interval: MeanInterval, margin: float) -> float | None:
    """p-value of two one-sided tests (TOST) against a true value of at least ``margin`` from 0, either way.

    The larger of ``P(T > (mean + margin) / SE)`` and ``P(T < (mean - margin) / SE)`` (Schuirmann 1987, J.
    Pharmacokinetics and Biopharmaceutics 15:657). It is below alpha just where the interval of level ``1 - 2 alpha``
    lies within ``±margin``.

    Args:
        margin: the smallest difference that matters, in the unit of the mean, positive.

    Returns:
        None without an interval or without any spread.

    Raises:
        ValueError: a margin that isn't positive.
    """
    if not margin > 0.0:
        raise ValueError(f"margin: {margin} is no margin of equivalence; it must be positive")
    if interval.standard_error is None or interval.standard_error == 0.0 or interval.df is None:
        return None
    nearest = margin - abs(interval.mean)  # the other of the two tests always has the smaller p
    return float(stdtr(interval.df, -nearest / interval.standard_error))


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
    array = finite(differences)
    n = len(array)
    if len(clusters) != n:
        raise ValueError(f"{n} differences but {len(clusters)} clusters; there must be one cluster for each question")
    numbers: dict[Hashable, int] = {}
    index = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters])
    groups = len(numbers)
    mean = float(array.mean())
    sd = sample_sd(array) if n > 1 else None
    if groups == 1:
        return ClusteredInterval(mean, n, sd, None, None, None, None, level, groups)
    sums = np.bincount(index, weights=array - mean, minlength=groups)
    # Without any spread the deviations are rounding errors, not evidence.
    error = 0.0 if sd == 0.0 else math.sqrt(groups / (groups - 1) * float((sums**2).sum())) / n
    df = float(groups - 1)
    half_width, p = t_half_width(error, df, level), t_p(mean, error, df)
    return ClusteredInterval(mean, n, sd, error, df, half_width, p, level, groups)
