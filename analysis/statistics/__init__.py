"""Estimates, intervals and tests with the right unit: numpy and scipy only, numbers in and numbers out."""

from analysis.statistics.intervals import (
    LEVEL,
    ClusteredInterval,
    MeanInterval,
    PredictionInterval,
    clustered_interval,
    equivalence_p,
    mean_interval,
    paired_interval,
    prediction_interval,
)
from analysis.statistics.linear import (
    LinearInterval,
    Term,
    WelchInterval,
    linear_interval,
    linear_prediction,
    welch_interval,
)

__all__ = [
    "LEVEL",
    "ClusteredInterval",
    "LinearInterval",
    "MeanInterval",
    "PredictionInterval",
    "Term",
    "WelchInterval",
    "clustered_interval",
    "equivalence_p",
    "linear_interval",
    "linear_prediction",
    "mean_interval",
    "paired_interval",
    "prediction_interval",
    "welch_interval",
]
