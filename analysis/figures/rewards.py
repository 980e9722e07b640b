"""The reward of the training rollouts and each of its parts over optimiser steps."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.collected import Tables
from analysis.figures.lines import Panel, draw_lines
from analysis.figures.series import MEAN, left_out, line_notes, step_label, windows
from analysis.figures.wording import counted, listed, sentence, span, value_text
from analysis.scores import ArmTable

TOTAL = "total"


def frame(tables: Tables, table: ArmTable) -> pd.DataFrame:
    """Reward and its parts over training, averaged over windows of optimiser steps.

    Returns:
        Columns as `windows` gives them; measure is ``total`` or the part's name. No rows without rewards.
    """
    # reward_std is the spread within groups, no part of the reward.
    parts = sorted(name for name in map(str, tables.training) if name.startswith("reward_") and name != "reward_std")
    return windows(tables, {"reward": TOTAL, **{part: part.removeprefix("reward_") for part in parts}}, tables.arms)


def draw(frame: pd.DataFrame, arms: Sequence[str]) -> Figure:
    """A panel for the total and for each part.

    Args:
        arms: all arms of the study in its order.
    """
    panels = []
    for part in _parts(frame):
        floor = 0.0 if (frame.loc[frame["measure"] == part, "value"] >= 0).all() else None
        title = "Total reward (weighted)" if part == TOTAL else f"Part: {part.replace('_', ' ')}"
        panels.append(Panel(part, title, "mean reward", floor))
    return draw_lines(frame, panels, arms, step_label(frame))


def caption(frame: pd.DataFrame, arms: Sequence[str]) -> str:
    """One sentence: from where to where the total and each part went, over all arms, and what the bands are."""
    means = frame[frame["series"] == MEAN]
    told = []
    for part in _parts(frame):
        ends = []
        for arm in arms:
            own = means[(means["measure"] == part) & (means["arm"] == arm)].sort_values("step")
            if len(own):
                ends.append((arm, float(own["value"].iloc[0]), float(own["value"].iloc[-1])))
        arm, first, last = max(ends, key=lambda each: (abs(each[2] - each[1]), each[0]))
        name = TOTAL if part == TOTAL else part.replace("_", " ")
        told.append(f"{name} from {value_text(first, 2)} to {value_text(last, 2)} in {arm}")
    return sentence(
        f"the mean reward of a rollout and its parts over training, each told of the arm where it moves most:"
        f" {listed(told)} ({counted(int(means['arm'].nunique()), 'arm')},"
        f" {span(means['n'], 'seed')} each, each point the mean of"
        f" {counted(int(frame['window'].max()), 'optimiser step')}); {listed([*line_notes(means), *left_out(means)])}"
    )


def _parts(frame: pd.DataFrame) -> list[str]:
    return sorted(set(frame["measure"]), key=lambda part: (part != TOTAL, part))
