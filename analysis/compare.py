"""From a collected folder to its comparison: tables, figures, all numbers as parquet, one page to read."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.by_scope import ScopeResult, by_scope
from analysis.claims import ClaimResult, claims
from analysis.collected import Tables
from analysis.contrast_result import ContrastResult
from analysis.contrasts import DRAWS, contrasts
from analysis.dictionary import dictionary
from analysis.figure_frames import figure_frames
from analysis.files import write_bytes, write_csv, write_text, written
from analysis.formats import FormatResult, formats
from analysis.interactions import interactions
from analysis.load import load
from analysis.scores import ArmTable, arm_table
from analysis.sensitivity import Variation, sensitivity
from analysis.tables import arms as arm_sheets
from analysis.tables import contrasts as contrast_sheets
from analysis.tables import formats as format_sheets
from analysis.tables.claims import claims as claim_sheet
from analysis.tables.common import with_completeness
from analysis.tables.table import Table

if TYPE_CHECKING:
    from analysis.figures import Written

ESTIMATES = pa.schema(
    [
        pa.field("table", pa.string(), metadata={"description": "table that shows the number"}),
        pa.field("row", pa.string(), metadata={"description": "cells that tell the row: arm, protocol, contrast ..."}),
        pa.field("column", pa.string(), metadata={"description": "column of the table's CSV"}),
        pa.field("estimate", pa.float64(), metadata={"description": "the number; null when there is none"}),
        pa.field("low", pa.float64(), metadata={"description": "lower end of its interval; null without"}),
        pa.field("high", pa.float64(), metadata={"description": "upper end of its interval; null without"}),
        pa.field("n", pa.int32(), metadata={"description": "runs, pairs or questions in it; null for a count"}),
        pa.field("unit", pa.string(), metadata={"description": "unit of estimate, low and high"}),
    ],
    metadata={"table": "estimates", "schema_version": "2"},
)


@dataclass(frozen=True)
class Results:
    """Everything that a comparison computes, before anything is written."""

    tables: Tables
    arms: ArmTable
    contrasts: tuple[ContrastResult, ...]
    claims: tuple[ClaimResult, ...]
    scopes: tuple[ScopeResult, ...]
    interactions: tuple[ContrastResult, ...]
    formats: tuple[FormatResult, ...]
    sensitivity: tuple[Variation, ...]

    def sheets(self) -> dict[str, Table]:
        """Every table by its name, in the order of the page; each tells in its foot how complete the study is."""
        tables, found = self.tables, list(self.contrasts)
        made = [
            arm_sheets.arms(tables, self.arms),
            contrast_sheets.contrasts(tables, found),
            contrast_sheets.evidence(tables, found),
            claim_sheet(tables, self.claims),
            contrast_sheets.scopes(tables, self.scopes),
            contrast_sheets.interactions(tables, found, self.interactions),
            format_sheets.formats(tables, self.formats),
            format_sheets.splits(tables, self.formats),
            format_sheets.sensitivity(tables, self.sensitivity),
            contrast_sheets.pairs(tables, found),
            arm_sheets.protocols(tables),
            arm_sheets.seeds(tables, self.arms),
            arm_sheets.completeness(tables),
        ]
        return {table.name: with_completeness(tables, table) for table in made if table is not None and table.rows}


@dataclass(frozen=True)
class Comparison:
    """What `compare` found and wrote."""

    results: Results
    sheets: Mapping[str, Table]
    page: Path
    estimates: Path
    table_paths: tuple[Path, ...]
    figure_paths: tuple[Path, ...]
    dictionary: Path

    @property
    def tables(self) -> Tables:
        return self.results.tables

    @property
    def arms(self) -> ArmTable:
        return self.results.arms

    @property
    def contrasts(self) -> tuple[ContrastResult, ...]:
        return self.results.contrasts

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files written, the page first."""
        return (self.page, self.estimates, self.dictionary, *self.table_paths, *self.figure_paths)


def analyse(tables: Tables, draws: int = DRAWS) -> Results:
    """Everything that is computed of a study, as plain data.

    Args:
        draws: of every two-level bootstrap; 0 for none.
    """
    found = contrasts(tables, draws)
    return Results(
        tables=tables,
        arms=arm_table(tables),
        contrasts=tuple(found),
        claims=tuple(claims(tables, found)),
        scopes=tuple(by_scope(tables, found, draws)),
        interactions=tuple(interactions(tables)),
        formats=tuple(formats(tables, found)),
        sensitivity=tuple(sensitivity(tables, found)),
    )


def compare(source: Path | Tables, out: Path | None = None, draws: int = DRAWS) -> Comparison:
    """Compare the arms of a collected study.

    Args:
        source: the folder of the collected tables and ``study.json``, or tables at hand (`from_frames`).
        out: where ``tables/``, ``figures/``, ``estimates.parquet``, ``dictionary.md`` and ``comparison.md`` go; the
            folder by default.
        draws: of every two-level bootstrap.

    Raises:
        CollectedError: the folder cannot be read. Missing runs are no error: they are counted in every table.
        ValueError: tables at hand without ``out``.
    """
    # Drawing takes seconds to import, and the tables alone don't need it.
    from analysis.figures import write_figures

    if isinstance(source, Tables):
        if out is None:
            raise ValueError("tables at hand have no folder; say with out where the comparison goes")
        tables, folder, out = source, None, Path(out)
    else:
        folder = Path(source)
        tables, out = load(folder), folder if out is None else Path(out)
    results = analyse(tables, draws)
    sheets = results.sheets()
    frames = figure_frames(tables, results.contrasts, results.scopes, results.formats)
    figures = write_figures(tables, results.arms, out / "figures", frames)
    estimates = write_bytes(out / "estimates.parquet", _parquet(sheets.values()))
    shown = {name: pd.read_csv(_csv(written)) for name, written in figures.items()}
    return Comparison(
        results=results,
        sheets=sheets,
        page=write_text(out / "comparison.md", _page(results, sheets, figures)),
        estimates=estimates,
        table_paths=tuple(_write_tables(out / "tables", sheets)),
        figure_paths=tuple(path for written in figures.values() for path in written.paths),
        dictionary=write_text(out / "dictionary.md", dictionary(folder, list(sheets.values()), shown, estimates)),
    )


def _write_tables(folder: Path, sheets: Mapping[str, Table]) -> Iterable[Path]:
    for name, table in sheets.items():
        yield write_text(folder / f"{name}.md", table.markdown())
        yield write_csv(folder / f"{name}.csv", table.frame())
        yield write_text(folder / f"{name}.tex", table.latex())
        yield write_text(folder / f"{name}.html", table.html_page())
    # what an earlier call left of a table that has no rows any more
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.suffix in (".md", ".csv", ".tex", ".html") and path.stem not in sheets:
                path.unlink()


def _csv(written: "Written") -> Path:
    return next(path for path in written.paths if path.suffix == ".csv")


_TRAINING = ("dynamics", "length_accuracy", "rollouts", "rewards")


def _page(results: Results, sheets: Mapping[str, Table], figures: Mapping[str, "Written"]) -> str:
    tables = results.tables

    def sheet(name: str) -> str:
        return sheets[name].markdown() if name in sheets else ""

    def picture(name: str) -> str:
        if name not in figures:
            return ""
        return f"![{name.replace('_', ' ')}](figures/{name}.png)\n\n{figures[name].caption}\n"

    training = [picture(name) for name in _TRAINING if name in figures]
    no_curves = "No curve was collected: no training run has finished its evaluation.\n"
    parts = [
        f"# {tables.study['title']}\n\nStudy `{tables.study['study']}`, seeds"
        f" {', '.join(str(seed) for seed in tables.study['seeds'])}. Written by `ablate compare` from"
        " the collected tables.\n",
        *(sheet("arms"), picture("seeds"), picture("dumbbells")),
        *(sheet("contrasts"), picture("forest"), _sentences(results.contrasts), sheet("evidence"), picture("power")),
        sheet("claims"),
        *(sheet("scopes"), picture("scopes"), sheet("interactions")),
        *(sheet("formats"), sheet("splits"), picture("formats")),
        sheet("sensitivity"),
        *("## Training\n", *(training or [no_curves])),
        *(sheet("protocols"), sheet("seeds"), sheet("completeness")),
        "Every number here stands to six decimals in `tables/*.csv` and `estimates.parquet`, and what a figure shows in"
        " the CSV beside it; `dictionary.md` says what each column means. The tables are there as Markdown, CSV, LaTeX"
        " and HTML, the figures as PNG, SVG and PDF. Every pair of checkpoints, question by question:"
        " `tables/pairs.md`.\n",
    ]
    return "\n".join(part for part in parts if part)


def _sentences(results: Sequence[ContrastResult]) -> str:
    return "\n".join(f"**{result.name}.** {result.question}\n{result.sentence}\n" for result in results)


def _parquet(sheets: Iterable[Table]) -> bytes:
    rows = [row for table in sheets for row in table.estimates()]
    clean = [tuple(written(value, row[-1]) if isinstance(value, float) else value for value in row) for row in rows]
    table = pa.Table.from_pylist([dict(zip(ESTIMATES.names, row, strict=True)) for row in clean], schema=ESTIMATES)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()
