"""Power against the true difference, for several numbers of seeds, from a declared SD over seeds."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq
from scipy.stats import norm

from analysis.figures.style import (
    DOUBLE,
    SINGLE,
    Handle,
    grey_handle,
    line_handle,
    lines_of,
    looks,
    mean_style,
    settle,
    styled,
    with_legend,
    wrapped,
)
from analysis.figures.wording import counted, listed, sentence, value_text
from analysis.statistics import Design, detectable, power_of

COLUMNS = ("seeds", "difference", "power", "sd", "test")
"""Columns of the frame: seeds (per arm), difference (percentage points), power (0 to 1), sd (over seeds, percentage
points), test (in words, its level behind ``, α``; a panel each). Optional: ``own`` (true for the study's own number of
seeds), ``target`` (the power that is asked for; 0.8 without)."""

SEEDS = (2, 3, 5, 10)
TARGET = 0.8
ACROSS = 3
"""Panels side by side."""
SHARED = 2.0
"""Ratio between the panels' ranges up to which they share one axis."""
_LINE = 0.125
"""Height of a line of a title, in inches."""
_FLAT = 0.98
"""Power from which lines lie on each other."""
_DRAWN = 201
"""Points of a drawn line."""
_ALMOST = 1e-6
"""Power nearer to 0 or 1 has no quantile to work with."""


def frame(
    own: Sequence[int],
    sd: float,
    *,
    paired: bool,
    correlation: float = 0.0,
    alpha: float = 0.05,
    target: float = TARGET,
) -> pd.DataFrame:
    """Power of the t test of two arms, for 2, 3, 5 and 10 seeds and the study's own number.

    Args:
        own: seeds per arm of the study (several where its contrasts differ).
        sd: of an arm's accuracy over seeds, in percentage points.
        paired: the test is that of seed differences; Welch's otherwise.
        correlation: of the two arms over seeds, for the paired test.
        alpha: two-sided level.
        target: power that is asked for.

    Returns:
        Columns as `COLUMNS` says, own and target; differences up to where the smallest number of seeds that is shown
        and not hopeless (three) has nearly full power.
    """
    counts = sorted({*SEEDS, *(seeds for seeds in own if seeds > 1)})
    test = "t over seed pairs" if paired else "Welch t over seeds"

    def design(seeds: int) -> Design:
        return Design((1.0, -1.0), (seeds, seeds), paired, correlation)

    widest = detectable(design(3), sd, alpha, 0.95)
    assert widest is not None, "three seeds have a test"
    rows = []
    for seeds in counts:
        # Closer together where they are small: with many seeds the power rises there, and fast.
        for difference in map(float, widest * np.linspace(0.0, 1.0, 41) ** 2):
            found = power_of(design(seeds), difference, sd, alpha)
            rows.append((seeds, difference, found, sd, test, seeds in own, target))
    return pd.DataFrame(rows, columns=[*COLUMNS, "own", "target"])


@styled
def draw(frame: pd.DataFrame) -> Figure:
    """A line for each number of seeds, a panel for each test.

    Args:
        frame: as `COLUMNS` says.
    """
    frame = _clean(frame)
    tests, counts = list(dict.fromkeys(frame["test"])), sorted(set(frame["seeds"]))
    shown = looks([str(count) for count in counts])
    handles: list[Handle] = []
    for count in counts:
        own = bool(frame.loc[frame["seeds"] == count, "own"].any())
        handles.append(line_handle(shown[str(count)], f"{counted(count, 'seed')}{' (this study)' if own else ''}"))
    target: dict[str, Any] = {"color": "0.35", "linestyle": (0, (4, 3)), "linewidth": 0.8}
    handles.append(grey_handle(f"power {frame['target'].iloc[0]:g}", **target))
    width = SINGLE if len(tests) == 1 else DOUBLE
    down = math.ceil(len(tests) / ACROSS)
    across = math.ceil(len(tests) / down)
    titles = [_title(frame[frame["test"] == test], 46 if across < ACROSS else 32) for test in tests]
    figure, above = with_legend(width, down * (1.85 + _LINE * max(map(lines_of, titles))), handles)
    reach, shared = _reach(frame)
    grid = above.subplots(down, across, sharex=shared, sharey=True, squeeze=False)
    panels: list[Axes] = list(grid.flat[: len(tests)])
    for axes in grid.flat[len(tests) :]:
        axes.set_visible(False)
    for number, (axes, test, title) in enumerate(zip(panels, tests, titles, strict=True)):
        chosen = frame[frame["test"] == test]
        axes.axhline(chosen["target"].iloc[0], zorder=1, **target)
        for place, count in enumerate(counts):
            line = chosen[chosen["seeds"] == count].sort_values("difference")
            if line.empty:
                continue
            own = bool(line["own"].any())
            style: dict[str, Any] = mean_style(shown[str(count)]) | {"linewidth": 2.0 if own else 1.0}
            widest = max(reach.values()) if shared else reach[test]
            marked = line["difference"].to_numpy(dtype=float)[_marked(line, widest, place)]
            points = np.linspace(0.0, float(line["difference"].max()), _DRAWN)
            x = np.union1d(points, line["difference"].to_numpy(dtype=float))
            axes.plot(x, _curve(line)(x), markevery=np.searchsorted(x, marked).tolist(), zorder=3 + own, **style)
        axes.set(title=title, ylim=(0, 1.02), xlim=(0, 1.02 * (max(reach.values()) if shared else reach[test])))
        # A panel above an empty place has no axis below it.
        axes.tick_params(labelbottom=not shared or number + across >= len(tests))
        axes.set_xlabel("true difference (percentage points)" if number + across >= len(tests) else "")
        axes.set_ylabel("power" if number % across == 0 else "")
    return settle(figure)


def _marked(line: pd.DataFrame, widest: float, place: int) -> list[int]:
    """Points of a line that get a marker: some way apart on paper, none where all lines lie on 1."""
    x, y = line["difference"].to_numpy(dtype=float) / widest, line["power"].to_numpy(dtype=float)
    rising = max(2, int(np.searchsorted(y, _FLAT)))
    along = np.concatenate([[0.0], np.hypot(np.diff(x[:rising]), np.diff(y[:rising])).cumsum()])
    # Staggered, so that markers of lines that run together stand apart.
    shares = np.array([0.3, 0.6, 0.9]) + 0.1 * (place % 2)
    return sorted({int(np.abs(along - share * along[-1]).argmin()) for share in shares})


def _title(chosen: pd.DataFrame, width: int) -> str:
    """Of a panel: the test, and on a line of its own its level and SD."""
    name, level = _named(str(chosen["test"].iloc[0]))
    return f"{wrapped(name, width)}\n{wrapped(', '.join([*level, f'seed SD {_sds(chosen)}']), width)}"


def _named(test: str) -> tuple[str, list[str]]:
    """A test and its level, if that is told."""
    name, sign, level = test.rpartition(", α ")
    return (name, [f"α {level}"]) if sign else (test, [])


def _sds(chosen: pd.DataFrame) -> str:
    return listed(list(dict.fromkeys(f"{sd:.3g}" for sd in chosen["sd"])))


def _reach(frame: pd.DataFrame) -> tuple[dict[str, float], bool]:
    """The largest difference of each test, and whether one axis is readable for all."""
    reach = {str(test): float(chosen["difference"].max()) for test, chosen in frame.groupby("test", sort=False)}
    return reach, max(reach.values()) <= SHARED * min(reach.values())


def caption(frame: pd.DataFrame) -> str:
    """One sentence: the difference that each number of seeds sees with the power that is asked for."""
    frame = _clean(frame)
    said = []
    for test, chosen in frame.groupby("test", sort=False):
        target = float(chosen["target"].iloc[0])
        told = []
        for seeds, line in chosen.groupby("seeds", sort=True):
            found = _crossing(line.sort_values("difference"), target)
            own = " (this study)" if bool(line["own"].any()) else ""
            most = value_text(float(line["difference"].max()))
            told.append(f"{value_text(found) if found is not None else f'more than {most}'} with {seeds}{own}")
        name, level = _named(str(test))
        said.append(f"by {name} ({', '.join([*level, f'SD {_sds(chosen)} over seeds'])}) {listed(told)}")
    _, shared = _reach(frame)
    if not shared:
        said.append("each panel has a horizontal scale of its own")
    return sentence(
        f"the true difference in percentage points that is found with a power of {frame['target'].iloc[0]:g}, by the"
        f" number of seeds per arm: {'; '.join(said)}"
    )


def _curve(line: pd.DataFrame) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Power as a smooth function of the difference, through all points of the line.

    Its normal quantile is nearly straight in the difference, so that between points of a coarse grid this is right to
    some thousandths of a percentage point, where chords of the S-shaped curve itself are off by hundredths. Monotone
    cubic interpolation (Fritsch and Carlson 1980, SIAM J. Numer. Anal. 17:238) never goes down where the points go up.
    """
    power = line["power"].to_numpy(dtype=float).clip(_ALMOST, 1 - _ALMOST)
    quantiles = PchipInterpolator(line["difference"].to_numpy(dtype=float), norm.ppf(power))
    return lambda differences: norm.cdf(quantiles(differences))


def _crossing(line: pd.DataFrame, target: float) -> float | None:
    """Where the power reaches the target, between two points of the line."""
    power, difference = line["power"].to_numpy(dtype=float), line["difference"].to_numpy(dtype=float)
    reached = np.flatnonzero(power >= target)
    if not len(reached):
        return None
    after = int(reached[0])
    if after == 0 or power[after] == target:
        return float(difference[after])
    curve = _curve(line)
    found: Any = brentq(lambda at: float(curve(np.array([at]))[0]) - target, difference[after - 1], difference[after])
    return float(found)


def _clean(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        own=frame["own"].astype(bool) if "own" in frame else False,
        target=frame.get("target", TARGET),
    )
