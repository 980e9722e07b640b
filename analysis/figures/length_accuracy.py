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
from analysis.figures.series import MEAN, REFERENCE, left_out
from analysis.figures.style import (
    CHANCE,
    DOUBLE,
    SINGLE,
    Handle,
    Look,
    grey_handle,
    line_handle,
    looks,
    mean_style,
    settle,
    styled,
    with_legend,
    wrapped,
)
from analysis.figures.wording import course, listed, sentence, span
from analysis.scores import ArmTable

TOGETHER = 4
"""Arms in one panel; more paths than these can't be followed."""
PANEL = 2.4
"""Height of a panel, in inches."""
_NEAR = 12.0
"""Points between two checkpoints under which an arrow would hide them."""


def frame(tables: Tables, table: ArmTable) -> pd.DataFrame:
    """Length and accuracy of every checkpoint, under each arm's own protocol and the rule that decides there.

    Returns:
        Columns arm, protocol, series (``seed=0`` ..., ``mean``; ``reference`` for chance), step, tokens (mean length of
        a completion), accuracy (percent), seeds (how many are in the values), questions, excluded (runs of the arm that
        are left out as they failed a manipulation check). One row per series and
        checkpoint that has both; no rows without a curve.
    """
    long = dynamics.frame(tables, table)
    names = ["arm", "protocol", "series", "step", "tokens", "accuracy", "seeds", "questions", "excluded"]
    if not (long["measure"] == "tokens").any():
        return pd.DataFrame(columns=names)
    keys = ["arm", "protocol", "series", "step"]
    accuracy = long[long["measure"] == "accuracy"].rename(columns={"value": "accuracy"})
    tokens = long[long["measure"] == "tokens"].rename(columns={"value": "tokens"})
    made = accuracy.merge(tokens[[*keys, "tokens"]], on=keys, how="left")
    return made.loc[made["tokens"].notna() | (made["series"] == REFERENCE), names].reset_index(drop=True)


@styled
def draw(frame: pd.DataFrame, arms: Sequence[str]) -> Figure:
    """A path per arm from its first checkpoint (hollow) to its last; one column wide with few arms.

    Args:
        arms: all arms of the study in its order.
    """
    present = [arm for arm in arms if (frame["arm"] == arm).any()]
    count = math.ceil(len(present) / TOGETHER)
    size = math.ceil(len(present) / count)
    groups = [present[start : start + size] for start in range(0, len(present), size)]
    across = min(2, len(groups))
    down = math.ceil(len(groups) / across)
    width = SINGLE if across == 1 else DOUBLE
    shown = looks(arms)
    handles: list[Handle] = [line_handle(shown[arm], wrapped(arm, 36)) for arm in present]
    handles.append(grey_handle("first checkpoint", linestyle="", marker="o", markersize=4, markerfacecolor="white"))
    handles.append(grey_handle("one seed", linestyle="", marker="o", markersize=2, alpha=0.5))
    chance = frame.loc[frame["series"] == REFERENCE, "accuracy"]
    if len(chance):
        handles.append(grey_handle("chance", **CHANCE))
    figure, above = with_legend(width, down * PANEL, handles)
    grid = above.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(groups) :]:
        axes.set_visible(False)
    for axes, group in zip(grid.flat, groups, strict=False):
        for value in chance:
            axes.axhline(value, zorder=1, **CHANCE)
        for arm in group:
            _path(axes, frame[frame["arm"] == arm], shown[arm])
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.margins(0.06)
    for number, axes in enumerate(grid.flat[: len(groups)]):
        axes.set_ylabel("accuracy (% correct)" if number % across == 0 else "")
        axes.tick_params(labelbottom=number + across >= len(groups))
        axes.set_xlabel("mean completion length (tokens)" if number + across >= len(groups) else "")
    settle(figure)
    for axes, group in zip(grid.flat, groups, strict=False):
        for arm in group:
            _arrows(figure, axes, frame[(frame["arm"] == arm) & (frame["series"] == MEAN)], shown[arm])
    return figure


def _path(axes: Axes, frame: pd.DataFrame, look: Look) -> None:
    seeds = frame[~frame["series"].isin([MEAN, REFERENCE])]
    faint: dict[str, Any] = {"alpha": 0.35, "linewidths": 0, "zorder": 2}
    axes.scatter(seeds["tokens"], seeds["accuracy"], s=4, marker=look.marker, color=[look.color], **faint)
    mean = frame[frame["series"] == MEAN].sort_values("step")
    style: dict[str, Any] = mean_style(look) | {"linewidth": 1.0, "markersize": 3.5, "zorder": 3}
    axes.plot(mean["tokens"].to_numpy(), mean["accuracy"].to_numpy(), **style)
    first = mean.iloc[:1]
    hollow: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": look.color, "markeredgewidth": 1.0}
    style |= hollow | {"markersize": 4.5, "zorder": 4}
    axes.plot(first["tokens"], first["accuracy"], **style)


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
                "arrowstyle": "->,head_length=0.5,head_width=0.3", "color": look.color, "linewidth": 1.0,
                "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8,
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
    notes = ["paths join the means over seeds", "faint points are seeds", *left_out(means)]
    return sentence(
        f"mean completion length and accuracy move in the same direction {said} ({span(means['seeds'], 'seed')} per"
        f" arm, {span(means['questions'], 'question')}); {listed(notes)}"
    )
