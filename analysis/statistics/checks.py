"""What the coverage simulation asks of each statistic, study by study: did it hold the truth, or did it err."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.statistics.adjust import benjamini_hochberg, holm
from analysis.statistics.bootstrap import BootstrapSide, seed_counts, two_level_bootstrap
from analysis.statistics.intervals import (
    MeanInterval,
    clustered_interval,
    equivalence_p,
    mean_interval,
    paired_interval,
    prediction_interval,
)
from analysis.statistics.linear import Term, linear_interval, welch_interval
from analysis.statistics.permutation import mcnemar_test, sign_flip_test
from analysis.statistics.simulate import Layout

ALPHA = 0.05
DRAWS = 2000
"""Of each bootstrap."""
ON_THESE = "method on these questions"
LIKE_THESE = "method on questions like these"
CHECKPOINTS = "these checkpoints on questions like these"


@dataclass(frozen=True)
class Case:
    """One simulated study, as in `simulate.Studies`; numbers in percent."""

    number: int
    answers: np.ndarray
    """Shape (methods, seeds, questions), boolean."""
    on_these: np.ndarray
    checkpoints: np.ndarray
    like_these: np.ndarray
    layout: Layout
    n: int
    """Seeds that are observed; a further one may be there to be predicted."""

    @cached_property
    def accuracy(self) -> np.ndarray:
        """Of each run, shape (methods, seeds)."""
        return 100.0 * self.answers.mean(axis=-1)

    @cached_property
    def by_seed(self) -> list[dict[int, float]]:
        """Of each method, accuracy by seed."""
        return [dict(enumerate(row)) for row in self.accuracy[:, : self.n]]

    @cached_property
    def against_first(self) -> list[MeanInterval]:
        """Welch's interval of each other arm against the first."""
        return [welch(self, arm, 0) for arm in range(1, len(self.answers))]


def _known(number: float | None) -> float:
    assert number is not None, "no interval"
    return number


def holds(interval: MeanInterval, truth: float) -> bool:
    """Whether the truth is in the interval."""
    return bool(_known(interval.low) <= truth <= _known(interval.high))


def welch(case: Case, a: int, b: int) -> MeanInterval:
    """Welch's interval of two arms."""
    return welch_interval(case.accuracy[a, : case.n], case.accuracy[b, : case.n])


def paired(case: Case, a: int = 0, b: int = 1) -> MeanInterval:
    """Paired interval of the first two arms."""
    return paired_interval(case.by_seed[a], case.by_seed[b])


def difference(truths: np.ndarray) -> float:
    """The first arm's less the second's."""
    return float(truths[0] - truths[1])


def against_constant(case: Case) -> bool:
    """The first arm against one run of the third, taken for a known number."""
    constant = case.accuracy[2, 0]
    found = linear_interval((Term(1.0, case.accuracy[0, : case.n]), Term(-1.0, [constant], constant=True)))
    return holds(found, float(case.on_these[0] - constant))


def interaction(case: Case) -> bool:
    """(first - second) - (third - fourth)."""
    signs = (1.0, -1.0, -1.0, 1.0)
    accuracy = case.accuracy[:, : case.n]
    found = linear_interval([Term(sign, accuracy[arm]) for arm, sign in enumerate(signs)])
    return holds(found, float(np.dot(signs, case.on_these[:4])))


def predicts(case: Case) -> bool:
    """Whether the first arm's further run is in the prediction interval."""
    return bool(prediction_interval(case.accuracy[0, : case.n]).contains(float(case.accuracy[0, case.n])))


def two_level(case: Case, paired: bool) -> bool:
    """The package's two-level bootstrap, joint over tasks."""
    values = 100.0 * case.answers[:2, : case.n]
    sides = [BootstrapSide(1.0, values[0]), BootstrapSide(-1.0, values[1])]
    weights = np.ones((1, values.shape[-1]))
    found = two_level_bootstrap(
        sides, case.layout.images, weights, paired=paired, draws=DRAWS, seed=case.number, strata=case.layout.tasks
    )[0]
    return _known(found.low) <= difference(case.like_these) <= _known(found.high)


def _within(draws: np.ndarray, truth: float) -> bool:
    low, high = np.quantile(draws, [ALPHA / 2, 1 - ALPHA / 2])
    return bool(low <= truth <= high)


def _seed_draws(case: Case, arm: int, questions: np.ndarray | slice, stream: int) -> np.ndarray:
    """Means of seeds drawn with replacement, shape (draws,)."""
    accuracy = 100.0 * case.answers[arm, : case.n][:, questions].mean(axis=-1)
    return seed_counts(case.n, DRAWS, case.number, stream) @ accuracy / case.n


def mean_seed_bootstrap(case: Case) -> bool:
    """Percentile bootstrap of the first arm's seeds."""
    return _within(_seed_draws(case, 0, slice(None), 0), float(case.on_these[0]))


def seed_bootstrap(case: Case) -> bool:
    """The same of a difference."""
    draws = [_seed_draws(case, arm, slice(None), arm) for arm in (0, 1)]
    return _within(draws[0] - draws[1], difference(case.on_these))


def task_bootstrap(case: Case) -> bool:
    """Percentile bootstrap with seeds drawn anew for each task, as in stratified bootstraps over runs and tasks."""
    total = np.zeros(DRAWS)
    for task in range(int(case.layout.tasks.max()) + 1):
        inside = np.flatnonzero(case.layout.tasks == task)
        draws = [_seed_draws(case, arm, inside, 2 + 2 * task + arm) for arm in (0, 1)]
        total += len(inside) / len(case.layout.tasks) * (draws[0] - draws[1])
    return _within(total, difference(case.on_these))


def row_bootstrap(case: Case, truth: np.ndarray) -> bool:
    """Percentile bootstrap of single answers of all runs, pooled."""
    # The mean of resampled rows, each right or wrong, is a binomial share.
    rng = np.random.default_rng([case.number, 2])
    answers = case.answers[:2, : case.n]
    rows = answers[0].size
    draws = [100.0 * rng.binomial(rows, answers[arm].mean(), DRAWS) / rows for arm in (0, 1)]
    return _within(draws[0] - draws[1], difference(truth))


def differs(interval: MeanInterval) -> bool:
    """Whether a direction is claimed."""
    return bool(_known(interval.low) > 0.0 or _known(interval.high) < 0.0)


def equivalent(interval: MeanInterval, case: Case) -> bool:
    """Whether equivalence is claimed at a margin as large as the true difference."""
    p = equivalence_p(interval, abs(difference(case.on_these)))
    return p is not None and p <= ALPHA


def family_wise(case: Case) -> bool:
    """Whether Holm lets any of the contrasts with the first arm through."""
    return any(p is not None and p <= ALPHA for p in holm([found.p for found in case.against_first]))


def unadjusted(case: Case) -> bool:
    """The same without Holm."""
    return any(p is not None and p <= ALPHA for p in (found.p for found in case.against_first))


def false_share(case: Case) -> float:
    """False ones among what Benjamini and Hochberg let through."""
    rejected = [p is not None and p <= ALPHA for p in benjamini_hochberg([found.p for found in case.against_first])]
    null = case.on_these[1:] == case.on_these[0]
    false = sum(each for each, is_null in zip(rejected, null, strict=True) if is_null)
    return false / max(sum(rejected), 1)


def _pair(case: Case) -> np.ndarray:
    return 100.0 * (case.answers[0, 0].astype(float) - case.answers[1, 0])


def clustered(case: Case) -> MeanInterval:
    """Interval of the first two checkpoints, clustered by image."""
    return clustered_interval(_pair(case), case.layout.images.tolist())


def unclustered(case: Case) -> MeanInterval:
    """The same with questions for observations."""
    return mean_interval(_pair(case))


def sign_flip(case: Case) -> bool:
    """Whether the sign-flip test rejects."""
    return sign_flip_test(_pair(case), case.layout.images.tolist(), DRAWS - 1, seed=case.number).p <= ALPHA


def mcnemar(case: Case) -> bool:
    """Whether McNemar's test rejects."""
    return mcnemar_test(case.answers[0, 0], case.answers[1, 0]).p <= ALPHA


def mean_holds(case: Case, truth: np.ndarray) -> bool:
    """Whether the first arm's t interval holds the first of the truths."""
    return holds(mean_interval(case.accuracy[0, : case.n]), float(truth[0]))
