"""Shapes of models: how many parameters they have and what a pass through them costs, without loading any."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

PIXELS_PER_TOKEN = 28 * 28
"""Of an image: patches of 14 x 14 pixels, merged 2 x 2."""


@dataclass(frozen=True)
class Shape:
    """A language model of Qwen2's kind behind a vision tower and a merger, as in Qwen2-VL (arXiv 2409.12191)."""

    hidden: int
    layers: int
    heads: int
    key_heads: int
    intermediate: int
    vocabulary: int
    tied: bool
    """Embedding and output layer are one matrix."""
    vision_width: int = 1280
    vision_layers: int = 32

    @property
    def language(self) -> int:
        """Parameters of the language model, embedding and output layer included."""
        return self._embedding * (1 if self.tied else 2) + self.layers * self._block + self.hidden

    @property
    def vision(self) -> int:
        """Parameters of the vision tower, the merger left out."""
        width = self.vision_width
        # qkv, projection, two layers of the MLP (ratio 4), all with biases, and two norms
        block = 12 * width * width + 9 * width + 4 * width
        return 3 * 2 * 14 * 14 * width + self.vision_layers * block

    @property
    def merger(self) -> int:
        """Parameters of the merger."""
        four = 4 * self.vision_width
        return 2 * self.vision_width + four * four + four + four * self.hidden + self.hidden

    @property
    def parameters(self) -> int:
        return self.language + self.vision + self.merger

    @property
    def _embedding(self) -> int:
        return self.vocabulary * self.hidden

    @property
    def _key_width(self) -> int:
        return self.hidden // self.heads * self.key_heads

    @property
    def _block(self) -> int:
        attention = 2 * self.hidden * self.hidden + 2 * self.hidden * self._key_width
        biases = self.hidden + 2 * self._key_width
        return attention + biases + 3 * self.hidden * self.intermediate + 2 * self.hidden

    def token_flops(self) -> float:
        """Floating-point operations of one token's way through the language model: 2 per parameter, attention over
        the context left out."""
        return 2.0 * (self._embedding + self.layers * self._block)

    def image_flops(self, pixels: float) -> float:
        """Floating-point operations of one image's way through tower and merger: 2 per parameter and patch (merger:
        token), and the tower's attention of every patch to every other (4 x patches^2 x width per layer)."""
        tokens = pixels / PIXELS_PER_TOKEN
        patches = 4 * tokens
        attention = 4.0 * patches * patches * self.vision_width * self.vision_layers
        return 2.0 * self.vision * patches + attention + 2.0 * self.merger * tokens

    def trained(self, tuning: dict[str, Any]) -> int:
        """Parameters that a training stage's ``tuning`` changes; of adapters their own."""
        parts = {"language": self.language, "vision": self.vision, "merger": self.merger}
        match tuning["kind"]:
            case "lora":
                return sum(self._adapters(module, tuning["layers"], tuning["rank"]) for module in tuning["modules"])
            case "vision-frozen":
                return parts["language"]
            case "tower-frozen":
                return parts["language"] + parts["merger"]
            case "language-frozen":
                return parts["vision"] + parts["merger"]
            case "merger-only":
                return parts["merger"]
            case _:
                return self.parameters

    def _adapters(self, module: str, layers: Iterable[str], rank: int) -> int:
        """Parameters of the adapters of one part: rank x (inputs + outputs) of every linear layer."""
        hidden, key, width = self.hidden, self._key_width, self.vision_width
        sizes = {
            "language": {
                "attention": [2 * hidden, hidden + key, hidden + key, 2 * hidden],
                "mlp": 3 * [hidden + self.intermediate],
            },
            "vision": {"attention": [4 * width, 2 * width], "mlp": 2 * [5 * width]},
            "merger": {"mlp": [8 * width, 4 * width + hidden]},
        }[module]
        repeats = {"language": self.layers, "vision": self.vision_layers, "merger": 1}[module]
        return rank * repeats * sum(sum(sizes.get(each, [])) for each in layers)


QWEN2_VL_2B = Shape(1536, 28, 12, 2, 8960, 151_936, tied=True)

SHAPES: dict[str, Shape] = {
    "Qwen/Qwen2-VL-2B": QWEN2_VL_2B,
    "Qwen/Qwen2-VL-2B-Instruct": QWEN2_VL_2B,
    "Qwen/Qwen2-VL-7B": Shape(3584, 28, 28, 4, 18_944, 152_064, tied=False),
    "Qwen/Qwen2-VL-7B-Instruct": Shape(3584, 28, 28, 4, 18_944, 152_064, tied=False),
}
"""By hub id. Other models are counted as Qwen2-VL-2B, and `ablate plan` says so."""

TINY = Shape(64, 2, 4, 2, 128, 300, tied=True, vision_width=32, vision_layers=2)
"""About what a model of kind ``tiny`` is."""


def micro_shape(settings: dict[str, Any]) -> Shape:
    """Shape of a pretrained miniature model (its word list has about 200 entries)."""
    return Shape(
        settings["hidden_size"],
        settings["layers"],
        settings["heads"],
        settings["heads"],
        settings["intermediate_size"],
        200,
        tied=True,
        vision_width=settings["vision_width"],
        vision_layers=settings["vision_layers"],
    )
