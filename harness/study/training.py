"""Settings of the trainings, each with its unit and default."""

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
    with_config,
)
from typing_extensions import TypedDict

from harness.study.settings import Attention, Cosmetic, ImageSettings, PromptName, Settings, Share

Tuned = Literal["full", "lora", "vision-frozen", "tower-frozen", "language-frozen", "merger-only"]
"""What is tuned: all weights; adapters; all but tower and merger; all but the tower; all but the language model; the
merger alone."""
Module = Literal["vision", "merger", "language"]
RewardName = Literal["accuracy", "accuracy_strict", "accuracy_authors", "format", "length", "random"]
Schedule = Literal["constant", "constant_with_warmup", "linear", "cosine"]


class Lesson(Settings):
    """One kind of example in supervised data: a prompt style, the reply to learn and its share."""

    prompt: PromptName
    reply: str
    """Text with ``{answer}`` for the correct option's text."""
    weight: PositiveFloat = 1.0
    """Relative frequency among the lessons."""


class DeepSpeedSettings(Settings):
    """DeepSpeed's ZeRO; needs the package ``deepspeed`` where the job runs."""

    stage: Literal[1, 2] = 2
    """1 shards the optimiser state over the processes, 2 the gradients too."""
    offload_optimizer: bool = False
    """Keep the optimiser state in the host's memory."""


class FSDPSettings(Settings):
    """PyTorch's fully sharded data parallelism, version 2, wrapped by decoder layer and vision block."""

    reshard_after_forward: bool = True
    offload_parameters: bool = False


class ComputeSettings(Settings):
    """How a training is spread and rounded. It changes results in the last digits or more, so it is no site setting."""

    processes: PositiveInt = 1
    """Processes with one GPU (or, without GPUs, one core) each."""
    accumulation: PositiveInt = 1
    """Backward passes per optimiser step and process."""
    precision: Literal["float32", "bfloat16", "bfloat16-mixed"] = "float32"
    """Of the weights; ``bfloat16-mixed`` keeps float32 weights and computes in bfloat16."""
    gradient_checkpointing: bool = False
    attention: Attention = "sdpa"
    deepspeed: DeepSpeedSettings | None = None
    fsdp: FSDPSettings | None = None

    @model_validator(mode="after")
    def _one_sharding(self) -> "ComputeSettings":
        if self.deepspeed and self.fsdp:
            raise ValueError("deepspeed and fsdp exclude each other; keep one")
        if (self.deepspeed or self.fsdp) and self.precision == "float32":
            raise ValueError("deepspeed and fsdp are for bfloat16 or bfloat16-mixed; set precision")
        return self


class OptimizerSettings(Settings):
    """AdamW and its schedule, common to SFT and GRPO."""

    steps: PositiveInt
    """Optimiser steps."""
    learning_rate: PositiveFloat
    schedule: Schedule
    warmup_steps: NonNegativeInt
    decay_steps: PositiveInt | None = None
    """Steps after which a linear or cosine schedule reaches zero; ``steps`` when left out. (The paper reports 1,500
    steps of a schedule made for two epochs.)"""
    adam_beta1: PositiveFloat = 0.9
    adam_beta2: PositiveFloat = 0.98
    weight_decay: NonNegativeFloat = 0.0
    max_grad_norm: PositiveFloat = 1.0
    images: ImageSettings = ImageSettings()
    literal_image: bool = False
    """Put the word ``<image>`` between image and text, as the paper's released code does."""
    compute: ComputeSettings = ComputeSettings()
    checkpoint_every: Annotated[PositiveInt, Cosmetic] = 50
    """A checkpoint is kept after every so many steps, and after the last."""
    resume_every: Annotated[PositiveInt, Cosmetic] = 100
    """All that is needed to go on (weights, optimiser, random states) is saved after every so many steps, and when the
    job is told to stop; only the newest is kept, and none when the training is done."""

    def checkpoint_steps(self) -> list[int]:
        """Steps after which a checkpoint is kept: every ``checkpoint_every``-th and the last."""
        return sorted({*range(self.checkpoint_every, self.steps + 1, self.checkpoint_every), self.steps})

    @model_validator(mode="after")
    def _decay(self) -> "OptimizerSettings":
        if self.decay_steps is not None and self.decay_steps < self.steps:
            raise ValueError(
                f"decay_steps is {self.decay_steps}, less than steps ({self.steps}); the rate would be zero"
            )
        return self


def _divisible(what: str, number: int, compute: ComputeSettings) -> None:
    parts = compute.processes * compute.accumulation
    if number % parts:
        text = f"{what} is {number}, which {compute.processes} processes x {compute.accumulation} accumulation"
        raise ValueError(f"{text} can't share evenly; make it a multiple of {parts}")


class SFTSettings(OptimizerSettings):
    """Supervised fine-tuning on the training file."""

    steps: PositiveInt = 300
    learning_rate: PositiveFloat = 5e-4
    schedule: Schedule = "linear"
    warmup_steps: NonNegativeInt = 20
    batch_size: PositiveInt = 48
    """Examples per optimiser step, over all processes."""
    lessons: list[Lesson] = Field(default=[Lesson(prompt="micro-instruct-direct", reply="{answer}")], min_length=1)
    loss_on: Literal["reply", "all"] = "reply"
    """``all`` learns the prompt's text too (image tokens never)."""
    max_length: PositiveInt | None = None
    """Examples of more tokens fail the stage: cutting them would cut the reply away without a word."""

    @model_validator(mode="after")
    def _batches(self) -> "SFTSettings":
        _divisible("batch_size", self.batch_size, self.compute)
        return self


class InstructSettings(SFTSettings):
    """The instruct start model: supervised tuning of another start model, with a seed of its own."""

    of: str
    """Name of the start model that is tuned."""
    seed: NonNegativeInt = 0


def _weight(value: Any) -> Any:
    """A bare number is a term's weight."""
    return {"weight": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class RewardTerm(Settings):
    """One reward function in the sum."""

    weight: float = 1.0


class LengthTerm(RewardTerm):
    """Pays for tokens, right or wrong: the paper's length reward (figures 5 and 6) and one with a limit."""

    per_token: PositiveFloat = 0.001
    """Reward per token of the completion, the end token left out."""
    cap: PositiveInt | None = None
    """Tokens beyond which nothing more is paid; no limit when left out."""


class RandomTerm(RewardTerm):
    """A reward that knows nothing: a function of seed, step, question and sample alone."""

    probability: Share | None = 0.5
    """Of a 1, else 0. Null: uniform between 0 and 1, so that no two are equal."""


@with_config(ConfigDict(extra="forbid"))
class Rewards(TypedDict, total=False):
    """Reward functions by name, with their parameters; a bare number is the weight.

    accuracy: the completion names the right option (rule ``lenient``); accuracy_strict: rule ``strict``;
    accuracy_authors, format: as the paper's released code computes them; length; random.
    """

    accuracy: Annotated[RewardTerm, BeforeValidator(_weight)]
    accuracy_strict: Annotated[RewardTerm, BeforeValidator(_weight)]
    accuracy_authors: Annotated[RewardTerm, BeforeValidator(_weight)]
    format: Annotated[RewardTerm, BeforeValidator(_weight)]
    length: Annotated[LengthTerm, BeforeValidator(_weight)]
    random: Annotated[RandomTerm, BeforeValidator(_weight)]


def _not_empty(rewards: Rewards) -> Rewards:
    if not rewards:
        raise ValueError(f"there is no reward; name one at least: {', '.join(get_args(RewardName))}")
    return rewards


class VLLMSettings(Settings):
    """Generation of the rollouts by vLLM; needs the extra ``cluster`` where the job runs."""

    mode: Literal["colocate", "server"] = "colocate"
    gpu_memory_share: Share = 0.3
    """Of a training GPU, for ``colocate``."""
    server: str | None = None
    """``http://host:port`` of a running ``trl vllm-serve``, for ``server``."""

    @model_validator(mode="after")
    def _server(self) -> "VLLMSettings":
        if (self.mode == "server") != (self.server is not None):
            raise ValueError("server is given with mode: server and only then")
        return self


class GRPOSettings(OptimizerSettings):
    """Group relative policy optimisation (arXiv 2402.03300) with verifiable rewards, as trl implements it."""

    steps: PositiveInt = 300
    learning_rate: PositiveFloat = 2e-4
    schedule: Schedule = "constant_with_warmup"
    warmup_steps: NonNegativeInt = 5
    prompt: PromptName = "micro-base-think"
    """Prompt style of the rollouts."""
    prompts_per_step: PositiveInt = 8
    """New questions per optimiser step, over all processes."""
    completions_per_prompt: Annotated[int, Field(ge=2)] = 8
    """Group size G."""
    max_new_tokens: PositiveInt = 28
    """Completion limit in tokens."""
    temperature: PositiveFloat = 1.0
    top_k: NonNegativeInt = 0
    """0 samples from the whole vocabulary. (The paper's stack had 50 by default, without saying so.)"""
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    beta: NonNegativeFloat = 0.0
    """Weight of the KL penalty (k3 estimate) against the start model."""
    epsilon: PositiveFloat = 0.2
    """Clipping range of the probability ratio; without effect while every batch is used for one update."""
    optimizer_steps_per_generation: PositiveInt = 1
    """Optimiser steps that one batch of rollouts is spread over; ``prompts_per_step`` still counts per step."""
    iterations: PositiveInt = 1
    """Times that every rollout is used (mu in arXiv 2402.03300)."""
    loss: Literal["grpo", "dapo", "dr_grpo", "bnpo"] = "dapo"
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """What the centred rewards are divided by."""
    mask_truncated: bool = False
    """Leave completions that hit the limit out of the loss."""
    rewards: Annotated[Rewards, AfterValidator(_not_empty)] = Field(
        default={"accuracy": RewardTerm(), "format": RewardTerm()}
    )
    vllm: VLLMSettings | None = None

    @model_validator(mode="after")
    def _batches(self) -> "GRPOSettings":
        completions = self.prompts_per_step * self.completions_per_prompt
        _divisible("prompts_per_step x completions_per_prompt", completions, self.compute)
        per_generation = self.optimizer_steps_per_generation * self.iterations
        if self.steps % per_generation:
            text = f"steps is {self.steps}, no multiple of optimizer_steps_per_generation x iterations"
            raise ValueError(f"{text} ({per_generation})")
        return self

    def terms(self) -> dict[RewardName, RewardTerm]:
        """The reward terms by name, in the order of the file."""
        return dict(self.rewards)  # pyright: ignore[reportReturnType]


class LoraSettings(Settings):
    """Low-rank adaptation (arXiv 2106.09685) of linear layers."""

    rank: PositiveInt = 16
    alpha: PositiveFloat = 32.0
    dropout: Share = 0.0
    modules: list[Module] = Field(default=["language"], min_length=1)
    """Parts of the model that get adapters."""
    layers: list[Literal["attention", "mlp"]] = Field(default=["attention", "mlp"], min_length=1)
    """Linear layers of each block that get adapters; the merger has ``mlp`` alone."""
