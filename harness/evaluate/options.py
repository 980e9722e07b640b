"""What a model finds likely: the log-likelihood of every option after the prompt, without generation."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.data.question import LETTERS, Question
from harness.models.processor import ImageTextProcessor
from harness.models.prompts import PROMPT_STYLES
from harness.study.evaluation import ProtocolSettings

Inputs = dict[str, Tensor]


@torch.inference_mode()
def score_options(
    model: Any, processor: ImageTextProcessor, questions: Sequence[Question], protocol: ProtocolSettings
) -> list[dict[str, Any]]:
    """Log-likelihoods of all options of one batch of questions.

    The options of a question are scored one after the other, so that a batch takes the memory of so many questions
    and not of their options.

    Returns:
        For every question in order and each of its options: question (its index), option (from 0), logprob (natural
        logarithm, summed over the option's tokens), tokens.

    Raises:
        ValueError: an option without a token, or two of a question that differ and have the same.
    """
    style = PROMPT_STYLES[protocol.prompt]
    prompts = processor.encode(
        [question.image() for question in questions],
        [style.render(question, protocol.literal_image) for question in questions],
        "left",
    ).to(model.device)
    tokens = [option_tokens(processor, question, protocol) for question in questions]
    scores: list[list[float]] = [[] for _ in questions]
    for option in range(max(map(len, tokens))):
        asked = [row for row, of_row in enumerate(tokens) if option < len(of_row)]
        chosen = [tokens[row][option] for row in asked]
        for row, score in zip(asked, _sums(model, _rows(prompts, asked), chosen), strict=True):
            scores[row].append(score)
    return [
        {"question": question.index, "option": option, "logprob": score, "tokens": len(ids)}
        for question, of_row, found in zip(questions, tokens, scores, strict=True)
        for option, (ids, score) in enumerate(zip(of_row, found, strict=True))
    ]


def option_tokens(processor: ImageTextProcessor, question: Question, protocol: ProtocolSettings) -> list[list[int]]:
    """Ids of each option as they are put behind the prompt's.

    The option is tokenised by itself, as the style puts a reply after its prompt and without the end token. The
    prompt's tokens are then those that generation starts from, even where prompt and option tokenised as one text
    would merge at the boundary: a token that reaches over it is none that the model could go on with.
    """
    style = PROMPT_STYLES[protocol.prompt]
    found: list[list[int]] = []
    texts: list[str] = []
    for place, choice in enumerate(question.choices):
        text = choice if protocol.option_form == "text" else f"({LETTERS[place]})"
        ids = processor.tokenizer(style.reply(text, "").rstrip(), add_special_tokens=False)["input_ids"]
        if not ids:
            raise ValueError(f"question {question.index}: option {place} ({choice!r}) has no tokens to be scored")
        for earlier, other in enumerate(texts):
            if other != text and found[earlier] == ids:
                raise ValueError(
                    f"question {question.index}: options {other!r} and {text!r} are the same tokens to this model, so"
                    f" their likelihoods can't differ; use another option_form than {protocol.option_form}"
                )
        found.append(ids)
        texts.append(text)
    return found


def _rows(inputs: Any, rows: list[int]) -> Inputs:
    """Some rows of model inputs, with the patches of their images."""
    patches = inputs["pixel_values"].split(inputs["image_grid_thw"].prod(dim=1).tolist())
    chosen = {name: value[rows] for name, value in inputs.items() if name != "pixel_values"}
    return chosen | {"pixel_values": torch.cat([patches[row] for row in rows])}


def _sums(model: Any, prompts: Inputs, options: list[list[int]]) -> list[float]:
    """Sum of the log-probabilities of each row's option after its (left-padded) prompt, in float32."""
    device = prompts["input_ids"].device
    longest = max(map(len, options))
    ids = torch.tensor([[*each, *[0] * (longest - len(each))] for each in options], device=device)
    mask = torch.tensor([[1] * len(each) + [0] * (longest - len(each)) for each in options], device=device)
    inputs = prompts | {
        "input_ids": torch.cat([prompts["input_ids"], ids], dim=1),
        "attention_mask": torch.cat([prompts["attention_mask"], mask], dim=1),
    }
    if "mm_token_type_ids" in prompts:
        kinds = prompts["mm_token_type_ids"]
        inputs["mm_token_type_ids"] = torch.cat([kinds, kinds.new_zeros(ids.shape)], dim=1)
    # The token at each place is predicted at the place before; nothing else is needed of a large vocabulary.
    logits = model(**inputs, use_cache=False, logits_to_keep=longest + 1).logits[:, :-1]
    found = torch.log_softmax(logits.float(), dim=-1).gather(2, ids[:, :, None])[:, :, 0]
    return (found.double() * mask).sum(dim=1).tolist()
