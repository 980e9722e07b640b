"""The values that a contrast compares: one number for every question of every run of a side.

A run that lacks any question that it should have been asked counts as lost, with its reason, and so does one that the
contrast's exclusions leave out: nothing is dropped by joining what happens to be there.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.collected import Tables
from analysis.metrics import METRICS

FAILED_CHECKS = "failed_checks"
"""The exclusion of runs that failed a manipulation check."""
LAST, BEST_HALF, MEAN_LAST = "last", "best_half", "mean_last"
"""Checkpoint rules; see `analysis.checkpoints`."""


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


def declared_side(tables: Tables, declared: Mapping[str, Any], metric: str) -> Side:
    """A side as ``study.json`` has it."""
    protocol = declared["protocol"]
    rule = declared["rule"] if metric == "accuracy" else None
    return Side(declared["arm"], protocol, rule, protocol == tables.own_protocol(declared["arm"]), declared["step"])


@dataclass(frozen=True)
class RunValues:
    """Values of one run's checkpoint."""

    run: str
    seed: int | None
    """None for an arm without randomness."""
    position: np.ndarray
    """Rows of ``tables.questions``, ascending, shape (n,)."""
    values: np.ndarray
    """The metric's column, not yet in its unit, shape (n,)."""

    def cut(self, position: np.ndarray) -> "RunValues":
        """The same on some of its questions (ascending rows of ``tables.questions``)."""
        if np.array_equal(position, self.position):
            return self
        chosen = np.isin(self.position, position, assume_unique=True)
        return replace(self, position=self.position[chosen], values=self.values[chosen])


@dataclass(frozen=True)
class SideValues:
    """What a side has: whole runs, and every run that is lost with its reason."""

    found: tuple[RunValues, ...]
    lost: dict[str, str]
    """Why a planned run has no values, by run id."""
    excluded: dict[str, str]
    """Those of the lost that have values but are left out on purpose."""
    planned: int
    random: bool
    """Whether the arm has seeds; one without is a single run and a known constant."""
    unread: dict[str, str] = field(default_factory=dict)
    """Of a start model, which is one under every seed: the runs that it could not be read from, with the reason. None
    of it is lost by that as long as it was read from another."""

    @property
    def position(self) -> np.ndarray:
        """Questions that all its runs have, ascending."""
        shared = self.found[0].position
        for run in self.found[1:]:
            if not np.array_equal(shared, run.position):
                shared = np.intersect1d(shared, run.position, assume_unique=True)
        return shared

    def cut(self, position: np.ndarray) -> "SideValues":
        """The same on some of the questions."""
        return replace(self, found=tuple(run.cut(position) for run in self.found))

    def matrix(self) -> np.ndarray:
        """Values of all runs, shape (runs, questions)."""
        return np.stack([run.values for run in self.found])

    def map(self, change: Callable[[RunValues], RunValues]) -> "SideValues":
        """The same with every run's values changed."""
        return replace(self, found=tuple(change(run) for run in self.found))


def side_values(
    tables: Tables, side: Side, metric: str, exclusions: Collection[str] = (FAILED_CHECKS,), column: str | None = None
) -> SideValues:
    """Values of all runs of a side.

    Args:
        exclusions: which runs to leave out though they have values: ``failed_checks``.
        column: another column of the metric's table than the metric's own, such as ``status``.

    Raises:
        KeyError: there is no such metric.
    """
    measured = METRICS[metric]
    phase = "final" if side.step is None else "curve"
    expected = len(tables.questions) if side.step is None else tables.curve_questions(side.arm)

    def read(run: str) -> tuple[np.ndarray, np.ndarray]:
        return run_column(tables, measured.table, run, phase, side, column or measured.column, measured.empty)

    return whole_runs(tables, side.arm, expected, side.place, exclusions, read)


def run_column(
    tables: Tables, table: str, run: str, phase: str, side: Side, column: str, empty: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and values of one run's evaluation; of the last checkpoint where ``side.step`` is None."""
    rows = tables.rows(table, run, phase, side.step, side.protocol)
    if column not in rows:  # frames of somebody's own may lack what nobody asked for
        return np.arange(0), np.zeros(0)
    if side.rule is not None and table == "answers":
        rows = rows[rows["rule"] == side.rule]
    values = rows[column]
    if not isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(float)
        values = values if empty is None else values.fillna(empty)
    position = rows["position"].to_numpy()
    # suites and questions are sorted alike here and there, so this changes nothing unless rows come from elsewhere
    order = np.argsort(position, kind="stable")
    return position[order], np.asarray(values)[order]


def whole_runs(
    tables: Tables,
    arm: str,
    expected: int,
    place: str,
    exclusions: Collection[str],
    read: Callable[[str], tuple[np.ndarray, np.ndarray] | str],
) -> SideValues:
    """Values of every planned run of an arm.

    Args:
        expected: questions that each run should have.
        place: what the values are of, for the reasons.
        read: positions and values of a run by its id, or why it has none.
    """
    runs = tables.runs[tables.runs["arm"] == arm].sort_values(["seed", "run"], na_position="first")
    found: list[RunValues] = []
    lost: dict[str, str] = {}
    excluded: dict[str, str] = {}
    for run, seed, state, reason in zip(runs["run"], runs["seed"], runs["state"], runs["reason"], strict=True):
        got = read(run)
        position, values = (np.arange(0), np.zeros(0)) if isinstance(got, str) else got
        failed = tables.failed_checks.get(run, "") if FAILED_CHECKS in exclusions else ""
        if failed:
            excluded[run] = lost[run] = f"excluded: {failed}"
        elif not len(position):
            told = f": {reason}" if isinstance(reason, str) and reason else ""
            why = got if isinstance(got, str) and got else f"no answers under {place}"
            lost[run] = why if state == "done" else f"{state}{told}"
        elif len(np.unique(position)) < len(position):
            lost[run] = f"answers of several checkpoints under {place}"
        elif len(position) < expected:
            lost[run] = f"{len(position)} of {expected} questions answered{_which(tables, position, expected)}"
        elif not _finite(values):
            lost[run] = f"{int(np.sum(~np.isfinite(values)))} of {expected} values are missing under {place}"
        else:
            found.append(RunValues(run, None if pd.isna(seed) else int(seed), position, values))
    return SideValues(tuple(found), lost, excluded, planned=len(runs), random=tables.random(arm))


def _finite(values: np.ndarray) -> bool:
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def _which(tables: Tables, position: np.ndarray, expected: int) -> str:
    """The first questions that a run lacks, where it should have all."""
    if expected < len(tables.questions):
        return ""
    lacking = np.setdiff1d(np.arange(expected), position)[:3]
    names = ", ".join(str(number) for number in tables.questions["question"].iloc[lacking])
    return f" (first without an answer: {names})"
