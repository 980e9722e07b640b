"""Manipulation checks: proof that a run's arm was applied. A failed check fails the run and names itself."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harness.record.atomic import write_json
from harness.record.outputs import CHECKS_FILE, RESUME
from harness.scoring.rewards import Rollout, pay
from harness.study.settings import ImageSettings
from harness.study.training import Module, RewardName, RewardTerm
from harness.train.tuning import MODULES, module_of, trainable_modules


class CheckFailed(RuntimeError):
    """A manipulation check failed; the message names it."""


@dataclass(frozen=True)
class Check:
    """Outcome of one check, with what was seen."""

    passed: bool
    detail: str


def whole(parameter: torch.Tensor) -> torch.Tensor:
    """A parameter's values on the CPU, gathered from all processes where it is sharded (all must call this)."""
    full = getattr(parameter, "full_tensor", None)
    values = full() if full is not None else parameter
    return values.detach().to("cpu", copy=True)


def snapshot(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all parameters, to be compared after training."""
    return {name: whole(parameter) for name, parameter in model.named_parameters()}


def trainable_counts(model: nn.Module) -> dict[Module, int]:
    """Number of trainable parameters by part of the model."""
    counts: dict[Module, int] = dict.fromkeys(MODULES, 0)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            counts[module_of(name)] += parameter.numel()
    return counts


def check_trainable(model: nn.Module, tuning: dict[str, Any]) -> Check:
    """Before the first step: exactly the parts to be tuned have trainable parameters; under LoRA only adapters."""
    counts = trainable_counts(model)
    base_weights = sum(p.requires_grad and "lora_" not in name for name, p in model.named_parameters())
    wanted = trainable_modules(tuning)
    passed = all((counts[module] > 0) == (module in wanted) for module in MODULES)
    passed = passed and (tuning["kind"] != "lora" or base_weights == 0)
    return Check(passed, "trainable parameters: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))


def relative_change(before: Mapping[str, torch.Tensor], model: nn.Module) -> tuple[dict[Module, float], int]:
    """||after - before|| / ||before|| by part of the model, adapters included, and how many frozen parameters moved."""
    change: dict[Module, float] = dict.fromkeys(MODULES, 0.0)
    norm: dict[Module, float] = dict.fromkeys(MODULES, 0.0)
    stray = 0
    for name, parameter in model.named_parameters():
        module, after = module_of(name), whole(parameter)
        stray += not parameter.requires_grad and not torch.equal(after, before[name])
        change[module] += (after - before[name]).double().square().sum().item()
        norm[module] += before[name].double().square().sum().item()
    return {each: (change[each] / norm[each]) ** 0.5 if norm[each] else 0.0 for each in MODULES}, stray


def check_moved(moved: Mapping[Module, float], stray: int, tuning: dict[str, Any]) -> Check:
    """After the last step: every part to be tuned moved, no other did, nor any frozen parameter in it.

    Args:
        moved, stray: from `relative_change`.
    """
    wanted = trainable_modules(tuning)
    # NaN is no movement either
    passed = not stray and all(moved[module] > 0 if module in wanted else moved[module] == 0 for module in MODULES)
    detail = "relative change: " + ", ".join(f"{name} {value:.2e}" for name, value in moved.items())
    return Check(passed, f"{detail}; {stray} frozen parameters moved")


def check_steps(done: int, wanted: int) -> Check:
    """The optimiser took as many steps as were declared."""
    return Check(done == wanted, f"{done} of {wanted} optimiser steps")


def check_rewards(rows: list[dict[str, Any]], terms: Mapping[RewardName, RewardTerm], prefill: str) -> Check:
    """The reward paid for every logged rollout is the one declared: parts recomputed from the text, then summed."""
    rollouts = [
        Rollout(row["text"], prefill, tuple(row["choices"]), row["answer"], row["length"], row["key"]) for row in rows
    ]
    wrong = 0
    totals = [0.0] * len(rows)
    for name, term in terms.items():
        parts = pay(name, term, rollouts)
        wrong += sum(part != row[f"reward_{name}"] for part, row in zip(parts, rows, strict=True))
        totals = [total + term.weight * part for total, part in zip(totals, parts, strict=True)]
    # not <=: a NaN is not within anything
    wrong += sum(not abs(total - row["reward"]) <= 1e-6 for total, row in zip(totals, rows, strict=True))
    return Check(wrong == 0 and bool(rows), f"{len(rows)} rollouts recomputed, {wrong} rewards differ")


@dataclass
class PixelRange:
    """What was seen of the images that a model was trained on."""

    smallest: int | None = None
    """Pixels of the smallest image, as the model got it."""
    largest: int | None = None
    lowest: float | None = None
    """Lowest normalised pixel value."""
    highest: float | None = None

    def see(self, pixel_values: torch.Tensor, grid: torch.Tensor, patch: int) -> None:
        """Add a batch: normalised values, (images, 3) patches in time, height and width, pixels of a patch's side."""
        pixels = (grid[:, 1] * grid[:, 2] * patch**2).tolist()
        low, high = pixel_values.min().item(), pixel_values.max().item()
        self.smallest = min(pixels) if self.smallest is None else min(self.smallest, *pixels)
        self.largest = max(pixels) if self.largest is None else max(self.largest, *pixels)
        self.lowest = low if self.lowest is None else min(self.lowest, low)
        self.highest = high if self.highest is None else max(self.highest, high)


def check_pixels(seen: PixelRange, limits: ImageSettings) -> Check:
    """Every image was brought within the declared limits, and its values look normalised (not 0-255, not constant)."""
    if seen.smallest is None or seen.largest is None or seen.lowest is None or seen.highest is None:
        return Check(False, "no image was seen")
    above = limits.max_pixels is not None and seen.largest > limits.max_pixels
    below = limits.min_pixels is not None and seen.smallest < limits.min_pixels
    normal = -5.0 < seen.lowest < seen.highest < 5.0
    detail = f"images of {seen.smallest:,} to {seen.largest:,} pixels (declared {_limit(limits.min_pixels)} to "
    detail += f"{_limit(limits.max_pixels)}), values {seen.lowest:.2f} to {seen.highest:.2f}"
    return Check(normal and not above and not below, detail)


def _limit(pixels: int | None) -> str:
    return "the model's own" if pixels is None else f"{pixels:,}"


def conclude(checks: Mapping[str, Check], folder: Path) -> None:
    """Record the checks. If one failed the state to resume from is dropped: whatever is mended, those weights were
    trained by something else.

    Raises:
        CheckFailed: at least one failed.
    """
    write_json(folder / CHECKS_FILE, {name: {"passed": c.passed, "detail": c.detail} for name, c in checks.items()})
    failed = [f"{name} ({check.detail})" for name, check in checks.items() if not check.passed]
    if failed:
        shutil.rmtree(folder / RESUME, ignore_errors=True)
        raise CheckFailed("manipulation check failed: " + "; ".join(failed))
