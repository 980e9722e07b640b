"""From run folders to ``results/<study>/*.parquet`` and ``study.json``."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.collect.rows import Completion, RunReader
from harness.data.files import read_cvbench
from harness.data.question import Question
from harness.models.prompts import PROMPT_STYLES
from harness.record.atomic import write_json, write_table
from harness.record.attempts import list_attempts
from harness.record.folders import Store
from harness.record.outputs import TEST_FILE
from harness.record.schemas import SCHEMA_VERSION, TABLE_NAMES, schema
from harness.record.states import StageState, run_states, stage_states
from harness.record.status import STATES
from harness.scoring.rules import RULES
from harness.scoring.traces import trace_statistics
from harness.study.expand import Plan, Run

SUITE = "micro-cvbench"

Rows = dict[str, list[dict[str, Any]]]


def collect(plan: Plan, store: Store, out: Path) -> dict[str, int]:
    """Write all tables of `harness.record.schemas` and ``study.json`` to ``out``, each file in one step.

    Equal stores give equal bytes.

    Returns:
        Number of rows by table.
    """
    states = stage_states(plan, store)
    outcome = run_states(plan, states)
    questions = _questions(plan, store, states)
    rows: Rows = {name: [] for name in TABLE_NAMES}
    rows["questions"] = [_question_row(plan, question) for question in questions.values()]
    for run in plan.runs:
        _collect_run(plan, store, states, run, outcome[run.id], questions, rows)
    for stage_id in plan.stages:
        _collect_stage(plan, store, states[stage_id], stage_id, rows)

    parts = sorted({name for run in plan.runs for name in run.settings.grpo.rewards})
    factors = list(plan.study.factors)
    for name in TABLE_NAMES:
        write_table(out / f"{name}.parquet", pa.Table.from_pylist(rows[name], schema(name, factors, parts)))
    write_json(out / "study.json", _study_record(plan, outcome))
    return {name: len(rows[name]) for name in TABLE_NAMES}


def _questions(plan: Plan, store: Store, states: dict[str, StageState]) -> dict[int, Question]:
    """The held-out questions by index; empty while the world is not there."""
    world = next(stage_id for stage_id, stage in plan.stages.items() if stage.kind == "world")
    if states[world].state != "done":
        return {}
    return {each.index: each for each in read_cvbench(store.folder(world).path / TEST_FILE)}


def _question_row(plan: Plan, question: Question) -> dict[str, Any]:
    return {
        "study": plan.study.study,
        "suite": SUITE,
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
    store: Store,
    states: dict[str, StageState],
    run: Run,
    outcome: tuple[str, str],
    questions: dict[int, Question],
    rows: Rows,
) -> None:
    identity = {"study": plan.study.study, "run": run.id, "arm": run.arm, "seed": run.seed}
    reader = RunReader(run, store, {stage_id for stage_id, state in states.items() if state.state == "done"})
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
        }
    )
    rows["training"] += [{**identity, "stage": run.train, **row} for row in reader.training()]
    for completion in reader.evaluations():
        prompt = plan.study.protocols[completion.protocol or ""].prompt
        _add_completion(rows, identity, completion, PROMPT_STYLES[prompt].prefill)
        question = questions[completion.question]
        for rule in plan.study.scoring:
            reading = RULES[rule](completion.text, completion.finish, question.choices)
            rows["answers"].append(
                {
                    **identity,
                    "step": completion.step,
                    "phase": completion.phase,
                    "suite": SUITE,
                    "question": question.index,
                    "task": question.task,
                    "source": question.source,
                    "image": question.image_id,
                    "protocol": completion.protocol,
                    "rule": rule,
                    "extracted": reading.extracted,
                    "status": reading.status,
                    "correct": reading.extracted == question.answer,
                }
            )
    prefill = PROMPT_STYLES[run.settings.grpo.prompt].prefill
    for completion in reader.rollouts(plan.study.collect.rollouts_every):
        _add_completion(rows, identity, completion, prefill)


def _add_completion(rows: Rows, identity: dict[str, Any], completion: Completion, prefill: str) -> None:
    place = {
        **identity,
        "phase": completion.phase,
        "step": completion.step,
        "protocol": completion.protocol,
        "question": completion.question,
        "sample": completion.sample,
    }
    written = {"text": completion.text, "tokens": completion.tokens, "finish": completion.finish}
    rows["completions"].append({**place, **written, **completion.rewards})
    statistics = trace_statistics(completion.text, prefill)
    rows["traces"].append({**place, **vars(statistics)})


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


def _study_record(plan: Plan, outcome: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Content of ``study.json``: the study as declared, and how much of it there is."""
    study = plan.study
    completeness = []
    for arm in plan.arms:
        found = Counter(outcome[run.id][0] for run in plan.runs if run.arm == arm.name)
        completeness.append({"arm": arm.name, "planned": found.total(), **{state: found[state] for state in STATES}})
    return {
        "schema_version": SCHEMA_VERSION,
        "study": study.study,
        "title": study.title,
        "declared": study.model_dump(mode="json"),
        "factors": {factor: list(levels) for factor, levels in study.factors.items()},
        "arms": [{"name": arm.name, "levels": arm.levels, "protocol": arm.protocol} for arm in plan.arms],
        "protocols": {name: protocol.model_dump(mode="json") for name, protocol in study.protocols.items()},
        "rules": study.scoring,
        "seeds": study.seeds,
        "contrasts": [contrast.model_dump(mode="json") for contrast in plan.contrasts],
        "suite": SUITE,
        "completeness": completeness,
    }


def _json(data: Any) -> str:
    return json.dumps(data, sort_keys=True)
