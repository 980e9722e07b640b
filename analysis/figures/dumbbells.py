"""What training changed, task by task: from the accuracy of an arm's untrained start to its own."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.collected import Tables
from analysis.figures.rows import name_text, no_score, row_panels
from analysis.figures.seeds import kind_of
from analysis.figures.series import MEAN, REFERENCE, RUN, START, seeds_of
from analysis.figures.style import CHANCE, Look, grey_handle, looks, settle, styled
from analysis.figures.wording import counted, sentence, signed_text, value_text
from analysis.scores import ArmTable

_START, _TRAINED = 5.5, 3.6
"""Sizes of the markers, in points."""
UNTRAINED = "none"
"""The level of the factor ``training`` that trains nothing."""
COLUMNS = ["arm", "seed", "series", "start", "scope", "kind", "accuracy", "n", "questions"]


def starts(tables: Tables) -> dict[str, str]:
    """The untrained arm that each trained arm started from.

    That is the arm with training ``none`` and the same level of the factor ``start``; among several the one with most
    levels in common, and the first of the study among those. Factors like the reward have no meaning without training,
    so that their levels need not agree. An arm without such an arm is left out.
    """
    levels = {arm["name"]: arm["levels"] for arm in tables.study["arms"]}
    untrained = [arm for arm, each in levels.items() if each.get("training") == UNTRAINED]
    found = {}
    for arm, own in levels.items():
        if arm in untrained or "training" not in own:
            continue
        fitting = [each for each in untrained if levels[each].get("start") == own.get("start")]
        if fitting:
            found[arm] = max(fitting, key=lambda each: sum(levels[each].get(name) == own[name] for name in own))
    return found


def frame(tables: Tables, table: ArmTable) -> pd.DataFrame:
    """Final accuracy of every trained arm and of its start, each under its own protocol.

    Returns:
        Columns arm (trained), seed, series (``start``, ``run``, ``mean``, or ``reference`` for chance, whose arm is
        ``chance``), start (the arm it started from), scope, kind (``total`` or ``task``), accuracy (percent), n (runs
        in the value), questions. No rows where no arm and its start both have scores.
    """
    rows: list[tuple[Any, ...]] = []
    by_arm = {row.arm: row for row in table.rows if row.own}
    kinds, seed_of = {scope: kind_of(scope, tables) for scope in table.scopes}, seeds_of(tables)
    shown = [scope for scope in table.scopes if kinds[scope] != "source"]
    for arm, start in starts(tables).items():
        if arm not in by_arm or start not in by_arm:
            continue
        for scope in shown:
            before, after = by_arm[start].cells[scope].interval, by_arm[arm].cells[scope]
            if before is None or after.interval is None:
                continue
            place = (start, scope, kinds[scope])
            rows.append((arm, None, START, *place, before.mean, by_arm[start].n))
            rows += [(arm, seed_of[run], RUN, *place, value, 1) for run, value in after.values.items()]
            rows.append((arm, None, MEAN, *place, after.interval.mean, by_arm[arm].n))
    if not rows:
        return pd.DataFrame(columns=COLUMNS)
    for reference in table.references:
        if reference.name == "chance":
            rows += [
                ("chance", None, REFERENCE, "", scope, kinds[scope], value, 0)
                for scope, value in reference.cells.items()
                if scope in shown
            ]
    made = pd.DataFrame(rows, columns=COLUMNS[:-1]).astype({"seed": "Int64", "accuracy": float})
    return made.assign(questions=table.questions)


@styled
def draw(frame: pd.DataFrame, arms: Sequence[str]) -> Figure:
    """Rows are trained arms, panels the totals and tasks.

    Args:
        arms: all arms of the study in its order.
    """
    scopes = list(dict.fromkeys(frame["scope"]))
    rows = [arm for arm in arms if (frame["arm"] == arm).any()]
    hollow: dict[str, Any] = {"markerfacecolor": "white", "markeredgewidth": 1.0}
    handles = [
        grey_handle("untrained start", linestyle="", marker="o", markersize=_START, **hollow),
        grey_handle("trained: mean over seeds", linewidth=1.2, marker="o", markersize=_TRAINED),
        grey_handle("trained: one seed", linestyle="", marker="|", markersize=4),
        grey_handle("chance", **CHANCE),
    ]
    parents = frame.drop_duplicates("arm").set_index("arm")["start"]
    names = [f"{name_text(arm)}\n{name_text(f'from {parents[arm]}')}" for arm in rows]
    label = f"accuracy (% correct of {int(frame['questions'].iloc[0]):,} held-out questions, greedy)"
    titles = [scope[:1].upper() + scope[1:] for scope in scopes]
    figure, panels, places = row_panels(names, titles, handles, label)
    shown = looks(arms)
    for axes, scope in zip(panels, scopes, strict=True):
        chosen = frame[frame["scope"] == scope]
        for value in chosen.loc[chosen["series"] == REFERENCE, "accuracy"]:
            axes.axvline(value, zorder=1, **CHANCE)
        for place, arm in zip(places, rows, strict=True):
            _row(axes, chosen[chosen["arm"] == arm], place, shown[arm])
        axes.set(xlim=(-5, 105), xticks=range(0, 101, 50))
        axes.set_xticks(range(0, 101, 25), minor=True)
    return settle(figure)


def _row(axes: Axes, frame: pd.DataFrame, place: float, look: Look) -> None:
    before, after = (frame.loc[frame["series"] == name, "accuracy"] for name in (START, MEAN))
    if before.empty or after.empty:
        no_score(axes, place)
        return
    first, last = float(before.iloc[0]), float(after.iloc[0])
    axes.plot([first, last], [place, place], color=look.color, linewidth=1.5, zorder=2, solid_capstyle="butt")
    seeds = frame.loc[frame["series"] == RUN, "accuracy"]
    axes.scatter(seeds, [place + 0.08] * len(seeds), s=12, marker="|", color=[look.color], linewidths=0.7, zorder=2)
    points: dict[str, Any] = {"linestyle": "", "clip_on": False}
    start = points | {"marker": "o", "markersize": _START, "markerfacecolor": "white", "markeredgecolor": look.color}
    axes.plot([first], [place], markeredgewidth=1.0, zorder=3, **start)
    # Smaller and above: where nothing changed it lies within the start's ring, and hides nothing of it.
    trained = points | {"marker": look.marker, "markersize": _TRAINED, "color": look.color}
    axes.plot([last], [place], markeredgewidth=0.3, markeredgecolor="white", zorder=4, **trained)


def caption(frame: pd.DataFrame, arms: Sequence[str]) -> str:
    """One sentence: the largest gain and the largest loss of any task, each with its numbers."""
    tasks = frame[frame["kind"] == "task"]
    values = (tasks if len(tasks) else frame).pivot_table(
        index=["arm", "start", "scope"], columns="series", values="accuracy", sort=False, aggfunc="first"
    )[[START, MEAN]].dropna()  # fmt: skip
    change = values[MEAN] - values[START]
    most: Any = change.idxmax()
    least: Any = change.idxmin()
    told = f"largest gain is {_told(most, values)}"
    if least != most:
        told += f" and the {'largest loss' if change[least] < 0 else 'smallest gain'} {_told(least, values)}"
    seeds = frame.loc[frame["series"] == MEAN, "n"]
    count = counted(int(seeds.max()), "seed") if seeds.nunique() == 1 else f"{seeds.min()} to {seeds.max()} seeds"
    return sentence(
        f"accuracy by task from each untrained start to the mean over seeds of its trained arm: the {told}"
        f" ({count} per trained arm, {counted(int(frame['questions'].iloc[0]), 'question')} in all, each arm under its"
        " own protocol); ticks below a line are single seeds, dashed lines chance"
    )


def _told(key: Any, values: pd.DataFrame) -> str:
    arm, _, scope = key
    row: Any = values.loc[key]
    first, last = row[START], row[MEAN]
    return f"that of {arm} on {scope} ({value_text(first)} to {value_text(last)} %, {signed_text(last - first)} points)"
