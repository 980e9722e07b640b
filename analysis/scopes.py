"""What a score is taken over: all questions, a task, a source, a suite, or the sources as CV-Bench weighs them."""

import numpy as np
import pandas as pd

from analysis.collected import Layout

OVERALL = "overall"
"""Every question counts the same."""
MICRO = "micro"
"""The same on CV-Bench, where there is another total beside it."""
BENCHMARK = "benchmark"
"""CV-Bench's own total (Cambrian-1, arXiv 2406.16860): 1/2 ((ADE20K + COCO) / 2 + Omni3D), of the accuracies by
source."""
BENCHMARK_WEIGHTS = {"ADE20K": 0.25, "COCO": 0.25, "Omni3D": 0.5}
SUITES = "mean of suites"
"""Of several suites, each of which counts the same however many questions it has."""

Weights = dict[str, np.ndarray]


def scopes(questions: pd.DataFrame) -> Weights:
    """Weights of the questions in every score, by the score's name; the first is the one that decides.

    Scores by source, and the benchmark's own total, are there where the questions come from CV-Bench's sources. Where
    there are several suites, the first score is the mean of their accuracies, and each suite's own and its tasks'
    follow: a mean hides the worst.

    Args:
        questions: as loaded (columns suite, question, task, source), n rows.

    Returns:
        Weights of shape (n,), which add up to 1 (all 0 without questions), by name: overall (micro on CV-Bench),
        benchmark, then the tasks and sources in the order in which the questions meet them.
    """
    suites = list(dict.fromkeys(questions["suite"])) if "suite" in questions else []
    if len(suites) < 2:
        return _of_suite(questions)
    made: Weights = {}
    for suite in suites:
        inside = (questions["suite"] == suite).to_numpy()
        for name, weights in _of_suite(questions[inside]).items():
            spread = np.zeros(len(questions))
            spread[inside] = weights
            made[suite if name in (OVERALL, MICRO) else f"{suite}: {name}"] = spread
    return {SUITES: np.mean([made[suite] for suite in suites], axis=0), **made}


def name_twice(questions: pd.DataFrame) -> str:
    """The first task that has the name of another score of its suite, which it would stand in for; empty without."""
    for _, of in questions.groupby("suite", sort=False, observed=True):
        sources = set(of["source"])
        taken = {OVERALL, MICRO} | ({BENCHMARK, *sources} if sources == set(BENCHMARK_WEIGHTS) else set())
        for task in dict.fromkeys(of["task"].astype(str)):
            if task in taken:
                return task
    return ""


def _of_suite(questions: pd.DataFrame) -> Weights:
    ones = np.ones(len(questions))
    tasks, sources = questions["task"].to_numpy(), questions["source"].to_numpy()
    by_task = {str(task): _shares(ones * (tasks == task)) for task in dict.fromkeys(tasks)}
    if set(sources) != set(BENCHMARK_WEIGHTS):
        return {OVERALL: _shares(ones), **by_task}
    by_source = {str(source): _shares(ones * (sources == source)) for source in dict.fromkeys(sources)}
    benchmark = np.sum([BENCHMARK_WEIGHTS[source] * weights for source, weights in by_source.items()], axis=0)
    return {MICRO: _shares(ones), BENCHMARK: benchmark, **by_task, **by_source}


def _shares(weights: np.ndarray) -> np.ndarray:
    total = weights.sum()
    return weights / total if total else weights


def shares_on(weights: np.ndarray, position: np.ndarray, layout: Layout) -> np.ndarray:
    """Weights of a score over some of its questions only, as over a curve's.

    Suites keep their shares of the score, and so do the sources within a suite that the score weighs differently: a
    mean of suites is still one on questions of which one suite has most.

    Args:
        weights: of all questions, shape (questions,).
        position: those that it is over, each with a weight above 0, shape (n,).
        layout: of all questions.

    Returns:
        Shape (n,); they add up to 1.
    """
    kept = weights[position]
    if layout.suites is None or len(position) == np.count_nonzero(weights):
        return kept / kept.sum()
    blocks = layout.suites.astype(np.int64)
    if layout.sources is not None:
        first = int(blocks.max()) + 1
        for suite in np.unique(layout.suites[position]):
            own = (layout.suites == suite) & (weights > 0.0)
            if not np.allclose(weights[own], weights[own][0], rtol=1e-9, atol=0.0):
                blocks[own] = first + layout.sources[own]
    whole = np.bincount(blocks, weights)
    here = np.bincount(blocks[position], kept, len(whole))
    scaled = kept * whole[blocks[position]] / here[blocks[position]]
    return scaled / scaled.sum()


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Mean of the questions' values, both of shape (n,); the weights add up to 1.

    Without the last bits, in which equal scores differ: 43.75 is not to be shown as 43.7.
    """
    return round(float(np.asarray(values, dtype=float) @ weights), 12)
