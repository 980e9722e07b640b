"""The tables of the declared contrasts and of the published claims that they are held against."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.contrasts import ContrastResult
from analysis.load import Tables
from analysis.metrics import METRICS
from analysis.scores import arm_table
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
                _estimate(result),
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


def claim_table(tables: Tables, results: Sequence[ContrastResult]) -> Table | None:
    """The published claims with the printed difference and the one measured here; None when none are declared."""
    claims: list[dict[str, Any]] = tables.study["claims"]
    if not claims:
        return None
    by_name = {result.name: result for result in results}
    rows, records = [], []
    for claim in claims:
        result = by_name.get(claim["contrast"])
        rows.append(
            (
                claim["name"],
                claim["statement"],
                claim["source"],
                _printed(claim, result),
                NONE if result is None else result.name,
                f"untestable: {claim['untestable']}" if result is None else _estimate(result, told=True),
                NONE if result is None else interval_text(result.interval, METRICS[result.metric].decimals),
            )
        )
        records.append(_claim_record(claim, result))
    footers = [f"{claim['name']}: {claim['note']}" for claim in claims if claim["note"]]
    header = ("claim", "statement", "source", "printed", "contrast", "measured a − b", "95 % interval")
    title = f"{tables.study['title']}: published claims"
    frame = pd.DataFrame(records, columns=list(_CLAIM_COLUMNS))
    return Table("claims", title, header, tuple(rows), tuple(footers), frame)


def _estimate(result: ContrastResult, told: bool = False) -> str:
    """The difference; metrics other than accuracy are named."""
    if result.interval is None:
        return f"none: {result.reason}" if told else NONE
    text = points(result.interval.mean, METRICS[result.metric].decimals)
    return text if result.metric == "accuracy" else f"{text} {result.metric}"


def _printed(claim: Mapping[str, Any], result: ContrastResult | None) -> str:
    if claim["figure"] is None:
        return claim["direction"]
    decimals = 2 if result is None else max(2, METRICS[result.metric].decimals)
    return points(claim["figure"], decimals)


_COLUMNS = (
    *("contrast", "question", "arm_a", "protocol_a", "rule_a", "step_a", "arm_b", "protocol_b", "rule_b", "step_b"),
    *("metric", "pairing", "method", "estimate", "low", "high", "standard_error", "df", "p", "n_a", "n_b", "planned"),
    *("missing", "margin", "unit", "per_seed", "reason", "sentence"),
)
_CLAIM_COLUMNS = (
    *("claim", "statement", "source", "direction", "figure", "contrast", "estimate", "low", "high", "unit"),
    *("untestable", "reason", "note"),
)


def _record(result: ContrastResult) -> dict[str, object]:
    names = ("question", "metric", "pairing", "method", "n_a", "n_b", "planned", "missing", "margin", "unit", "reason")
    values: dict[str, object] = {name: getattr(result, name) for name in (*names, "sentence")}
    values["contrast"] = result.name
    for side, name in ((result.a, "a"), (result.b, "b")):
        for part in ("arm", "protocol", "rule", "step"):
            values[f"{part}_{name}"] = getattr(side, part)
    values |= _numbers(result, "low", "high", "standard_error", "df", "p")
    values["per_seed"] = "; ".join(f"{name}: {value:.4f}" for name, value in result.per_seed.items())
    return values


def _claim_record(claim: Mapping[str, Any], result: ContrastResult | None) -> dict[str, object]:
    values: dict[str, object] = {name: claim[name] for name in _CLAIM_COLUMNS if name in claim}
    values["claim"] = claim["name"]
    if result is None:
        return values
    return values | _numbers(result, "low", "high") | {"unit": result.unit, "reason": result.reason}


def _numbers(result: ContrastResult, *names: str) -> dict[str, float | None]:
    """The estimate, and what else is asked for of its interval; None without one."""
    interval = result.interval
    if interval is None:
        return dict.fromkeys(("estimate", *names))
    return {"estimate": interval.mean, **{name: getattr(interval, name) for name in names}}
