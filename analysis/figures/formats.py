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
from analysis.figures.wording import counted, levels, listed, sentence, signed_text

COLUMNS = ("contrast", "label", "part", "estimate", "low", "high")
"""Columns of the frame: contrast and its label (``a − b``), part (``now parsed``, ``now right``, ...), estimate
(percentage points) and the ends of its interval (missing without one). A part called ``total`` is drawn as a diamond;
without one it is the sum. Optional: ``level`` (of the intervals; 0.95 without), ``told`` (false for a contrast whose
sides both have an answer that can be read on too few questions to tell ability from format; true without). Rows are
drawn in their order."""

TOTAL = "total"
_HATCHES = ("", "////", "....", "xxxx")
_COLORS = (0, 1, 2, 4)
_BAR = 0.76
"""Height of a row's bars and its total together, as a share of the row."""
_LEVEL = 0.115
"""Height of a bar, in inches."""
_LINE = 0.125
"""Height of a line of text, in inches."""
UNTOLD = "(cannot be told)"


@styled
def draw(frame: pd.DataFrame) -> Figure:
    """A bar from zero for each part and the total below them, one row per contrast, in one column.

    Args:
        frame: as `COLUMNS` says.
    """
    frame = _clean(frame)
    parts = [part for part in dict.fromkeys(frame["part"]) if part != TOTAL]
    rows = list(dict.fromkeys(frame["contrast"]))
    labels = frame.drop_duplicates("contrast").set_index("contrast")["label"]
    untold = set(frame.loc[~frame["told"], "contrast"])
    names = [name_text(str(labels[each]), UNTOLD if each in untold else "") for each in rows]
    palette = sns.color_palette("colorblind", 10)
    looks: dict[str, dict[str, Any]] = {
        part: {"facecolor": palette[_COLORS[i % 4]], "hatch": _HATCHES[i % 4], "edgecolor": "white", "linewidth": 0.0}
        for i, part in enumerate(parts)
    }
    handles: list[Handle] = [Patch(label=part, **looks[part]) for part in parts]
    handles.append(grey_handle(TOTAL, linestyle="", marker="D", markersize=3.5, markerfacecolor="white", color="0.1"))
    if frame["low"].notna().any():
        handles.append(grey_handle(f"{levels(frame)[0]} interval", color="0.1", linewidth=0.8))
    row = max((len(parts) + 1) * _LEVEL / _BAR, 0.12 + _LINE * max(map(lines_of, names)))
    figure, above = with_legend(SINGLE, 0.42 + row * len(rows), handles)
    axes = above.subplots()
    for place, contrast in enumerate(rows):
        _bars(axes, frame[frame["contrast"] == contrast], place, looks)
    axes.axvline(0.0, color=GREY, linewidth=0.7, zorder=2.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    # Centred under names and panel together: it is wider than the panel.
    above.supxlabel("difference in accuracy (percentage points)", fontsize="medium")
    axes.set_yticks(range(len(rows)), names)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    plain_rows(axes)
    return settle(figure)


def _bars(axes: Axes, frame: pd.DataFrame, place: int, looks: dict[str, dict[str, Any]]) -> None:
    known = frame[frame["estimate"].notna()]
    if known.empty:
        axes.text(0, place, " no estimate", va="center", color=GREY, style="italic")
        return
    parts, total = known[known["part"] != TOTAL], known[known["part"] == TOTAL]
    # Bars side by side and not stacked: a whisker at the end of a stack would be read as the total's.
    height = _BAR / (len(looks) + 1)
    levels_of = [place - _BAR / 2 + height * (number + 0.5) for number in range(len(looks) + 1)]
    for _, row in parts.iterrows():
        level = levels_of[list(looks).index(row["part"])]
        axes.barh(level, row["estimate"], 0.9 * height, zorder=2, **looks[row["part"]])
        _whisker(axes, row, level)
    for _, row in total.iterrows():
        _whisker(axes, row, levels_of[-1])
    value = float(total["estimate"].iloc[0]) if len(total) else float(parts["estimate"].sum())
    axes.plot(
        [value], [levels_of[-1]], marker="D", markersize=3.5, markerfacecolor="white", markeredgecolor="0.1",
        markeredgewidth=0.9, zorder=3.05,
    )  # fmt: skip


def _whisker(axes: Axes, row: pd.Series, level: float) -> None:
    if pd.isna(row["low"]):
        return
    span, levels_of = [row["low"], row["high"]], [level, level]
    axes.plot(span, levels_of, color="white", linewidth=1.8, solid_capstyle="butt", zorder=3)
    axes.plot(span, levels_of, color="0.1", linewidth=0.7, zorder=3.1, marker="|", markersize=3.5, markeredgewidth=0.6)


def _clean(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers as such, and no interval of a part where its contrast can't be told."""
    told = frame["told"].astype(bool) if "told" in frame else pd.Series(True, index=frame.index)
    frame = frame.assign(told=told.groupby(frame["contrast"]).transform("all"))
    frame = frame.astype({"estimate": float, "low": float, "high": float})
    shown = frame["told"] | (frame["part"] == TOTAL)
    return frame.assign(low=frame["low"].where(shown), high=frame["high"].where(shown))


def caption(frame: pd.DataFrame) -> str:
    """One sentence: the parts of the largest difference in numbers, where they can't be told, what leads elsewhere."""
    frame = _clean(frame)
    parts = [part for part in dict.fromkeys(frame["part"]) if part != TOTAL]
    wide = frame[frame["part"] != TOTAL].pivot_table(
        index="contrast", columns="part", values="estimate", sort=False, aggfunc="first"
    )
    wide = wide.reindex(columns=parts).dropna()
    count = frame["contrast"].nunique()
    if wide.empty:
        return sentence(f"none of {counted(count, 'contrast')} has an estimate of its parts")
    first = frame.drop_duplicates("contrast").set_index("contrast")
    most: Any = wide.sum(axis=1).abs().idxmax()
    sizes = wide.loc[most].astype(float).tolist()
    told = listed([f"{signed_text(size)} {part}" for size, part in zip(sizes, parts, strict=True)])
    said = [
        f"the difference in accuracy of {first.loc[most, 'label']}, the largest, is {signed_text(sum(sizes))}"
        f" percentage points: {told}"
    ]
    clear = wide[first.loc[wide.index, "told"].astype(bool)]
    if most not in clear.index:
        said[0] += (
            ", but ability cannot be told from format there, as too few questions have an answer of both sides that"
            " can be read"
        )
    untold = len(wide) - len(clear)
    if untold > (most not in clear.index):
        said.append(f"ability cannot be told from format in {untold} of {counted(len(wide), 'contrast')}")
    if len(clear):
        led = int((clear.abs().idxmax(axis=1) == parts[0]).sum())
        which = f"the {counted(len(clear), 'contrast')} that can be told" if untold else counted(len(clear), "contrast")
        said.append(f"“{parts[0]}” is the largest part in {led} of {which}")
    whiskers = f", whiskers their {levels(frame)[0]} intervals" if frame["low"].notna().any() else ""
    return sentence(f"{'; '.join(said)}; bars are parts and diamonds totals{whiskers}")
