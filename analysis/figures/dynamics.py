"""Accuracy and completion length over training, by the checkpoints' evaluations (the paper's figures 1, 2, 4 and 5)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.collected import Tables
from analysis.figures.lines import Panel, draw_lines
from analysis.figures.series import MEAN, REFERENCE, excluded, kept, left_out, line_notes, with_means
from analysis.figures.wording import listed, sentence, span, value_text
from analysis.scores import ArmTable

COLUMNS = [
    *("arm", "seed", "series", "protocol", "measure", "step", "value", "low", "high", "n", "questions", "excluded"),
]


def frame(tables: Tables, table: ArmTable) -> pd.DataFrame:
    """Accuracy and completion length over training, under each arm's own protocol and the rule that decides there.

    Returns:
        Columns arm, seed, series (``run``, ``mean``; ``reference`` for chance, whose arm is ``chance``), protocol,
        measure (``accuracy`` in percent, ``tokens`` per completion), step, value, low and high (of the mean's 95 % t
        interval over seeds; missing with one seed), n (runs in the value), questions (asked of each checkpoint),
        excluded (runs of the arm that are left out as they failed a manipulation check). One row per measure, run or
        mean, and checkpoint; no rows without a curve. A checkpoint that lacks any of its questions is left out: on
        fewer questions it would be another score.
    """
    answers = kept(tables, tables.answers[(tables.answers["phase"] == "curve").to_numpy()])
    chosen = np.zeros(len(answers), dtype=bool)
    # Arm by arm: the columns are categories, which compare fast with a word but not with each other.
    for arm in tables.arms:
        protocol = tables.own_protocol(arm)
        if protocol in tables.study["protocols"]:
            rule = tables.rules_of(protocol)[0]
            words = {"arm": arm, "protocol": protocol, "rule": rule}
            chosen |= np.logical_and.reduce([(answers[name] == word).to_numpy() for name, word in words.items()])
    answers = answers[chosen]
    if answers.empty:
        return pd.DataFrame(columns=COLUMNS)
    keys = ["arm", "protocol", "run", "seed", "step"]
    grouped = answers.groupby(keys, dropna=False, observed=True, sort=True)
    accuracy = grouped.agg(value=("correct", "mean"), questions=("correct", "size")).reset_index()
    expected = {arm: tables.curve_questions(arm) for arm in tables.arms}
    accuracy = accuracy[accuracy["questions"] >= accuracy["arm"].astype(object).map(expected)]
    accuracy = accuracy.assign(value=100.0 * accuracy["value"].astype(float), measure="accuracy")
    # Frames at hand may have no completions.
    completions = tables.completions
    if "tokens" not in completions:
        completions = completions.assign(tokens=float("nan"))
    lengths = completions[(completions["phase"] == "curve").to_numpy()]
    tokens = lengths.groupby(["run", "protocol", "step"], observed=True, sort=True)["tokens"].mean().reset_index()
    names = {"run": object, "protocol": object}
    tokens = accuracy.drop(columns=["value"]).astype(names).merge(
        tokens.astype(names).rename(columns={"tokens": "value"}), on=["run", "protocol", "step"], how="inner"
    )  # fmt: skip
    seeds = pd.concat([accuracy, tokens.assign(measure="tokens")]).astype({"arm": object, "protocol": object})
    asked = seeds.groupby(["arm", "measure", "step"], observed=True)["questions"].max().rename("questions")
    values = with_means(
        seeds[["arm", "protocol", "measure", "step", "seed", "value"]],
        ["arm", "protocol", "measure", "step"],
        tables.arms,
    )
    made = values.merge(asked.reset_index(), on=["arm", "measure", "step"], how="left").astype({"step": "Int64"})
    made = made.assign(excluded=excluded(tables, made["arm"]))
    chance = _chance(tables, answers)
    row = {"arm": "chance", "protocol": "", "measure": "accuracy", "series": REFERENCE, "value": chance, "n": 0}
    row |= {"questions": int(made["questions"].max()), "excluded": 0}
    if chance is not None:
        made = pd.concat(
            [made, pd.DataFrame([row]).astype({"value": float}).assign(seed=pd.array([pd.NA], dtype="Int64"))]
        )
    return made[COLUMNS].reset_index(drop=True)


def draw(frame: pd.DataFrame, arms: Sequence[str]) -> Figure:
    """Two panels over optimiser steps, both columns wide.

    Args:
        arms: all arms of the study in its order.
    """
    asked = span(frame["questions"], "question").replace("to", "–").replace(" ", " ")
    panels = [
        Panel("accuracy", f"Accuracy on {asked}", "accuracy (% correct)", 0.0, 100.0),
        Panel("tokens", "Mean completion length", "length (tokens)", 0.0),
    ]
    return draw_lines(frame, [panel for panel in panels if (frame["measure"] == panel.measure).any()], arms)


def caption(frame: pd.DataFrame, arms: Sequence[str]) -> str:
    """One sentence: from where to where accuracy and length went, with seeds, questions and what the bands are."""
    means = frame[frame["series"] == MEAN]
    ends = {measure: _ends(means[means["measure"] == measure], arms) for measure in ("accuracy", "tokens")}
    said = []
    for measure, verb, unit in (("accuracy", "accuracy", "%"), ("tokens", "mean completion length", "tokens")):
        if ends[measure]:
            said.append(f"{verb} {_told(ends[measure], unit)}")
    chance = frame.loc[frame["series"] == REFERENCE, "value"]
    steps = int(means["step"].max())
    notes = line_notes(means)
    if len(chance):
        notes.append(f"the dashed grey line is chance ({value_text(chance.iloc[0])} %)")
    notes += left_out(means)
    return sentence(
        f"over up to {steps:,} optimiser steps, {', and '.join(said)}"
        f" ({span(means['n'], 'seed')} per arm, greedy completions on {span(means['questions'], 'question')},"
        f" each arm under its own protocol); {listed(notes)}"
    )


def _ends(means: pd.DataFrame, arms: Sequence[str]) -> list[tuple[str, float, float]]:
    found = []
    for arm in arms:
        own = means[means["arm"] == arm].sort_values("step")
        if len(own):
            found.append((arm, float(own["value"].iloc[0]), float(own["value"].iloc[-1])))
    return found


def _told(ends: list[tuple[str, float, float]], unit: str) -> str:
    if len(ends) <= 3:
        told = [f"from {value_text(first)} to {value_text(last)} {unit} in {arm}" for arm, first, last in ends]
        return f"goes {listed(told)}"
    up = sum(last > first for _, first, last in ends)
    most, least = max(ends, key=lambda each: each[2] - each[1]), min(ends, key=lambda each: each[2] - each[1])
    told = [f"{arm} from {value_text(first)} to {value_text(last)} {unit}" for arm, first, last in (most, least)]
    return f"rises in {up} of {len(ends)} arms (extremes: {listed(told)})"


def _chance(tables: Tables, answers: pd.DataFrame) -> float | None:
    """Chance in percent on the questions of the curve; None without questions."""
    asked = answers[["suite", "question"]].drop_duplicates().astype({"suite": object})
    choices = tables.questions.astype({"suite": object}).merge(asked, on=["suite", "question"])["choices"].dropna()
    return None if choices.empty else 100.0 * float((1.0 / choices.map(len)).mean())
