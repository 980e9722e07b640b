import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.models import source
from harness.models.checkpoint import FAMILIES, checkpoint_path, load_model
from harness.record.context import StageContext
from harness.record.outputs import MODEL_FILE
from harness.study.content import folder_digest
from harness.study.sources import HubSettings
from harness.train.tuning import module_of

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def model(tiny_folders: dict[str, Path], tmp_path: Path) -> Path:
    """A model's folder to spoil."""
    return Path(shutil.copytree(tiny_folders["qwen2_vl"], tmp_path / "model"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def _run(folder: Path, stage: Path) -> dict[str, Any]:
    settings = {"content": folder_digest(folder)}
    stage.mkdir()
    source.run(StageContext(stage, settings, {"path": str(folder)}))
    return json.loads((stage / MODEL_FILE).read_text())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_is_taken_with_what_it_holds(family: str, tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tiny_folders[family]
    seen = _run(folder, tmp_path / "stage")
    model = load_model(folder)
    assert seen["path"] == str(folder)
    assert seen["content"] == folder_digest(folder)
    assert seen["model_type"] == family
    assert seen["architecture"] == type(model).__name__
    counted = dict.fromkeys(("language", "merger", "vision"), 0)
    for name, parameter in model.named_parameters():
        counted[module_of(name)] += parameter.numel()
    assert seen["parameters"] == counted
    patch = 16 if family == "qwen3_vl" else 14
    assert seen["images"] == {
        "class": "Qwen2VLImageProcessorPil",
        "min_pixels": 3136,
        "max_pixels": 12544,
        "patch_size": patch,
        "merge_size": 2,
    }
    assert seen["files"]["model.safetensors"] == (folder / "model.safetensors").stat().st_size
    assert set(seen["files"]) == {file.name for file in folder.iterdir()}
    assert checkpoint_path(tmp_path / "stage") == folder


def _lay_out(cache: Path, model: Path, sha: str = SHA) -> Path:
    """A model in a cache as the hub's client lays it out: blobs, and links to them by commit."""
    repository = cache / "models--Qwen--Qwen2-VL-2B"
    snapshot = repository / "snapshots" / sha
    (repository / "blobs").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(sha)
    snapshot.mkdir(parents=True)
    for file in model.iterdir():
        shutil.copy(file, repository / "blobs" / f"blob-{file.name}")
        (snapshot / file.name).symlink_to(Path("../../blobs") / f"blob-{file.name}")
    return snapshot


def _from_hub(stage: Path, revision: str = SHA) -> dict[str, Any]:
    stage.mkdir()
    source.run(StageContext(stage, {"hub": {"id": "Qwen/Qwen2-VL-2B", "revision": revision}}))
    return json.loads((stage / MODEL_FILE).read_text())


def test_a_model_of_the_hub_is_taken_from_the_cache(cache: Path, model: Path, tmp_path: Path) -> None:
    snapshot = _lay_out(cache, model)
    seen = _from_hub(tmp_path / "stage")
    assert (seen["path"], seen["id"], seen["revision"]) == (str(snapshot), "Qwen/Qwen2-VL-2B", SHA)
    assert seen["files"]["model.safetensors"] == (model / "model.safetensors").stat().st_size
    weights = load_model(checkpoint_path(tmp_path / "stage")).state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in load_model(model).state_dict().items())


def test_a_model_that_was_not_fetched_is_named_with_the_mend(cache: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"Qwen/Qwen2-VL-2B at {SHA} is not in .* run `ablate fetch STUDY`"):
        _from_hub(tmp_path / "empty")
    _lay_out(cache, model)
    other = "f" * 40
    with pytest.raises(FileNotFoundError, match=rf"Qwen/Qwen2-VL-2B at {other} is not in the hub's cache"):
        _from_hub(tmp_path / "other", other)


@pytest.mark.parametrize("revision", ["main", "v1.0", SHA[:12]])
def test_a_revision_that_is_no_commit_is_refused_even_if_cached(
    revision: str, cache: Path, model: Path, tmp_path: Path
) -> None:
    _lay_out(cache, model)
    with pytest.raises(ValueError, match=rf"revision '{revision}', which is no commit .* run `ablate fetch STUDY`"):
        source.snapshot(HubSettings(id="Qwen/Qwen2-VL-2B", revision=revision))


def test_a_shard_that_is_missing_is_named(model: Path, tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    weights = load_file(model / "model.safetensors")
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, part in shards.items():
        save_file({name: weights[name] for name in part}, model / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, part in shards.items() for name in part}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    parameters, before = source.describe(tiny_folders["qwen2_vl"])["parameters"], load_model(model).state_dict()
    (model / "model.safetensors").unlink()
    assert _run(model, tmp_path / "whole")["parameters"] == parameters
    assert all(torch.equal(tensor, before[name]) for name, tensor in load_model(model).state_dict().items())
    (model / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks weights .* names: model-00002-of-00002\.safetensors; fetch"):
        _run(model, tmp_path / "part")


def _no_weights(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def _text_model(model: Path) -> None:
    (model / "config.json").write_text(json.dumps({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}))


def _foreign_tokenizer(model: Path) -> None:
    text = (model / "tokenizer.json").read_text()
    (model / "tokenizer.json").write_text(text.replace("<|image_pad|>", "<|picture|>"))
    config = (model / "tokenizer_config.json").read_text()
    (model / "tokenizer_config.json").write_text(config.replace("<|image_pad|>", "<|picture|>"))


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda m: (m / "config.json").unlink(), FileNotFoundError, r"holds no config\.json"),
        (
            _text_model,
            ValueError,
            "type 'qwen2', which takes no images or is not supported; supported: qwen2_vl, qwen2_5",
        ),
        (
            _no_weights,
            FileNotFoundError,
            r"holds neither model\.safetensors nor .*\.index\.json .*convert it to safetensors",
        ),
        (
            lambda m: (m / "preprocessor_config.json").unlink(),
            FileNotFoundError,
            r"holds no image processor \(preprocessor_config\.json or processor_config\.json\); copy it",
        ),
        (lambda m: (m / "tokenizer.json").unlink(), FileNotFoundError, r"holds no tokenizer\.json; copy it"),
        (_foreign_tokenizer, ValueError, r"doesn't know <\|image_pad\|>; it belongs to another model"),
    ],
)
def test_a_folder_of_no_use_is_refused_with_what_to_do(
    spoil: Callable[[Path], None], error: type[Exception], message: str, model: Path, tmp_path: Path
) -> None:
    spoil(model)
    with pytest.raises(error, match=message):
        _run(model, tmp_path / "stage")
    assert not (tmp_path / "stage" / MODEL_FILE).exists()


def test_a_folder_that_changed_since_planning_is_refused(model: Path, tmp_path: Path) -> None:
    context = StageContext(tmp_path, {"content": folder_digest(model)}, {"path": str(model)})
    (model / "config.json").write_text((model / "config.json").read_text() + "\n")
    with pytest.raises(ValueError, match="has changed since the study was planned; plan it anew"):
        source.run(context)
    shutil.rmtree(model)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        source.run(context)
