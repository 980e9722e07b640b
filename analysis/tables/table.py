"""One table, written as Markdown, LaTeX, HTML and CSV, and number by number into ``estimates.parquet``.

Every number in a cell is a `Number`, which keeps what was rounded away: the formats can't disagree, and no number is
shown that isn't on record.
"""

import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from tabulate import tabulate

from analysis.statistics import MeanInterval
from analysis.tables.latex import latex
from analysis.words import NONE


@dataclass(frozen=True)
class Number:
    """A number in a cell, with its interval where it has one."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    """Observations (runs, pairs, questions) in it."""
    unit: str = "percent"
    decimals: int = 1
    signed: bool = False
    """Shown with its sign: a difference."""
    style: str = "plus_minus"
    """How an interval is shown: ``plus_minus`` (``93.1 ± 4.2``), ``range`` (its ends alone) or ``none``."""
    text: str | None = None
    """Shown instead of what the fields above make."""

    def __str__(self) -> str:
        if self.text is not None:
            return self.text
        if self.value is None:
            return NONE
        if self.style == "range":
            return NONE if self.low is None or self.high is None else f"{self._one(self.low)} to {self._one(self.high)}"
        shown = self._one(self.value)
        if self.style == "none" or self.low is None or self.high is None or self.low == self.high:
            return shown  # an interval without any width says nothing
        return f"{shown} ± {(self.high - self.low) / 2:.{self.decimals}f}"

    def _one(self, value: float) -> str:
        text = f"{value:+.{self.decimals}f}" if self.signed else f"{value:.{self.decimals}f}"
        # a rounded zero has no sign
        return text.lstrip("+-") if float(text) == 0.0 else text


Cell = str | Number


def of_interval(interval: MeanInterval | None, **look: Any) -> Number:
    """A mean with its interval; a dash for none.

    Args:
        look: other fields of `Number`.
    """
    if interval is None:
        return Number(None, **look)
    return Number(interval.mean, interval.low, interval.high, interval.n, **look)


def p_value(p: float | None, n: int | None = None) -> Number:
    """A p-value: ``0.031``, ``< 0.001``."""
    text = None if p is None or p >= 0.001 else "< 0.001"
    return Number(p, n=n, unit="probability", decimals=3, text=text)


def count(value: int, unit: str) -> Number:
    """A count of something."""
    return Number(float(value), unit=unit, decimals=0)


@dataclass(frozen=True)
class Column:
    """A column: its name in files, its heading, and what it holds."""

    name: str
    """Empty for one that shows the numbers of the column before it in another way: readers see it, files don't have
    it."""
    title: str
    description: str = ""


@dataclass(frozen=True)
class Table:
    """A table for readers and for machines."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    footers: tuple[str, ...] = field(default=())
    keys: int = 1
    """So many columns from the left tell a row."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.name}: a row of {len(row)} cells, but {len(self.columns)} columns: {row}"
                )

    def markdown(self, heading: str = "##") -> str:
        """Heading, table and footers."""
        cells = [[str(cell).replace("|", "\\|") for cell in row] for row in self.rows]
        titles = [column.title for column in self.columns]
        text = tabulate(cells, headers=titles, tablefmt="pipe", disable_numparse=True)
        notes = "\n".join(f"- {footer}" for footer in self.footers)
        return f"{heading} {self.title}\n\n{text}\n\n{notes}\n"

    def latex(self) -> str:
        """The table for LaTeX, as `analysis.tables.latex` sets it."""
        return latex(self)

    def html(self) -> str:
        """A ``table`` element with its caption, footers in its foot; no styles of its own."""
        right = self.right()
        head = "".join(f"<th scope='col'>{html.escape(column.title)}</th>" for column in self.columns)
        body = "\n".join("<tr>" + "".join(map(_html_cell, row, right)) + "</tr>" for row in self.rows)
        foot = "".join(
            f"<tr><td colspan='{len(self.columns)}'>{html.escape(footer)}</td></tr>\n" for footer in self.footers
        )
        return (
            f"<table id='{self.name}'>\n<caption>{html.escape(self.title)}</caption>\n<thead><tr>{head}</tr></thead>\n"
            f"<tbody>\n{body}\n</tbody>\n<tfoot>\n{foot}</tfoot>\n</table>\n"
        )

    def html_page(self) -> str:
        """A page of its own with the table."""
        style = "body{font-family:sans-serif}td,th{padding:.2em .6em}tbody tr:nth-child(even){background:#f4f4f4}"
        style += (
            "th{text-align:left;border-bottom:1px solid}tfoot td{font-size:smaller;border:0}caption{font-weight:bold}"
        )
        return (
            f"<!DOCTYPE html>\n<html lang='en'>\n<head><meta charset='utf-8'><title>{html.escape(self.title)}</title>\n"
            f"<style>{style}</style></head>\n<body>\n{self.html()}</body>\n</html>\n"
        )

    def frame(self) -> pd.DataFrame:
        """The numbers unrounded. A column of numbers has ``_low``, ``_high`` and ``_n`` beside it where any has them;
        a text in it (why there is no number) stands in ``_text``."""
        made: dict[str, list[Any]] = {}
        for place, column in enumerate(self.columns):
            if not column.name:
                continue
            cells = [row[place] for row in self.rows]
            numbers = [cell if isinstance(cell, Number) else None for cell in cells]
            if not any(numbers):
                made[column.name] = [str(cell) for cell in cells]
                continue
            made[column.name] = [cell and cell.value for cell in numbers]
            for part in ("low", "high", "n"):
                values = [cell and getattr(cell, part) for cell in numbers]
                if any(value is not None for value in values):
                    made[f"{column.name}_{part}"] = values
            texts = [cell if isinstance(cell, str) else "" for cell in cells]
            if any(text not in ("", NONE) for text in texts):
                made[f"{column.name}_text"] = texts
        frame = pd.DataFrame(made)
        frame.attrs["units"] = {
            column.name: "probability"
            for place, column in enumerate(self.columns)
            if any(isinstance(row[place], Number) and row[place].unit == "probability" for row in self.rows)  # pyright: ignore[reportAttributeAccessIssue]
        }
        for name in made:
            # None in a column of numbers is a missing number
            if name.endswith("_n"):
                frame[name] = frame[name].astype("Int64")
            elif frame[name].dtype == object and not name.endswith("_text") and _is_numeric(made[name]):
                frame[name] = frame[name].astype(float)
        return frame

    def estimates(self) -> Iterator[tuple[str, str, str, float | None, float | None, float | None, int | None, str]]:
        """Every number: table, row, column, estimate, low, high, n, unit."""
        for row in self.rows:
            # a row of chance has neither protocol nor rule
            name = " | ".join(str(cell) for cell in row[: self.keys]).rstrip(" |")
            for column, cell in zip(self.columns, row, strict=True):
                if isinstance(cell, Number) and column.name:
                    yield (self.name, name, column.name, cell.value, cell.low, cell.high, cell.n, cell.unit)

    def right(self) -> list[bool]:
        """Which columns hold numbers, and so stand on the right."""
        return [any(isinstance(row[place], Number) for row in self.rows) for place in range(len(self.columns))]


def _is_numeric(values: list[Any]) -> bool:
    return all(value is None or isinstance(value, int | float) for value in values)


def _html_cell(cell: Cell, right: bool) -> str:
    place = " style='text-align:right'" if right else ""
    return f"<td{place}>{html.escape(str(cell))}</td>"
