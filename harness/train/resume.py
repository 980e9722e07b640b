"""Exact resume: a training that is stopped or killed at any step goes on as if nothing had happened.

transformers and trl save and restore nearly all that is needed. What they leave out for these models is mended here
(each was seen to break bit-equality):

- weights of a full fine-tuning are loaded by names that Qwen2-VL's files don't use, not strictly, and so not at all;
- rollouts that wait for their optimiser step, and the place in their schedule, are lost;
- the order of a second epoch is lost: here the whole order is one data set, so there is no second epoch.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer

from harness.record.atomic import read_json, sync_path, write_json
from harness.record.outputs import RESUME, RESUME_POINTER, StepLog
from harness.train.checks import PixelRange


def resume_point(stage_folder: Path) -> tuple[int, Path] | None:
    """Step and folder of the state that an earlier attempt left behind; None when there is none that is whole."""
    pointer = read_json(stage_folder / RESUME / RESUME_POINTER)
    if not isinstance(pointer, dict):
        return None
    state = stage_folder / RESUME / pointer["state"]
    return (pointer["step"], state) if (state / "trainer_state.json").exists() else None


class ResumableTrainer(Trainer):
    """Mixed into trl's trainers, in front of them. ``output_dir`` is the stage's ``resume`` folder."""

    decay_steps: int | None = None
    """Steps that the schedule is made for; the training's own when None."""
    patch_size = 14
    """Pixels along the side of an image's patch."""

    def __init__(self, *arguments: Any, **named: Any):
        self.pixels = PixelRange()
        self.logs: list[StepLog] = []
        super().__init__(*arguments, **named)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        return super().create_scheduler(self.decay_steps or num_training_steps, optimizer)

    def compute_loss(self, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        if inputs.get("pixel_values") is not None:
            self.pixels.see(inputs["pixel_values"], inputs["image_grid_thw"], self.patch_size)
        return super().compute_loss(model, inputs, *arguments, **named)

    def flush_logs(self) -> None:
        """Write the step logs as far as they are."""
        for log in self.logs:
            log.flush()

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save all that is needed to go on after this step, then forget the older state."""
        if self.is_world_process_zero():
            self.flush_logs()
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if not self.is_world_process_zero():
            return
        root = Path(str(self.args.output_dir))
        state = root / f"checkpoint-{self.state.global_step}"
        for file in state.rglob("*"):
            sync_path(file)
        sync_path(state)
        write_json(root / RESUME_POINTER, {"step": self.state.global_step, "state": state.name})
        for older in root.glob("checkpoint-*"):
            if older != state:
                shutil.rmtree(older)

    def _save_rng_state(self, output_dir: str) -> None:
        # Called before trainer_state.json, whose presence says that the state is whole.
        super()._save_rng_state(output_dir)
        torch.save(
            {
                "step": getattr(self, "_step", None),
                "rollouts": getattr(self, "_buffered_inputs", None),
                "metrics": getattr(self, "_metrics", None),
                "pixels": self.pixels,
            },
            Path(output_dir) / f"stage-{self.args.process_index}.pt",
        )

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        # A file of our own making in our own folder, so unpickling it is safe.
        path = Path(checkpoint) / f"stage-{self.args.process_index}.pt"
        device = self.args.device  # of several processes on CPUs "cpu:0", which torch.load doesn't know
        state = torch.load(path, map_location="cpu" if device.type == "cpu" else device, weights_only=False)
        self.pixels = state["pixels"]
        for name, value in (("_step", "step"), ("_buffered_inputs", "rollouts"), ("_metrics", "metrics")):
            if state[value] is not None:
                setattr(self, name, state[value])

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        model = self.accelerator.unwrap_model(self.model if model is None else model)
        if not (Path(resume_from_checkpoint) / "config.json").exists():  # an adapter
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        saved = type(model).from_pretrained(resume_from_checkpoint, dtype=model.dtype)
        model.load_state_dict(saved.state_dict(), strict=True)
