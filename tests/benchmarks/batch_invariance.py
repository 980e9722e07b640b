"""How many greedy completions depend on the batch that they are written in.

``python -m tests.benchmarks.batch_invariance`` prints the share of texts that differ from those of batches of one, for
the shipped miniature model by number format and batch size. In float32 none should; in a narrower format some do, which
is why the batch belongs to the protocol.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from harness.data import world_stage
from harness.data.files import read_cvbench
from harness.data.question import Question
from harness.evaluate.batches import plan_batches, prompt_lengths
from harness.evaluate.generate import generate
from harness.models.checkpoint import checkpoint_path, load_model
from harness.models.processor import ImageTextProcessor, load_processor
from harness.models.runtime import prepare_process
from harness.record.context import StageContext
from harness.record.outputs import TEST_FILE
from harness.study.evaluation import ProtocolSettings

SHIPPED = Path(__file__).parents[2] / "harness" / "models" / "micro_base"


def texts(
    model: Any, processor: ImageTextProcessor, questions: Sequence[Question], protocol: ProtocolSettings
) -> dict[int, str]:
    """Completions by question."""
    batches = plan_batches(prompt_lengths(processor, questions, protocol), protocol)
    rows = [
        row for batch in batches for row in generate(model, processor, [questions[place] for place in batch], protocol)
    ]
    return {row["question"]: row["text"] for row in rows}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--questions", type=int, default=200)
    arguments.add_argument("--batches", type=int, nargs="+", default=[8, 32, 100])
    given = arguments.parse_args()
    prepare_process()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    checkpoint = checkpoint_path(SHIPPED)
    processor = load_processor(checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        world_stage.run(StageContext(Path(folder), {"train_questions": 1, "test_questions": given.questions}))
        questions = read_cvbench(Path(folder) / TEST_FILE)
        for dtype in (torch.float32, torch.bfloat16):
            model: Any = load_model(checkpoint, dtype=dtype)
            model.to(device).eval()
            alone = texts(model, processor, questions, _protocol(1))
            for size in given.batches:
                found = texts(model, processor, questions, _protocol(size))
                changed = sum(found[question] != alone[question] for question in alone)
                share = 100 * changed / len(alone)
                name = str(dtype).removeprefix("torch.")
                print(
                    f"{device} {name} batch {size}: {changed} of {len(alone)} texts differ ({share:.1f} %)", flush=True
                )


def _protocol(batch_size: int) -> ProtocolSettings:
    return ProtocolSettings(prompt="micro-base-think", batch_size=batch_size)


if __name__ == "__main__":
    main()
