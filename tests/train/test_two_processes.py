"""Two processes see the data in the order that one sees, and pay the same rewards for the same completions."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.record.outputs import checkpoint_folder, read_steps
from harness.study.training import GRPOSettings, SFTSettings

STEPS = 3
# Sampling the likeliest token is deterministic, so that one and two processes write the same.
GRPO: dict[str, Any] = {
    "steps": STEPS,
    "prompts_per_step": 4,
    "completions_per_prompt": 2,
    "top_k": 1,
    "warmup_steps": 0,
    "learning_rate": 1e-5,
    "rewards": {"accuracy": 1.0, "format": 1.0, "random": {"probability": None}},
}
SFT: dict[str, Any] = {"steps": STEPS, "batch_size": 4, "warmup_steps": 0}
RECIPES = {"grpo": (GRPOSettings, GRPO), "sft": (SFTSettings, SFT)}


@pytest.fixture(scope="module")
def run_with(base: Path, world: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def run_with(kind: str, processes: int, stop_after: int = 0, folder: Path | None = None) -> Path:
        folder = folder or tmp_path_factory.mktemp(f"{kind}-{processes}")
        recipe, settings = RECIPES[kind]
        identity = recipe(**settings, compute={"processes": processes}).identity()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        started = []
        for rank in range(processes):
            given = {
                "folder": str(folder),
                "kind": kind,
                "settings": identity | {"seed": 1, "tuning": {"kind": "full"}},
                "cosmetic": {"checkpoints": [STEPS]},
                "inputs": {"model": str(base), "data": str(world)},
                "rank": rank,
                "stop_after": stop_after,
            }
            place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1"}
            variables = {name: str(value) for name, value in place.items()} if processes > 1 else {}
            # on the CPU everywhere: NCCL wants a GPU for each process, and this machine may have one
            fixed = {"MASTER_PORT": port, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
            environment = {**os.environ, **variables, **fixed}
            script = Path(__file__).with_name("two_process_stage.py")
            command = [sys.executable, str(script), json.dumps(given)]
            started.append(subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[2]))
        codes = [each.wait(timeout=1200) for each in started]
        assert codes == [3 if stop_after else 0] * processes
        return folder

    return run_with


@pytest.fixture(scope="module")
def one_and_two(run_with: Callable[..., Path]) -> dict[str, tuple[Path, Path]]:
    return {kind: (run_with(kind, 1), run_with(kind, 2)) for kind in RECIPES}


def test_rollouts_and_their_rewards_are_those_of_one_process(one_and_two: dict[str, tuple[Path, Path]]) -> None:
    one, two = (read_steps(folder / "rollouts") for folder in one_and_two["grpo"])
    assert len(one) == STEPS * 8
    assert two == one
    assert len({row["text"] for row in one}) > 3


@pytest.mark.parametrize("kind", RECIPES)
def test_weights_are_those_of_one_process_but_for_rounding(
    kind: str, one_and_two: dict[str, tuple[Path, Path]]
) -> None:
    first, second = (load_file(checkpoint_folder(each, STEPS) / "model.safetensors") for each in one_and_two[kind])
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=1e-3, atol=5e-5)


@pytest.mark.parametrize("kind", RECIPES)
def test_facts_and_checks_are_those_of_one_process(kind: str, one_and_two: dict[str, tuple[Path, Path]]) -> None:
    one, two = (json.loads((folder / "facts.json").read_text()) for folder in one_and_two[kind])
    assert (one["processes"], two["processes"]) == (1, 2)
    for name in ("data_fingerprint", "prompt_hash", "pixel_range", "trainable_parameters"):
        assert one[name] == two[name]
    for folder in one_and_two[kind]:
        assert all(check["passed"] for check in json.loads((folder / "checks.json").read_text()).values())


@pytest.mark.parametrize("kind", RECIPES)
def test_two_processes_stop_together_and_go_on_exactly(
    kind: str, one_and_two: dict[str, tuple[Path, Path]], run_with: Callable[..., Path], tmp_path: Path
) -> None:
    """The second process alone is told to stop; both save and leave after the same step."""
    run_with(kind, 2, stop_after=1, folder=tmp_path)
    assert json.loads((tmp_path / "resume" / "resume.json").read_text())["step"] == 1
    run_with(kind, 2, folder=tmp_path)
    weights, others = (
        load_file(checkpoint_folder(folder, STEPS) / "model.safetensors") for folder in (tmp_path, one_and_two[kind][1])
    )
    assert all(torch.equal(tensor, others[name]) for name, tensor in weights.items())
    assert read_steps(tmp_path / "rollouts") == read_steps(one_and_two[kind][1] / "rollouts")
