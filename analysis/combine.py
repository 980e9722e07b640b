"""Sides added up: a difference, or a difference of differences, with the interval that its runs allow.

What may vary between runs decides the interval. Over seeds where every random side has several; over questions,
clustered by image, where each side is down to one checkpoint. The question-paired differences are the same either way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from analysis.collected import Layout
from analysis.scopes import shares_on
from analysis.statistics import (
    LEVEL,
    BootstrapInterval,
    BootstrapSide,
    ClusteredInterval,
    MeanInterval,
    PredictionInterval,
    Term,
    linear_interval,
    linear_prediction,
    stratified_interval,
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
    terms: tuple[Term, ...] = field(default=(), repr=False)
    """Of the sum, side by side: as of runs without a common seed. Empty where no interval is about the method."""
    per_seed: dict[str, float] = field(default_factory=dict)
    """Question-paired value of the sum for every seed (or of the checkpoints), in the metric's unit."""
    pairs: tuple[Pair, ...] = field(default=(), repr=False)
    parts: tuple[Part, ...] = field(default=(), repr=False)
    """On the questions and, where paired, on the runs that entered."""
    position: np.ndarray = field(default_factory=lambda: np.arange(0), repr=False)
    """Rows of ``tables.questions`` that it is over."""
    unpaired: dict[str, str] = field(default_factory=dict)
    """Runs left out because a partner is missing, with the reason."""
    groups: tuple[tuple[int, ...], ...] = ()
    """Parts whose runs belong together, by their places; constants are in none."""
    reason: str = ""
    """Why there is no estimate or no interval; empty otherwise."""

    def together(self, *places: int) -> bool:
        """Whether these parts' runs belong together."""
        return any(set(places) <= set(group) for group in self.groups)

    def prediction(self, further: int = 1) -> PredictionInterval | None:
        """Of one further run of every random side, or of the mean of several, without a seed in common."""
        if not self.terms or self.interval is None:
            return None
        return linear_prediction(self.terms, self.interval.level, further)

    @property
    def ns(self) -> tuple[int, ...]:
        """Runs that entered, by part."""
        return tuple(len(part.values.found) for part in self.parts)


def combine(
    parts: Sequence[Part], weights: np.ndarray, layout: Layout, factor: float, paired: bool, level: float = LEVEL
) -> Combined:
    """Add the parts up.

    Args:
        weights: of all questions, shape (questions,); those that a part was not asked don't count, suites keeping
            their shares.
        layout: image, task, suite and source of every question.
        factor: from the values to the metric's unit.
        paired: runs of equal seeds belong together. The same runs on several sides always do.
    """
    for part in parts:
        if not part.values.found:
            return Combined(parts=tuple(parts), reason=f"no run of {part.label} is there")
    position = shared_position(parts)
    position = position[weights[position] > 0]
    if not len(position):
        return Combined(parts=tuple(parts), reason="the sides have no question in common")
    groups = _groups(parts, paired)
    parts, unpaired = _matched([replace(part, values=part.values.cut(position)) for part in parts], groups)
    if any(not part.values.found for part in parts):
        return Combined(parts=parts, unpaired=unpaired, reason="the sides have no finished seed in common")
    share = shares_on(weights, position, layout)
    pairs = _pairs(parts, groups)
    blank = Combined(
        parts=parts,
        groups=groups,
        pairs=pairs,
        position=position,
        unpaired=unpaired,
        per_seed={pair.name: _sum(parts, pair, share, factor) for pair in pairs},
    )
    lone = [parts[group[0]] for group in groups if len(parts[group[0]].values.found) == 1]
    if len(lone) == len(groups):
        return _over_questions(blank, share, layout, factor, level)
    if lone:
        means = [(part.coefficient, part.values.matrix() @ share) for part in parts]
        estimate = factor * float(sum(coefficient * mean.mean() for coefficient, mean in means))
        interval = MeanInterval(estimate, 1, None, None, None, None, None)
        return replace(
            blank, method="no interval", interval=interval, reason=f"one seed of {lone[0].label} shows no spread"
        )
    return _over_seeds(blank, share, factor, level)


def question_interval(values: np.ndarray, share: np.ndarray, layout: Layout, level: float) -> ClusteredInterval:
    """Mean over questions of fixed checkpoints, clustered by image, the tasks keeping their shares.

    Args:
        values: shape (questions,).
        share: weights that add up to 1, shape (questions,).
        layout: of these questions.
    """
    return stratified_interval(values, share, layout.images, layout.tasks, level)


def shared_position(parts: Sequence[Part]) -> np.ndarray:
    """Questions that every run of every part has, ascending."""
    shared = parts[0].values.position
    for part in parts[1:]:
        other = part.values.position
        if not np.array_equal(shared, other):
            shared = np.intersect1d(shared, other, assume_unique=True)
    return shared


def bootstrap(
    combined: Combined, weights: Sequence[np.ndarray], layout: Layout, factor: float, draws: int, level: float
) -> list[BootstrapInterval] | None:
    """The two-level bootstrap of a sum over seeds: sensitivity of its interval to the questions drawn too.

    Args:
        weights: of all questions, one array of shape (questions,) for each score.
        layout: image and task of every question; tasks keep their shares of a score in every draw.

    Returns:
        One interval for each of the weights, in the metric's unit; None where there is no interval over seeds.
    """
    if combined.population != "method":
        return None
    parts = combined.parts
    # runs that belong together are drawn together: one side each
    sides = [
        BootstrapSide(
            factor, np.sum([parts[place].coefficient * parts[place].values.matrix() for place in group], axis=0)
        )
        for group in combined.groups
    ]
    sides += [
        BootstrapSide(factor * part.coefficient, part.values.matrix(), constant=True)
        for part in parts
        if not part.values.random
    ]
    own = layout.cut(combined.position)
    clusters = np.unique(own.images, return_inverse=True)[1]
    position = combined.position
    matrix = np.zeros((len(weights), len(position)))
    for row, each in zip(matrix, weights, strict=True):
        inside = each[position] > 0
        row[inside] = shares_on(each, position[inside], layout)
    return two_level_bootstrap(sides, clusters, matrix, paired=False, draws=draws, level=level, strata=own.tasks)


def _groups(parts: Sequence[Part], paired: bool) -> tuple[tuple[int, ...], ...]:
    """Random parts whose runs belong together: all of them where paired by seed, else those of the same runs."""
    random = [place for place, part in enumerate(parts) if part.values.random]
    if paired and len(random) > 1:
        return (tuple(random),)
    by_runs: dict[str, list[int]] = {}
    for place in random:
        by_runs.setdefault(parts[place].label, []).append(place)
    return tuple(map(tuple, by_runs.values()))


def _matched(parts: Sequence[Part], groups: Sequence[Sequence[int]]) -> tuple[tuple[Part, ...], dict[str, str]]:
    """The parts of every group cut to the seeds that all of them have, in the order of the seeds."""
    made, unpaired = list(parts), {}
    for group in groups:
        seeds = {place: {run.seed for run in parts[place].values.found} for place in group}
        common = set.intersection(*seeds.values())
        for place in group:
            part = parts[place]
            for run in part.values.found:
                if run.seed not in common:
                    others = dict.fromkeys(parts[each].label for each in group if run.seed not in seeds[each])
                    unpaired[run.run] = f"seed {run.seed} is not finished in {', '.join(others)}"
            kept = sorted((run for run in part.values.found if run.seed in common), key=lambda run: run.seed or 0)
            made[place] = replace(part, values=replace(part.values, found=tuple(kept)))
    return tuple(made), unpaired


def _pairs(parts: Sequence[Part], groups: Sequence[Sequence[int]]) -> tuple[Pair, ...]:
    """Checkpoints that belong together: of one group where it alone has several runs, else the only ones."""
    several = [group for group in groups if len(parts[group[0]].values.found) > 1]
    if len(several) > 1:
        return ()
    leader = set(several[0]) if several else set()
    count = len(parts[several[0][0]].values.found) if several else 1
    made = []
    for index in range(count):
        runs = tuple(part.values.found[index if place in leader else 0] for place, part in enumerate(parts))
        seeds = {run.seed for run in runs} - {None}
        name = f"seed={seeds.pop()}" if len(seeds) == 1 else " / ".join(run.run for run in runs)
        made.append(Pair(name if any(part.values.random for part in parts) else "checkpoints", runs))
    return tuple(made)


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


def _over_questions(blank: Combined, share: np.ndarray, layout: Layout, factor: float, level: float) -> Combined:
    (pair,) = blank.pairs
    values = factor * question_values(blank.parts, pair)
    interval = question_interval(values, share, layout.cut(blank.position), level)
    return replace(
        blank,
        method="t over questions, clustered by image",
        population="checkpoints",
        interval=interval,
        reason="" if interval.half_width is not None else "all questions of a task share one image",
    )


def _over_seeds(blank: Combined, share: np.ndarray, factor: float, level: float) -> Combined:
    scores = [_clean(factor * part.coefficient * (part.values.matrix() @ share)) for part in blank.parts]

    def terms(groups: Sequence[Sequence[int]]) -> list[Term]:
        """A term for each group, of its runs' sums, and the constants."""
        random = [Term(1.0, _clean(np.sum([scores[place] for place in group], axis=0))) for group in groups]
        fixed = zip(blank.parts, scores, strict=True)
        return random + [Term(1.0, score, constant=True) for part, score in fixed if not part.values.random]

    if len(blank.groups) > 1:
        method = "Welch t over unpaired seeds"
    elif any(len(group) > 1 for group in blank.groups):
        same = len({blank.parts[place].label for group in blank.groups for place in group}) == 1
        method = "t over differences within runs" if same else "t over seed-paired differences"
    else:
        method = "t over seeds against a known constant"
    # A printed difference is of runs that have no seed in common with each other, however ours are paired.
    return replace(
        blank,
        method=method,
        population="method",
        interval=linear_interval(terms(blank.groups), level),
        terms=tuple(terms(_groups(blank.parts, paired=False))),
    )
