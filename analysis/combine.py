"""Sides added up: a difference, or a difference of differences, with the interval that its runs allow.

What may vary between runs decides the interval. Over seeds where every random side has several; over questions,
clustered by image, where each side is down to one checkpoint. The question-paired differences are the same either way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from analysis.statistics import (
    LEVEL,
    BootstrapInterval,
    BootstrapSide,
    MeanInterval,
    PredictionInterval,
    Term,
    clustered_interval,
    linear_interval,
    linear_prediction,
    two_level_bootstrap,
)
from analysis.values import RunValues, SideValues

Population = Literal["checkpoints", "method", "none"]
"""What an interval speaks about: these checkpoints on questions like these, or the method on these questions."""
POPULATIONS: dict[Population, str] = {
    "checkpoints": "these checkpoints, on questions like these",
    "method": "the method, on these questions",
    "none": "",
}
BOOTSTRAP_POPULATION = "the method, on questions like these"


@dataclass(frozen=True)
class Part:
    """A side with its sign in the sum."""

    coefficient: float
    values: SideValues
    label: str
    """Its arm, for the reasons."""


@dataclass(frozen=True)
class Pair:
    """One checkpoint of every side: what a question-paired comparison is made of."""

    name: str
    """``seed=0``, or ``checkpoints`` where no side has seeds."""
    runs: tuple[RunValues, ...]
    """One for each part."""


@dataclass(frozen=True)
class Combined:
    """What the parts come to; what cannot be computed is None, with the reason."""

    method: str = "none"
    population: Population = "none"
    interval: MeanInterval | None = None
    prediction: PredictionInterval | None = None
    """Of one further run of every random side."""
    per_seed: dict[str, float] = field(default_factory=dict)
    """Question-paired value of the sum for every seed (or of the checkpoints), in the metric's unit."""
    pairs: tuple[Pair, ...] = ()
    parts: tuple[Part, ...] = ()
    """On the questions and, where paired, on the runs that entered."""
    position: np.ndarray = field(default_factory=lambda: np.arange(0))
    """Rows of ``tables.questions`` that it is over."""
    unpaired: dict[str, str] = field(default_factory=dict)
    """Runs left out because a partner is missing, with the reason."""
    paired: bool = False
    reason: str = ""
    """Why there is no estimate or no interval; empty otherwise."""

    @property
    def ns(self) -> tuple[int, ...]:
        """Runs that entered, by part."""
        return tuple(len(part.values.found) for part in self.parts)


def combine(
    parts: Sequence[Part], weights: np.ndarray, images: np.ndarray, factor: float, paired: bool, level: float = LEVEL
) -> Combined:
    """Add the parts up.

    Args:
        weights: of all questions, shape (questions,); those that a part was not asked don't count.
        images: cluster of every question, shape (questions,).
        factor: from the values to the metric's unit.
        paired: runs of equal seeds belong together.
    """
    for part in parts:
        if not part.values.found:
            return Combined(parts=tuple(parts), reason=f"no run of {part.label} is there")
    position = shared_position(parts)
    position = position[weights[position] > 0]
    if not len(position):
        return Combined(parts=tuple(parts), reason="the sides have no question in common")
    parts = tuple(replace(part, values=part.values.cut(position)) for part in parts)
    random = [part for part in parts if part.values.random]
    unpaired: dict[str, str] = {}
    if paired and len(random) > 1:
        parts, unpaired = _matched(parts)
        if any(not part.values.found for part in parts):
            return Combined(parts=parts, unpaired=unpaired, reason="the sides have no finished seed in common")
    share = weights[position] / weights[position].sum()
    pairs = _pairs(parts, paired)
    blank = Combined(
        parts=parts,
        pairs=pairs,
        position=position,
        unpaired=unpaired,
        paired=paired,
        per_seed={pair.name: _sum(parts, pair, share, factor) for pair in pairs},
    )
    lone = [part for part in parts if part.values.random and len(part.values.found) == 1]
    if len(lone) == sum(part.values.random for part in parts):
        return _over_questions(blank, share, images[position], factor, level)
    if lone:
        means = [(part.coefficient, part.values.matrix() @ share) for part in parts]
        estimate = factor * float(sum(coefficient * mean.mean() for coefficient, mean in means))
        interval = MeanInterval(estimate, 1, None, None, None, None, None)
        return replace(
            blank, method="no interval", interval=interval, reason=f"one seed of {lone[0].label} shows no spread"
        )
    return _over_seeds(blank, share, factor, level)


def shared_position(parts: Sequence[Part]) -> np.ndarray:
    """Questions that every run of every part has, ascending."""
    shared = parts[0].values.position
    for part in parts[1:]:
        other = part.values.position
        if not np.array_equal(shared, other):
            shared = np.intersect1d(shared, other, assume_unique=True)
    return shared


def bootstrap(
    combined: Combined,
    weights: Sequence[np.ndarray],
    images: np.ndarray,
    tasks: np.ndarray,
    factor: float,
    draws: int,
    level: float,
) -> list[BootstrapInterval] | None:
    """The two-level bootstrap of a sum over seeds: sensitivity of its interval to the questions drawn too.

    Args:
        weights: of all questions, one array of shape (questions,) for each score.
        images: cluster of every question, shape (questions,).
        tasks: number of every question's task, shape (questions,): tasks keep their shares of a score in every draw.

    Returns:
        One interval for each of the weights, in the metric's unit; None where there is no interval over seeds.
    """
    if combined.population != "method":
        return None
    sides = [
        BootstrapSide(factor * part.coefficient, part.values.matrix(), constant=not part.values.random)
        for part in combined.parts
    ]
    _, clusters = np.unique(images[combined.position], return_inverse=True)
    matrix = np.stack([each[combined.position] for each in weights])
    strata = tasks[combined.position]
    return two_level_bootstrap(sides, clusters, matrix, paired=combined.paired, draws=draws, level=level, strata=strata)


def _matched(parts: Sequence[Part]) -> tuple[tuple[Part, ...], dict[str, str]]:
    """The random parts cut to the seeds that all of them have."""
    random = [part for part in parts if part.values.random]
    common = set.intersection(*({run.seed for run in part.values.found} for part in random))
    unpaired: dict[str, str] = {}
    made = []
    for part in parts:
        if not part.values.random:
            made.append(part)
            continue
        for run in part.values.found:
            if run.seed not in common:
                others = [each.label for each in random if run.seed not in {one.seed for one in each.values.found}]
                unpaired[run.run] = f"seed {run.seed} is not finished in {', '.join(dict.fromkeys(others))}"
        kept = sorted((run for run in part.values.found if run.seed in common), key=lambda run: run.seed or 0)
        made.append(replace(part, values=replace(part.values, found=tuple(kept))))
    return tuple(made), unpaired


def _pairs(parts: Sequence[Part], paired: bool) -> tuple[Pair, ...]:
    """Checkpoints that belong together: of equal seeds where paired, else only where one part alone has several."""
    random = [part for part in parts if part.values.random]
    if not random:
        return (Pair("checkpoints", tuple(part.values.found[0] for part in parts)),)
    several = [part for part in random if len(part.values.found) > 1]
    if len(several) > 1 and not paired:
        return ()
    count = max(len(part.values.found) for part in random)
    leader = next(part for part in random if len(part.values.found) == count)
    return tuple(
        Pair(
            f"seed={leader.values.found[index].seed}",
            tuple(part.values.found[index if len(part.values.found) > 1 else 0] for part in parts),
        )
        for index in range(count)
    )


def _sum(parts: Sequence[Part], pair: Pair, share: np.ndarray, factor: float) -> float:
    return float(_clean(factor * (question_values(parts, pair) @ share)))


def _clean(values: np.ndarray) -> np.ndarray:
    """Without the last bits, in which equal scores differ: they are no spread, and would pass for a tiny one."""
    return np.round(values, 9)


def question_values(parts: Sequence[Part], pair: Pair) -> np.ndarray:
    """The sum of a pair for every question, shape (questions,), in the metric's column's unit."""
    return np.sum(
        [part.coefficient * run.values.astype(float) for part, run in zip(parts, pair.runs, strict=True)], axis=0
    )


def _over_questions(blank: Combined, share: np.ndarray, images: np.ndarray, factor: float, level: float) -> Combined:
    (pair,) = blank.pairs
    values = factor * question_values(blank.parts, pair)
    mean = float(values @ share)
    # weighted deviations about the weighted mean; with equal weights these are the values themselves
    interval = clustered_interval(mean + len(share) * share * (values - mean), images.tolist(), level)
    return replace(
        blank,
        method="t over questions, clustered by image",
        population="checkpoints",
        interval=interval,
        reason="" if interval.half_width is not None else "all questions share one image",
    )


def _over_seeds(blank: Combined, share: np.ndarray, factor: float, level: float) -> Combined:
    random = [part for part in blank.parts if part.values.random]
    if blank.paired and len(random) > 1:
        terms = [Term(1.0, list(blank.per_seed.values()))]
        method = "t over seed-paired differences"
    else:
        terms = [
            Term(part.coefficient, _clean(factor * (part.values.matrix() @ share)), constant=not part.values.random)
            for part in blank.parts
        ]
        method = "Welch t over unpaired seeds" if len(random) > 1 else "t over seeds against a known constant"
    return replace(
        blank,
        method=method,
        population="method",
        interval=linear_interval(terms, level),
        prediction=linear_prediction(terms, level),
    )
