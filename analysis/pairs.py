"""Fixed pairs of checkpoints compared question by question: what holds for these weights, whatever other seeds do."""

from dataclasses import dataclass

import numpy as np

from analysis.collected import Layout
from analysis.combine import Combined, Pair, question_interval, question_values
from analysis.metrics import METRICS
from analysis.scopes import shares_on
from analysis.statistics import ClusteredInterval, McNemar, SignFlip, mcnemar_test, sign_flip_test


@dataclass(frozen=True)
class PairResult:
    """Two checkpoints (four, of a difference of differences) on the same questions."""

    name: str
    """``seed=0``, or ``checkpoints``."""
    runs: tuple[str, ...]
    interval: ClusteredInterval
    """Question-paired difference, its standard error clustered by image, in the metric's unit."""
    sign_flip: SignFlip
    """Test of no difference: under it the sign of an image's summed difference is a coin's toss."""
    mcnemar: McNemar | None
    """The same for two checkpoints' right and wrong answers, as if every question had an image of its own; None for
    other metrics, differences of differences and scores that weigh questions differently."""


def pair_results(
    combined: Combined, weights: np.ndarray, layout: Layout, metric: str, level: float
) -> tuple[PairResult, ...]:
    """Every pair of checkpoints that belong together.

    Args:
        weights: of all questions, shape (questions,).
        layout: image and task of every question.
    """
    position = combined.position
    if not len(position):
        return ()
    share = shares_on(weights, position, layout)
    return tuple(_pair(combined, pair, share, layout.cut(position), metric, level) for pair in combined.pairs)


def _pair(combined: Combined, pair: Pair, share: np.ndarray, layout: Layout, metric: str, level: float) -> PairResult:
    factor = METRICS[metric].factor
    values = factor * question_values(combined.parts, pair)
    binary = metric == "accuracy" and len(pair.runs) == 2 and all(_is_binary(run.values) for run in pair.runs)
    alike = bool(np.allclose(share, share[0]))
    return PairResult(
        name=pair.name,
        runs=tuple(run.run for run in pair.runs),
        interval=question_interval(values, share, layout, level),
        sign_flip=sign_flip_test(len(share) * share * values, layout.images.tolist()),
        mcnemar=mcnemar_test(*(run.values.astype(bool) for run in pair.runs)) if binary and alike else None,
    )


def _is_binary(values: np.ndarray) -> bool:
    return bool(np.isin(values, (0, 1)).all())
