from pathlib import Path

import pytest
import torch
from PIL import Image
from trl.data_utils import prepare_multimodal_messages

from harness.data.files import read_cvbench, read_sat
from harness.data.question import Question
from harness.models.micro import IMAGE_TOKENS, build_processor
from harness.models.processor import ImageTextProcessor, load_processor, save_processor
from harness.models.prompts import PROMPT_STYLES, PromptStyle
from harness.train.grpo import example


@pytest.fixture(scope="module")
def processor() -> ImageTextProcessor:
    return build_processor()


@pytest.fixture(scope="module")
def questions(world: Path) -> list[Question]:
    return read_cvbench(world / "test.parquet", 6) + read_sat(world / "train.parquet", 0)[:6]


MICRO_STYLES = {name: style for name, style in PROMPT_STYLES.items() if name.startswith("micro-")}
styles = pytest.mark.parametrize("style", MICRO_STYLES.values(), ids=MICRO_STYLES)


@styles
def test_a_rendered_prompt_is_the_chat_template_of_the_processor(
    style: PromptStyle, processor: ImageTextProcessor, questions: list[Question]
) -> None:
    for question in questions:
        rendered = processor.apply_chat_template(
            style.messages(question), style.template, tokenize=False, add_generation_prompt=True
        )
        assert rendered == style.render(question)


@styles
def test_training_and_evaluation_ask_with_the_same_tokens(
    style: PromptStyle, processor: ImageTextProcessor, questions: list[Question]
) -> None:
    """trl renders and tokenises the rollouts' prompts itself."""
    for question in questions:
        row = example(question, style, False)
        by_trl = processor.apply_chat_template(
            conversation=[prepare_multimodal_messages(row["prompt"], images=[row["image"]])],
            chat_template=style.template,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        by_us = processor.encode([question.image()], [style.render(question)])
        assert torch.equal(by_trl["input_ids"], by_us["input_ids"])
        assert torch.equal(by_trl["pixel_values"], by_us["pixel_values"])


@styles
def test_a_prompt_holds_question_options_and_nine_image_tokens(
    style: PromptStyle, processor: ImageTextProcessor, questions: list[Question]
) -> None:
    tokenizer = processor.tokenizer
    inputs = processor.encode([each.image() for each in questions], [style.render(each) for each in questions])
    image = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert IMAGE_TOKENS == 9
    assert (inputs["input_ids"] == image).sum(1).tolist() == [9] * len(questions)
    assert inputs["image_grid_thw"].tolist() == [[1, 6, 6]] * len(questions)
    assert inputs["pixel_values"].shape == (36 * len(questions), 3 * 2 * 14 * 14)
    assert tokenizer.unk_token_id not in inputs["input_ids"]
    for ids, mask, question in zip(inputs["input_ids"], inputs["attention_mask"], questions, strict=True):
        text = tokenizer.decode(ids[mask.bool()])
        assert f"{question.text} ? options {' or '.join(question.choices)} " in text
        assert (ids[~mask.bool()] == tokenizer.pad_token_id).all()
        assert mask.tolist() == sorted(mask.tolist())  # padding is on the left
    right = processor.encode(
        [each.image() for each in questions], [style.render(each) for each in questions], padding_side="right"
    )
    assert all(mask.tolist() == sorted(mask.tolist(), reverse=True) for mask in right["attention_mask"])


def test_the_answer_is_not_in_the_prompt_but_among_the_options(questions: list[Question]) -> None:
    for style in MICRO_STYLES.values():
        for question in questions:
            words = style.render(question).split()
            assert words.count(question.answer) == 1 + question.text.split().count(question.answer)


def test_image_placeholders_become_as_many_tokens_as_the_image_has(processor: ImageTextProcessor) -> None:
    wide = Image.new("RGB", (84, 84))
    inputs = processor.encode([wide, wide], ["<|vision_start|> <|image_pad|> <|vision_end|> red", "<|image_pad|> blue"])
    ids = processor.tokenizer.convert_tokens_to_ids(["<|image_pad|>", "<|vision_start|>", "<|vision_end|>"])
    assert inputs["input_ids"][0].tolist()[:11] == [ids[1], *[ids[0]] * 9, ids[2]]
    assert (inputs["mm_token_type_ids"] == (inputs["input_ids"] == ids[0])).all()


def test_only_the_base_prompt_begins_the_reply(questions: list[Question]) -> None:
    for name, style in MICRO_STYLES.items():
        assert style.prefill == ("<think>" if name == "micro-base-think" else "")
        assert style.render(questions[0]).endswith(style.prefill)


def test_a_saved_processor_comes_back_the_same(
    processor: ImageTextProcessor, questions: list[Question], tmp_path: Path
) -> None:
    save_processor(processor, tmp_path)
    loaded = load_processor(tmp_path)
    texts = [PROMPT_STYLES["micro-base-think"].render(question) for question in questions]
    images = [question.image() for question in questions]
    before, after = processor.encode(images, texts), loaded.encode(images, texts)
    assert set(before) == set(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert loaded.tokenizer.get_vocab() == processor.tokenizer.get_vocab()
    for name in ("eos_token", "pad_token", "unk_token", "padding_side"):
        assert getattr(loaded.tokenizer, name) == getattr(processor.tokenizer, name)
    text = "<think> count red 2 . </think> <answer> 2 </answer>"
    assert loaded.tokenizer.decode(loaded.tokenizer(text)["input_ids"], skip_special_tokens=True) == text
