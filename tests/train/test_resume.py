"""A training that was stopped or killed and goes on ends bit for bit like one that was left alone."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.record.context import StageContext, StopRequested
from harness.record.outputs import checkpoint_folder, read_steps
from harness.study.training import GRPOSettings, SFTSettings
from harness.train import grpo, sft
from harness.train.resume import resume_point

STEPS = 6
FULL = {"kind": "full"}
LORA = {
    "kind": "lora",
    "rank": 4,
    "alpha": 8.0,
    "dropout": 0.1,
    "modules": ["language"],
    "layers": ["attention", "mlp"],
}
COMPUTE = {"accumulation": 2}
SFT: dict[str, Any] = {"steps": STEPS, "batch_size": 4, "warmup_steps": 1}
GRPO: dict[str, Any] = {
    "steps": STEPS,
    "prompts_per_step": 2,
    "completions_per_prompt": 4,
    "warmup_steps": 1,
    "beta": 0.01,
}


class Killed(BaseException):
    """What stands for a SIGKILL: nothing is saved any more."""


@dataclass(frozen=True)
class Case:
    kind: str
    settings: dict[str, Any]
    tuning: dict[str, Any]

    def stage_settings(self) -> dict[str, Any]:
        recipe = SFTSettings if self.kind == "sft" else GRPOSettings
        return recipe(**self.settings).identity() | {"seed": 3, "tuning": self.tuning}


CASES = {
    "sft, full": Case("sft", SFT, FULL),
    "sft, LoRA with dropout, accumulation": Case("sft", SFT | {"compute": COMPUTE}, LORA),
    "sft, decay past the end": Case("sft", SFT | {"decay_steps": 20}, FULL),
    "grpo, full, KL": Case("grpo", GRPO, FULL),
    "grpo, LoRA, KL, accumulation": Case("grpo", GRPO | {"compute": COMPUTE}, LORA),
    "grpo, frozen language model": Case("grpo", GRPO, {"kind": "language-frozen"}),
    "grpo, three steps per generation, accumulation": Case(
        "grpo", GRPO | {"optimizer_steps_per_generation": 3, "compute": COMPUTE}, FULL
    ),
    "grpo, every rollout used twice": Case("grpo", GRPO | {"iterations": 2}, FULL),
    "grpo, bfloat16 in mixed precision": Case(
        "grpo", GRPO | {"compute": {"precision": "bfloat16-mixed", "gradient_checkpointing": True}}, FULL
    ),
}


@pytest.fixture(scope="module")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fewer rows than any training here sees, so that all go past their first epoch."""
    from harness.data import world_stage

    folder = tmp_path_factory.mktemp("world")
    world_stage.run(StageContext(folder, {"train_questions": 5, "test_questions": 4}))
    return folder


@pytest.fixture(scope="module")
def attempt(base: Path, small_world: Path) -> Callable[..., None]:
    """Run a case in a folder; ``end`` may raise or ask for a stop after a step."""

    def attempt(
        case: Case,
        folder: Path,
        resume_every: int = 100,
        end: Callable[..., None] | None = None,
        stop_at_once: bool = False,
    ) -> None:
        context = StageContext(
            folder,
            case.stage_settings(),
            {"checkpoints": [2, 4, STEPS], "resume_every": resume_every},
            {"model": base, "data": small_world},
            report_every=0.0,
            stop_requested=stop_at_once,
        )
        if end is not None:
            context.report = lambda step, total, numbers: end(context, step)
        {"sft": sft, "grpo": grpo}[case.kind].run(context)

    return attempt


@pytest.fixture(scope="module")
def uninterrupted(attempt: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    done: dict[str, Path] = {}

    def uninterrupted(name: str) -> Path:
        if name not in done:
            done[name] = tmp_path_factory.mktemp("uninterrupted")
            attempt(CASES[name], done[name])
        return done[name]

    return uninterrupted


def stop_after(wanted: int) -> Callable[..., None]:
    """The step under way when the stop is asked for is still done."""

    def end(context: StageContext, step: int) -> None:
        if step == wanted:
            context.stop_requested = True

    return end


def kill_after(wanted: int) -> Callable[..., None]:
    def end(context: StageContext, step: int) -> None:
        if step == wanted:
            raise Killed

    return end


def assert_equal(one: Path, other: Path) -> None:
    for step in (2, 4, STEPS):
        (a,) = checkpoint_folder(one, step).glob("*.safetensors")
        (b,) = checkpoint_folder(other, step).glob("*.safetensors")
        weights, others = load_file(a), load_file(b)
        assert weights.keys() == others.keys()
        different = [name for name in weights if not torch.equal(weights[name], others[name])]
        assert not different, f"after step {step}"
    for log in ("metrics", "rollouts"):
        rows, others = (
            [{key: value for key, value in row.items() if key != "seconds"} for row in read_steps(folder / log)]
            for folder in (one, other)
        )
        assert rows == others
        assert [path.name for path in sorted((one / log).glob("*"))] == [
            p.name for p in sorted((other / log).glob("*"))
        ]
    for file in ("checks.json", "facts.json"):
        assert json.loads((one / file).read_text()) == json.loads((other / file).read_text())


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_stopped_and_resumed(name: str, step: int, attempt: Callable, uninterrupted: Callable, tmp_path: Path) -> None:
    with pytest.raises(StopRequested):
        attempt(CASES[name], tmp_path, end=stop_after(step))
    point = resume_point(tmp_path)
    assert point is not None
    assert point[0] == step + 1
    assert not (tmp_path / "checks.json").exists()
    attempt(CASES[name], tmp_path)
    assert_equal(tmp_path, uninterrupted(name))


@pytest.mark.parametrize("name", ["sft, full", "grpo, three steps per generation, accumulation"])
def test_killed_between_two_states_and_resumed(
    name: str, attempt: Callable, uninterrupted: Callable, tmp_path: Path
) -> None:
    """What was done after the newest state, checkpoints and logs included, is done again."""
    with pytest.raises(Killed):
        attempt(CASES[name], tmp_path, resume_every=2, end=kill_after(5))
    point = resume_point(tmp_path)
    assert point is not None
    assert point[0] == 4
    attempt(CASES[name], tmp_path, resume_every=2)
    assert_equal(tmp_path, uninterrupted(name))


@pytest.mark.parametrize("name", ["sft, full", "grpo, full, KL"])
def test_killed_before_the_first_state_starts_anew(
    name: str, attempt: Callable, uninterrupted: Callable, tmp_path: Path
) -> None:
    with pytest.raises(Killed):
        attempt(CASES[name], tmp_path, end=kill_after(3))
    assert resume_point(tmp_path) is None
    attempt(CASES[name], tmp_path)
    assert_equal(tmp_path, uninterrupted(name))


def test_stopped_after_every_step(attempt: Callable, uninterrupted: Callable, tmp_path: Path) -> None:
    name = "grpo, three steps per generation, accumulation"
    for _ in range(STEPS - 1):
        with pytest.raises(StopRequested):
            attempt(CASES[name], tmp_path, stop_at_once=True)
    attempt(CASES[name], tmp_path)
    assert_equal(tmp_path, uninterrupted(name))


def test_a_state_that_was_being_written_is_not_taken(
    attempt: Callable, uninterrupted: Callable, tmp_path: Path
) -> None:
    name = "sft, full"
    with pytest.raises(Killed):
        attempt(CASES[name], tmp_path, resume_every=2, end=kill_after(5))
    torn = tmp_path / "resume" / "checkpoint-6"
    shutil.copytree(tmp_path / "resume" / "checkpoint-4", torn)
    (torn / "trainer_state.json").unlink()
    (torn / "model.safetensors").write_bytes(b"half")
    attempt(CASES[name], tmp_path)
    assert_equal(tmp_path, uninterrupted(name))
