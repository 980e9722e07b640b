from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from trl.trainer.sft_trainer import SFTTrainer

from harness.data.files import read_sat
from harness.data.order import row_order
from harness.models.checkpoint import checkpoint_path
from harness.models.processor import load_processor
from harness.models.prompts import PROMPT_STYLES
from harness.study.training import Lesson, SFTSettings
from harness.train import sft

THINK = Lesson(prompt="micro-instruct-think", reply="<think> look </think> <answer> {answer} </answer>", weight=3.0)
DIRECT = Lesson(prompt="micro-instruct-direct", reply="{answer}")


@pytest.fixture
def batches(
    base: Path, world: Path, run_stage: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, torch.Tensor]]:
    """What the model was given in three steps of eight examples, two lessons mixed."""
    seen = []
    compute_loss = SFTTrainer.compute_loss

    def spy(self, model, inputs, *args, **kwargs):
        seen.append({name: tensor.clone().cpu() for name, tensor in inputs.items() if isinstance(tensor, torch.Tensor)})
        return compute_loss(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(SFTTrainer, "compute_loss", spy)
    settings = SFTSettings(steps=3, batch_size=8, lessons=[DIRECT, THINK])
    run_stage(sft.run, settings.identity() | {"seed": 5, "tuning": {"kind": "full"}}, [3], model=base, data=world)
    return seen


def test_the_loss_is_on_the_reply_alone_of_the_rows_in_order(
    batches: list[dict[str, torch.Tensor]], base: Path, world: Path
) -> None:
    processor = load_processor(checkpoint_path(base))
    tokenizer = processor.tokenizer
    questions = read_sat(world / "train.parquet", option_seed=5)
    order = row_order(len(questions), 24, seed=5)
    assert [len(batch["input_ids"]) for batch in batches] == [8, 8, 8]
    rows = [row for batch in batches for row in zip(batch["input_ids"], batch["labels"], strict=True)]
    lessons = []
    for position, (ids, labels) in enumerate(rows):
        question = questions[order[position]]
        learnt = labels[labels != -100].tolist()
        assert learnt == ids[labels != -100].tolist()
        reply = tokenizer.decode(learnt)
        replies = {f"{each.reply.format(answer=question.answer)} <|im_end|>": each for each in (DIRECT, THINK)}
        lesson = replies[reply]
        lessons.append(lesson)
        prompt = processor.encode([question.image()], [PROMPT_STYLES[lesson.prompt].render(question)])["input_ids"][0]
        whole = ids[ids != tokenizer.pad_token_id].tolist()
        assert whole == prompt.tolist() + learnt, "the prompt of training is not the one of evaluation"
    assert 10 <= lessons.count(THINK) <= 23  # three of four on average
    pixels = torch.cat([batch["pixel_values"] for batch in batches])
    images = [questions[index].image() for index in order]
    expected = processor.image_processor(images, return_tensors="pt")["pixel_values"]
    assert torch.equal(pixels, expected)


def test_the_lessons_weights_and_seed_decide_which_reply_is_learnt(train: Callable) -> None:
    one = train("sft", lessons=[DIRECT])
    other = train("sft", lessons=[THINK])
    assert any(not torch.equal(one.weights()[name], tensor) for name, tensor in other.weights().items())
