"""Panels of curves over training: thin lines are seeds, thick ones their mean, bands its interval over seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.figures.series import MEAN, REFERENCE, RUN
from analysis.figures.style import (
    BAND,
    CHANCE,
    DOUBLE,
    SINGLE,
    Handle,
    Look,
    grey_handle,
    legend_fit,
    line_handle,
    looks,
    mean_style,
    new_figure,
    settle,
    styled,
    with_note,
    wrapped,
)

TOGETHER = 4
"""Arms in one panel; more than these are too many to follow, and get panels of their own."""
PER_ROW = 3
PANEL = 1.75
"""Height of a row of panels, in inches."""


@dataclass(frozen=True)
class Panel:
    """One measure over training."""

    measure: str
    title: str
    label: str
    """Of the vertical axis, with the unit."""
    floor: float | None = None
    """What no value can be under."""
    ceiling: float | None = None


@styled
def draw_lines(
    frame: pd.DataFrame, panels: Sequence[Panel], arms: Sequence[str], step_label: str = "optimiser step"
) -> Figure:
    """Draw every measure in a panel; where there are more than `TOGETHER` arms, in rows of as many.

    Args:
        frame: columns arm, seed, series, measure, step, value, low, high, n; rows of series ``reference`` are lines.
        panels: measures that the frame has.
        step_label: of the horizontal axis.
        arms: all arms of the study in its order; those without rows are left out.
    """
    shown = looks(arms)
    present = [arm for arm in arms if (frame["arm"] == arm).any()]
    rows = math.ceil(len(present) / TOGETHER)
    # Five arms are three and two, not four and one.
    size = math.ceil(len(present) / rows)
    groups = [present[start : start + size] for start in range(0, len(present), size)]
    across = min(PER_ROW, len(panels))
    down = math.ceil(len(panels) / across)
    width = SINGLE if across == 1 else DOUBLE
    legends = [_handles(frame, group, shown, with_keys=group is groups[-1]) for group in groups]
    fits = [legend_fit(handles, width) for handles in legends]
    heights = [each for _, height in fits for each in (down * PANEL, height + 0.12)]
    figure = new_figure(width, sum(heights))
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
    limits = {panel.measure: _limits(frame, panel) for panel in panels}
    for above, below, group, handles, (columns, _) in zip(parts[::2], parts[1::2], groups, legends, fits, strict=True):
        below.legend(handles=handles, ncols=columns, loc="center")
        grid = above.subplots(down, across, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for number, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
            chosen = frame[frame["measure"] == panel.measure]
            _panel(axes, chosen, panel, group, shown, dense=len(set(chosen["step"].dropna())) > 15)
            axes.set_ylim(*limits[panel.measure])
            axes.set_xlabel(step_label if number + across >= len(panels) else "")
            if number % across and panel.label == panels[number - 1].label:
                axes.set_ylabel("")
    return settle(figure)


def _panel(
    axes: Axes, frame: pd.DataFrame, panel: Panel, group: Sequence[str], shown: dict[str, Look], dense: bool
) -> None:
    for value in frame.loc[frame["series"] == REFERENCE, "value"]:
        axes.axhline(value, zorder=1.5, **CHANCE)
    for place, arm in enumerate(group):
        own = frame[frame["arm"] == arm]
        mean = own[own["series"] == MEAN].dropna(subset="value")
        if mean.empty:
            continue
        look = shown[arm]
        for _, run in own[own["series"] == RUN].groupby("seed", dropna=False):
            line = run.sort_values("step")[["step", "value"]].to_numpy(dtype=float)
            axes.plot(line[:, 0], line[:, 1], color=look.color, linewidth=0.5, alpha=0.45, zorder=2)
        x, low, high = (mean[column].to_numpy(dtype=float) for column in ("step", "low", "high"))
        # The band of two seeds is so wide that it would hide the lines.
        alpha = 0.15 if mean["n"].max() > 2 else 0.06
        axes.fill_between(x, low, high, color=look.color, alpha=alpha, linewidth=0, zorder=1.8)
        # A white edge keeps the mean apart from the seeds that it runs through, in grey print above all.
        values = mean["value"].to_numpy(dtype=float)
        axes.plot(x, values, color="white", linewidth=2.3, zorder=2.5 + 0.01 * place)
        # Markers of different arms stand at different steps, so that none hides behind another.
        every = (min(place, len(mean) - 1), 6) if dense else 1
        axes.plot(x, values, markevery=every, zorder=3 + 0.01 * place, **mean_style(look))
    axes.set(title=panel.title, ylabel=panel.label)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))


def _handles(frame: pd.DataFrame, group: Sequence[str], shown: dict[str, Look], with_keys: bool) -> list[Handle]:
    handles: list[Handle] = []
    means = frame[frame["series"] == MEAN]
    for arm in group:
        seeds = _seeds(means.loc[means["arm"] == arm, "n"])
        handles.append(line_handle(shown[arm], with_note(wrapped(arm, 44), f"({seeds})", 44)))
    if with_keys:
        if means["n"].max() > 1:
            handles.append(grey_handle("one seed", linewidth=0.6))
        if means["low"].notna().any():
            handles.append(Patch(facecolor=BAND, label="95 % t interval over seeds"))
        if (frame["series"] == REFERENCE).any():
            handles.append(grey_handle("chance", **CHANCE))
    return handles


def _seeds(counts: pd.Series) -> str:
    few, many = int(counts.min()), int(counts.max())
    return f"{few} seed{'s' * (few != 1)}" if few == many else f"{few}–{many} seeds"


def _limits(frame: pd.DataFrame, panel: Panel) -> tuple[float, float]:
    """Limits that show every seed, and of bands no more than doubles that: one of two seeds would hide all else."""
    frame = frame[frame["measure"] == panel.measure]
    low, high = float(frame["value"].min()), float(frame["value"].max())
    spare = max(high - low, 1e-9)
    # Missing ends, where there is one seed, are neither smaller nor larger than anything.
    bottom = max(float(np.nanmin([low, frame["low"].min()])), low - 0.25 * spare)
    top = min(float(np.nanmax([high, frame["high"].max()])), high + 0.25 * spare)
    bottom, top = bottom - 0.05 * spare, top + 0.05 * spare
    if panel.floor is not None:
        # A little under the floor, so that a line along it is whole.
        bottom = max(bottom, panel.floor - 0.02 * (top - panel.floor))
    if panel.ceiling is not None:
        top = min(top, panel.ceiling + 0.02 * (panel.ceiling - bottom))
    return bottom, top
