"""The data dictionary: every column of every file of a compared study, on one page.

Nothing is written down here a second time: what a collected column means stands in its parquet file's own metadata,
what a table's column means in its `Column`, and what a figure's column means in `analysis.figure_columns`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tabulate import tabulate

from analysis.collected import KEYS
from analysis.figure_columns import described
from analysis.tables.table import Number, Table
from analysis.words import NONE

ESTIMATES = "estimates"
_BESIDE = {
    "low": "lower end of its interval",
    "high": "upper end of its interval",
    "n": "observations in it",
    "text": "why there is no number",
}
"""What a table's CSV has beside a column of numbers, by the ending of the column's name."""


@dataclass(frozen=True)
class Entry:
    """One column of one file."""

    column: str
    type: str
    unit: str
    """Empty where there is none, or where the file has a column for it."""
    key: bool
    """One of the columns that tell a row."""
    description: str
    """Empty where nobody described it, which `undescribed` finds."""


@dataclass(frozen=True)
class File:
    """One file and its columns."""

    name: str
    """Path within the folder."""
    about: str
    entries: tuple[Entry, ...]


def dictionary(
    folder: Path | None,
    tables: Sequence[Table],
    figures: Mapping[str, pd.DataFrame] | None = None,
    estimates: Path | None = None,
) -> str:
    """The page, as Markdown.

    Args:
        folder: with the collected parquet files; None for tables at hand, which have none.
        tables: that were made of them; each is a CSV file with the columns of its frame.
        figures: the frame behind each figure by the figure's name; each is a CSV file.
        estimates: the file of all numbers; ``estimates.parquet`` in ``folder`` when left out.

    Raises:
        FileNotFoundError: a collected table is missing.
    """
    files = list(dictionary_files(folder, tables, figures, estimates))
    parts = [
        "# Data dictionary\n\nEvery column of every file, from the files' own metadata. Columns marked under key tell a"
        " row of the file. Where a unit is empty the number has none, or the row says its own. Files of one name in"
        " other formats (`.md`, `.tex`, `.html`; `.png`, `.svg`, `.pdf`) show the same numbers rounded.\n"
    ]
    for each in files:
        cells = [
            (f"`{entry.column}`", entry.type, entry.unit, "key" if entry.key else "", entry.description or NONE)
            for entry in each.entries
        ]
        cells = [tuple(text.replace("|", "\\|") for text in row) for row in cells]
        text = tabulate(
            cells, headers=["column", "type", "unit", "key", "what it holds"], tablefmt="pipe", disable_numparse=True
        )
        parts.append(f"## {each.name}\n\n{each.about}\n\n{text}\n")
    return "\n".join(parts)


def undescribed(files: Sequence[File]) -> list[str]:
    """Columns that nobody described, as ``file: column``."""
    return [f"{each.name}: {entry.column}" for each in files for entry in each.entries if not entry.description]


def dictionary_files(
    folder: Path | None,
    tables: Sequence[Table],
    figures: Mapping[str, pd.DataFrame] | None = None,
    estimates: Path | None = None,
) -> Iterator[File]:
    """What `dictionary` says, file by file: collected, estimates, tables, figures.

    Raises:
        FileNotFoundError: a collected table is missing.
    """
    path = estimates
    if folder is not None:
        for name, keys in KEYS.items():
            yield File(f"{name}.parquet", "Collected.", _of_schema(pq.read_schema(folder / f"{name}.parquet"), keys))
        path = estimates or folder / f"{ESTIMATES}.parquet"
    if path is not None and path.exists():
        about = "Every number of every table."
        yield File(path.name, about, _of_schema(pq.read_schema(path), ("table", "row", "column")))
    for table in tables:
        yield File(f"tables/{table.name}.csv", f"{table.title}.", _of_table(table))
    for name, frame in (figures or {}).items():
        yield File(f"figures/{name}.csv", "What the figure of this name shows.", _of_figure(name, frame))


def _of_schema(schema: pa.Schema, keys: Sequence[str]) -> tuple[Entry, ...]:
    entries = []
    for column in schema:
        metadata = {key.decode(): value.decode() for key, value in (column.metadata or {}).items()}
        entries.append(
            Entry(
                column.name,
                _arrow_type(column.type),
                metadata.get("unit", ""),
                column.name in keys,
                metadata.get("description", ""),
            )
        )
    return tuple(entries)


def _arrow_type(kind: pa.DataType) -> str:
    return f"list of {kind.value_type}" if pa.types.is_list(kind) else str(kind)


def _of_table(table: Table) -> tuple[Entry, ...]:
    frame = table.frame()
    entries = []
    for place, column in enumerate(table.columns):
        if not column.name:  # for readers alone
            continue
        cells = [row[place] for row in table.rows]
        units = dict.fromkeys(cell.unit for cell in cells if isinstance(cell, Number))
        unit = next(iter(units)) if len(units) == 1 else ""
        entries.append(
            Entry(column.name, _frame_type(frame[column.name]), unit, place < table.keys, column.description)
        )
        for ending, what in _BESIDE.items():
            beside = f"{column.name}_{ending}"
            if beside in frame and beside not in {each.name for each in table.columns}:
                own = unit if ending in ("low", "high") else ""
                entries.append(Entry(beside, _frame_type(frame[beside]), own, False, f"of {column.name}: {what}"))
    return tuple(entries)


def _of_figure(name: str, frame: pd.DataFrame) -> tuple[Entry, ...]:
    return tuple(
        Entry(str(column), _frame_type(frame[column]), "", False, described(name, str(column))) for column in frame
    )


def _frame_type(values: pd.Series) -> str:
    """``number``, ``integer``, ``true or false`` or ``text``: what a reader of a CSV file needs to know."""
    if pd.api.types.is_bool_dtype(values):
        return "true or false"
    if pd.api.types.is_integer_dtype(values):
        return "integer"
    return "number" if pd.api.types.is_numeric_dtype(values) else "text"
