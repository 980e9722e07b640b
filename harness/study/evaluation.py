"""Settings of evaluation and collection."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveInt, model_validator

from harness.study.settings import Attention, ImageSettings, PromptName, Settings


class ProtocolSettings(Settings):
    """How a checkpoint is asked: prompt style, then greedy generation or the likelihood of every option."""

    prompt: PromptName
    method: Literal["generate", "options"] = "generate"
    """``options`` generates nothing: each option is scored by the log-likelihood of its tokens after the prompt."""
    option_form: Literal["text", "letter"] = "text"
    """What ``options`` scores: the option's text, or its letter in brackets."""
    max_new_tokens: PositiveInt = 40
    batch_size: PositiveInt = 100
    """Questions per batch; part of the protocol because reduced precision makes texts depend on it."""
    batches: Literal["length", "file"] = "length"
    """Questions of like length together, or in the order of the file (as the paper's scripts do)."""
    padding_side: Literal["left", "right"] = "left"
    """``right`` lets a decoder go on after padding, as the paper's script for base models does."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    attention: Attention = "sdpa"
    images: ImageSettings = ImageSettings()
    literal_image: bool = False
    """Put the word ``<image>`` between image and text, as the paper's scripts do."""

    @model_validator(mode="after")
    def _options(self) -> "ProtocolSettings":
        if self.method == "options" and self.padding_side == "right":
            raise ValueError("method: options has no padding_side: right; nothing is generated after the padding")
        return self


class CurveSettings(Settings):
    """Evaluation of the intermediate checkpoints."""

    questions: NonNegativeInt = 200
    """So many test questions, evenly spaced over the file, at every kept checkpoint before the last; 0 leaves the curve
    out."""


class CollectSettings(Settings):
    """What the collected tables hold of the run folders' rollouts."""

    rollouts_every: PositiveInt = 10
    """Rollouts of the first and every so-many-th optimiser step are collected; the run folders keep all."""


class RetentionSettings(Settings):
    """What ``ablate clean`` leaves of a training's weights once no stage of the study needs them any more."""

    checkpoints: Literal["all", "last", "none"] = "all"
