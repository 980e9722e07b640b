"""The ``tiny`` stage: a random model of about 70,000 parameters made from a family's own configuration classes. It
knows nothing, and goes through every line that the family's real models go through."""

import re
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedModel, PreTrainedTokenizerFast
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from harness.models.processor import ImageTextProcessor, save_processor
from harness.models.runtime import prepare_process
from harness.record.context import StageContext
from harness.record.outputs import checkpoint_folder
from harness.study.sources import Family, TinySettings

PATCH: dict[Family, int] = {"qwen2_vl": 14, "qwen2_5_vl": 14, "qwen3_vl": 16}
MIN_PIXELS, MAX_PIXELS = 56 * 56, 112 * 112
END, ALSO_END = "<|im_end|>", "<|endoftext|>"
_SPECIAL = (ALSO_END, "<|im_start|>", END, "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen's tokenizers cut a text before merging bytes."""
_WORDS = """conversation between User and Assistant The user asks question about the image solves it assistant first
thinks reasoning process in mind then provides with answer Let me solve this step by Output thinking final option tags
Answer natural language Choose from following options Select choices How many are is which of to object closer camera
left right above below Give nothing else helpful a an or You"""
"""Words that are one token when a space stands before them, so that prompts are not hundreds of bytes long."""


def run(context: StageContext) -> None:
    """Write the model as checkpoint 0; see `StageContext`."""
    prepare_process()
    settings = TinySettings(**context.settings)
    processor = build_tiny_processor(settings.family)
    folder = checkpoint_folder(context.folder, 0)
    build_tiny_model(settings, processor).save_pretrained(folder)
    save_processor(processor, folder)
    context.progress(1, 1)


def build_tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with Qwen's special tokens; ``<|im_end|>`` ends a reply."""
    tokens = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = []
    for word in re.findall(r"\S+", _WORDS):
        # Chains that begin with the space before the word (as a byte: Ġ) can't get in each other's way.
        left = "Ġ"
        for character in word:
            if (left, character) not in merges:
                merges.append((left, character))
                tokens.append(left + character)
            left += character
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=ALSO_END,
        eos_token=END,
        additional_special_tokens=[token for token in _SPECIAL if token not in (END, ALSO_END)],
        clean_up_tokenization_spaces=False,
    )


def build_tiny_processor(family: Family) -> ImageTextProcessor:
    """The tokenizer with the family's image processor, limited to 12 to 16 image tokens."""
    image_processor = Qwen2VLImageProcessorPil(
        size={"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}, patch_size=PATCH[family], merge_size=2
    )
    return ImageTextProcessor(image_processor, build_tiny_tokenizer())


def build_tiny_model(settings: TinySettings, processor: ImageTextProcessor) -> PreTrainedModel:
    """A model with random weights, a function of the settings alone."""
    tokenizer = processor.tokenizer
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in _SPECIAL}
    hidden, head = 32, 8
    text: dict[str, Any] = dict(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=hidden // head,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        rope_parameters=dict(rope_type="default", rope_theta=1e6, mrope_section=[2, 1, 1]),
        initializer_range=0.05,
        tie_word_embeddings=True,
        bos_token_id=ids[ALSO_END],
        eos_token_id=ids[END],
        pad_token_id=ids[ALSO_END],
    )
    vision: dict[str, Any] = dict(depth=2, num_heads=2, patch_size=PATCH[settings.family], initializer_range=0.05)
    if settings.family == "qwen2_vl":
        vision |= dict(embed_dim=16, hidden_size=hidden, mlp_ratio=2)
    else:
        vision |= dict(hidden_size=16, out_hidden_size=hidden, intermediate_size=32)
    if settings.family == "qwen2_5_vl":
        vision |= dict(window_size=56, fullatt_block_indexes=[1])
    if settings.family == "qwen3_vl":
        vision |= dict(num_position_embeddings=64, deepstack_visual_indexes=[0])
        text |= dict(head_dim=head)
        text["rope_parameters"]["mrope_interleaved"] = True
    config = AutoConfig.for_model(
        settings.family,
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(settings.seed)
    model = AutoModelForImageTextToText.from_config(config)
    generation = model.generation_config
    generation.bos_token_id = generation.pad_token_id = ids[ALSO_END]
    generation.eos_token_id = [ids[END], ids[ALSO_END]]  # a list, as the published models have it
    return model
