from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from harness.evaluate.batches import plan_batches, prompt_lengths
from harness.evaluate.generate import generate
from harness.models.prompts import PROMPT_STYLES
from harness.study.evaluation import ProtocolSettings

PROTOCOL = ProtocolSettings(prompt="micro-base-think")
PAPER = ProtocolSettings(prompt="paper-instruct-think-eval", max_new_tokens=24)
MICRO_PROMPTS = [name for name in PROMPT_STYLES if name.startswith("micro")]


def ask(asked: Any, protocol: ProtocolSettings) -> list[dict[str, Any]]:
    """Completions of all questions in their order, batch by batch."""
    batches = plan_batches(prompt_lengths(asked.processor, asked.questions, protocol), protocol)
    assert sorted(place for batch in batches for place in batch) == list(range(len(asked.questions)))
    rows = [
        row
        for batch in batches
        for row in generate(asked.model, asked.processor, [asked.questions[place] for place in batch], protocol)
    ]
    return sorted(rows, key=lambda row: row["question"])


@pytest.fixture(scope="module")
def write(micro: Any) -> Callable[..., list[dict[str, Any]]]:
    """The base model's completions of all 24 questions under a changed protocol."""
    return lambda **changes: ask(micro, PROTOCOL.model_copy(update=changes))


@pytest.mark.parametrize("prompt", MICRO_PROMPTS)
def test_the_batch_size_changes_no_text(prompt: str, write: Callable) -> None:
    alone = write(prompt=prompt, batch_size=1)
    assert [row["question"] for row in alone] == list(range(24))
    assert write(prompt=prompt, batch_size=7) == alone
    assert write(prompt=prompt, batch_size=24, batches="file") == alone
    assert len({row["text"] for row in alone}) > 3


def test_the_batch_size_changes_no_text_with_images_of_different_sizes(tiny: Any) -> None:
    alone = ask(tiny, PAPER.model_copy(update={"batch_size": 1}))
    assert len({row["text"] for row in alone}) > 1
    for batches in ("length", "file"):
        assert ask(tiny, PAPER.model_copy(update={"batch_size": 5, "batches": batches})) == alone


def test_lengths_are_those_of_the_encoded_prompts(tiny: Any) -> None:
    protocol = PAPER.model_copy(update={"literal_image": True})
    texts = [PROMPT_STYLES[PAPER.prompt].render(question, True) for question in tiny.questions]
    encoded = tiny.processor.encode([question.image() for question in tiny.questions], texts)
    found = prompt_lengths(tiny.processor, tiny.questions, protocol)
    assert found == encoded["attention_mask"].sum(dim=1).tolist()
    assert len(set(found)) > 4


def test_batches_are_by_length_the_longest_first_or_in_the_order_of_the_file() -> None:
    lengths = [5, 9, 5, 7, 9]
    by_length = PROTOCOL.model_copy(update={"batch_size": 2})
    assert plan_batches(lengths, by_length) == [[1, 4], [3, 0], [2]]
    assert plan_batches(lengths, by_length.model_copy(update={"batches": "file"})) == [[0, 1], [2, 3], [4]]


def test_padding_is_on_the_left_unless_declared(write: Callable) -> None:
    assert PROTOCOL.padding_side == "left"
    alone = [row["text"] for row in write(batch_size=1)]
    assert [row["text"] for row in write(padding_side="right", batch_size=24)] != alone
    assert [row["text"] for row in write(padding_side="right", batch_size=1)] == alone


def test_the_literal_image_is_in_the_prompt_when_declared(tiny: Any) -> None:
    plain, literal = (
        prompt_lengths(tiny.processor, tiny.questions, PAPER.model_copy(update={"literal_image": given}))
        for given in (False, True)
    )
    added = len(tiny.processor.tokenizer("<image>")["input_ids"])
    assert [b - a for a, b in zip(plain, literal, strict=True)] == [added] * len(plain)


def test_it_is_what_the_model_finds_likeliest(micro: Any, write: Callable) -> None:
    """Against greedy decoding written out, without a cache or batches."""
    tokenizer = micro.processor.tokenizer
    style = PROMPT_STYLES["micro-base-think"]
    for question, row in list(zip(micro.questions, write(), strict=True))[:3]:
        prompt = style.render(question)
        written: list[int] = []
        while len(written) < 40 and (not written or written[-1] != tokenizer.eos_token_id):
            so_far = " ".join([prompt, *tokenizer.convert_ids_to_tokens(written)])
            with torch.inference_mode():
                logits = micro.model(**micro.processor.encode([question.image()], [so_far])).logits[0, -1]
            written.append(int(logits.argmax()))
        assert row["text"] == tokenizer.decode(written, skip_special_tokens=True)
        assert row["tokens"] == len(written)
        assert row["finish"] == ("stop" if written[-1] == tokenizer.eos_token_id else "length")


def test_the_models_own_generation_settings_change_nothing(
    micro: Any, write: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published models come with sampling and a repetition penalty."""
    plain = write()
    own = GenerationConfig(
        **{"do_sample": True, "temperature": 0.1, "top_k": 1, "top_p": 0.001, "repetition_penalty": 1.9},
        **{"no_repeat_ngram_size": 2, "max_length": 3, "pad_token_id": 0, "eos_token_id": [2]},
    )
    monkeypatch.setattr(micro.model, "generation_config", own)
    assert write() == plain


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


def test_any_of_the_models_end_tokens_ends_a_completion(
    micro: Any, write: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = write()
    also = micro.processor.tokenizer.convert_tokens_to_ids(".")
    own = GenerationConfig(pad_token_id=0, eos_token_id=[micro.processor.tokenizer.eos_token_id, also])
    monkeypatch.setattr(micro.model, "generation_config", own)
    ended = write()
    assert sum("." in row["text"] for row in plain) > 3
    for before, after in zip(plain, ended, strict=True):
        if "." in before["text"]:
            assert after["text"] == before["text"].split(".")[0] + "."
            assert after["finish"] == "stop"
            assert after["tokens"] == len(after["text"].split())
        else:
            assert after == before
