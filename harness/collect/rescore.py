"""Other scoring rules for completions that were collected before, without a run folder or a model."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.collect.answers import answer_row
from harness.record.atomic import read_json, write_json, write_table
from harness.record.schemas import SCHEMA_VERSION
from harness.scoring.reading import Reading
from harness.scoring.rules import RULES
from harness.study.errors import unknown
from harness.study.settings import GenerationRule

Rows = list[dict[str, Any]]

_COMPLETION = ("study", "run", "arm", "seed", "phase", "step", "suite", "protocol", "question", "text", "finish")
_REMEMBERED = 4096
"""Readings kept: the same text comes again in another phase, and often at the next checkpoint."""


def rescore(folder: Path, rules: Sequence[str] | None = None) -> dict[str, int]:
    """Read the stored completions of a collected study again; rewrite ``answers.parquet`` and, in ``study.json``, the
    ``rules``, each file in one step.

    Answers of rules that read no completions (likelihoods) stay as they are. Where nothing changes no byte does.

    Args:
        folder: ``results/<study>``, as collected.
        rules: the rules, the one that decides first; those that the study declares when left out.

    Returns:
        Number of answers by rule, those that stayed included.

    Raises:
        FileNotFoundError: the folder lacks a file of a collected study.
        ValueError: it was collected by another schema version, there is no such rule, one is named twice, none is
            named, or a contrast or claim needs one left out.
    """
    study = read_json(folder / "study.json")
    if study is None:
        raise FileNotFoundError(f"{folder} holds no study.json; collect the study first")
    if study.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"{folder} is of schema version {study.get('schema_version')}, and this code is of {SCHEMA_VERSION};"
            " collect the study anew, or score it with the code that collected it"
        )
    chosen = [rule for rule in study["declared"]["scoring"] if rule in RULES] if rules is None else list(rules)
    _check(chosen, study)

    schema = pq.read_schema(folder / "answers.parquet")
    stay = _by_run(folder / "answers.parquet", schema.names, ("rule", "not in", list(RULES)))
    completions = _by_run(folder / "completions.parquet", _COMPLETION, ("phase", "!=", "rollout"))
    listed = pq.read_table(folder / "questions.parquet").to_pylist()
    questions = {(row["suite"], row["question"]): row for row in listed}
    answers: Rows = []
    for run in pq.read_table(folder / "runs.parquet", columns=["run"])["run"].to_pylist():
        # the order of collection: a run's completions by rule, then its options
        for completion in completions.get(run, ()):
            question = questions[completion["suite"], completion["question"]]
            for rule in chosen:
                reading = _read(rule, completion["text"], completion["finish"], tuple(question["choices"]))
                answers.append(answer_row(completion, question, rule, reading))
        answers += stay.get(run, ())
    write_table(folder / "answers.parquet", pa.Table.from_pylist(answers, schema))
    write_json(folder / "study.json", study | {"rules": chosen})
    return dict(Counter(row["rule"] for row in answers))


@lru_cache(maxsize=_REMEMBERED)
def _read(rule: GenerationRule, text: str, finish: Any, choices: tuple[str, ...]) -> Reading:
    return RULES[rule](text, finish, choices)


def _by_run(file: Path, columns: Sequence[str], wanted: tuple[str, str, Any]) -> dict[str, Rows]:
    """Rows of a table by run, in the table's order."""
    found: dict[str, Rows] = {}
    for row in pq.read_table(file, columns=list(columns), filters=[wanted]).to_pylist():
        found.setdefault(row["run"], []).append(row)
    return found


def _check(rules: Sequence[str], study: Mapping[str, Any]) -> None:
    for rule in rules:
        if rule not in RULES:
            raise ValueError(unknown("scoring rule", rule, RULES))
    if not rules:
        raise ValueError(f"no scoring rule; name one at least: {', '.join(RULES)}")
    if twice := [rule for rule, count in Counter(rules).items() if count > 1]:
        raise ValueError(f"scoring rule {twice[0]!r} is named twice; name it once")
    contrasts, claims = study["contrasts"], study.get("claims", [])
    needed = [
        (f"contrast {each['name']!r} compares", difference[side]["rule"])
        for each in contrasts
        for difference in (each, each["minus"])
        if difference is not None
        for side in ("a", "b")
    ]
    needed += [(f"claim {each['name']!r} is read", each["ran"]["rule"]) for each in claims if each["ran"]]
    for what, rule in needed:
        if rule in RULES and rule not in rules:
            raise ValueError(f"{what} by scoring rule {rule!r}, which is left out; add it")
