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
from analysis.tables.latex import _pieces
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
        "$+$": "+", "\\allowbreak{}": "",
    }.items():  # fmt: skip
        text = text.replace(tex, sign)
    text = re.sub(r"\$-\$(?=\d)", "-", text).replace("$-$", "−").replace("--", "–")
    return re.sub(r"\\([&%$#_{}])", r"\1", text).replace("\0", "\\")


def of_latex(text: str) -> list[list[str]]:
    if "\\begin{longtable}" in text:
        head = text.split("\\toprule\n")[1].split("\\midrule")[0]
        body = head + text.split("\\endlastfoot\n")[1].split("\\end{longtable}")[0]
    else:
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


def tall(rows: int = 60, words: int = 3, columns: int = 4) -> Table:
    """More rows than a page holds, some of them of several lines."""
    cells: list[tuple[Any, ...]] = []
    for number in range(rows):
        name = "base+grpo/seed=" + str(number)
        texts = [" ".join(["instruct-direct/lenient"] * (1 + number % words)) for _ in range(columns - 3)]
        cells.append((name, *texts, Number(number / 7, -3.0, 12.5, signed=True), "-3.0 to +12.5"))
    made = [Column("name", "name"), *(Column(f"c{i}", f"what {i} is") for i in range(columns - 3))]
    made += [Column("value", "a − b"), Column("", "95 % interval")]
    return Table(f"tall_{rows}_{columns}", "Higher than a page", tuple(made), tuple(cells), ("A footer & more.", ODD))


def high() -> Table:
    """Few rows, but so many words that a page doesn't hold them."""
    rows = tuple((f"row {number}", "undecidable from the printed totals " * 9) for number in range(12))
    return Table("high", "Few rows", (Column("a", "a"), Column("b", "b")), rows)


def test_latex_is_well_formed(sheets: dict[str, Table]) -> None:
    for table in (*sheets.values(), odd(), tall(), tall(columns=9), high()):
        tex = table.latex()
        assert balanced(tex), table.name
        assert tex.isascii() or not re.search(r"[±−–√²×→…≥≤]", tex)
        begun, ended = re.findall(r"\\begin{(\w+)}", tex), re.findall(r"\\end{(\w+)}", tex)
        assert begun == ended[::-1]
        assert tex.count("\\begingroup") == tex.count("\\endgroup")
        if begun == ["table", "tabular"]:
            assert len(re.findall(r"\\(top|mid|bottom)rule", tex)) == 3
            (columns,) = re.findall(r"\\begin{tabular}{(.*)}", tex)
            kinds = re.findall(r">{\\raggedright\\arraybackslash}p{\d+cm}|[lr]", columns)
        else:
            assert [name for name in begun if name != "landscape"] == ["longtable"]
            assert len(re.findall(r"\\(top|mid|bottom)rule", tex)) == 6
            (columns,) = re.findall(r"\\begin{longtable}{@{}(.*)@{}}", tex)
            kinds = re.findall(r">{\\ragged(?:righ|lef)t\\arraybackslash}p{[\d.]+pt}", columns)
        assert "".join(kinds) == columns
        assert len(kinds) == len(table.columns)
        assert {len(row) for row in of_latex(tex)} == {len(table.columns)}


def test_a_table_that_no_page_holds_breaks_over_pages_with_its_head_on_each(sheets: dict[str, Table]) -> None:
    for table in (tall(), tall(columns=9), high(), tall(rows=26)):
        tex = table.latex()
        assert "\\begin{table}" not in tex
        assert "\\resizebox" not in tex
        head = tex.split("\\toprule\n")[1].split("\\midrule")[0]
        # of the first page and of all others, and what both end with
        assert tex.count(head) == 2
        for ending in ("endfirsthead", "endhead", "endfoot", "endlastfoot"):
            assert tex.count(f"\\{ending}\n") == 1
        assert tex.count("\\caption{") == tex.count("\\label{") == 1
        widths = [float(width) for width in re.findall(r"p{([\d.]+)pt}", tex)]
        total = sum(widths) + 6 * (len(widths) - 1)
        assert total <= (550.0 if "landscape" in tex else 345.0)
    assert "landscape" not in tall().latex()
    assert "landscape" in tall(columns=9).latex()
    short = [table for table in sheets.values() if len(table.rows) < 12]
    assert len(short) > 5
    assert all("longtable" not in table.latex() for table in short)
    assert all("\\begin{longtable}" in table.latex() for table in sheets.values() if len(table.rows) > 25)


def test_intervals_and_numbers_stay_on_a_line_where_there_is_room() -> None:
    assert _pieces("+92.5 to +94.3") == ["+92.5 to +94.3"]
    assert _pieces("+46.44 ± 6.70") == ["+46.44 ± 6.70"]
    assert _pieces("< 0.001") == ["< 0.001"]
    assert _pieces("base+grpo/seed=0") == ["base+", "grpo/", "seed=0"]
    assert _pieces("instruct-think, -1.2") == ["instruct-", "think,", "-1.2"]


def test_the_head_of_a_latex_file_names_every_package_that_it_needs(sheets: dict[str, Table]) -> None:
    needed = {
        "booktabs": "\\toprule", "array": "\\arraybackslash", "graphicx": "\\resizebox",
        "longtable": "\\begin{longtable}", "pdflscape": "\\begin{landscape}",
    }  # fmt: skip
    for table in (*sheets.values(), tall(), tall(columns=9), high()):
        tex = table.latex()
        first = tex.splitlines()[0]
        (named,) = re.findall(r"^% needs \\usepackage{([\w,]+)}", first)
        for package, command in needed.items():
            if command in tex:
                assert package in named.split(","), (table.name, package)
    # letters that a float makes too small to read are told of
    wide = Table("wide", "Wide", tuple(Column(f"c{i}", "a long heading") for i in range(20)), ())
    assert re.search(
        r"^% its letters are \d\.\d pt high on a line of 345 pt: give it one of \d+ pt", wide.latex(), re.M
    )
    assert "its letters" not in odd().latex()
    # and columns for which even a turned page is too narrow
    word = Table("word", "Word", tuple(Column(f"c{i}", "unbreakable" * 2) for i in range(9)), (("x",) * 9,) * 30)
    assert "\\usepackage[a3paper]{geometry}" in word.latex()


def can_compile() -> bool:
    if not shutil.which("pdflatex") or not shutil.which("kpsewhich"):
        return False
    packages = ("array", "booktabs", "graphicx", "longtable", "pdflscape")
    return all(subprocess.run(["kpsewhich", f"{each}.sty"], capture_output=True).stdout for each in packages)


@pytest.mark.skipif(not can_compile(), reason="no pdflatex with its packages here: structure alone is checked")
def test_latex_compiles_within_the_line_and_the_page(sheets: dict[str, Table], tmp_path: Path) -> None:
    tables = (*sheets.values(), odd(), tall(), tall(columns=9), high(), tall(rows=26, words=1, columns=5))
    body = "\n\\clearpage\n".join(table.latex() for table in tables)
    packages = set(re.findall(r"^% needs \\usepackage{([\w,]+)}", body, re.M))
    head = "\\documentclass{article}" + "".join(f"\\usepackage{{{each}}}" for each in sorted(packages))
    (tmp_path / "all.tex").write_text(f"{head}\\begin{{document}}\n{body}\n\\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    for _ in range(2):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    log = (tmp_path / "all.log").read_text(errors="replace")
    assert "too large for page" not in log
    assert not re.findall(r"Overfull \\hbox .*", log)


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
