"""Curves over training as frames: every seed, and their mean with its interval, step by step."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.collected import Tables
from analysis.figures.wording import counted
from analysis.statistics import mean_interval

# What a ``series`` column says in the frame of every figure that has runs; whose run it is say ``arm`` and ``seed``.
RUN = "run"
"""One run; its seed stands in ``seed``, which is missing for the one run of an arm without randomness."""
MEAN = "mean"
"""The mean over the arm's runs that have this step or score."""
START = "start"
"""The untrained arm that the trained one started from."""
REFERENCE = "reference"
"""A score that needs no model."""

POINTS = 30
"""About how many points the curve of a training has; each is the mean of a window of optimiser steps."""


def kept(tables: Tables, frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the runs whose manipulation checks didn't fail."""
    return frame[~frame["run"].isin(list(tables.failed_checks)).to_numpy()]


def excluded(tables: Tables, arms: pd.Series) -> pd.Series:
    """How many runs of each arm `kept` leaves out."""
    failed = tables.runs.loc[tables.runs["run"].isin(list(tables.failed_checks)), "arm"].astype(object)
    return arms.map(failed.value_counts()).fillna(0).astype(int)


def seeds_of(tables: Tables) -> dict[str, int | None]:
    """The seed of every run; None for the one run of an arm without randomness."""
    pairs = zip(tables.runs["run"], tables.runs["seed"], strict=True)
    return {run: None if pd.isna(seed) else int(seed) for run, seed in pairs}


def with_means(frame: pd.DataFrame, keys: Sequence[str], order: Sequence[str]) -> pd.DataFrame:
    """Add the mean over seeds to values of every seed.

    Args:
        frame: columns ``keys`` (arm among them), seed, value; one row per run.
        keys: what a mean is taken within.
        order: arms in the order of the study.

    Returns:
        The same with columns series (``run``, ``mean``), low and high (of the 95 % t interval over seeds; missing with
        one seed) and n (runs in the value), and a row of series ``mean`` for all keys; sorted by arm, runs before their
        mean.
    """
    frame = frame.astype({"value": float, "seed": "Int64"}).sort_values([*keys, "seed"], kind="stable")
    rows = []
    for key, values in frame.groupby(list(keys), observed=True, sort=True)["value"]:
        interval = mean_interval(values.tolist())
        rows.append((*key, MEAN, interval.mean, interval.low, interval.high, len(values)))
    means = pd.DataFrame(rows, columns=[*keys, "series", "value", "low", "high", "n"])
    means = means.assign(seed=pd.array([pd.NA] * len(means), dtype="Int64"))
    singles = frame.assign(series=RUN, low=float("nan"), high=float("nan"), n=1)
    both = pd.concat([singles, means.astype({"low": float, "high": float})]) if rows else singles
    place = {arm: index for index, arm in enumerate(order)}
    both = both.assign(_arm=both["arm"].map(place), _mean=both["series"] == MEAN)
    by = ["_arm", *(key for key in keys if key not in ("arm", "step")), "_mean", "seed", "step"]
    return both.sort_values(by, kind="stable").drop(columns=["_arm", "_mean"]).reset_index(drop=True)


def windows(tables: Tables, columns: dict[str, str], order: Sequence[str]) -> pd.DataFrame:
    """Columns of the ``training`` table, averaged over windows of optimiser steps.

    A window has as many steps as make about `POINTS` points of the longest training.

    Args:
        columns: from a column's name to that of the measure.

    Returns:
        Columns arm, seed, series (``run`` or ``mean``), measure, step (the window's last), value, low, high (of the
        95 % t interval over seeds), n (runs in the value), window (steps), excluded (runs of the arm that are left out
        as they failed a manipulation check). Without data there are no rows.
    """
    names = ["arm", "seed", "series", "measure", "step", "value", "low", "high", "n", "window", "excluded"]
    training = kept(tables, tables.training)
    there = [column for column in columns if column in training and training[column].notna().any()]
    if not there:
        return pd.DataFrame(columns=names)
    long = training[["arm", "run", "seed", "step", *there]].melt(
        ["arm", "run", "seed", "step"], var_name="measure", value_name="value"
    )
    long = long.dropna(subset="value")
    window = max(1, -(-int(long["step"].max()) // POINTS))
    # A training's steps begin at 1.
    long["place"] = (long["step"] - 1) // window
    last = long.groupby("arm", observed=True)["step"].max()
    grouped = long.groupby(["arm", "run", "seed", "measure", "place"], dropna=False, observed=True, sort=True)
    frame = grouped["value"].mean().reset_index()
    # Not the last step of the seed's own: seeds that got less far stand in the same window.
    frame["step"] = np.minimum((frame["place"] + 1) * window, frame["arm"].map(last).astype(int))
    frame = frame.assign(measure=frame["measure"].map(columns))
    frame = frame.astype({"arm": object}).drop(columns=["run", "place"])
    frame = with_means(frame, ["arm", "measure", "step"], order)
    return frame.assign(window=window, excluded=excluded(tables, frame["arm"]))[names]


def line_notes(means: pd.DataFrame) -> list[str]:
    """What lines and bands are, for a caption.

    Args:
        means: rows of series ``mean``.
    """
    single = means["n"].max() < 2
    notes = ["lines are single runs" if single else "thin lines are seeds and thick lines their means"]
    if means["low"].notna().any():
        notes.append("bands are 95 % t intervals of the mean over seeds")
    return notes


def left_out(means: pd.DataFrame) -> list[str]:
    """What a caption must say of runs that failed a manipulation check; nothing where none did."""
    count = int(means.drop_duplicates("arm")["excluded"].sum())
    if not count:
        return []
    return [f"{counted(count, 'run')} that failed a manipulation check {'is' if count == 1 else 'are'} left out"]


def step_label(frame: pd.DataFrame) -> str:
    """Label of the horizontal axis of a frame of `windows`."""
    window = int(frame["window"].max())
    return "optimiser step" if window == 1 else f"optimiser step (means of {window})"
