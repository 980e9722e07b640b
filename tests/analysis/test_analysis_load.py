import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import fabricated_study
import pyarrow.parquet as pq
import pytest

from analysis import CollectedError, load
from analysis.collected import KEYS, OPTION_RULES
from analysis.load import SCHEMA_VERSION as READ_VERSION
from analysis.metrics import METRICS
from harness.record.schemas import SCHEMA_VERSION, TABLE_NAMES, schema
from harness.study.contrasts import DEFAULT_OPTION_RULE
from harness.study.schema import Metric
from harness.study.settings import OptionRule


def test_the_schema_that_is_read_is_the_one_that_is_written() -> None:
    assert READ_VERSION == SCHEMA_VERSION
    assert set(KEYS) == set(TABLE_NAMES)
    for table, keys in KEYS.items():
        written = schema(table, ("start", "training"), ("accuracy", "format"))
        assert set(keys) <= set(written.names)
        for name, kind in fabricated_study.COLUMNS[table].items():
            assert written.field(name).type == kind
    assert OPTION_RULES[0] == DEFAULT_OPTION_RULE
    assert set(OPTION_RULES) == set(get_args(OptionRule))
    assert set(METRICS) == set(get_args(Metric))
    for metric in METRICS.values():
        assert metric.column in schema(metric.table).names


def test_load_gives_every_table_with_integer_seeds(collected: Path) -> None:
    tables = load(collected)
    assert tables.arms == ["base", "base+sft", "base+grpo", "instruct", "instruct+grpo"]
    assert tables.tasks == ["Count", "Relation", "Depth", "Distance"]
    assert str(tables.runs["seed"].dtype) == "Int64"
    assert tables.runs["seed"].isna().sum() == 2
    assert len(tables.runs) == 11


@pytest.mark.parametrize("name", ["study.json", "answers.parquet", "attempts.parquet"])
def test_a_missing_file_is_named_with_the_mend(fabricate: Callable[..., Path], name: str) -> None:
    folder = fabricate()
    (folder / name).unlink()
    with pytest.raises(CollectedError, match=rf"{name}: no such file.*ablate collect"):
        load(folder)


def test_another_schema_version_is_refused(fabricate: Callable[..., Path]) -> None:
    folder = fabricate()
    fabricated_study.write(folder, "traces", [], version=1)
    with pytest.raises(CollectedError, match=r"traces\.parquet: schema version 1, but this code reads version 4"):
        load(folder)
    study = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(study | {"schema_version": 2}))
    with pytest.raises(CollectedError, match=r"study\.json: schema version 2"):
        load(folder)


def test_a_broken_file_is_named(fabricate: Callable[..., Path]) -> None:
    folder = fabricate()
    (folder / "runs.parquet").write_bytes(b"half a fi")
    with pytest.raises(CollectedError, match=r"runs\.parquet: cannot be read"):
        load(folder)


def test_a_row_that_stands_twice_is_refused(fabricate: Callable[..., Path]) -> None:
    folder = fabricate()
    rows = pq.read_table(folder / "answers.parquet").to_pylist()
    fabricated_study.write(folder, "answers", [*rows, rows[5]])
    with pytest.raises(CollectedError, match=r"answers\.parquet: the row .* twice"):
        load(folder)


def test_an_arm_that_the_study_does_not_declare_is_refused(fabricate: Callable[..., Path]) -> None:
    folder = fabricate()
    rows = pq.read_table(folder / "runs.parquet").to_pylist()
    fabricated_study.write(folder, "runs", [*rows, rows[0] | {"arm": "stranger", "run": "stranger"}])
    with pytest.raises(CollectedError, match=r"unknown arm 'stranger'; study\.json declares base, "):
        load(folder)


def test_a_study_without_a_title_is_called_by_its_name(fabricate: Callable[..., Path]) -> None:
    folder = fabricate()
    study = json.loads((folder / "study.json").read_text())
    assert load(folder).study["title"] == "A fabricated study"
    (folder / "study.json").write_text(json.dumps(study | {"title": ""}))
    assert load(folder).study["title"] == "fake"


def test_a_claim_about_an_unknown_arm_is_refused(fabricate: Callable[..., Path]) -> None:
    ran = {"arm": "bas", "protocol": "base-think", "rule": "lenient", "step": None}
    folder = fabricate(claims=[fabricated_study.claim("H9", figure=68.34, ran=ran)])
    with pytest.raises(CollectedError, match=r"claim 'H9': no arm 'bas'; there are base, "):
        load(folder)


def test_a_contrast_of_an_unknown_arm_is_refused(fabricate: Callable[..., Path]) -> None:
    side = {"arm": "bas", "protocol": "base-think", "rule": "lenient"}
    folder = fabricate(contrasts=[{"name": "typo", "question": "", "a": side, "b": "base"}])
    with pytest.raises(CollectedError, match=r"contrast 'typo', side a: no arm 'bas'; there are base, "):
        load(folder)
