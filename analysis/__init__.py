"""Analysis: from the collected parquet tables of a study to tables, figures and sentences.

Reads a collected folder (or pandas frames) and nothing else; knows nothing of the harness but the tables' schema. The
seed is the unit. `compare` does it all; the other functions give its pieces as plain, typed data::

    from analysis import contrasts, load

    for result in contrasts(load("results/micro")):
        print(result.name, result.interval, result.verdict.name)
"""

from analysis.by_scope import ScopeResult, by_scope
from analysis.claims import ClaimResult, claims
from analysis.collected import CollectedError, Tables
from analysis.compare import Comparison, Results, analyse, compare
from analysis.contrast_result import ContrastResult
from analysis.contrasts import contrast, contrasts
from analysis.declared import declare
from analysis.formats import FormatResult, formats
from analysis.interactions import interactions
from analysis.load import from_frames, load
from analysis.scores import ArmTable, arm_table, run_scores
from analysis.sensitivity import Variation, sensitivity
from analysis.terminal import render
from analysis.verdicts import Verdict

__all__ = [
    "ArmTable",
    "ClaimResult",
    "CollectedError",
    "Comparison",
    "ContrastResult",
    "FormatResult",
    "Results",
    "ScopeResult",
    "Tables",
    "Variation",
    "Verdict",
    "analyse",
    "arm_table",
    "by_scope",
    "claims",
    "compare",
    "contrast",
    "contrasts",
    "declare",
    "formats",
    "from_frames",
    "interactions",
    "load",
    "render",
    "run_scores",
    "sensitivity",
]
