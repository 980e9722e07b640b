"""The ``evaluate`` stage: every asked checkpoint on the test questions under one protocol, batch by batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from harness.data.files import read_cvbench
from harness.data.question import Question
from harness.evaluate.batches import plan_batches, prompt_lengths
from harness.evaluate.generate import generate
from harness.evaluate.options import score_options
from harness.models.checkpoint import checkpoint_path, is_adapter, load_model
from harness.models.processor import ImageTextProcessor, load_processor
from harness.models.runtime import prepare_process
from harness.record.atomic import write_table
from harness.record.context import StageContext
from harness.record.outputs import COMPLETIONS_FILE, OPTIONS_FILE, PARTIAL, TEST_FILE
from harness.study.evaluation import ProtocolSettings

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Method:
    """One way of asking: its function for a batch, and the file that its rows go to."""

    ask: Callable[[Any, ImageTextProcessor, Sequence[Question], ProtocolSettings], Rows]
    file: str
    schema: pa.Schema


METHODS = {
    "generate": Method(
        generate,
        COMPLETIONS_FILE,
        pa.schema(
            [
                ("step", pa.int32()),
                ("question", pa.int32()),
                ("text", pa.string()),
                ("tokens", pa.int32()),
                ("finish", pa.string()),
            ]
        ),
    ),
    "options": Method(
        score_options,
        OPTIONS_FILE,
        pa.schema(
            [
                ("step", pa.int32()),
                ("question", pa.int32()),
                ("option", pa.int32()),
                ("logprob", pa.float64()),
                ("tokens", pa.int32()),
            ]
        ),
    ),
}
"""By `ProtocolSettings.method`."""


def run(context: StageContext) -> None:
    """Evaluate the checkpoints ``steps`` of the ``model`` input on the ``questions`` (None: all) of the ``data``
    input; rows come in the order of steps, then of questions in the file.

    An adapter's full weights come from the ``parent`` input. Finished batches are kept in the folder `PARTIAL`; an
    attempt that finds some there goes on after them.
    """
    prepare_process()
    given = dict(context.settings)
    limit, steps = given.pop("questions"), given.pop("steps")
    protocol = ProtocolSettings(**given)
    method = METHODS[protocol.method]
    questions = read_cvbench(context.inputs["data"] / TEST_FILE, limit)
    processor = load_processor(checkpoint_path(context.inputs["model"], steps[0]), protocol.images)
    batches = plan_batches(prompt_lengths(processor, questions, protocol), protocol)
    places = {question.index: place for place, question in enumerate(questions)}
    rows: Rows = []
    asked = 0
    for step in steps:
        of_step: Rows = []
        for batch, found in _batches(context, protocol, processor, questions, batches, step):
            of_step += found
            asked += len(batch)
            context.progress(asked, len(steps) * len(questions))
        rows += sorted(of_step, key=lambda row: places[row["question"]])
    write_table(context.folder / method.file, pa.Table.from_pylist(rows, method.schema))


def _batches(
    context: StageContext,
    protocol: ProtocolSettings,
    processor: ImageTextProcessor,
    questions: Sequence[Question],
    batches: Sequence[list[int]],
    step: int,
) -> Iterator[tuple[list[int], Rows]]:
    """Every batch of one checkpoint with its rows, kept or computed; without a batch to compute no model is loaded."""
    method, model = METHODS[protocol.method], None
    for number, batch in enumerate(batches):
        path = context.folder / PARTIAL / f"step-{step:06d}-batch-{number:05d}.parquet"
        chosen = [questions[place] for place in batch]
        rows = _kept(path, [question.index for question in chosen])
        if rows is None:
            if model is None:
                model = _load(context, protocol, step)
            rows = [{"step": step, **row} for row in method.ask(model, processor, chosen, protocol)]
            write_table(path, pa.Table.from_pylist(rows, method.schema))
        yield batch, rows


def _kept(path: Path, questions: list[int]) -> Rows | None:
    """Rows of a batch that an earlier attempt finished; None where it didn't, or put other questions together."""
    if not path.exists():
        return None
    rows = pq.read_table(path).to_pylist()
    return rows if list(dict.fromkeys(row["question"] for row in rows)) == questions else None


def _load(context: StageContext, protocol: ProtocolSettings, step: int) -> Any:
    path = checkpoint_path(context.inputs["model"], step)
    parent = checkpoint_path(context.inputs["parent"]) if is_adapter(path) else None
    dtype = getattr(torch, protocol.dtype)
    model: Any = load_model(path, dtype=dtype, parent=parent, attention=protocol.attention)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
