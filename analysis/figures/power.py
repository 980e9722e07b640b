"""Power against the true difference, for several numbers of seeds, from a declared SD over seeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.style import (
    DOUBLE,
    SINGLE,
    Handle,
    grey_handle,
    line_handle,
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
points), test (in words; a panel each). Optional: ``own`` (true for the study's own number of seeds), ``target`` (the
power that is asked for; 0.8 without)."""

SEEDS = (2, 3, 5, 10)
TARGET = 0.8


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
        for difference in map(float, np.linspace(0.0, widest, 41)):
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
    figure, above = with_legend(width, 2.1, handles)
    panels: list[Axes] = list(above.subplots(1, len(tests), sharey=True, squeeze=False)[0])
    for axes, test in zip(panels, tests, strict=True):
        chosen = frame[frame["test"] == test]
        axes.axhline(chosen["target"].iloc[0], zorder=1, **target)
        for place, count in enumerate(counts):
            line = chosen[chosen["seeds"] == count].sort_values("difference")
            if line.empty:
                continue
            own = bool(line["own"].any())
            style: dict[str, Any] = mean_style(shown[str(count)]) | {"linewidth": 2.0 if own else 1.0}
            every = max(1, len(line) // 5)
            x, y = line["difference"].to_numpy(), line["power"].to_numpy()
            # Staggered, so that markers of lines that run together stand apart.
            axes.plot(x, y, markevery=(min(2 * place, len(line) - 1), every), zorder=3 + own, **style)
        sds = listed([f"{sd:g}" for sd in dict.fromkeys(chosen["sd"])])
        axes.set(title=wrapped(f"{test}, seed SD {sds}", 46), xlabel="true difference (percentage points)")
        axes.set(ylim=(0, 1.02), xlim=(0, float(chosen["difference"].max())))
    panels[0].set_ylabel("power")
    return settle(figure)


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
            size = value_text(found) if found is not None else f"over {value_text(float(line['difference'].max()))}"
            told.append(f"{size} with {seeds}{own}")
        sd = listed([f"{sd:g}" for sd in dict.fromkeys(chosen["sd"])])
        said.append(f"by {test} with an SD of {sd} over seeds, {listed(told)}")
    return sentence(
        f"the true difference in percentage points that is found with a power of {frame['target'].iloc[0]:g}, by the"
        f" number of seeds per arm: {'; '.join(said)}"
    )


def _crossing(line: pd.DataFrame, target: float) -> float | None:
    """Where the power reaches the target, between two points of the line."""
    power, difference = line["power"].to_numpy(dtype=float), line["difference"].to_numpy(dtype=float)
    reached = np.flatnonzero(power >= target)
    if not len(reached):
        return None
    after = int(reached[0])
    if after == 0:
        return float(difference[0])
    share = (target - power[after - 1]) / (power[after] - power[after - 1])
    return float(difference[after - 1] + share * (difference[after] - difference[after - 1]))


def _clean(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        own=frame["own"].astype(bool) if "own" in frame else False,
        target=frame.get("target", TARGET),
    )
