"""The ``grpo`` stage: group relative policy optimisation with trl's GRPOTrainer."""

from pathlib import Path
from typing import Any

from transformers import GenerationConfig
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from harness.data.files import read_sat
from harness.data.fingerprint import fingerprint
from harness.data.order import row_order
from harness.data.question import Question
from harness.models.processor import end_tokens
from harness.models.prompts import PROMPT_STYLES, PromptStyle
from harness.models.runtime import prepare_process
from harness.record.context import StageContext
from harness.record.outputs import ROLLOUTS, TRAIN_FILE, read_steps
from harness.study.training import GRPOSettings
from harness.train.checks import check_rewards, conclude
from harness.train.common import lazy_dataset, load_start, open_log, require, train_checked, trainer_arguments
from harness.train.resume import ResumableTrainer
from harness.train.rollouts import RolloutLog
from harness.train.tuning import lora_config

METRICS = {
    "loss": "loss",
    "reward": "reward",
    "reward_std": "reward_std",
    "completions/mean_length": "completion_length",
    "completions/clipped_ratio": "clipped_ratio",
    "kl": "kl",
    "entropy": "entropy",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
}
"""trl's metric names -> columns of the ``training`` table; those of the reward parts come on top."""


class Trainer(ResumableTrainer, GRPOTrainer):
    """trl's trainer, made to resume exactly."""


def run(context: StageContext) -> None:
    """One GRPO stage; see `StageContext`. Inputs: ``model``, ``data``."""
    prepare_process()
    given = dict(context.settings)
    seed, tuning = given.pop("seed"), given.pop("tuning")
    settings = GRPOSettings(**given)
    style = PROMPT_STYLES[settings.prompt]
    model, processor = load_start(context, settings)
    processor.chat_template = style.template
    questions = read_sat(context.inputs["data"] / TRAIN_FILE, option_seed=seed)
    order = row_order(len(questions), settings.steps * settings.prompts_per_step // settings.iterations, seed)
    log = open_log(context, ROLLOUTS)
    ends = end_tokens(model, processor, style.end)
    # A model's own configuration (Instruct's says top_k 1) would fill in what trl leaves open.
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=processor.tokenizer.pad_token_id)
    rollouts = RolloutLog(log, settings, style, seed, ends)
    arguments = grpo_arguments(settings, seed, context.folder)
    # trl would replace its own list of suppressed tokens by this one, so it must be complete.
    arguments["generation_kwargs"] = {"suppress_tokens": processor.input_only_tokens()}
    trainer = Trainer(
        model=model,
        reward_funcs=[rollouts.reward_function(name) for name in settings.terms()],
        args=GRPOConfig(**arguments),
        train_dataset=lazy_dataset(len(order), lambda i: example(questions[order[i]], style, settings.literal_image)),
        processing_class=processor,
        peft_config=lora_config(tuning),
    )
    rollouts.rank = trainer.args.process_index
    names = METRICS | {f"rewards/{name}/mean": f"reward_{name}" for name in settings.terms()}
    facts = {"data_fingerprint": fingerprint(questions, order), "prompt_hash": style.hash}
    checks = train_checked(trainer, context, settings, names, processor, [log], facts)
    if trainer.is_world_process_zero():
        checks["rewards"] = check_rewards(read_steps(context.folder / ROLLOUTS), settings.terms(), style.prefill)
        conclude(checks, context.folder)


def grpo_arguments(settings: GRPOSettings, seed: int, folder: Path) -> dict[str, Any]:
    """Arguments of trl's GRPOConfig.

    trl counts batches in completions per process and backward pass, and steps per generation in backward passes.
    """
    compute = settings.compute
    completions = settings.prompts_per_step * settings.completions_per_prompt
    arguments = dict(
        **trainer_arguments(settings, seed, folder),
        per_device_train_batch_size=completions // (compute.processes * compute.accumulation),
        steps_per_generation=compute.accumulation * settings.optimizer_steps_per_generation,
        num_iterations=settings.iterations,
        num_generations=settings.completions_per_prompt,
        max_completion_length=settings.max_new_tokens,
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
        beta=settings.beta,
        epsilon=settings.epsilon,
        loss_type=settings.loss,
        scale_rewards=settings.scale_rewards,
        mask_truncated_completions=settings.mask_truncated,
        reward_weights=[term.weight for term in settings.terms().values()],
        shuffle_dataset=False,  # the order is ours: a function of the seed alone
    )
    if settings.vllm:
        require("vllm", "grpo.vllm")
        arguments |= dict(use_vllm=True, vllm_mode=settings.vllm.mode, vllm_server_base_url=settings.vllm.server)
        arguments |= dict(vllm_gpu_memory_utilization=settings.vllm.gpu_memory_share)
    return arguments


def example(question: Question, style: PromptStyle, literal_image: bool) -> dict[str, Any]:
    """A question as trl's conversational prompt with an image, and the columns that rewards need."""
    return {
        "prompt": [{"role": "user", "content": style.user_text(question, literal_image)}],
        "image": question.image(),
        "question": question.index,
        "choices": question.choices,
        "answer": question.answer,
    }
