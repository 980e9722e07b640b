"""Every setting of a study, with its unit and default.

A setting that cannot change the outcome (when to save, for instance) is marked ``Cosmetic`` and left out of a
stage's identity; all others are hashed, defaults included.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

PromptName = Literal["micro-base-think", "micro-instruct-direct", "micro-instruct-think"]
RewardName = Literal["accuracy", "format"]
RuleName = Literal["lenient", "strict"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Cosmetic:
    """Marks a field that cannot change the outcome and so is no part of a stage's identity."""


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def identity(self) -> dict[str, Any]:
        """All values as plain JSON data, without the cosmetic ones."""
        return {
            name: value for name, value in self.model_dump(mode="json").items() if name not in self.cosmetic_names()
        }

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


class WorldSettings(Settings):
    """The miniature world's data sets: SAT-like training questions, CV-Bench-like test questions."""

    train_questions: PositiveInt = 16_000
    """Rows of the training file (SAT's columns)."""
    test_questions: PositiveInt = 1_000
    """Rows of the held-out file (CV-Bench's columns), the four tasks in turn."""


class PretrainSettings(Settings):
    """Recipe of the miniature base model: shape, then a supervised vision stage, then documents."""

    seed: NonNegativeInt = 0
    hidden_size: PositiveInt = 128
    layers: PositiveInt = 3
    heads: PositiveInt = 4
    intermediate_size: PositiveInt = 320
    vision_width: PositiveInt = 64
    vision_layers: PositiveInt = 2
    initializer_std: PositiveFloat = 0.06
    vision_steps: PositiveInt = 200
    """Steps of the vision tower on dense cell labels (colour, row, column)."""
    vision_batch_size: PositiveInt = 64
    vision_learning_rate: PositiveFloat = 2e-3
    steps: PositiveInt = 3_300
    """Steps of next-token prediction on the world's documents."""
    batch_size: PositiveInt = 48
    learning_rate: PositiveFloat = 2e-3
    warmup_steps: PositiveInt = 60
    adam_beta2: PositiveFloat = 0.98
    weight_decay: NonNegativeFloat = 0.01
    well_formed_share: Share = 0.10
    """Share of the think-prompt documents that end in ``</think> <answer> X </answer>`` after a fact."""
    empty_thought_share: Share = 0.03
    """Share of the think-prompt documents with a well-formed but empty thought and a random answer; from
    about 0.07 on, GRPO collapses to that sentence."""


class Lesson(Settings):
    """One kind of example in supervised data: a prompt style, the reply to learn and its share."""

    prompt: PromptName
    reply: str
    """Text with ``{answer}`` for the correct option's text."""
    weight: PositiveFloat = 1.0
    """Relative frequency among the lessons."""


class OptimizerSettings(Settings):
    """AdamW and its schedule, common to SFT and GRPO."""

    steps: PositiveInt
    """Optimiser steps."""
    learning_rate: PositiveFloat
    schedule: Literal["constant_with_warmup", "linear", "cosine"]
    warmup_steps: NonNegativeInt
    adam_beta1: PositiveFloat = 0.9
    adam_beta2: PositiveFloat = 0.98
    weight_decay: NonNegativeFloat = 0.0
    max_grad_norm: PositiveFloat = 1.0
    checkpoint_every: Annotated[PositiveInt, Cosmetic] = 50
    """A checkpoint is kept after every so many steps, and after the last."""

    def checkpoint_steps(self) -> list[int]:
        """Steps after which a checkpoint is kept: every ``checkpoint_every``-th and the last."""
        return sorted({*range(self.checkpoint_every, self.steps + 1, self.checkpoint_every), self.steps})


class SFTSettings(OptimizerSettings):
    """Supervised fine-tuning on the training file, loss on the reply alone."""

    steps: PositiveInt = 300
    learning_rate: PositiveFloat = 5e-4
    schedule: Literal["constant_with_warmup", "linear", "cosine"] = "linear"
    warmup_steps: NonNegativeInt = 20
    batch_size: PositiveInt = 48
    """Examples per optimiser step."""
    lessons: list[Lesson] = Field(default=[Lesson(prompt="micro-instruct-direct", reply="{answer}")], min_length=1)


class InstructSettings(SFTSettings):
    """The instruct start model: supervised tuning of another start model, with a seed of its own."""

    of: str
    """Name of the start model that is tuned."""
    seed: NonNegativeInt = 0


class GRPOSettings(OptimizerSettings):
    """Group relative policy optimisation (arXiv 2402.03300) with verifiable rewards, as trl implements it."""

    steps: PositiveInt = 300
    learning_rate: PositiveFloat = 2e-4
    schedule: Literal["constant_with_warmup", "linear", "cosine"] = "constant_with_warmup"
    warmup_steps: NonNegativeInt = 5
    prompt: PromptName = "micro-base-think"
    """Prompt style of the rollouts."""
    prompts_per_step: PositiveInt = 8
    completions_per_prompt: Annotated[int, Field(ge=2)] = 8
    """Group size G."""
    max_new_tokens: PositiveInt = 28
    """Completion limit in tokens."""
    temperature: PositiveFloat = 1.0
    top_k: NonNegativeInt = 0
    """0 samples from the whole vocabulary."""
    beta: NonNegativeFloat = 0.0
    """Weight of the KL penalty against the start model."""
    loss: Literal["grpo", "dapo", "dr_grpo", "bnpo"] = "dapo"
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """What the centred rewards are divided by."""
    rewards: dict[RewardName, float] = Field(default={"accuracy": 1.0, "format": 1.0}, min_length=1)
    """Reward functions and their weights in the sum."""


class LoraSettings(Settings):
    """Low-rank adaptation (arXiv 2106.09685) of the language model's linear layers."""

    rank: PositiveInt = 16
    alpha: PositiveFloat = 32.0
    dropout: Share = 0.0


class ProtocolSettings(Settings):
    """How a checkpoint is turned into completions: prompt style and greedy generation."""

    prompt: PromptName
    max_new_tokens: PositiveInt = 40
    batch_size: PositiveInt = 100
    """Questions per batch; part of the protocol because reduced precision makes texts depend on it."""
    padding_side: Literal["left", "right"] = "left"
    dtype: Literal["float32", "bfloat16"] = "float32"


class CurveSettings(Settings):
    """Evaluation of the intermediate checkpoints."""

    questions: NonNegativeInt = 200
    """First so many test questions at every kept checkpoint before the last; 0 leaves the curve out."""


class CollectSettings(Settings):
    """What the collected tables hold of the run folders' rollouts."""

    rollouts_every: PositiveInt = 10
    """Rollouts of the first and every so-many-th optimiser step are collected; the run folders keep all."""


class ArmSettings(Settings):
    """All settings of one arm, resolved from the study's own, its levels' and the arm's."""

    start: str
    """Name of the start model."""
    training: Literal["none", "sft", "grpo"]
    tuned: Literal["full", "lora"] = "full"
    lora: LoraSettings = LoraSettings()
    sft: SFTSettings = SFTSettings()
    grpo: GRPOSettings = GRPOSettings()
    protocols: list[str] = Field(min_length=1)
    """Names of the protocols that the final checkpoint is evaluated under; the first is the arm's own."""
    curve: CurveSettings = CurveSettings()
