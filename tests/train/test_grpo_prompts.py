"""What GRPO's model is asked is, token by token, what an evaluation of the same style asks."""

from pathlib import Path
from typing import Any

import pytest
import torch
from trl.trainer.grpo_trainer import GRPOTrainer

from harness.data.files import read_sat
from harness.data.order import row_order
from harness.data.small import write_small_sat
from harness.models import tiny
from harness.models.checkpoint import checkpoint_path
from harness.models.processor import load_processor
from harness.models.prompts import PROMPT_STYLES
from harness.record.context import StageContext
from harness.record.outputs import TRAIN_FILE
from harness.study.settings import ImageSettings
from harness.study.training import GRPOSettings
from harness.train import grpo

STEPS = 2
LIMITS = ImageSettings(max_pixels=6272)


@pytest.mark.parametrize("literal", [False, True])
@pytest.mark.parametrize("prompt", ["paper-base-think", "paper-instruct-think", "instruct-no-think"])
def test_prompts_and_images_are_those_of_evaluation(
    prompt: Any, literal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = tmp_path / "model", tmp_path / "data"
    data.mkdir()
    tiny.run(StageContext(model, {"family": "qwen2_vl", "seed": 0}))
    write_small_sat(data / TRAIN_FILE, 6, seed=1)
    seen: list[dict[str, torch.Tensor]] = []
    compute_loss = GRPOTrainer.compute_loss

    def spy(self: Any, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        seen.append({name: value.clone() for name, value in inputs.items() if isinstance(value, torch.Tensor)})
        return compute_loss(self, model, inputs, *arguments, **named)

    monkeypatch.setattr(GRPOTrainer, "compute_loss", spy)
    # All completions of a step in one batch, whose rows trl shuffles.
    settings = GRPOSettings(
        steps=STEPS,
        prompts_per_step=2,
        completions_per_prompt=2,
        max_new_tokens=4,
        warmup_steps=0,
        learning_rate=1e-2,
        prompt=prompt,
        literal_image=literal,
        images=LIMITS,
        rewards={"random": {"probability": None}},  # pyright: ignore[reportArgumentType]
    )
    stage = settings.identity() | {"seed": 0, "tuning": {"kind": "full"}}
    folder = tmp_path / "stage"
    grpo.run(StageContext(folder, stage, {"checkpoints": [STEPS]}, {"model": model, "data": data}))

    processor = load_processor(checkpoint_path(model), LIMITS)
    questions = read_sat(data / TRAIN_FILE, option_seed=0)
    order = row_order(len(questions), STEPS * 2, seed=0)
    style = PROMPT_STYLES[prompt]
    assert len(seen) == STEPS
    for step, inputs in enumerate(seen):
        asked = [questions[row] for row in order[step * 2 : step * 2 + 2]]
        expected = [
            processor.encode([question.image()], [style.render(question, literal)])["input_ids"][0].tolist()
            for question in asked
            for _ in range(2)
        ]
        given = [
            ids[mask.bool()].tolist() for ids, mask in zip(inputs["prompt_ids"], inputs["prompt_mask"], strict=True)
        ]
        assert sorted(given) == sorted(expected)
        grids = processor.image_processor([question.image() for question in asked], return_tensors="pt")
        assert set(map(tuple, inputs["image_grid_thw"].tolist())) == set(map(tuple, grids["image_grid_thw"].tolist()))
