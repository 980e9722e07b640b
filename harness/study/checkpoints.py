"""The checkpoints that an arm keeps, and whether those that a contrast speaks of are there."""

from collections.abc import Mapping

from harness.study.arms import Arm
from harness.study.errors import Problem, Where
from harness.study.schema import Contrast


def curve_steps(arm: Arm) -> list[int]:
    """Optimiser steps of the checkpoints that an arm's curve has, as planned: the start (0), and all that are kept;
    none without training, or without questions for the curve."""
    settings = arm.settings
    return [0, *_trained_steps(arm)] if settings.training != "none" and settings.curve.questions else []


def step_problem(arm: Arm, step: int, protocol: str, where: Where) -> Problem | None:
    """Why an arm's curve has no checkpoint after a step."""
    settings = arm.settings
    if settings.training == "none":
        return Problem(where, f"{step}: arm {arm.name!r} is not trained and has no checkpoints; leave step out")
    if not settings.curve.questions:
        return Problem(where, f"{step}: arm {arm.name!r} has no curve; set curve.questions above 0, or leave step out")
    if protocol != arm.protocol:
        text = (
            f"{step}: the curve of arm {arm.name!r} is under its own protocol {arm.protocol!r} alone, not {protocol!r}"
        )
        return Problem(where, f"{text}; leave step out, or put {protocol!r} first among the arm's protocols")
    trained = _trained_steps(arm)
    steps = [0, *trained]
    if step in steps:
        return None
    near = sorted(sorted(steps, key=lambda each: abs(each - step))[:3])
    recipe = settings.sft if settings.training == "sft" else settings.grpo
    text = f"arm {arm.name!r} keeps no checkpoint after step {step} (checkpoint_every: {recipe.checkpoint_every})"
    return Problem(where, f"{text}; the nearest are {', '.join(map(str, near))}")


def checkpoint_problems(contrast: Contrast, arms: Mapping[str, Arm], where: Where) -> list[Problem]:
    """Why a contrast's rule for checkpoints can't be followed. An arm without training has one checkpoint, which
    every rule takes.

    Args:
        contrast: with its sides' protocols filled in.
        arms: by name.
    """
    rule = contrast.checkpoint
    if rule == "last":
        return []
    here = (*where, "checkpoint")
    if rule == "best_half" and contrast.metric != "accuracy":
        text = f"{rule!r} takes the checkpoint of the highest accuracy, and the metric is {contrast.metric!r}"
        return [Problem(here, f"{text}; use metric: accuracy, or checkpoint: last or mean_last")]
    if not any(arms[side.arm].has_seeds for side in contrast.sides.values()):
        return [Problem(here, f"{rule!r} has no effect, as no side is trained; leave it out")]
    problems: list[Problem] = []
    for key, side in contrast.sides.items():
        place, arm = (*where, *key.split(".")), arms[side.arm]
        if side.step is not None:
            text = f"{side.step} against checkpoint: {rule}, which takes its checkpoints by itself"
            problems.append(Problem((*place, "step"), f"{text}; leave step out, or use checkpoint: last"))
        elif arm.has_seeds and not arm.settings.curve.questions:
            text = f"checkpoint: {rule} needs the curve of arm {arm.name!r}, which has none"
            problems.append(Problem(place, f"{text}; set curve.questions above 0, or use checkpoint: last"))
        elif arm.has_seeds and side.protocol != arm.protocol:
            text = f"the curve of arm {arm.name!r} is under its own protocol {arm.protocol!r} alone"
            mend = f"name that one, use checkpoint: last, or put {side.protocol!r} first among the arm's protocols"
            problems.append(Problem((*place, "protocol"), f"{text}, not {side.protocol!r}; {mend}"))
        elif arm.has_seeds and rule == "mean_last" and contrast.last_k > len(_trained_steps(arm)):
            steps = ", ".join(map(str, _trained_steps(arm)))
            text = f"{contrast.last_k}: arm {arm.name!r} keeps {len(_trained_steps(arm))} checkpoints ({steps})"
            problems.append(Problem((*where, "last_k"), f"{text}; lower last_k or the arm's checkpoint_every"))
    return problems


def _trained_steps(arm: Arm) -> list[int]:
    """Steps of the checkpoints that a trained arm keeps, the last one included, its start not."""
    settings = arm.settings
    return list((settings.sft if settings.training == "sft" else settings.grpo).checkpoint_steps())
