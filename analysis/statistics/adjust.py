"""p-values adjusted for several tests at once. A p-value that couldn't be computed still counts as a test made."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down p-values: the chance of any false rejection in the family stays under alpha.

    With the m p-values in rising order, the i-th becomes ``max over j <= i of (m - j + 1) p_j``, at most 1 (Holm 1979,
    Scandinavian J. of Statistics 6:65). Valid whatever the dependence of the tests.

    Args:
        p_values: one for each planned test; None for one without a p-value: it counts in m, as 1, and stays None.

    Raises:
        ValueError: a p-value outside 0 to 1.
    """
    known, order = _ranked(p_values)
    steps = len(known) - np.arange(len(known))
    return _placed(p_values, order, np.maximum.accumulate(steps * known[order]))


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Benjamini and Hochberg's p-values: the expected share of false ones among the rejections stays under alpha.

    With the m p-values in rising order, the i-th becomes ``min over j >= i of m p_j / j``, at most 1 (Benjamini &
    Hochberg 1995, J. Royal Statistical Society B 57:289). Valid for tests that are independent or positively dependent
    (Benjamini & Yekutieli 2001, Annals of Statistics 29:1165).

    Args:
        p_values: as for `holm`.

    Raises:
        ValueError: a p-value outside 0 to 1.
    """
    known, order = _ranked(p_values)
    scaled = known[order] * len(known) / np.arange(1, len(known) + 1)
    return _placed(p_values, order, np.minimum.accumulate(scaled[::-1])[::-1])


def _ranked(p_values: Sequence[float | None]) -> tuple[np.ndarray, np.ndarray]:
    for p in p_values:
        if p is not None and not 0.0 <= p <= 1.0:
            raise ValueError(f"{p} is no p-value; it must lie between 0 and 1")
    known = np.array([1.0 if p is None else p for p in p_values])
    return known, np.argsort(known, kind="stable")


def _placed(p_values: Sequence[float | None], order: np.ndarray, adjusted: np.ndarray) -> list[float | None]:
    found = np.empty(len(order))
    found[order] = np.minimum(adjusted, 1.0)
    return [None if p is None else float(value) for p, value in zip(p_values, found, strict=True)]
