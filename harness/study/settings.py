"""What all settings have in common, and the names that several of them use.

A setting that cannot change the outcome (when to save, for instance) is marked ``Cosmetic`` and left out of a
stage's identity; all others are hashed, defaults included.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

PromptName = Literal[
    "micro-base-think",
    "micro-instruct-direct",
    "micro-instruct-think",
    "paper-base-think",
    "paper-base-plain",
    "paper-instruct-think",
    "paper-instruct-think-eval",
    "paper-instruct-plain",
    "instruct-no-think",
]
GenerationRule = Literal["lenient", "strict", "authors"]
OptionRule = Literal["likelihood", "likelihood_per_token"]
RuleName = Literal["lenient", "strict", "authors", "likelihood", "likelihood_per_token"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Attention = Literal["sdpa", "eager", "flash_attention_2"]


class Cosmetic:
    """Marks a field that cannot change the outcome and so is no part of a stage's identity."""


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def identity(self) -> dict[str, Any]:
        """All values as plain JSON data, without the cosmetic ones, those of groups inside it neither."""
        values = self.model_dump(mode="json", exclude=self.cosmetic_names())
        for name in values:
            inner = getattr(self, name)
            if isinstance(inner, Settings):
                values[name] = inner.identity()
        return values

    def cosmetic(self) -> dict[str, Any]:
        """The cosmetic values as plain JSON data."""
        return self.model_dump(mode="json", include=self.cosmetic_names())

    @classmethod
    def cosmetic_names(cls) -> set[str]:
        return {
            name
            for name, field in cls.model_fields.items()
            if any(isinstance(mark, Cosmetic) or mark is Cosmetic for mark in field.metadata)
        }


class ImageSettings(Settings):
    """How images are brought to size. Backends differ by up to 0.015 in pixel values, so they are part of a stage."""

    backend: Literal["pil", "torchvision"] = "pil"
    min_pixels: PositiveInt | None = None
    """Images with fewer pixels are enlarged; the model's own limit when left out (Qwen2-VL: 3,136)."""
    max_pixels: PositiveInt | None = None
    """Images with more pixels are made smaller; the model's own limit when left out (Qwen2-VL: 12,845,056)."""
