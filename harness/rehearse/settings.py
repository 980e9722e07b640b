"""Settings made small: each function takes a group of settings as plain data and gives those of the rehearsal."""

from typing import Any

STEPS = 2
PROMPTS_PER_STEP = 2
COMPLETIONS_PER_PROMPT = 4
NEW_TOKENS = 12
EXAMPLES_PER_STEP = 4
BATCH = 4
LEARNING_RATE = 1e-3
"""At the least: large enough for a change to show after two steps."""
QUESTIONS = 8
CURVE_QUESTIONS = 4
TRAIN_ROWS = 16

Values = dict[str, Any]


def small_images(images: Values) -> Values:
    """Only the backend, which may not be installed here; limits stay."""
    return images | {"backend": "pil"}


def small_compute(compute: Values) -> Values:
    """One process on a CPU."""
    return compute | {
        "processes": 1,
        "accumulation": min(compute["accumulation"], 2),
        "precision": "float32",
        "gradient_checkpointing": False,
        "attention": "sdpa",
        "deepspeed": None,
        "fsdp": None,
    }


def _small_optimizer(settings: Values, steps: int) -> Values:
    return settings | {
        "steps": steps,
        "decay_steps": None if settings["decay_steps"] is None else steps,
        "warmup_steps": 0,
        "learning_rate": max(settings["learning_rate"], LEARNING_RATE),
        "images": small_images(settings["images"]),
        "compute": small_compute(settings["compute"]),
        "checkpoint_every": 1,
        "resume_every": 1,
    }


def small_sft(settings: Values) -> Values:
    """Two steps of a few examples."""
    return _small_optimizer(settings, STEPS) | {"batch_size": min(settings["batch_size"], EXAMPLES_PER_STEP)}


def small_grpo(settings: Values, jitter: float) -> Values:
    """Two steps, or as many as the uses of one batch of rollouts, of a few short rollouts.

    A random model's rewards are all equal, so that no advantage and no gradient would be left; ``jitter`` is the weight
    of a random reward on top (seeded, different for every rollout), unless there is a random reward already.
    """
    uses = settings["optimizer_steps_per_generation"] * settings["iterations"]
    rewards = dict(settings["rewards"])
    if jitter and "random" not in rewards:
        rewards["random"] = {"weight": jitter, "probability": None}
    return _small_optimizer(settings, uses * -(-STEPS // uses)) | {
        "prompts_per_step": min(settings["prompts_per_step"], PROMPTS_PER_STEP),
        "completions_per_prompt": min(settings["completions_per_prompt"], COMPLETIONS_PER_PROMPT),
        "max_new_tokens": min(settings["max_new_tokens"], NEW_TOKENS),
        "rewards": rewards,
        "vllm": None,
    }


def small_protocol(settings: Values) -> Values:
    """The same way of asking, with short replies in small batches, in float32."""
    return settings | {
        "max_new_tokens": min(settings["max_new_tokens"], NEW_TOKENS),
        "batch_size": min(settings["batch_size"], BATCH),
        "dtype": "float32",
        "attention": "sdpa",
        "images": small_images(settings["images"]),
    }
