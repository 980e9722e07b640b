"""Estimates, intervals and tests with the right unit: numpy and scipy only, numbers in and numbers out."""

from analysis.statistics.adjust import benjamini_hochberg, holm
from analysis.statistics.bootstrap import BootstrapInterval, BootstrapSide, two_level_bootstrap
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
from analysis.statistics.permutation import McNemar, SignFlip, mcnemar_test, sign_flip_test
from analysis.statistics.power import (
    Design,
    checkpoint_detectable,
    checkpoint_half_width,
    checkpoint_power,
    detectable,
    power_of,
    seeds_needed,
)
from analysis.statistics.stratified import stratified_interval

__all__ = [
    "LEVEL",
    "BootstrapInterval",
    "BootstrapSide",
    "ClusteredInterval",
    "Design",
    "LinearInterval",
    "McNemar",
    "MeanInterval",
    "PredictionInterval",
    "SignFlip",
    "Term",
    "WelchInterval",
    "benjamini_hochberg",
    "checkpoint_detectable",
    "checkpoint_half_width",
    "checkpoint_power",
    "clustered_interval",
    "detectable",
    "equivalence_p",
    "holm",
    "linear_interval",
    "linear_prediction",
    "mcnemar_test",
    "mean_interval",
    "paired_interval",
    "power_of",
    "prediction_interval",
    "seeds_needed",
    "sign_flip_test",
    "stratified_interval",
    "two_level_bootstrap",
    "welch_interval",
]
