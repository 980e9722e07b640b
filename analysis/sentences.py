"""A contrast's numbers in words: an interval says what it is compatible with, never "no difference"."""

from typing import TYPE_CHECKING

from analysis.statistics import MeanInterval
from analysis.words import points

if TYPE_CHECKING:
    from analysis.contrasts import ContrastResult


def sentence(result: "ContrastResult") -> str:
    """The estimate, what the interval is compatible with, the margin and what is missing, in sentences."""
    a, b = result.labels
    if result.interval is None:
        return f"{a} against {b}: no result, because {result.reason}.{_missing(result)}"
    head = f"{_ahead(a, b, result.interval.mean)} {result.population}"
    if result.interval.low is None or result.interval.high is None:
        return f"{head}; there is no interval, because {result.reason}.{_missing(result)}"
    low, high = result.interval.low, result.interval.high
    bounds = f"{head} (95 % interval {points(low)} to {points(high)}{_p(result.interval)})"
    return f"{bounds}. {_compatible(a, b, low, high)}{_margin(result.margin, low, high)}{_missing(result)}"


def _ahead(a: str, b: str, mean: float) -> str:
    if points(mean) == "0.0":
        return f"{a} and {b} score the same to a tenth of a point,"
    return f"{a} scores {abs(mean):.1f} percentage points {'higher' if mean > 0 else 'lower'} than {b},"


def _p(interval: MeanInterval) -> str:
    if interval.p is None:
        return ""
    return ", p < 0.001" if interval.p < 0.001 else f", p = {interval.p:.3f}"


def _compatible(a: str, b: str, low: float, high: float) -> str:
    if low == high:
        return "The runs show no spread at all, so the interval has no width and cannot tell how sure it is."
    if low > 0:
        return f"The whole interval has {a} ahead, by {low:.1f} to {high:.1f} points."
    if high < 0:
        return f"The whole interval has {b} ahead, by {-high:.1f} to {-low:.1f} points."
    return f"That is compatible with anything from {b} ahead by {-low:.1f} to {a} ahead by {high:.1f} points."


def _margin(margin: float | None, low: float, high: float) -> str:
    if margin is None:
        return ""
    if -margin <= low and high <= margin:
        return f" The interval lies within the margin of {margin:g} points: equivalent by the declared standard."
    if low > margin or high < -margin:
        return f" The difference is larger than the margin of {margin:g} points."
    return f" Whether the difference is larger than the margin of {margin:g} points stays open."


def _missing(result: "ContrastResult") -> str:
    if not result.lost:
        return ""
    return f" Left out: {'; '.join(f'{run} ({why})' for run, why in result.lost.items())}."
