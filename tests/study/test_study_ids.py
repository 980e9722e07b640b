"""Identity of stages: what changes an id, what must not, and golden ids that hold it all in place."""

import dataclasses
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.study import Plan, Stage, load_study, plan_study
from harness.study.evaluation import CurveSettings, ProtocolSettings
from harness.study.settings import Settings
from harness.study.sources import PretrainSettings, WorldSettings
from harness.study.stage import REVISIONS
from harness.study.training import GRPOSettings, InstructSettings, LoraSettings, SFTSettings

SWEEPS = Path(__file__).parents[2] / "sweeps"
KINDS = set(REVISIONS)


def ids_by_kind(plan: Plan) -> dict[str, set[str]]:
    return {kind: {each for each, stage in plan.stages.items() if stage.kind == kind} for kind in KINDS}


def test_golden_id_of_a_stage():
    """A change here makes every finished stage of every store be computed anew: raise HASH_VERSION, knowingly."""
    stage = Stage("sft", {"steps": 3, "rate": 0.1, "text": "é"}, {"model": "pretrain-000000000000"})
    assert stage.id == "sft-8528441f2b85"


def test_golden_ids_of_the_miniature_study():
    """These change when a default changes or a setting is added: also for studies that don't name it."""
    plan = plan_study(load_study(SWEEPS / "micro.yaml"))
    run = next(run for run in plan.runs if run.id == "instruct+grpo/seed=0")
    assert run.stages == (
        "world-fea69cbe836f",
        "pretrain-acebd8526d7a",
        "instruct-cf0f76accd08",
        "grpo-3cb4a2cc059d",
        "evaluate-fcbb529adf56",
        "evaluate-c53b353f1027",
        "evaluate-d5653734e921",
    )


@given(st.randoms(use_true_random=False))
def test_order_of_keys_does_not_matter(random):
    settings = {"a": 1, "b": {"c": 2.5, "d": [1, 2]}, "e": "x"}
    keys = list(settings)
    random.shuffle(keys)
    inner = list(settings["b"])
    random.shuffle(inner)
    shuffled = {key: settings[key] for key in keys} | {"b": {key: settings["b"][key] for key in inner}}
    inputs = {"model": "m", "data": "d"}
    swapped = {"data": "d", "model": "m"}
    assert Stage("sft", shuffled, swapped).id == Stage("sft", settings, inputs).id


def test_kind_settings_inputs_and_revision_are_all_in_the_id(monkeypatch):
    stage = Stage("sft", {"a": 1}, {"model": "m"})
    others = [
        dataclasses.replace(stage, kind="grpo"),
        dataclasses.replace(stage, settings={"a": 2}),
        dataclasses.replace(stage, inputs={"model": "n"}),
        dataclasses.replace(stage, inputs={"data": "m"}),
    ]
    ids = {stage.id.split("-")[1], *(each.id.split("-")[1] for each in others)}
    assert len(ids) == 5
    assert dataclasses.replace(stage, cosmetic={"checkpoints": [1]}).id == stage.id
    before = stage.id
    monkeypatch.setitem(REVISIONS, "sft", REVISIONS["sft"] + 1)
    assert dataclasses.replace(stage).id != before


# Settings model -> (path in the small study, the kinds that use it themselves). What stands on them changes as well.
TRAINED = {"sft", "grpo"}
USES: list[tuple[type[Settings], str, set[str]]] = [
    (WorldSettings, "world", {"world", "instruct", "sft", "grpo", "evaluate"}),
    (PretrainSettings, "models.base.pretrain", {"pretrain", "instruct", "sft", "grpo", "evaluate"}),
    (InstructSettings, "models.instruct.instruct", {"instruct", "grpo", "evaluate"}),
    (SFTSettings, "sft", {"sft", "evaluate"}),
    (GRPOSettings, "grpo", {"grpo", "evaluate"}),
    (LoraSettings, "lora", {"grpo", "evaluate"}),
    (ProtocolSettings, "protocols.think", {"evaluate"}),
    (CurveSettings, "curve", {"evaluate"}),
]
FIELDS = [(model, path, name, kinds) for model, path, kinds in USES for name in model.model_fields if name != "of"]


OTHER: dict[str, Any] = {
    "lessons": [{"prompt": "micro-instruct-direct", "reply": "it is {answer}"}],
    "rewards": {"accuracy": 1.0},
    "images": {"max_pixels": 3136},
    "compute": {"precision": "bfloat16-mixed"},
    "decay_steps": 1000,
    "max_length": 100,
    "vllm": {"mode": "colocate"},
    "modules": ["vision"],
    "layers": ["mlp"],
    "top_p": 0.5,
    "prompt": "micro-instruct-direct",
}


def other_value(model: type[Settings], name: str) -> Any:
    """A valid value other than the default."""
    if name in OTHER and model is not PretrainSettings:
        return OTHER[name]
    field = model.model_fields[name]
    value = field.get_default(call_default_factory=True)
    if get_origin(field.annotation) is Literal:
        return next(each for each in get_args(field.annotation) if each != value)
    if isinstance(value, bool):
        return str(not value).lower()
    if isinstance(value, int):
        return value + 1
    assert isinstance(value, float), f"teach this test a value for {name}"
    return value / 2 or 0.5


@pytest.mark.parametrize(
    ("model", "path", "name", "kinds"), FIELDS, ids=[f"{path}.{name}" for _, path, name, _ in FIELDS]
)
def test_every_setting_that_matters_is_in_the_ids_and_no_other(plan, model, path, name, kinds):
    value = other_value(model, name)
    before, after = plan(), plan(f"{path}.{name}={value}")
    old, new = ids_by_kind(before), ids_by_kind(after)
    if name in model.cosmetic_names():
        # When to save moves the points of the curve, but trains the same.
        kinds = kinds - {"instruct", "sft", "grpo"}
        if model is InstructSettings or name == "resume_every":
            kinds = set()
    changed = {kind for kind in KINDS if old[kind] != new[kind]}
    assert changed == kinds


def test_an_instruct_model_of_another_model_is_another(plan):
    extra = "models.small={pretrain: {hidden_size: 64}}"
    old = ids_by_kind(plan(extra))
    new = ids_by_kind(plan(extra, "models.instruct.instruct.of=small"))
    assert old["instruct"].isdisjoint(new["instruct"])


def test_settings_of_study_and_names_are_in_no_id(plan):
    changes = ["study=other", "title=T", "collect.rollouts_every=3", "scoring=[strict]", "contrasts=[]"]
    assert list(plan(*changes).stages) == list(plan().stages)
    renamed = plan("arms.1.name=another", "contrasts=[]")
    assert list(renamed.stages) == list(plan().stages)


def test_a_value_written_out_is_the_default(plan):
    written = plan("sft.steps=300", "lora.alpha=32", "grpo.rewards={format: 1, accuracy: 1}")
    assert set(written.stages) == set(plan().stages)


def test_order_of_arms_seeds_and_factors_does_not_matter(plan, write):
    one = plan("contrasts=[]")
    study = load_study(write(), ["contrasts=[]", "seeds=[1, 0]"])
    turned = study.model_copy(update={"arms": study.arms[::-1]})
    assert set(plan_study(turned).stages) == set(one.stages)


def test_more_seeds_keep_the_stages_of_the_old_ones(plan):
    assert set(plan().stages) < set(plan("seeds=[0, 1, 2, 3]").stages)


def test_an_override_changes_the_ids(plan):
    old, new = ids_by_kind(plan()), ids_by_kind(plan("grpo.steps=20"))
    assert old["grpo"].isdisjoint(new["grpo"])
    assert old["sft"] == new["sft"]


def test_the_lora_study_shares_all_it_can_with_the_first():
    micro = plan_study(load_study(SWEEPS / "micro.yaml"))
    lora = plan_study(load_study(SWEEPS / "micro-lora.yaml"))
    common = [run for run in lora.runs if run.arm in ("base", "base+grpo")]
    adapters = [run for run in lora.runs if run.arm == "base+grpo+lora"]
    assert len(common) == 4
    assert len(adapters) == 3
    for run in common:
        assert set(run.stages) <= set(micro.stages)
        assert run.stages == tuple(
            each for each in next(r for r in micro.runs if r.id == run.id).stages if each in lora.stages
        )
    for run in adapters:
        own = set(run.stages) - set(micro.stages)
        # Its training, its final evaluation and its curve; world, base model and start of the curve are shared.
        assert sorted(each.split("-")[0] for each in own) == ["evaluate", "evaluate", "grpo"]
        assert run.train
        settings = lora.stages[run.train].settings
        assert settings["tuning"] == {
            "kind": "lora",
            "rank": 16,
            "alpha": 32.0,
            "dropout": 0.0,
            "modules": ["language"],
            "layers": ["attention", "mlp"],
        }
        assert settings["learning_rate"] == 1e-3
