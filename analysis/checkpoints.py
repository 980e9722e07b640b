"""Which checkpoint of a training a comparison is about: the last, the best on a held-out half, the mean of the last k.

``last``
    the final checkpoint, on all questions.
``best_half``
    of the checkpoints of the curve, the one with the highest accuracy on the questions of every other image (the
    earliest of equals), scored on the questions of the remaining images. Choosing and scoring on the same questions
    would count luck as skill.
``mean_last``
    the mean over the last k checkpoints of the curve, question by question.

The last two know only what the checkpoints of the curve were asked. A side without training is its one checkpoint.
"""

from collections.abc import Callable, Collection

import numpy as np
import pandas as pd

from analysis.load import Tables
from analysis.metrics import METRICS
from analysis.values import BEST_HALF, FAILED_CHECKS, LAST, Side, SideValues, side_values, whole_runs


def checkpoint_values(
    tables: Tables,
    side: Side,
    metric: str,
    rule: str = LAST,
    last_k: int = 3,
    exclusions: Collection[str] = (FAILED_CHECKS,),
) -> SideValues:
    """Values of all runs of a side under a checkpoint rule.

    Args:
        rule: ``last``, ``best_half`` or ``mean_last``.
        last_k: checkpoints that ``mean_last`` is over; all where a run has fewer.
    """
    if rule == LAST or side.step is not None:
        return side_values(tables, side, metric, exclusions)
    held_out = tables.images % 2 == 1
    if not tables.curve_questions(side.arm):
        values = side_values(tables, side, metric, exclusions)
        return values if rule != BEST_HALF else values.map(lambda run: run.cut(np.flatnonzero(held_out)))
    choose = _best(held_out) if rule == BEST_HALF else _mean_last(last_k)

    def read(run: str) -> tuple[np.ndarray, np.ndarray]:
        return _curve(tables, side, metric, run, choose)

    expected = tables.curve_questions(side.arm)
    whole = whole_runs(tables, side.arm, expected, f"{side.place} over the curve", exclusions, read)
    return whole if rule != BEST_HALF else whole.map(lambda run: run.cut(np.flatnonzero(held_out)))


def on_curve_questions(tables: Tables, side: Side, values: SideValues) -> SideValues:
    """Final values on the questions that the curve's checkpoints were asked, for comparisons with them."""
    asked = _asked(tables, side)
    return values if asked is None else values.map(lambda run: run.cut(asked))


def _asked(tables: Tables, side: Side) -> np.ndarray | None:
    for run in tables.runs.loc[tables.runs["arm"] == side.arm, "run"]:
        rows = tables.rows("answers", run, "curve", None, side.protocol)
        if len(rows):
            return np.unique(rows["position"].to_numpy())
    return None


Choose = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From positions (n,) and values (steps, n) to one value for each question (n,)."""


def _best(held_out: np.ndarray) -> Choose:
    def choose(position: np.ndarray, values: np.ndarray) -> np.ndarray:
        chosen_on = ~held_out[position]
        if not chosen_on.any():
            return values[-1]
        return values[int(values[:, chosen_on].mean(axis=1).argmax())]

    return choose


def _mean_last(k: int) -> Choose:
    return lambda position, values: values[-k:].mean(axis=0)


def _curve(tables: Tables, side: Side, metric: str, run: str, choose: Choose) -> tuple[np.ndarray, np.ndarray]:
    """Positions and chosen values of one run; nothing where a checkpoint lacks questions that another has."""
    measured = METRICS[metric]
    rows: pd.DataFrame = tables.rows(measured.table, run, "curve", None, side.protocol)
    if side.rule is not None and measured.table == "answers":
        rows = rows[rows["rule"] == side.rule]
    if rows.empty:
        return np.arange(0), np.zeros(0)
    values = rows[measured.column].astype(float)
    values = values if measured.empty is None else values.fillna(measured.empty)
    table = pd.DataFrame({"step": rows["step"], "position": rows["position"], "value": values})
    wide = table.pivot(index="step", columns="position", values="value").sort_index().dropna(axis=1)
    position = wide.columns.to_numpy()
    return position, choose(position, wide.to_numpy())
