"""Panels whose rows are arms or contrasts, side by side: names on the left, an axis of numbers below."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import (
    DOUBLE,
    Handle,
    lines_of,
    plain_rows,
    with_legend,
    wrapped,
)

NAME = 22
"""Letters in a line of a row's name."""
ACROSS = 5
"""Panels side by side."""
_LINE = 0.135
"""Height of a line of text, in inches."""


def name_text(name: str, note: str = "") -> str:
    """A row's name in lines that fit beside the panels, with a note in a line of its own."""
    return wrapped(name, NAME) + (f"\n{note}" if note else "")


def row_panels(
    names: Sequence[str],
    titles: Sequence[str],
    handles: Sequence[Handle],
    axis_label: str,
    wide_first: bool = False,
    across: int = ACROSS,
    least: float = 0.24,
) -> tuple[Figure, list[Axes]]:
    """Empty panels that share their rows; row ``i`` lies at ``i``, the first on top.

    Args:
        names: of the rows, from `name_text`.
        titles: of the panels.
        handles: explained below.
        axis_label: of the numbers, below all panels.
        wide_first: the first panel is wider than the others.
        across: panels side by side at most.
        least: height of a row, in inches, where its name has one line.
    """
    across = min(across, len(titles))
    down = math.ceil(len(titles) / across)
    titles = [wrapped(title, 80 // across) for title in titles]
    row = max(least, 0.06 + _LINE * max(map(lines_of, names)))
    panel = 0.32 + _LINE * max(map(lines_of, titles)) + row * len(names)
    figure, above = with_legend(DOUBLE, down * panel + 0.2, handles)
    wide = 1.5 if wide_first and down == 1 else 1.0
    grid = above.subplots(down, across, sharey=True, squeeze=False, width_ratios=[wide, *[1.0] * (across - 1)])
    for axes in grid.flat[len(titles) :]:
        axes.set_visible(False)
    shown = list(grid.flat[: len(titles)])
    for axes, title in zip(shown, titles, strict=True):
        axes.set_title(title)
        plain_rows(axes)
        for between in range(1, len(names)):
            axes.axhline(between - 0.5, color="0.92", linewidth=0.4, zorder=0.5)
    shown[0].set(yticks=range(len(names)), yticklabels=names)
    shown[0].set_ylim(len(names) - 0.5, -0.5)
    above.supxlabel(axis_label, fontsize="medium")
    return figure, shown
