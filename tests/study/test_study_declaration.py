"""What a contrast's hash stands for, and which evaluations a contrast reads."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.study import Contrast, Plan, Study, load_study, plan_study
from harness.study.declaration import (
    contrast_hashes,
    declaration,
    declaration_hash,
    questions_stage,
    read_stages,
)

SIDES = {"a": {"arm": "base+sft"}, "b": {"arm": "instruct+grpo"}}
MORE = (
    "contrasts=[{name: first, question: Which is ahead, a: base+sft, b: instruct+grpo},"
    " {name: paired, question: And by seed, a: base+sft, b: base+grpo+lora, pairing: seed, margin: 2.0},"
    " {name: fixed, question: Of one checkpoint, a: {arm: base, rule: lenient},"
    " b: {arm: base, rule: strict}}]"
)
CLAIMS = "claims=[{name: H1, statement: It is so., source: a paper, figure: 1.5, contrast: first}]"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    from tests.study.conftest import MINI

    path = tmp_path_factory.mktemp("study") / "mini.yaml"
    path.write_text(MINI)
    return load_study(path, [MORE, CLAIMS])


def hash_of(study: Study, fields: dict[str, Any]) -> str:
    """Hash of the one contrast of a study with these fields."""
    contrast = Contrast.model_validate({"name": "x", "question": "Q", **SIDES, **fields})
    return contrast_hashes(plan_study(study.model_copy(update={"contrasts": [contrast], "claims": []})))["x"]


def test_golden_hash_of_a_contrast(study: Study) -> None:
    """A change here makes every registration void: raise HASH_VERSION, knowingly."""
    assert declaration_hash({"a": {"arm": "é", "step": None}, "alpha": 0.05, "seeds": [0, 1]}) == "df295652198936db"
    assert hash_of(study, {}) == contrast_hashes(plan_study(study))["first"]


@given(st.permutations(range(3)), st.permutations([0, 1]), st.text(min_size=1), st.text(), st.text(min_size=1))
def test_order_names_and_wording_are_in_no_hash(study, order, seeds, question, title, statement) -> None:
    before = contrast_hashes(plan_study(study))
    contrasts = [
        study.contrasts[place].model_copy(update={"question": question, "name": f"{study.contrasts[place].name}.x"})
        for place in order
    ]
    claim = study.claims[0].model_copy(
        update={"name": "H9", "statement": statement, "figure": 9.5, "contrast": contrasts[0].name}
    )
    other = study.model_copy(
        update={"contrasts": contrasts, "claims": [claim], "seeds": list(seeds), "title": title, "study": "other"}
    )
    assert {f"{name}.x": digest for name, digest in before.items()} == contrast_hashes(plan_study(other))


CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "a": st.fixed_dictionaries(
            {"arm": st.just("base+sft"), "rule": st.sampled_from([None, "strict"]), "step": st.sampled_from([None, 50])}
        ),
        "minus": st.sampled_from([None, {"a": {"arm": "base+grpo+lora"}, "b": {"arm": "base"}}]),
        "metric": st.just("accuracy"),
        "pairing": st.sampled_from(["none", "seed"]),
        "margin": st.one_of(st.none(), st.floats(0.01, 50.0)),
        "family": st.sampled_from([None, "primary", "other"]),
        "alpha": st.floats(0.001, 0.499),
        "exclusions": st.sampled_from([["failed_checks"], []]),
    },
)  # fmt: skip
DEFAULTS: dict[str, Any] = {
    **{"a": {"arm": "base+sft", "rule": None, "step": None}, "minus": None, "metric": "accuracy", "pairing": "none"},
    **{"margin": None, "family": None, "alpha": 0.05, "exclusions": ["failed_checks"]},
}


@given(CHOICES, CHOICES)
def test_two_contrasts_have_one_hash_exactly_when_they_declare_the_same(study, one, two) -> None:
    same = DEFAULTS | one == DEFAULTS | two
    assert (hash_of(study, one) == hash_of(study, two)) == same


OTHER: list[dict[str, Any]] = [
    {"a": {"arm": "base"}},
    {"b": {"arm": "base+grpo+lora"}},
    {"a": {"arm": "base+sft", "rule": "strict"}},
    {"a": {"arm": "base+sft", "step": 50}},
    {"a": {"arm": "base+sft", "step": 300}},
    {"minus": {"a": {"arm": "base+grpo+lora"}, "b": {"arm": "base"}}},
    {"minus": {"a": {"arm": "base"}, "b": {"arm": "base+grpo+lora"}}},
    {"metric": "tokens"},
    {"pairing": "seed"},
    {"margin": 2.0},
    {"family": "primary"},
    {"alpha": 0.01},
    {"checkpoint": "best_half"},
    {"checkpoint": "mean_last"},
    {"checkpoint": "mean_last", "last_k": 2},
    {"exclusions": []},
]


def test_every_field_that_counts_changes_the_hash(study: Study) -> None:
    hashes = [hash_of(study, fields) for fields in [{}, *OTHER]]
    assert len(set(hashes)) == len(hashes)
    known = {*Contrast.model_fields} - {"name", "question", "seed_sd"}
    assert known == {field for fields in OTHER for field in fields}


@pytest.mark.parametrize("fields", [{"seed_sd": 1.5}, {"last_k": 3}, {"margin": None}, {"b": {"arm": "instruct+grpo"}}])
def test_what_is_planned_with_and_what_is_default_change_nothing(study: Study, fields: dict[str, Any]) -> None:
    assert hash_of(study, fields) == hash_of(study, {})


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("seeds=[0, 1, 2]", {"first", "paired"}),
        ("world.test_questions=50", {"first", "paired", "fixed"}),
        ("sft.steps=200", {"first", "paired"}),
        ("grpo.learning_rate=1e-3", {"first", "paired"}),
        ("lora.rank=4", {"paired"}),
        ("protocols.direct.max_new_tokens=7", {"first"}),
        ("protocols.think.max_new_tokens=7", {"first", "paired", "fixed"}),
        ("scoring=[strict, lenient]", {"first", "paired"}),
        ("curve.questions=7", set()),
        ("sft.checkpoint_every=100", set()),
        ("power={seed_sd: 1.5, difference: 1.0}", set()),
        ("claims=[]", set()),
        ("collect.rollouts_every=3", set()),
        ("contrasts.1.margin=2", set()),
        ("contrasts.0.question=Another wording", set()),
    ],
)
def test_what_is_read_and_the_seeds_are_in_the_hash(write: Callable, override: str, changed: set[str]) -> None:
    before = contrast_hashes(plan_study(load_study(write(), [MORE, CLAIMS])))
    after = contrast_hashes(plan_study(load_study(write(), [MORE, CLAIMS, override])))
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_declaration_is_json_and_its_hash_that_of_any_order(study: Study) -> None:
    plan = plan_study(study)
    for contrast in plan.contrasts:
        made_of = declaration(plan, contrast)
        read_back = json.loads(json.dumps(made_of))
        turned = dict(reversed(list(read_back.items())))
        assert declaration_hash(turned) == declaration_hash(made_of) == contrast_hashes(plan)[contrast.name]
        assert made_of["questions"] == questions_stage(plan)
        assert made_of["seeds"] == ([] if contrast.name == "fixed" else [0, 1])


def stages_read(plan: Plan) -> list[tuple[str, int | None, str, list[int]]]:
    """Arm, seed, phase and steps of what the first contrast reads of the runs of its arms."""
    read = read_stages(plan, plan.contrasts[0])
    assert read == sorted(set(read))
    arms = {side.arm for side in plan.contrasts[0].sides.values()}
    found = []
    for run in plan.runs:
        for each in run.evaluations:
            if each.stage in read and run.arm in arms:
                steps = [step - each.step_offset for step in plan.stages[each.stage].settings["steps"]]
                found.append((run.arm, run.seed, each.phase, steps))
    return found


def two_seeds(arm: str, *read: tuple[str, list[int]]) -> list[tuple[str, int, str, list[int]]]:
    return [(arm, seed, phase, steps) for seed in (0, 1) for phase, steps in read]


INNER = [50, 100, 150, 200, 250]


@pytest.mark.parametrize(
    ("fields", "sft", "grpo"),
    [
        ("", [("final", [300])], [("final", [300])]),
        ("a: {arm: base+sft, step: 50}", [("curve", INNER)], [("final", [300])]),
        ("a: {arm: base+sft, step: 300}", [("final", [300])], [("final", [300])]),
        ("a: {arm: base+sft, step: 0}", [("curve", [0])], [("final", [300])]),
        *(
            (f"checkpoint: {rule}", *(2 * [[("final", [300]), ("curve", [0]), ("curve", INNER)]]))
            for rule in ("best_half", "mean_last")
        ),
    ],
)
def test_a_contrast_reads_what_its_sides_and_checkpoints_need(
    write: Callable, fields: str, sft: list[Any], grpo: list[Any]
) -> None:
    changes = [("a: base+sft", fields)] if fields.startswith("a:") else []
    changes += [("b: instruct+grpo", f"b: instruct+grpo\n    {fields}")] if fields.startswith("checkpoint") else []
    found = stages_read(plan_study(load_study(write(*changes))))
    assert found == two_seeds("base+sft", *sft) + two_seeds("instruct+grpo", *grpo)


def test_a_contrast_reads_no_other_protocol_and_all_four_sides(write: Callable) -> None:
    both = ("base: {protocols: [think]}", "base: {protocols: [think, direct]}")
    minus = "b: base\n    minus: {a: {arm: base+grpo+lora, protocol: direct}, b: {arm: base, protocol: direct}}"
    plan = plan_study(load_study(write(both, ("b: instruct+grpo", minus))))
    read = read_stages(plan, plan.contrasts[0])
    protocols = {
        (run.arm, each.protocol, each.phase) for run in plan.runs for each in run.evaluations if each.stage in read
    }
    assert protocols == {
        ("base+sft", "think", "final"),
        ("base", "think", "final"),
        ("base+grpo+lora", "direct", "final"),
        ("base", "direct", "final"),
    }
