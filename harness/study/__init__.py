"""What was asked: the study file, its settings, its expansion to runs and the graph of stages.

A study is loaded (`load_study`), expanded (`plan_study`) and described (`describe`); nothing is run here.
This room knows no other one and never imports torch.
"""

from harness.study.arms import Arm
from harness.study.describe import Description, describe, format_seconds
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
