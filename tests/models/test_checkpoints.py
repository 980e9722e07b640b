import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from harness.models.checkpoint import checkpoint_path, is_adapter, load_model
from harness.record.outputs import MODEL_FILE, checkpoint_folder


def test_a_checkpoint_is_found_by_its_step_and_the_last_by_none(tmp_path: Path) -> None:
    for step in (100, 9, 1200, 2_000_000):
        checkpoint_folder(tmp_path, step).mkdir(parents=True)
    assert checkpoint_path(tmp_path) == checkpoint_folder(tmp_path, 2_000_000)
    assert checkpoint_path(tmp_path, 9) == checkpoint_folder(tmp_path, 9)
    assert checkpoint_folder(tmp_path, 9).name == "step-000009"


def test_a_checkpoint_that_is_not_there_is_an_error_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no step-NNNNNN folder"):
        checkpoint_path(tmp_path)
    for step in (9, 100):
        checkpoint_folder(tmp_path, step).mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="kept no checkpoint of step 7; it has 9, 100"):
        checkpoint_path(tmp_path, 7)


def test_a_published_model_is_where_its_stage_says(tmp_path: Path) -> None:
    model = tmp_path / "elsewhere"
    model.mkdir()
    (tmp_path / MODEL_FILE).write_text(json.dumps({"path": str(model)}))
    assert checkpoint_path(tmp_path) == checkpoint_path(tmp_path, 0) == model
    with pytest.raises(FileNotFoundError, match="has step 0 alone, not 5"):
        checkpoint_path(tmp_path, 5)
    model.rmdir()
    with pytest.raises(FileNotFoundError, match=r"elsewhere, which is gone"):
        checkpoint_path(tmp_path)


def test_an_adapter_needs_its_parent(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    assert is_adapter(tmp_path)
    with pytest.raises(ValueError, match="holds an adapter: its parent checkpoint is needed"):
        load_model(tmp_path)


def test_an_adapter_with_a_gap_is_refused(tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    parent = tiny_folders["qwen2_vl"]
    adapted = get_peft_model(load_model(parent), LoraConfig(r=2, target_modules=r".*self_attn\.q_proj"))
    adapted.save_pretrained(str(tmp_path))
    assert torch.isfinite(next(load_model(tmp_path, parent=parent).parameters())).all()
    weights = load_file(tmp_path / "adapter_model.safetensors")
    weights.pop(sorted(weights)[0])
    save_file(weights, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ValueError, match="doesn't fit its configuration: Found missing adapter keys"):
        load_model(tmp_path, parent=parent)


@pytest.mark.parametrize(("change", "what"), [("drop", "missing_keys"), ("add", "unexpected_keys")])
def test_weights_that_do_not_fit_are_refused(
    change: str, what: str, tiny_folders: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(tiny_folders["qwen2_vl"], tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    weights = load_file(file)
    name = next(name for name in weights if "q_proj.weight" in name)
    weights[name + ".more"] = weights[name].clone()
    if change == "drop":
        del weights[name], weights[name + ".more"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=rf"don't fit its configuration: {what}: .*q_proj"):
        load_model(tmp_path / "model")


def test_a_text_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}))
    with pytest.raises(
        ValueError, match="type 'qwen2', which takes no images or is not supported; supported: qwen2_vl"
    ):
        load_model(tmp_path)
