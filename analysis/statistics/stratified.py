"""Means over questions of several tasks, of which a benchmark has a fixed number each."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics.intervals import LEVEL, ClusteredInterval, clustered_interval
from analysis.statistics.student import t_p

_DECIMALS = 9
"""Differences below these digits are rounding, no spread."""


def stratified_interval(
    values: ArrayLike, weights: ArrayLike, clusters: ArrayLike, strata: ArrayLike, level: float = LEVEL
) -> ClusteredInterval:
    """Weighted mean, its standard error clustered, the strata keeping their shares of the weight.

    That of the weighted regression on the strata, cluster-robust (CR1; Liang & Zeger 1986, Biometrika 73:13): with
    ``e_i = w_i (x_i - m_h)`` about the weighted mean ``m_h`` of stratum h,
    ``SE² = G / (G - 1) (n - 1) / (n - H) Σ_g (Σ_{i in g} e_i)²`` over G clusters and H strata, with ``t(G - 1)``. With
    one stratum and equal weights it is `clustered_interval`.

    Args:
        values: one for each question, shape (n,).
        weights: positive, shape (n,); they need not add up to 1.
        clusters: cluster (image) of each question, shape (n,).
        strata: stratum (task) of each question, shape (n,).

    Returns:
        ``sd`` is that of ``n w_i (x_i - m_h)``. With one cluster there is no interval.

    Raises:
        ValueError: shapes that differ, weights that are not positive, nothing to average.
    """
    array, share = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    groups, number = np.asarray(clusters), np.unique(np.asarray(strata), return_inverse=True)[1]
    if not array.shape == share.shape == groups.shape == number.shape or array.ndim != 1 or not array.size:
        shapes = array.shape, share.shape, groups.shape, number.shape
        raise ValueError(f"values, weights, clusters and strata need one shape (n,), got {shapes}")
    if not (np.isfinite(share).all() and (share > 0.0).all()):
        raise ValueError("weights: need positive numbers")
    share = share / share.sum()
    n, total = len(array), np.bincount(number, weights=share)
    means = np.bincount(number, weights=share * array) / total
    scale = np.sqrt((n - 1) / (n - len(total))) if n > len(total) else 1.0
    deviations = np.round(n * share * (array - means[number]), _DECIMALS) * scale
    mean = float(share @ array)
    found = clustered_interval(deviations, groups.tolist(), level)
    p = None if not found.standard_error or found.df is None else t_p(mean, found.standard_error, found.df)
    return replace(found, mean=mean, p=p)
