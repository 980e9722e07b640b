"""From run folders to ``results/<study>/*.parquet`` and ``study.json``."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.collect.answers import answer_row
from harness.collect.rows import Completion, RunReader, ScoredOptions
from harness.data.files import read_cvbench
from harness.data.question import Question
from harness.models.prompts import PROMPT_STYLES
from harness.record.atomic import write_json, write_table
from harness.record.attempts import list_attempts
from harness.record.folders import Store
from harness.record.outputs import TEST_FILE
from harness.record.schemas import SCHEMA_VERSION, TABLE_NAMES, schema
from harness.record.states import StageState, run_states, stage_states
from harness.record.status import FOLDER_STATES
from harness.scoring.likelihood import OPTION_RULES
from harness.scoring.rules import RULES
from harness.scoring.traces import trace_statistics
from harness.study.checkpoints import curve_steps
from harness.study.contrasts import completion_rules
from harness.study.declaration import contrast_hashes, questions_stage, read_stages
from harness.study.expand import Plan
from harness.study.schema import Contrast

Rows = dict[str, list[dict[str, Any]]]


def collect(plan: Plan, store: Store, out: Path, registration: Mapping[str, Any] | None = None) -> dict[str, int]:
    """Write all tables of `harness.record.schemas` and ``study.json`` to ``out``, each file in one step.

    Equal stores give equal bytes.

    Args:
        registration: since when the contrasts are registered, of `harness.record.registration.find_registrations`;
            none counts as registered when left out.

    Returns:
        Number of rows by table.
    """
    states = stage_states(plan, store)
    outcome = run_states(plan, states)
    rows: Rows = {name: [] for name in TABLE_NAMES}
    rows["questions"] = [_question_row(plan, question) for question in _questions(plan, store, states)]
    questions = {row["question"]: row for row in rows["questions"]}
    done = {stage_id for stage_id, state in states.items() if state.state == "done"}
    for run in plan.runs:
        _collect_run(plan, RunReader(plan.study, run, store, done), outcome[run.id], questions, rows)
    for stage_id in plan.stages:
        _collect_stage(plan, store, states[stage_id], stage_id, rows)

    trained = [run.settings.grpo for run in plan.runs if run.settings.training == "grpo"]
    parts = sorted({name for recipe in trained for name in recipe.terms()})
    factors = list(plan.study.factors)
    for name in TABLE_NAMES:
        write_table(out / f"{name}.parquet", pa.Table.from_pylist(rows[name], schema(name, factors, parts)))
    write_json(out / "study.json", _study_record(plan, outcome, registration))
    return {name: len(rows[name]) for name in TABLE_NAMES}


def _questions(plan: Plan, store: Store, states: dict[str, StageState]) -> list[Question]:
    """The test questions; none while their stage is not done."""
    test = questions_stage(plan)
    if states[test].state != "done":
        return []
    return list(read_cvbench(store.folder(test).path / TEST_FILE))


def _question_row(plan: Plan, question: Question) -> dict[str, Any]:
    return {
        "study": plan.study.study,
        "suite": plan.study.suite,
        "question": question.index,
        "task": question.task,
        "type": question.type,
        "source": question.source,
        "image": question.image_id,
        "text": question.text,
        "choices": list(question.choices),
        "answer": question.answer,
        "answer_letter": question.answer_letter,
    }


def _collect_run(
    plan: Plan,
    reader: RunReader,
    outcome: tuple[str, str],
    questions: Mapping[int, Mapping[str, Any]],
    rows: Rows,
) -> None:
    run = reader.run
    identity = {"study": plan.study.study, "run": run.id, "arm": run.arm, "seed": run.seed}
    rows["runs"].append(
        {
            **identity,
            **{f"factor_{factor}": level for factor, level in run.levels.items()},
            "state": outcome[0],
            "reason": outcome[1],
            "start_stage": run.start,
            "train_stage": run.train,
            "protocol": run.settings.protocols[0],
            "final_step": run.final_step,
            "checks": reader.checks(),
            **reader.facts(),
        }
    )
    rows["training"] += [{**identity, "stage": run.train, **row} for row in reader.training()]
    rules = completion_rules(plan.study)
    for completion in reader.completions():
        prompt = plan.study.protocols[completion.protocol or ""].prompt
        place = _add_completion(rows, identity, completion, plan.study.suite, PROMPT_STYLES[prompt].prefill)
        question = questions[completion.question]
        for rule in rules:
            reading = RULES[rule](completion.text, completion.finish, question["choices"])
            rows["answers"].append(answer_row(place, question, rule, reading))
    for scored in reader.scored_options():
        _add_options(rows, identity, scored, questions[scored.question])
    prefill = PROMPT_STYLES[run.settings.grpo.prompt].prefill
    for completion in reader.rollouts(plan.study.collect.rollouts_every):
        _add_completion(rows, identity, completion, None, prefill)


def _add_completion(
    rows: Rows, identity: dict[str, Any], completion: Completion, suite: str | None, prefill: str
) -> dict[str, Any]:
    """Add a completion with its trace; gives what tells it apart.

    Args:
        suite: the benchmark that the question is of; None for a rollout.
    """
    place = {
        **identity,
        "phase": completion.phase,
        "step": completion.step,
        "suite": suite,
        "protocol": completion.protocol,
        "question": completion.question,
        "sample": completion.sample,
    }
    written = {"text": completion.text, "tokens": completion.tokens, "finish": completion.finish}
    rows["completions"].append({**place, **written, **completion.rewards})
    statistics = trace_statistics(completion.text, prefill)
    rows["traces"].append({**place, **vars(statistics)})
    return place


def _add_options(rows: Rows, identity: dict[str, Any], scored: ScoredOptions, question: Mapping[str, Any]) -> None:
    """Add the options of a question, and what the likelihood rules make of them."""
    place = {
        **identity,
        "phase": scored.phase,
        "step": scored.step,
        "suite": question["suite"],
        "protocol": scored.protocol,
    }
    for option, (logprob, tokens) in enumerate(zip(scored.logprobs, scored.tokens, strict=True)):
        score = {"option": option, "logprob": logprob, "tokens": tokens}
        rows["option_scores"].append({**place, "question": scored.question, **score})
    for rule, read in OPTION_RULES.items():
        reading = read(scored.logprobs, scored.tokens, question["choices"])
        rows["answers"].append(answer_row(place, question, rule, reading))


def _collect_stage(plan: Plan, store: Store, state: StageState, stage_id: str, rows: Rows) -> None:
    stage = plan.stages[stage_id]
    done = store.folder(stage_id).done_record() or {}
    versions = done.get("versions")
    rows["stages"].append(
        {
            "study": plan.study.study,
            "stage": stage_id,
            "kind": stage.kind,
            "state": state.state,
            "shipped": state.shipped,
            "reason": state.reason,
            "settings": _json(stage.settings),
            "inputs": _json(stage.inputs),
            "runs": list(plan.users(stage_id)),
            "versions": _json(versions) if versions else None,
        }
    )
    known = schema("attempts").names
    for attempt in list_attempts(store.own_folder(stage_id)):
        row = {"study": plan.study.study, "stage": stage_id, "kind": stage.kind, **attempt}
        rows["attempts"].append({name: row.get(name) for name in known})


def _study_record(
    plan: Plan, outcome: Mapping[str, tuple[str, str]], registration: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Content of ``study.json``: the study as declared, since when, and how much of it there is."""
    study, hashes = plan.study, contrast_hashes(plan)
    completeness = []
    for arm in plan.arms:
        found = Counter(outcome[run.id][0] for run in plan.runs if run.arm == arm.name)
        completeness.append(
            {"arm": arm.name, "planned": found.total(), **{state: found[state] for state in FOLDER_STATES}}
        )
    return {
        "schema_version": SCHEMA_VERSION,
        "study": study.study,
        "title": study.title,
        "declared": study.model_dump(mode="json", exclude={"resources"}),
        "factors": {factor: list(levels) for factor, levels in study.factors.items()},
        "arms": [
            {
                "name": arm.name,
                "levels": arm.levels,
                "protocol": arm.protocol,
                "curve_questions": arm.settings.curve.questions if arm.has_seeds else 0,
                "checkpoints": curve_steps(arm),
            }
            for arm in plan.arms
        ],
        "protocols": {name: protocol.model_dump(mode="json") for name, protocol in study.protocols.items()},
        "rules": completion_rules(study),
        "seeds": study.seeds,
        "contrasts": [_contrast_record(plan, contrast, hashes[contrast.name]) for contrast in plan.contrasts],
        "claims": [claim.model_dump(mode="json") for claim in plan.claims],
        "suite": study.suite,
        "questions_stage": questions_stage(plan),
        "power": study.power.model_dump(mode="json"),
        "registration": _unregistered(plan) if registration is None else registration,
        "completeness": completeness,
    }


def _contrast_record(plan: Plan, contrast: Contrast, digest: str) -> dict[str, Any]:
    return contrast.model_dump(mode="json") | {"hash": digest, "reads": read_stages(plan, contrast)}


def _unregistered(plan: Plan) -> dict[str, Any]:
    nothing = {"commit": None, "committed": None, "reason": "collected without a look at registrations"}
    return {"file": None, "contrasts": {contrast.name: nothing for contrast in plan.contrasts}, "withdrawn": {}}


def _json(data: Any) -> str:
    return json.dumps(data, sort_keys=True)
