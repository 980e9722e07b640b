"""What SFT and GRPO have in common, each on three steps from the shipped base."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.data.files import read_sat
from harness.data.order import row_order
from harness.models.checkpoint import checkpoint_path, is_adapter, load_model
from harness.models.processor import load_processor
from harness.record.context import StageContext, StopRequested
from harness.record.outputs import read_steps
from harness.record.schemas import schema
from harness.study.training import SFTSettings
from harness.train import common, sft

FULL = {"kind": "full"}
LORA = {
    "kind": "lora",
    "rank": 4,
    "alpha": 32.0,
    "dropout": 0.0,
    "modules": ["language"],
    "layers": ["attention", "mlp"],
}
kinds = pytest.mark.parametrize("kind", ["sft", "grpo"])


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@kinds
def test_metrics_have_one_row_per_step(kind: str, train: Callable) -> None:
    rows = read_steps(train(kind).folder / "metrics")
    assert [row["step"] for row in rows] == [1, 2, 3]
    for row in rows:
        assert row["grad_norm"] > 0
        assert math.isfinite(row["loss"])
        assert row["entropy"] > 0
        assert row["seconds"] > 0
    known = set(schema("training", reward_parts=("accuracy", "format")).names)
    assert set(rows[0]) <= known


@kinds
def test_the_learning_rate_is_the_schedules(kind: str, train: Callable) -> None:
    """The rate that each step was taken with: warm-up over one step from zero, then linear decay or a constant."""
    rows = read_steps(train(kind).folder / "metrics")
    top = {"sft": 5e-4, "grpo": 2e-4}[kind]
    expected = [0.0, top, top / 2] if kind == "sft" else [0.0, top, top]
    assert [row["learning_rate"] for row in rows] == pytest.approx(expected)


@kinds
def test_equal_seeds_give_equal_weights_to_the_last_bit(kind: str, train: Callable) -> None:
    first, again = train(kind), train(kind, again=True)
    assert first.folder != again.folder
    assert same(first.weights(), again.weights())
    without_time = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in read_steps(run.folder / "metrics")]
        for run in (first, again)
    ]
    assert without_time[0] == without_time[1]


@kinds
def test_other_seeds_give_other_weights(kind: str, train: Callable) -> None:
    assert not same(train(kind).weights(), train(kind, seed=1).weights())


@kinds
def test_keeping_more_checkpoints_changes_nothing(kind: str, train: Callable) -> None:
    few, many = train(kind), train(kind, checkpoints=(1, 2, 3))
    assert sorted(path.name for path in (few.folder / "checkpoints").iterdir()) == ["step-000003"]
    assert sorted(path.name for path in (many.folder / "checkpoints").iterdir()) == [
        "step-000001",
        "step-000002",
        "step-000003",
    ]
    assert same(few.weights(), many.weights())
    assert not same(many.weights(2), many.weights(3))


@kinds
def test_a_checkpoint_is_a_model_with_its_processor(kind: str, train: Callable, base: Path) -> None:
    checkpoint = checkpoint_path(train(kind).folder)
    assert not is_adapter(checkpoint)
    trained, start = load_model(checkpoint).state_dict(), load_model(checkpoint_path(base)).state_dict()
    assert trained.keys() == start.keys()
    for module in ("visual.blocks", "visual.merger", "language_model"):
        assert any(not torch.equal(trained[name], start[name]) for name in trained if module in name)
    vocabulary = load_processor(checkpoint_path(base)).tokenizer.get_vocab()
    assert load_processor(checkpoint).tokenizer.get_vocab() == vocabulary


@kinds
def test_checks_are_recorded(kind: str, train: Callable) -> None:
    seen = json.loads((train(kind).folder / "checks.json").read_text())
    assert list(seen) == sorted({"trainable", "steps", "moved", "pixels"} | ({"rewards"} if kind == "grpo" else set()))
    assert all(check["passed"] for check in seen.values())
    assert seen["steps"]["detail"] == "3 of 3 optimiser steps"


@kinds
def test_a_stage_leaves_no_other_file(kind: str, train: Callable) -> None:
    folder = train(kind).folder
    names = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    assert names == {"checkpoints", "metrics", "checks.json", "facts.json"} | (
        {"rollouts"} if kind == "grpo" else set()
    )


@kinds
def test_lora_trains_adapters_of_the_language_model_alone(kind: str, train: Callable, base: Path) -> None:
    run = train(kind, tuning=LORA)
    checkpoint = checkpoint_path(run.folder)
    assert is_adapter(checkpoint)
    weights = run.weights()
    assert len(weights) == 2 * 7 * 3
    assert all("language_model.layers" in name and "lora_" in name for name in weights)
    assert all(tensor.abs().sum() > 0 for name, tensor in weights.items() if "lora_B" in name)
    parent = checkpoint_path(base)
    start, merged = load_model(parent).state_dict(), load_model(checkpoint, parent=parent).state_dict()
    moved = {name for name in start if not torch.equal(start[name], merged[name])}
    assert len(moved) == 7 * 3
    assert all("_proj.weight" in name and "language_model.layers" in name for name in moved)


def test_base_weights_stay_under_lora(
    base: Path, world: Path, run_stage: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}
    relative_change = common.relative_change

    def spy(before, model):
        seen["still"] = {name: torch.equal(before[name], tensor.cpu()) for name, tensor in model.named_parameters()}
        return relative_change(before, model)

    monkeypatch.setattr(common, "relative_change", spy)
    settings = SFTSettings(steps=2, batch_size=2, warmup_steps=0).identity() | {"seed": 0, "tuning": LORA}
    run_stage(sft.run, settings, [2], model=base, data=world)
    assert seen["still"] == {name: "lora_" not in name for name in seen["still"]}
    assert sum(not still for still in seen["still"].values()) == 2 * 7 * 3


def test_both_trainings_of_a_seed_see_the_same_rows(train: Callable, world: Path, base: Path) -> None:
    """The order of rows is a function of the seed; what is asked of a row too (its options are shuffled by it)."""
    questions = read_sat(world / "train.parquet", option_seed=0)
    order = row_order(len(questions), 12, seed=0)
    rollouts = read_steps(train("grpo").folder / "rollouts")
    by_grpo = [row["question"] for row in rollouts if row["sample"] == 0]
    assert by_grpo == order[:9]
    for row in rollouts:
        assert tuple(row["choices"]) == questions[row["question"]].choices
        assert row["answer"] == questions[row["question"]].answer


def test_a_stop_is_heard_between_steps(base: Path, world: Path, tmp_path: Path) -> None:
    settings = SFTSettings(steps=50, batch_size=2).identity() | {"seed": 0, "tuning": FULL}
    context = StageContext(tmp_path, settings, {"checkpoints": [50]}, {"model": base, "data": world})
    reported = []

    def report(step: int, total: int, numbers: dict[str, float]) -> None:
        reported.append((step, total, set(numbers)))
        context.stop_requested = step >= 2

    context.report, context.report_every = report, 0.0
    with pytest.raises(StopRequested):
        sft.run(context)
    assert reported[-1] == (3, 50, {"loss"}), "the step under way is finished, so that it can be gone on from"
    assert not (tmp_path / "checks.json").exists()
