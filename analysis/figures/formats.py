"""What a gain in accuracy is made of: completions that are now parsed, and answers that are now right."""

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.figures.rows import name_text
from analysis.figures.style import (
    GREY,
    SINGLE,
    Handle,
    grey_handle,
    lines_of,
    plain_rows,
    settle,
    styled,
    with_legend,
)
from analysis.figures.wording import levels, listed, sentence, signed_text

COLUMNS = ("contrast", "label", "part", "estimate", "low", "high")
"""Columns of the frame: contrast and its label (``a − b``), part (``now parsed``, ``now right``, ...), estimate
(percentage points) and the ends of its interval (missing without one). A part called ``total`` is drawn as a diamond;
without one it is the sum. Optional: ``level`` (of the intervals; 0.95 without). Rows are drawn in their order."""

TOTAL = "total"
_HATCHES = ("", "////", "....", "xxxx")
_COLORS = (0, 1, 2, 4)
_BAR = 0.56


@styled
def draw(frame: pd.DataFrame) -> Figure:
    """Bars stacked away from zero, one row per contrast, in one column.

    Args:
        frame: as `COLUMNS` says.
    """
    frame = frame.astype({"estimate": float, "low": float, "high": float})
    parts = [part for part in dict.fromkeys(frame["part"]) if part != TOTAL]
    rows = list(dict.fromkeys(frame["contrast"]))
    labels = frame.drop_duplicates("contrast").set_index("contrast")["label"]
    names = [name_text(str(labels[contrast])) for contrast in rows]
    palette = sns.color_palette("colorblind", 10)
    looks: dict[str, dict[str, Any]] = {
        part: {"facecolor": palette[_COLORS[i % 4]], "hatch": _HATCHES[i % 4], "edgecolor": "white", "linewidth": 0.4}
        for i, part in enumerate(parts)
    }
    handles: list[Handle] = [Patch(label=part, **looks[part]) for part in parts]
    handles.append(grey_handle(TOTAL, linestyle="", marker="D", markersize=3.5, markerfacecolor="white", color="0.1"))
    if frame["low"].notna().any():
        handles.append(grey_handle(f"{levels(frame)[0]} interval", color="0.1", linewidth=0.8))
    row = max(0.3, 0.12 + 0.125 * max(map(lines_of, names)))
    figure, above = with_legend(SINGLE, 0.42 + row * len(rows), handles)
    axes = above.subplots()
    for place, contrast in enumerate(rows):
        _stack(axes, frame[frame["contrast"] == contrast], place, looks)
    axes.axvline(0.0, color=GREY, linewidth=0.7, zorder=1)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    # Centred under names and panel together: it is wider than the panel.
    above.supxlabel("difference in accuracy (percentage points)", fontsize="medium")
    axes.set_yticks(range(len(rows)), names)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    plain_rows(axes)
    return settle(figure)


def _stack(axes: Axes, frame: pd.DataFrame, place: int, looks: dict[str, dict[str, Any]]) -> None:
    ends = {True: 0.0, False: 0.0}
    known = frame[frame["estimate"].notna()]
    if known.empty:
        axes.text(0, place, " no estimate", va="center", color=GREY, style="italic")
        return
    parts = known[known["part"] != TOTAL]
    for number, (_, row) in enumerate(parts.iterrows()):
        up = row["estimate"] >= 0
        start = ends[up]
        ends[up] = start + row["estimate"]
        axes.barh(place, row["estimate"], _BAR, left=start, zorder=2, **looks[row["part"]])
        if pd.notna(row["low"]):
            # Whiskers of the parts at levels of their own, as their bars touch.
            level = place + _BAR * ((number + 1) / (len(parts) + 1) - 0.5)
            span = [start + row["low"], start + row["high"]]
            axes.plot(span, [level, level], color="white", linewidth=2.0, zorder=3)
            axes.plot(span, [level, level], color="0.1", linewidth=0.8, zorder=3.1)
    total = known.loc[known["part"] == TOTAL, "estimate"]
    for _, row in known[(known["part"] == TOTAL) & known["low"].notna()].iterrows():
        axes.plot([row["low"], row["high"]], [place, place], color="white", linewidth=2.0, zorder=3)
        axes.plot([row["low"], row["high"]], [place, place], color="0.1", linewidth=0.8, zorder=3.1)
    value = float(total.iloc[0]) if len(total) else float(parts["estimate"].sum())
    axes.plot(
        [value], [place], marker="D", markersize=3.5, markerfacecolor="white", markeredgecolor="0.1", zorder=4,
        markeredgewidth=0.9,
    )  # fmt: skip


def caption(frame: pd.DataFrame) -> str:
    """One sentence: the parts of the largest difference in numbers, and where the first part is the larger one."""
    frame = frame.astype({"estimate": float})
    parts = [part for part in dict.fromkeys(frame["part"]) if part != TOTAL]
    wide = frame[frame["part"] != TOTAL].pivot_table(
        index="contrast", columns="part", values="estimate", sort=False, aggfunc="first"
    )
    wide = wide.reindex(columns=parts).dropna()
    count = frame["contrast"].nunique()
    if wide.empty:
        return sentence(f"none of {count} contrasts has an estimate of its parts")
    labels = frame.drop_duplicates("contrast").set_index("contrast")["label"]
    most: Any = wide.sum(axis=1).abs().idxmax()
    sizes = wide.loc[most].astype(float).tolist()
    told = listed([f"{signed_text(size)} {part}" for size, part in zip(sizes, parts, strict=True)])
    led = int((wide.abs().idxmax(axis=1) == parts[0]).sum())
    whiskers = f" with {levels(frame)[0]} intervals" if frame["low"].notna().any() else ""
    return sentence(
        f"the difference in accuracy of {labels[most]}, the largest, is {signed_text(sum(sizes))} percentage"
        f" points: {told}; “{parts[0]}” is the largest part in {led} of {len(wide)}"
        f" contrast{'s' * (len(wide) != 1)}, bars are parts{whiskers} and diamonds totals"
    )
