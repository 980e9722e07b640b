"""An arm that was not applied fails its run, and says by which check."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import get_peft_model
from trl.trainer.grpo_trainer import GRPOTrainer

from harness.models.checkpoint import checkpoint_path, load_model
from harness.record.context import StageContext
from harness.scoring.rewards import pay
from harness.study.settings import ImageSettings
from harness.study.training import GRPOSettings, RewardTerm, SFTSettings
from harness.train import common, grpo, rollouts, sft
from harness.train.checks import (
    Check,
    CheckFailed,
    PixelRange,
    check_moved,
    check_pixels,
    check_rewards,
    check_steps,
    check_trainable,
    conclude,
    relative_change,
    snapshot,
)
from harness.train.resume import resume_point
from harness.train.tuning import lora_config

FULL, LORA = {"kind": "full"}, {"kind": "lora", "modules": ["language"]}
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
    def freeze(model, tuning):
        for name, parameter in model.named_parameters():
            if module in name or (module == "visual.blocks" and "patch_embed" in name):
                parameter.requires_grad_(False)

    monkeypatch.setattr(common, "freeze", freeze)
    with pytest.raises(CheckFailed, match=r"manipulation check failed: trainable \(.* 0.*\); moved \("):
        stages(sft.run, SFT)
    assert verdicts(tmp_path) == {"trainable": False, "steps": True, "moved": False, "pixels": True}


@pytest.mark.parametrize("kind", ["vision-frozen", "tower-frozen", "language-frozen", "merger-only"])
def test_the_released_codes_freeze_is_caught(
    kind: str, stages: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sets the method requires_grad_ of a module to False, which freezes nothing."""

    def freeze(model, tuning):
        model.model.visual.requires_grad_ = False
        model.model.language_model.requires_grad_ = False

    monkeypatch.setattr(common, "freeze", freeze)
    with pytest.raises(CheckFailed, match=r"manipulation check failed: trainable \(.*\); moved \("):
        stages(grpo.run, GRPO | {"tuning": {"kind": kind}})
    assert not verdicts(tmp_path)["moved"]


def test_what_failed_a_check_is_not_gone_on_from(
    base: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the fault mended the training starts from the start model, not from weights that the fault has trained."""
    settings = SFT | {"steps": 3, "tuning": {"kind": "tower-frozen"}}
    cosmetic = {"checkpoints": [3], "resume_every": 1}
    inputs = {"model": base, "data": world}
    whole, mended = tmp_path / "whole", tmp_path / "mended"
    sft.run(StageContext(whole, settings, cosmetic, inputs))
    with monkeypatch.context() as faulty:
        faulty.setattr(common, "freeze", lambda model, tuning: None)
        with pytest.raises(CheckFailed, match="moved"):
            sft.run(StageContext(mended, settings, cosmetic, inputs))
    assert resume_point(mended) is None
    sft.run(StageContext(mended, settings, cosmetic, inputs))
    weights, others = (load_model(checkpoint_path(folder)).state_dict() for folder in (whole, mended))
    assert all(torch.equal(tensor, others[name]) for name, tensor in weights.items())


def test_a_reward_that_was_not_declared_fails_the_run(
    stages: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(name, term, rollouts):
        paid = pay(name, term, rollouts)
        return [i % 2 / 2 for i in range(len(paid))] if name == "accuracy" else paid

    monkeypatch.setattr(rollouts, "pay", half)
    with pytest.raises(CheckFailed, match=r"rewards \(8 rollouts recomputed, \d+ rewards differ\)"):
        stages(grpo.run, GRPO)
    assert not verdicts(tmp_path)["rewards"]


def test_images_that_were_not_brought_to_size_fail_the_run(
    stages: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_processor = common.load_processor
    monkeypatch.setattr(common, "load_processor", lambda checkpoint, images: load_processor(checkpoint))
    with pytest.raises(CheckFailed, match=r"pixels \(images of 7,056 to 7,056 pixels \(declared .* to 3,136\)"):
        stages(sft.run, SFT | {"images": {"min_pixels": 784, "max_pixels": 3136}})
    assert verdicts(tmp_path) == {"trainable": True, "steps": True, "moved": True, "pixels": False}


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
    assert not any(verdicts(tmp_path)[name] for name in ("steps", "moved", "pixels", "rewards"))


def test_no_training_fails_the_run(stages: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GRPOTrainer, "train", lambda self, **_: None)
    with pytest.raises(CheckFailed, match=r"steps .*; moved .*; pixels .*; rewards "):
        stages(grpo.run, GRPO)


@pytest.fixture
def model(random_base: Path) -> torch.nn.Module:
    return load_model(checkpoint_path(random_base))


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
    assert check_moved(*relative_change(before, model), tuning).passed is passes


def test_the_change_of_a_module_is_relative(model: torch.nn.Module) -> None:
    before = snapshot(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1.5
    detail = check_moved(*relative_change(before, model), FULL).detail
    assert detail == "relative change: vision 5.00e-01, merger 5.00e-01, language 5.00e-01; 0 frozen parameters moved"


def test_a_nan_does_not_count_as_moved(model: torch.nn.Module) -> None:
    before = snapshot(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    assert not check_moved(*relative_change(before, model), FULL).passed


def test_what_is_trainable(model: torch.nn.Module) -> None:
    assert check_trainable(model, FULL).passed
    assert not check_trainable(model, LORA).passed
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("language_model" in name)
    assert not check_trainable(model, FULL).passed


def test_under_lora_only_adapters_are_trainable(model: torch.nn.Module) -> None:
    adapted = get_peft_model(model, lora_config(LORA | {"rank": 2, "alpha": 2.0}))
    assert check_trainable(adapted, LORA).passed
    for name, parameter in adapted.named_parameters():
        if "language_model" in name and "lora_" not in name:
            parameter.requires_grad_(True)
    assert not check_trainable(adapted, LORA).passed


def test_steps_are_counted() -> None:
    assert check_steps(3, 3).passed
    for done in (0, 2, 4):
        assert not check_steps(done, 3).passed


ROW = {
    "text": "red </think> <answer> red </answer>",
    "choices": ["red", "blue"],
    "answer": "red",
    "length": 6,
    "key": "0/1/2/3",
}
TERMS = {"accuracy": RewardTerm(), "format": RewardTerm(weight=0.5)}
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
    check = check_rewards([ROW | row], TERMS, "<think>")
    assert check == Check(wrong == 0, f"1 rollouts recomputed, {wrong} rewards differ")


def test_no_rollouts_are_no_proof() -> None:
    assert not check_rewards([], TERMS, "").passed


def test_all_failed_checks_are_named_and_recorded(tmp_path: Path) -> None:
    checks = {"steps": Check(False, "1 of 2"), "moved": Check(True, "fine"), "rewards": Check(False, "3 differ")}
    with pytest.raises(CheckFailed, match=r"^manipulation check failed: steps \(1 of 2\); rewards \(3 differ\)$"):
        conclude(checks, tmp_path)
    assert verdicts(tmp_path) == {"steps": False, "moved": True, "rewards": False}
    conclude({"steps": Check(True, "")}, tmp_path)
    assert verdicts(tmp_path) == {"steps": True}


@pytest.mark.parametrize(
    ("seen", "limits", "passes"),
    [
        (PixelRange(784, 3136, -1.8, 2.2), {}, True),
        (PixelRange(784, 3136, -1.8, 2.2), {"min_pixels": 784, "max_pixels": 3136}, True),
        (PixelRange(784, 3136, -1.8, 2.2), {"max_pixels": 3135}, False),
        (PixelRange(784, 3136, -1.8, 2.2), {"min_pixels": 785}, False),
        (PixelRange(784, 3136, 0.0, 255.0), {}, False),
        (PixelRange(784, 3136, 1.0, 1.0), {}, False),
        (PixelRange(784, 3136, float("nan"), float("nan")), {}, False),
        (PixelRange(), {}, False),
    ],
)
def test_pixels(seen: PixelRange, limits: dict, passes: bool) -> None:
    assert check_pixels(seen, ImageSettings(**limits)).passed is passes


def test_a_pixel_range_grows_with_what_is_seen() -> None:
    seen = PixelRange()
    seen.see(torch.tensor([[0.0, 1.0]]), torch.tensor([[1, 4, 6]]), 14)
    seen.see(torch.tensor([[-1.0, 0.5]]), torch.tensor([[1, 2, 2], [1, 2, 4]]), 14)
    assert seen == PixelRange(smallest=4 * 196, largest=24 * 196, lowest=-1.0, highest=1.0)
