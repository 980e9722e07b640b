"""The frames behind the figures of contrasts: what `analysis.figures` draws of results computed elsewhere."""

from collections.abc import Sequence

import pandas as pd

from analysis.by_scope import ScopeResult
from analysis.collected import Tables
from analysis.combine import POPULATIONS
from analysis.contrast_result import ContrastResult
from analysis.formats import FormatResult
from analysis.metrics import METRICS
from analysis.power_report import power_frame, power_report
from analysis.sentences import verdict_text
from analysis.statistics import MeanInterval

_FOREST = (
    *("contrast", "label", "metric", "unit", "estimate", "low", "high", "low90", "high90", "margin", "family"),
    *("status", "verdict", "population", "level"),
)


def figure_frames(
    tables: Tables,
    results: Sequence[ContrastResult],
    scopes: Sequence[ScopeResult],
    splits: Sequence[FormatResult],
) -> dict[str, pd.DataFrame]:
    """Frames of the figures forest, scopes, formats and power, by name; columns as their modules tell."""
    return {
        "forest": _forest(results),
        "scopes": _scopes(results, scopes),
        "formats": _formats(results, splits),
        "power": _power(tables),
    }


def _forest(results: Sequence[ContrastResult]) -> pd.DataFrame:
    rows = []
    for result in results:
        estimate, low, high = _numbers(result.interval)
        _, low90, high90 = _numbers(result.equivalence)
        rows.append(
            (
                *(result.name, _label(result.labels), result.metric, result.unit, estimate, low, high, low90, high90),
                *(result.margin, result.family, result.standing.status, verdict_text(result)),
                *(POPULATIONS[result.population], 1.0 - result.alpha),
            )
        )
    frame = pd.DataFrame(rows, columns=list(_FOREST))
    return frame if frame["estimate"].notna().any() else frame.iloc[:0]


def _scopes(results: Sequence[ContrastResult], found: Sequence[ScopeResult]) -> pd.DataFrame:
    labels = {result.name: _label(result.labels) for result in results}
    rows = [
        (
            *(each.contrast, each.scope, *_numbers(each.combined.interval), each.lowest),
            *(labels[each.contrast], METRICS[each.metric].unit, 1.0 - each.alpha),
        )
        for each in found
        if each.metric == "accuracy"
    ]
    columns = ["contrast", "scope", "estimate", "low", "high", "worst", "label", "unit", "level"]
    return pd.DataFrame(rows, columns=columns)


def _formats(results: Sequence[ContrastResult], found: Sequence[FormatResult]) -> pd.DataFrame:
    totals = {result.name: result.interval for result in results}
    rows = [
        (
            each.contrast,
            _label(each.labels),
            part,
            *(_numbers(interval) if told or interval is None else (interval.mean, None, None)),
            1.0 - each.alpha,
            each.split.told,
        )
        for each in found
        if each.split is not None
        for part, interval, told in (
            ("now parsed", each.split.now_parsed, True),
            ("now right", each.split.now_right, each.split.told),
            ("total", totals[each.contrast], True),
        )
    ]
    return pd.DataFrame(rows, columns=["contrast", "label", "part", "estimate", "low", "high", "level", "told"])


def _power(tables: Tables) -> pd.DataFrame:
    """Curves of the tests that the study will make, as `ablate power` draws them."""
    study = tables.study
    if not study["power"] or not study["contrasts"]:
        return pd.DataFrame()
    runs = {arm: int((tables.runs["arm"] == arm).sum()) if tables.random(arm) else None for arm in tables.arms}
    return power_frame(power_report(study, runs, len(tables.questions)))


def _label(labels: tuple[str, str]) -> str:
    return f"{labels[0]} − {labels[1]}"


def _numbers(interval: MeanInterval | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if interval is None else (interval.mean, interval.low, interval.high)
