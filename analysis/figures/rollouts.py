"""Length and reward of the training rollouts over optimiser steps, as the paper's figure 1 shows them."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.collected import Tables
from analysis.figures.lines import Panel, draw_lines
from analysis.figures.series import MEAN, left_out, line_notes, step_label, windows
from analysis.figures.wording import counted, course, listed, sentence, span, value_text
from analysis.scores import ArmTable


def frame(tables: Tables, table: ArmTable) -> pd.DataFrame:
    """Mean length and reward of the rollouts of a training, averaged over windows of optimiser steps.

    Returns:
        Columns as `windows` gives them; measure is ``length`` (in tokens) or ``reward``. No rows where no training
        recorded the length of its rollouts.
    """
    made = windows(tables, {"completion_length": "length", "reward": "reward"}, tables.arms)
    # Reward alone is another figure.
    return made if (made["measure"] == "length").any() else made.iloc[:0]


def draw(frame: pd.DataFrame, arms: Sequence[str]) -> Figure:
    """Two panels over optimiser steps, both columns wide.

    Args:
        arms: all arms of the study in its order.
    """
    panels = [
        Panel("length", "Rollout length", "length (tokens)", 0.0),
        Panel("reward", "Reward of the rollouts", "total reward"),
    ]
    panels = [panel for panel in panels if (frame["measure"] == panel.measure).any()]
    return draw_lines(frame, panels, arms, step_label(frame))


def caption(frame: pd.DataFrame, arms: Sequence[str]) -> str:
    """One sentence: how long the rollouts were at first, at the shortest and at the end, and what the bands are."""
    means = frame[(frame["series"] == MEAN) & (frame["measure"] == "length")]
    told: list[tuple[str, str]] = []
    for arm in arms:
        own = means[means["arm"] == arm].sort_values("step")
        if own.empty:
            continue
        first, last = own.iloc[0], own.iloc[-1]
        low = own.iloc[int(own["value"].to_numpy().argmin())]
        verb, text = course(own["value"], "tokens")
        text += f" in {arm}"
        # A dip that rises again is what the paper's figure 1 shows; one of less than a fiftieth is noise.
        if low["value"] < 0.98 * min(first["value"], last["value"]):
            text += f" (shortest at step {int(low['step']):,}: {value_text(low['value'])})"
        told.append((verb, text))
    if len(told) > 4:
        told = [*told[:3], ("goes", f"as drawn in {len(told) - 3} further arms")]
    # A verb that holds on isn't said again.
    verbs = ["", *(verb for verb, _ in told)]
    said = [text if verb == before else f"{verb} {text}" for before, (verb, text) in zip(verbs, told, strict=False)]
    return sentence(
        f"mean rollout length {listed(said)} ({span(means['n'], 'seed')} per arm, each point the mean of"
        f" {counted(int(frame['window'].max()), 'optimiser step')}); {listed([*line_notes(means), *left_out(means)])}"
    )
