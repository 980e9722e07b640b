"""Analysis: from the collected parquet tables of a study to tables, figures and sentences.

Reads a collected folder and nothing else; knows nothing of the harness but the tables' schema. The seed is
the unit. `compare` does it all; the other functions give its pieces as plain data.
"""

from analysis.compare import Comparison, compare
from analysis.contrasts import ContrastResult, contrasts
from analysis.load import CollectedError, Tables, load
from analysis.scores import ArmTable, arm_table, run_scores
from analysis.terminal import render

__all__ = [
    "ArmTable",
    "CollectedError",
    "Comparison",
    "ContrastResult",
    "Tables",
    "arm_table",
    "compare",
    "contrasts",
    "load",
    "render",
    "run_scores",
]
