"""All declared contrasts with their intervals, margins and verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from analysis.figures.style import (
    BAND,
    DOUBLE,
    GREY,
    SMALL,
    Handle,
    grey_handle,
    lines_of,
    plain_rows,
    settle,
    styled,
    with_legend,
    wrapped,
)
from analysis.figures.wording import counted, levels, listed, sentence, signed_text

COLUMNS = (
    "contrast", "label", "metric", "unit", "estimate", "low", "high", "low90", "high90", "margin", "family", "status",
    "verdict", "population",
)  # fmt: skip
"""Columns of the frame: name; label (``a − b``); metric; its unit in the singular; the estimate (missing without one)
and the ends of its 95 % and 90 % intervals (missing without); margin (missing without one); family (missing or empty
without one); ``confirmatory`` or ``exploratory``; the verdict in a few words; the population that the interval speaks
about. Optional: ``level`` of the interval from low to high where it isn't 0.95; that of the other is 2 level - 1. Rows
are drawn in their order, families in that of their first row."""

CONFIRMATORY = "confirmatory"
INK = "0.12"
MARKERS = ("o", "s", "D", "^", "v")
"""Of the populations, in the order in which the rows meet them."""
JUMP = 4.0
"""Ratio between the sizes of contrasts from which they are on another scale."""
_LABEL, _VERDICT = 34, 34
_POINT, _END = 3.4, 6.5
"""Size of an estimate's marker and height of an interval's ends, in points."""
_LINE = 0.125
"""Height of a line of text, in inches."""


@dataclass(frozen=True)
class _Row:
    label: str
    note: str
    """Beside the row."""
    data: pd.Series | None
    """None for the heading of a family."""

    @property
    def height(self) -> float:
        return 0.11 + _LINE * max(lines_of(self.label), lines_of(self.note))


@styled
def draw(frame: pd.DataFrame) -> Figure:
    """A panel for each unit, a row for each contrast, under the heading of its family.

    Args:
        frame: as `COLUMNS` says.
    """
    frame = _clean(frame)
    populations = dict.fromkeys(frame.loc[frame["estimate"].notna(), "population"])
    markers = {text: MARKERS[i % len(MARKERS)] for i, text in enumerate(populations)}
    handles = _handles(frame, markers)
    scales = [scale for _, group in frame.groupby("unit", sort=False) for scale in _scales(group)]
    panels = [_rows(group) for group, _ in scales]
    heights = [0.4 + sum(row.height for row in rows) for rows in panels]
    figure, above = with_legend(DOUBLE, sum(heights), handles)
    grid = above.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, rows, (_, note) in zip(grid, panels, scales, strict=True):
        _panel(axes, rows, markers)
        axes.set_xlabel(axes.get_xlabel() + note)
    return settle(figure)


def _scales(frame: pd.DataFrame) -> list[tuple[pd.DataFrame, str]]:
    """Contrasts of one unit by the scale that they need, with what to say of it.

    A difference of ninety points beside ones of two would leave no interval to see: where sizes jump by a factor of
    `JUMP` and more, the larger ones get a panel of their own.
    """
    reach = frame[["estimate", "low", "high", "margin"]].abs().max(axis=1)
    known = sorted(float(size) for size in reach.dropna() if size > 0)
    jumps = [later / before for before, later in pairwise(known)]
    if not jumps or max(jumps) < JUMP:
        return [(frame, "")]
    # None of fewer than two small ones: a single one that is near zero needs no scale of its own.
    edge = known[jumps.index(max(jumps))]
    large = reach > edge
    if (~large).sum() < 2:
        return [(frame, "")]
    return [(frame[~large], ""), (frame[large], ", on another scale")]


def _rows(frame: pd.DataFrame) -> list[_Row]:
    rows: list[_Row] = []
    families = list(dict.fromkeys(frame["family"]))
    several = frame["metric"].nunique() > 1
    for family in families:
        if families != [""]:
            rows.append(_Row(f"Family: {family}" if family else "In no family", "", None))
        for _, row in frame[frame["family"] == family].iterrows():
            label = f"{row['label']}, {row['metric'].replace('_', ' ')}" if several else str(row["label"])
            note = "no estimate" if pd.isna(row["estimate"]) else signed_text(row["estimate"])
            if pd.notna(row["low"]):
                note += f" ({signed_text(row['low'])} to {signed_text(row['high'])})"
            verdict = wrapped(str(row["verdict"]), _VERDICT) if row["verdict"] else ""
            rows.append(_Row(wrapped(label, _LABEL), f"{note}\n{verdict}".strip(), row))
    return rows


def _panel(axes: Axes, rows: Sequence[_Row], markers: dict[str, str]) -> None:
    unit, metrics = "", []
    # Rows of several lines are higher: places are in inches.
    places, top = [], 0.0
    for row in rows:
        places.append(top + row.height / 2)
        top += row.height
    low, high = _limits(pd.DataFrame([row.data for row in rows if row.data is not None]))
    axes.set(xlim=(low, high), ylim=(top, 0.0))
    axes.axvline(0.0, color=GREY, linewidth=0.7, zorder=1)
    for place, row in zip(places, rows, strict=True):
        axes.annotate(
            row.note, (1.0, place), (6, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
            va="center", fontsize=SMALL, annotation_clip=False, linespacing=1.15,
        )  # fmt: skip
        if row.data is None:
            continue
        unit = str(row.data["unit"])
        metrics.append(str(row.data["metric"]))
        if pd.notna(row.data["margin"]):
            margin = float(row.data["margin"])
            corner, height = (-margin, place - row.height / 2), row.height
            axes.add_patch(Rectangle(corner, 2 * margin, height, color=BAND, linewidth=0, zorder=0.6))
        if pd.notna(row.data["estimate"]):
            _interval(axes, row.data, place, markers[row.data["population"]])
    plain_rows(axes)
    axes.set_yticks(places, [row.label for row in rows])
    for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_linespacing(1.15)
        if row.data is None:
            tick.set_fontweight("bold")
    said = listed(list(dict.fromkeys(metrics))).replace("_", " ")
    axes.set_xlabel(f"difference ({unit}s)" if said == f"{unit}s" else f"difference in {said} ({unit}s)")
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]))


def _interval(axes: Axes, data: pd.Series, place: float, marker: str) -> None:
    low, high = axes.get_xlim()
    for ends, width in ((("low", "high"), 0.8), (("low90", "high90"), 2.4)):
        if pd.notna(data[ends[0]]):
            span = [max(low, data[ends[0]]), min(high, data[ends[1]])]
            axes.plot(span, [place, place], color=INK, linewidth=width, solid_capstyle="butt", zorder=2)
    # What leaves the panel goes on: an arrow head says so.
    for end, beyond, head in (("low", data["low"] < low, "<"), ("high", data["high"] > high, ">")):
        if beyond:
            axes.plot([low if end == "low" else high], [place], marker=head, color=INK, markersize=3, clip_on=False)
        elif pd.notna(data[end]):
            # Higher than the point and over it: an interval that is narrower than the point would be hidden.
            axes.plot([data[end]], [place], marker="|", color=INK, markersize=_END, markeredgewidth=0.7, zorder=3.1)
    face = INK if data["status"] == CONFIRMATORY else "white"
    axes.plot(
        [data["estimate"]], [place], marker=marker, markersize=_POINT, markerfacecolor=face, markeredgecolor=INK,
        markeredgewidth=0.8, zorder=3, clip_on=False,
    )  # fmt: skip


def _limits(frame: pd.DataFrame) -> tuple[float, float]:
    """Limits that show every estimate and margin, and of intervals no more than is readable beside them."""
    margins = frame["margin"].astype(float).fillna(0.0)
    centre = pd.concat([frame["estimate"].astype(float).dropna(), margins, -margins, pd.Series([0.0])])
    widths = (frame["high"] - frame["low"]).astype(float).dropna()
    width = float(widths.median()) if len(widths) else 0.0
    span = max(float(centre.max() - centre.min()), width, 1e-9)
    ends = pd.concat([centre, frame["low"].astype(float).dropna(), frame["high"].astype(float).dropna()])
    low = max(float(ends.min()), float(centre.min()) - span)
    high = min(float(ends.max()), float(centre.max()) + span)
    return low - 0.04 * (high - low), high + 0.04 * (high - low)


def _handles(frame: pd.DataFrame, markers: dict[str, str]) -> list[Handle]:
    point: dict[str, Any] = {"linestyle": "", "color": INK, "markersize": _POINT}
    handles: list[Handle] = []
    status = set(frame["status"])
    if CONFIRMATORY in status:
        handles.append(grey_handle("confirmatory (filled)", marker="o", **point))
    if status - {CONFIRMATORY}:
        handles.append(grey_handle("exploratory (hollow)", marker="o", markerfacecolor="white", **point))
    if frame["low"].notna().any():
        handles.append(grey_handle(f"{levels(frame)[0]} interval", color=INK, linewidth=0.8))
    if frame["low90"].notna().any():
        handles.append(grey_handle(f"{levels(frame)[1]} interval", color=INK, linewidth=2.4, solid_capstyle="butt"))
    if frame["margin"].notna().any():
        handles.append(Patch(facecolor=BAND, label="margin"))
    if len(markers) > 1:
        for text, marker in markers.items():
            handles.append(grey_handle(wrapped(text or "no population", 60), marker=marker, **point))
    return handles


def _clean(frame: pd.DataFrame) -> pd.DataFrame:
    numbers = ["estimate", "low", "high", "low90", "high90", "margin"]
    words = ["label", "metric", "unit", "family", "status", "verdict", "population"]
    return frame.assign(
        **{name: pd.to_numeric(frame[name]).astype(float) for name in numbers},
        **{name: frame[name].astype(object).where(frame[name].notna(), "") for name in words},
    )


def caption(frame: pd.DataFrame) -> str:
    """One sentence: how many intervals are above, below and on zero, which contrast is largest, what is drawn."""
    frame = _clean(frame)
    known = frame[frame["low"].notna()]
    above, below = int((known["low"] > 0).sum()), int((known["high"] < 0).sum())
    confirmatory = int((frame["status"] == CONFIRMATORY).sum())
    outer, inner = levels(frame)
    told = [
        f"{counted(len(frame), 'declared contrast')} ({confirmatory} confirmatory, {len(frame) - confirmatory}"
        f" exploratory): the {outer} interval lies above zero in {above}, below in {below} and holds zero"
        f" in {len(known) - above - below}"
    ]
    without = len(frame) - len(known)
    if without:
        told.append(f"{without} {'have' if without > 1 else 'has'} no interval")
    if len(known):
        # Differences in units that can't be compared are ranked by their distance from zero in interval widths.
        scaled = known["estimate"].abs() / (known["high"] - known["low"]).clip(lower=1e-12)
        most: Any = known.iloc[int(scaled.to_numpy().argmax())]
        told.append(
            f"clearest is {most['label']} with {signed_text(most['estimate'])} {most['unit']}s"
            f" ({signed_text(most['low'])} to {signed_text(most['high'])})"
        )
    notes = [f"thin bars are {outer} and thick ones {inner} intervals" if len(known) else "points are estimates"]
    populations = set(known["population"]) - {""}
    if len(populations) == 1:
        notes[0] += f" (population: {populations.pop()})"
    elif populations:
        notes.append("markers tell the population that an interval speaks about")
    if frame["margin"].notna().any():
        notes.append("grey bands are margins")
    if 0 < confirmatory < len(frame):
        notes.append("filled points are confirmatory")
    return sentence(f"{', '.join(told)}; {', '.join(notes)}")
