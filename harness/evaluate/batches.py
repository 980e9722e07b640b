"""Which questions are asked together."""

import io
from collections.abc import Sequence

from PIL import Image

from harness.data.question import Question
from harness.models.processor import ImageTextProcessor
from harness.models.prompts import PROMPT_STYLES
from harness.study.evaluation import ProtocolSettings


def prompt_lengths(
    processor: ImageTextProcessor, questions: Sequence[Question], protocol: ProtocolSettings
) -> list[int]:
    """Tokens of every question's prompt, those that its image will stand for included. No image is decoded for it."""
    style, images = PROMPT_STYLES[protocol.prompt], processor.image_processor
    prompts = [style.render(question, protocol.literal_image) for question in questions]
    lengths = []
    for question, ids in zip(questions, processor.tokenizer(prompts)["input_ids"], strict=True):
        width, height = Image.open(io.BytesIO(question.image_bytes)).size  # reads the file's head alone
        patches = images.get_number_of_image_patches(height, width, {})
        lengths.append(len(ids) - 1 + patches // images.merge_size**2)  # one placeholder becomes all of them
    return lengths


def plan_batches(lengths: Sequence[int], protocol: ProtocolSettings) -> list[list[int]]:
    """Positions of the questions of each batch: a function of lengths and protocol alone.

    ``batches: length`` puts the longest first, so that what doesn't fit into memory shows at once; equal lengths
    keep the file's order.
    """
    order = list(range(len(lengths)))
    if protocol.batches == "length":
        order.sort(key=lambda position: -lengths[position])
    return [order[first : first + protocol.batch_size] for first in range(0, len(order), protocol.batch_size)]
