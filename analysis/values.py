"""The values that a contrast compares: one number for every question of every run of a side."""

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from analysis.load import Tables
from analysis.metrics import METRICS
from analysis.scores import whole_runs


@dataclass(frozen=True)
class Side:
    """One side of a contrast, fully resolved."""

    arm: str
    protocol: str
    rule: str | None
    """Scoring rule; None where the metric needs none."""
    own: bool
    """The protocol is the arm's own."""
    step: int | None = None
    """A checkpoint of the curve; None for the last on all questions."""

    @property
    def place(self) -> str:
        """``protocol/rule``, and the step where there is one."""
        shown = f"{self.protocol}/{self.rule}" if self.rule else self.protocol
        return shown if self.step is None else f"{shown} at step {self.step}"


def declared_side(tables: Tables, declared: dict[str, Any], metric: str) -> Side:
    """A side as ``study.json`` has it."""
    protocol = declared["protocol"]
    rule = declared["rule"] if metric == "accuracy" else None
    return Side(declared["arm"], protocol, rule, protocol == tables.own_protocol(declared["arm"]), declared["step"])


@dataclass(frozen=True)
class RunValues:
    """Values of one run."""

    run: str
    seed: int | None
    """None for an arm without randomness."""
    values: pd.DataFrame
    """Columns question, image, value (the metric's column, not yet in its unit)."""


@dataclass(frozen=True)
class SideValues:
    """What a side has: whole runs, and every run that is lost with its reason."""

    found: tuple[RunValues, ...]
    lost: dict[str, str]
    planned: int

    def cut(self, questions: set[int]) -> "SideValues":
        """The same on some of the questions."""
        found = [replace(each, values=each.values[each.values["question"].isin(questions)]) for each in self.found]
        return replace(self, found=tuple(found))


def side_values(tables: Tables, side: Side, metric: str) -> SideValues:
    """Values of all runs of a side; a run that lacks any question that it should have been asked counts as lost.

    Raises:
        KeyError: there is no such metric.
    """
    measured = METRICS[metric]
    table: pd.DataFrame = getattr(tables, measured.table)
    chosen = table[(table["arm"] == side.arm) & (table["protocol"] == side.protocol)]
    if side.step is None:
        chosen, expected = chosen[chosen["phase"] == "final"], len(tables.questions)
    else:
        chosen = chosen[(chosen["phase"] == "curve") & (chosen["step"] == side.step)]
        expected = tables.curve_questions(side.arm)
    if side.rule is not None:
        chosen = chosen[chosen["rule"] == side.rule]
    images = tables.questions.set_index("question")["image"]
    values = chosen[measured.column].astype(float)
    if measured.empty is not None:
        values = values.fillna(measured.empty)
    frame = chosen.assign(value=values, image=chosen["question"].map(images))
    whole = whole_runs(tables, side.arm, frame, expected, side.place)
    columns = ["question", "image", "value"]
    found = tuple(RunValues(run, seed, rows[columns]) for run, seed, rows in whole.found)
    return SideValues(found, whole.lost, whole.planned)
