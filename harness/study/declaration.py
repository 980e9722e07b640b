"""What a contrast declares, and the hash that stands for it: two with one hash decide the same thing from the same
evaluations."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from harness.study.expand import Evaluation, Plan, Run
from harness.study.schema import Contrast, Side

HASH_VERSION = 1

_DECLARED = ("minus", "metric", "pairing", "margin", "family", "alpha", "checkpoint", "last_k")
_SIDE = ("arm", "protocol", "rule", "step")


def questions_stage(plan: Plan) -> str:
    """Id of the stage of the test data: the fingerprint of the questions. All evaluations read the one."""
    return next(stage.inputs["data"] for stage in plan.stages.values() if stage.kind == "evaluate")


def read_stages(plan: Plan, contrast: Contrast) -> list[str]:
    """Sorted ids of the evaluate stages that a contrast of the plan reads, over all planned runs of its sides."""
    return sorted(
        {
            stage
            for side in contrast.sides.values()
            for run in plan.runs
            if run.arm == side.arm
            for stage in _side_stages(plan, contrast, side, run)
        }
    )


def declaration(plan: Plan, contrast: Contrast) -> dict[str, Any]:
    """What a contrast of the plan decides and from what, as JSON data. How it is worded, what it is called, what was
    printed of it and what its number of seeds was planned with are no part of it."""
    declared = contrast.model_dump(mode="json", include={*_DECLARED})
    seeded = {run.arm for run in plan.runs if run.seed is not None}
    return {
        "hash_version": HASH_VERSION,
        "a": contrast.a.model_dump(mode="json", include={*_SIDE}),
        "b": contrast.b.model_dump(mode="json", include={*_SIDE}),
        **declared,
        "exclusions": sorted(contrast.exclusions),
        # arms without randomness are what they are, however many seeds the others have
        "seeds": sorted(plan.study.seeds) if any(side.arm in seeded for side in contrast.sides.values()) else [],
        "questions": questions_stage(plan),
        "reads": read_stages(plan, contrast),
    }


def declaration_hash(declared: Mapping[str, Any]) -> str:
    """First 16 hex digits of the SHA-256 of a `declaration`, whatever the order of its keys."""
    text = json.dumps(declared, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def contrast_hashes(plan: Plan) -> dict[str, str]:
    """Hash of every contrast of a plan, by the contrast's name."""
    return {contrast.name: declaration_hash(declaration(plan, contrast)) for contrast in plan.contrasts}


def _side_stages(plan: Plan, contrast: Contrast, side: Side, run: Run) -> list[str]:
    """Evaluations of one run that a side reads. The last point of the curve is part of the final evaluation."""
    own = [each for each in run.evaluations if each.protocol == side.protocol]
    if contrast.checkpoint != "last":
        return [each.stage for each in own]
    if side.step is None or side.step == run.final_step:
        return [each.stage for each in own if each.phase == "final"]
    return [each.stage for each in own if each.phase == "curve" and side.step in _steps(plan, each)]


def _steps(plan: Plan, evaluation: Evaluation) -> list[int]:
    """Steps of the run that an evaluation is of."""
    return [step - evaluation.step_offset for step in plan.stages[evaluation.stage].settings["steps"]]
