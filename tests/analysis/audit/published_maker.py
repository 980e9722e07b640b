"""Makes folders of published scores for the tests of the audit."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

HEADING = (
    *("source", "table", "condition", "start", "training", "frozen", "prompt", "benchmark", "task"),
    *("accuracy_percent", "n_questions"),
)
BENCHMARKS = ("benchmark", "task", "chance_percent", "parts", "weights")
PUBLISHED = Path(__file__).parents[3] / "results" / "published"


def write(path: Path, heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([heading, *rows])
    return path


def read(name: str, folder: Path = PUBLISHED) -> list[list[str]]:
    """Heading and rows of a file."""
    with (folder / name).open(newline="") as stream:
        return list(csv.reader(stream))


def row(
    condition: str,
    task: str,
    percent: str,
    n: int | str = "",
    *,
    source: str = "S",
    table: str = "T",
    training: str | None = None,
    benchmark: str = "B",
    **settings: str,
) -> list[str]:
    """A row of scores; unless told otherwise, conditions of different names are trained differently."""
    fixed = [settings.get("start", "base"), training or condition, settings.get("frozen", "none")]
    return [source, table, condition, *fixed, settings.get("prompt", "plain"), benchmark, task, percent, str(n)]


def folder(
    path: Path, scores: Iterable[Sequence[str]], benchmarks: Iterable[Sequence[str]] = (), claims: Sequence = ()
) -> Path:
    """A folder with the files that have rows. The first of the claims' rows is the heading."""
    write(path / "scores.csv", HEADING, scores)
    benchmarks = list(benchmarks)
    if benchmarks:
        write(path / "benchmarks.csv", BENCHMARKS, benchmarks)
    if claims:
        write(path / "claims.csv", claims[0], claims[1:])
    return path
