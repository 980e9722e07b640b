"""An arm that was not applied fails its run, and says by which check."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import get_peft_model
from trl.trainer.grpo_trainer import GRPOTrainer

from harness.models.checkpoint import last_checkpoint, load_model
from harness.record.context import StageContext
from harness.scoring.rewards import REWARDS
from harness.study.settings import GRPOSettings, SFTSettings
from harness.train import grpo, sft
from harness.train.checks import (
    Check,
    CheckFailed,
    check_moved,
    check_rewards,
    check_steps,
    check_trainable,
    conclude,
    snapshot,
)
from harness.train.common import lora_config

FULL, LORA = {"kind": "full"}, {"kind": "lora"}
SFT = SFTSettings(steps=1, batch_size=2, warmup_steps=0).identity() | {"seed": 0, "tuning": FULL}
GRPO = GRPOSettings(steps=1, prompts_per_step=2, completions_per_prompt=4, warmup_steps=0).identity() | {
    "seed": 0,
    "tuning": FULL,
}


def verdicts(folder: Path) -> dict[str, bool]:
    return {name: check["passed"] for name, check in json.loads((folder / "checks.json").read_text()).items()}


@pytest.fixture
def stages(base: Path, world: Path, tmp_path: Path):
    def run(function: Callable, settings: dict) -> Path:
        function(StageContext(tmp_path, settings, {"checkpoints": [1]}, {"model": base, "data": world}))
        return tmp_path

    return run


@pytest.mark.parametrize("module", ["visual.blocks", "visual.merger", "language_model"])
def test_a_module_frozen_by_mistake_fails_the_run(
    module: str, stages: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_start = sft.load_start

    def frozen(context):
        start, model = load_start(context)
        for name, parameter in model.named_parameters():
            if module in name or (module == "visual.blocks" and "patch_embed" in name):
                parameter.requires_grad_(False)
        return start, model

    monkeypatch.setattr(sft, "load_start", frozen)
    with pytest.raises(CheckFailed, match=r"manipulation check failed: trainable \(.* 0.*\); moved \("):
        stages(sft.run, SFT)
    assert verdicts(tmp_path) == {"trainable": False, "steps": True, "moved": False}


def test_a_reward_that_was_not_declared_fails_the_run(
    stages: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = {"accuracy": lambda rollouts: [i % 2 / 2 for i in range(len(rollouts))]}
    monkeypatch.setattr(grpo, "REWARDS", REWARDS | half)
    with pytest.raises(CheckFailed, match=r"rewards \(8 rollouts recomputed, \d+ rewards differ\)"):
        stages(grpo.run, GRPO)
    assert not verdicts(tmp_path)["rewards"]


def test_no_reward_at_all_moves_nothing_and_fails_the_run(
    random_base: Path, world: Path, run_stage: Callable[..., Path], tmp_path: Path
) -> None:
    """An untrained model earns nothing, so all advantages are zero."""
    with pytest.raises(CheckFailed, match=r"moved \(relative change: vision 0.00e\+00"):
        run_stage(grpo.run, GRPO, [1], model=random_base, data=world)


def test_zero_steps_fail_the_run(stages: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """trl trains no step, without an error, on fewer rows than a generation batch."""
    monkeypatch.setattr(grpo, "row_order", lambda rows, wanted, seed: [0])
    with pytest.raises(CheckFailed, match=r"steps \(0 of 1 optimiser steps\)"):
        stages(grpo.run, GRPO)
    assert verdicts(tmp_path) == {"trainable": True, "steps": False, "moved": False, "rewards": False}


def test_no_training_fails_the_run(stages: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GRPOTrainer, "train", lambda self: None)
    with pytest.raises(CheckFailed, match=r"steps .*; moved .*; rewards "):
        stages(grpo.run, GRPO)


@pytest.fixture
def model(random_base: Path) -> torch.nn.Module:
    return load_model(last_checkpoint(random_base))


def _move(model: torch.nn.Module, *modules: str) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(module in name for module in modules):
                parameter += 1e-3


ALL = ("visual.patch_embed", "visual.merger", "layers.0")


@pytest.mark.parametrize(
    ("moved", "tuning", "passes"),
    [
        (ALL, FULL, True),
        ((), FULL, False),
        (ALL[1:], FULL, False),
        ((ALL[0], ALL[2]), FULL, False),
        (ALL[:2], FULL, False),
        (("layers.0",), LORA, True),
        ((), LORA, False),
        (("layers.0", "visual.blocks.1"), LORA, False),
        (("layers.0", "visual.merger"), LORA, False),
    ],
)
def test_what_moved(moved: tuple[str, ...], tuning: dict[str, str], passes: bool, model: torch.nn.Module) -> None:
    before = snapshot(model)
    _move(model, *moved)
    assert check_moved(before, model, tuning).passed is passes


def test_the_change_of_a_module_is_relative(model: torch.nn.Module) -> None:
    before = snapshot(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1.5
    detail = check_moved(before, model, FULL).detail
    assert detail == "relative change: vision 5.00e-01, merger 5.00e-01, language 5.00e-01; 0 frozen parameters moved"


def test_a_nan_does_not_count_as_moved(model: torch.nn.Module) -> None:
    before = snapshot(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    assert not check_moved(before, model, FULL).passed


def test_what_is_trainable(model: torch.nn.Module) -> None:
    assert check_trainable(model, FULL).passed
    assert not check_trainable(model, LORA).passed
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("language_model" in name)
    assert not check_trainable(model, FULL).passed


def test_under_lora_only_adapters_are_trainable(model: torch.nn.Module) -> None:
    adapted = get_peft_model(model, lora_config(LORA | {"rank": 2, "alpha": 2.0, "dropout": 0.0}))
    assert check_trainable(adapted, LORA).passed
    for name, parameter in adapted.named_parameters():
        if "language_model" in name and "lora_" not in name:
            parameter.requires_grad_(True)
    assert not check_trainable(adapted, LORA).passed


def test_steps_are_counted() -> None:
    assert check_steps(3, 3).passed
    for done in (0, 2, 4):
        assert not check_steps(done, 3).passed


ROW = {"text": "red </think> <answer> red </answer>", "choices": ["red", "blue"], "answer": "red"}
PAID = {"reward_accuracy": 1.0, "reward_format": 1.0, "reward": 1.5}


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (PAID, 0),
        (PAID | {"reward_accuracy": 0.0}, 1),
        (PAID | {"reward": 2.0}, 1),
        (PAID | {"answer": "blue"}, 2),
        (PAID | {"text": "red"}, 2),
        (PAID | {"reward": float("nan")}, 1),
    ],
)
def test_rewards_are_recomputed(row: dict, wrong: int) -> None:
    check = check_rewards([ROW | row], {"accuracy": 1.0, "format": 0.5}, "<think>")
    assert check == Check(wrong == 0, f"1 rollouts recomputed, {wrong} rewards differ")


def test_no_rollouts_are_no_proof() -> None:
    assert not check_rewards([], {"accuracy": 1.0}, "").passed


def test_all_failed_checks_are_named_and_recorded(tmp_path: Path) -> None:
    checks = {"steps": Check(False, "1 of 2"), "moved": Check(True, "fine"), "rewards": Check(False, "3 differ")}
    with pytest.raises(CheckFailed, match=r"^manipulation check failed: steps \(1 of 2\); rewards \(3 differ\)$"):
        conclude(checks, tmp_path)
    assert verdicts(tmp_path) == {"steps": False, "moved": True, "rewards": False}
    conclude({"steps": Check(True, "")}, tmp_path)
    assert verdicts(tmp_path) == {"steps": True}
