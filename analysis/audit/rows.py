"""Rows of published scores as plain data, with labels that tell them apart."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.audit.read import KEY, SETTINGS


@dataclass(frozen=True)
class Score:
    """One printed score."""

    source: str
    table: str
    condition: str
    """With the settings that tell it from others of the same name in its table."""
    settings: tuple[str, ...]
    """Of `SETTINGS`."""
    benchmark: str
    task: str
    printed: str
    n: int | None

    @property
    def percent(self) -> float:
        return float(self.printed)

    @property
    def share(self) -> float:
        return self.percent / 100.0

    @property
    def where(self) -> str:
        return f"{self.source} {self.table}".rstrip()

    @property
    def what(self) -> str:
        return f"{self.benchmark} {self.task}"

    @property
    def label(self) -> str:
        return f"{self.where}: {self.condition}, {self.what}"


@dataclass(frozen=True)
class Task:
    """A benchmark's task, or an aggregate of some."""

    benchmark: str
    name: str
    chance: float | None
    """Percent."""
    parts: tuple[str, ...]
    weights: str


def tasks_of(benchmarks: pd.DataFrame) -> list[Task]:
    """Tasks in the order of the frame."""
    return [
        Task(name, task, None if pd.isna(chance) else float(chance), parts, weights)
        for name, task, chance, parts, weights in benchmarks[
            ["benchmark", "task", "chance", "parts", "weights"]
        ].itertuples(index=False, name=None)
    ]


def scores_of(scores: pd.DataFrame) -> list[Score]:
    """Scores in the order of the frame."""
    columns = [*KEY, "printed", "n"]
    rows = [dict(zip(columns, line, strict=True)) for line in scores[columns].itertuples(index=False, name=None)]
    named: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        named.setdefault((row["source"], row["table"], row["condition"]), []).append(row)
    telling = {key: [name for name in SETTINGS if len({row[name] for row in same}) > 1] for key, same in named.items()}
    made = []
    for row in rows:
        more = telling[row["source"], row["table"], row["condition"]]
        label = row["condition"] + (f" ({', '.join(f'{name} {row[name]}' for name in more)})" if more else "")
        settings = tuple(row[name] for name in SETTINGS)
        n = None if pd.isna(row["n"]) else int(row["n"])
        made.append(
            Score(
                *(row["source"], row["table"], label, settings, row["benchmark"], row["task"]),
                *(row["printed"], n),
            )
        )
    return made


def by_configuration(scores: list[Score]) -> dict[tuple[str, str, str, str], dict[str, Score]]:
    """``(source, table, condition, benchmark)`` -> task -> score, sorted."""
    made: dict[tuple[str, str, str, str], dict[str, Score]] = {}
    for score in scores:
        made.setdefault((score.source, score.table, score.condition, score.benchmark), {})[score.task] = score
    return {key: made[key] for key in sorted(made)}


def settings_text(settings: tuple[str, ...]) -> str:
    """``start base, training grpo, frozen none, prompt reasoning``."""
    return ", ".join(f"{name} {value}" for name, value in zip(SETTINGS, settings, strict=True))
