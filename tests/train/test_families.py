"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL are trained, frozen, adapted and resumed through the same code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from harness.data.small import write_small_sat
from harness.models import tiny
from harness.models.checkpoint import checkpoint_path, load_model
from harness.record.context import StageContext, StopRequested
from harness.record.outputs import TRAIN_FILE
from harness.study.sources import Family
from harness.study.training import GRPOSettings, LoraSettings, SFTSettings
from harness.train import grpo, sft
from harness.train.tuning import TRAINABLE, module_of

STEPS = 3
SETTINGS: dict[str, dict[str, Any]] = {
    "grpo": {
        "steps": STEPS,
        "prompts_per_step": 2,
        "completions_per_prompt": 2,
        "max_new_tokens": 6,
        "prompt": "paper-base-think",
        "beta": 0.04,
        "rewards": {"accuracy_authors": 1.0, "random": {"probability": None}},
    },
    "sft": {"steps": STEPS, "batch_size": 2, "lessons": [{"prompt": "paper-instruct-plain", "reply": "{answer}"}]},
}
COMMON = {"warmup_steps": 0, "learning_rate": 1e-2, "images": {"max_pixels": 6272}}
families = pytest.mark.parametrize("family", get_args(Family))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Path]]:
    data = tmp_path_factory.mktemp("data")
    write_small_sat(data / TRAIN_FILE, 8, seed=2)
    made: dict[str, Path] = {}

    def inputs(family: str) -> dict[str, Path]:
        if family not in made:
            made[family] = tmp_path_factory.mktemp(family)
            tiny.run(StageContext(made[family], {"family": family, "seed": 0}))
        return {"model": made[family], "data": data}

    return inputs


def context(kind: str, tuning: dict[str, Any], folder: Path, inputs: dict[str, Path], **changes: Any) -> StageContext:
    recipe = GRPOSettings if kind == "grpo" else SFTSettings
    settings = recipe.model_validate(SETTINGS[kind] | COMMON | changes).identity()
    cosmetic = {"checkpoints": [STEPS], "resume_every": 100}
    return StageContext(folder, settings | {"seed": 0, "tuning": tuning}, cosmetic, inputs, report_every=0.0)


@families
@pytest.mark.parametrize("kind", TRAINABLE)
def test_what_is_tuned_moves_and_the_rest_stays(family: str, kind: str, inputs: Callable, tmp_path: Path) -> None:
    grpo.run(context("grpo", {"kind": kind}, tmp_path, inputs(family)))
    before = load_model(checkpoint_path(inputs(family)["model"])).state_dict()
    after = load_model(checkpoint_path(tmp_path)).state_dict()
    moved = {module_of(name) for name in before if not torch.equal(before[name], after[name])}
    assert moved == TRAINABLE[kind]


@families
def test_adapters_everywhere(family: str, inputs: Callable, tmp_path: Path) -> None:
    lora = LoraSettings(rank=2, modules=["language", "vision", "merger"])
    sft.run(context("sft", {"kind": "lora", **lora.identity()}, tmp_path, inputs(family)))
    parent = checkpoint_path(inputs(family)["model"])
    start = load_model(parent).state_dict()
    merged = load_model(checkpoint_path(tmp_path), parent=parent).state_dict()
    moved = {name for name in start if not torch.equal(start[name], merged[name])}
    assert {module_of(name) for name in moved} == {"language", "vision", "merger"}
    assert all(start[name].dim() == 2 for name in moved)


@families
@pytest.mark.parametrize("kind", ["grpo", "sft"])
def test_a_stopped_training_goes_on_exactly(family: str, kind: str, inputs: Callable, tmp_path: Path) -> None:
    run = {"grpo": grpo, "sft": sft}[kind].run
    run(context(kind, {"kind": "full"}, tmp_path / "whole", inputs(family)))
    stopped = context(kind, {"kind": "full"}, tmp_path / "cut", inputs(family))
    stopped.stop_requested = True
    with pytest.raises(StopRequested):
        run(stopped)
    run(context(kind, {"kind": "full"}, tmp_path / "cut", inputs(family)))
    whole, cut = (load_model(checkpoint_path(tmp_path / name)).state_dict() for name in ("whole", "cut"))
    assert all(torch.equal(tensor, cut[name]) for name, tensor in whole.items())
    assert (tmp_path / "whole" / "rollouts").exists() == (kind == "grpo")
