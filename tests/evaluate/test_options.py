from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.data.question import LETTERS
from harness.evaluate.options import option_tokens, score_options
from harness.models.prompts import PROMPT_STYLES
from harness.study.evaluation import ProtocolSettings

TEXT = ProtocolSettings(prompt="paper-base-plain", method="options")
LETTER = ProtocolSettings(prompt="paper-instruct-plain", method="options", option_form="letter")
PROTOCOLS = {
    "micro": ProtocolSettings(prompt="micro-instruct-direct", method="options"),
    "micro-think": ProtocolSettings(prompt="micro-base-think", method="options"),
}


def one_token_at_a_time(asked: Any, protocol: ProtocolSettings) -> list[dict[str, Any]]:
    """The same written out: each option of each question alone, token by token, without padding."""
    style = PROMPT_STYLES[protocol.prompt]
    rows = []
    for question in asked.questions:
        inputs = asked.processor.encode([question.image()], [style.render(question, protocol.literal_image)])
        for option, choice in enumerate(question.choices):
            text = choice if protocol.option_form == "text" else f"({LETTERS[option]})"
            ids = asked.processor.tokenizer(style.reply(text, ""), add_special_tokens=False)["input_ids"]
            so_far = dict(inputs)
            total = 0.0
            for token in ids:
                with torch.inference_mode():
                    logits = asked.model(**so_far, use_cache=False).logits[0, -1]
                total += float(torch.log_softmax(logits.float(), -1)[token])
                for name, value in (("input_ids", token), ("attention_mask", 1), ("mm_token_type_ids", 0)):
                    so_far[name] = torch.cat([so_far[name], torch.tensor([[value]])], dim=1)
            rows.append({"question": question.index, "option": option, "logprob": total, "tokens": len(ids)})
    return rows


def assert_near(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    for row, other in zip(found, expected, strict=True):
        assert row == {**other, "logprob": pytest.approx(other["logprob"], abs=1e-5)}


@pytest.mark.parametrize("protocol", [TEXT, LETTER, TEXT.model_copy(update={"literal_image": True})])
def test_it_is_the_sum_of_the_tokens_log_probabilities(tiny: Any, protocol: ProtocolSettings) -> None:
    found = score_options(tiny.model, tiny.processor, tiny.questions, protocol)
    assert_near(found, one_token_at_a_time(tiny, protocol))
    assert [row["option"] for row in found[:5]] == [0, 1, 0, 1, 2]
    assert all(row["logprob"] < 0 for row in found)
    assert len({row["tokens"] for row in found}) > (1 if protocol.option_form == "text" else 0)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_it_is_so_with_a_trained_model(micro: Any, name: str) -> None:
    found = score_options(micro.model, micro.processor, micro.questions, PROTOCOLS[name])
    assert_near(found, one_token_at_a_time(micro, PROTOCOLS[name]))
    assert {row["tokens"] for row in found} == {1}  # one token per word


def test_a_batch_is_so_many_times_one(tiny: Any) -> None:
    together = score_options(tiny.model, tiny.processor, tiny.questions, TEXT)
    alone = [row for each in tiny.questions for row in score_options(tiny.model, tiny.processor, [each], TEXT)]
    assert_near(together, alone)


def test_every_option_of_every_question_has_its_row_in_order(micro: Any) -> None:
    rows = score_options(micro.model, micro.processor, micro.questions, PROTOCOLS["micro"])
    expected = [(each.index, option) for each in micro.questions for option in range(len(each.choices))]
    assert [(row["question"], row["option"]) for row in rows] == expected


def test_the_prompts_tokens_stay_those_of_generation_where_the_option_would_merge_with_them(tiny: Any) -> None:
    """The plain base prompt ends in a space, which one tokenisation of prompt and option would take into the option."""
    tokenizer = tiny.processor.tokenizer
    question = tiny.questions[0]
    prompt = PROMPT_STYLES[TEXT.prompt].render(question)
    assert prompt.endswith("Assistant: ")
    first = option_tokens(tiny.processor, question, TEXT)[0]
    assert tokenizer.decode(first) == question.choices[0]
    jointly = tokenizer(prompt + question.choices[0])["input_ids"]
    assert jointly != tokenizer(prompt)["input_ids"] + first
    assert tokenizer.decode(jointly) == tokenizer.decode(tokenizer(prompt)["input_ids"] + first)


def test_letters_stand_in_brackets(tiny: Any) -> None:
    tokens = option_tokens(tiny.processor, tiny.questions[2], LETTER)
    assert [tiny.processor.tokenizer.decode(each) for each in tokens] == ["(A)", "(B)", "(C)", "(D)"]


def test_an_option_without_tokens_is_refused(tiny: Any) -> None:
    empty = replace(tiny.questions[0], choices=("left", ""))
    with pytest.raises(ValueError, match=r"question 100: option 1 \(''\) has no tokens"):
        score_options(tiny.model, tiny.processor, [empty], TEXT)


def test_options_that_are_the_same_tokens_are_refused(micro: Any) -> None:
    """The miniature's words know no letters, so (A) and (B) would be equally likely whatever it was shown."""
    asked = ProtocolSettings(prompt="micro-instruct-direct", method="options", option_form="letter")
    told = r"question \d+: options '\(A\)' and '\(B\)' are the same tokens .* use another option_form than letter"
    with pytest.raises(ValueError, match=told):
        score_options(micro.model, micro.processor, micro.questions[:2], asked)
