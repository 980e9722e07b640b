"""What every Student-t interval is made of."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit


def finite(values: ArrayLike) -> np.ndarray:
    """The values as an array, shape (n,); ValueError for none, or for one that is not a finite number."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"needs a list of at least one finite number, got {values!r}")
    return array


def sample_sd(array: np.ndarray) -> float:
    """Standard deviation, n - 1 in the denominator; 0 for equal values."""
    # Equal values can have a mean that differs from them in the last bit.
    return 0.0 if np.ptp(array) == 0.0 else float(array.std(ddof=1))


def t_half_width(error: float, df: float, level: float) -> float:
    """Half the width of a two-sided interval."""
    return float(stdtrit(df, 0.5 + level / 2.0)) * error


def t_p(mean: float, error: float, df: float) -> float | None:
    """Two-sided p-value against 0; None without any spread."""
    return None if error == 0.0 else 2.0 * float(stdtr(df, -abs(mean) / error))
