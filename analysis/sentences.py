"""A contrast's numbers in words: an interval says what it is compatible with, never "no difference"."""

from typing import TYPE_CHECKING

from analysis.metrics import METRICS, Metric
from analysis.statistics import MeanInterval
from analysis.words import number, points

if TYPE_CHECKING:
    from analysis.contrasts import ContrastResult


def sentence(result: "ContrastResult") -> str:
    """The estimate, what the interval is compatible with, the margin and what is missing, in sentences."""
    a, b = result.labels
    metric = METRICS[result.metric]
    if result.interval is None:
        return f"{a} against {b}: no result, because {result.reason}.{_missing(result)}"
    head = f"{_ahead(a, b, result.interval.mean, metric)}, {result.population}"
    if result.interval.low is None or result.interval.high is None:
        return f"{head}; there is no interval, because {result.reason}.{_missing(result)}"
    low, high = result.interval.low, result.interval.high
    bounds = f"{points(low, metric.decimals)} to {points(high, metric.decimals)}{_p(result.interval)}"
    margin = _margin(result.margin, low, high, metric)
    return f"{head} (95 % interval {bounds}). {_compatible(a, b, low, high, metric)}{margin}{_missing(result)}"


def _ahead(a: str, b: str, mean: float, metric: Metric) -> str:
    if float(points(mean, metric.decimals)) == 0.0:
        return metric.same.format(a=a, b=b)
    words = metric.higher if mean > 0 else metric.lower
    return words.format(a=a, b=b, size=number(abs(mean), metric.decimals))


def _p(interval: MeanInterval) -> str:
    if interval.p is None:
        return ""
    return ", p < 0.001" if interval.p < 0.001 else f", p = {interval.p:.3f}"


def _compatible(a: str, b: str, low: float, high: float, metric: Metric) -> str:
    if low == high:
        return "The runs show no spread at all, so the interval has no width and cannot tell how sure it is."
    ahead, unit = metric.ahead, metric.short
    small, large = sorted((number(abs(low), metric.decimals), number(abs(high), metric.decimals)), key=float)
    if low > 0 or high < 0:
        return f"The whole interval has {a if low > 0 else b} {ahead}, by {small} to {large} {unit}."
    below, above = number(-low, metric.decimals), number(high, metric.decimals)
    return f"That is compatible with anything from {b} {ahead} by {below} to {a} {ahead} by {above} {unit}."


def _margin(margin: float | None, low: float, high: float, metric: Metric) -> str:
    if margin is None:
        return ""
    if -margin <= low and high <= margin:
        return (
            f" The interval lies within the margin of {margin:g} {metric.short}: equivalent by the declared standard."
        )
    if low > margin or high < -margin:
        return f" The difference is larger than the margin of {margin:g} {metric.short}."
    return f" Whether the difference is larger than the margin of {margin:g} {metric.short} stays open."


def _missing(result: "ContrastResult") -> str:
    if not result.lost:
        return ""
    return f" Left out: {'; '.join(f'{run} ({why})' for run, why in result.lost.items())}."
