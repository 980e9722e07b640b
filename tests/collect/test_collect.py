import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from store_maker import fill, option_scores, text_of

import analysis
from harness.collect import collect
from harness.collect.earlier import loss, other_study
from harness.data.files import read_cvbench
from harness.data.order import spread
from harness.record.folders import Store
from harness.record.schemas import TABLE_NAMES, schema
from harness.scoring.traces import trace_statistics
from harness.study import Plan, load_study, plan_study
from harness.study.declaration import contrast_hashes

ROOT = Path(__file__).parents[2]
QUESTIONS, CURVE, STEPS = 9, 4, 4
REWARD_PARTS = ("accuracy", "format")
SMALL = [
    "seeds=[0, 1]",
    f"world={{train_questions: 8, test_questions: {QUESTIONS}}}",
    f"curve.questions={CURVE}",
    f"sft={{steps: {STEPS}, checkpoint_every: 2}}",
    f"grpo={{steps: {STEPS}, checkpoint_every: 2}}",
    "models.instruct.instruct.steps=2",
    "collect.rollouts_every=3",
    "protocols.options={prompt: micro-instruct-direct, method: options}",
    "arms.1.set.protocols=[options, instruct-direct]",
    "arms.3.set.protocols=[options, instruct-think]",
    "claims=[{name: c, statement: It is so., source: a paper, figure: 3.25, ran: base}]",
]
OPTIONS_RULES = ("likelihood", "likelihood_per_token")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_study(load_study(ROOT / "sweeps" / "micro.yaml", SMALL))


def new_store(folder: Path) -> Store:
    return Store(folder, (ROOT / "harness" / "models" / "micro_base",))


def rows(folder: Path, table: str, **where: Any) -> list[dict[str, Any]]:
    found = pq.read_table(folder / f"{table}.parquet").to_pylist()
    return [row for row in found if all(row[name] == value for name, value in where.items())]


@pytest.fixture(scope="module")
def whole(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Collected tables of a finished study."""
    folder = tmp_path_factory.mktemp("whole")
    store = new_store(folder / "store")
    fill(plan, store)
    counts = collect(plan, store, folder / "results")
    for table in TABLE_NAMES:
        assert counts[table] == pq.read_metadata(folder / "results" / f"{table}.parquet").num_rows
    return folder / "results"


@pytest.fixture(scope="module")
def partial(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One training failed and left half of its work, one evaluation of another run never began."""
    folder = tmp_path_factory.mktemp("partial")
    store = new_store(folder / "store")
    by_id = {run.id: run for run in plan.runs}
    absent = by_id["base+sft/seed=1"].evaluations[0].stage
    fill(plan, store, failed=[by_id["base+grpo/seed=0"].train or ""], absent=[absent])
    collect(plan, store, folder / "results")
    return folder / "results"


@pytest.mark.parametrize("table", TABLE_NAMES)
@pytest.mark.parametrize("state", ["whole", "partial", "nothing"])
def test_tables_have_their_schema(
    table: str, state: str, plan: Plan, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if state == "nothing":
        collect(plan, new_store(tmp_path / "store"), tmp_path)
    folder = tmp_path if state == "nothing" else request.getfixturevalue(state)
    found, expected = pq.read_schema(folder / f"{table}.parquet"), schema(table, plan.study.factors, REWARD_PARTS)
    assert found.metadata == expected.metadata
    assert [(f.name, f.type, f.metadata) for f in found] == [(f.name, f.type, f.metadata) for f in expected]


def test_collecting_twice_gives_the_same_bytes(plan: Plan, whole: Path, tmp_path: Path) -> None:
    collect(plan, new_store(whole.parent / "store"), tmp_path)
    names = {path.name for path in whole.iterdir()}
    assert names == {path.name for path in tmp_path.iterdir()} == {"study.json", *(f"{t}.parquet" for t in TABLE_NAMES)}
    for name in names:
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


def test_collecting_again_replaces_what_was_there(plan: Plan, whole: Path, tmp_path: Path) -> None:
    collect(plan, new_store(tmp_path / "store"), tmp_path / "results")
    assert rows(tmp_path / "results", "answers") == []
    collect(plan, new_store(whole.parent / "store"), tmp_path / "results")
    assert (tmp_path / "results" / "answers.parquet").read_bytes() == (whole / "answers.parquet").read_bytes()


def test_what_collecting_would_take_away_is_told(plan: Plan, whole: Path, partial: Path, tmp_path: Path) -> None:
    full, half, empty = (new_store(each) for each in (whole.parent / "store", partial.parent / "store", tmp_path / "s"))
    assert loss(plan, empty, tmp_path / "nowhere") is None
    assert loss(plan, full, whole) is None  # as many
    assert loss(plan, full, partial) is None  # more
    assert loss(plan, half, whole) == (
        f"{whole} holds 8 finished runs of study 'micro', which the 6 of 8 planned that are finished in the store"
        f" {half.root} would replace"
    )
    fewer = plan_study(load_study(ROOT / "sweeps" / "micro.yaml", [*SMALL, "seeds=[0]"]))
    assert "the 5 of 5 planned" in (loss(fewer, full, whole) or "")
    other = plan_study(load_study(ROOT / "sweeps" / "micro.yaml", [*SMALL, "study=other"]))
    text = f"{whole} holds the study 'micro' with 8 finished runs, which study 'other' would replace"
    assert loss(other, full, whole) == other_study(other, whole) == text
    # tables that can't be read, and a folder of unfinished ones, hold nothing to lose
    (tmp_path / "runs.parquet").write_text("no table")
    (tmp_path / "study.json").write_text("no JSON")
    assert loss(plan, empty, tmp_path) is None
    collect(plan, empty, tmp_path)
    assert loss(plan, empty, tmp_path) is None


def test_every_run_has_its_answers_right(plan: Plan, whole: Path) -> None:
    questions = {q.index: q for q in read_cvbench(_world(plan, whole))}
    start_steps = {"base": 3300, "instruct": 2}
    for run in plan.runs:
        finals = rows(whole, "answers", run=run.id, phase="final")
        found = Counter((row["protocol"], row["rule"]) for row in finals)
        assert found == {(p, r): QUESTIONS for p in run.settings.protocols for r in rules_of(p)}
        assert {row["step"] for row in finals} == {STEPS if run.train else 0}
        curve = rows(whole, "answers", run=run.id, phase="curve")
        per_step = Counter(row["step"] for row in curve)
        assert per_step == (dict.fromkeys((0, 2, 4), 2 * CURVE) if run.train else {})
        assert {row["protocol"] for row in curve} <= {run.settings.protocols[0]}
        for row in finals + curve:
            question = questions[row["question"]]
            assert (row["arm"], row["seed"]) == (run.arm, run.seed)
            assert (row["task"], row["source"], row["image"]) == (question.task, question.source, question.image_id)
            text = text_of(row["step"] or start_steps[run.settings.start], question.index, question.answer)
            tagged, plain = "<answer>" in text, text.endswith(" .")
            if row["protocol"] == "options":
                tie, right = question.index % 3 == 0, row["rule"] == "likelihood_per_token"
                assert row["status"] == ("ambiguous" if tie else "ok")
                assert row["correct"] == (right and not tie)
                assert (row["extracted"] is None) == tie
                continue
            right = tagged or (plain and row["rule"] == "lenient")
            status = "ok" if right else {"": "empty", "look at the": "truncated"}.get(text, "no_tag")
            assert (row["correct"], row["status"]) == (right, status)
            assert row["extracted"] == (question.answer if right else None)


def rules_of(protocol: str) -> tuple[str, str]:
    return OPTIONS_RULES if protocol == "options" else ("lenient", "strict")


def test_every_option_has_its_score_and_no_completion(plan: Plan, whole: Path) -> None:
    questions = {q.index: q for q in read_cvbench(_world(plan, whole))}
    asked = {run.id for run in plan.runs if "options" in run.settings.protocols}
    assert asked == {"base+sft/seed=0", "base+sft/seed=1", "instruct"}
    assert {row["run"] for row in rows(whole, "option_scores")} == asked
    for run in asked:
        found = rows(whole, "option_scores", run=run, phase="final")
        assert [(row["question"], row["option"]) for row in found] == [
            (question.index, option) for question in questions.values() for option in range(len(question.choices))
        ]
        for row in found:
            assert (row["logprob"], row["tokens"]) == option_scores(questions[row["question"]])[row["option"]]
            assert (row["protocol"], row["suite"]) == ("options", "micro-cvbench")
        curve = Counter((row["step"], row["question"]) for row in rows(whole, "option_scores", run=run, phase="curve"))
        first = {index: len(questions[index].choices) for index in spread(len(questions), CURVE)}
        assert curve == {(step, i): n for step in (0, 2, 4) for i, n in first.items() if run != "instruct"}
    for table in ("completions", "traces"):
        assert rows(whole, table, protocol="options") == []


def test_what_was_trained_on_stands_in_runs(plan: Plan, whole: Path) -> None:
    for row in rows(whole, "runs"):
        found = (row["data_fingerprint"], row["prompt_hash"], row["pixel_range"])
        assert found == (("ab12", "cd34", "[3136, 7056]") if row["train_stage"] else (None, None, None))


def test_only_rewards_that_were_trained_on_have_columns(tmp_path: Path) -> None:
    overrides = ["arms=[{start: base, training: none}]", "contrasts=[]"]
    collect(plan_study(load_study(ROOT / "sweeps" / "micro.yaml", overrides)), new_store(tmp_path / "s"), tmp_path)
    names = pq.read_schema(tmp_path / "completions.parquet").names
    assert [name for name in names if name.startswith("reward")] == ["reward"]


def _world(plan: Plan, results: Path) -> Path:
    (world,) = (stage for stage in plan.stages.values() if stage.kind == "world")
    return results.parent / "store" / world.id / "test.parquet"


def test_completions_and_traces_go_together(plan: Plan, whole: Path) -> None:
    completions, traces = rows(whole, "completions"), rows(whole, "traces")
    assert len(completions) == len(traces)
    for completion, trace in zip(completions, traces, strict=True):
        place = ("run", "phase", "step", "suite", "protocol", "question", "sample")
        assert completion["suite"] == (None if completion["phase"] == "rollout" else "micro-cvbench")
        assert [completion[name] for name in place] == [trace[name] for name in place]
        if completion["phase"] == "rollout":
            base = completion["arm"].startswith("base")
        else:
            base = completion["protocol"] == "base-think"
        expected = trace_statistics(completion["text"], "<think>" if base else "")
        assert trace["well_formed"] == expected.well_formed
        assert trace["thinking_words"] == expected.thinking_words
        assert trace["reflection_markers"] == expected.reflection_markers
        assert (completion["reward"] is None) == (completion["phase"] != "rollout")
    assert any(trace["well_formed"] for trace in traces)


def test_rollouts_of_the_declared_steps_are_kept(plan: Plan, whole: Path) -> None:
    for run in plan.runs:
        found = Counter(row["step"] for row in rows(whole, "completions", run=run.id, phase="rollout"))
        assert found == ({1: 4, 3: 4} if run.settings.training == "grpo" else {})
    for row in rows(whole, "completions", phase="rollout"):
        assert (row["reward"], row["reward_accuracy"], row["reward_format"]) == (2.0, 1.0, 1.0)


def test_training_has_every_step(plan: Plan, whole: Path) -> None:
    for run in plan.runs:
        training = rows(whole, "training", run=run.id)
        assert [row["step"] for row in training] == (list(range(1, STEPS + 1)) if run.train else [])
        assert all(row["stage"] == run.train for row in training)
        assert all((row["reward"] is None) == (run.settings.training == "sft") for row in training)


def test_a_finished_study_says_so(plan: Plan, whole: Path) -> None:
    assert all(row["state"] == "done" and row["reason"] == "" for row in rows(whole, "runs"))
    assert [row["run"] for row in rows(whole, "runs")] == [run.id for run in plan.runs]
    for row in rows(whole, "runs"):
        assert (row["checks"] is None) == (row["train_stage"] is None)
    study = json.loads((whole / "study.json").read_text())
    assert study["suite"] == "micro-cvbench"
    ran = {"arm": "base", "protocol": "base-think", "rule": "lenient", "step": None}
    assert [(claim["figure"], claim["contrast"], claim["ran"]) for claim in study["claims"]] == [(3.25, None, ran)]
    assert {arm["name"]: arm["curve_questions"] for arm in study["arms"]} == {
        **{"base": 0, "base+sft": CURVE, "base+grpo": CURVE},
        **{"instruct": 0, "instruct+grpo": CURVE},
    }
    planned = {"base": 1, "base+sft": 2, "base+grpo": 2, "instruct": 1, "instruct+grpo": 2}
    assert {each["arm"]: each["planned"] for each in study["completeness"]} == planned
    assert {each["arm"]: each["done"] for each in study["completeness"]} == planned


def test_study_json_has_the_steps_of_each_arms_curve(plan: Plan, whole: Path, tmp_path: Path) -> None:
    arms = {arm["name"]: arm for arm in json.loads((whole / "study.json").read_text())["arms"]}
    trained = [0, 2, STEPS]
    assert {name: arm["checkpoints"] for name, arm in arms.items()} == {
        **{"base": [], "base+sft": trained, "base+grpo": trained},
        **{"instruct": [], "instruct+grpo": trained},
    }
    for run in plan.runs:
        if run.train is not None:
            answers = rows(whole, "answers", run=run.id, protocol=arms[run.arm]["protocol"])
            assert sorted({row["step"] for row in answers}) == arms[run.arm]["checkpoints"]
    # steps that checkpoint_every does not divide; no questions for the curve; nothing computed
    uneven = plan_study(load_study(ROOT / "sweeps" / "micro.yaml", [*SMALL, "sft.steps=5"]))
    collect(uneven, new_store(tmp_path / "store"), tmp_path)
    assert json.loads((tmp_path / "study.json").read_text())["arms"][1]["checkpoints"] == [0, 2, 4, 5]
    without = plan_study(load_study(ROOT / "sweeps" / "micro.yaml", [*SMALL, "curve.questions=0"]))
    collect(without, new_store(tmp_path / "store"), tmp_path)
    found = json.loads((tmp_path / "study.json").read_text())["arms"]
    assert [arm["checkpoints"] for arm in found] == [[]] * 5


def test_study_json_has_the_contrasts_resolved_with_hash_and_what_they_read(plan: Plan, whole: Path) -> None:
    study = json.loads((whole / "study.json").read_text())
    assert study["schema_version"] == 4
    stages = {row["stage"]: row for row in rows(whole, "stages")}
    assert stages[study["questions_stage"]]["kind"] == "world"
    assert study["power"] == plan.study.power.model_dump()
    hashes = contrast_hashes(plan)
    for contrast in study["contrasts"]:
        assert contrast["hash"] == hashes[contrast["name"]]
        assert contrast["reads"] == sorted(contrast["reads"])
        sides = [contrast["a"], contrast["b"]]
        if contrast["minus"] is not None:
            sides += [contrast["minus"]["a"], contrast["minus"]["b"]]
        arms = {side["arm"] for side in sides}
        users = {run.rpartition("/seed=")[0] or run for stage in contrast["reads"] for run in stages[stage]["runs"]}
        assert users == arms
        assert {stages[stage]["kind"] for stage in contrast["reads"]} == {"evaluate"}
        assert all(side["protocol"] and side["rule"] for side in sides)
        assert contrast["seed_sd"] == study["power"]["seed_sd"]
    assert any(contrast["minus"] for contrast in study["contrasts"])


def test_registrations_are_put_down_as_they_were_found(plan: Plan, whole: Path, tmp_path: Path) -> None:
    study = json.loads((whole / "study.json").read_text())
    reason = "collected without a look at registrations"
    assert set(study["registration"]["contrasts"]) == {contrast.name for contrast in plan.contrasts}
    for each in study["registration"]["contrasts"].values():
        assert each == {"commit": None, "committed": None, "reason": reason}
    found = {"file": "x.registered.json", "contrasts": {"grpo-vs-sft": {"commit": "ab12"}}, "withdrawn": {}}
    collect(plan, new_store(tmp_path / "store"), tmp_path, found)
    assert json.loads((tmp_path / "study.json").read_text())["registration"] == found


def test_stages_and_attempts(plan: Plan, whole: Path) -> None:
    stages = {row["stage"]: row for row in rows(whole, "stages")}
    assert list(stages) == list(plan.stages)
    for stage_id, row in stages.items():
        assert json.loads(row["settings"]) == plan.stages[stage_id].settings
        assert json.loads(row["inputs"]) == plan.stages[stage_id].inputs
        assert row["runs"] == list(plan.users(stage_id))
        assert row["shipped"] == (row["kind"] == "pretrain")
    attempts = rows(whole, "attempts")
    assert {row["stage"] for row in attempts} == {s for s, row in stages.items() if not row["shipped"]}
    assert {row["exit"] for row in attempts} == {"completed"}


def test_what_is_missing_is_a_row_with_a_state(plan: Plan, partial: Path) -> None:
    states = {row["run"]: (row["state"], row["reason"]) for row in rows(partial, "runs")}
    assert list(states) == [run.id for run in plan.runs]
    state, reason = states.pop("base+grpo/seed=0")
    assert state == "failed"
    assert "ValueError: invented" in reason
    assert states.pop("base+sft/seed=1")[0] == "missing"
    assert set(states.values()) == {("done", "")}
    study = json.loads((partial / "study.json").read_text())
    counts = {each["arm"]: each for each in study["completeness"]}
    assert (counts["base+grpo"]["done"], counts["base+grpo"]["failed"]) == (1, 1)
    assert (counts["base+sft"]["done"], counts["base+sft"]["missing"]) == (1, 1)


def test_an_unfinished_stage_leaves_no_rows_but_is_listed(plan: Plan, partial: Path) -> None:
    """The failed training wrote metrics and rollouts, which nobody is to take for whole."""
    assert rows(partial, "training", run="base+grpo/seed=0") == []
    assert rows(partial, "completions", run="base+grpo/seed=0", phase="rollout") == []
    finals = [row for row in rows(partial, "answers", phase="final") if row["run"] == "base+grpo/seed=0"]
    assert finals == []
    assert rows(partial, "training", run="base+grpo/seed=1")
    finals = rows(partial, "answers", run="base+sft/seed=1", phase="final")
    assert {row["protocol"] for row in finals} == {"instruct-direct"}  # the other protocol's evaluation never began
    curve = rows(partial, "answers", run="base+sft/seed=1", phase="curve")
    assert {row["step"] for row in curve} == {0, 2}  # what is finished of an unfinished run counts
    states = Counter((row["kind"], row["state"]) for row in rows(partial, "stages"))
    assert states["grpo", "failed"] == 1
    assert states["evaluate", "blocked"] == 2
    assert states["evaluate", "missing"] == 1
    failed = rows(partial, "attempts", exit="failed")
    assert [row["kind"] for row in failed] == ["grpo"]


def test_an_empty_store_is_collected_too(plan: Plan, tmp_path: Path) -> None:
    collect(plan, new_store(tmp_path / "store"), tmp_path)
    assert {row["state"] for row in rows(tmp_path, "runs")} == {"missing"}
    assert len(rows(tmp_path, "runs")) == len(plan.runs)
    for table in ("questions", "answers", "completions", "traces", "training", "attempts"):
        assert rows(tmp_path, table) == []


@pytest.mark.parametrize("state", ["whole", "partial"])
def test_the_analysis_reads_what_was_collected(state: str, plan: Plan, request: pytest.FixtureRequest) -> None:
    tables = analysis.load(request.getfixturevalue(state))
    assert tables.arms == [arm.name for arm in plan.arms]
    assert tables.rules == ["lenient", "strict"]
    assert len(tables.questions) == QUESTIONS
    assert set(tables.runs["run"]) == {run.id for run in plan.runs}
    assert {arm.name: tables.own_protocol(arm.name) for arm in plan.arms} == {a.name: a.protocol for a in plan.arms}
    assert [each["name"] for each in tables.study["contrasts"]] == [c.name for c in plan.study.contrasts]
