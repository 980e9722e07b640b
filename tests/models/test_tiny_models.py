import hashlib
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast
from trl.data_utils import prepare_multimodal_messages

from harness.data.question import Question, sat_prompt
from harness.models import tiny
from harness.models.checkpoint import FAMILIES, checkpoint_path, load_model
from harness.models.processor import end_tokens, load_processor, save_processor
from harness.models.prompts import PROMPT_STYLES
from harness.record.context import StageContext
from harness.study.settings import ImageSettings, PromptName
from harness.train.grpo import example
from harness.train.tuning import module_of

families = pytest.mark.parametrize("family", FAMILIES)
PAPER: list[PromptName] = [name for name in PROMPT_STYLES if not name.startswith("micro-")]
IMAGES = [Image.effect_noise((150, 60), 80).convert("RGB"), Image.new("RGB", (100, 90), "blue")]
TEXTS = ["<|vision_start|><|image_pad|><|vision_end|>How many chairs?", "<|image_pad|> Ünïcode, naïve\n\n  tabs\t123"]


@families
def test_it_is_a_small_model_of_its_family_with_every_module(family: str, tiny_folders: dict[str, Path]) -> None:
    model = load_model(tiny_folders[family])
    assert model.config.model_type == family
    assert 10_000 < sum(parameter.numel() for parameter in model.parameters()) < 100_000
    assert {module_of(name) for name, _ in model.named_parameters()} == {"vision", "merger", "language"}
    text = model.config.get_text_config()
    assert text.num_key_value_heads < text.num_attention_heads
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    if family == "qwen3_vl":
        assert any("deepstack_merger_list" in name for name, _ in model.named_parameters())


@families
def test_it_is_a_function_of_its_settings(family: str, tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    def digest(folder: Path) -> str:
        return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()

    for seed in (0, 1):
        torch.rand(3)
        tiny.run(StageContext(tmp_path / str(seed), {"family": family, "seed": seed}))
    assert digest(checkpoint_path(tmp_path / "0")) == digest(tiny_folders[family])
    assert digest(checkpoint_path(tmp_path / "1", 0)) != digest(tiny_folders[family])


@families
def test_stock_loading_gives_the_same_model_and_tokenizer(family: str, tiny_folders: dict[str, Path]) -> None:
    folder = tiny_folders[family]
    stock = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).state_dict()
    ours = load_model(folder).state_dict()
    assert set(stock) == set(ours)
    assert all(torch.equal(ours[name], tensor) for name, tensor in stock.items())
    assert PreTrainedTokenizerFast.from_pretrained(folder).get_vocab() == tiny.build_tiny_tokenizer().get_vocab()


@families
@pytest.mark.parametrize("name", PAPER)
@pytest.mark.parametrize("literal", [False, True])
def test_training_and_evaluation_ask_with_the_same_tokens(
    family: str, name: PromptName, literal: bool, tiny_folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """trl renders and tokenises the rollouts' prompts itself."""
    processor, style = load_processor(tiny_folders[family]), PROMPT_STYLES[name]
    question = Question(0, "Why?", ("a", "b"), "a", b"", "", "", "", "", sat_prompt("Why?", ("a", "b")))
    monkeypatch.setattr(Question, "image", lambda self: IMAGES[0])
    row = example(question, style, literal)
    by_trl = processor.apply_chat_template(
        conversation=[prepare_multimodal_messages(row["prompt"], images=[row["image"]])],
        chat_template=style.template,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    by_us = processor.encode([IMAGES[0]], [style.render(question, literal)])
    assert set(by_trl) == set(by_us)
    assert all(torch.equal(by_trl[key], by_us[key]) for key in by_us)
    image = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    text = processor.tokenizer.decode([each for each in by_us["input_ids"][0].tolist() if each != image])
    assert text == style.render(question, literal).replace("<|image_pad|>", "")


@families
def test_images_become_patches_and_placeholders_of_the_familys_size(family: str, tiny_folders: dict[str, Path]) -> None:
    processor = load_processor(tiny_folders[family])
    inputs = processor.encode(IMAGES, TEXTS)
    patch = 16 if family == "qwen3_vl" else 14
    grids = inputs["image_grid_thw"]
    assert inputs["pixel_values"].shape == (grids.prod(1).sum(), 3 * 2 * patch**2)
    image = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert (inputs["input_ids"] == image).sum(1).tolist() == (grids.prod(1) // 4).tolist()
    assert torch.equal(inputs["mm_token_type_ids"] == 1, inputs["input_ids"] == image)
    assert all(tiny.MIN_PIXELS <= g[1] * g[2] * patch**2 <= tiny.MAX_PIXELS for g in grids.tolist())
    assert len({tuple(grid) for grid in grids.tolist()}) == 2  # the images are of different sizes


@families
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_batch_reads_as_its_rows_do_one_by_one(family: str, attention, tiny_folders: dict[str, Path]) -> None:
    model, processor = (
        load_model(tiny_folders[family], attention=attention).eval(),
        load_processor(tiny_folders[family]),
    )
    assert model.config._attn_implementation == attention
    with torch.inference_mode():
        both = model(**processor.encode(IMAGES, TEXTS)).logits[:, -1]
        for row, (image, text) in enumerate(zip(IMAGES, TEXTS, strict=True)):
            alone = model(**processor.encode([image], [text])).logits[0, -1]
            torch.testing.assert_close(both[row], alone, rtol=1e-4, atol=1e-4)
        other = model(**processor.encode(IMAGES[::-1], TEXTS)).logits[:, -1]
    assert (both - other).abs().max() > 1e-4  # it does look at the image


@families
def test_replies_end_with_either_token(family: str, tiny_folders: dict[str, Path]) -> None:
    processor = load_processor(tiny_folders[family])
    ids = processor.tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"])
    model = load_model(tiny_folders[family])
    assert end_tokens(model, processor) == sorted(ids)
    assert processor.tokenizer.eos_token == "<|im_end|>"
    model.generation_config.eos_token_id = ids[0]
    assert end_tokens(model, processor) == sorted(ids)
    model.generation_config.eos_token_id = None
    assert end_tokens(model, processor) == [ids[1]]


@families
def test_a_saved_processor_reads_as_before(family: str, tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    processor = load_processor(tiny_folders[family], ImageSettings(min_pixels=4_000, max_pixels=9_000))
    save_processor(processor, tmp_path)
    loaded = load_processor(tmp_path)
    before, after = processor.encode(IMAGES, TEXTS), loaded.encode(IMAGES, TEXTS)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert loaded.image_processor.size["longest_edge"] == 9_000
    assert {"preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"} <= {
        p.name for p in tmp_path.iterdir()
    }


@pytest.mark.parametrize(
    "text", [*TEXTS, "<think> a </think>\n<answer>(B)</answer>", "  leading", "日本語 🙂", "a" * 500]
)
def test_the_tokenizer_loses_nothing(text: str) -> None:
    tokenizer = tiny.build_tiny_tokenizer()
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_common_words_and_special_tokens_are_one_token() -> None:
    tokenizer = tiny.build_tiny_tokenizer()
    assert tokenizer.tokenize(" conversation between User") == ["Ġconversation", "Ġbetween", "ĠUser"]
    assert tokenizer.tokenize("<|im_end|>\n<|vision_start|>") == ["<|im_end|>", "Ċ", "<|vision_start|>"]
    assert tokenizer.decode(tokenizer("yes<|im_end|>")["input_ids"], skip_special_tokens=True) == "yes"
