"""How long stages take, from what was measured where possible, and the wall time with so many workers.

Of stages on a CPU (the miniature world, tiny models) the assumed time is a constant times the amount of work. Of
stages of real models it is a range: floating-point operations over what a GPU reaches of its peak, see `assume`.
"""

import heapq
import math
import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.study.expand import Plan
from harness.study.shapes import PIXELS_PER_TOKEN, QWEN2_VL_2B, SHAPES, Shape
from harness.study.stage import Stage

PEAK = {"bfloat16": 989e12, "bfloat16-mixed": 989e12, "float32": 67e12}
"""Operations per second of one GPU by precision: NVIDIA's figures for the H100 SXM, dense."""
PASS_USE = (0.05, 0.40)
"""Share of the peak in forward and backward passes: one example at a time with the library's own kernels (6 % in SFT of
2 billion parameters on an H100, measured by tests/benchmarks/real_shape.py), and well filled."""
DECODING_USE = (0.001, 0.02)
"""Share of the peak in generation, which waits for memory: token by token in small batches (0.2 % with 32 completions
of 2 billion parameters on an H100, images and prompts included), and a serving engine."""
COMPLETION_TOKENS = 200
"""Mean length of a completion, where the limit allows it (the paper's figure 1: 100 to 300)."""
PROMPT_TOKENS = 100
"""Text tokens of a prompt."""
IMAGE_PIXELS = 500_000
"""Mean size of an image, where the limit allows it."""
CVBENCH_QUESTIONS = 2_638
SAT_ROWS = 175_000
OPTIONS = 3
"""Options of a question on the average."""


@dataclass(frozen=True)
class Measured:
    """A finished stage and the wall seconds that it took, of this study or another."""

    stage: Stage
    seconds: float


@dataclass(frozen=True)
class Assumed:
    """What is assumed of a stage's time before anything like it was timed."""

    low: float
    """Wall seconds."""
    high: float
    units: float
    """Optimiser steps, or questions times checkpoints, or rows: what the time is proportional to."""
    gpus: int = 0
    """0 on a CPU."""

    @property
    def typical(self) -> float:
        """Geometric mean of the range."""
        return math.sqrt(self.low * self.high)

    @property
    def shape(self) -> tuple[int, float]:
        """Equal for stages that differ in nothing but how long they go on."""
        return self.gpus, round(self.typical / self.units, 12)


@dataclass(frozen=True)
class Estimate:
    """Time of one stage."""

    seconds: float
    """Wall seconds: measured, or in the middle of the range."""
    low: float
    high: float
    gpus: int
    measured: bool
    """A stage of this shape was timed; else the range is from operations and assumptions alone."""

    @property
    def gpu_hours(self) -> tuple[float, float]:
        """From and to; 0 on a CPU."""
        return self.low * self.gpus / 3600, self.high * self.gpus / 3600


def leaf_model(stage: Stage, stages: Mapping[str, Stage]) -> Stage | None:
    """The stage that a stage's model comes from in the end; None where it has none, or it is not among ``stages``."""
    while stage.kind not in ("pretrain", "tiny", "model"):
        source = stages.get(stage.inputs.get("model", ""))
        if source is None:
            return None
        stage = source
    return stage


def known_shape(leaf: Stage) -> Shape | None:
    """Shape of a real model by its hub id; None where it is not known."""
    return SHAPES.get(leaf.settings.get("hub", {}).get("id", ""))


def assume(stage: Stage, stages: Mapping[str, Stage]) -> Assumed:
    """Wall seconds of a stage from its amount of work alone.

    Args:
        stages: by id, with those that the stage's model comes from.

    Raises:
        KeyError: nothing is assumed of this kind of stage.
    """
    leaf = leaf_model(stage, stages)
    if leaf is not None and leaf.kind == "model" and stage is not leaf:
        return _on_gpus(stage, known_shape(leaf) or QWEN2_VL_2B)
    per_unit, units = _on_cpu(stage)
    fixed = 6.0 if stage.kind == "evaluate" else 0.0
    return Assumed(fixed + per_unit * units, fixed + per_unit * units, units)


def _on_cpu(stage: Stage) -> tuple[float, float]:
    """Seconds per unit on one core, and units."""
    settings = stage.settings
    match stage.kind:
        case "world":
            return 12.0 / 17_000, settings["train_questions"] + settings["test_questions"]
        case "sat":
            return 0.01, settings["first_rows"] or SAT_ROWS
        case "cvbench":
            return 0.02, CVBENCH_QUESTIONS
        case "model" | "tiny":
            return 10.0, 1
        case "pretrain":
            return 0.35 * settings["batch_size"] / 48, settings["steps"]
        case "sft" | "instruct":
            return 0.24 * settings["batch_size"] / 48, settings["steps"]
        case "grpo":
            rollouts = settings["prompts_per_step"] * settings["completions_per_prompt"]
            return 0.68 * rollouts / 64, settings["steps"]
        case "evaluate":
            return 0.0045, questions_of(stage) * len(settings["steps"])
        case kind:
            raise KeyError(f"no assumed time for stages of kind {kind!r}")


def questions_of(stage: Stage) -> int:
    """Questions that an evaluate stage asks of every checkpoint."""
    asked = stage.settings["questions"]
    return CVBENCH_QUESTIONS if asked is None else asked


def completion_tokens(settings: Mapping[str, Any]) -> int:
    """Assumed mean length of a completion in tokens."""
    return min(settings["max_new_tokens"], COMPLETION_TOKENS)


def image_pixels(settings: Mapping[str, Any]) -> float:
    """Assumed mean size of an image as the model sees it."""
    return min(settings["images"]["max_pixels"] or IMAGE_PIXELS, IMAGE_PIXELS)


def _on_gpus(stage: Stage, shape: Shape) -> Assumed:
    """Operations of a stage over what GPUs reach.

    A pass over a prompt costs `Shape.image_flops` and `Shape.token_flops` for every token; a backward pass twice a
    forward one, and checkpointed gradients another forward one. Every rollout of GRPO is prefilled, decoded, passed
    forward and backward, and, under a KL penalty, passed forward by the reference model; each carries its image.
    """
    settings = stage.settings
    pixels = image_pixels(settings)
    prompt = pixels / PIXELS_PER_TOKEN + PROMPT_TOKENS

    def forward(tokens: float) -> float:
        return shape.image_flops(pixels) + shape.token_flops() * tokens

    decoded = 0.0
    if stage.kind == "evaluate":
        units, gpus, precision = questions_of(stage) * len(settings["steps"]), 1, settings["dtype"]
        if settings["method"] == "options":
            passed = OPTIONS * forward(prompt)
        else:
            passed, decoded = forward(prompt), shape.token_flops() * completion_tokens(settings)
    else:
        compute = settings["compute"]
        units, gpus, precision = settings["steps"], compute["processes"], compute["precision"]
        training = 4 if compute["gradient_checkpointing"] else 3
        if stage.kind == "grpo":
            rollouts = settings["prompts_per_step"] * settings["completions_per_prompt"]
            length = completion_tokens(settings)
            scored = training + (1 if settings["beta"] else 0)
            passed = rollouts * (forward(prompt) + scored * forward(prompt + length))
            decoded = rollouts * shape.token_flops() * length
        else:
            passed = settings["batch_size"] * training * forward(prompt)
    low, high = (
        units * (passed / PASS_USE[use] + decoded / DECODING_USE[use]) / (PEAK[precision] * gpus) for use in (1, 0)
    )
    return Assumed(low, high, units, gpus)


def estimate(
    plan: Plan, measured: Iterable[Measured] = (), allocated: Mapping[str, int] | None = None
) -> dict[str, Estimate]:
    """Time of every stage of a plan, by stage id.

    The assumed time is scaled by the median of measured over assumed time: of finished stages of the same kind and
    amount of work where there are any, else of the same shape, else of the same kind on the same sort of machine,
    else it stands as it is.

    Args:
        allocated: GPUs by stage id, where they are not those that the stage's work is assumed to use.
    """
    finished = list(measured)
    known = {each.stage.id: each.stage for each in finished} | plan.stages
    ratios: dict[tuple[Any, ...], list[float]] = {}
    for each in finished:
        assumed = assume(each.stage, known)
        for key in _keys(each.stage, assumed):
            ratios.setdefault(key, []).append(each.seconds / assumed.typical)
    estimates = {}
    for stage_id, stage in plan.stages.items():
        assumed = assume(stage, known)
        *same, kind = _keys(stage, assumed)
        found = next((ratios[key] for key in same if key in ratios), None)
        scale = statistics.median(found or ratios.get(kind, [1.0]))
        seconds, low, high = (scale * each for each in (assumed.typical, assumed.low, assumed.high))
        if found:
            low = high = seconds
        gpus = assumed.gpus if allocated is None else allocated[stage_id]
        estimates[stage_id] = Estimate(seconds, low, high, gpus, found is not None)
    return estimates


def _keys(stage: Stage, assumed: Assumed) -> list[tuple[Any, ...]]:
    """What a stage's time may be likened to, closest first."""
    return [
        (stage.kind, "size", assumed.typical, assumed.gpus),
        (stage.kind, "shape", *assumed.shape),
        (stage.kind, "kind", assumed.gpus > 0),
    ]


def estimate_seconds(plan: Plan, measured: Iterable[Measured] = ()) -> dict[str, float]:
    """Wall seconds of every stage of a plan, by stage id; see `estimate`."""
    return {stage_id: each.seconds for stage_id, each in estimate(plan, measured).items()}


def wall_seconds(
    stages: Mapping[str, Stage], seconds: Mapping[str, float], workers: int, done: Collection[str] = ()
) -> float:
    """Wall seconds until all stages are done: simulated workers take the longest ready stage first.

    Args:
        stages: by id.
        seconds: by stage id.
        workers: stages that run at a time.
        done: ids of stages that need not run.

    Raises:
        ValueError: fewer than one worker.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; at least 1 is needed")
    waiting = {
        stage_id: {each for each in stage.inputs.values() if each not in done}
        for stage_id, stage in stages.items()
        if stage_id not in done
    }
    now = 0.0
    running: list[tuple[float, str]] = []
    while waiting or running:
        ready = sorted((-seconds[each], each) for each, inputs in waiting.items() if not inputs)
        for _, stage_id in ready[: workers - len(running)]:
            heapq.heappush(running, (now + seconds[stage_id], stage_id))
            del waiting[stage_id]
        now, finished = heapq.heappop(running)
        for inputs in waiting.values():
            inputs.discard(finished)
    return now
