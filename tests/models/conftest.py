"""Tiny models of every family."""

from pathlib import Path

import pytest

from harness.models import tiny
from harness.models.checkpoint import FAMILIES, checkpoint_path
from harness.record.context import StageContext


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints of a finished ``tiny`` stage by family. Not to be written to."""
    folders = {}
    for family in FAMILIES:
        stage = tmp_path_factory.mktemp(family)
        tiny.run(StageContext(stage, {"family": family, "seed": 0}))
        folders[family] = checkpoint_path(stage)
    return folders
