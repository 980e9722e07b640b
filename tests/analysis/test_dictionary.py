"""The data dictionary: every column of every file, from the files' own metadata."""

import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.collected import KEYS
from analysis.compare import compare
from analysis.dictionary import dictionary, dictionary_files, undescribed
from analysis.tables.table import Column, Number, Table

MICRO = Path(__file__).parents[2] / "results" / "micro"
TABLE = Table(
    "toys",
    "Toys by colour",
    (
        Column("toy", "toy", "name of the toy"),
        Column("weight", "kg", "mean weight | per toy"),
        Column("", "interval"),
        Column("note", "", "what else there is to say"),
    ),
    (
        ("ball", Number(1.0, 0.5, 1.5, 3, unit="kilogram"), "0.5 to 1.5", "red"),
        ("kite", "never weighed", "", ""),
    ),
)


def lines(page: str, heading: str) -> dict[str, list[str]]:
    """Cells of the rows of a section by column name."""
    section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.replace("\\|", "/").strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return {row[0].strip().strip("`"): [cell.strip() for cell in row[1:]] for row in rows[2:]}


def test_what_was_collected_is_all_described():
    assert undescribed(list(dictionary_files(MICRO, []))) == []


def test_every_column_of_a_comparison_is_described(tmp_path):
    """Of all tables and figures of results/micro as well; bootstraps change no column."""
    compared = compare(MICRO, tmp_path, draws=0)
    figures = {path.stem: pd.read_csv(path) for path in compared.figure_paths if path.suffix == ".csv"}
    assert len(figures) > 5
    found = list(dictionary_files(MICRO, list(compared.sheets.values()), figures, compared.estimates))
    assert undescribed(found) == []
    names = {each.name for each in found}
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.csv")}
    assert written <= names
    for each in found:
        if each.name.endswith(".csv"):
            assert [entry.column for entry in each.entries] == list(pd.read_csv(tmp_path / each.name).columns)
    assert compared.dictionary.read_text() == dictionary(
        MICRO, list(compared.sheets.values()), figures, compared.estimates
    )


def test_a_collected_column_has_its_type_unit_key_and_description():
    found = lines(dictionary(MICRO, []), "completions.parquet")
    assert found["tokens"] == ["int32", "token", "", "length, end-of-sequence token included"]
    assert found["run"][2] == "key"
    assert {name for name, cells in found.items() if cells[2] == "key"} == set(KEYS["completions"])
    assert found.keys() == set(pq.read_schema(MICRO / "completions.parquet").names)
    assert lines(dictionary(MICRO, []), "questions.parquet")["choices"][0] == "list of string"


def test_a_table_has_its_numbers_with_what_stands_beside_them():
    found = lines(dictionary(MICRO, [TABLE]), "tables/toys.csv")
    assert list(found) == list(TABLE.frame().columns)
    assert found["toy"] == ["text", "", "key", "name of the toy"]
    assert found["weight"] == ["number", "kilogram", "", "mean weight / per toy"]
    assert found["weight_low"] == ["number", "kilogram", "", "of weight: lower end of its interval"]
    assert found["weight_n"] == ["integer", "", "", "of weight: observations in it"]
    assert found["weight_text"] == ["text", "", "", "of weight: why there is no number"]


def test_a_figure_has_its_frame():
    frame = pd.DataFrame({"arm": ["a"], "step": [1], "value": [0.5], "whole": [True]})
    found = list(dictionary_files(MICRO, [], {"curves": frame}))
    assert undescribed(found) == ["figures/curves.csv: whole"]
    shown = lines(dictionary(MICRO, [], {"curves": frame}), "figures/curves.csv")
    assert [shown[name][0] for name in frame.columns] == ["text", "integer", "number", "true or false"]


def test_what_nobody_described_is_found(tmp_path):
    shutil.copytree(MICRO, tmp_path / "micro", ignore=shutil.ignore_patterns("figures", "tables"))
    schema = pa.schema([pa.field("table", pa.string(), metadata={"description": "its table"}), ("odd", pa.int32())])
    path = tmp_path / "numbers.parquet"
    pq.write_table(schema.empty_table(), path)
    table = Table("t", "T", (Column("name", "name"),), (("a",),))
    found = undescribed(list(dictionary_files(tmp_path / "micro", [table], estimates=path)))
    assert found == ["numbers.parquet: odd", "tables/t.csv: name"]
    page = dictionary(tmp_path / "micro", [table], estimates=path)
    assert lines(page, "numbers.parquet")["odd"][-1] == "–"


def test_equal_input_gives_equal_bytes_and_a_missing_table_an_error(tmp_path):
    assert dictionary(MICRO, [TABLE]) == dictionary(MICRO, [TABLE])
    with pytest.raises(FileNotFoundError, match="runs"):
        dictionary(tmp_path, [])
