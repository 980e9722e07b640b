"""What the columns of the figures' frames hold. Apart from the figures, so that nothing that draws is imported."""

_COLUMNS: dict[str, str] = {
    "arm": "name of the arm; a reference (chance, the best constant answer) has its own name here",
    "protocol": "name of the protocol",
    "scope": "what the score is over: all questions, a task, a source or a suite",
    "series": "seed=0 and so on: one run; run: the one run of an arm without randomness; mean: their mean; reference: a"
    " score that needs no model",
    "kind": "what sort of row it is",
    "measure": "what the value is of",
    "part": "part of the reward; reward is their weighted sum",
    "step": "optimiser step of the checkpoint, or the last of the window",
    "window": "optimiser steps that the value is a mean over",
    "value": "value of the measure, in its unit (accuracy in percent, lengths in tokens)",
    "accuracy": "percent correct",
    "tokens": "mean length of a completion in tokens",
    "low": "lower end of the interval; missing without one",
    "high": "upper end of the interval; missing without one",
    "n": "runs in the value",
    "planned": "runs planned",
    "seeds": "runs that are in the value",
    "questions": "questions in the value",
    "unit": "unit of the numbers",
}
"""By column, where it means the same in every figure that has it."""

_OF_FIGURE: dict[tuple[str, str], str] = {
    ("power", "seeds"): "runs on each side that has seeds",
    ("power", "difference"): "true difference, in the metric's unit",
    ("power", "power"): "probability that the test finds it",
    ("power", "sd"): "standard deviation of one run's value over seeds, in the metric's unit",
    ("power", "test"): "the test",
}
"""By figure and column, where it means something else."""


def described(figure: str, column: str) -> str:
    """What a column of a figure's frame holds; empty where nobody said."""
    return _OF_FIGURE.get((figure, column), _COLUMNS.get(column, ""))
