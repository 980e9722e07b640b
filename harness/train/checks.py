"""Manipulation checks: proof that a run's arm was applied. A failed check fails the run and names itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Trainer

from harness.record.atomic import write_json
from harness.record.outputs import CHECKS_FILE
from harness.scoring.rewards import REWARDS, Rollout

MODULES: tuple[str, ...] = ("vision", "merger", "language")


class CheckFailed(RuntimeError):
    """A manipulation check failed; the message names it."""


@dataclass(frozen=True)
class Check:
    """Outcome of one check, with what was seen."""

    passed: bool
    detail: str


def module_of(parameter: str) -> str:
    """Module that a parameter belongs to, by its name in memory: vision, merger or language.

    Adapters count with the module that they adapt; tied output weights with the language model.
    """
    if "visual.merger." in parameter:
        return "merger"
    return "vision" if "visual." in parameter else "language"


def snapshot(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all parameters, to be compared after training."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def trainable_modules(tuning: dict[str, Any]) -> set[str]:
    """Modules that a ``tuning`` setting is to change."""
    return {"full": set(MODULES), "lora": {"language"}}[tuning["kind"]]


def check_trainable(model: nn.Module, tuning: dict[str, Any]) -> Check:
    """Before the first step: exactly the modules to be tuned have trainable parameters; under LoRA only adapters."""
    counts = dict.fromkeys(MODULES, 0)
    base_weights = 0
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            counts[module_of(name)] += parameter.numel()
            base_weights += "lora_" not in name
    wanted = trainable_modules(tuning)
    passed = all((counts[module] > 0) == (module in wanted) for module in MODULES)
    passed = passed and (tuning["kind"] != "lora" or base_weights == 0)
    return Check(passed, "trainable parameters: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


def check_moved(before: dict[str, torch.Tensor], model: nn.Module, tuning: dict[str, Any]) -> Check:
    """After the last step: every module to be tuned moved, no other did, nor any frozen parameter in it.

    The change of a module is ||after - before|| / ||before|| over its parameters, adapters included.
    """
    change = dict.fromkeys(MODULES, 0.0)
    norm = dict.fromkeys(MODULES, 0.0)
    stray = 0
    for name, parameter in model.named_parameters():
        module = module_of(name)
        stray += not parameter.requires_grad and not torch.equal(parameter, before[name])
        change[module] += (parameter.detach() - before[name]).double().square().sum().item()
        norm[module] += before[name].double().square().sum().item()
    moved = {module: (change[module] / norm[module]) ** 0.5 if norm[module] else 0.0 for module in MODULES}
    wanted = trainable_modules(tuning)
    passed = not stray and all((moved[module] > 0) == (module in wanted) for module in MODULES)
    detail = "relative change: " + ", ".join(f"{name} {value:.2e}" for name, value in moved.items())
    return Check(passed, f"{detail}; {stray} frozen parameters moved")


def check_steps(done: int, wanted: int) -> Check:
    """The optimiser took as many steps as were declared."""
    return Check(done == wanted, f"{done} of {wanted} optimiser steps")


def check_rewards(rows: list[dict[str, Any]], weights: dict[Any, float], prefill: str) -> Check:
    """The reward paid for every logged rollout is the one declared: parts recomputed from the text, then summed."""
    rollouts = [Rollout(row["text"], prefill, tuple(row["choices"]), row["answer"]) for row in rows]
    wrong = 0
    totals = [0.0] * len(rows)
    for name, weight in weights.items():
        parts = REWARDS[name](rollouts)
        wrong += sum(part != row[f"reward_{name}"] for part, row in zip(parts, rows, strict=True))
        totals = [total + weight * part for total, part in zip(totals, parts, strict=True)]
    # not <=: a NaN is not within anything
    wrong += sum(not abs(total - row["reward"]) <= 1e-6 for total, row in zip(totals, rows, strict=True))
    return Check(wrong == 0 and bool(rows), f"{len(rows)} rollouts recomputed, {wrong} rewards differ")


def train_checked(trainer: Trainer, tuning: dict[str, Any], steps: int) -> dict[str, Check]:
    """Train, with what must hold for any training checked before the first step and after the last."""
    model = trainer.model
    assert model is not None
    checks = {"trainable": check_trainable(model, tuning)}
    before = snapshot(model)
    trainer.train()
    checks["steps"] = check_steps(trainer.state.global_step, steps)
    checks["moved"] = check_moved(before, model, tuning)
    return checks


def conclude(checks: dict[str, Check], folder: Path) -> None:
    """Record the checks.

    Raises:
        CheckFailed: at least one failed.
    """
    write_json(folder / CHECKS_FILE, {name: {"passed": c.passed, "detail": c.detail} for name, c in checks.items()})
    failed = [f"{name} ({check.detail})" for name, check in checks.items() if not check.passed]
    if failed:
        raise CheckFailed("manipulation check failed: " + "; ".join(failed))
