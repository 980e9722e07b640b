"""The shipped base model and a tiny Qwen2-VL, each with questions."""

import io
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from harness.data.files import read_cvbench
from harness.data.question import LETTERS, Question
from harness.models.checkpoint import checkpoint_path, load_model
from harness.models.processor import ImageTextProcessor, load_processor
from harness.models.tiny import run as make_tiny
from harness.record.context import StageContext
from harness.study.settings import ImageSettings
from harness.study.sources import TinySettings


@dataclass(frozen=True)
class Asked:
    """A model with its processor and questions for it."""

    folder: Path
    """Of the model's stage."""
    model: Any
    processor: ImageTextProcessor
    questions: list[Question]


@pytest.fixture(scope="session")
def micro(base: Path, world: Path) -> Asked:
    """The shipped base model and all 24 questions of the small world, whose images are of one size."""
    path = checkpoint_path(base)
    return Asked(base, load_model(path).eval(), load_processor(path), read_cvbench(world / "test.parquet"))


@pytest.fixture(scope="session", params=["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """A tiny random model and 7 questions with images of different sizes, two to four options each."""
    folder = tmp_path_factory.mktemp(request.param)
    make_tiny(StageContext(folder, TinySettings(family=request.param).identity()))
    path = checkpoint_path(folder)
    processor = load_processor(path, ImageSettings(max_pixels=150 * 150))
    model = load_model(path).eval()
    with torch.no_grad():  # a fresh model is all but deaf: it writes one token, whatever it is asked
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and "embed_tokens" not in name:
                weight.mul_(8)
    return Asked(folder, model, processor, [_question(index) for index in range(7)])


def _question(index: int) -> Question:
    rng = random.Random(index)
    size = (rng.randrange(40, 260), rng.randrange(40, 260))
    image = Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 20 + index).convert("RGB")
    file = io.BytesIO()
    image.save(file, "PNG")
    choices = tuple(["the left one", "7", "a red ball on the table", "none"][: 2 + index % 3])
    text = "How many " + "very " * rng.randrange(6) + "red things are in the image?"
    lettered = "\n".join(f"({letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False))
    return Question(
        index=100 + index,
        text=text,
        choices=choices,
        answer=choices[0],
        stored_image=file.getvalue(),
        task="Count",
        type="2D",
        source="COCO",
        image_id=str(index),
        prompt=f"{text} Select from the following choices.\n{lettered}",
    )
