"""Estimates, intervals and tests with the right unit: numpy and scipy only, numbers in and numbers out."""

from analysis.statistics.intervals import (
    LEVEL,
    ClusteredInterval,
    MeanInterval,
    PredictionInterval,
    WelchInterval,
    clustered_interval,
    mean_interval,
    paired_interval,
    prediction_interval,
    welch_interval,
)

__all__ = [
    "LEVEL",
    "ClusteredInterval",
    "MeanInterval",
    "PredictionInterval",
    "WelchInterval",
    "clustered_interval",
    "mean_interval",
    "paired_interval",
    "prediction_interval",
    "welch_interval",
]
