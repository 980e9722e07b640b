"""Panels whose rows are arms or contrasts, side by side: names on the left, an axis of numbers below."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import (
    DOUBLE,
    GREY,
    SMALL,
    Handle,
    lines_of,
    plain_rows,
    with_legend,
    with_note,
    wrapped,
)

NAME = 26
"""Letters in a line of a row's name."""
ACROSS = 6
"""Panels side by side."""
_LINE = 0.135
"""Height of a line of text, in inches."""


def name_text(name: str, note: str = "") -> str:
    """A row's name in lines that fit beside the panels, with a note behind it."""
    return with_note(wrapped(name, NAME), note, NAME) if note else wrapped(name, NAME)


def no_score(axes: Axes, place: float) -> None:
    """Say in an axis of percent that a row has nothing to show."""
    axes.text(
        50, place, "no score", ha="center", va="center", color=GREY, style="italic", fontsize=SMALL,
        bbox={"facecolor": "white", "linewidth": 0, "pad": 1.0},
    )  # fmt: skip


def row_panels(
    names: Sequence[str],
    titles: Sequence[str],
    handles: Sequence[Handle],
    axis_label: str,
    wide_first: bool = False,
    across: int = ACROSS,
    least: float = 0.24,
) -> tuple[Figure, list[Axes], list[float]]:
    """Empty panels that share their rows, the first on top.

    Args:
        names: of the rows, from `name_text`.
        titles: of the panels.
        handles: explained below.
        axis_label: of the numbers, below all panels.
        wide_first: the first panel is wider than the others.
        across: panels side by side at most.
        least: height of a row, in inches, where its name has one line.

    Returns:
        The figure, its panels, and where each row lies on their vertical axes, which are in inches.
    """
    down = math.ceil(len(titles) / across)
    across = math.ceil(len(titles) / down)
    titles = [wrapped(title, 80 // across) for title in titles]
    edges, places = [0.0], []
    for name in names:
        height = max(least, 0.06 + _LINE * lines_of(name))
        places.append(edges[-1] + height / 2)
        edges.append(edges[-1] + height)
    panel = 0.32 + _LINE * max(map(lines_of, titles)) + edges[-1]
    figure, above = with_legend(DOUBLE, down * panel + 0.2, handles)
    wide = 1.5 if wide_first and down == 1 else 1.0
    grid = above.subplots(down, across, sharey=True, squeeze=False, width_ratios=[wide, *[1.0] * (across - 1)])
    for axes in grid.flat[len(titles) :]:
        axes.set_visible(False)
    shown = list(grid.flat[: len(titles)])
    for axes, title in zip(shown, titles, strict=True):
        axes.set_title(title)
        plain_rows(axes)
        for edge in edges[1:-1]:
            axes.axhline(edge, color="0.92", linewidth=0.4, zorder=0.5)
    shown[0].set(yticks=places, yticklabels=names)
    shown[0].set_ylim(edges[-1], 0.0)
    above.supxlabel(axis_label, fontsize="medium")
    return figure, shown, places
