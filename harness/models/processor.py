"""A processor for images and text that needs neither torchvision nor a video processor."""

import importlib.util
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import AutoImageProcessor, BatchFeature, PreTrainedModel, PreTrainedTokenizerFast
from transformers.image_utils import SizeDict
from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor
from transformers.processing_utils import ProcessorMixin

from harness.study.settings import ImageSettings


class ImageTextProcessor(Qwen2VLProcessor):
    """The processor of Qwen2-VL, Qwen2.5-VL and Qwen3-VL without its video half.

    The stock classes take a video processor, which can't be built without torchvision; this one replaces image
    placeholders just as they do. What differs between the families (patches of 14 or 16 pixels, limits,
    normalisation) is in the image processor.
    """

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None, **_: Any):
        self.image_token = "<|image_pad|>"
        self.video_token = "<|video_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
        # Not Qwen2VLProcessor's own __init__: it insists on a video processor.
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    def encode(self, images: list[Image.Image], texts: list[str], padding_side: str = "left") -> BatchFeature:
        """Model inputs for prompts with one image each, padded to one length.

        Returns:
            ``input_ids``, ``attention_mask``, ``mm_token_type_ids`` (batch, length), ``pixel_values``
            (patches, values of a patch), ``image_grid_thw`` (batch, 3).
        """
        return self(
            images=[[image] for image in images],  # pyright: ignore[reportArgumentType]
            text=texts,
            return_tensors="pt",  # pyright: ignore[reportCallIssue]
            padding=True,  # pyright: ignore[reportCallIssue]
            padding_side=padding_side,  # pyright: ignore[reportCallIssue]
        )

    def save_pretrained(self, save_directory: str | Path, push_to_hub: bool = False, **_: Any) -> list[str]:
        """Save both halves, and nothing of this class: the stock one writes its name into them, which is of no use to
        others and would make a checkpoint depend on what was saved before."""
        self.image_processor.save_pretrained(save_directory)
        return list(self.tokenizer.save_pretrained(save_directory))

    def input_only_tokens(self) -> list[int]:
        """Ids that a model must never be let write: a vision token without an image behind it breaks the next
        forward pass."""
        ids = self.tokenizer.convert_tokens_to_ids([self.image_token, self.video_token, "<|vision_start|>"])
        assert isinstance(ids, list)
        return ids


def load_processor(folder: Path, images: ImageSettings | None = None) -> ImageTextProcessor:
    """The processor that was saved with a model, by this harness or by anyone else in the Hugging Face layout.

    Args:
        folder: holds image processor and tokenizer.
        images: backend and limits; the PIL backend and the saved limits when left out.

    Raises:
        ValueError: torchvision is asked for and isn't installed, or the limits exclude each other.
    """
    images = images or ImageSettings()
    if images.backend == "torchvision" and importlib.util.find_spec("torchvision") is None:
        raise ValueError("images.backend is torchvision, which is not installed here; install it or set pil")
    image_processor = AutoImageProcessor.from_pretrained(folder, backend=images.backend)
    least = images.min_pixels or image_processor.size["shortest_edge"]
    most = images.max_pixels or image_processor.size["longest_edge"]
    if least > most:
        raise ValueError(
            f"images.min_pixels ({least}) is more than images.max_pixels ({most}); {folder} has saved "
            f"{image_processor.size['shortest_edge']} and {image_processor.size['longest_edge']}"
        )
    image_processor.size = SizeDict(shortest_edge=least, longest_edge=most)
    # trl pads prompts on the left itself, but takes the token types that tell image from text as this pads them: were
    # it on the right, prompts of unequal length would get wrong positions, mostly without an error.
    return ImageTextProcessor(image_processor, PreTrainedTokenizerFast.from_pretrained(folder, padding_side="left"))


def save_processor(processor: ImageTextProcessor, folder: Path) -> None:
    """Save image processor and tokenizer in the ordinary Hugging Face layout."""
    processor.save_pretrained(folder)


def end_tokens(model: PreTrainedModel, processor: ImageTextProcessor, style_end: str | None = None) -> list[int]:
    """Ids that end a reply: the tokenizer's end token, those of the model's generation configuration, and the prompt
    style's own."""
    generation = getattr(model.generation_config, "eos_token_id", None)
    found = [*(generation if isinstance(generation, list) else [generation]), processor.tokenizer.eos_token_id]
    if style_end is not None:
        found.append(processor.tokenizer.convert_tokens_to_ids(style_end))
    return sorted({each for each in found if each is not None})
