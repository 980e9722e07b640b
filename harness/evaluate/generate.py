"""What a model writes: batched greedy generation."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from harness.data.question import Question
from harness.models.processor import ImageTextProcessor, end_tokens
from harness.models.prompts import PROMPT_STYLES
from harness.study.evaluation import ProtocolSettings


@torch.inference_mode()
def generate(
    model: Any, processor: ImageTextProcessor, questions: Sequence[Question], protocol: ProtocolSettings
) -> list[dict[str, Any]]:
    """Greedy completions of one batch.

    Returns:
        For every question in order: question (its index), text, tokens (end token included), finish (``stop`` or
        ``length``).
    """
    style = PROMPT_STYLES[protocol.prompt]
    ends = end_tokens(model, processor, style.end)
    inputs = processor.encode(
        [question.image() for question in questions],
        [style.render(question, protocol.literal_image) for question in questions],
        protocol.padding_side,
    ).to(model.device)
    output = model.generate(**inputs, generation_config=_greedy(processor, protocol, ends))
    rows = []
    for question, ids in zip(questions, output[:, inputs["input_ids"].shape[1] :].tolist(), strict=True):
        end = next((place for place, token in enumerate(ids) if token in ends), None)
        written = ids if end is None else ids[: end + 1]
        rows.append(
            {
                "question": question.index,
                "text": processor.tokenizer.decode(written, skip_special_tokens=True),
                "tokens": len(written),
                "finish": "length" if end is None else "stop",
            }
        )
    return rows


def _greedy(processor: ImageTextProcessor, protocol: ProtocolSettings, ends: list[int]) -> GenerationConfig:
    """Plain greedy decoding. What a model's own configuration may hold (sampling, a repetition penalty) would fill in
    whatever is left open here."""
    return GenerationConfig(
        max_new_tokens=protocol.max_new_tokens,
        eos_token_id=ends,
        pad_token_id=processor.tokenizer.pad_token_id,
        suppress_tokens=processor.input_only_tokens(),
        do_sample=False,
        num_beams=1,
        temperature=1.0,
        top_k=50,
        top_p=1.0,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
    )
