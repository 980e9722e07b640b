"""Power before paying: what each contrast of a study can see with the declared seeds, and the seeds that it needs.

Every contrast stands with the test that the analysis will make of it (`analysis.planned`) at its adjusted level, so
what is promised here is what `analysis.contrasts` will do. Nothing is computed from differences that were observed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.metrics import METRICS
from analysis.planned import (
    PlannedTest,
    Spread,
    asked_questions,
    declared_spread,
    default_difference,
    detectable_effect,
    family_sizes,
    planned_test,
    sides_of,
)
from analysis.statistics import Design, detectable, power_of
from analysis.words import percent, things

__all__ = ["ContrastPower", "Costs", "detectable_effect", "power_frame", "power_report", "summary"]

CURVE_SEEDS = (2, 3, 5, 10)
"""Numbers of seeds that the power curve shows, besides the study's own."""
POINTS = 41
"""Differences on each line of it."""
NO_SD = "no seed SD declared: give seed_sd"


@dataclass(frozen=True)
class Costs:
    """What one more seed of each arm costs, in estimated hours from and to."""

    hours: Mapping[str, tuple[float, float]]
    """By arm; arms without seeds are missing."""
    unit: str
    """``GPU-hour`` or ``CPU-hour``."""
    basis: str
    """Where the estimate is from, in words."""


@dataclass(frozen=True)
class ContrastPower:
    """One contrast before its runs; what can't be computed is None, with the reason."""

    name: str
    metric: str
    test: PlannedTest
    runs: tuple[int | None, ...]
    """Planned on each side; None for an arm without randomness."""
    arms: tuple[str, ...]
    """Those that have seeds, each once."""
    alpha: float
    family: str | None
    family_size: int
    spread: Spread
    questions: int
    """Asked of all sides."""
    target: float
    """Power that is asked for."""
    difference: float | None
    """That power and seeds are for, in the metric's unit."""
    power: float | None
    """Probability that the planned runs show that difference."""
    detectable: float | None
    """Smallest difference that the planned runs show with the power asked for."""
    textbook: float | None
    """The same of Welch's test by the textbook, which knows the spreads to be equal; None for other tests."""
    seeds: int | None
    """Runs of each side with seeds that show the difference with the power asked for."""
    reason: str
    """Why something is missing; empty otherwise."""

    @property
    def adjusted_alpha(self) -> float:
        """Level of the strictest step of Holm's procedure in the family; alpha itself outside of one."""
        return self.alpha / self.family_size

    @property
    def unit(self) -> str:
        return METRICS[self.metric].unit

    @property
    def spread_value(self) -> float | None:
        """What the test works from: the SD over seeds, or the share of discordant questions; None without."""
        if self.reason:
            return None
        return self.spread.discordance if self.test.kind == "questions" else self.spread.sd

    def hours(self, costs: Costs) -> tuple[float, float] | None:
        """Of that many seeds of all its arms, from and to; None where the number isn't known."""
        if self.seeds is None:
            return None
        low, high = (self.seeds * sum(costs.hours[arm][end] for arm in self.arms) for end in (0, 1))
        return low, high


def power_report(
    study: Mapping[str, Any],
    runs: Mapping[str, int | None],
    questions: int,
    *,
    spreads: Mapping[str, Spread] | None = None,
    difference: float | None = None,
    power: float | None = None,
    seed_sd: float | None = None,
    discordance: float | None = None,
) -> list[ContrastPower]:
    """What every declared contrast can see.

    Args:
        study: ``contrasts``, ``arms`` and ``power`` as in ``study.json``.
        runs: planned, by arm; None for an arm without randomness.
        questions: of the benchmark.
        spreads: measured ones by contrast, instead of the declared (`analysis.pilot`).
        difference: in accuracy, in percentage points; the study's when left out. Other metrics take their margin.
        power: asked for; the study's when left out.
        seed_sd: of accuracy, in percentage points, instead of what is declared or measured.
        discordance: share of questions, instead of what is declared or measured.

    Raises:
        ValueError: a number that can't be.
    """
    settings = dict(study["power"])
    settings |= {} if difference is None else {"difference": difference}
    settings |= {} if power is None else {"power": power}
    curve = {arm["name"]: arm["curve_questions"] for arm in study["arms"]}
    sizes = family_sizes(study["contrasts"])
    rows = []
    for contrast in study["contrasts"]:
        spread = (spreads or {}).get(contrast["name"]) or declared_spread(contrast, settings)
        if contrast["metric"] == "accuracy" and seed_sd is not None:
            spread = replace(spread, sd=seed_sd, sd_from="given")
        if discordance is not None:
            spread = replace(spread, discordance=discordance, discordance_from="given")
        # step 0 is the start model, the same for every seed
        ns = [None if side["step"] == 0 else runs[side["arm"]] for side in sides_of(contrast)]
        asked = asked_questions(contrast, curve, questions)
        rows.append(_contrast_power(contrast, ns, settings, sizes[contrast["name"]], asked, spread))
    return rows


def _contrast_power(
    contrast: Mapping[str, Any],
    ns: Sequence[int | None],
    settings: Mapping[str, Any],
    family_size: int,
    questions: int,
    spread: Spread,
) -> ContrastPower:
    test, alpha = planned_test(contrast, ns), contrast["alpha"] / family_size
    wanted, difference = settings["power"], default_difference(contrast, settings)
    sides = sides_of(contrast)
    reason = test.reason
    if not reason and test.kind != "questions" and spread.sd is None:
        reason = NO_SD
    possible = difference is not None and not (test.kind == "questions" and difference > 100.0 * spread.discordance)
    return ContrastPower(
        name=contrast["name"],
        metric=contrast["metric"],
        test=test,
        runs=tuple(ns),
        arms=tuple(dict.fromkeys(side["arm"] for side, n in zip(sides, ns, strict=True) if n is not None)),
        alpha=contrast["alpha"],
        family=contrast["family"],
        family_size=family_size,
        spread=spread,
        questions=questions,
        target=wanted,
        difference=difference,
        power=test.power(difference, spread, alpha, questions) if possible and difference is not None else None,
        detectable=test.detectable(spread, alpha, wanted, questions),
        textbook=test.detectable(spread, alpha, wanted, questions, False) if test.kind == "welch" else None,
        seeds=None if difference is None else test.seeds_needed(difference, spread, alpha, wanted),
        reason=reason,
    )


def power_frame(rows: Sequence[ContrastPower], most_own: int = 3) -> pd.DataFrame:
    """Power against the true difference in accuracy, for 2, 3, 5 and 10 seeds and the study's own numbers.

    Of the contrasts with one kind of test, the one that needs the largest difference stands for all: the same test at
    the strictest level with the largest SD.

    Args:
        most_own: so many of the study's own numbers of seeds are shown.

    Returns:
        Columns seeds (of each side that has some), difference (percentage points), power (0 to 1), sd (percentage
        points), test (with its level), own (the study's own number of seeds), target (power that is asked for). No rows
        where no contrast has an SD.
    """
    hardest: dict[str, ContrastPower] = {}
    for row in rows:
        usable = row.metric == "accuracy" and row.test.coefficients and row.spread.sd is not None
        if usable and row.test.kind in ("welch", "paired", "constant"):
            other = hardest.get(row.test.name)
            if other is None or _reach(row) > _reach(other):
                hardest[row.test.name] = row
    made = []
    for name, row in hardest.items():
        sd, alpha = row.spread.sd or 0.0, row.adjusted_alpha
        own = sorted(set(row.test.ns))[:most_own]
        widest = detectable(_design(row, 3), sd, alpha, 0.95, estimated_df=True) or 0.0
        label = f"{name}, α {alpha:.3g}"
        for seeds in sorted({*CURVE_SEEDS, *own}):
            design = _design(row, seeds)
            for difference in map(float, np.linspace(0.0, widest, POINTS)):
                power = power_of(design, difference, sd, alpha, estimated_df=True)
                made.append((seeds, difference, power, sd, label, seeds in own, row.target))
    return pd.DataFrame(made, columns=["seeds", "difference", "power", "sd", "test", "own", "target"])


def _design(row: ContrastPower, seeds: int) -> Design:
    return row.test.design(row.spread.correlation, seeds)


def _reach(row: ContrastPower) -> float:
    """What three seeds can see."""
    found = detectable(_design(row, 3), row.spread.sd or 0.0, row.adjusted_alpha, row.target, estimated_df=True)
    return found or 0.0


def summary(rows: Sequence[ContrastPower]) -> str:
    """One sentence: how many contrasts the planned runs are enough for."""
    judged = [row for row in rows if row.power is not None]
    enough = [row for row in judged if row.power is not None and row.power >= row.target]
    return (
        f"{len(enough)} of {things(len(judged), 'contrast')} with a known spread"
        f" reach a power of {percent(rows[0].target)} for their difference."
        if judged
        else f"No contrast has a known spread: {NO_SD}."
    )
