"""What SFT and GRPO share: trainer arguments, tuning, and the callback that reports, records and saves."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import (
    Qwen2VLForConditionalGeneration,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from harness.models.checkpoint import last_checkpoint, load_model
from harness.models.processor import ImageTextProcessor, save_processor
from harness.record.context import StageContext
from harness.record.outputs import METRICS, StepLog, checkpoint_folder
from harness.study.settings import OptimizerSettings

LORA_TARGETS = r".*language_model\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
"""The language model's linear layers, by their names in memory; neither vision tower nor merger."""


def trainer_arguments(settings: OptimizerSettings, seed: int, folder: Path) -> dict[str, Any]:
    """Arguments common to SFTConfig and GRPOConfig: optimiser, schedule, seed; nothing saved or sent by trl itself."""
    on_cpu = not torch.cuda.is_available()
    return dict(
        output_dir=str(folder / "trainer"),
        max_steps=settings.steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup_steps,
        optim="adamw_torch",
        adam_beta1=settings.adam_beta1,
        adam_beta2=settings.adam_beta2,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        seed=seed,
        data_seed=seed,
        use_cpu=on_cpu,
        bf16=False,
        gradient_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=not on_cpu,
    )


def load_start(context: StageContext) -> tuple[Path, Qwen2VLForConditionalGeneration]:
    """The start model's last checkpoint and its model in float32."""
    start = last_checkpoint(context.inputs["model"])
    return start, load_model(start)


def lora_config(tuning: dict[str, Any]) -> LoraConfig | None:
    """peft's configuration for a stage's ``tuning`` setting; None when everything is tuned."""
    if tuning["kind"] == "full":
        return None
    return LoraConfig(
        r=tuning["rank"],
        lora_alpha=tuning["alpha"],
        lora_dropout=tuning["dropout"],
        target_modules=LORA_TARGETS,
        task_type="CAUSAL_LM",
    )


class _LazyRows:
    """The transform behind `lazy_dataset`."""

    def __init__(self, row: Callable[[int], dict[str, Any]]):
        self.row = row

    def __call__(self, batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        made = [self.row(position) for position in batch["position"]]
        return {name: [each[name] for each in made] for name in made[0]}

    def __getstate__(self) -> dict[str, Any]:
        # ``datasets`` pickles a transform to make up a cache key that nothing here uses; without this it would
        # pickle the whole training file.
        return {}


def lazy_dataset(length: int, row: Callable[[int], dict[str, Any]]) -> Dataset:
    """A data set whose ``i``-th row is ``row(i)``, made when it is read.

    Images are decoded only then, so that a large training file never lies decoded in memory.
    """
    return Dataset.from_dict({"position": list(range(length))}).with_transform(_LazyRows(row))


class StageCallback(TrainerCallback):
    """Reports progress, records every optimiser step's metrics and keeps the checkpoints that were asked for."""

    def __init__(self, context: StageContext, processor: ImageTextProcessor, names: dict[str, str]):
        """``names`` maps the trainer's metric names to columns of the ``training`` table."""
        self.context = context
        self.processor = processor
        self.names = names
        self.metrics = StepLog(context.folder / METRICS)
        self._seconds = 0.0
        self._last = time.perf_counter()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._last = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        now = time.perf_counter()
        self._seconds, self._last = now - self._last, now
        if state.global_step in self.context.cosmetic["checkpoints"]:
            folder = checkpoint_folder(self.context.folder, state.global_step)
            kwargs["model"].save_pretrained(folder)
            save_processor(self.processor, folder)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if not logs or not any(name in logs for name in self.names):  # the summary after the last step
            return
        row = {column: logs.get(name) for name, column in self.names.items()}
        self.metrics.add({"step": state.global_step, **row, "seconds": self._seconds})
        shown = {
            label: value
            for label, column in (("reward", "reward"), ("accuracy", "reward_accuracy"), ("loss", "loss"))
            if (value := row.get(column)) is not None
        }
        self.context.progress(state.global_step, state.max_steps, **shown)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.metrics.flush()
