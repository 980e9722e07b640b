"""What the columns of the figures' frames hold. Apart from the figures, so that nothing that draws is imported."""

_COLUMNS: dict[str, str] = {
    "accuracy": "percent correct",
    "arm": "name of the arm; of a reference its own (chance, best constant answer)",
    "contrast": "name of the contrast",
    "estimate": "the difference, a minus b",
    "excluded": "runs of the arm that are left out as they failed a manipulation check",
    "high": "upper end of the 95 % interval; missing without one",
    "kind": "total, task or source: what sort of score",
    "label": "the contrast's sides, a − b",
    "level": "confidence level of the interval",
    "low": "lower end of the 95 % interval; missing without one",
    "n": "runs in the value",
    "planned": "runs planned",
    "protocol": "name of the protocol, the arm's own",
    "questions": "questions in the value",
    "scope": "what the score is over: all questions, a task, a source or a suite",
    "seed": "seed of the run; missing for what is no single run, and for an arm without randomness",
    "series": "run (one run), mean (over the arm's runs), start (the untrained arm) or reference (needs no model)",
    "step": "optimiser step of the checkpoint",
    "told": "both sides could be read often enough to tell ability from format",
    "tokens": "mean length of a completion, in tokens",
    "unit": "unit of the estimate",
    "value": "value of the measure, for this series and step",
    "window": "optimiser steps that the value is a mean over",
}
"""By column, where it means the same in every figure that has it."""

_OF_FIGURE: dict[tuple[str, str], str] = {
    ("dumbbells", "arm"): "name of the trained arm; chance for the reference",
    ("dumbbells", "start"): "the arm without training that it started from",
    ("dynamics", "measure"): "accuracy (in percent) or tokens (per completion)",
    ("forest", "family"): "declared family of tests; missing outside of one",
    ("forest", "high"): "upper end of the interval that decides direction (at 1 - alpha); missing without one",
    ("forest", "high90"): "upper end of the interval that decides equivalence (at 1 - 2 alpha); missing without one",
    ("forest", "low"): "lower end of the interval that decides direction (at 1 - alpha); missing without one",
    ("forest", "low90"): "lower end of the interval that decides equivalence (at 1 - 2 alpha); missing without one",
    ("forest", "margin"): "differences within plus or minus so much count as equivalent; missing without one",
    ("forest", "metric"): "what the contrast is in",
    ("forest", "population"): "what the interval speaks about",
    ("forest", "status"): "confirmatory or exploratory",
    ("forest", "verdict"): "what the intervals decide",
    ("formats", "estimate"): "the gain in accuracy or a part of it, in percentage points",
    ("formats", "part"): "now parsed (an answer can be read where none could), now right (another answer), or total",
    ("power", "difference"): "true difference, in percentage points",
    ("power", "own"): "the study's own number of seeds",
    ("power", "power"): "probability that the test finds the difference",
    ("power", "sd"): "standard deviation of an arm's accuracy over seeds, in percentage points",
    ("power", "seeds"): "runs of each side that has seeds",
    ("power", "target"): "power that is asked for",
    ("power", "test"): "the test",
    ("rewards", "measure"): "total, or the name of a part of the reward",
    ("rewards", "step"): "last optimiser step of the window",
    ("rollouts", "measure"): "length (mean of the rollouts, in tokens) or reward (mean)",
    ("rollouts", "step"): "last optimiser step of the window",
    ("scopes", "worst"): "the scope in which side a does worst against side b",
}
"""By figure and column, where it is that figure's alone or means something else there."""


def described(figure: str, column: str) -> str:
    """What a column of a figure's frame holds; empty where nobody said."""
    return _OF_FIGURE.get((figure, column), _COLUMNS.get(column, ""))
