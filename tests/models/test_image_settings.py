"""Processors of published models, from folders laid out as they are on the hub."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.processing_utils import ProcessorMixin

from harness.models.processor import load_processor
from harness.models.tiny import build_tiny_tokenizer
from harness.study.settings import ImageSettings

CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
QWEN2 = {
    **{"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2},
    **CLIP,
    **{"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2VLProcessor"},
}
QWEN3 = {
    **{"size": {"longest_edge": 16777216, "shortest_edge": 65536}, "patch_size": 16, "temporal_patch_size": 2},
    **{"merge_size": 2, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]},
    **{"image_processor_type": "Qwen2VLImageProcessorFast", "processor_class": "Qwen3VLProcessor"},
}


def _folder(path: Path, config: dict[str, object]) -> Path:
    build_tiny_tokenizer().save_pretrained(path)
    (path / "preprocessor_config.json").write_text(json.dumps(config))
    return path


def _grid(path: Path, width: int, height: int, images: ImageSettings | None = None) -> list[int]:
    processor = load_processor(path, images) if images else load_processor(path)
    return processor.encode([Image.new("RGB", (width, height))], ["<|image_pad|>"])["image_grid_thw"].tolist()[0]


def test_published_limits_are_kept_unless_the_study_sets_others(tmp_path: Path) -> None:
    folder = _folder(tmp_path, QWEN2)
    size = load_processor(folder).image_processor.size
    assert (size["shortest_edge"], size["longest_edge"]) == (3136, 12_845_056)
    assert _grid(folder, 1400, 1050) == [1, 76, 100]
    rows, columns = _grid(folder, 1400, 1050, ImageSettings(max_pixels=401_408))[1:]
    assert 0.9 * 401_408 < rows * columns * 14**2 <= 401_408
    assert _grid(folder, 28, 28) == [1, 4, 4]
    assert _grid(folder, 28, 28, ImageSettings(min_pixels=50_176)) == [1, 16, 16]
    size = load_processor(folder, ImageSettings(min_pixels=50_176)).image_processor.size
    assert size["longest_edge"] == 12_845_056  # the other limit stays


def test_patches_of_sixteen_pixels_and_a_fast_processor_load_the_same_way(tmp_path: Path) -> None:
    folder = _folder(tmp_path, QWEN3)
    assert _grid(folder, 320, 320) == [1, 20, 20]
    pixels = load_processor(folder).encode([Image.new("RGB", (320, 320), "white")], ["<|image_pad|>"])["pixel_values"]
    assert pixels.shape == (400, 3 * 2 * 16**2)
    torch.testing.assert_close(pixels, torch.ones_like(pixels))


def test_pixels_are_normalised_as_published(tmp_path: Path) -> None:
    processor = load_processor(_folder(tmp_path, QWEN2))
    pixels = processor.encode([Image.new("RGB", (56, 56), (255, 0, 128))], ["<|image_pad|>"])["pixel_values"][0]
    expected = (np.array([255, 0, 128]) / 255 - CLIP["image_mean"]) / CLIP["image_std"]
    np.testing.assert_allclose(pixels.reshape(3, -1), np.repeat(expected[:, None], 2 * 14 * 14, 1), atol=1e-5)


def test_a_folder_saved_with_one_processor_file_loads_too(tmp_path: Path) -> None:
    """As transformers 5 saves its own processors."""
    ProcessorMixin.save_pretrained(load_processor(_folder(tmp_path / "old", QWEN3)), tmp_path / "new")
    assert not (tmp_path / "new" / "preprocessor_config.json").exists()
    assert (
        load_processor(tmp_path / "new").image_processor.to_dict()
        == load_processor(tmp_path / "old").image_processor.to_dict()
    )


def test_limits_that_exclude_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"images\.min_pixels \(3136\) is more than images\.max_pixels \(1000\)"):
        load_processor(_folder(tmp_path, QWEN2), ImageSettings(max_pixels=1_000))


def test_torchvision_is_asked_for_only_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"images\.backend is torchvision, which is not installed"):
        load_processor(_folder(tmp_path, QWEN2), ImageSettings(backend="torchvision"))


def test_prompts_are_padded_on_the_left_whatever_was_saved(tmp_path: Path) -> None:
    folder = _folder(tmp_path, QWEN2)
    build_tiny_tokenizer().from_pretrained(folder, padding_side="right").save_pretrained(folder)
    assert json.loads((folder / "tokenizer_config.json").read_text())["padding_side"] == "right"
    assert load_processor(folder).tokenizer.padding_side == "left"


def test_saving_what_was_saved_changes_no_byte(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    load_processor(_folder(tmp_path / "old", QWEN3)).save_pretrained(first)
    load_processor(first).save_pretrained(second)
    saved = {file.name: file.read_bytes() for file in first.iterdir()}
    assert {"preprocessor_config.json", "tokenizer.json"} <= set(saved)
    assert {file.name: file.read_bytes() for file in second.iterdir()} == saved
    assert b"ImageTextProcessor" not in b"".join(saved.values())
