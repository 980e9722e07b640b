"""Reading published tables: ``scores.csv``, and beside it ``benchmarks.csv`` and ``claims.csv``, each checked.

Columns are described in ``results/published/README.md``. Columns that are not known, such as remarks, are not read.
"""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

SCORES, BENCHMARKS, CLAIMS = "scores.csv", "benchmarks.csv", "claims.csv"
SETTINGS = ("start", "training", "frozen", "prompt")
"""The columns that tell a configuration, as far as a paper documents it."""
KEY = ("source", "table", "condition", *SETTINGS, "benchmark", "task")
AGGREGATES = ("total", "average", "overall", "mean")
"""Tasks taken for the aggregate of the others in a benchmark that ``benchmarks.csv`` does not describe."""
WEIGHTS = ("questions", "tasks")
SEPARATORS = (",", ";", "\t")
"""Between the cells of a row: spreadsheets write semicolons where the comma is the decimal mark."""


class PublishedError(ValueError):
    """A file of published tables cannot be read; the message names the file, row, column, value and what is allowed."""


@dataclass(frozen=True)
class Published:
    """Published tables, checked."""

    scores: pd.DataFrame
    """One row per printed score: the columns of `KEY` (text), ``printed`` (text, as printed), ``percent`` (float) and
    ``n`` (Int64, missing where it is not known)."""
    benchmarks: pd.DataFrame
    """One row per benchmark and task, in the file's order: ``chance`` (percent, missing where not known), ``parts``
    (tuple of tasks, empty unless it is an aggregate) and ``weights`` (one of `WEIGHTS`, empty unless it is one)."""
    claims: pd.DataFrame
    """One row per claimed difference: ``claim``, ``source``, ``figure`` (text), ``benchmark``, ``task``, and ``a`` and
    ``b``, the positions in ``scores`` of the rows whose difference it is."""
    remarks: tuple[str, ...] = ()
    """What was not read, and what was assumed."""


@dataclass(frozen=True)
class _Column:
    name: str
    allowed: str
    fits: Callable[[str], bool]
    required: bool = True
    """Whether the file must have it."""


def _text(name: str) -> _Column:
    return _Column(name, "a text, not empty", bool)


def _any(name: str, required: bool = True) -> _Column:
    return _Column(name, "a text or nothing", lambda _: True, required)


def _percent(text: str) -> bool:
    return re.fullmatch(r"\d{1,3}(\.\d+)?", text) is not None and float(text) <= 100.0


_SCORES = (
    *(_text("source"), _any("table"), _text("condition"), *map(_text, SETTINGS), _text("benchmark"), _text("task")),
    _Column("accuracy_percent", "a number from 0 to 100 as printed, such as 31.38, without a percent sign", _percent),
    _Column(
        *("n_questions", "a whole number of at least 1, or nothing where it is not known"),
        lambda text: re.fullmatch(r"([1-9]\d*)?", text) is not None,
    ),
)
_BENCHMARKS = (
    *(_text("benchmark"), _text("task")),
    _Column(
        *("chance_percent", "a number from 0 to 100, or nothing where it is not known"),
        lambda text: not text or _percent(text),
    ),
    _any("parts"),
    _Column("weights", f"{' or '.join(WEIGHTS)} for an aggregate, else nothing", lambda text: text in ("", *WEIGHTS)),
)
_CLAIMS = (
    *(_text("claim"), _text("source")),
    _Column(
        *("figure", "a number of points as printed, such as 30 or -1.5"),
        lambda text: re.fullmatch(r"-?\d+(\.\d+)?", text) is not None,
    ),
    *(_text("benchmark"), _text("task")),
    *(_any("a_table"), _text("a_condition"), _any("b_table"), _text("b_condition")),
    *(_any(f"{side}_{name}", required=False) for side in "ab" for name in ("source", *SETTINGS)),
)


def read_published(path: Path | str) -> Published:
    """Read published tables from a folder, or from a file of scores with the others beside it.

    Only the scores must be there. A benchmark that ``benchmarks.csv`` does not describe has a chance level that is not
    known, and the task called by one of `AGGREGATES`, if there is one, is taken for the mean of its other tasks,
    weighted by questions: the remarks say so.

    Raises:
        PublishedError: something in a file is not as the columns allow.
        FileNotFoundError: there is no such file or folder.
    """
    path = Path(path)
    file = path / SCORES if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"no file {file}: published scores stand in a folder's {SCORES}, or name the file")
    remarks: list[str] = []
    scores = _scores(file, remarks)
    benchmarks = _benchmarks(file.with_name(BENCHMARKS), scores, remarks)
    return Published(scores, benchmarks, _claims(file.with_name(CLAIMS), scores, remarks), tuple(remarks))


def _rows(file: Path, columns: Sequence[_Column], remarks: list[str]) -> pd.DataFrame:
    """The known columns as text, each cell checked. The index is the row in a spreadsheet: the heading is row 1."""
    required = [column.name for column in columns if column.required]
    lines = _lines(file, required)
    names = ", ".join(required)
    if not lines:
        raise PublishedError(f"{file} is empty; its first row must name the columns {names}")
    heading = [name.strip() for name in lines[0]]
    known = [column.name for column in columns]
    missing = [name for name in required if name not in heading]
    if missing:
        raise PublishedError(f"{file}, row 1: no column {', '.join(missing)}; there must be {names}")
    twice = sorted({name for name in heading if name in known and heading.count(name) > 1})
    if twice:
        raise PublishedError(f"{file}, row 1: the column {', '.join(twice)} is there more than once")
    more = [name for name in heading if name not in known]
    if more:
        remarks.append(f"{file.name}: not read: {', '.join(more)}.")
    made: dict[int, dict[str, str]] = {}
    for row, line in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in line):
            continue
        if len(line) != len(heading):
            raise PublishedError(f"{file}, row {row}: {len(line)} cells, but row 1 names {len(heading)} columns")
        cells = dict(zip(heading, (cell.strip() for cell in line), strict=True))
        for column in columns:
            value = cells.setdefault(column.name, "")
            if not column.fits(value):
                raise PublishedError(
                    f"{file}, row {row}, column {column.name}: {value!r} is not allowed, but {column.allowed}"
                )
        made[row] = {name: cells[name] for name in known}
    if not made:
        raise PublishedError(f"{file} has no row under its heading")
    return pd.DataFrame.from_dict(made, orient="index", columns=known)


def _lines(file: Path, required: Sequence[str]) -> list[list[str]]:
    """Cells of every row, separated by what makes the first row name most of the required columns."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PublishedError(f"{file} is not a CSV file in UTF-8: {error}") from None
    first = text.partition("\n")[0]

    def named(separator: str) -> int:
        return len(set(required) & {name.strip().strip('"') for name in first.split(separator)})

    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=max(SEPARATORS, key=named), strict=True))
    except csv.Error as error:
        raise PublishedError(f"{file} is not a CSV file in UTF-8: {error}") from None


def _once(file: Path, frame: pd.DataFrame, key: Sequence[str], mend: str) -> None:
    seen: dict[tuple[str, ...], int] = {}
    for row, cells in zip(frame.index, frame[list(key)].itertuples(index=False, name=None), strict=True):
        if cells in seen:
            said = ", ".join(cell for cell in cells if cell)
            raise PublishedError(f"{file}, row {row} repeats row {seen[cells]} ({said}); {mend}")
        seen[cells] = row


def _scores(file: Path, remarks: list[str]) -> pd.DataFrame:
    frame = _rows(file, _SCORES, remarks)
    _once(file, frame, KEY, "take one out, or give different conditions different names")
    frame["percent"] = frame["accuracy_percent"].astype(float)
    frame["n"] = pd.to_numeric(frame["n_questions"].where(frame["n_questions"] != "")).astype("Int64")
    frame = frame.rename(columns={"accuracy_percent": "printed"}).drop(columns="n_questions")
    return frame.reset_index(drop=True)


def _benchmarks(file: Path, scores: pd.DataFrame, remarks: list[str]) -> pd.DataFrame:
    columns = ["benchmark", "task", "chance", "parts", "weights"]
    frame = pd.DataFrame(columns=columns)
    if file.is_file():
        rows = _rows(file, _BENCHMARKS, remarks)
        _once(file, rows, ("benchmark", "task"), "take one out")
        rows["parts"] = [tuple(part.strip() for part in text.split(";") if part.strip()) for text in rows["parts"]]
        _check_parts(file, rows)
        rows["chance"] = pd.to_numeric(rows["chance_percent"].where(rows["chance_percent"] != "")).astype(float)
        frame = rows[columns].reset_index(drop=True)
    known = {name: set(group["task"]) for name, group in frame.groupby("benchmark")}
    for name, group in scores.groupby("benchmark"):
        tasks = sorted(set(group["task"]))
        if name in known:
            unknown = [task for task in tasks if task not in known[name]]
            if unknown:
                raise PublishedError(
                    f"{file}: benchmark {name} has no row for task {', '.join(unknown)}, which the scores have; "
                    f"there are {', '.join(sorted(known[name]))}"
                )
            continue
        frame = pd.concat([frame, _assumed(str(name), tasks, remarks)], ignore_index=True)
    return frame


def _check_parts(file: Path, rows: pd.DataFrame) -> None:
    for row, cells in rows.iterrows():
        tasks = sorted(set(rows.loc[rows["benchmark"] == cells["benchmark"], "task"]) - {cells["task"]})
        unknown = [part for part in cells["parts"] if part not in tasks]
        if unknown:
            raise PublishedError(
                f"{file}, row {row}, column parts: {unknown[0]!r} is no other task of {cells['benchmark']}; "
                f"there are {', '.join(tasks) or 'none'}, with ; between them"
            )
        if bool(cells["parts"]) != bool(cells["weights"]):
            raise PublishedError(
                f"{file}, row {row}, column weights: {cells['weights']!r} is not allowed, but "
                f"{' or '.join(WEIGHTS)} where there are parts, and nothing where there are none"
            )


def _assumed(name: str, tasks: list[str], remarks: list[str]) -> pd.DataFrame:
    """A benchmark that is not described: chance unknown, an aggregate known by its name."""
    aggregates = [task for task in tasks if task.lower() in AGGREGATES]
    parts = tuple(task for task in tasks if task not in aggregates)
    whole = aggregates[0] if len(aggregates) == 1 and len(parts) > 1 else None
    also = f"; its {whole} is taken for the mean of {', '.join(parts)}, weighted by questions" if whole else ""
    remarks.append(f"{BENCHMARKS} does not describe {name}: its chance level is not known{also}.")
    order = [*([whole] if whole else []), *(task for task in tasks if task != whole)]
    return pd.DataFrame(
        {
            "benchmark": name,
            "task": order,
            "chance": pd.Series([float("nan")] * len(order)),
            "parts": pd.Series([parts if task == whole else () for task in order]),
            "weights": ["questions" if task == whole else "" for task in order],
        }
    )


def _claims(file: Path, scores: pd.DataFrame, remarks: list[str]) -> pd.DataFrame:
    names = ["claim", "source", "figure", "benchmark", "task"]
    if not file.is_file():
        return pd.DataFrame(columns=[*names, "a", "b"])
    rows = _rows(file, _CLAIMS, remarks)
    for side in "ab":
        rows[side] = [_position(file, row, side, rows, scores) for row in rows.index]
    for row, a, b in zip(rows.index, rows["a"], rows["b"], strict=True):
        if a == b:
            raise PublishedError(f"{file}, row {row}: sides a and b are the same row of the scores")
    return rows[[*names, "a", "b"]].reset_index(drop=True)


def _position(file: Path, row: int, side: str, rows: pd.DataFrame, scores: pd.DataFrame) -> int:
    """Where a claim's side stands in the scores; an optional cell that is empty leaves its column open."""
    cells = {str(name): str(value) for name, value in rows.loc[row].items()}
    # a table without a name is a name too; the claim's own source unless the side has another
    wanted = {"source": cells[f"{side}_source"] or cells["source"], "table": cells[f"{side}_table"]}
    wanted |= {"condition": cells[f"{side}_condition"], "benchmark": cells["benchmark"], "task": cells["task"]}
    wanted |= {name: cells[f"{side}_{name}"] for name in SETTINGS if cells[f"{side}_{name}"]}
    fits = pd.Series(True, index=scores.index)
    for name, value in wanted.items():
        fits &= scores[name] == value
    found = list(scores.index[fits])
    if len(found) == 1:
        return int(found[0])
    said = ", ".join(f"{name} {value!r}" for name, value in wanted.items())
    if found:
        more = ", ".join(f"{side}_{name}" for name in SETTINGS if scores.loc[found, name].nunique() > 1)
        raise PublishedError(f"{file}, row {row}, side {side}: {len(found)} rows of the scores have {said}; add {more}")
    alike = scores[(scores["benchmark"] == cells["benchmark"]) & (scores["task"] == cells["task"])]
    there = sorted({" / ".join(map(str, line)) for line in alike[["source", "table", "condition"]].to_numpy()})
    raise PublishedError(
        f"{file}, row {row}, side {side}: no row of the scores has {said}; with that benchmark and task there are "
        + ("; ".join(there) or "none")
    )
