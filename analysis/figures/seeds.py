"""Spread over seeds: every seed's final accuracy by arm, overall and by task, with mean and interval."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.collected import Tables
from analysis.figures.rows import name_text, no_score, row_panels
from analysis.figures.series import MEAN, REFERENCE, RUN, seeds_of
from analysis.figures.style import CHANCE, CONSTANT, Look, grey_handle, looks, settle, styled
from analysis.figures.wording import counted, sentence, value_text
from analysis.scores import ArmTable

COLUMNS = [
    *("arm", "seed", "series", "protocol", "scope", "kind", "accuracy", "low", "high", "n", "planned", "questions"),
]
CONSTANT_NAME = "best constant answer"
LEVELS = 4
"""Of the seeds under a mean."""
APART = 4.0
"""Percentage points between marks on a level that don't touch in the narrowest panel."""
_MEAN = 0.06
"""How far above the middle of its row a mean lies, in inches; seeds are under it."""


def frame(tables: Tables, table: ArmTable) -> pd.DataFrame:
    """Final accuracy of every arm under its own protocol.

    Returns:
        Columns arm, seed, series (``run``, ``mean``, or ``reference`` for chance and the best constant answer, whose
        names stand as arm), protocol, scope, kind (``total``, ``task`` or ``source``), accuracy (percent), low and high
        (of the mean's 95 % t interval over seeds), n (runs in the value), planned (runs), questions. No rows where no
        arm has a score.
    """
    rows: list[tuple[Any, ...]] = []
    kinds, seed_of = {scope: kind_of(scope, tables) for scope in table.scopes}, seeds_of(tables)
    for row in table.rows:
        if not row.own:
            continue
        for scope in table.scopes:
            cell, head = row.cells[scope], (row.protocol, scope, kinds[scope])
            for run, value in cell.values.items():
                rows.append((row.arm, seed_of[run], RUN, *head, value, None, None, 1, row.planned))
            if cell.interval is not None:
                each = cell.interval
                rows.append((row.arm, None, MEAN, *head, each.mean, each.low, each.high, row.n, row.planned))
    if not rows:
        return pd.DataFrame(columns=COLUMNS)
    for reference in table.references:
        for scope, value in reference.cells.items():
            rows.append((reference.name, None, REFERENCE, "", scope, kinds[scope], value, None, None, 0, 0))
    made = pd.DataFrame(rows, columns=COLUMNS[:-1]).astype(
        {"seed": "Int64", "accuracy": float, "low": float, "high": float}
    )
    return made.assign(questions=table.questions)


def kind_of(scope: str, tables: Tables) -> str:
    """Whether a score is over a task, a source or more than one of them."""
    name = scope.split(": ")[-1]
    return "task" if name in tables.tasks else "source" if name in tables.sources else "total"


@styled
def draw(frame: pd.DataFrame, arms: Sequence[str]) -> Figure:
    """Rows are arms, panels the totals and tasks; sources would be too many to read.

    Args:
        arms: all arms of the study in its order; one without a score keeps its row.
    """
    frame = frame[frame["kind"] != "source"]
    scopes = list(dict.fromkeys(frame["scope"]))
    means = frame[(frame["series"] == MEAN)]
    handles = []
    if means["low"].notna().any():
        handles.append(grey_handle("one seed", linestyle="", marker="o", markersize=2.5))
        handles.append(grey_handle("mean, 95 % t interval over seeds", linewidth=1.2, marker="D", markersize=3.5))
    if means["low"].isna().any():
        hollow: dict[str, Any] = {"markerfacecolor": "white", "markeredgewidth": 1.0}
        handles.append(grey_handle("one run, no interval", linestyle="", marker="D", markersize=3.5, **hollow))
    handles += [grey_handle("chance", **CHANCE), grey_handle(CONSTANT_NAME, **CONSTANT)]
    names = []
    for arm in arms:
        own = means[means["arm"] == arm]
        n, planned = (0, 0) if own.empty else (int(own["n"].iloc[0]), int(own["planned"].iloc[0]))
        names.append(name_text(arm, "" if own.empty else f"(n = {n})" if n == planned else f"(n = {n} of {planned})"))
    asked = int(frame["questions"].iloc[0])
    label = f"accuracy (% correct of {asked:,} held-out questions, greedy)"
    titles = [scope[:1].upper() + scope[1:] for scope in scopes]
    figure, panels, places = row_panels(names, titles, handles, label, wide_first=True, least=0.3)
    shown = looks(arms)
    for axes, scope in zip(panels, scopes, strict=True):
        chosen = frame[frame["scope"] == scope]
        for name, style, order in (("chance", CHANCE, 1.0), (CONSTANT_NAME, CONSTANT, 0.9)):
            for value in chosen.loc[chosen["arm"] == name, "accuracy"]:
                axes.axvline(value, zorder=order, **style)
        for place, arm in zip(places, arms, strict=True):
            _row(axes, chosen[chosen["arm"] == arm], place, shown[arm])
        axes.set(xlim=(-4, 104), xticks=range(0, 101, 50))
        axes.set_xticks(range(0, 101, 25), minor=True)
    return settle(figure)


def _row(axes: Axes, frame: pd.DataFrame, place: float, look: Look) -> None:
    mean = frame[frame["series"] == MEAN]
    if mean.empty:
        no_score(axes, place)
        return
    value, low, high = (float(mean[column].iloc[0]) for column in ("accuracy", "low", "high"))
    alone = pd.isna(low)
    if not alone:
        axes.errorbar(
            [value], [place - _MEAN], xerr=[[value - low], [high - value]], color=look.color, elinewidth=1.2, zorder=3
        )
        # Ends over the mean and higher than it: an interval that is narrower than its diamond would be hidden.
        ends: dict[str, Any] = {"marker": "|", "markersize": 6.5, "markeredgewidth": 0.8, "linestyle": ""}
        axes.plot([low, high], [place - _MEAN] * 2, color=look.color, zorder=6, **ends)
        seeds = sorted(frame.loc[frame["series"] == RUN, "accuracy"])
        levels = [place + 0.02 + 0.033 * level for level in _levels(seeds)]
        axes.scatter(
            seeds, levels, s=6, marker=look.marker, color=[look.color], zorder=4, linewidths=0.25, edgecolors="white"
        )
    axes.plot(
        [value], [place if alone else place - _MEAN], marker="D", markersize=3.2, zorder=5, markeredgewidth=1.0,
        clip_on=False, markerfacecolor="white" if alone else look.color, markeredgecolor=look.color,
    )  # fmt: skip


def _levels(values: Sequence[float]) -> list[int]:
    """A level for each of some sorted values, so that marks of near-equal ones hide each other as little as can be."""
    last = [-math.inf] * LEVELS
    found = []
    for value in values:
        free = [level for level in range(LEVELS) if value - last[level] >= APART]
        level = free[0] if free else min(range(LEVELS), key=last.__getitem__)
        last[level] = value
        found.append(level)
    return found


def caption(frame: pd.DataFrame, arms: Sequence[str]) -> str:
    """One sentence: the best and the worst arm with their intervals, where seeds spread most, and what is drawn."""
    first = frame["scope"].iloc[0]
    means = frame[(frame["scope"] == first) & (frame["series"] == MEAN)].set_index("arm")
    ranked = sorted(means.index, key=lambda arm: (-means.loc[arm, "accuracy"], arms.index(arm)))
    told = f"{ranked[0]} scores {_score(means.loc[ranked[0]])}"
    if len(ranked) > 1:
        told += f" and {ranked[-1]} {_score(means.loc[ranked[-1]])}"
    runs = frame[(frame["scope"] == first) & (frame["series"] == RUN)]
    spread = runs.groupby("arm")["accuracy"].agg(lambda values: values.max() - values.min())
    spread = spread[runs.groupby("arm").size() > 1]
    if len(spread):
        # The first arm of the study where several spread as widely.
        arm = max(spread.index, key=lambda each: (spread[each], -arms.index(each)))
        few, many = runs.loc[runs["arm"] == arm, "accuracy"].agg(["min", "max"])
        told += f"; seeds spread most in {arm} ({value_text(few)} to {value_text(many)} %)"
    chance = frame.loc[(frame["scope"] == first) & (frame["arm"] == "chance"), "accuracy"]
    lines = f", chance is {value_text(chance.iloc[0])} %" if len(chance) else ""
    marks = []
    if means["low"].notna().any():
        marks.append("diamonds are means over seeds and bars their 95 % t intervals over seeds")
    if means["low"].isna().any():
        marks.append("hollow diamonds are single runs")
    return sentence(
        f"final accuracy ({first}) on {counted(int(frame['questions'].iloc[0]), 'question')} by arm: {told}{lines};"
        f" {', '.join(marks)}"
    )


def _score(mean: pd.Series) -> str:
    n = int(mean["n"])
    if pd.isna(mean["low"]):
        return f"{value_text(mean['accuracy'])} % ({counted(n, 'run')})"
    ends = f"{value_text(mean['low'])} to {value_text(mean['high'])}"
    return f"{value_text(mean['accuracy'])} % (95 % interval {ends}, {counted(n, 'seed')})"
