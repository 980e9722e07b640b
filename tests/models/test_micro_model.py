import hashlib
import json
import re
from pathlib import Path

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import AutoModelForImageTextToText, AutoTokenizer, Qwen2VLForConditionalGeneration

from harness.data.files import read_cvbench
from harness.models.checkpoint import checkpoint_path, load_model
from harness.models.micro import build_model, build_processor, build_tokenizer
from harness.models.processor import load_processor
from harness.models.prompts import PROMPT_STYLES
from harness.models.runtime import prepare_process
from harness.study.sources import PretrainSettings
from harness.study.stage import Stage
from harness.study.training import LoraSettings
from harness.train.tuning import lora_config, module_of

LORA = {"kind": "lora", **LoraSettings(rank=4, alpha=8.0).identity()}


def test_the_model_has_about_0_85_million_parameters() -> None:
    model = build_model(PretrainSettings(), build_tokenizer())
    assert 800_000 < sum(parameter.numel() for parameter in model.parameters()) < 900_000
    assert isinstance(model, Qwen2VLForConditionalGeneration)


def test_the_start_is_a_function_of_the_seed() -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.rand(seed + 3)  # the global state has no say
        return build_model(PretrainSettings(seed=seed), build_tokenizer()).state_dict()

    first, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_every_parameter_belongs_to_a_module() -> None:
    model = build_model(PretrainSettings(), build_tokenizer())
    for name, _ in model.named_parameters():
        expected = "merger" if ".merger." in name else "vision" if ".visual." in name else "language"
        assert module_of(name) == module_of(f"base_model.model.{name}") == expected
    assert {module_of(name) for name, _ in model.named_parameters()} == {"vision", "merger", "language"}


def test_lora_reaches_every_linear_layer_of_the_language_model_and_no_other() -> None:
    model = build_model(PretrainSettings(), build_tokenizer())
    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    config = lora_config(LORA)
    assert config is not None
    assert isinstance(config.target_modules, str)
    reached = {name for name in linear if re.fullmatch(config.target_modules, name)}
    assert reached == {name for name in linear if "language_model" in name}
    assert len(reached) == 7 * PretrainSettings().layers
    adapted = get_peft_model(model, config)
    trained = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert len(trained) == 2 * len(reached)
    assert all("lora_" in name and module_of(name) == "language" for name in trained)


def test_a_merged_adapter_writes_what_the_adapter_writes(random_base: Path, world: Path, tmp_path: Path) -> None:
    parent = checkpoint_path(random_base)
    config = lora_config(LORA)
    adapted = get_peft_model(Qwen2VLForConditionalGeneration.from_pretrained(parent, dtype=torch.float32), config)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.1)
    adapted.save_pretrained(tmp_path)
    questions = read_cvbench(world / "test.parquet", 5)
    style = PROMPT_STYLES["micro-base-think"]
    inputs = load_processor(parent).encode([q.image() for q in questions], [style.render(q) for q in questions])
    merged = load_model(tmp_path, parent=parent)
    assert not isinstance(merged, PeftModel)
    with torch.inference_mode():
        expected = adapted.eval()(**inputs).logits
        torch.testing.assert_close(merged.eval()(**inputs).logits, expected, rtol=1e-3, atol=1e-3)
        plain = load_model(parent).eval()(**inputs).logits
    assert (plain - expected).abs().max() > 0.1
    assert next(load_model(tmp_path, dtype=torch.bfloat16, parent=parent).parameters()).dtype == torch.bfloat16


def test_a_checkpoint_is_an_ordinary_folder(random_base: Path) -> None:
    checkpoint = checkpoint_path(random_base)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in checkpoint.iterdir()}
    assert not list(checkpoint.glob("*.bin"))
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32)
    ours = load_model(checkpoint).state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in model.state_dict().items())
    built = build_model(PretrainSettings(), build_tokenizer()).state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in built.items())
    assert AutoTokenizer.from_pretrained(checkpoint).get_vocab() == build_tokenizer().get_vocab()


def test_the_shipped_base_is_the_default_recipes(base: Path) -> None:
    """Its id is that of the stage with the default settings, its processor the one of this code, its size bearable."""
    record = json.loads((base / "stage.json").read_text())
    assert record["id"] == Stage("pretrain", PretrainSettings().identity()).id
    assert checkpoint_path(base).name == f"step-{PretrainSettings().steps:06d}"
    done = json.loads((base / "done.json").read_text())
    for name, entry in done["files"].items():
        assert hashlib.sha256((base / name).read_bytes()).hexdigest() == entry["sha256"]
    assert load_processor(checkpoint_path(base)).tokenizer.get_vocab() == build_processor().tokenizer.get_vocab()
    assert sum(path.stat().st_size for path in base.rglob("*") if path.is_file()) < 4 * 2**20
    start = build_model(PretrainSettings(), build_tokenizer()).state_dict()
    trained = load_model(checkpoint_path(base)).state_dict()
    assert {name: tensor.shape for name, tensor in start.items()} == {n: t.shape for n, t in trained.items()}
    assert all(tensor.isfinite().all() for tensor in trained.values())


def test_float32_is_not_rounded_to_tf32_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # torch's default
    prepare_process()
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
