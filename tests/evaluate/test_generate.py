from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from harness.data.files import read_cvbench
from harness.evaluate import generate as evaluate
from harness.evaluate.generate import COMPLETIONS_SCHEMA
from harness.models.checkpoint import last_checkpoint, load_model
from harness.models.processor import load_processor
from harness.models.prompts import PROMPT_STYLES
from harness.study.settings import LoraSettings, PretrainSettings, ProtocolSettings, SFTSettings
from harness.train import sft

BASE_STEP = PretrainSettings().steps
PROTOCOL = ProtocolSettings(prompt="micro-base-think")


@pytest.fixture(scope="module")
def write(base: Path, world: Path) -> Callable[..., list[dict[str, Any]]]:
    """The base model's completions of all 24 questions under a changed protocol."""
    model = load_model(last_checkpoint(base))
    processor = load_processor(last_checkpoint(base))
    questions = read_cvbench(world / "test.parquet")

    def write(**changes: Any) -> list[dict[str, Any]]:
        return list(evaluate.generate(model, processor, questions, PROTOCOL.model_copy(update=changes)))

    return write


@pytest.mark.parametrize("prompt", PROMPT_STYLES)
def test_the_batch_size_changes_no_text(prompt: str, write: Callable) -> None:
    alone = write(prompt=prompt, batch_size=1)
    assert [row["question"] for row in alone] == list(range(24))
    assert write(prompt=prompt, batch_size=7) == alone
    assert write(prompt=prompt, batch_size=24) == alone
    assert write(prompt=prompt) == alone
    assert len({row["text"] for row in alone}) > 3


def test_padding_is_on_the_left_unless_declared(write: Callable) -> None:
    assert PROTOCOL.padding_side == "left"
    alone = [row["text"] for row in write(batch_size=1)]
    assert [row["text"] for row in write(padding_side="right", batch_size=24)] != alone
    assert [row["text"] for row in write(padding_side="right", batch_size=1)] == alone


def test_it_is_what_the_model_finds_likeliest(base: Path, world: Path, write: Callable) -> None:
    """Against greedy decoding written out, without a cache or batches."""
    model, processor = load_model(last_checkpoint(base)).eval(), load_processor(last_checkpoint(base))
    tokenizer = processor.tokenizer
    style = PROMPT_STYLES["micro-base-think"]
    for question, row in list(zip(read_cvbench(world / "test.parquet"), write(), strict=True))[:3]:
        prompt = style.render(question)
        written: list[int] = []
        while len(written) < 40 and (not written or written[-1] != tokenizer.eos_token_id):
            so_far = " ".join([prompt, *tokenizer.convert_ids_to_tokens(written)])
            with torch.inference_mode():
                logits = model(**processor.encode([question.image()], [so_far])).logits[0, -1]
            written.append(int(logits.argmax()))
        assert row["text"] == tokenizer.decode(written, skip_special_tokens=True)
        assert row["tokens"] == len(written)
        assert row["finish"] == ("stop" if written[-1] == tokenizer.eos_token_id else "length")


def test_tokens_and_finish(write: Callable) -> None:
    long, short = write(), write(max_new_tokens=3)
    assert {row["finish"] for row in long} >= {"stop"}
    for whole, cut in zip(long, short, strict=True):
        words = len(whole["text"].split())  # one token per word
        if whole["finish"] == "stop":
            assert whole["tokens"] == words + 1
        else:
            assert whole["tokens"] == 40
        assert whole["text"].startswith(cut["text"])
        assert cut["finish"] == ("stop" if whole["finish"] == "stop" and whole["tokens"] <= 3 else "length")
        assert cut["tokens"] == min(3, whole["tokens"])


def test_an_end_on_the_last_allowed_token_is_a_stop(write: Callable) -> None:
    lengths = [row["tokens"] for row in write() if row["finish"] == "stop"]
    exact = write(max_new_tokens=lengths[0])
    assert [row["finish"] for row in exact if row["tokens"] == lengths[0]].count("stop") == lengths.count(lengths[0])


def _settings(steps: list[int], questions: int, **changes: Any) -> dict[str, Any]:
    return PROTOCOL.model_copy(update=changes).identity() | {"questions": questions, "steps": steps}


def test_the_stage_writes_one_row_per_question(
    base: Path, world: Path, run_stage: Callable[..., Path], write: Callable
) -> None:
    folder = run_stage(evaluate.run, _settings([BASE_STEP], 10), [], model=base, data=world)
    table = pq.read_table(folder / "completions.parquet")
    assert table.schema == COMPLETIONS_SCHEMA
    assert table.to_pylist() == [{"step": BASE_STEP, **row} for row in write()[:10]]
    assert [path.name for path in folder.iterdir()] == ["completions.parquet"]


@pytest.mark.parametrize("tuning", [{"kind": "full"}, {"kind": "lora", **LoraSettings(rank=4).identity()}])
def test_every_asked_checkpoint_is_evaluated_an_adapter_through_its_parent(
    tuning: dict[str, Any], base: Path, world: Path, run_stage: Callable[..., Path]
) -> None:
    recipe = SFTSettings(steps=4, batch_size=8, warmup_steps=0, learning_rate=5e-3).identity() | {"seed": 0}
    trained = run_stage(sft.run, recipe | {"tuning": tuning}, [2, 4], model=base, data=world)
    parent = {"parent": base} if tuning["kind"] == "lora" else {}
    asked = _settings([2, 4], 12, prompt="micro-instruct-direct")
    folder = run_stage(evaluate.run, asked, [], model=trained, data=world, **parent)
    rows = pq.read_table(folder / "completions.parquet").to_pylist()
    assert [(row["step"], row["question"]) for row in rows] == [(step, i) for step in (2, 4) for i in range(12)]
    questions = read_cvbench(world / "test.parquet", 12)
    processor = load_processor(last_checkpoint(base))
    texts = {}
    for step in (2, 4):
        checkpoint = trained / "checkpoints" / f"step-{step:06d}"
        model = load_model(checkpoint, parent=last_checkpoint(base) if parent else None)
        expected = evaluate.generate(model, processor, questions, ProtocolSettings(prompt="micro-instruct-direct"))
        texts[step] = [row["text"] for row in rows if row["step"] == step]
        assert texts[step] == [row["text"] for row in expected]
    start = load_model(last_checkpoint(base))
    before = evaluate.generate(start, processor, questions, ProtocolSettings(prompt="micro-instruct-direct"))
    assert texts[4] != [row["text"] for row in before]
    assert texts[4] != texts[2]
