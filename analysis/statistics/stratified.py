"""Means over questions of several tasks, of which a benchmark has a fixed number each."""

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics.intervals import LEVEL, ClusteredInterval
from analysis.statistics.student import sample_sd, t_half_width, t_p

_DECIMALS = 9
"""Differences below these digits are rounding, no spread."""


def stratified_interval(
    values: ArrayLike, weights: ArrayLike, clusters: ArrayLike, strata: ArrayLike, level: float = LEVEL
) -> ClusteredInterval:
    """Weighted mean, its standard error clustered, the strata keeping their shares of the weight.

    With ``e_i = w_i (x_i - m_h)`` about the weighted mean ``m_h`` of stratum h and ``e_g`` its sum over a cluster's
    questions: where every cluster lies in one stratum, ``SE² = Σ_h G_h / (G_h - 1) Σ_{g in h} e_g²`` with
    ``t(G - H)``, the stratified sample of clusters (Cochran 1977, Sampling Techniques, section 5.4), over ``G_h``
    clusters of stratum h; else that of the weighted regression on the strata, cluster-robust (CR1; Liang & Zeger 1986,
    Biometrika 73:13), ``SE² = G / (G - 1) (n - 1) / (n - H) Σ_g e_g²`` with ``t(G - 1)``. With one stratum and equal
    weights both are `clustered_interval`.

    Args:
        values: one for each question, shape (n,).
        weights: positive, shape (n,); they need not add up to 1.
        clusters: cluster (image) of each question, shape (n,).
        strata: stratum (task) of each question, shape (n,).

    Returns:
        ``sd`` is that of ``n w_i (x_i - m_h)``. With one cluster, or a stratum that has one alone, shared or not, there
        is no interval: about that stratum's mean its one cluster tells no spread.

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
    deviations = np.round(share * (array - means[number]), _DECIMALS + 3)
    cluster = np.unique(groups, return_inverse=True)[1]
    sums, count = np.bincount(cluster, weights=deviations), int(cluster.max()) + 1
    home = np.full(count, -1)
    home[cluster] = number
    mean, sd = float(share @ array), sample_sd(n * deviations) if n > 1 else None
    held = np.unique(np.stack([number, cluster]), axis=1)[0]
    known = bool(np.bincount(held, minlength=len(total)).min() > 1)
    if (home[cluster] == number).all():
        inside = np.bincount(home, minlength=len(total))
        df = float(count - len(total))
        factor = np.where(inside > 1, inside / np.maximum(inside - 1, 1), 1.0)[home]
    else:
        df = float(count - 1)
        factor = np.full(count, count / max(count - 1, 1) * ((n - 1) / (n - len(total)) if n > len(total) else 1.0))
    if not known:
        return ClusteredInterval(mean, n, sd, None, None, None, None, level, count)
    error = float(np.sqrt((factor * sums**2).sum()))
    return ClusteredInterval(mean, n, sd, error, df, t_half_width(error, df, level), t_p(mean, error, df), level, count)
