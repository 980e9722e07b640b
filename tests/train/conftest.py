"""Small trainings, each done once for all tests of the room."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.record.outputs import checkpoint_folder
from harness.study.training import GRPOSettings, SFTSettings

STEPS = 3
SFT = SFTSettings(steps=STEPS, batch_size=4, warmup_steps=1)
GRPO = GRPOSettings(steps=STEPS, prompts_per_step=3, completions_per_prompt=6, warmup_steps=1)
FULL = {"kind": "full"}


@dataclass(frozen=True)
class Training:
    """A finished training stage."""

    folder: Path

    def weights(self, step: int = STEPS) -> dict[str, torch.Tensor]:
        (path,) = checkpoint_folder(self.folder, step).glob("*.safetensors")
        return load_file(path)


@pytest.fixture(scope="session")
def train(base: Path, world: Path, run_stage: Callable[..., Path]) -> Callable[..., Training]:
    """``train("sft", seed=0, tuning=FULL, checkpoints=[3], **settings)``; equal calls are computed once."""
    from harness.train import grpo, sft

    done: dict[str, Training] = {}

    def train(
        kind: str,
        seed: int = 0,
        tuning: dict[str, Any] = FULL,
        checkpoints: tuple[int, ...] = (STEPS,),
        again: bool = False,
        **changes: Any,
    ) -> Training:
        key = repr((kind, seed, tuning, checkpoints, again, changes))
        if key not in done:
            recipe, function = {"sft": (SFT, sft.run), "grpo": (GRPO, grpo.run)}[kind]
            settings = recipe.model_copy(update=changes).identity() | {"seed": seed, "tuning": tuning}
            done[key] = Training(run_stage(function, settings, list(checkpoints), model=base, data=world))
        return done[key]

    return train
