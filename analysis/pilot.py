"""What earlier runs say about spread: what a study's power is computed from, measured instead of declared."""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.collected import Layout, Tables
from analysis.combine import Combined, question_interval
from analysis.contrasts import contrast
from analysis.metrics import METRICS
from analysis.planned import Spread, declared_spread
from analysis.scopes import scopes, shares_on
from analysis.statistics import LEVEL

LARGEST_CORRELATION = 0.99
"""Of a few seeds the measured correlation can come out at 1 or above, which would promise that two seeds are enough."""


def measured_spreads(tables: Tables, power: Mapping[str, Any]) -> dict[str, Spread]:
    """Spread of every declared contrast of collected runs, by the contrast's name.

    Args:
        power: section ``power`` of the study that is planned: what can't be measured here is taken from there.
    """
    return {each["name"]: measured_spread(tables, each, power) for each in tables.study["contrasts"]}


def measured_spread(tables: Tables, declared: Mapping[str, Any], power: Mapping[str, Any]) -> Spread:
    """Spread of one contrast, over the runs and questions that enter it.

    The SD is pooled over the sides that have seeds: the square root of ``sum (n_i - 1) s_i^2 / sum (n_i - 1)``. The
    correlation is the one by which the seed-paired differences have the spread that they have. Discordance and
    design effect are means over the pairs of checkpoints (of equal seeds where there are any, else all pairs).
    """
    combined = contrast(tables, declared, draws=0).combined
    spread = declared_spread(declared, power)
    if not len(combined.position):
        return spread
    share = _share(tables, combined)
    factor = METRICS[declared["metric"]].factor
    scores = [
        (part.coefficient, factor * (part.values.matrix() @ share)) for part in combined.parts if part.values.random
    ]
    freedom = sum(len(values) - 1 for _, values in scores)
    fields: dict[str, Any] = {}
    if freedom:
        squares = sum(float(((values - values.mean()) ** 2).sum()) for _, values in scores)
        sd = math.sqrt(squares / freedom)
        fields["sd"] = sd or None
        fields["sd_from"] = f"measured, {freedom} df" if sd else ""
        if sd and any(len(group) > 1 for group in combined.groups):
            fields["correlation"] = _correlation(scores, list(combined.per_seed.values()), sd, spread.correlation)
    if declared["metric"] == "accuracy" and len(combined.parts) == 2:
        fields |= _questions(combined, share, tables.layout)
    return Spread(**(vars(spread) | fields))


def _share(tables: Tables, combined: Combined) -> np.ndarray:
    """Weights of the questions that entered, shape (questions,), summing to 1."""
    return shares_on(next(iter(scopes(tables.questions).values())), combined.position, tables.layout)


def _correlation(
    scores: list[tuple[float, np.ndarray]], differences: list[float], sd: float, otherwise: float
) -> float:
    """Common correlation ``r`` of the sides that gives the differences their variance.

    With one SD ``s`` for all sides, ``var(sum c_i x_i) = s^2 ((1 - r) sum c_i^2 + r (sum c_i)^2)``.
    """
    squares, total = sum(sign**2 for sign, _ in scores), sum(sign for sign, _ in scores) ** 2
    if len(differences) < 2 or squares == total:
        return otherwise
    relative = float(np.var(differences, ddof=1)) / sd**2
    lowest = -1.0 / (len(scores) - 1)
    return float(np.clip((relative - squares) / (total - squares), lowest, LARGEST_CORRELATION))


def _questions(combined: Combined, share: np.ndarray, layout: Layout) -> dict[str, Any]:
    """Discordance and design effect of two checkpoints' right and wrong answers."""
    first, second = (part.values.found for part in combined.parts)
    pairs = [pair.runs for pair in combined.pairs] or list(itertools.product(first, second))
    shares, effects = [], []
    for a, b in pairs:
        if not (np.isin(a.values, (0, 1)).all() and np.isin(b.values, (0, 1)).all()):
            return {}  # means over checkpoints are no answers
        differences = a.values.astype(float) - b.values.astype(float)
        shares.append(float(np.mean(differences != 0)))
        interval = question_interval(differences, share, layout.cut(combined.position), LEVEL)
        spread = float(np.var(differences, ddof=1)) if len(differences) > 1 else 0.0
        if interval.standard_error and spread:
            effects.append(interval.standard_error**2 / (spread / interval.n))
    found: dict[str, Any] = {"discordance": float(np.mean(shares)), "discordance_from": "measured"}
    # above 1 for images that share questions, below for tasks that differ, whose shares are fixed
    return found | ({"design_effect": float(np.mean(effects))} if effects else {})
