"""A processor for images and text that needs neither torchvision nor a video processor."""

from pathlib import Path
from typing import Any

from PIL import Image
from transformers import AutoImageProcessor, BatchFeature, PreTrainedTokenizerFast
from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor
from transformers.processing_utils import ProcessorMixin


class ImageTextProcessor(Qwen2VLProcessor):
    """Qwen2-VL's processor without its video half.

    The stock class takes a video processor, which can't be built without torchvision; this one replaces image
    placeholders just as that one does.
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

    def input_only_tokens(self) -> list[int]:
        """Ids that a model must never be let write: a vision token without an image behind it breaks the next
        forward pass."""
        ids = self.tokenizer.convert_tokens_to_ids([self.image_token, self.video_token, "<|vision_start|>"])
        assert isinstance(ids, list)
        return ids


def load_processor(folder: Path) -> ImageTextProcessor:
    """The processor that was saved with a model."""
    image_processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    return ImageTextProcessor(image_processor, tokenizer)


def save_processor(processor: ImageTextProcessor, folder: Path) -> None:
    """Save image processor and tokenizer in the ordinary Hugging Face layout."""
    processor.image_processor.save_pretrained(folder)
    processor.tokenizer.save_pretrained(folder)
