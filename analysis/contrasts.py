"""The comparisons that the study declared, each with the interval that fits its sides."""

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from analysis.load import Tables
from analysis.metrics import METRICS
from analysis.sentences import sentence
from analysis.statistics import (
    MeanInterval,
    clustered_interval,
    mean_interval,
    paired_interval,
    welch_interval,
)
from analysis.values import RunValues, Side, SideValues, declared_side, side_values


@dataclass(frozen=True)
class ContrastResult:
    """A contrast and what came of it; whatever could not be computed is None, with the reason."""

    name: str
    question: str
    a: Side
    b: Side
    metric: str
    pairing: str
    margin: float | None
    method: str
    """The interval that was computed; ``none`` without an estimate."""
    interval: MeanInterval | None
    """Of a minus b, in the metric's unit."""
    per_seed: dict[str, float]
    """Question-paired difference of each seed (or of the two checkpoints)."""
    n_a: int
    """Runs of side a that entered."""
    n_b: int
    planned: int
    """Runs planned on both sides together."""
    lost: dict[str, str]
    """Runs that did not enter, with the reason."""
    population: str
    """What the estimate speaks about."""
    reason: str
    """Why there is no estimate or no interval; empty otherwise."""
    sentence: str = ""

    @property
    def unit(self) -> str:
        """Unit of estimate, interval and margin."""
        return METRICS[self.metric].unit

    @property
    def missing(self) -> int:
        """Planned runs of the two sides that did not enter."""
        return len(self.lost)

    @property
    def labels(self) -> tuple[str, str]:
        """Short names of the sides: the arm, and whatever is not its default or differs between the sides."""
        same_arm, other_rule = self.a.arm == self.b.arm, self.a.rule != self.b.rule
        other_step = self.a.step != self.b.step
        shown = []
        for side in (self.a, self.b):
            parts = [] if side.own and (other_step or not same_arm) else [side.protocol]
            parts += [side.rule] if other_rule and side.rule else []
            if side.step is not None:
                parts.append(f"step {side.step}")
            elif other_step and same_arm:
                parts.append("last step")
            shown.append(side.arm + (f" ({', '.join(parts)})" if parts else ""))
        return shown[0], shown[1]


def contrasts(tables: Tables) -> list[ContrastResult]:
    """Results of all declared contrasts in the order of the study; missing data give a reason."""
    return [contrast(tables, declared) for declared in tables.study["contrasts"]]


def contrast(tables: Tables, declared: dict[str, Any]) -> ContrastResult:
    """Result of one declared contrast.

    Differences are paired by question within a pair of runs. The interval is over seeds: of the paired seeds
    where pairing is ``seed``, Welch's where it is ``none``, and of the seeds of the one side that has any
    where the other is a single run. Where both sides come down to one run each, it is over questions,
    clustered by image, and speaks about these two checkpoints only.
    """
    a, b = (declared_side(tables, declared[side], declared["metric"]) for side in ("a", "b"))
    found_a, found_b = (side_values(tables, side, declared["metric"]) for side in (a, b))
    blank = ContrastResult(
        name=declared["name"],
        question=declared["question"],
        a=a,
        b=b,
        metric=declared["metric"],
        pairing=declared["pairing"],
        margin=declared["margin"],
        method="none",
        interval=None,
        per_seed={},
        n_a=0,
        n_b=0,
        planned=found_a.planned + found_b.planned,
        lost=_lost(a, found_a, b, found_b),
        population="",
        reason="",
    )
    result = _result(blank, found_a, found_b)
    return replace(result, sentence=sentence(result))


def _result(blank: ContrastResult, a: SideValues, b: SideValues) -> ContrastResult:
    for side, found in ((blank.a, a), (blank.b, b)):
        if not found.found:
            return replace(blank, reason=f"{side.arm} has no finished run under {side.place}")
    common = set.intersection(*(set(each.values["question"]) for each in (*a.found, *b.found)))
    if not common:
        return replace(blank, reason="the two sides have no question in common")
    a, b = a.cut(common), b.cut(common)
    # An arm without randomness is one run of seed None; it stands against every seed of the other side.
    fixed_a, fixed_b = a.found[0].seed is None, b.found[0].seed is None
    on = f"these {len(common)}"
    if not fixed_a and not fixed_b and blank.pairing == "seed":
        return _paired(blank, a, b, on)
    if len(a.found) == 1 and len(b.found) == 1:
        return _checkpoints(blank, a.found[0], b.found[0], on)
    if fixed_a or fixed_b:
        return _against_one(blank, a, b, fixed_a, on)
    factor = METRICS[blank.metric].factor
    first, second = ([factor * float(run.values["value"].mean()) for run in side.found] for side in (a, b))
    interval = welch_interval(first, second)
    return replace(
        blank,
        method="Welch t over unpaired seeds",
        interval=interval,
        n_a=len(first),
        n_b=len(second),
        population=f"on average over {len(first)} and {len(second)} unpaired seeds, on {on} questions",
        reason="" if interval.half_width is not None else "a side with one seed shows no spread",
    )


def _paired(blank: ContrastResult, a: SideValues, b: SideValues, on: str) -> ContrastResult:
    by_seed_a = {final.seed: final for final in a.found}
    by_seed_b = {final.seed: final for final in b.found}
    common = [seed for seed in by_seed_a if seed in by_seed_b]
    unpaired = {
        final.run: f"seed {final.seed} is not finished in {other}"
        for found, partner, other in ((a.found, by_seed_b, blank.b.arm), (b.found, by_seed_a, blank.a.arm))
        for final in found
        if final.seed not in partner
    }
    blank = replace(blank, lost=blank.lost | unpaired)
    if not common:
        return replace(blank, reason="the two sides have no finished seed in common")
    if len(common) == 1:
        return _checkpoints(blank, by_seed_a[common[0]], by_seed_b[common[0]], on)
    pairs = {seed: _difference(by_seed_a[seed], by_seed_b[seed], blank.metric) for seed in common}
    return replace(
        blank,
        method="t over seed-paired differences",
        interval=paired_interval(pairs, dict.fromkeys(pairs, 0.0)),
        per_seed={f"seed={seed}": value for seed, value in pairs.items()},
        n_a=len(common),
        n_b=len(common),
        population=f"on average over {len(common)} seeds paired by seed, on {on} questions",
    )


def _against_one(blank: ContrastResult, a: SideValues, b: SideValues, fixed_a: bool, on: str) -> ContrastResult:
    many = b if fixed_a else a
    fixed, random = (blank.a.arm, blank.b.arm) if fixed_a else (blank.b.arm, blank.a.arm)
    values = {
        f"seed={run.seed}": _difference(a.found[0] if fixed_a else run, run if fixed_a else b.found[0], blank.metric)
        for run in many.found
    }
    return replace(
        blank,
        method="t over seeds against one run",
        interval=mean_interval(list(values.values())),
        per_seed=values,
        n_a=len(a.found),
        n_b=len(b.found),
        population=f"on average over {len(values)} seeds of {random} against the one {fixed}, on {on} questions",
    )


def _checkpoints(blank: ContrastResult, a: RunValues, b: RunValues, on: str) -> ContrastResult:
    merged = _merge(a, b)
    differences = METRICS[blank.metric].factor * (merged["value_a"] - merged["value_b"])
    interval = clustered_interval(differences.to_numpy(), merged["image"].tolist())
    return replace(
        blank,
        method="t over questions, clustered by image",
        interval=interval,
        per_seed={"checkpoints" if a.seed is None and b.seed is None else f"seed={_seed(a, b)}": interval.mean},
        n_a=1,
        n_b=1,
        population=(
            f"which speaks about these two checkpoints only ({a.run} and {b.run}) and not about"
            f" other seeds, on questions like {on}"
        ),
        reason="" if interval.half_width is not None else "all questions share one image",
    )


def _lost(a: Side, found_a: SideValues, b: Side, found_b: SideValues) -> dict[str, str]:
    if a.arm != b.arm:
        return found_a.lost | found_b.lost
    # One arm under two protocols, rules or steps: a run can be lost on either side or on both.
    return {
        f"{run} under {side.place}": why
        for side, found in ((a, found_a), (b, found_b))
        for run, why in found.lost.items()
    }


def _seed(a: RunValues, b: RunValues) -> int | None:
    return a.seed if a.seed is not None else b.seed


def _difference(a: RunValues, b: RunValues, metric: str) -> float:
    """Question-paired difference of two runs in the metric's unit."""
    merged = _merge(a, b)
    return METRICS[metric].factor * float(merged["value_a"].sum() - merged["value_b"].sum()) / len(merged)


def _merge(a: RunValues, b: RunValues) -> pd.DataFrame:
    other = b.values[["question", "value"]]
    return a.values.merge(other, on="question", suffixes=("_a", "_b"), validate="one_to_one")
