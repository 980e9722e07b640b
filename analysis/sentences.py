"""A contrast's numbers in words: an interval says what it is compatible with, never "no difference"."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from analysis.metrics import METRICS, Metric
from analysis.statistics import MeanInterval
from analysis.verdicts import INCONCLUSIVE
from analysis.words import number, p_words, percent, points, things

if TYPE_CHECKING:
    from analysis.contrast_result import ContrastResult


def about(result: "ContrastResult") -> str:
    """Whom the estimate speaks about, with the number of runs and questions; empty without one."""
    combined = result.combined
    on = f"these {len(combined.position):,} questions"
    if combined.population == "checkpoints":
        runs = " and ".join(dict.fromkeys(run.run for run in combined.pairs[0].runs))
        return f"for these checkpoints only ({runs}), on questions like {on.removesuffix(' questions')}"
    if combined.interval is None:
        return ""
    random = [(part.label, len(part.values.found)) for part in combined.parts if part.values.random]
    if len(combined.groups) == 1 and len(random) > 1:
        how = "paired by seed" if len(dict(random)) > 1 else f"of {random[0][0]}, each with itself"
        return f"on average over {random[0][1]} seeds {how}, on {on}"
    fixed = [part.label for part in combined.parts if not part.values.random]
    counted = " and ".join(f"{count} of {arm}" for arm, count in random)
    against = f" against the one {' and '.join(dict.fromkeys(fixed))}" if fixed else ""
    return f"on average over seeds ({counted}{against}), on {on}"


def sentence(result: "ContrastResult") -> str:
    """The estimate, what the interval is compatible with, the margin, the verdict and what is missing, in sentences."""
    a, b = result.labels
    metric = METRICS[result.metric]
    interval = result.interval
    if interval is None:
        return f"{a} against {b}: no result, because {result.reason}.{_missing(result)}"
    ahead = _ahead(a, b, interval.mean, metric) if result.minus is None else _larger(a, b, interval.mean, metric)
    head = f"{ahead}, {result.about}"
    if interval.low is None or interval.high is None:
        return f"{head}; there is no interval, because {result.reason}.{_missing(result)}"
    if not interval.standard_error:
        return f"{head}. {_verdict(result, metric)}{_missing(result)}"
    low, high = interval.low, interval.high
    bounds = f"{points(low, metric.decimals)} to {points(high, metric.decimals)}{_p(result)}"
    head = f"{head} ({percent(1 - result.alpha)} interval {bounds})."
    parts = [head, _compatible(a, b, low, high, metric), _margin(result, interval, metric), _verdict(result, metric)]
    return " ".join(part for part in parts if part) + _missing(result)


def verdict_text(result: "ContrastResult") -> str:
    """``higher``, ``inconclusive: one seed ...``, with what qualifies it."""
    verdict = result.verdict
    if verdict.name == INCONCLUSIVE:
        return f"{INCONCLUSIVE}: {verdict.reason}" if verdict.reason else INCONCLUSIVE
    return verdict.name if result.survives else f"{verdict.name}, unadjusted only"


def _ahead(a: str, b: str, mean: float, metric: Metric) -> str:
    if float(points(mean, metric.decimals)) == 0.0:
        return metric.same.format(a=a, b=b)
    words = metric.higher if mean > 0 else metric.lower
    return words.format(a=a, b=b, size=number(abs(mean), metric.decimals))


def _larger(a: str, b: str, mean: float, metric: Metric) -> str:
    """Of a difference of differences."""
    size = number(abs(mean), metric.decimals)
    if float(size) == 0.0:
        return f"{a} and {b} are equally large to the last digit shown"
    return f"{a} is {size} {metric.short} {'larger' if mean > 0 else 'smaller'} than {b}"


def _p(result: "ContrastResult") -> str:
    if result.interval is None or result.interval.p is None:
        return ""
    if result.p is None:
        return f", {p_words(result.interval.p)} over questions"
    told = f", {p_words(result.interval.p)}"
    return told + (f", adjusted {p_words(result.p_adjusted)}" if result.p_adjusted is not None else "")


def _compatible(a: str, b: str, low: float, high: float, metric: Metric) -> str:
    ahead, unit = metric.ahead, metric.short
    small, large = sorted((number(abs(low), metric.decimals), number(abs(high), metric.decimals)), key=float)
    if low > 0 or high < 0:
        return f"The whole interval has {a if low > 0 else b} {ahead}, by {small} to {large} {unit}."
    below, above = number(-low, metric.decimals), number(high, metric.decimals)
    return f"That is compatible with anything from {b} {ahead} by {below} to {a} {ahead} by {above} {unit}."


def _margin(result: "ContrastResult", interval: MeanInterval, metric: Metric) -> str:
    margin = result.margin
    if margin is None or interval.low is None or interval.high is None or not interval.standard_error:
        return ""
    shown = f"the margin of {margin:g} {metric.short}"
    if result.verdict.equivalent:
        level = percent(1 - 2 * result.alpha)
        return f"The {level} interval lies within {shown}: equivalent by the declared standard."
    if interval.low > margin or interval.high < -margin:
        return f"The difference is larger than {shown}."
    return f"Whether the difference is larger than {shown} stays open."


def _verdict(result: "ContrastResult", metric: Metric) -> str:
    """What an open question would have taken, and what the family leaves of a direction."""
    verdict = result.verdict
    if verdict.decided:
        holds = result.survives or not result.adjustment
        return "" if holds else f"After adjustment ({result.adjustment} tests) that does not hold."
    told = f"Inconclusive: {verdict.reason}." if verdict.reason else "Inconclusive."
    if result.detectable is not None:
        return f"{told} {seen(result)}"
    if result.missing_sd:
        return f"{told} What this design would have shown is unknown, as no spread over seeds is declared (seed_sd)."
    return told


def seen(result: "ContrastResult") -> str:
    """What the design would have shown, from the declared spread; empty where that is unknown."""
    if result.detectable is None:
        return ""
    metric, (power, level) = METRICS[result.metric], result.detected_at
    size = number(result.detectable, metric.decimals)
    return (
        f"A true difference of {size} {metric.short} would have been found in {percent(power)} of such studies"
        f" (at the level {level:.3g})."
    )


def _missing(result: "ContrastResult") -> str:
    start = "Step 0, the one start model of all seeds, was read from other runs than"
    told = ((head, runs) for head, runs in (("Left out:", result.lost), (start, result.unread)) if runs)
    return "".join(f" {head} {_runs(runs)}." for head, runs in told)


def _runs(reasons: Mapping[str, str]) -> str:
    """The first six runs with their reasons, and how many more there are."""
    shown = [f"{run} ({why})" for run, why in reasons.items()]
    more = f" and {things(len(shown) - 6, 'more run')}" if len(shown) > 6 else ""
    return f"{'; '.join(shown[:6])}{more}"
