"""The table of the declared contrasts."""

from collections.abc import Sequence

import pandas as pd

from analysis.contrasts import ContrastResult
from analysis.load import Tables
from analysis.metrics import METRICS
from analysis.scores import arm_table
from analysis.statistics import MeanInterval
from analysis.tables import Table, chance_text
from analysis.words import NONE, interval_text, p_text, points

_HEADER = ("contrast", "a", "b", "a − b", "95 % interval", "runs a, b", "df", "p", "margin", "missing", "interval over")


def contrast_table(tables: Tables, results: Sequence[ContrastResult]) -> Table:
    """The declared contrasts."""
    rows = []
    for result in results:
        interval = result.interval
        rows.append(
            (
                result.name,
                *result.labels,
                estimate_text(result),
                interval_text(interval, METRICS[result.metric].decimals),
                f"{result.n_a}, {result.n_b}",
                NONE if interval is None or interval.df is None else f"{interval.df:.4g}",
                p_text(interval),
                NONE if result.margin is None else f"{result.margin:g}",
                f"{result.missing} of {result.planned}",
                result.method if interval is not None else f"none: {result.reason}",
            )
        )
    others = dict.fromkeys(result.metric for result in results if result.metric != "accuracy")
    told = "; ".join(f"{name} in {METRICS[name].unit}s" for name in others)
    footers = (
        f"a − b in percentage points of accuracy{f', or of what stands beside it ({told})' if told else ''}. p is"
        " two-sided against 0. A t interval knows no bounds.",
        f"Missing: planned runs of the two sides that did not enter. {chance_text(arm_table(tables))}",
    )
    frame = pd.DataFrame([_record(result) for result in results], columns=list(_COLUMNS))
    return Table("contrasts", f"{tables.study['title']}: declared contrasts", _HEADER, tuple(rows), footers, frame)


def estimate_text(result: ContrastResult) -> str:
    """The difference; metrics other than accuracy are named."""
    if result.interval is None:
        return NONE
    text = points(result.interval.mean, METRICS[result.metric].decimals)
    return text if result.metric == "accuracy" else f"{text} {result.metric}"


_COLUMNS = (
    *("contrast", "question", "arm_a", "protocol_a", "rule_a", "step_a", "arm_b", "protocol_b", "rule_b", "step_b"),
    *("metric", "pairing", "method", "estimate", "low", "high", "standard_error", "df", "p", "n_a", "n_b", "planned"),
    *("missing", "margin", "unit", "per_seed", "reason", "sentence"),
)


def _record(result: ContrastResult) -> dict[str, object]:
    names = ("question", "metric", "pairing", "method", "n_a", "n_b", "planned", "missing", "margin", "unit", "reason")
    values: dict[str, object] = {name: getattr(result, name) for name in (*names, "sentence")}
    values["contrast"] = result.name
    for side, name in ((result.a, "a"), (result.b, "b")):
        for part in ("arm", "protocol", "rule", "step"):
            values[f"{part}_{name}"] = getattr(side, part)
    values |= interval_numbers(result.interval, "low", "high", "standard_error", "df", "p")
    values["per_seed"] = "; ".join(f"{name}: {value:.4f}" for name, value in result.per_seed.items())
    return values


def interval_numbers(interval: MeanInterval | None, *names: str) -> dict[str, float | None]:
    """The mean as ``estimate``, and what else is asked for of an interval; None without one."""
    if interval is None:
        return dict.fromkeys(("estimate", *names))
    return {"estimate": interval.mean, **{name: getattr(interval, name) for name in names}}
