"""One record type for a question, wherever it came from."""

import io
import random
from dataclasses import dataclass

from PIL import Image

LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class Question:
    """A multiple-choice question about one image."""

    index: int
    """Row in its file."""
    text: str
    """The question alone, without options."""
    choices: tuple[str, ...]
    """Option texts in the order in which they are presented."""
    answer: str
    """Text of the correct option."""
    image_bytes: bytes
    """Encoded image."""
    task: str
    type: str
    """2D or 3D; empty where the data set doesn't say."""
    source: str
    image_id: str
    """What identifies the image: questions that share it form a cluster."""

    @property
    def answer_letter(self) -> str:
        return LETTERS[self.choices.index(self.answer)]

    def image(self) -> Image.Image:
        """The decoded RGB image."""
        return Image.open(io.BytesIO(self.image_bytes)).convert("RGB")


def shuffled_choices(choices: list[str], seed: int, index: int) -> tuple[str, ...]:
    """The options of row ``index`` in an order that depends on the study's seed and the row alone."""
    order = list(choices)
    random.Random(f"options/{seed}/{index}").shuffle(order)
    return tuple(order)
