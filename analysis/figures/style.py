"""One look for all figures: sizes of a paper's columns, colours that colour-blind readers and grey print tell apart."""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import matplotlib.style
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import Bbox

SINGLE = 3.4
"""Width of a figure in one column of a paper, in inches."""
DOUBLE = 7.0
"""Width of a figure over both columns, in inches."""
SMALL = 6.5
"""Size of the smallest text, in points."""
TEXT = 7.0
TITLE = 7.5
GREY = "0.35"
"""Of whatever belongs to no arm."""
BAND = "0.88"
_PLACES = 6
"""Digits after the point of places, which are shares of a figure."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
# Out of seaborn's "colorblind" (after Wong 2011, Nature Methods 8:441), without the pale ones. Their number and that of
# markers and lines bring no pair of marker and line back before 28 arms.
_COLORS = (0, 3, 2, 4, 1, 9)

CHANCE: dict[str, Any] = {"color": GREY, "linestyle": (0, (4, 3)), "linewidth": 0.8}
# Wide and pale, so that both are seen where they are the same.
CONSTANT: dict[str, Any] = {"color": "0.78", "linestyle": "-", "linewidth": 2.2}

# Type 42 keeps fonts in the PDF as they are, which journals ask for; letters of the SVG are paths, as no viewer is sure
# to have the font.
_STYLE: dict[str, Any] = {
    **sns.axes_style("white"),
    **sns.axes_style("ticks"),
    "axes.axisbelow": True,
    "axes.edgecolor": "0.3",
    "axes.grid": True,
    "axes.labelcolor": "0.1",
    "axes.labelpad": 2.5,
    "axes.labelsize": TEXT,
    "axes.linewidth": 0.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 4.0,
    "axes.titlesize": TITLE,
    "font.family": ["DejaVu Sans"],
    "font.size": TEXT,
    "grid.color": "0.92",
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.5,
    "legend.borderaxespad": 0.2,
    "legend.borderpad": 0.1,
    "legend.columnspacing": 1.2,
    "legend.fontsize": TEXT,
    "legend.frameon": False,
    "legend.handlelength": 3.0,
    "legend.handletextpad": 0.5,
    "legend.labelspacing": 0.35,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "ablate",
    **{f"{axis}tick.{name}": value for axis in "xy" for name, value in (
        ("labelsize", SMALL), ("major.width", 0.5), ("major.size", 2.5), ("major.pad", 2.0), ("color", "0.3"),
        ("labelcolor", "0.1"),
    )},
}  # fmt: skip

_P = ParamSpec("_P")
_T = TypeVar("_T")


def styled(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Run a function under this style and nobody's own: the reader's matplotlibrc changes no figure."""

    @functools.wraps(function)
    def inside(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with matplotlib.style.context(["default", _STYLE]):
            return function(*args, **kwargs)

    return inside


@dataclass(frozen=True)
class Look:
    """How an arm is drawn in every figure: by its place in the study, so that figures of a study agree."""

    color: tuple[float, float, float]
    marker: str
    line: Any


def looks(arms: Sequence[str]) -> dict[str, Look]:
    """Look of every arm; marker and line style alone tell 28 arms apart, for print in grey.

    Args:
        arms: all arms of the study in its order.
    """
    palette = sns.color_palette("colorblind", 10)
    return {
        arm: Look(palette[_COLORS[i % len(_COLORS)]], MARKERS[i % len(MARKERS)], LINES[i % len(LINES)])
        for i, arm in enumerate(arms)
    }


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, that lays itself out."""
    engine = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.03, hspace=0.04)
    figure = Figure(figsize=(width, height), layout=engine)
    FigureCanvasAgg(figure)
    return figure


def settle(figure: Figure) -> Figure:
    """Lay the figure out once and for all, so that every file of it shows the same, and a notebook too."""
    # The engine measures what its last pass placed: one pass leaves labels on the edge.
    for _ in range(2):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    _round_places(figure)
    # Else the ticks would be chosen anew when the figure is drawn, under whatever style is then in use.
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator(axis.get_majorticklocs().tolist()))
    return figure


def _round_places(figure: Figure | SubFigure) -> None:
    """Cut digits off what the engine placed: its solver's last ones differ from call to call, and so would files."""
    for part in figure.subfigs:
        part.bbox_relative.set_points(np.round(part.bbox_relative.get_points(), _PLACES))
        _round_places(part)
    for axes in figure.get_children():
        if isinstance(axes, Axes):
            axes.set_position(Bbox.from_bounds(*(round(float(each), _PLACES) for each in axes.get_position().bounds)))
    for text in figure.texts:
        x, y = text.get_position()
        text.set_position((round(x, _PLACES), round(y, _PLACES)))


def wrapped(text: str, width: int) -> str:
    """Text in lines of at most ``width`` letters: broken at blanks, long words after one of ``+-_/:``."""
    lines = [""]
    for word in text.split():
        pieces = [word]
        if len(word) > width:
            # Cut as seldom as possible: on a line of its own, unless that would leave a sign alone.
            if len(lines[-1]) > 2:
                lines.append("")
            pieces = [part for piece in re.findall(r"[^+\-_/:]*[+\-_/:]?", word) for part in _cut(piece, width)]
        for number, piece in enumerate(pieces):
            gap = " " if number == 0 and lines[-1] else ""
            if len(lines[-1]) + len(gap) + len(piece) > width and lines[-1]:
                lines.append(piece)
            else:
                lines[-1] += gap + piece
    return "\n".join(lines)


def with_note(text: str, note: str, width: int) -> str:
    """Wrapped text and a short note behind it, which is never broken."""
    fits = len(text.split("\n")[-1]) + 1 + len(note) <= width
    return f"{text}{' ' if fits else chr(10)}{note}"


def _cut(text: str, width: int) -> list[str]:
    return [text[start : start + width] for start in range(0, len(text), width)]


def lines_of(text: str) -> int:
    """How many lines a text has."""
    return text.count("\n") + 1


Handle = Line2D | Patch


@styled
def legend_fit(handles: Sequence[Handle], width: float) -> tuple[int, float]:
    """Columns of a legend that is no wider than ``width``, and its height; both in inches."""
    figure = Figure(figsize=(width, 2.0))
    FigureCanvasAgg(figure)
    for columns in range(min(len(handles), 8), 0, -1):
        legend = figure.legend(handles=list(handles), ncols=columns, loc="center")
        figure.draw_without_rendering()
        box = legend.get_window_extent()
        if box.width / figure.dpi <= width - 0.1 or columns == 1:
            return columns, box.height / figure.dpi
        legend.remove()
    return 1, 0.0


def with_legend(width: float, height: float, handles: Sequence[Handle]) -> tuple[Figure, SubFigure]:
    """A figure with a legend at its foot, where nothing is covered.

    Args:
        width: of the figure, in inches.
        height: of what is above the legend.

    Returns:
        The figure, and the part of it that is for the panels.
    """
    columns, legend = legend_fit(handles, width)
    heights = [height, legend + 0.08]
    figure = new_figure(width, sum(heights))
    parts: Any = figure.subfigures(2, 1, height_ratios=heights)
    parts[1].legend(handles=list(handles), ncols=columns, loc="center")
    return figure, parts[0]


def plain_rows(axes: Axes) -> None:
    """Dress a panel whose rows are things and not numbers: lines for the numbers alone."""
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def line_handle(look: Look, label: str) -> Line2D:
    """What an arm's mean looks like."""
    return Line2D([], [], label=label, **mean_style(look))


def mean_style(look: Look) -> dict[str, Any]:
    """How the mean over an arm's seeds is drawn."""
    return {
        "color": look.color, "linewidth": 1.3, "linestyle": look.line, "marker": look.marker, "markersize": 4.0,
        "markeredgecolor": "white", "markeredgewidth": 0.4,
    }  # fmt: skip


def grey_handle(label: str, **style: Any) -> Line2D:
    """An entry of the legend that belongs to no arm."""
    look: dict[str, Any] = {"color": GREY, "label": label}
    return Line2D([], [], **(look | style))
