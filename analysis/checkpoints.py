"""Which checkpoint of a training a comparison is about: the last, the best on a held-out half, the mean of the last k.

``last``
    the final checkpoint, on all questions.
``best_half``
    of the checkpoints of the curve but its start, the one with the highest accuracy on the questions of every other
    image (the earliest of equals), on the questions of the remaining images. Choosing and scoring on the same questions
    would count luck as skill.
``mean_last``
    the mean over the last k checkpoints of the curve but its start, question by question.

The last two know only what the checkpoints of the curve were asked. A side without training is its one checkpoint, and
so is step 0: the same start model for every seed.
"""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.collected import Tables
from analysis.metrics import METRICS
from analysis.values import BEST_HALF, FAILED_CHECKS, LAST, MEAN_LAST, Side, SideValues, side_values, whole_runs

CHECKPOINT_RULES = (LAST, BEST_HALF, MEAN_LAST)


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
        last_k: checkpoints that ``mean_last`` is over; all where there are fewer.

    Raises:
        ValueError: there is no such rule.
    """
    if rule not in CHECKPOINT_RULES:
        raise ValueError(f"no checkpoint rule {rule!r}; there are {', '.join(CHECKPOINT_RULES)}")
    if rule == LAST or side.step is not None:
        found = side_values(tables, side, metric, exclusions)
        return _start_model(tables, side, found) if side.step == 0 else found
    held_out = np.flatnonzero(_held_out(tables))
    if not tables.curve_questions(side.arm):
        values = side_values(tables, side, metric, exclusions)
        return values if rule != BEST_HALF else values.map(lambda run: run.cut(held_out))
    planned = tables.arm(side.arm).get("checkpoints")
    steps = {step for step in (planned or _steps(tables, side)) if step > 0}

    def read(run: str) -> tuple[np.ndarray, np.ndarray] | str:
        own = _steps(tables, side, [run])
        if not own:
            return ""
        if not steps:
            return "no checkpoint after the start"
        if lacking := sorted(steps - own):
            return f"no checkpoint after step {', '.join(map(str, lacking))}"
        if rule == BEST_HALF:
            best = best_step(tables, side, run)
            if best is None:
                return "no question to choose a checkpoint on, of the images that are for choosing"
            return _mean_of(tables, side, metric, run, [best])
        chosen = sorted(steps)[-last_k:]
        return _mean_of(tables, side, metric, run, chosen)

    expected = tables.curve_questions(side.arm)
    whole = whole_runs(tables, side.arm, expected, f"{side.place} over the curve", exclusions, read)
    return whole if rule != BEST_HALF else whole.map(lambda run: run.cut(held_out))


def best_step(tables: Tables, side: Side, run: str) -> int | None:
    """The step that ``best_half`` chooses for a run: by accuracy, as the side's rule (or the one that decides) reads
    it. None where no question of the choosing half was answered at every checkpoint."""
    accuracy = replace(side, rule=side.rule or tables.rules_of(side.protocol)[0])
    wide = _wide(tables, accuracy, "accuracy", run)
    wide = wide[wide.index > 0]
    chosen_on = ~_held_out(tables)[wide.columns.to_numpy(dtype=int)]
    if not len(wide) or not chosen_on.any():
        return None
    return int(wide.index[int(wide.to_numpy()[:, chosen_on].mean(axis=1).argmax())])


def on_curve_questions(tables: Tables, side: Side, values: SideValues, held_out: bool = False) -> SideValues:
    """Final values on the questions that the curve's checkpoints were asked, for comparisons with them.

    Args:
        held_out: on the half that ``best_half`` is scored on.
    """
    asked = _asked(tables, side)
    if held_out:
        kept = np.flatnonzero(_held_out(tables))
        asked = kept if asked is None else np.intersect1d(asked, kept)
    return values if asked is None else values.map(lambda run: run.cut(asked))


def _start_model(tables: Tables, side: Side, values: SideValues) -> SideValues:
    """The start model: one checkpoint under every seed, and so one run and a known constant.

    Unless the seeds start from different models, by the runs' ``start_stage`` where that is known and by their answers.
    """
    found = values.found
    runs = tables.runs[tables.runs["arm"] == side.arm]
    known = "start_stage" in runs and bool(runs["start_stage"].notna().all())
    same = runs["start_stage"].nunique() == 1 if known else len(found) > 1
    if not found or not same or not all(np.array_equal(found[0].values, run.values) for run in found):
        return values
    one = (replace(found[0], seed=None),)
    return replace(values, found=one, lost={}, excluded={}, planned=1, random=False, unread=values.lost)


def _held_out(tables: Tables) -> np.ndarray:
    return tables.layout.images % 2 == 1


def _asked(tables: Tables, side: Side) -> np.ndarray | None:
    for run in tables.runs.loc[tables.runs["arm"] == side.arm, "run"]:
        rows = tables.rows("answers", run, "curve", None, side.protocol)
        if len(rows):
            return np.unique(rows["position"].to_numpy())
    return None


def _steps(tables: Tables, side: Side, runs: Collection[str] | None = None) -> set[int]:
    """Checkpoints of the curve that any of the runs (all of the arm's) has."""
    if runs is None:
        runs = list(tables.runs.loc[tables.runs["arm"] == side.arm, "run"])
    return {
        int(step)
        for run in runs
        for step in np.unique(tables.rows("answers", run, "curve", None, side.protocol)["step"].to_numpy())
    }


def _mean_of(
    tables: Tables, side: Side, metric: str, run: str, steps: Collection[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and values of one run, the mean over some of its checkpoints; only questions that each of them has."""
    wide = _wide(tables, side, metric, run)
    if not set(steps) <= set(wide.index):  # the metric wasn't measured there, or not by this rule
        return np.arange(0), np.zeros(0)
    return wide.columns.to_numpy(), wide.loc[list(steps)].to_numpy().mean(axis=0)


def _wide(tables: Tables, side: Side, metric: str, run: str) -> pd.DataFrame:
    """Values of a run's curve, a row for each step, a column for each question that all of them have."""
    measured = METRICS[metric]
    rows: pd.DataFrame = tables.rows(measured.table, run, "curve", None, side.protocol)
    if side.rule is not None and measured.table == "answers":
        rows = rows[rows["rule"] == side.rule]
    if measured.column not in rows:  # frames of somebody's own may lack what nobody asked for
        return pd.DataFrame()
    values = rows[measured.column].astype(float)
    values = values if measured.empty is None else values.fillna(measured.empty)
    table = pd.DataFrame({"step": rows["step"], "position": rows["position"], "value": values})
    return table.pivot(index="step", columns="position", values="value").sort_index().dropna(axis=1)
