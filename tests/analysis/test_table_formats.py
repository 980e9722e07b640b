"""Markdown, CSV, LaTeX, HTML and estimates.parquet hold the same numbers, and each is what its readers can read."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from fabricated_study import CONTRASTS, claim
from fabricated_study import fabricate as fabricate_study

from analysis import analyse, load
from analysis.compare import _parquet
from analysis.tables.table import Column, Number, Table, count, of_interval, p_value

TOKENS = {"name": "length_%&", "question": "Longer?", "a": "base+grpo", "b": "base+sft", "metric": "tokens"}
OPTIONAL_DIFFERENCE = {"name": "inter", "question": "", "a": "base+grpo", "b": "base"}
OPTIONAL_DIFFERENCE |= {"minus": {"a": "instruct+grpo", "b": "instruct"}, "family": "f", "alpha": 0.01}
CLAIMS = [claim("H1", figure=28.09, contrast="grpo-vs-base"), claim("H4", figure=26.5, untestable="no loader")]


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Table]:
    folder = tmp_path_factory.mktemp("tables")
    lost = {"base+grpo/seed=2": "out of memory"}
    fabricate_study(folder, contrasts=[*CONTRASTS, TOKENS, OPTIONAL_DIFFERENCE], claims=CLAIMS, lost=lost, questions=40)
    return analyse(load(folder), draws=100).sheets()


@pytest.fixture(scope="module")
def estimates(sheets: dict[str, Table], tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("estimates") / "estimates.parquet"
    path.write_bytes(_parquet(sheets.values()))
    return pd.read_parquet(path)


def of_markdown(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [cells[0], *cells[2:]]


def of_html(text: str) -> list[list[str]]:
    root = ElementTree.fromstring(text)
    rows = [root.find("thead"), *root.findall("tbody/tr")]
    return [["".join(cell.itertext()).strip() for cell in row.iter() if cell.tag in ("td", "th")] for row in rows]


def untex(text: str) -> str:
    for tex, sign in {
        "\\textbackslash{}": "\0", "\\textless{}": "<", "\\textgreater{}": ">", "\\textbar{}": "|", "$\\pm$": "±",
        "\\textasciitilde{}": "~", "\\textasciicircum{}": "^", "$\\surd$": "√", "$^2$": "²", "$\\times$": "×",
        "$+$": "+",
    }.items():  # fmt: skip
        text = text.replace(tex, sign)
    text = re.sub(r"\$-\$(?=\d)", "-", text).replace("$-$", "−").replace("--", "–")
    return re.sub(r"\\([&%$#_{}])", r"\1", text).replace("\0", "\\")


def of_latex(text: str) -> list[list[str]]:
    body = text.split("\\toprule\n")[1].split("\\bottomrule")[0].replace("\\midrule\n", "")
    lines = [line.removesuffix(" \\\\") for line in body.strip().splitlines()]
    return [[untex(cell.strip()) for cell in re.split(r"(?<!\\)&", line)] for line in lines]


def test_every_format_has_the_same_cells(sheets: dict[str, Table]) -> None:
    assert len(sheets) == 13
    for table in sheets.values():
        expected = [
            [column.title.strip() for column in table.columns],
            *([str(cell).strip() for cell in row] for row in table.rows),
        ]
        assert of_markdown(table.markdown()) == expected
        assert of_html(table.html()) == expected
        assert of_latex(table.latex()) == expected
        for footer in table.footers:
            assert footer in table.markdown()
            assert footer in "".join(ElementTree.fromstring(table.html()).itertext())


def test_what_is_shown_is_the_number_of_the_csv_rounded(sheets: dict[str, Table]) -> None:
    seen = 0
    for table in sheets.values():
        frame = table.frame()
        for place, column in enumerate(table.columns):
            for number, row in enumerate(table.rows):
                cell = row[place]
                if not column.name or not isinstance(cell, Number):
                    continue
                value = frame[column.name].iloc[number]
                assert (value == cell.value) or (pd.isna(value) and cell.value is None)
                shown = re.match(r"^[+-]?\d+(\.\d+)?", str(cell))
                if cell.style != "range" and cell.value is not None and shown:
                    digits = len(shown[1] or ".") - 1
                    assert float(shown[0]) == pytest.approx(value, abs=0.5000001 * 10**-digits)
                    seen += 1
    assert seen > 200


def test_no_estimate_stands_twice(estimates: pd.DataFrame) -> None:
    assert not estimates.duplicated(["table", "row", "column"]).any()


def test_estimates_hold_every_number_of_every_csv(sheets: dict[str, Table], estimates: pd.DataFrame) -> None:
    for name, table in sheets.items():
        frame = table.frame()
        mine = estimates[estimates["table"] == name]
        assert not mine.empty
        for column in frame.columns:
            if not pd.api.types.is_numeric_dtype(frame[column]):
                continue
            base, part = column, "estimate"
            for suffix in ("low", "high", "n"):
                if column.endswith(f"_{suffix}") and column.removesuffix(f"_{suffix}") in frame:
                    base, part = column.removesuffix(f"_{suffix}"), suffix
            recorded = mine.loc[mine["column"] == base, part].dropna().astype(float).round(6)
            written = frame[column].dropna().astype(float).round(6)
            assert Counter(recorded) == Counter(written), (name, column)
        numeric = {cell for row in table.rows for cell in row if isinstance(cell, Number)}
        assert {cell.unit for cell in numeric} == set(mine["unit"])


def test_a_numbers_row_is_found_by_its_key(sheets: dict[str, Table], estimates: pd.DataFrame) -> None:
    table = sheets["pairs"]
    for row in table.rows:
        key = f"{row[0]} | {row[1]}"
        found = estimates[(estimates["table"] == "pairs") & (estimates["row"] == key)].set_index("column")
        assert isinstance(row[2], Number)
        assert found.loc["estimate", "estimate"] == pytest.approx(row[2].value, abs=1e-6)


def test_no_estimate_is_hidden_in_a_text(sheets: dict[str, Table]) -> None:
    """A number with a decimal point in a cell of text would be shown and not on record; intervals' ends are beside."""
    free = {"", "statement", "source", "reason", "text", "verdict", "family"}
    for table in sheets.values():
        for row in table.rows:
            for column, cell in zip(table.columns, row, strict=True):
                if isinstance(cell, str) and column.name not in free:
                    assert not re.search(r"\d\.\d", cell), (table.name, column.name, cell)


def test_columns_without_a_name_show_what_stands_before_them(sheets: dict[str, Table]) -> None:
    shown = 0
    for table in sheets.values():
        for place, column in enumerate(table.columns):
            if column.name:
                continue
            for row in table.rows:
                text = str(row[place])
                if re.fullmatch(r"[+-]?[\d.]+ to [+-]?[\d.]+", text):
                    before = row[place - 1]
                    assert isinstance(before, Number)
                    low, high = (float(end) for end in text.split(" to "))
                    assert before.low == pytest.approx(low, abs=0.051)
                    assert before.high == pytest.approx(high, abs=0.051)
                    shown += 1
    assert shown > 50


ODD = 'a_b & 50 % of $3 #1 {x} ~ ^ \\ <p> | "q" ± 2 − 1 – √²'


def odd() -> Table:
    columns = (Column("name", "na_me %"), Column("value", "x & y"), Column("", "how"))
    rows: tuple[tuple[Any, ...], ...] = (
        (ODD, Number(-1.25, -3.0, 0.5, 4, decimals=2, signed=True), "-3.0 to +0.5"),
        ("plain", Number(2.0), "–"),
    )
    return Table("odd", f"Title {ODD}", columns, rows, (ODD,))


def balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text.replace("\\\\", "")):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def test_special_characters_come_through_every_format() -> None:
    table = odd()
    assert of_html(table.html())[1][0] == ODD
    assert of_markdown(table.markdown())[1][0] == ODD
    assert of_latex(table.latex())[1][0] == ODD
    tex = table.latex()
    for raw in ("_", "%", "&", "#", "$3"):
        body = tex.split("\\midrule")[1].split("\\bottomrule")[0].splitlines()[1].split(" & ")[0]
        assert not re.search(rf"(?<!\\){re.escape(raw)}", body), raw
    assert "$-$1.25" in tex
    assert "±" not in tex


def test_latex_is_well_formed(sheets: dict[str, Table], tmp_path: Path) -> None:
    for table in (*sheets.values(), odd()):
        tex = table.latex()
        assert balanced(tex), table.name
        assert tex.isascii() or not re.search(r"[±−–√²×→…≥≤]", tex)
        begun, ended = re.findall(r"\\begin{(\w+)}", tex), re.findall(r"\\end{(\w+)}", tex)
        assert begun == ended[::-1] == ["table", "tabular"]
        assert len(re.findall(r"\\(top|mid|bottom)rule", tex)) == 3
        (columns,) = re.findall(r"\\begin{tabular}{(.*)}", tex)
        kinds = re.findall(r">{\\raggedright\\arraybackslash}p{\d+cm}|[lr]", columns)
        assert "".join(kinds) == columns
        assert len(kinds) == len(table.columns)
        assert {len(row) for row in of_latex(tex)} == {len(table.columns)}
    program = shutil.which("pdflatex") or shutil.which("tectonic")
    if program:
        body = "\n".join(table.latex() for table in (*sheets.values(), odd()))
        head = "\\documentclass{article}\\usepackage{array,booktabs,graphicx}\\begin{document}"
        document = f"{head}\n{body}\n\\end{{document}}"
        (tmp_path / "all.tex").write_text(document)
        mode = ["-interaction=nonstopmode", "-halt-on-error"] if program.endswith("pdflatex") else []
        subprocess.run([program, *mode, "all.tex"], cwd=tmp_path, check=True, capture_output=True)


def test_how_numbers_are_shown() -> None:
    assert str(Number(93.14, 89.0, 97.28)) == "93.1 ± 4.1"
    assert str(Number(1.25, -2.0, 4.5, signed=True, style="range")) == "-2.0 to +4.5"
    assert str(Number(-0.04, signed=True)) == "0.0"
    assert str(Number(0.04, signed=True, decimals=2)) == "+0.04"
    assert str(Number(-3.0, signed=True)) == "-3.0"
    assert (str(Number(None)), str(Number(1.0, style="range"))) == ("–", "–")
    assert (str(p_value(0.0009)), str(p_value(0.0314)), str(p_value(None))) == ("< 0.001", "0.031", "–")
    assert str(count(3, "run")) == "3"
    assert str(of_interval(None)) == "–"


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="table t: a row of 1 cells, but 2 columns"):
        Table("t", "T", (Column("a", "a"), Column("b", "b")), (("x",),))


def test_a_text_among_numbers_has_a_column_of_its_own() -> None:
    rows = (("x", Number(1.5, 1.0, 2.0, 3)), ("y", "none: lost"), ("z", Number(None)))
    frame = Table("t", "T", (Column("a", "a"), Column("b", "b")), rows).frame()
    assert list(frame.columns) == ["a", "b", "b_low", "b_high", "b_n", "b_text"]
    assert frame["b_text"].tolist() == ["", "none: lost", ""]
    assert frame["b"].isna().tolist() == [False, True, True]
    assert frame["b_n"].tolist()[0] == 3
