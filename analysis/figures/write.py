"""The figures, as PNG, SVG and the CSV of what they show; their intervals come from `analysis.statistics`."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.figures import data as figure_data
from analysis.figures.data import MEAN, WINDOW
from analysis.files import write_bytes, write_csv
from analysis.load import Tables
from analysis.scores import ArmTable

DPI = 160
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
CHANCE: dict[str, Any] = {"color": "0.35", "linestyle": (0, (4, 3)), "linewidth": 1.2}
CONSTANT: dict[str, Any] = {"color": "0.35", "linestyle": (0, (1, 1.6)), "linewidth": 1.6}

_STYLE: Any = {
    **sns.axes_style("whitegrid", {"grid.color": "0.9", "axes.edgecolor": "0.6"}),
    **sns.plotting_context("notebook", font_scale=0.85),
    "svg.hashsalt": "ablate",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.8,
    "figure.constrained_layout.wspace": 0.05,
    "font.family": ["DejaVu Sans"],
}


@dataclass(frozen=True)
class Look:
    """How an arm is drawn in every figure: by its place in the study, so that figures of a study agree."""

    color: tuple[float, float, float]
    marker: str
    line: Any


def looks(arms: Sequence[str]) -> dict[str, Look]:
    """Colour-blind safe colours; marker and line style differ too, for print in grey."""
    palette = sns.color_palette("colorblind", 10)
    return {arm: Look(palette[i % 10], MARKERS[i % len(MARKERS)], LINES[i % len(LINES)]) for i, arm in enumerate(arms)}


def write_figures(tables: Tables, table: ArmTable, folder: Path) -> dict[str, list[Path]]:
    """Draw every figure that has data.

    Returns:
        Paths (png, svg, csv) by figure: ``arms``, ``curves``, ``rewards``. A figure without data is left out,
        and what an earlier call left of it is deleted.
    """
    arms, curves, rewards = figure_data.arms(table), figure_data.curves(tables), figure_data.rewards(tables)
    chance = figure_data.curve_chance(tables, curves)
    written: dict[str, list[Path]] = {}
    with mpl.rc_context(_STYLE):
        if (arms["series"] != MEAN).any():
            written["arms"] = _save(draw_arms(tables, table, arms), arms, folder / "arms")
        if not curves.empty:
            written["curves"] = _save(draw_curves(tables, curves, chance), curves, folder / "curves")
        if not rewards.empty:
            written["rewards"] = _save(draw_rewards(tables, rewards), rewards, folder / "rewards")
    for name in {"arms", "curves", "rewards"} - set(written):
        for suffix in ("png", "svg", "csv"):
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    return written


def draw_curves(tables: Tables, frame: pd.DataFrame, chance: float | None) -> Figure:
    """Accuracy and mean completion length over optimiser steps; thin lines are seeds, thick their mean."""
    figure = _figure(11.5, 4.6)
    left, right = figure.subplots(1, 2)
    shown = looks(tables.arms)
    present = [arm for arm in tables.arms if (frame["arm"] == arm).any()]
    for arm in present:
        _lines(left, frame[frame["arm"] == arm], "accuracy", shown[arm])
        _lines(right, frame[frame["arm"] == arm], "tokens", shown[arm])
    handles = [_handle(frame[frame["arm"] == arm], shown[arm], with_protocol=True) for arm in present]
    if chance is not None:
        left.axhline(chance, **CHANCE)
        handles.append(Line2D([], [], label="chance", **CHANCE))
    questions = int(frame["questions"].max())
    left.set(title=f"Accuracy on {questions} of the held-out questions", ylim=(-2, 102))
    left.set(xlabel="optimiser step", ylabel="accuracy (% correct, greedy)")
    right.set(title="Mean completion length", xlabel="optimiser step", ylabel="length (tokens, greedy)")
    right.set_ylim(bottom=0)
    _finish(figure, f"{tables.study['title']}: training curves", handles)
    return figure


def draw_rewards(tables: Tables, frame: pd.DataFrame) -> Figure:
    """Reward and its parts over optimiser steps, a panel each."""
    parts = sorted(set(frame["part"]), key=lambda part: (part != "total", part))
    figure = _figure(2.6 + 3.4 * len(parts), 4.2)
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    shown = looks(tables.arms)
    present = [arm for arm in tables.arms if (frame["arm"] == arm).any()]
    for axes, part in zip(panels, parts, strict=True):
        for arm in present:
            _lines(axes, frame[(frame["arm"] == arm) & (frame["part"] == part)], "value", shown[arm], dense=True)
        title = "Total reward (weighted)" if part == "total" else f"Reward part: {part}"
        axes.set(title=title, xlabel="optimiser step", ylabel="")
        if (frame.loc[frame["part"] == part, "value"] >= 0).all():
            axes.set_ylim(bottom=0)
    panels[0].set_ylabel(f"mean reward of {WINDOW} steps")
    handles = [_handle(frame[frame["arm"] == arm], shown[arm]) for arm in present]
    _finish(figure, f"{tables.study['title']}: rewards of the training rollouts", handles)
    return figure


def draw_arms(tables: Tables, table: ArmTable, frame: pd.DataFrame) -> Figure:
    """Final accuracy by arm, in total and by task: every seed, mean and interval, chance, best constant."""
    # Sources are left to the table: their panels would be too many to read.
    scopes = [scope for scope in table.scopes if scope not in tables.sources and (frame["scope"] == scope).any()]
    figure = _figure(4.6 + 2.0 * len(scopes), 2.2 + 0.5 * len(tables.arms))
    panels = figure.subplots(1, len(scopes), sharey=True, squeeze=False, width_ratios=[1.8, *[1] * (len(scopes) - 1)])[
        0
    ]
    shown = looks(tables.arms)
    for axes, scope in zip(panels, scopes, strict=True):
        chosen = frame[frame["scope"] == scope]
        for name, style in (("chance", CHANCE), ("best constant answer", CONSTANT)):
            for value in chosen.loc[chosen["arm"] == name, "accuracy"]:
                axes.axvline(value, zorder=1, **style)
        for place, arm in enumerate(tables.arms):
            _dots(axes, chosen[chosen["arm"] == arm], place, shown[arm], named=scope == scopes[0])
        axes.set(title=scope[:1].upper() + scope[1:], xlim=(-6, 106), xticks=[0, 50, 100])
        axes.grid(axis="y", visible=False)
    panels[0].set(xticks=range(0, 101, 20), yticks=range(len(tables.arms)), yticklabels=tables.arms)
    panels[0].set_ylim(len(tables.arms) - 0.4, -0.6)
    figure.supxlabel(f"accuracy (% correct of {table.questions} held-out questions, greedy)", fontsize="medium")
    grey: dict[str, Any] = {"color": "0.35", "linestyle": ""}
    mean: dict[str, Any] = {"color": "0.35", "marker": "D", "markersize": 5}
    hollow: dict[str, Any] = {"linestyle": "", "markerfacecolor": "white", "markeredgewidth": 1.6}
    handles = [
        Line2D([], [], marker="o", markersize=4, label="one seed", **grey),
        Line2D([], [], linestyle="-", label="mean, 95 % t interval over seeds", **mean),
        Line2D([], [], label="single run, no interval", **mean, **hollow),
        Line2D([], [], label="chance", **CHANCE),
        Line2D([], [], label="best constant answer", **CONSTANT),
    ]
    _finish(figure, f"{tables.study['title']}: final accuracy by arm", handles)
    return figure


def _lines(axes: Axes, frame: pd.DataFrame, column: str, look: Look, dense: bool = False) -> None:
    seeds, mean = frame[frame["series"] != MEAN], frame[frame["series"] == MEAN]
    sns.lineplot(
        seeds, x="step", y=column, units="series", estimator=None, ax=axes, legend=False,
        color=look.color, linewidth=0.8, alpha=0.5,
    )  # fmt: skip
    axes.plot(
        mean["step"].to_numpy(), mean[column].to_numpy(), color=look.color, linewidth=2.0,
        linestyle=look.line, marker=look.marker, markersize=6, markeredgecolor="white",
        markevery=5 if dense else 1,
    )  # fmt: skip


def _handle(frame: pd.DataFrame, look: Look, with_protocol: bool = False) -> Line2D:
    seeds = int(frame.loc[frame["series"] == MEAN, "seeds"].max())
    protocol = f"\nunder {frame['protocol'].iloc[0]}" if with_protocol else ""
    return Line2D(
        [], [], color=look.color, linewidth=2.0, linestyle=look.line, marker=look.marker, markersize=6,
        markeredgecolor="white", label=f"{frame['arm'].iloc[0]} ({seeds} seed{'s' * (seeds != 1)}){protocol}",
    )  # fmt: skip


def _dots(axes: Axes, frame: pd.DataFrame, place: int, look: Look, named: bool) -> None:
    mean = frame[frame["series"] == MEAN]
    if mean.empty:
        if named:
            axes.text(50, place, "no finished run", ha="center", va="center", color="0.35", style="italic")
        return
    value, low, high = (float(mean[column].iloc[0]) for column in ("accuracy", "low", "high"))
    single = pd.isna(low)
    if not single:
        axes.errorbar(
            [value], [place], xerr=[[value - low], [high - value]], color=look.color, elinewidth=2.0,
            capsize=5, capthick=2.0, zorder=3,
        )  # fmt: skip
        seeds = frame.loc[frame["series"] != MEAN, "accuracy"].tolist()
        # Seeds of near-equal accuracy stand on three levels by turns, so that none hides behind another.
        levels = [place + 0.22 + 0.1 * (index % 3) for index in range(len(seeds))]
        axes.scatter(seeds, levels, s=16, color=[look.color], zorder=4, linewidths=0.4, edgecolors="white")
    axes.plot(
        [value], [place], marker="D", markersize=5, zorder=5, markeredgewidth=1.6, clip_on=False,
        markerfacecolor="white" if single else look.color, markeredgecolor=look.color,
    )  # fmt: skip


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _finish(figure: Figure, title: str, handles: list[Line2D]) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    figure.legend(handles=handles, loc="outside right center", frameon=False, handlelength=3.2, labelspacing=0.9)


def _save(figure: Figure, frame: pd.DataFrame, stem: Path) -> list[Path]:
    paths = []
    # Dates and program versions would make equal figures differ.
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, dpi=DPI, metadata=metadata)
        paths.append(write_bytes(stem.with_suffix(f".{suffix}"), buffer.getvalue()))
    return [*paths, write_csv(stem.with_suffix(".csv"), frame)]
