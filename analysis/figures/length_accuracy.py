"""Completion length against accuracy over the checkpoints of a training: do they grow together?"""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.collected import Tables
from analysis.figures import dynamics
from analysis.figures.series import MEAN, REFERENCE, RUN, left_out
from analysis.figures.style import (
    CHANCE,
    DOUBLE,
    SINGLE,
    Handle,
    Look,
    grey_handle,
    lines_of,
    looks,
    settle,
    styled,
    with_legend,
    wrapped,
)
from analysis.figures.wording import course, listed, sentence, span
from analysis.scores import ArmTable

NARROW = 6
"""Arms that are shown in one column; more take both."""
PANEL = 1.15
"""Height of a panel without its title, in inches."""
LEAST = 0.2
"""Share of an arm's longest mean completion that its axis spans at least: less would make much of nothing."""
_CROSS: dict[str, Any] = {"markersize": 3.0, "markeredgewidth": 0.6}
_LINE = 0.135
"""Height of a line of a title, in inches."""
_LETTERS = 13
"""Letters of a title to an inch of its panel's share of the figure."""
_NEAR = 16.0
"""Points between two checkpoints under which an arrow would hide them."""


def frame(tables: Tables, table: ArmTable) -> pd.DataFrame:
    """Length and accuracy of every checkpoint, under each arm's own protocol and the rule that decides there.

    Returns:
        Columns arm, seed, series (``run``, ``mean``; ``reference`` for chance), protocol, step, tokens (mean length of
        a completion), accuracy (percent), n (runs in the values), questions, excluded (runs of the arm that are left
        out as they failed a manipulation check). One row per run or mean and checkpoint that has both; no rows
        without a curve.
    """
    long = dynamics.frame(tables, table)
    names = ["arm", "seed", "series", "protocol", "step", "tokens", "accuracy", "n", "questions", "excluded"]
    if not (long["measure"] == "tokens").any():
        return pd.DataFrame(columns=names)
    keys = ["arm", "seed", "series", "protocol", "step"]
    accuracy = long[long["measure"] == "accuracy"].rename(columns={"value": "accuracy"})
    tokens = long[long["measure"] == "tokens"].rename(columns={"value": "tokens"})
    made = accuracy.merge(tokens[[*keys, "tokens"]], on=keys, how="left")
    return made.loc[made["tokens"].notna() | (made["series"] == REFERENCE), names].reset_index(drop=True)


@styled
def draw(frame: pd.DataFrame, arms: Sequence[str]) -> Figure:
    """A panel for each arm with its path from the first checkpoint to the last; one column wide with few arms.

    Args:
        arms: all arms of the study in its order.
    """
    present = [arm for arm in arms if (frame["arm"] == arm).any()]
    wide = len(present) > NARROW
    across = min(len(present), (4 if len(present) <= 16 else 5) if wide else 2)
    down = math.ceil(len(present) / across)
    width = DOUBLE if wide else SINGLE
    shown = looks(arms)
    many = bool(frame["n"].max() > 1)
    point: dict[str, Any] = {"linestyle": "", "marker": "o"}
    path = grey_handle("mean over seeds" if many else "one run", linewidth=1.0, marker="o", markersize=2.5)
    handles: list[Handle] = [path]
    handles.append(grey_handle("first checkpoint", markersize=4.5, markerfacecolor="white", **point))
    handles.append(grey_handle("last checkpoint", markersize=4.5, **point))
    if many:
        handles.append(grey_handle("one seed (cross: last)", linewidth=0.4, marker="x", **_CROSS))
    chance = frame.loc[frame["series"] == REFERENCE, "accuracy"]
    if len(chance):
        handles.append(grey_handle("chance", **CHANCE))
    titles = [wrapped(arm, int(_LETTERS * width / across)) for arm in present]
    heights = [PANEL + _LINE * max(map(lines_of, titles[at : at + across])) for at in range(0, len(titles), across)]
    figure, above = with_legend(width, sum(heights) + 0.3, handles)
    grid = above.subplots(down, across, sharey=True, squeeze=False, height_ratios=heights)
    panels: list[Axes] = list(grid.flat[: len(present)])
    for axes in grid.flat[len(present) :]:
        axes.set_visible(False)
    for axes, arm, title in zip(panels, present, titles, strict=True):
        for value in chance:
            axes.axhline(value, zorder=1, **CHANCE)
        own = frame[frame["arm"] == arm]
        _path(axes, own, shown[arm])
        axes.set(xlim=_lengths(own), title=title)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.margins(y=0.08)
    above.supylabel("accuracy (% correct)", fontsize="medium")
    above.supxlabel("mean completion length (tokens)", fontsize="medium")
    settle(figure)
    for axes, arm in zip(panels, present, strict=True):
        _arrows(figure, axes, frame[(frame["arm"] == arm) & (frame["series"] == MEAN)], shown[arm])
    return figure


def _lengths(frame: pd.DataFrame) -> tuple[float, float]:
    """Limits of an arm's own axis of lengths: wide enough for a length that stays to be seen to stay."""
    low, high = float(frame["tokens"].min()), float(frame["tokens"].max())
    width = max(1.16 * (high - low), LEAST * high, 1e-9)
    middle = (low + high) / 2
    return middle - width / 2, middle + width / 2


def _path(axes: Axes, frame: pd.DataFrame, look: Look) -> None:
    for _, run in frame[frame["series"] == RUN].groupby("seed"):
        line = run.sort_values("step")[["tokens", "accuracy"]].to_numpy(dtype=float)
        axes.plot(line[:, 0], line[:, 1], color=look.color, linewidth=0.4, alpha=0.4, zorder=2)
        axes.plot(line[-1:, 0], line[-1:, 1], marker="x", **_CROSS, color=look.color, zorder=3.5)
    mean = frame[frame["series"] == MEAN].sort_values("step")
    x, y = (mean[name].to_numpy(dtype=float) for name in ("tokens", "accuracy"))
    # One marker for all arms, as a triangle would point somewhere. A white edge keeps the path apart from the seeds.
    axes.plot(x, y, color="white", linewidth=2.2, zorder=2.5)
    axes.plot(x, y, color=look.color, linewidth=1.0, marker="o", markersize=2.2, markeredgewidth=0, zorder=3)
    ends: dict[str, Any] = {"marker": "o", "color": look.color, "markersize": 4.5, "linestyle": ""}
    axes.plot(x[-1:], y[-1:], markeredgecolor="white", markeredgewidth=0.5, zorder=4, **ends)
    axes.plot(
        x[:1], y[:1], markerfacecolor="white", markeredgecolor=look.color, markeredgewidth=1.0, zorder=4.1, **ends
    )


def _arrows(figure: Figure, axes: Axes, mean: pd.DataFrame, look: Look) -> None:
    """Open arrow heads, unlike any marker, in the middle of what is long on paper, once the layout is settled."""
    points = mean.sort_values("step")[["tokens", "accuracy"]].to_numpy(dtype=float)
    on_paper = axes.transData.transform(points) * 72.0 / figure.dpi
    for place in range(len(points) - 1):
        if math.dist(on_paper[place], on_paper[place + 1]) < _NEAR:
            continue
        step = points[place + 1] - points[place]
        axes.annotate(
            "", points[place] + 0.58 * step, points[place] + 0.5 * step, annotation_clip=False,
            arrowprops={
                "arrowstyle": "->,head_length=0.4,head_width=0.25", "color": look.color, "linewidth": 0.9,
                "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7,
            },
        )  # fmt: skip


def caption(frame: pd.DataFrame, arms: Sequence[str]) -> str:
    """One sentence: between which checkpoints length and accuracy moved the same way, and which not."""
    means = frame[frame["series"] == MEAN]
    told, lost = [], []
    for arm in [arm for arm in arms if (means["arm"] == arm).any()]:
        own = means[means["arm"] == arm].sort_values("step")
        moves = own[["tokens", "accuracy"]].astype(float).diff().iloc[1:]
        together = int((moves["tokens"] * moves["accuracy"] > 0).sum())
        lost.append((together, len(moves)))
        ends = [course(own[name], unit) for name, unit in (("tokens", "tokens"), ("accuracy", "%"))]
        # "from" and "goes" would be many.
        short = [rest.removeprefix("from ") if verb == "goes" else f"{verb} {rest}" for verb, rest in ends]
        told.append(f"{arm} ({', '.join(short)}) in {together} of {len(moves)}")
    if len(told) > 3:
        together, moves = (sum(column) for column in zip(*lost, strict=True))
        said = f"in {together} of {moves} steps between checkpoints of {len(told)} arms"
    else:
        said = f"in {listed(told)} steps between checkpoints"
    seeds = ["faint lines are seeds, crosses their last checkpoints"] if means["n"].max() > 1 else []
    scales = ["each panel has a length scale of its own"] if means["arm"].nunique() > 1 else []
    paths = "paths join the means over seeds" if seeds else "paths are single runs"
    notes = [f"{paths} from the first checkpoint (hollow) to the last", *seeds, *scales, *left_out(means)]
    return sentence(
        f"mean completion length and accuracy move in the same direction {said} ({span(means['n'], 'seed')} per"
        f" arm, {span(means['questions'], 'question')}); {listed(notes)}"
    )
