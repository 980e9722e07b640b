"""What a score is taken over: all questions, a task, a source, or the sources as CV-Bench weighs them."""

import pandas as pd

OVERALL = "overall"
"""Every question counts the same."""
MICRO = "micro"
"""The same on CV-Bench, where there is another total beside it."""
BENCHMARK = "benchmark"
"""CV-Bench's own total (Cambrian-1, arXiv 2406.16860): 1/2 ((ADE20K + COCO) / 2 + Omni3D), of the accuracies by
source."""
BENCHMARK_WEIGHTS = {"ADE20K": 0.25, "COCO": 0.25, "Omni3D": 0.5}

Weights = dict[str, pd.Series]


def scopes(questions: pd.DataFrame) -> Weights:
    """Weights of the questions in every score, by the score's name; the first is that over all questions.

    Scores by source, and the benchmark's own total, are there where the questions come from CV-Bench's sources.

    Args:
        questions: the collected table (columns question, task, source).

    Returns:
        Series of weights, indexed by question, by name: overall (micro on CV-Bench), benchmark, then the tasks and
        sources in the order in which the questions meet them. They need not add up to 1.
    """
    frame = questions.sort_values("question", kind="stable").set_index("question")
    ones = pd.Series(1.0, index=frame.index)
    by_task = {str(task): ones[frame["task"] == task] for task in frame["task"].unique()}
    if set(frame["source"]) != set(BENCHMARK_WEIGHTS):
        return {OVERALL: ones, **by_task}
    sizes = frame["source"].value_counts()
    benchmark = frame["source"].map(BENCHMARK_WEIGHTS) / frame["source"].map(sizes)
    by_source = {str(source): ones[frame["source"] == source] for source in frame["source"].unique()}
    return {MICRO: ones, BENCHMARK: benchmark.astype(float), **by_task, **by_source}


def weighted_mean(values: pd.Series, weights: pd.Series) -> float:
    """Mean of values (indexed by question) over the questions that have a weight."""
    return float((values.loc[weights.index] * weights).sum() / weights.sum())
