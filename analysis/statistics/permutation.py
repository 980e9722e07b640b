"""Tests of two fixed checkpoints on the same questions, without a distribution assumed."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr

from analysis.statistics.student import finite

CHUNK = 1024
"""Sign patterns at a time."""
EXACT = 2**16
"""Up to so many sign patterns all are looked at."""


@dataclass(frozen=True)
class SignFlip:
    """A sign-flip test over clusters."""

    p: float
    """Two-sided p-value."""
    clusters: int
    exact: bool
    """All sign patterns were looked at, not a random sample of them."""
    draws: int
    """Number of sign patterns looked at."""


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test. It takes questions for independent: those that share an image are not."""

    p: float
    """Two-sided p-value."""
    a_only: int
    """Questions that a alone has right."""
    b_only: int


def sign_flip_test(
    differences: ArrayLike, clusters: Sequence[Hashable], draws: int = 10_000, seed: int = 0
) -> SignFlip:
    """Sign-flip (randomisation) test of a mean difference of 0, whole clusters flipped (Fisher 1935, section 21).

    If the two checkpoints were exchangeable, each cluster's summed difference could as well have had the other sign.
    The p-value is the share of sign patterns whose absolute sum is at least the observed one. Where there are too many
    patterns, that share is estimated from random ones, the observed pattern counted among them: ``(1 + hits) / (1 +
    draws)``, which keeps the level whatever the number of draws (Phipson & Smyth 2010, SAGMB 9:39).

    Args:
        differences: one difference (times its weight, where questions are weighted) for each question, shape (n,).
        clusters: cluster (image) of each question, length n.
        draws: random sign patterns, where not all are looked at.
        seed: of the random patterns.

    Raises:
        ValueError: nothing to test, numbers that are not finite, lengths that differ, or no draws.
    """
    array = finite(differences)
    if len(clusters) != len(array):
        raise ValueError(
            f"{len(array)} differences but {len(clusters)} clusters; there must be one cluster for each question"
        )
    if draws < 1:
        raise ValueError(f"draws: {draws} is too few; at least 1 is needed")
    numbers: dict[Hashable, int] = {}
    index = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters])
    sums = np.bincount(index, weights=array)
    # Rounding must not part patterns whose sums are equal; and what sums to nothing changes nothing when flipped.
    tolerance = 1e-12 * float(np.abs(array).sum())
    flipped = sums[np.abs(sums) > tolerance]
    least = abs(float(sums.sum())) - tolerance
    exact = 2 ** len(flipped) <= EXACT
    patterns = 2 ** len(flipped) if exact else draws
    rng = np.random.default_rng(seed)
    hits = 0
    for start in range(0, patterns, CHUNK):
        size = min(CHUNK, patterns - start)
        signs = _all_signs(start, size, len(flipped)) if exact else rng.integers(0, 2, (size, len(flipped)))
        found = np.abs((2.0 * signs - 1.0) @ flipped)
        hits += int(np.count_nonzero(found >= least))
    p = hits / patterns if exact else (1 + hits) / (1 + patterns)
    return SignFlip(p, len(numbers), exact, patterns)


def mcnemar_test(a: ArrayLike, b: ArrayLike) -> McNemar:
    """McNemar's test, exact: of the questions that one side alone has right, each side's share against one half.

    The two-sided binomial p-value ``2 P(X <= min(a_only, b_only))``, at most 1 (McNemar 1947, Psychometrika 12:153).
    Without a question on which they differ p is 1.

    Args:
        a, b: right or wrong on the same questions in the same order, shape (n,) each, boolean.

    Raises:
        ValueError: not boolean, no question, or shapes that differ.
    """
    first, second = np.asarray(a), np.asarray(b)
    for side in (first, second):
        if side.dtype != np.bool_ or side.ndim != 1 or side.size == 0:
            raise ValueError(f"needs a list of at least one true or false, got {side!r}")
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} answers of a but {len(second)} of b; they must be of the same questions")
    a_only, b_only = int((first & ~second).sum()), int((second & ~first).sum())
    p = min(1.0, 2.0 * float(bdtr(min(a_only, b_only), a_only + b_only, 0.5)))
    return McNemar(p, a_only, b_only)


def _all_signs(start: int, size: int, width: int) -> np.ndarray:
    """So many of all patterns of 0 and 1, from one on: the numbers in binary, shape (size, width)."""
    return (np.arange(start, start + size)[:, None] >> np.arange(width)) & 1
