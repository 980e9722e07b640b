"""What SFT and GRPO share: trainer arguments, the start model, the callback that reports, records, saves and stops."""

import importlib.util
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from harness.models.checkpoint import checkpoint_path, load_model
from harness.models.processor import ImageTextProcessor, load_processor, save_processor
from harness.record.atomic import write_json
from harness.record.context import StageContext, StopRequested
from harness.record.outputs import FACTS_FILE, METRICS, RESUME, StepLog, checkpoint_folder
from harness.study.training import ComputeSettings, OptimizerSettings
from harness.train.checks import (
    Check,
    check_moved,
    check_pixels,
    check_steps,
    check_trainable,
    relative_change,
    snapshot,
    trainable_counts,
)
from harness.train.resume import ResumableTrainer, resume_point
from harness.train.tuning import freeze

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "bfloat16-mixed": torch.float32}


def trainer_arguments(settings: OptimizerSettings, seed: int, folder: Path) -> dict[str, Any]:
    """Arguments common to SFTConfig and GRPOConfig: optimiser, schedule, precision, processes, seed; trl itself saves
    and sends nothing.

    Raises:
        ImportError: a setting needs a package that isn't here.
    """
    on_cpu = not torch.cuda.is_available()
    compute = settings.compute
    return dict(
        output_dir=str(folder / RESUME),
        max_steps=settings.steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup_steps,
        optim="adamw_torch",
        adam_beta1=settings.adam_beta1,
        adam_beta2=settings.adam_beta2,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        gradient_accumulation_steps=compute.accumulation,
        seed=seed,
        data_seed=seed,
        use_cpu=on_cpu,
        bf16=compute.precision != "float32",
        gradient_checkpointing=compute.gradient_checkpointing,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=not on_cpu,
        **_sharding(compute),
    )


def _sharding(compute: ComputeSettings) -> dict[str, Any]:
    """DeepSpeed's or FSDP's arguments."""
    if compute.deepspeed:
        require("deepspeed", "compute.deepspeed")
        zero: dict[str, Any] = {"stage": compute.deepspeed.stage, "overlap_comm": True, "contiguous_gradients": True}
        if compute.deepspeed.offload_optimizer:
            zero["offload_optimizer"] = {"device": "cpu"}
        automatic = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps")
        config = {"zero_optimization": zero, "bf16": {"enabled": "auto"}, "gradient_clipping": "auto"}
        return {"deepspeed": config | dict.fromkeys(automatic, "auto")}
    if compute.fsdp:
        options = {
            "version": 2,
            "reshard_after_forward": compute.fsdp.reshard_after_forward,
            "cpu_offload": compute.fsdp.offload_parameters,
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "state_dict_type": "FULL_STATE_DICT",
        }
        return {"fsdp": True, "fsdp_config": options}
    return {}


def require(package: str, setting: str) -> None:
    """Refuse a setting whose optional package is missing.

    Raises:
        ImportError: with the command that mends it.
    """
    if importlib.util.find_spec(package) is None:
        raise ImportError(
            f"{setting} needs the package {package}: pip install 'ablate[cluster]', or leave {setting} out"
        )


def load_start(context: StageContext, settings: OptimizerSettings) -> tuple[Any, ImageTextProcessor]:
    """The start model, frozen as the stage's tuning says, and its processor with the image limits put in."""
    start = checkpoint_path(context.inputs["model"])
    compute = settings.compute
    model = load_model(start, dtype=_DTYPES[compute.precision], attention=compute.attention)
    freeze(model, context.settings["tuning"])
    return model, load_processor(start, settings.images)


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


def train_checked(
    trainer: ResumableTrainer,
    context: StageContext,
    settings: OptimizerSettings,
    names: Mapping[str, str],
    processor: ImageTextProcessor,
    logs: list[StepLog],
    facts: Mapping[str, Any],
) -> dict[str, Check]:
    """Train, from where an earlier attempt was cut off, and check what must hold for any training.

    Args:
        names: the trainer's metric names -> columns of the ``training`` table.
        logs: further step logs, written when a state to resume from is saved.
        facts: what is known before the training, for ``facts.json``.

    Raises:
        StopRequested: the stage was told to stop; a state to resume from is saved.
    """
    tuning = context.settings["tuning"]
    model = trainer.model
    assert model is not None
    trainer.decay_steps = settings.decay_steps
    trainer.patch_size = processor.image_processor.patch_size
    trainer.remove_callback(PrinterCallback)
    point = resume_point(context.folder)
    metrics = open_log(context, METRICS)
    trainer.logs = [metrics, *logs]
    trainer.add_callback(StageCallback(trainer, context, processor, dict(names), metrics))
    checks = {"trainable": check_trainable(model, tuning)}
    counts = trainable_counts(model)
    before = snapshot(model)
    if point and context.rank == 0:
        print(f"going on after step {point[0]}", flush=True)
        drop_later_checkpoints(context.folder, point[0])
    trainer.train(resume_from_checkpoint=str(point[1]) if point else None)
    trainer.flush_logs()
    if trainer.state.global_step < settings.steps and context.stop_requested:
        raise StopRequested
    checks["steps"] = check_steps(trainer.state.global_step, settings.steps)
    moved, stray = relative_change(before, model)
    checks["moved"] = check_moved(moved, stray, tuning)
    checks["pixels"] = check_pixels(trainer.pixels, settings.images)
    seen = trainer.pixels
    if trainer.is_world_process_zero():
        record = {
            **facts,
            "trainable_parameters": counts,
            "relative_change": moved,
            "pixel_range": [seen.smallest, seen.largest],
            "value_range": [seen.lowest, seen.highest],
            "processes": trainer.args.world_size,
        }
        write_json(context.folder / FACTS_FILE, record)
    trainer.accelerator.end_training()
    return checks


def open_log(context: StageContext, name: str) -> StepLog:
    """A step log that goes on where an earlier attempt is resumed; only the first process touches the files."""
    point = resume_point(context.folder)
    return StepLog(context.folder / name, None if context.rank else point[0] if point else 0)


def drop_later_checkpoints(folder: Path, step: int) -> None:
    """Delete checkpoints that a cut-off attempt kept after the step that is gone on from."""
    for path in (folder / "checkpoints").glob("step-*"):
        if int(path.name.removeprefix("step-")) > step:
            shutil.rmtree(path)


class StageCallback(TrainerCallback):
    """Reports progress, records every step's metrics, keeps checkpoints, saves states to resume from, and stops."""

    def __init__(
        self,
        trainer: ResumableTrainer,
        context: StageContext,
        processor: ImageTextProcessor,
        names: dict[str, str],
        metrics: StepLog,
    ):
        self.trainer = trainer
        self.context = context
        self.processor = processor
        self.names = names
        self.metrics = metrics
        self._seconds = 0.0
        self._last = time.perf_counter()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._last = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        now = time.perf_counter()
        self._seconds, self._last = now - self._last, now
        if state.global_step in self.context.cosmetic["checkpoints"]:
            self._keep_checkpoint(state.global_step)
        if state.global_step < state.max_steps:
            control.should_training_stop = self._stop_wanted()
            every = self.context.cosmetic.get("resume_every") or state.max_steps
            # Done by the trainer itself after the step's metrics are logged and out of its buffers.
            control.should_save = control.should_training_stop or state.global_step % every == 0

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
        if state.is_world_process_zero:
            row = {column: logs.get(name) for name, column in self.names.items()}
            self.metrics.add({"step": state.global_step, **row, "seconds": self._seconds})
            shown = {name: value for name in ("reward", "loss") if (value := row.get(name)) is not None}
            self.context.note(state.global_step, state.max_steps, **shown)

    def _stop_wanted(self) -> bool:
        """Whether any process was told to stop; all must leave at the same step."""
        wanted = torch.tensor(int(self.context.stop_requested), device=self.trainer.args.device)
        if self.trainer.args.world_size > 1:
            torch.distributed.all_reduce(wanted, op=torch.distributed.ReduceOp.MAX)
        if wanted.item():
            self.context.stop_requested = True
        return bool(wanted.item())

    def _keep_checkpoint(self, step: int) -> None:
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        sharded = self.trainer.is_fsdp_enabled
        state = self.trainer.accelerator.get_state_dict(self.trainer.model_wrapped) if sharded else None
        if self.trainer.is_world_process_zero():
            folder = checkpoint_folder(self.context.folder, step)
            model.save_pretrained(folder, state_dict=state)
            save_processor(self.processor, folder)
