"""Rehearsals: what stays of a study, what is made small, and that a run of one proves its arms."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from harness.record.folders import Store
from harness.record.lock import FileLock
from harness.record.states import StageState
from harness.rehearse import ArmOutcome, Outcome, Rehearsal, reduced_study, rehearsal_store, rehearse
from harness.rehearse.view import outcome_view
from harness.study import Study, load_study, plan_study

SWEEPS = Path(__file__).parents[2] / "sweeps"
STUDY = """\
study: short
seeds: [3, 4]
data:
  train: {hub: {id: owner/train, files: [a.parquet]}, first_rows: 15000}
  test: {hub: {id: owner/test, files: [b.parquet]}}
models: {base: {hub: {id: Qwen/Qwen2-VL-2B}}}
protocols: {think: {prompt: paper-base-think, batch_size: 64, max_new_tokens: 1024, dtype: bfloat16}}
grpo:
  prompt: paper-base-think
  rewards: {accuracy_strict: 1.0, format: 2.0}
  compute: {processes: 4, accumulation: 2, precision: bfloat16, deepspeed: {}}
curve: {questions: 0}
factors: {start: {base: {protocols: [think]}}, training: [none, grpo]}
arms: [{training: grpo}]
"""


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Study]:
    """The short study with overrides on top."""
    path = tmp_path / "short.yaml"
    path.write_text(STUDY)
    return lambda *overrides: load_study(path, overrides)


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_rehearsal_of_a_shipped_sweep_has_its_arms_with_all_that_makes_them_different(path, tmp_path):
    real = plan_study(load_study(path))
    rehearsal = reduced_study(real.study, tmp_path)
    small = plan_study(rehearsal.study)
    named = [name for names in rehearsal.stands_for.values() for name in names]
    assert sorted(named) == sorted(arm.name for arm in real.arms)
    assert rehearsal.study.scoring == real.study.scoring
    by_name = {arm.name: arm.settings for arm in real.arms}
    for arm in small.arms:
        assert len([run for run in small.runs if run.arm == arm.name]) == 1
        for name in rehearsal.stands_for[arm.name]:
            before, after = by_name[name], arm.settings
            assert (after.start, after.training, after.tuned, after.lora) == (
                *(before.start, before.training, before.tuned, before.lora),
            )
            assert sorted(after.protocols) == sorted(before.protocols)
            if after.training == "grpo":
                fixed = ("prompt", "literal_image", "loss", "scale_rewards", "beta", "temperature", "top_k", "epsilon")
                assert [getattr(after.grpo, each) for each in fixed] == [getattr(before.grpo, each) for each in fixed]
                own = {key: term for key, term in after.grpo.terms().items() if key in before.grpo.rewards}
                assert own == before.grpo.terms()
                assert set(after.grpo.rewards) == {*before.grpo.rewards, "random"}
            if after.training == "sft":
                assert (after.sft.lessons, after.sft.loss_on) == (before.sft.lessons, before.sft.loss_on)
    for stage in small.stages.values():
        assert stage.kind not in ("model", "pretrain")
        assert stage.settings.get("steps", 2) in (2, [0], [1], [2])
        compute = stage.settings.get("compute", {"processes": 1, "deepspeed": None, "fsdp": None})
        assert (compute["processes"], compute["deepspeed"], compute["fsdp"]) == (1, None, None)
    for name, protocol in rehearsal.study.protocols.items():
        kept = {"prompt", "method", "option_form", "batches", "padding_side", "literal_image"}
        assert protocol.model_dump(include=kept) == real.study.protocols[name].model_dump(include=kept)
        assert (protocol.max_new_tokens <= 12, protocol.batch_size <= 4) == (True, True)


def test_what_was_made_small_is_listed_with_both_values(study, tmp_path):
    told = reduced_study(study(), tmp_path).reductions
    for line in (
        "models.base: a random tiny qwen2_vl",
        "data: made-up files of 16 training and 8 test questions in the same columns",
        "seeds: 1 of 2",
        "grpo.steps: 300 -> 2",
        "grpo.compute.processes: 4 -> 1",
        "grpo.compute.precision: bfloat16 -> float32",
        "grpo.compute.deepspeed: stage, offload_optimizer -> none",
        "grpo.rewards: accuracy_strict, format -> accuracy_strict, format, random",
        "grpo.learning_rate: 0.0002 -> 0.001",
        "protocols.max_new_tokens: 1024 -> 12",
        "protocols.dtype: bfloat16 -> float32",
    ):
        assert line in told
    assert not any(line.startswith("sft.") for line in told)  # no arm is trained so


def test_several_uses_of_a_batch_of_rollouts_stay(study, tmp_path):
    overrides = ("grpo.iterations=3", "grpo.optimizer_steps_per_generation=2", "grpo.steps=600")
    grpo = plan_study(reduced_study(study(*overrides), tmp_path).study).arms[0].settings.grpo
    assert (grpo.iterations, grpo.optimizer_steps_per_generation, grpo.steps) == (3, 2, 6)


def test_arms_that_only_size_tells_apart_are_rehearsed_once(study, tmp_path):
    arms = "arms=[{training: grpo}, {training: grpo, name: long, set: {grpo: {max_new_tokens: 700}}}, {training: none}]"
    rehearsal = reduced_study(study(arms), tmp_path)
    assert rehearsal.stands_for == {"base+grpo": ("base+grpo", "long"), "base": ("base",)}
    assert "long: the same arm as base+grpo here" in rehearsal.reductions


def test_a_model_is_the_same_tiny_one_in_every_study_and_another_than_the_next(tmp_path):
    tiny = {}
    for name in ("paper", "instruct", "freeze"):
        rehearsal = reduced_study(load_study(SWEEPS / f"{name}.yaml"), tmp_path)
        for model, start in rehearsal.study.models.items():
            tiny.setdefault(model, set()).add(start.tiny.seed)
    assert [len(seeds) for seeds in tiny.values()] == [1, 1]
    assert tiny["base"] != tiny["instruct"]


@pytest.mark.parametrize(
    ("hub", "family"),
    [("Qwen/Qwen2.5-VL-3B-Instruct", "qwen2_5_vl"), ("Qwen/Qwen3-VL-2B", "qwen3_vl"), ("own/model", "qwen2_vl")],
)
def test_the_family_of_a_hub_model_is_read_off_its_id(study, tmp_path, hub, family):
    rehearsal = reduced_study(study(f"models.base.hub.id={hub}"), tmp_path)
    assert rehearsal.study.models["base"].tiny.family == family


def test_the_family_of_a_model_in_a_folder_is_its_own_or_an_error(study, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    override = f"models.base={{folder: {{path: {folder}}}}}"
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen3_vl"}))
    rehearsal = reduced_study(study(override), tmp_path)
    assert rehearsal.study.models["base"].tiny.family == "qwen3_vl"
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ValueError, match=r"models\.base: .*model_type 'llama'\. Allowed: qwen2_vl, qwen2_5_vl"):
        reduced_study(study(override), tmp_path)


def test_the_shipped_miniature_model_is_used_as_it_is(tmp_path):
    real = load_study(SWEEPS / "micro.yaml")
    pretrain = next(stage for stage in plan_study(real).stages.values() if stage.kind == "pretrain")
    kept = reduced_study(real, tmp_path, shipped=[pretrain.id]).study.models["base"]
    assert kept == real.models["base"]
    assert reduced_study(real, tmp_path).study.models["base"].tiny is not None


def test_a_rehearsal_runs_all_and_without_the_jitter_the_check_moved_fails(study, tmp_path):
    store = Store(tmp_path / "store")
    real = study("protocols.think.batch_size=1")
    passed = rehearse(reduced_study(real, tmp_path / "data"), store, workers=2)
    assert passed.exit_code == 0
    [arm] = passed.arms
    assert {state.state for state in arm.stages.values()} == {"done"}
    assert {"moved", "rewards", "steps", "trainable"} <= set(arm.checks)
    assert all(check["passed"] for check in arm.checks.values())

    still = rehearse(reduced_study(real, tmp_path / "data", jitter=0.0), store, workers=2)
    assert still.exit_code == 1
    [arm] = still.arms
    assert [name for name, check in arm.checks.items() if not check["passed"]] == ["moved"]
    reasons = [state.reason for state in arm.stages.values() if state.state == "failed"]
    assert len(reasons) == 1
    assert "manipulation check failed: moved" in reasons[0]


def outcome(plan, *arms, interrupted=False):
    return Outcome(plan, arms, interrupted)


def test_the_end_shows_every_arm_its_stages_and_its_checks():
    done, failed = StageState("done"), StageState("failed", "ValueError: broken")
    good = {"moved": {"passed": True, "detail": "language 1e-2"}}
    bad = {"moved": {"passed": False, "detail": "language 0"}}
    one = ArmOutcome("one", "one", {"grpo one": done}, good)
    two = ArmOutcome("two", "one", {"grpo one": done}, good)
    three = ArmOutcome("three", "three", {"grpo three": failed}, bad)
    plan = plan_study(load_study(SWEEPS / "micro.yaml"))
    assert outcome(plan, one, two).exit_code == 0
    assert outcome(plan, one, three).exit_code == 1
    assert outcome(plan, one, interrupted=True).exit_code == 130
    written = io.StringIO()
    rehearsal = Rehearsal(plan.study, {}, ("seeds: 1 of 5",))
    Console(width=140, file=written).print(outcome_view(rehearsal, outcome(plan, one, two, three), 61.0))
    text = written.getvalue()
    for part in ("seeds: 1 of 5", "check moved", "language 1e-2", "as one, which is the same", "ValueError: broken"):
        assert part in text
    assert "2 of 3 arms passed; 2 stages, 2 of 3 checks passed; 61 s" in text


def test_rehearsals_share_a_store_that_knows_their_code_and_older_ones_go(tmp_path):
    store = Store(tmp_path)
    first = rehearsal_store(store)
    assert first.root.parent == tmp_path / "rehearsal"
    assert rehearsal_store(store).root == first.root
    old, busy = (first.root.parent / f"code-{digit * 12}" for digit in "ab")
    for folder in (old, busy, first.root):
        (folder / "world-0").mkdir(parents=True)
    with FileLock(busy / "world-0" / "lock") as lock:
        lock.acquire()
        rehearsal_store(store)
        assert (old.exists(), busy.exists(), first.root.exists()) == (False, True, True)
