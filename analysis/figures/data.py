"""The data frame behind each figure; it is written as CSV beside the picture."""

import pandas as pd

from analysis.load import Tables
from analysis.scores import ArmTable

MEAN = "mean"
"""In a ``series`` column: the mean over the seeds that have this step."""

WINDOW = 10
"""Optimiser steps that one point of the rewards figure averages over."""


def curves(tables: Tables) -> pd.DataFrame:
    """Accuracy and completion length over training, under each arm's own protocol and the rule that decides there.

    Returns:
        Columns arm, protocol, series (``seed=0`` ... or ``mean``), step, accuracy (percent), tokens (mean
        length of a completion), questions, seeds (how many are in the value). One row per series and
        checkpoint.
    """
    own = {arm: tables.own_protocol(arm) for arm in tables.arms}
    decides = {protocol: tables.rules_of(protocol)[0] for protocol in tables.study["protocols"]}
    answers = tables.answers[tables.answers["phase"] == "curve"]
    answers = answers[
        (answers["protocol"] == answers["arm"].map(own)) & (answers["rule"] == answers["protocol"].map(decides))
    ]
    keys = ["arm", "protocol", "run", "seed", "step"]
    grouped = answers.groupby(keys, dropna=False, sort=True)
    frame = grouped.agg(accuracy=("correct", "mean"), questions=("correct", "size")).reset_index()
    frame["accuracy"] *= 100.0
    lengths = tables.completions[tables.completions["phase"] == "curve"]
    tokens = lengths.groupby(["run", "protocol", "step"], sort=True)["tokens"].mean().reset_index()
    frame = frame.merge(tokens, on=["run", "protocol", "step"], how="left")
    frame["series"] = "seed=" + frame["seed"].astype("string")
    frame["seeds"] = 1
    means = (
        frame.groupby(["arm", "protocol", "step"], sort=True)
        .agg(
            accuracy=("accuracy", "mean"),
            tokens=("tokens", "mean"),
            questions=("questions", "max"),
            seeds=("run", "size"),
        )
        .reset_index()
        .assign(series=MEAN)
    )
    return _ordered(
        pd.concat([frame, means]),
        tables.arms,
        ["arm", "protocol", "series", "step", "accuracy", "tokens", "questions", "seeds"],
    )


def arms(table: ArmTable) -> pd.DataFrame:
    """Final accuracy of every arm under its own protocol.

    Returns:
        Columns arm, scope, series (run id, or ``mean``), accuracy (percent), low, high (of the 95 % interval
        over seeds), n. References (chance, best constant answer) are rows with their name as arm.
    """
    rows = []
    for row in table.rows:
        if not row.own:
            continue
        for scope in table.scopes:
            cell = row.cells[scope]
            rows += [(row.arm, scope, run, value, None, None, 1) for run, value in cell.values.items()]
            if cell.interval is not None:
                rows.append((row.arm, scope, MEAN, cell.interval.mean, cell.interval.low, cell.interval.high, row.n))
    for reference in table.references:
        rows += [(reference.name, scope, MEAN, value, None, None, 0) for scope, value in reference.cells.items()]
    columns = ["arm", "scope", "series", "accuracy", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns).astype({"accuracy": float, "low": float, "high": float})


def rewards(tables: Tables) -> pd.DataFrame:
    """Reward and its parts over training, each point the mean of up to `WINDOW` optimiser steps.

    Returns:
        Columns arm, series (``seed=0`` ... or ``mean``), part, step (the window's last), value, seeds.
    """
    columns = [str(column) for column in tables.training]
    # reward_std is the spread within groups, no part of the reward.
    parts = ["reward", *(name for name in columns if name.startswith("reward_") and name != "reward_std")]
    training = tables.training[tables.training["reward"].notna()]
    if training.empty:
        return pd.DataFrame(columns=["arm", "series", "part", "step", "value", "seeds"])
    long = training.melt(["arm", "run", "seed", "step"], parts, var_name="part", value_name="value")
    long = long.dropna(subset="value")
    long["window"] = (long["step"] - 1) // WINDOW
    grouped = long.groupby(["arm", "run", "seed", "part", "window"], dropna=False, sort=True)
    frame = grouped.agg(step=("step", "max"), value=("value", "mean")).reset_index()
    frame["series"] = "seed=" + frame["seed"].astype("string")
    frame["seeds"] = 1
    means = (
        frame.groupby(["arm", "part", "step"], sort=True)
        .agg(value=("value", "mean"), seeds=("run", "size"))
        .reset_index()
        .assign(series=MEAN)
    )
    frame = pd.concat([frame, means])
    names = {part: part.removeprefix("reward_") for part in parts} | {"reward": "total"}
    frame["part"] = frame["part"].map(names)
    return _ordered(frame, tables.arms, ["arm", "series", "part", "step", "value", "seeds"])


def curve_chance(tables: Tables, frame: pd.DataFrame) -> float | None:
    """Chance in percent on the questions of the curve; None without a curve or questions."""
    asked = tables.answers.loc[tables.answers["phase"] == "curve", "question"].unique()
    choices = tables.questions.loc[tables.questions["question"].isin(asked), "choices"]
    if frame.empty or choices.empty:
        return None
    return 100.0 * float((1.0 / choices.map(len)).mean())


def _ordered(frame: pd.DataFrame, arms: list[str], columns: list[str]) -> pd.DataFrame:
    order = {arm: index for index, arm in enumerate(arms)}
    by = [column for column in ("series", "part", "step") if column in columns]
    frame = frame.assign(order=frame["arm"].map(order), last=frame["series"] == MEAN)
    return frame.sort_values(["order", "last", *by], kind="stable")[columns].reset_index(drop=True)
