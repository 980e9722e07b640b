"""A tiny world and the shipped base model, for the rooms that train and evaluate."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from harness.record.context import StageContext

# The same examples every time, however busy the machine is.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("steady")

ROOT = Path(__file__).parents[1]
SHIPPED_BASE = ROOT / "harness" / "models" / "micro_base"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished world stage: 40 training and 24 test questions. Not to be written to."""
    from harness.data import world_stage

    folder = tmp_path_factory.mktemp("world")
    world_stage.run(StageContext(folder, {"train_questions": 40, "test_questions": 24}))
    return folder


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stage folder of the shipped base model (a copy). Not to be written to."""
    folder = tmp_path_factory.mktemp("models") / "base"
    shutil.copytree(SHIPPED_BASE, folder)
    return folder


@pytest.fixture(scope="session")
def random_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stage folder of an untrained miniature model. Not to be written to."""
    from harness.models.micro import build_model, build_processor
    from harness.models.processor import save_processor
    from harness.record.outputs import checkpoint_folder
    from harness.study.sources import PretrainSettings

    folder = tmp_path_factory.mktemp("models") / "random"
    processor = build_processor()
    checkpoint = checkpoint_folder(folder, 0)
    build_model(PretrainSettings(), processor.tokenizer).save_pretrained(checkpoint)
    save_processor(processor, checkpoint)
    return folder


@pytest.fixture(scope="session")
def run_stage(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Runs a stage's code in a fresh folder and gives the folder:
    ``run_stage(function, settings, checkpoints, model=folder, data=folder)``."""

    def run_stage(
        function: Callable[[StageContext], None], settings: dict[str, Any], checkpoints: list[int], **inputs: Path
    ) -> Path:
        folder = tmp_path_factory.mktemp("stage")
        function(StageContext(folder, settings, {"checkpoints": checkpoints}, inputs))
        return folder

    return run_stage
