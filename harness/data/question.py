"""One record type for a question, wherever it came from."""

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from harness.data.images import StoredImage

LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class Question:
    """A multiple-choice question about one image."""

    index: int
    """CV-Bench: its ``idx``. SAT: its row in the source files, which names it whatever was left out before it."""
    text: str
    """The question alone, without options."""
    choices: tuple[str, ...]
    """Option texts in the order in which they are presented."""
    answer: str
    """Text of the correct option."""
    stored_image: StoredImage | bytes
    """The encoded image, or where it is read from."""
    task: str
    type: str
    """2D or 3D; empty where the data set doesn't say."""
    source: str
    image_id: str
    """What identifies the image: questions that share it form a cluster."""
    prompt: str = ""
    """Question and options as the data set presents them; empty where it has no say."""

    @property
    def answer_letter(self) -> str:
        return LETTERS[self.choices.index(self.answer)]

    @property
    def image_bytes(self) -> bytes:
        """The encoded image, read from its file."""
        return self.stored_image if isinstance(self.stored_image, bytes) else self.stored_image.read()

    def image(self) -> Image.Image:
        """The decoded RGB image."""
        return Image.open(io.BytesIO(self.image_bytes)).convert("RGB")


def shuffled_choices(choices: Sequence[str], seed: int, index: int) -> tuple[str, ...]:
    """The options of row ``index`` in an order that depends on the study's seed and the row alone."""
    order = list(choices)
    random.Random(f"options/{seed}/{index}").shuffle(order)
    return tuple(order)


def sat_prompt(question: str, choices: Sequence[str]) -> str:
    """A SAT question as the paper's training presents it, leading space included."""
    *first, last = choices
    options = f"{', '.join(first)} or {last}"
    return f" Answer in natural language. {question} Choose between the following options: {options}"
