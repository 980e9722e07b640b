"""What was asked: the study file, its settings, its expansion to runs and the graph of stages.

A study is loaded (`load_study`), expanded (`plan_study`) and described (`describe`); nothing is run here.
This room knows no other one and never imports torch. Its names are imported when they are used: a job of a cluster
needs `harness.study.stage` alone, and starts in half the time without the rest.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.study.arms import Arm
    from harness.study.description import Description, describe, format_seconds
    from harness.study.errors import StudyError
    from harness.study.estimate import Measured, estimate_seconds, wall_seconds
    from harness.study.expand import Evaluation, Plan, Run, plan_study
    from harness.study.load import load_study
    from harness.study.schema import ArmSettings, Claim, Contrast, Side, Study
    from harness.study.stage import Stage

__all__ = [
    "Arm",
    "ArmSettings",
    "Claim",
    "Contrast",
    "Description",
    "Evaluation",
    "Measured",
    "Plan",
    "Run",
    "Side",
    "Stage",
    "Study",
    "StudyError",
    "describe",
    "estimate_seconds",
    "format_seconds",
    "load_study",
    "plan_study",
    "wall_seconds",
]

_MODULES = {
    "arms": ("Arm",),
    "description": ("Description", "describe", "format_seconds"),
    "errors": ("StudyError",),
    "estimate": ("Measured", "estimate_seconds", "wall_seconds"),
    "expand": ("Evaluation", "Plan", "Run", "plan_study"),
    "load": ("load_study",),
    "schema": ("ArmSettings", "Claim", "Contrast", "Side", "Study"),
    "stage": ("Stage",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = found
    return found
