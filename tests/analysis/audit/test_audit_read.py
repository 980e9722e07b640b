"""Files that are not as they should be: the error names file, row, column, value and what is allowed."""

import csv
from pathlib import Path

import pytest
from published_maker import BENCHMARKS, HEADING, PUBLISHED, folder, row, write

from analysis.audit import PublishedError, audit_published, read_published

GOOD = [row("a", "x", "50.00", 10), row("b", "x", "60.00", 10)]


def changed(column: str, value: str) -> list[str]:
    cells = list(GOOD[1])
    cells[HEADING.index(column)] = value
    return cells


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [
        ("accuracy_percent", "sixty", "0 to 100"),
        ("accuracy_percent", "60.0 %", "without a percent sign"),
        ("accuracy_percent", "100.01", "0 to 100"),
        ("accuracy_percent", "-1.0", "0 to 100"),
        ("accuracy_percent", "", "0 to 100"),
        ("accuracy_percent", "nan", "0 to 100"),
        ("accuracy_percent", "1e1", "0 to 100"),
        ("n_questions", "-10", "at least 1"),
        ("n_questions", "0", "at least 1"),
        ("n_questions", "10.5", "whole number"),
        ("n_questions", "many", "whole number"),
        ("source", "", "not empty"),
        ("prompt", " ", "not empty"),
    ],
)
def test_a_cell_that_is_not_allowed(tmp_path: Path, column: str, value: str, allowed: str) -> None:
    folder(tmp_path, [GOOD[0], changed(column, value)])
    with pytest.raises(PublishedError) as error:
        read_published(tmp_path)
    text = str(error.value)
    assert str(tmp_path / "scores.csv") in text
    assert f"row 3, column {column}: {value.strip()!r} is not allowed" in text
    assert allowed in text


def test_a_missing_column(tmp_path: Path) -> None:
    file = write(tmp_path / "scores.csv", HEADING[:-2] + HEADING[-1:], [line[:-2] + line[-1:] for line in GOOD])
    with pytest.raises(PublishedError, match="row 1: no column accuracy_percent; there must be source, table"):
        read_published(file)


def test_a_column_twice(tmp_path: Path) -> None:
    file = write(tmp_path / "scores.csv", (*HEADING, "task"), [[*line, "y"] for line in GOOD])
    with pytest.raises(PublishedError, match="row 1: the column task is there more than once"):
        read_published(file)


def test_a_row_twice(tmp_path: Path) -> None:
    folder(tmp_path, [*GOOD, GOOD[0]])
    with pytest.raises(PublishedError, match=r"row 4 repeats row 2 \(S, T, a, base, a, none, plain, B, x\)"):
        read_published(tmp_path)


def test_a_score_twice_with_two_values(tmp_path: Path) -> None:
    folder(tmp_path, [*GOOD, changed("accuracy_percent", "61.00")])
    with pytest.raises(PublishedError, match=r"row 4 repeats row 3.*different names"):
        read_published(tmp_path)


def test_cells_that_are_missing(tmp_path: Path) -> None:
    folder(tmp_path, [GOOD[0], GOOD[1][:-1]])
    with pytest.raises(PublishedError, match="row 3: 10 cells, but row 1 names 11 columns"):
        read_published(tmp_path)


def test_an_empty_file_and_one_without_rows(tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    file.write_text("")
    with pytest.raises(PublishedError, match="is empty; its first row must name the columns source"):
        read_published(tmp_path)
    write(file, HEADING, [])
    with pytest.raises(PublishedError, match="no row under its heading"):
        read_published(tmp_path)


def test_no_text_at_all(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_bytes(b"\xff\xfe\x00source")
    with pytest.raises(PublishedError, match="is not a CSV file in UTF-8"):
        read_published(tmp_path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"scores\.csv"):
        read_published(tmp_path)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        (("B", "x", "150", "", ""), r"row 3, column chance_percent: '150'"),
        (("B", "x", "", "y;z", "questions"), r"row 3, column parts: 'z' is no other task of B; there are y"),
        (("B", "x", "", "x", "questions"), r"column parts: 'x' is no other task"),
        (("B", "x", "", "y", ""), r"column weights: '' is not allowed, but questions or tasks where there are parts"),
        (("B", "x", "", "y", "n"), r"row 3, column weights: 'n' is not allowed"),
        (("B", "x", "", "", "tasks"), r"nothing where there are none"),
        (("B", "y", "", "", ""), r"row 3 repeats row 2"),
    ],
)
def test_benchmarks_that_are_not_allowed(tmp_path: Path, line: tuple, match: str) -> None:
    folder(tmp_path, GOOD, [("B", "y", "", "", ""), line])
    with pytest.raises(PublishedError, match=match):
        read_published(tmp_path)


def test_a_task_that_is_not_described(tmp_path: Path) -> None:
    folder(tmp_path, GOOD, [("B", "y", "", "", "")])
    with pytest.raises(PublishedError, match="benchmark B has no row for task x, which the scores have; there are y"):
        read_published(tmp_path)


CLAIM = ("claim", "source", "figure", "benchmark", "task", "a_table", "a_condition", "b_table", "b_condition")


@pytest.mark.parametrize(
    ("line", "match"),
    [
        (("C", "S", "ten", "B", "x", "T", "a", "T", "b"), r"row 2, column figure: 'ten' is not allowed"),
        (
            ("C", "S", "1", "B", "x", "T", "a", "T", "c"),
            r"row 2, side b: no row .*condition 'c'.* there are S / T / a; S",
        ),
        (("C", "S", "1", "B", "y", "T", "a", "T", "b"), r"side a: no row of the scores .* there are none"),
        (("C", "S", "1", "B", "x", "T", "a", "T", "a"), r"sides a and b are the same row"),
    ],
)
def test_claims_that_are_not_allowed(tmp_path: Path, line: tuple, match: str) -> None:
    folder(tmp_path, GOOD, claims=[CLAIM, line])
    with pytest.raises(PublishedError, match=match):
        read_published(tmp_path)


def test_a_claim_about_two_rows_of_one_name(tmp_path: Path) -> None:
    scores = [*GOOD, row("a", "x", "55.00", 20, training="a", frozen="vision")]
    claim = ("C", "S", "10", "B", "x", "T", "b", "T", "a")
    folder(tmp_path, scores, claims=[CLAIM, claim])
    with pytest.raises(PublishedError, match=r"2 rows of the scores have .*; add b_frozen"):
        read_published(tmp_path)
    folder(tmp_path, scores, claims=[(*CLAIM, "b_frozen"), (*claim, "vision")])
    claims = read_published(tmp_path).claims
    assert list(claims[["a", "b"]].itertuples(index=False, name=None)) == [(1, 2)]


def test_types_and_empty_cells() -> None:
    published = read_published(PUBLISHED)
    scores = published.scores
    assert len(scores) == 58
    assert str(scores["n"].dtype) == "Int64"
    assert scores.loc[scores["benchmark"] == "VSR", "n"].isna().all()
    assert set(scores.loc[scores["table"] == "", "source"]) == {"arXiv:2504.02546v4", "repository issue 13"}
    # as printed: the text, not the number
    assert "0.0" in set(scores["printed"])
    assert "66.50" in set(scores["printed"])
    chance = published.benchmarks.set_index(["benchmark", "task"])["chance"]
    assert chance.isna().to_dict()["CV-Bench", "Count"]
    assert chance["VSR", "total"] == 50.0
    assert published.remarks == ()


def test_the_shipped_files_have_no_remarks() -> None:
    assert (PUBLISHED / "scores.csv").read_text().splitlines()[0] == ",".join(HEADING)
    assert (PUBLISHED / "benchmarks.csv").read_text().splitlines()[0] == ",".join(BENCHMARKS)


def test_columns_that_are_not_known_are_not_read(tmp_path: Path) -> None:
    file = write(tmp_path / "scores.csv", (*HEADING, "note"), [[*line, "wrong!"] for line in GOOD])
    published = read_published(file)
    assert "note" not in published.scores
    assert published.remarks[0] == "scores.csv: not read: note."
    plain = folder(tmp_path / "plain", GOOD)
    assert audit_published(published).checks == audit_published(plain).checks


def test_a_benchmark_without_description(tmp_path: Path) -> None:
    lines = [row("a", "x", "50.00", 10), row("a", "y", "60.00", 10), row("a", "Average", "70.00", 20)]
    published = read_published(folder(tmp_path, lines))
    (remark,) = published.remarks
    assert "chance level is not known; its Average is taken for the mean of x, y, weighted by questions" in remark
    (finding,) = audit_published(published).findings
    assert (finding.check, finding.numbers["implied"]) == ("aggregate", 55.0)


def test_a_spreadsheets_byte_order_mark_and_blank_lines(tmp_path: Path) -> None:
    file = write(tmp_path / "scores.csv", HEADING, GOOD)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n") + b"\r\n" + b"," * 10 + b"\r\n")
    assert len(read_published(file).scores) == 2


@pytest.mark.parametrize("separator", [";", "\t"])
def test_cells_may_be_separated_as_spreadsheets_do(tmp_path: Path, separator: str) -> None:
    plain, other = folder(tmp_path / "plain", GOOD), tmp_path / "other"
    other.mkdir()
    for file in plain.glob("*.csv"):
        with file.open(newline="") as stream, (other / file.name).open("w", newline="") as target:
            csv.writer(target, delimiter=separator, lineterminator="\r\n").writerows(csv.reader(stream))
    assert read_published(other).scores.equals(read_published(plain).scores)
    scores = other / "scores.csv"
    scores.write_text(scores.read_text().replace("50.00", "50,00"))
    with pytest.raises(PublishedError, match=r"row \d, column accuracy_percent: '50,00' is not allowed"):
        read_published(other)
    heading = scores.read_text().partition("\n")[0]
    scores.write_text(heading.replace(f"table{separator}", "") + "\n")
    with pytest.raises(PublishedError, match="row 1: no column table; there must be source, "):
        read_published(other)
    scores.write_text("one|two\n1|2\n")
    with pytest.raises(PublishedError, match="row 1: no column source"):
        read_published(other)
