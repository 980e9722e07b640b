from collections.abc import Callable
from pathlib import Path
from typing import Any

import fabricated_study
import pytest


@pytest.fixture
def fabricate(tmp_path: Path) -> Callable[..., Path]:
    """Writes a collected study: ``fabricate(name, seeds=..., lost={run: reason}, contrasts=..., questions=...)``."""

    def make(name: str = "collected", **kwargs: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        fabricated_study.fabricate(folder, **kwargs)
        return folder

    return make


@pytest.fixture(scope="session")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collected study of three seeds in which base+grpo has lost seed 2; not to be written to."""
    folder = tmp_path_factory.mktemp("collected")
    fabricated_study.fabricate(folder, lost={"base+grpo/seed=2": "out of memory"})
    return folder
