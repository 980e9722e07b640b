"""The published claims: each beside the contrast that decides it, or beside single runs of the arm that really ran."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.contrast_tables import estimate_text, interval_numbers
from analysis.contrasts import ContrastResult
from analysis.load import Tables
from analysis.metrics import METRICS
from analysis.statistics import PredictionInterval, prediction_interval
from analysis.tables import Table
from analysis.values import Side, declared_side, side_values
from analysis.words import NONE, interval_text, points, range_text

_HEADER = ("claim", "statement", "source", "printed", "held against", "measured", "95 % interval")
_COLUMNS = (
    *("claim", "statement", "source", "direction", "figure", "contrast", "arm", "protocol", "rule", "estimate", "low"),
    *("high", "n", "within", "unit", "untestable", "reason", "note"),
)


@dataclass(frozen=True)
class RanResult:
    """What single runs score of the arm that a printed score really is of."""

    claim: str
    side: Side
    figure: float
    """The printed score, percent."""
    interval: PredictionInterval | None
    """Of one run's accuracy, percent; None without a finished run."""
    planned: int
    reason: str
    """Why there is no score or no interval; empty otherwise."""

    @property
    def within(self) -> bool | None:
        """Whether the printed score lies where a single run is expected; None without an interval."""
        return None if self.interval is None else self.interval.contains(self.figure)


def ran_results(tables: Tables) -> list[RanResult]:
    """For every claim about an arm that was never applied, the runs of the arm that really ran."""
    return [_ran_result(tables, claim) for claim in tables.study["claims"] if claim["ran"]]


def _ran_result(tables: Tables, claim: Mapping[str, Any]) -> RanResult:
    side = declared_side(tables, claim["ran"], "accuracy")
    found = side_values(tables, side, "accuracy")
    factor = METRICS["accuracy"].factor
    scores = [factor * float(run.values["value"].mean()) for run in found.found]
    interval = prediction_interval(scores) if scores else None
    if interval is None:
        reason = f"{side.arm} has no finished run under {side.place}"
    else:
        reason = "" if interval.half_width is not None else "one run shows no spread"
    return RanResult(claim["name"], side, claim["figure"], interval, found.planned, reason)


def claim_table(tables: Tables, results: Sequence[ContrastResult], ran: Sequence[RanResult]) -> Table | None:
    """The published claims with what was printed and what is measured here; None when none are declared."""
    claims: list[dict[str, Any]] = tables.study["claims"]
    if not claims:
        return None
    contrasts, runs = {result.name: result for result in results}, {result.claim: result for result in ran}
    rows, records = [], []
    for claim in claims:
        record: dict[str, object] = {name: claim[name] for name in _COLUMNS if name in claim}
        if claim["ran"]:
            cells, more = _ran_row(runs[claim["name"]])
        elif claim["contrast"]:
            cells, more = _contrast_row(claim, contrasts[claim["contrast"]])
        else:
            cells, more = (_printed(claim), NONE, f"untestable: {claim['untestable']}", NONE), {}
        rows.append((claim["name"], claim["statement"], claim["source"], *cells))
        records.append(record | more | {"claim": claim["name"]})
    title = f"{tables.study['title']}: published claims"
    frame = pd.DataFrame(records, columns=list(_COLUMNS)).astype({"n": "Int64"})
    return Table("claims", title, _HEADER, tuple(rows), tuple(_footers(claims)), frame)


def _footers(claims: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the numbers are, for the kinds of claims that there are, and the claims' notes."""
    told = []
    if any(claim["contrast"] for claim in claims):
        told.append(
            "Held against a contrast: printed and measured are differences a − b; the interval is of the measured."
        )
    if any(claim["ran"] for claim in claims):
        told.append(
            "Held against a run: printed is one run's accuracy in percent, measured the mean over runs of the arm that"
            " really ran, and the interval is where one more run of it falls (m ± t(n−1) s √(1 + 1/n)). A printed score"
            " within is one that a run of that arm may well have."
        )
    return told + [f"{claim['name']}: {claim['note']}" for claim in claims if claim["note"]]


def _contrast_row(claim: Mapping[str, Any], result: ContrastResult) -> tuple[tuple[str, ...], dict[str, object]]:
    decimals = METRICS[result.metric].decimals
    measured = f"none: {result.reason}" if result.interval is None else estimate_text(result)
    cells = (_printed(claim, decimals), result.name, measured, interval_text(result.interval, decimals))
    numbers = interval_numbers(result.interval, "low", "high")
    return cells, {**numbers, "unit": result.unit, "reason": result.reason}


def _ran_row(result: RanResult) -> tuple[tuple[str, ...], dict[str, object]]:
    side, interval = result.side, result.interval
    if interval is None:
        measured = f"none: {result.reason}"
    else:
        measured = f"{interval.mean:.1f}, mean of {interval.n} of {result.planned} runs; {_verdict(result)}"
    cells = (f"{result.figure:.2f}", f"a run of {side.arm} ({side.place})", measured, range_text(interval))
    record = interval_numbers(interval, "low", "high", "n") | {"within": result.within, "unit": "percent"}
    return cells, {**record, "arm": side.arm, "protocol": side.protocol, "rule": side.rule, "reason": result.reason}


def _verdict(result: RanResult) -> str:
    if result.within is None:
        return f"no interval, as {result.reason}"
    lies = "lies within what one run scores" if result.within else "lies outside what one run scores"
    return f"{result.figure:.2f} {lies}"


def _printed(claim: Mapping[str, Any], decimals: int = 0) -> str:
    return claim["direction"] if claim["figure"] is None else points(claim["figure"], max(2, decimals))
