"""Fills a store with invented results of a plan's stages, through the record's own functions."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.data import world_stage
from harness.data.files import read_cvbench
from harness.data.question import Question
from harness.record.atomic import write_json, write_table
from harness.record.attempts import open_attempt
from harness.record.context import StageContext
from harness.record.folders import Store
from harness.record.outputs import StepLog
from harness.record.status import Status, write_status
from harness.study import Plan, Stage

GROUP, PROMPTS = 2, 2


def fill(plan: Plan, store: Store, failed: Iterable[str] = (), absent: Iterable[str] = ()) -> None:
    """Compute every stage that is not done; ``failed`` ones leave half of their work, ``absent`` ones nothing.

    What stands on either stays absent.
    """
    failed, gone = set(failed), set(absent)
    for stage_id, stage in plan.stages.items():
        if stage_id in gone or gone & set(stage.inputs.values()):
            gone.add(stage_id)
            continue
        if store.is_done(stage):
            continue
        if stage_id in failed:
            gone.add(stage_id)
        _stage(stage, store, stage_id in failed)


def _stage(stage: Stage, store: Store, fails: bool) -> None:
    folder = store.own_folder(stage.id)
    wanted = folder.write_stage(stage)
    attempt = open_attempt(folder, "local", "1234", "submission")
    attempt.log.write_text("")
    {"world": _world, "evaluate": _evaluate}.get(stage.kind, _train)(stage, folder.path, store)
    if fails:
        attempt.close("failed", "ValueError: invented")
        write_status(folder.status_file, Status("failed", 1, reason="ValueError: invented"))
        return
    folder.write_done(wanted, seconds=1.0, attempt=1, versions={"python": "3.11"})
    attempt.close("completed")
    write_status(folder.status_file, Status("done", 1))


def _world(stage: Stage, path: Path, store: Store) -> None:
    world_stage.run(StageContext(path, stage.settings))


def _train(stage: Stage, path: Path, store: Store) -> None:
    for step in stage.cosmetic["checkpoints"]:
        checkpoint = path / "checkpoints" / f"step-{step:06d}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "model.safetensors").write_text(f"{stage.id} {step}")
    metrics, rollouts = StepLog(path / "metrics"), StepLog(path / "rollouts")
    for step in range(1, stage.settings["steps"] + 1):
        row: dict[str, Any] = {"step": step, "loss": 1 / step, "grad_norm": 1.0, "learning_rate": 1e-4, "seconds": 0.5}
        if stage.kind == "grpo":
            row |= {"reward": 0.5, "reward_accuracy": 0.25, "reward_format": 0.25, "kl": None}
            for question in range(PROMPTS):
                for sample in range(GROUP):
                    rollouts.add(
                        {"step": step, "question": question, "sample": sample, "tokens": 4, "finish": "stop"}
                        | {"text": "wait </think> <answer> red </answer>", "choices": ["red", "blue"], "answer": "red"}
                        | {"reward": 2.0, "reward_accuracy": 1.0, "reward_format": 1.0}
                    )
        metrics.add(row)
    metrics.flush()
    rollouts.flush()
    write_json(path / "checks.json", {"steps": {"passed": True, "detail": "all"}})
    write_json(path / "facts.json", {"data_fingerprint": "ab12", "prompt_hash": "cd34", "pixel_range": [3136, 7056]})


def text_of(step: int, question: int, answer: str) -> str:
    """The invented completion: right with a tag, right without, nothing, or cut off, in turn."""
    return [f"<answer> {answer} </answer>", f"{answer} .", "", "look at the"][(step + question) % 4]


def option_scores(question: Question) -> list[tuple[float, int]]:
    """The invented log-likelihood and length of each option: the right one is the likeliest by token but not by sum;
    every third question's options are alike."""
    if question.index % 3 == 0:
        return [(-4.0, 2) for _ in question.choices]
    return [(-4.0, 4) if choice == question.answer else (-3.0 - i / 8, 1) for i, choice in enumerate(question.choices)]


def _evaluate(stage: Stage, path: Path, store: Store) -> None:
    questions = read_cvbench(store.folder(stage.inputs["data"]).path / "test.parquet", stage.settings["questions"])
    if stage.settings["method"] == "options":
        rows = [
            {"step": step, "question": q.index, "option": option, "logprob": logprob, "tokens": tokens}
            for step in stage.settings["steps"]
            for q in questions
            for option, (logprob, tokens) in enumerate(option_scores(q))
        ]
        write_table(path / "options.parquet", pa.Table.from_pylist(rows))
        return
    rows = [
        {"step": step, "question": q.index, "text": text, "tokens": 40 if cut else len(text.split()) + 1}
        | {"finish": "length" if cut else "stop"}
        for step in stage.settings["steps"]
        for q in questions
        for text in [text_of(step, q.index, q.answer)]
        for cut in [text == "look at the"]
    ]
    types = [("step", pa.int32()), ("question", pa.int32()), ("text", pa.string()), ("tokens", pa.int32())]
    table = pa.Table.from_pylist(rows, pa.schema([*types, ("finish", pa.string())]))
    write_table(path / "completions.parquet", table)
