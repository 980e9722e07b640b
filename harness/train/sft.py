"""The ``sft`` and ``instruct`` stages: supervised fine-tuning with trl's SFTTrainer."""

import hashlib
import random
from pathlib import Path
from typing import Any

import torch
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from harness.data.files import read_sat
from harness.data.fingerprint import fingerprint
from harness.data.order import row_order
from harness.data.question import Question
from harness.models.prompts import PROMPT_STYLES
from harness.models.runtime import prepare_process
from harness.record.context import StageContext
from harness.record.outputs import TRAIN_FILE
from harness.study.training import Lesson, SFTSettings
from harness.train.checks import conclude
from harness.train.common import lazy_dataset, load_start, train_checked, trainer_arguments
from harness.train.resume import ResumableTrainer
from harness.train.tuning import lora_config

METRICS = {
    "loss": "loss",
    "entropy": "entropy",
    "mean_token_accuracy": "token_accuracy",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
}
"""trl's metric names -> columns of the ``training`` table."""


class Trainer(ResumableTrainer, SFTTrainer):
    """trl's trainer, made to resume exactly, and to refuse examples that are too long instead of cutting them."""

    longest: int | None = None
    """Tokens that an example may have at most."""
    never_learnt: torch.Tensor | None = None
    """Ids of the tokens around and of images; trl leaves them in the loss when prompts are learnt too."""

    def compute_loss(self, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        lengths = inputs["attention_mask"].sum(dim=1)
        if self.longest is not None and lengths.max().item() > self.longest:
            text = f"an example has {lengths.max().item()} tokens, more than max_length ({self.longest})"
            raise ValueError(f"{text}; raise sft.max_length or lower sft.images.max_pixels")
        if self.never_learnt is not None:
            never = torch.isin(inputs["input_ids"], self.never_learnt.to(inputs["input_ids"].device))
            inputs["labels"] = inputs["labels"].masked_fill(never, -100)
        return super().compute_loss(model, inputs, *arguments, **named)


def run(context: StageContext) -> None:
    """One supervised stage; see `StageContext`. Inputs: ``model``, ``data``."""
    prepare_process()
    given = dict(context.settings)
    seed, tuning = given.pop("seed"), given.pop("tuning")
    settings = SFTSettings(**given)
    model, processor = load_start(context, settings)
    questions = read_sat(context.inputs["data"] / TRAIN_FILE, option_seed=seed)
    order = row_order(len(questions), settings.steps * settings.batch_size, seed)
    lessons = random.Random(f"lessons/{seed}").choices(
        settings.lessons, weights=[lesson.weight for lesson in settings.lessons], k=len(order)
    )
    end, literal = processor.tokenizer.eos_token, settings.literal_image
    trainer = Trainer(
        model=model,
        args=SFTConfig(**sft_arguments(settings, seed, context.folder)),
        train_dataset=lazy_dataset(len(order), lambda i: example(questions[order[i]], lessons[i], end, literal)),
        processing_class=processor,
        peft_config=lora_config(tuning),
    )
    trainer.longest = settings.max_length
    around_images = ["<|vision_start|>", "<|vision_end|>", processor.image_token]
    trainer.never_learnt = torch.tensor(processor.tokenizer.convert_tokens_to_ids(around_images))
    hashes = [PROMPT_STYLES[lesson.prompt].hash for lesson in settings.lessons]
    facts = {
        "data_fingerprint": fingerprint(questions, order),
        "prompt_hash": hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()[:12],
    }
    checks = train_checked(trainer, context, settings, METRICS, processor, [], facts)
    if trainer.is_world_process_zero():
        conclude(checks, context.folder)


def sft_arguments(settings: SFTSettings, seed: int, folder: Path) -> dict[str, Any]:
    """Arguments of trl's SFTConfig."""
    return dict(
        **trainer_arguments(settings, seed, folder),
        per_device_train_batch_size=settings.batch_size // (settings.compute.processes * settings.compute.accumulation),
        train_sampling_strategy="sequential",
        max_length=None,  # a limit cuts completions away without an error
        completion_only_loss=settings.loss_on == "reply",
    )


def example(question: Question, lesson: Lesson, end: str, literal_image: bool) -> dict[str, object]:
    """A question as trl's prompt/completion example: rendered prompt, reply with end token, image."""
    style = PROMPT_STYLES[lesson.prompt]
    return {
        "images": [question.image()],
        "prompt": style.render(question, literal_image),
        "completion": style.reply(lesson.reply.format(answer=question.answer), end),
    }
