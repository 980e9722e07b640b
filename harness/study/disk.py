"""How much a study writes to disk, from its settings alone."""

from collections.abc import Collection
from dataclasses import dataclass

from harness.study.estimate import (
    CVBENCH_QUESTIONS,
    IMAGE_PIXELS,
    OPTIONS,
    SAT_ROWS,
    completion_tokens,
    known_shape,
    leaf_model,
    questions_of,
)
from harness.study.expand import Plan
from harness.study.shapes import QWEN2_VL_2B, TINY, Shape, micro_shape
from harness.study.stage import TRAINING_KINDS, Stage

BYTES_PER_TOKEN = 5
"""Of a stored completion."""
BYTES_PER_PIXEL = 0.25
"""Of a compressed photograph."""
WORLD_IMAGE_BYTES = 1_300
_WEIGHT_BYTES = {"float32": 4, "bfloat16-mixed": 4, "bfloat16": 2}
_STATE_BYTES = {"float32": 8, "bfloat16-mixed": 8, "bfloat16": 4}
"""Of AdamW's two moments of one parameter."""
_SHARDED_STATE_BYTES = 12
"""The same with a sharded optimiser, which keeps float32 moments and a float32 copy of the weights."""


@dataclass(frozen=True)
class DiskUse:
    """Bytes that a stage will write."""

    outputs: float
    """Checkpoints, completions, data: there when the stage is done."""
    kept: float
    """Of these, what ``ablate clean`` leaves."""
    resume: float = 0.0
    """On top while it is at work, to go on from after an interruption."""


def disk_use(plan: Plan, done: Collection[str] = ()) -> dict[str, DiskUse]:
    """Bytes that every stage of a plan still to do will write, by stage id."""
    keep = plan.study.retention.checkpoints
    found = {}
    for stage_id, stage in plan.stages.items():
        if stage_id in done:
            continue
        if stage.kind in ("pretrain", *TRAINING_KINDS):
            found[stage_id] = _training(stage, _shape(plan, stage), keep)
        else:
            size = _data(stage)
            found[stage_id] = DiskUse(size, size)
    return found


def _shape(plan: Plan, stage: Stage) -> Shape:
    leaf = leaf_model(stage, plan.stages)
    if leaf is None or leaf.kind == "tiny":
        return TINY
    return micro_shape(leaf.settings) if leaf.kind == "pretrain" else known_shape(leaf) or QWEN2_VL_2B


def _training(stage: Stage, shape: Shape, keep: str) -> DiskUse:
    settings = stage.settings
    tuning = settings.get("tuning", {"kind": "full"})
    compute = settings.get("compute", {"precision": "float32"})
    precision = compute["precision"]
    trained = shape.trained(tuning)
    saved = trained if tuning["kind"] == "lora" else shape.parameters
    checkpoint = float(saved * _WEIGHT_BYTES[precision])
    checkpoints = len(stage.cosmetic["checkpoints"])
    sharded = compute.get("deepspeed") or compute.get("fsdp")
    state = trained * (_SHARDED_STATE_BYTES if sharded else _STATE_BYTES[precision])
    rollouts = 0.0
    if stage.kind == "grpo":
        sampled = settings["steps"] * settings["prompts_per_step"] * settings["completions_per_prompt"]
        rollouts = float(sampled * completion_tokens(settings) * BYTES_PER_TOKEN)
    left = {"all": checkpoints, "last": 1, "none": 0}[keep]
    resume = 0.0 if stage.kind == "pretrain" else checkpoint + state
    return DiskUse(checkpoints * checkpoint + rollouts, left * checkpoint + rollouts, resume)


def _data(stage: Stage) -> float:
    settings = stage.settings
    match stage.kind:
        case "world":
            return (settings["train_questions"] + settings["test_questions"]) * WORLD_IMAGE_BYTES
        case "sat":
            return (settings["first_rows"] or SAT_ROWS) * IMAGE_PIXELS * BYTES_PER_PIXEL
        case "cvbench":
            return CVBENCH_QUESTIONS * IMAGE_PIXELS * BYTES_PER_PIXEL
        case "tiny":
            return 4.0 * TINY.parameters
        case "evaluate":
            asked = questions_of(stage) * len(settings["steps"])
            if settings["method"] == "options":
                return asked * OPTIONS * 24.0
            return float(asked * completion_tokens(settings) * BYTES_PER_TOKEN)
        case _:
            return 0.0  # a real model stays where it is


def format_bytes(number: float) -> str:
    """``0 B``, ``512 kB``, ``4.4 GB``: powers of 1,000."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.0f} {unit}" if number >= 10 or unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
