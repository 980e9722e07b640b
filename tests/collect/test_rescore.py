"""Scoring completions again, on a copy of the published miniature study's tables."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from harness.collect.rescore import rescore
from harness.record.atomic import write_json, write_table
from harness.scoring.rules import RULES

MICRO = Path(__file__).parents[2] / "results" / "micro"
FILES = ("answers.parquet", "completions.parquet", "questions.parquet", "runs.parquet", "study.json")
QUESTIONS = 12


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study's first questions and first rollouts, written by the library that is installed here."""
    folder = tmp_path_factory.mktemp("micro")
    for name in FILES[:4]:
        table = pq.read_table(MICRO / name)
        if name != "runs.parquet":
            table = table.filter(pc.less(table["question"], QUESTIONS))
        write_table(folder / name, table)
    shutil.copyfile(MICRO / "study.json", folder / "study.json")
    return folder


@pytest.fixture
def folder(small: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "micro"))


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def answers(folder: Path, rule: str) -> list[dict[str, Any]]:
    return [row for row in pq.read_table(folder / "answers.parquet").to_pylist() if row["rule"] == rule]


def test_the_study_s_own_rules_change_no_byte(folder: Path, small: Path) -> None:
    counted = rescore(folder)
    assert content(folder) == content(small)
    table = pq.read_table(folder / "answers.parquet")
    assert sum(counted.values()) == table.num_rows > 0
    assert list(counted) == json.loads((folder / "study.json").read_text())["rules"]


def test_all_published_answers_come_out_again(tmp_path: Path) -> None:
    for name in FILES:
        shutil.copyfile(MICRO / name, tmp_path / name)
    rescore(tmp_path)
    assert pq.read_table(tmp_path / "answers.parquet").equals(pq.read_table(MICRO / "answers.parquet"), True)
    assert (tmp_path / "study.json").read_bytes() == (MICRO / "study.json").read_bytes()


def test_a_rule_is_added_and_taken_away(folder: Path, small: Path) -> None:
    counted = rescore(folder, ["lenient", "strict", "authors"])
    assert counted["authors"] == counted["lenient"] == len(answers(small, "lenient"))
    assert json.loads((folder / "study.json").read_text())["rules"] == ["lenient", "strict", "authors"]
    for rule in ("lenient", "strict"):
        assert answers(folder, rule) == answers(small, rule)
    written = {
        tuple(row[name] for name in ("run", "phase", "step", "protocol", "question")): row
        for row in pq.read_table(folder / "completions.parquet").to_pylist()
        if row["phase"] != "rollout"
    }
    questions = {row["question"]: row for row in pq.read_table(folder / "questions.parquet").to_pylist()}
    for row in answers(folder, "authors"):
        completion = written[tuple(row[name] for name in ("run", "phase", "step", "protocol", "question"))]
        question = questions[row["question"]]
        reading = RULES["authors"](completion["text"], completion["finish"], question["choices"])
        assert (row["extracted"], row["status"]) == (reading.extracted, reading.status)
        assert row["correct"] == reading.correct(question["answer"])
        assert (row["task"], row["image"]) == (question["task"], question["image"])
    rescore(folder)
    assert content(folder) == content(small)


def test_the_deciding_rule_comes_first(folder: Path) -> None:
    rescore(folder, ["strict", "lenient"])
    assert json.loads((folder / "study.json").read_text())["rules"] == ["strict", "lenient"]
    assert pq.read_table(folder / "answers.parquet")["rule"].to_pylist()[:4] == ["strict", "lenient"] * 2


def test_answers_from_likelihoods_stay(folder: Path) -> None:
    table = pq.read_table(folder / "answers.parquet")
    kept = [row | {"rule": "likelihood", "extracted": "x", "correct": False} for row in answers(folder, "strict")]
    kept = [row for row in kept if row["run"] == kept[0]["run"]]
    mixed = pa.Table.from_pylist([*table.to_pylist(), *kept], table.schema)
    write_table(folder / "answers.parquet", mixed)
    counted = rescore(folder)
    assert answers(folder, "likelihood") == kept
    assert counted["likelihood"] == len(kept)
    before = content(folder)
    rescore(folder)
    assert content(folder) == before


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            ["lenient", "strictt"],
            "unknown scoring rule 'strictt'; did you mean 'strict'.* Allowed: lenient",
        ),
        (["likelihood"], "unknown scoring rule 'likelihood'"),
        (["lenient", "lenient"], "'lenient' is named twice"),
        ([], "no scoring rule; name one at least: lenient, strict, authors"),
        (["strict"], "contrast .* compares by scoring rule 'lenient', which is left out; add it"),
    ],
)
def test_wrong_rules_change_nothing(folder: Path, small: Path, rules: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rescore(folder, rules)
    assert content(folder) == content(small)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="collect the study first"):
        rescore(tmp_path)


def test_a_folder_of_another_schema_version_is_refused(folder: Path) -> None:
    study = json.loads((folder / "study.json").read_text())
    write_json(folder / "study.json", study | {"schema_version": 3})
    with pytest.raises(ValueError, match="is of schema version 3, and this code is of 4; collect the study anew"):
        rescore(folder)


def test_the_rule_of_a_claim_may_not_be_left_out(folder: Path) -> None:
    study = json.loads((folder / "study.json").read_text())
    claims = [{"name": name, "ran": ran} for name, ran in (("A", None), ("B", {"arm": "base", "rule": "lenient"}))]
    write_json(folder / "study.json", study | {"contrasts": [], "claims": claims})
    with pytest.raises(ValueError, match="claim 'B' is read by scoring rule 'lenient', which is left out; add it"):
        rescore(folder, ["strict"])


def test_the_rule_of_a_difference_that_is_taken_away_may_not_be_left_out(folder: Path) -> None:
    study = json.loads((folder / "study.json").read_text())
    plain, lenient = {"arm": "base", "rule": "strict"}, {"arm": "base", "rule": "lenient"}
    contrast = {"name": "x", "a": plain, "b": plain, "minus": {"a": plain, "b": lenient}}
    write_json(folder / "study.json", study | {"contrasts": [contrast], "claims": []})
    with pytest.raises(ValueError, match="contrast 'x' compares by scoring rule 'lenient', which is left out; add it"):
        rescore(folder, ["strict"])


def test_a_study_without_contrasts_may_be_read_by_any_rule(folder: Path) -> None:
    study = json.loads((folder / "study.json").read_text())
    write_json(folder / "study.json", study | {"contrasts": []})
    assert list(rescore(folder, ["strict"])) == ["strict"]
