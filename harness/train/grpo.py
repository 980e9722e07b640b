"""The ``grpo`` stage: group relative policy optimisation with trl's GRPOTrainer."""

from collections.abc import Callable
from typing import Any

from transformers import PrinterCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from harness.data.files import read_sat
from harness.data.order import row_order
from harness.data.question import Question
from harness.models.processor import ImageTextProcessor, load_processor
from harness.models.prompts import PROMPT_STYLES, PromptStyle
from harness.models.runtime import prepare_process
from harness.record.context import StageContext
from harness.record.outputs import ROLLOUTS, TRAIN_FILE, StepLog, read_steps
from harness.scoring.rewards import REWARDS, Rollout
from harness.study.settings import GRPOSettings
from harness.train.checks import check_rewards, conclude, train_checked
from harness.train.common import StageCallback, lazy_dataset, load_start, lora_config, trainer_arguments

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


def run(context: StageContext) -> None:
    """One GRPO stage; see `StageContext`. Inputs: ``model``, ``data``."""
    prepare_process()
    given = dict(context.settings)
    seed, tuning = given.pop("seed"), given.pop("tuning")
    settings = GRPOSettings(**given)
    style = PROMPT_STYLES[settings.prompt]
    start, model = load_start(context)
    processor = load_processor(start)
    processor.chat_template = style.template
    questions = read_sat(context.inputs["data"] / TRAIN_FILE, option_seed=seed)
    order = row_order(len(questions), settings.steps * settings.prompts_per_step, seed)
    rollouts = RolloutLog(StepLog(context.folder / ROLLOUTS), settings, style, processor)
    completions = settings.prompts_per_step * settings.completions_per_prompt
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=[rollouts.reward_function(name) for name in settings.rewards],  # pyright: ignore[reportArgumentType]
        args=GRPOConfig(
            **trainer_arguments(settings, seed, context.folder),
            per_device_train_batch_size=completions,
            steps_per_generation=1,
            num_generations=settings.completions_per_prompt,
            max_completion_length=settings.max_new_tokens,
            temperature=settings.temperature,
            top_k=settings.top_k,
            beta=settings.beta,
            loss_type=settings.loss,
            scale_rewards=settings.scale_rewards,
            reward_weights=list(settings.rewards.values()),
            shuffle_dataset=False,  # the order is ours: a function of the seed alone
            generation_kwargs={"suppress_tokens": processor.input_only_tokens()},
        ),
        train_dataset=lazy_dataset(len(order), lambda i: example(questions[order[i]], style)),
        processing_class=processor,
        peft_config=lora_config(tuning),
    )
    names = METRICS | {f"rewards/{name}/mean": f"reward_{name}" for name in settings.rewards}
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(StageCallback(context, processor, names))
    checks = train_checked(trainer, tuning, settings.steps)
    rollouts.log.flush()
    checks["rewards"] = check_rewards(read_steps(context.folder / ROLLOUTS), settings.rewards, style.prefill)
    conclude(checks, context.folder)


def example(question: Question, style: PromptStyle) -> dict[str, Any]:
    """A question as trl's conversational prompt with an image, and the columns that rewards need."""
    return {
        "prompt": [{"role": "user", "content": style.user_text(question)}],
        "image": question.image(),
        "question": question.index,
        "choices": question.choices,
        "answer": question.answer,
    }


class RolloutLog:
    """Computes the rewards that trl asks for, and records every rollout with its reward parts."""

    def __init__(self, log: StepLog, settings: GRPOSettings, style: PromptStyle, processor: ImageTextProcessor):
        self.log = log
        self.settings = settings
        self.style = style
        self.end = processor.tokenizer.eos_token_id
        self._parts: dict[str, list[float]] = {}

    def reward_function(self, name: Any) -> Callable[..., list[float]]:
        """A reward in trl's calling convention; when the last one has been paid the rollouts are recorded."""

        def reward(completions: list[Any], completion_ids: list[list[int]], **columns: Any) -> list[float]:
            texts = [completion[0]["content"] for completion in completions]
            rollouts = [
                Rollout(text, self.style.prefill, tuple(choices), answer)
                for text, choices, answer in zip(texts, columns["choices"], columns["answer"], strict=True)
            ]
            paid = REWARDS[name](rollouts)
            self._parts[name] = paid
            if len(self._parts) == len(self.settings.rewards):
                self._record(rollouts, completion_ids, columns)
            return paid

        reward.__name__ = name
        return reward

    def _record(self, rollouts: list[Rollout], completion_ids: list[list[int]], columns: dict[str, Any]) -> None:
        step = columns["trainer_state"].global_step + 1
        for i, (rollout, ids) in enumerate(zip(rollouts, completion_ids, strict=True)):
            parts = {name: self._parts[name][i] for name in self.settings.rewards}
            self.log.add(
                {
                    "step": step,
                    "question": columns["question"][i],
                    "sample": i % self.settings.completions_per_prompt,
                    "text": rollout.text,
                    "tokens": len(ids),
                    "finish": "stop" if ids and ids[-1] == self.end else "length",
                    "choices": list(rollout.choices),
                    "answer": rollout.answer,
                    "reward": sum(weight * parts[name] for name, weight in self.settings.rewards.items()),
                    **{f"reward_{name}": part for name, part in parts.items()},
                }
            )
        self._parts = {}
