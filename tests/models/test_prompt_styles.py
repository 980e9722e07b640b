"""The paper's prompts against literal strings, byte for byte."""

from dataclasses import replace
from typing import get_args

import pytest

from harness.data.question import Question, sat_prompt
from harness.models.prompts import CHATML, PROMPT_STYLES
from harness.study.settings import PromptName

VISION = "<|vision_start|><|image_pad|><|vision_end|>"
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
ASSISTANT = "<|im_end|>\n<|im_start|>assistant\n"


def _question(text: str, choices: tuple[str, ...], prompt: str) -> Question:
    return Question(0, text, choices, choices[0], b"", "Count", "2D", "COCO", "1.jpg", prompt)


SAT = _question(
    "Which is higher, {the} lamp or % the chair?",
    ("lamp", "chair", "neither"),
    sat_prompt("Which is higher, {the} lamp or % the chair?", ("lamp", "chair", "neither")),
)
CVBENCH = _question(
    "How many desks are in the image?",
    ("0", "3"),
    "How many desks are in the image? Select from the following choices.\n(A) 0\n(B) 3",
)
SAT_TEXT = (
    " Answer in natural language. Which is higher, {the} lamp or % the chair? "
    "Choose between the following options: lamp, chair or neither"
)
CVBENCH_TEXT = "How many desks are in the image? Select from the following choices.\n(A) 0\n(B) 3"

BASE = (
    "A conversation between User and Assistant. The user asks a question about the image, and the Assistant solves it."
)
LITERAL: dict[str, tuple[str, str, str]] = {
    "paper-base-think": (
        VISION,
        BASE
        + " The assistant first thinks about the reasoning process in the mind and then provides the user with the "
        "answer.\nUser: {} \nAssistant: Let me solve this step by step.\n<think>",
        "",
    ),
    "paper-base-plain": (VISION, BASE + "\nUser: {} \nAssistant: ", ""),
    "paper-instruct-think": (
        SYSTEM + "<|im_start|>user\n" + VISION,
        "{}  Output the thinking process in <think> </think> and final answer (option) in <answer> </answer> tags.",
        ASSISTANT,
    ),
    "paper-instruct-think-eval": (
        SYSTEM + "<|im_start|>user\n" + VISION,
        "{}\nOutput the thinking process in <think> </think> and final answer in <answer> </answer> tags.",
        ASSISTANT,
    ),
    "paper-instruct-plain": (SYSTEM + "<|im_start|>user\n" + VISION, "{}", ASSISTANT),
    "instruct-no-think": (
        SYSTEM + "<|im_start|>user\n" + VISION,
        "{}\nGive the final answer (option) in <answer> </answer> tags and nothing else.",
        ASSISTANT,
    ),
}


def test_every_style_but_the_miniature_ones_has_a_literal() -> None:
    assert {name for name in get_args(PromptName) if not name.startswith("micro-")} == set(LITERAL)


@pytest.mark.parametrize("name", LITERAL)
@pytest.mark.parametrize(("question", "text"), [(SAT, SAT_TEXT), (CVBENCH, CVBENCH_TEXT)], ids=["sat", "cv-bench"])
def test_a_prompt_is_the_published_one_byte_for_byte(name: PromptName, question: Question, text: str) -> None:
    before, wording, after = LITERAL[name]
    style = PROMPT_STYLES[name]
    assert style.user_text(question) == wording.replace("{}", text)
    assert style.render(question) == before + wording.replace("{}", text) + after
    assert style.render(question, literal_image=True) == before + "<image>" + wording.replace("{}", text) + after


def test_the_base_prompt_in_full() -> None:
    assert PROMPT_STYLES["paper-base-think"].render(CVBENCH, literal_image=True) == (
        "<|vision_start|><|image_pad|><|vision_end|><image>A conversation between User and Assistant. The user asks a "
        "question about the image, and the Assistant solves it. The assistant first thinks about the reasoning process "
        "in the mind and then provides the user with the answer.\nUser: How many desks are in the image? Select from "
        "the following choices.\n(A) 0\n(B) 3 \nAssistant: Let me solve this step by step.\n<think>"
    )


@pytest.mark.parametrize(
    ("choices", "expected"),
    [(("yes", "no"), "yes or no"), (("a", "b", "c"), "a, b or c"), (("1", "2", "3", "4"), "1, 2, 3 or 4")],
)
def test_sat_options_are_joined_by_commas_and_a_last_or(choices: tuple[str, ...], expected: str) -> None:
    assert (
        sat_prompt("Q?", choices) == f" Answer in natural language. Q? Choose between the following options: {expected}"
    )


MICRO = {
    "micro-base-think": "User : <|vision_start|> <|image_pad|> <|vision_end|> how many red ? options 3 or 2 "
    "Assistant : Let me solve this step by step . <think>",
    "micro-instruct-direct": "<|im_start|> user <|vision_start|> <|image_pad|> <|vision_end|> how many red ? options "
    "3 or 2 <|im_end|> <|im_start|> assistant",
    "micro-instruct-think": "<|im_start|> user <|vision_start|> <|image_pad|> <|vision_end|> how many red ? options "
    "3 or 2 think first <|im_end|> <|im_start|> assistant",
}


@pytest.mark.parametrize("name", MICRO)
def test_the_miniature_worlds_prompts_stay_what_the_shipped_model_learned(name: PromptName) -> None:
    question = _question("how many red", ("3", "2"), "unused")
    assert PROMPT_STYLES[name].render(question) == MICRO[name]
    assert " <image> how many red ?" in PROMPT_STYLES[name].render(question, literal_image=True)


@pytest.mark.parametrize("name", get_args(PromptName))
def test_the_prefill_is_what_the_prompt_ends_in(name: PromptName) -> None:
    style = PROMPT_STYLES[name]
    assert style.prefill == ("<think>" if name in ("micro-base-think", "paper-base-think") else "")
    assert style.render(SAT).endswith(style.prefill)


def test_a_reply_ends_in_the_end_token() -> None:
    assert PROMPT_STYLES["paper-instruct-plain"].reply("{lamp}", "<|im_end|>") == "{lamp}<|im_end|>"
    assert PROMPT_STYLES["paper-base-plain"].reply("lamp", "<|endoftext|>") == "lamp<|endoftext|>"
    assert PROMPT_STYLES["micro-instruct-direct"].reply("red", "<|im_end|>") == " red <|im_end|>"


def test_hashes_tell_the_styles_apart_and_follow_template_and_wording() -> None:
    hashes = [style.hash for style in PROMPT_STYLES.values()]
    assert len(set(hashes)) == len(hashes)
    assert all(len(each) == 12 and set(each) <= set("0123456789abcdef") for each in hashes)
    style = PROMPT_STYLES["paper-instruct-plain"]
    assert replace(style).hash == style.hash
    assert replace(style, template=CHATML + " ").hash != style.hash
    assert replace(style, question="{prompt} ").hash != style.hash


def test_the_chat_template_keeps_a_system_message_and_earlier_turns() -> None:
    from harness.models.prompts import _compiled

    text = [{"type": "text", "text": "hi"}]
    messages = [{"role": role, "content": text} for role in ("system", "user", "assistant")]
    rendered = _compiled(CHATML).render(messages=messages, add_generation_prompt=False)
    assert rendered == "".join(f"<|im_start|>{role}\nhi<|im_end|>\n" for role in ("system", "user", "assistant"))
