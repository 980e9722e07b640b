"""Every kind of tuning changes what it says and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.models.checkpoint import checkpoint_path, load_model
from harness.study.training import ComputeSettings, LoraSettings
from harness.train.tuning import MODULES, TRAINABLE, lora_config, module_of, trainable_modules


def moved_modules(folder: Path, start: Path) -> set[str]:
    """Parts of the model in which any weight of the saved checkpoint differs from the start model's."""
    before, after = load_model(checkpoint_path(start)).state_dict(), load_model(checkpoint_path(folder)).state_dict()
    return {module_of(name) for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", TRAINABLE)
@pytest.mark.parametrize("training", ["sft", "grpo"])
def test_only_what_is_tuned_moves(training: str, kind: str, checkpointing: bool, train: Callable, base: Path) -> None:
    run = train(training, tuning={"kind": kind}, compute=ComputeSettings(gradient_checkpointing=checkpointing))
    assert moved_modules(run.folder, base) == TRAINABLE[kind]
    facts = json.loads((run.folder / "facts.json").read_text())
    assert {name for name, count in facts["trainable_parameters"].items() if count} == TRAINABLE[kind]
    assert {name for name, change in facts["relative_change"].items() if change} == TRAINABLE[kind]


@pytest.mark.parametrize("modules", [["language"], ["vision"], ["merger"], ["language", "vision", "merger"]])
@pytest.mark.parametrize("layers", [["attention", "mlp"], ["mlp"]])
def test_adapters_sit_where_they_are_asked_for(modules: list[str], layers: list[str], train: Callable) -> None:
    settings = LoraSettings(rank=2, modules=modules, layers=layers)  # pyright: ignore[reportArgumentType]
    run = train("sft", tuning={"kind": "lora", **settings.identity()})
    names = set(run.weights())
    assert {module_of(name) for name in names} == set(modules)
    assert any("attn" in name for name in names) == ("attention" in layers and modules != ["merger"])
    assert any("mlp" in name for name in names)


def test_parts_are_told_apart_by_names_in_memory() -> None:
    parts = {
        "model.visual.patch_embed.proj.weight": "vision",
        "model.visual.blocks.0.attn.qkv.weight": "vision",
        "model.visual.merger.mlp.0.weight": "merger",
        "model.visual.deepstack_merger_list.1.linear_fc1.weight": "merger",
        "model.language_model.embed_tokens.weight": "language",
        "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.default.weight": "language",
        "lm_head.weight": "language",
    }
    assert {name: module_of(name) for name in parts} == parts


def test_no_adapters_without_lora() -> None:
    for kind in TRAINABLE:
        assert lora_config({"kind": kind}) is None
        assert trainable_modules({"kind": kind}) <= set(MODULES)
