"""Each contrast by task and source, with the one that is worst for it marked."""

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures.rows import name_text, row_panels
from analysis.figures.style import GREY, Handle, grey_handle, settle, styled
from analysis.figures.wording import counted, levels, listed, sentence, signed_text

COLUMNS = ("contrast", "scope", "estimate", "low", "high", "worst")
"""Columns of the frame: contrast, scope (overall, task, source, ...), estimate (in ``unit``) and the ends of its
interval (missing without one), worst (true for the scope where side a does worst against side b). Optional columns:
``label`` (of the contrast, ``a − b``), ``unit`` (in the singular; percentage point without), ``level`` (of the
intervals; 0.95 without). Contrasts and scopes are drawn in the order of the rows."""

_INK = "0.12"
_ENDS: dict[str, Any] = {"markersize": 6.0, "markeredgewidth": 0.7}


@styled
def draw(frame: pd.DataFrame) -> Figure:
    """A panel for each contrast, a row for each scope.

    Args:
        frame: as `COLUMNS` says.
    """
    frame = _clean(frame)
    contrasts, scopes = list(dict.fromkeys(frame["contrast"])), list(dict.fromkeys(frame["scope"]))
    worst = sns.color_palette("colorblind", 10)[3]
    handles: list[Handle] = [
        grey_handle(f"difference, {levels(frame)[0]} interval", color=_INK, marker="o", markersize=3.5, linewidth=0.9),
        grey_handle("worst task or source of the contrast", color=worst, marker="v", markersize=4.5, linewidth=0.9),
    ]
    labels = frame.drop_duplicates("contrast").set_index("contrast")["label"]
    units = frame.drop_duplicates("contrast").set_index("contrast")["unit"]
    one = units.nunique() == 1
    titles = [str(labels[each]) if one else f"{labels[each]} ({units[each]}s)" for each in contrasts]
    axis = f"difference ({units.iloc[0]}s)" if one else "difference"
    figure, panels, places = row_panels(
        [name_text(scope) for scope in scopes], titles, handles, axis, across=4, least=0.19
    )
    for axes, contrast in zip(panels, contrasts, strict=True):
        axes.axvline(0.0, color=GREY, linewidth=0.7, zorder=1)
        for _, row in frame[frame["contrast"] == contrast].iterrows():
            _row(axes, row, places[scopes.index(row["scope"])], worst if row["worst"] else _INK)
        axes.margins(x=0.08)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    return settle(figure)


def _row(axes: Axes, row: pd.Series, place: float, color: object) -> None:
    if pd.isna(row["estimate"]):
        return
    if pd.notna(row["low"]):
        ends = [row["low"], row["high"]]
        axes.plot(ends, [place, place], color=color, linewidth=0.9, zorder=2)
        # Over the point and higher: an interval that is narrower than the point would be hidden.
        axes.plot(ends, [place, place], color=color, linestyle="", marker="|", zorder=4, **_ENDS)
    marker, size = ("v", 4.5) if row["worst"] else ("o", 3.5)
    axes.plot(
        [row["estimate"]], [place], marker=marker, markersize=size, color=color, zorder=3, markeredgewidth=0.3,
        markeredgecolor="white",
    )  # fmt: skip


def _clean(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.astype({"estimate": float, "low": float, "high": float, "worst": bool})
    return frame.assign(
        label=frame.get("label", frame["contrast"]),
        unit=frame.get("unit", "percentage point"),
    )


def caption(frame: pd.DataFrame) -> str:
    """One sentence: the worst scope of up to three contrasts in numbers, and in how many the worst is a loss."""
    frame = _clean(frame)
    worst = frame[frame["worst"] & frame["estimate"].notna()]
    panels = frame["contrast"].nunique()
    count = counted(panels, "contrast")
    own_scales = ["each panel has a scale of its own"] if panels > 1 else []
    if worst.empty:
        text = f"differences of {count} by task and source with {levels(frame)[0]} intervals"
        return sentence("; ".join([text, *own_scales]))
    # A contrast may have a worst task and a worst source: the lower one is told.
    lowest = worst.sort_values("estimate", kind="stable").drop_duplicates("contrast")
    row: Any = lowest.iloc[0]
    ends = "" if pd.isna(row["low"]) else f"; {signed_text(row['low'])} to {signed_text(row['high'])}"
    loss = int((lowest["estimate"] < 0).sum())
    return sentence(
        f"{count} by task and source: the worst of each (triangle) is under zero in {loss} of {len(lowest)}, and lowest"
        f" is {row['scope']} for {row['label']} ({signed_text(row['estimate'])} {row['unit']}s{ends});"
        f" {listed([f'bars are {levels(frame)[0]} intervals', *own_scales])}"
    )
