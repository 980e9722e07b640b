"""The two-level bootstrap: seeds and image clusters both drawn anew, for the method on questions like these."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array

from analysis.statistics.intervals import LEVEL

CHUNK = 500
"""Draws at a time."""


@dataclass(frozen=True)
class BootstrapSide:
    """One side of a contrast: ``coefficient`` times its mean over runs of the mean over questions."""

    coefficient: float
    values: ArrayLike
    """Value of each run (seed) on each question, shape (runs, questions)."""
    constant: bool = False
    """An arm without randomness: one run, and no draw of seeds."""


@dataclass(frozen=True)
class BootstrapInterval:
    """A percentile interval. What cannot be computed is None."""

    estimate: float
    low: float | None
    high: float | None
    standard_error: float | None
    """Standard deviation of the draws."""
    draws: int
    """Draws in which the estimate is defined: nearly all, unless a stratum has very few clusters."""
    seeds: tuple[int, ...]
    """Number of runs of each side."""
    clusters: int
    """Number of clusters that the scope has questions of."""
    level: float = LEVEL


def two_level_bootstrap(
    sides: Sequence[BootstrapSide],
    clusters: ArrayLike,
    weights: ArrayLike,
    *,
    paired: bool,
    draws: int = 10_000,
    seed: int = 0,
    level: float = LEVEL,
    strata: ArrayLike | None = None,
) -> list[BootstrapInterval]:
    """Percentile intervals of a contrast, seeds and clusters drawn with replacement, crossed.

    Each draw takes as many seeds of each side as there are and as many clusters as there are; a run's answer counts as
    often as its seed times its question's cluster was drawn (the pigeonhole bootstrap of crossed factors: Owen 2007,
    Annals of Applied Statistics 1:386). One draw of clusters is for all sides, seeds and scopes. In each draw a scope's
    mean is its weighted mean over the answers drawn; with strata (tasks) it is that within each stratum, the strata
    keeping their shares of the weight. Both draws add their spread to what the answers' own noise gives already, so
    that it tends to be too wide (Owen's result, and what ``results/coverage`` measures in this design); a percentile
    bootstrap over few seeds alone is too narrow. It stands beside the t interval over seeds, not in its place.

    Args:
        sides: one or more; without a constant, all of several runs.
        clusters: cluster (image) of each question, shape (questions,), integers.
        weights: weight of each question in each scope, shape (scopes, questions), not negative; each row has a
            positive sum.
        paired: draw the same seeds for all sides, run i of one side being the partner of run i of the others.
        draws: number of draws.
        seed: of the draws. Those of clusters depend on the number of clusters, ``draws`` and ``seed`` alone.
        level: confidence level.
        strata: stratum (task) of each question, shape (questions,), integers; None for one stratum.

    Returns:
        One interval for each row of ``weights``. Without limits where a side that isn't constant has one run, or a
        scope, or a stratum of it, one cluster: whose mean no draw would vary.

    Raises:
        ValueError: no side, shapes that disagree, values that are not finite, a constant of several runs, or paired
            sides of different numbers of runs.
    """
    arrays = [_checked(side) for side in sides]
    random = [len(array) for side, array in zip(sides, arrays, strict=True) if not side.constant]
    if not arrays:
        raise ValueError("needs at least one side")
    if paired and len(set(random)) > 1:
        raise ValueError(f"paired sides must have the same runs, got {random} runs")
    _, group = np.unique(np.asarray(clusters), return_inverse=True)
    parts, shares = _parts(np.asarray(weights, dtype=np.float64), strata, len(group))
    for array in arrays:
        if array.shape[1] != len(group):
            raise ValueError(f"values of {array.shape[1]} questions but clusters of {len(group)}")
    runs = [len(array) for array in arrays]
    values = np.concatenate(arrays)
    total = int(group.max()) + 1
    # Sums over each cluster's questions: of the parts' weights, then of weight times value for each run.
    products = (parts[None] * values[:, None, :]).reshape(-1, len(group))
    membership = csr_array((np.ones(len(group)), (group, np.arange(len(group)))), shape=(total, len(group)))
    sums = membership @ np.concatenate([parts, products]).T
    whole = _per_scope(sums.sum(axis=0)[None], sides, runs, [np.ones((1, n)) for n in runs], shares)[0][0]

    # Whole numbers (right answers, tokens) whose sums stay below 2^24 are exact in single precision, and twice as fast.
    exact = bool((sums == np.rint(sums)).all() and np.abs(sums).max() * total < 2**24)
    precision = np.float32 if exact else np.float64
    factors = sums.astype(precision)
    found, defined = np.empty((draws, len(shares))), np.empty((draws, len(shares)), dtype=bool)
    counts = cluster_counts(total, draws, seed)
    chosen = [
        np.ones((draws, 1)) if side.constant else seed_counts(n, draws, seed, 0 if paired else number)
        for number, (side, n) in enumerate(zip(sides, runs, strict=True))
    ]
    for start in range(0, draws, CHUNK):
        stop = min(start + CHUNK, draws)
        drawn = (counts[start:stop].astype(precision, copy=False) @ factors).astype(np.float64)
        found[start:stop], defined[start:stop] = _per_scope(
            drawn, sides, runs, [each[start:stop] for each in chosen], shares
        )

    spread = min(random, default=2) > 1
    numbers = np.zeros(len(group), dtype=int) if strata is None else np.asarray(strata)
    made = []
    for k, row in enumerate(np.asarray(weights)):
        inside = row > 0
        pairs = np.unique(np.stack([numbers[inside], group[inside]]), axis=1)
        varies = spread and min(np.unique(pairs[0], return_counts=True)[1]) > 1
        touched = len(np.unique(group[inside]))
        made.append(_interval(float(whole[k]), found[defined[:, k], k] if varies else None, runs, touched, level))
    return made


@lru_cache(maxsize=2)
def cluster_counts(clusters: int, draws: int, seed: int) -> np.ndarray:
    """How often each cluster is in each draw, shape (draws, clusters), read-only: the same for all contrasts."""
    rng = np.random.default_rng([seed, 0])
    counts = np.empty((draws, clusters), dtype=np.float32)
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        picks = rng.integers(0, clusters, (size, clusters)) + clusters * np.arange(size)[:, None]
        counts[start : start + size] = np.bincount(picks.ravel(), minlength=size * clusters).reshape(size, clusters)
    counts.flags.writeable = False
    return counts


@lru_cache(maxsize=32)
def seed_counts(runs: int, draws: int, seed: int, stream: int) -> np.ndarray:
    """How often each run is in each draw, shape (draws, runs), read-only; another stream is an independent drawing."""
    rng = np.random.default_rng([seed, 1, stream])
    counts = rng.multinomial(runs, np.full(runs, 1.0 / runs), size=draws)
    counts.flags.writeable = False
    return counts


def _checked(side: BootstrapSide) -> np.ndarray:
    array = np.asarray(side.values, dtype=np.float64)
    if array.ndim != 2 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"values: needs finite numbers of shape (runs, questions), got the shape {array.shape}")
    if side.constant and len(array) > 1:
        raise ValueError(f"a constant is one run, got {len(array)}")
    return array


def _parts(weights: np.ndarray, strata: ArrayLike | None, questions: int) -> tuple[np.ndarray, np.ndarray]:
    """What means are taken over: weights of the parts (parts, questions), and their shares (scopes, parts).

    A part is a scope within a stratum. Scopes that weigh a stratum's questions alike have the part in common.
    """
    if weights.ndim != 2 or weights.shape[1] != questions:
        raise ValueError(f"weights: needs the shape (scopes, {questions}), got {weights.shape}")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and (weights.sum(axis=1) > 0).all()):
        raise ValueError("weights: needs numbers that are not negative, with a positive sum in each row")
    numbers = np.zeros(questions, dtype=int) if strata is None else np.asarray(strata)
    if numbers.shape != (questions,):
        raise ValueError(f"strata: needs the shape ({questions},), got {numbers.shape}")
    parts: dict[bytes, tuple[int, np.ndarray]] = {}
    shares: list[dict[int, float]] = []
    for row in weights / weights.sum(axis=1, keepdims=True):
        own: dict[int, float] = {}
        for stratum in np.unique(numbers[row > 0]):
            part = np.where(numbers == stratum, row, 0.0)
            share = float(part.sum())
            part /= part.max()
            position, _ = parts.setdefault(part.tobytes(), (len(parts), part))
            own[position] = share
        shares.append(own)
    matrix = np.zeros((len(weights), len(parts)))
    for row, own in zip(matrix, shares, strict=True):
        row[list(own)] = list(own.values())
    return np.array([part for _, part in parts.values()]), matrix


def _per_scope(
    drawn: np.ndarray, sides: Sequence[BootstrapSide], runs: list[int], chosen: list[np.ndarray], shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The contrast in each draw and scope, and whether it is defined there, shapes (draws, scopes).

    Args:
        drawn: sums over the clusters drawn, shape (draws, parts + runs of all sides x parts).
        chosen: for each side, how often each run was drawn, shape (draws, runs).
    """
    parts = shares.shape[1]
    weight = drawn[:, :parts]
    products = drawn[:, parts:].reshape(len(drawn), -1, parts)
    means = np.zeros((len(drawn), parts))
    first = 0
    for side, n, counts in zip(sides, runs, chosen, strict=True):
        means += side.coefficient / n * np.einsum("dr,drp->dp", counts, products[:, first : first + n])
        first += n
    empty = weight == 0.0
    means /= np.where(empty, 1.0, weight)
    return means @ shares.T, ~(empty.astype(float) @ (shares.T > 0)).astype(bool)


def _interval(
    estimate: float, draws: np.ndarray | None, runs: list[int], clusters: int, level: float
) -> BootstrapInterval:
    if draws is None or len(draws) < 2:
        return BootstrapInterval(estimate, None, None, None, 0, tuple(runs), clusters, level)
    low, high = np.quantile(draws, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    error = float(draws.std(ddof=1))
    return BootstrapInterval(estimate, float(low), float(high), error, len(draws), tuple(runs), clusters, level)
