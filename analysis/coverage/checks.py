"""What is asked of each simulated study: did the interval hold the truth, or did the verdict err.

Beside what is shipped stand what others use, and what would happen without a choice that was made here.
"""

import numpy as np

from analysis.contrast_result import ContrastResult
from analysis.contrasts import adjusted
from analysis.coverage.case import ALPHA, DRAWS, PERCENT, SIGNS, Case
from analysis.statistics import MeanInterval, PredictionInterval, mean_interval, prediction_interval
from analysis.statistics.bootstrap import seed_counts

ON_THESE = "method on these questions"
LIKE_THESE = "method on questions like these"
CHECKPOINTS = "these checkpoints on questions like these"
FURTHER = "further runs on these questions"


def _known(number: float | None) -> float:
    assert number is not None, "no interval"
    return number


def holds(interval: MeanInterval | PredictionInterval | None, truth: float) -> bool:
    """Whether the truth is in the interval."""
    assert interval is not None, "no interval"
    return bool(_known(interval.low) <= truth <= _known(interval.high))


def difference(truths: np.ndarray) -> float:
    """The first arm's less the second's."""
    return float(truths[0] - truths[1])


def mean_holds(case: Case, truth: np.ndarray) -> bool:
    """Whether the first arm's t interval holds the first of the truths."""
    return holds(mean_interval(case.accuracy[0, : case.n]), float(truth[0]))


def contrast_holds(case: Case, truth: np.ndarray, paired: bool = False) -> bool:
    """Whether the contrast of the first two methods holds the truth."""
    return holds(case.combined(0, 1, paired=paired).interval, difference(truth))


def against_constant(case: Case) -> bool:
    """The first method against one run of the last, an arm without randomness."""
    last = len(case.answers) - 1
    constant = case.accuracy[last, 0]
    return holds(case.combined(0, last, constants=(last,)).interval, float(case.on_these[0] - constant))


def interaction(case: Case, *arms: int, paired: bool = False) -> bool:
    """A difference of differences."""
    return holds(case.combined(*arms, paired=paired).interval, float(np.dot(SIGNS, case.on_these[list(arms)])))


def within_runs(case: Case) -> bool:
    """The first two methods as two steps of the same runs."""
    return holds(case.combined(0, 1, within=True).interval, difference(case.on_these))


def predicts(case: Case) -> bool:
    """Whether the first arm's further run is in the prediction interval."""
    return bool(prediction_interval(case.accuracy[0, : case.n]).contains(float(case.accuracy[0, case.n])))


def printed(case: Case) -> float:
    """A difference of two further runs that have no seed in common."""
    return float(case.accuracy[0, case.n] - case.accuracy[1, case.n + 1])


def predicts_difference(case: Case, paired: bool) -> bool:
    """Whether it is in the contrast's prediction interval."""
    return holds(case.combined(0, 1, paired=paired).prediction(), printed(case))


def pairs_predict_difference(case: Case) -> bool:
    """The same from the differences of our pairs, as if the printed runs had a seed in common."""
    own = case.accuracy[0, : case.n] - case.accuracy[1, : case.n]
    return holds(prediction_interval(own), printed(case))


def split_holds(case: Case, part: str, paired: bool) -> bool:
    """Whether ``now_parsed`` or ``now_right`` holds its truth."""
    return holds(getattr(case.split(paired), part), getattr(case, part))


def two_level(case: Case, paired: bool) -> bool:
    """The two-level bootstrap."""
    found = case.bootstrap(paired)
    return _known(found.low) <= difference(case.like_these) <= _known(found.high)


def claims_direction(case: Case, paired: bool = False) -> float:
    """Share of the verdicts on every method against the first that have a direction."""
    found = [case.result(arm, 0, paired=paired).verdict.direction for arm in range(1, len(case.answers))]
    return sum(direction is not None for direction in found) / len(found)


def claims_equivalence(case: Case, paired: bool = False) -> bool:
    """Whether it says equivalent at a margin as large as the true difference."""
    return case.result(0, 1, margin=abs(difference(case.on_these)), paired=paired).verdict.equivalent


def checkpoints_equivalent(case: Case) -> bool:
    """The same of two checkpoints."""
    return case.checkpoint_result(abs(difference(case.checkpoints[:, 0]))).verdict.equivalent


def _family(case: Case, margin: float | None, family: str | None = "all") -> list[ContrastResult]:
    """Every method against the first."""
    return adjusted([case.result(arm, 0, margin=margin, family=family) for arm in range(1, len(case.answers))])


def _rejects(p: float | None) -> bool:
    return p is not None and p <= ALPHA


def any_direction(case: Case, holm: bool) -> bool:
    """Whether any of the contrasts is significant."""
    return any(_rejects(each.p_adjusted if holm else each.p) for each in _family(case, None))


def any_equivalence(case: Case, holm: bool) -> bool:
    """Whether any is equivalent at a margin as large as the true difference."""
    found = _family(case, abs(difference(case.on_these)))
    return any(_rejects(each.p_equivalence_adjusted if holm else each.p_equivalence) for each in found)


def false_share(case: Case) -> float:
    """False ones among what is significant where no family is declared (Benjamini and Hochberg)."""
    rejected = [_rejects(each.p_adjusted) for each in _family(case, None, None)]
    null = case.on_these[1:] == case.on_these[0]
    false = sum(each for each, is_null in zip(rejected, null, strict=True) if is_null)
    return false / max(sum(rejected), 1)


def checkpoints_hold(case: Case) -> bool:
    """The contrast of two checkpoints."""
    return holds(case.checkpoint_result().interval, difference(case.checkpoints[:, 0]))


def unclustered(case: Case) -> bool:
    """The same with questions for observations."""
    values = PERCENT * (case.answers[0, 0].astype(float) - case.answers[1, 0])
    return holds(mean_interval(values), difference(case.checkpoints[:, 0]))


def sign_flip(case: Case) -> bool:
    """Whether the sign-flip test rejects."""
    return case.pair().sign_flip.p <= ALPHA


def mcnemar(case: Case) -> bool:
    """Whether McNemar's test rejects."""
    found = case.pair().mcnemar
    assert found is not None, "not right or wrong"
    return found.p <= ALPHA


def _within(draws: np.ndarray, truth: float) -> bool:
    low, high = np.quantile(draws, [ALPHA / 2, 1 - ALPHA / 2])
    return bool(low <= truth <= high)


def _seed_draws(case: Case, arm: int, questions: np.ndarray | slice, stream: int) -> np.ndarray:
    """Means of seeds drawn with replacement, shape (draws,)."""
    accuracy = PERCENT * case.answers[arm, : case.n][:, questions].mean(axis=-1)
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
    total, tasks = np.zeros(DRAWS), case.setting.layout.tasks
    for task in range(int(tasks.max()) + 1):
        inside = np.flatnonzero(tasks == task)
        draws = [_seed_draws(case, arm, inside, 2 + 2 * task + arm) for arm in (0, 1)]
        total += len(inside) / len(tasks) * (draws[0] - draws[1])
    return _within(total, difference(case.on_these))


def row_bootstrap(case: Case, truth: np.ndarray) -> bool:
    """Percentile bootstrap of single answers of all runs, pooled."""
    # The mean of resampled rows, each right or wrong, is a binomial share.
    rng = np.random.default_rng([case.number, 2])
    answers = case.answers[:2, : case.n]
    rows = answers[0].size
    draws = [PERCENT * rng.binomial(rows, answers[arm].mean(), DRAWS) / rows for arm in (0, 1)]
    return _within(draws[0] - draws[1], difference(truth))
