"""The ``evaluate`` stage: batched greedy generation on the held-out questions, one row per question."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import torch

from harness.data.files import read_cvbench
from harness.data.question import Question
from harness.models.checkpoint import is_adapter, last_checkpoint, load_model
from harness.models.processor import ImageTextProcessor, load_processor
from harness.models.prompts import PROMPT_STYLES
from harness.models.runtime import prepare_process
from harness.record.atomic import write_table
from harness.record.context import StageContext
from harness.record.outputs import COMPLETIONS_FILE, TEST_FILE, checkpoint_folder
from harness.study.settings import ProtocolSettings

COMPLETIONS_SCHEMA = pa.schema(
    [
        ("step", pa.int32()),
        ("question", pa.int32()),
        ("text", pa.string()),
        ("tokens", pa.int32()),
        ("finish", pa.string()),
    ]
)


def run(context: StageContext) -> None:
    """Evaluate the checkpoints ``steps`` of the ``model`` input on the first ``questions`` of the ``data`` input.

    An adapter's full weights come from the ``parent`` input.
    """
    prepare_process()
    given = dict(context.settings)
    limit, steps = given.pop("questions"), given.pop("steps")
    protocol = ProtocolSettings(**given)
    questions = read_cvbench(context.inputs["data"] / TEST_FILE, limit)
    total = len(steps) * len(questions)
    rows: list[dict[str, Any]] = []
    for step in steps:
        checkpoint = checkpoint_folder(context.inputs["model"], step)
        parent = last_checkpoint(context.inputs["parent"]) if is_adapter(checkpoint) else None
        processor = load_processor(checkpoint)
        model = load_model(checkpoint, getattr(torch, protocol.dtype), parent)
        for row in generate(model, processor, questions, protocol):
            rows.append({"step": step, **row})
            context.progress(len(rows), total)
    write_table(context.folder / COMPLETIONS_FILE, pa.Table.from_pylist(rows, COMPLETIONS_SCHEMA))


@torch.inference_mode()
def generate(
    model: Any,
    processor: ImageTextProcessor,
    questions: list[Question],
    protocol: ProtocolSettings,
) -> Iterator[dict[str, Any]]:
    """Greedy completions of all questions in order: question, text, tokens (end token included) and finish reason."""
    style = PROMPT_STYLES[protocol.prompt]
    tokenizer = processor.tokenizer
    model.eval()
    for first in range(0, len(questions), protocol.batch_size):
        batch = questions[first : first + protocol.batch_size]
        inputs = processor.encode(
            [question.image() for question in batch],
            [style.render(question) for question in batch],
            protocol.padding_side,
        ).to(model.device)
        output = model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=protocol.max_new_tokens,
            suppress_tokens=processor.input_only_tokens(),
        )
        for question, ids in zip(batch, output[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
            stopped = tokenizer.eos_token_id in ids
            ids = ids[: ids.index(tokenizer.eos_token_id) + 1] if stopped else ids
            yield {
                "question": question.index,
                "text": tokenizer.decode(ids, skip_special_tokens=True),
                "tokens": len(ids),
                "finish": "stop" if stopped else "length",
            }
