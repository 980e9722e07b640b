from pathlib import Path

import pytest

from harness.models.checkpoint import is_adapter, last_checkpoint, load_model
from harness.record.outputs import checkpoint_folder


def test_the_last_checkpoint_has_the_highest_step(tmp_path: Path) -> None:
    for step in (100, 9, 1200):
        checkpoint_folder(tmp_path, step).mkdir(parents=True)
    assert last_checkpoint(tmp_path) == checkpoint_folder(tmp_path, 1200)
    assert checkpoint_folder(tmp_path, 9).name == "step-000009"


def test_no_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no step-NNNNNN folder"):
        last_checkpoint(tmp_path)


def test_an_adapter_needs_its_parent(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    assert is_adapter(tmp_path)
    with pytest.raises(ValueError, match="holds an adapter: its parent checkpoint is needed"):
        load_model(tmp_path)
