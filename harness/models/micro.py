"""The miniature Qwen2-VL (about 0.85 M parameters): its tokenizer, processor, architecture and initialisation."""

from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2VLConfig, Qwen2VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from harness.data.world import COLORS, IMAGE_SIZE
from harness.models.processor import ImageTextProcessor
from harness.study.sources import PretrainSettings

PATCH = 14
IMAGE_TOKENS = (IMAGE_SIZE // (2 * PATCH)) ** 2
PAD, END = "<|endoftext|>", "<|im_end|>"
_SPECIAL = [
    PAD,
    "<|im_start|>",
    END,
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<unk>",
]
_TEXT = """<think> </think> <answer> </answer> User : Assistant user assistant Let me solve this step by .
how many where is from which nearer closer to ? options or count col row far so answer it wait check again
look at the image left right above below think first"""


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token per word, split at white space; ``<|im_end|>`` ends a sequence."""
    words = [*_SPECIAL, *_TEXT.split(), *COLORS, *map(str, range(10))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[word for word in _SPECIAL if word not in (PAD, END, "<unk>")],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def build_processor() -> ImageTextProcessor:
    """The tokenizer with an image processor that keeps the world's images at their size."""
    pixels = IMAGE_SIZE**2
    image_processor = Qwen2VLImageProcessorPil(
        size={"shortest_edge": pixels, "longest_edge": pixels}, patch_size=PATCH, merge_size=2
    )
    return ImageTextProcessor(image_processor, build_tokenizer())


def build_model(settings: PretrainSettings, tokenizer: PreTrainedTokenizerFast) -> Qwen2VLForConditionalGeneration:
    """The model with its structured initialisation, a function of the settings' seed."""
    torch.manual_seed(settings.seed)
    head = settings.hidden_size // settings.heads
    half = head // 2
    height = (half - half // 4) // 2  # rotary pairs of height and of width; time gets the rest

    def token(word: str) -> int:
        number = tokenizer.convert_tokens_to_ids(word)
        assert isinstance(number, int)
        return number

    config = Qwen2VLConfig(
        text_config=dict(
            vocab_size=len(tokenizer),
            hidden_size=settings.hidden_size,
            intermediate_size=settings.intermediate_size,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            num_key_value_heads=settings.heads,
            max_position_embeddings=512,
            rope_parameters=dict(
                rope_type="default", rope_theta=10000.0, mrope_section=[half - 2 * height, height, height]
            ),
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            initializer_range=settings.initializer_std,
        ),
        vision_config=dict(
            depth=settings.vision_layers,
            embed_dim=settings.vision_width,
            hidden_size=settings.hidden_size,
            num_heads=4,
            mlp_ratio=4,
            patch_size=PATCH,
            spatial_merge_size=2,
            temporal_patch_size=2,
            in_channels=3,
            initializer_range=settings.initializer_std,
        ),
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    model = Qwen2VLForConditionalGeneration(config)
    assert model.generation_config is not None
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    _initialise(model)
    return model


@torch.no_grad()
def _initialise(model: Any, sharpness: float = 4.5) -> None:
    """Let heads 0-2 of layer 0 look 1, 2 and 3 tokens back, and every layer copy what it attends to.

    At this size a random start never learns to look at the image in reasonable time. A rotary score is
    q^T R(distance) k: with constant biases k = (c, 0) and q = (c cos(d f), -c sin(d f)) it peaks at distance d.
    """
    language = model.model.language_model
    config = model.config.text_config
    head = config.hidden_size // config.num_attention_heads
    frequencies = language.rotary_emb.inv_freq.float()
    first = language.layers[0].self_attn
    for index in range(min(config.num_attention_heads - 1, 3)):
        rows = slice(index * head, (index + 1) * head)
        back = (index + 1) * frequencies
        first.q_proj.weight[rows] *= 0.1
        first.k_proj.weight[rows] *= 0.1
        first.q_proj.bias[rows] = sharpness * torch.cat([torch.cos(back), -torch.sin(back)])
        first.k_proj.bias[rows] = torch.cat([torch.full((head // 2,), sharpness), torch.zeros(head // 2)])
    for layer in language.layers:
        layer.self_attn.o_proj.weight.copy_(layer.self_attn.v_proj.weight.t())
