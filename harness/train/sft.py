"""The ``sft`` and ``instruct`` stages: supervised fine-tuning with trl's SFTTrainer, loss on the reply alone."""

import random

from transformers import PrinterCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from harness.data.files import read_sat
from harness.data.order import row_order
from harness.data.question import Question
from harness.models.processor import load_processor
from harness.models.prompts import PROMPT_STYLES
from harness.models.runtime import prepare_process
from harness.record.context import StageContext
from harness.record.outputs import TRAIN_FILE
from harness.study.settings import Lesson, SFTSettings
from harness.train.checks import conclude, train_checked
from harness.train.common import StageCallback, lazy_dataset, load_start, lora_config, trainer_arguments

METRICS = {
    "loss": "loss",
    "entropy": "entropy",
    "mean_token_accuracy": "token_accuracy",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
}
"""trl's metric names -> columns of the ``training`` table."""


def run(context: StageContext) -> None:
    """One supervised stage; see `StageContext`. Inputs: ``model``, ``data``."""
    prepare_process()
    given = dict(context.settings)
    seed, tuning = given.pop("seed"), given.pop("tuning")
    settings = SFTSettings(**given)
    start, model = load_start(context)
    processor = load_processor(start)
    questions = read_sat(context.inputs["data"] / TRAIN_FILE, option_seed=seed)
    order = row_order(len(questions), settings.steps * settings.batch_size, seed)
    lessons = random.Random(f"lessons/{seed}").choices(
        settings.lessons, weights=[lesson.weight for lesson in settings.lessons], k=len(order)
    )
    end = processor.tokenizer.eos_token
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            **trainer_arguments(settings, seed, context.folder),
            per_device_train_batch_size=settings.batch_size,
            train_sampling_strategy="sequential",
            max_length=None,  # a limit cuts completions away without an error
            completion_only_loss=True,
        ),
        train_dataset=lazy_dataset(len(order), lambda i: example(questions[order[i]], lessons[i], end)),
        processing_class=processor,
        peft_config=lora_config(tuning),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(StageCallback(context, processor, METRICS))
    checks = train_checked(trainer, tuning, settings.steps)
    conclude(checks, context.folder)


def example(question: Question, lesson: Lesson, end: str) -> dict[str, object]:
    """A question as trl's prompt/completion example: rendered prompt, reply with end token, image."""
    return {
        "images": [question.image()],
        "prompt": PROMPT_STYLES[lesson.prompt].render(question),
        "completion": f" {lesson.reply.format(answer=question.answer)} {end}",
    }
