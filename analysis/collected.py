"""A collected study in memory: its tables, what tells their rows apart, and what the analysis asks of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

OPTION_RULES = ("likelihood_per_token", "likelihood")
"""Rules that read the answers of a protocol with ``method: options``; the first decides."""

KEYS: dict[str, tuple[str, ...]] = {
    "runs": ("run",),
    "questions": ("suite", "question"),
    "answers": ("run", "phase", "step", "protocol", "rule", "suite", "question"),
    "completions": ("run", "phase", "step", "protocol", "suite", "question", "sample"),
    "option_scores": ("run", "phase", "step", "protocol", "suite", "question", "option"),
    "traces": ("run", "phase", "step", "protocol", "suite", "question", "sample"),
    "training": ("run", "step"),
    "stages": ("stage",),
    "attempts": ("stage", "attempt"),
}
"""Columns that tell the rows of each table apart, in the order that the rows are sorted by."""

OPTIONAL = ("completions", "option_scores", "traces", "training", "stages", "attempts")
"""Tables that an analysis can do without."""


def mend(where: str) -> str:
    """What to do about a table that can't be right."""
    return "mend the frame" if where.startswith("frame ") else "collect the study anew: ablate collect"


class CollectedError(Exception):
    """A collected folder cannot be read; the message names the file, what is wrong and the mend."""


@dataclass(frozen=True)
class Layout:
    """What questions share."""

    images: np.ndarray
    """Number of every question's image, its cluster, shape (questions,)."""
    tasks: np.ndarray
    """Number of every question's suite and task, shape (questions,)."""
    suites: np.ndarray | None = None
    """Number of every question's suite, shape (questions,); None where there is one."""
    sources: np.ndarray | None = None
    """Number of every question's suite and source, shape (questions,); None where each suite has one."""

    def cut(self, position: np.ndarray) -> "Layout":
        """Of some of the questions."""
        more = (None if each is None else each[position] for each in (self.suites, self.sources))
        return Layout(self.images[position], self.tasks[position], *more)


@dataclass(frozen=True)
class Tables:
    """A collected study: ``study.json`` and one frame for each table, rows sorted by the table's key.

    Text columns of the large tables (answers, completions, option_scores, traces) are categories; these tables also
    have ``position``, the row of ``questions`` that they are about (-1 for rollouts).
    """

    study: dict[str, Any]
    runs: pd.DataFrame
    questions: pd.DataFrame
    answers: pd.DataFrame
    completions: pd.DataFrame
    option_scores: pd.DataFrame
    traces: pd.DataFrame
    training: pd.DataFrame
    stages: pd.DataFrame
    attempts: pd.DataFrame

    @property
    def arms(self) -> list[str]:
        """Names of the arms in the order of the study file."""
        return [arm["name"] for arm in self.study["arms"]]

    @property
    def rules(self) -> list[str]:
        """Scoring rules that completions are read by; the first decides."""
        return list(self.study["rules"])

    def rules_of(self, protocol: str) -> list[str]:
        """Scoring rules that a protocol's answers are read by; the first decides."""
        return list(OPTION_RULES) if self.study["protocols"][protocol]["method"] == "options" else self.rules

    @property
    def tasks(self) -> list[str]:
        """Tasks in the order in which the questions meet them."""
        return list(dict.fromkeys(self.questions["task"]))

    @property
    def sources(self) -> list[str]:
        """Sources of the questions in the order in which the questions meet them."""
        return list(dict.fromkeys(self.questions["source"]))

    @property
    def suites(self) -> list[str]:
        """Benchmarks in alphabetical order."""
        return list(dict.fromkeys(self.questions["suite"]))

    @cached_property
    def layout(self) -> Layout:
        """Image, task, suite and source of every question."""
        suite = self.questions["suite"].astype(str) + "/"
        images, tasks, sources = (
            pd.factorize(suite + self.questions[name].astype(str))[0] for name in ("image", "task", "source")
        )
        return Layout(images, tasks, pd.factorize(suite)[0], sources)

    @cached_property
    def failed_checks(self) -> dict[str, str]:
        """Which manipulation checks failed, in words, by run; only runs in which one did."""
        if "checks" not in self.runs:
            return {}
        told = {run: _failed(checks) for run, checks in zip(self.runs["run"], self.runs["checks"], strict=True)}
        return {run: text for run, text in told.items() if text}

    def own_protocol(self, arm: str) -> str:
        """The protocol that an arm is judged by unless a contrast names another."""
        return self.arm(arm)["protocol"]

    def curve_questions(self, arm: str) -> int:
        """How many questions an arm's checkpoints were asked."""
        return min(self.arm(arm)["curve_questions"], len(self.questions))

    def arm(self, name: str) -> dict[str, Any]:
        """What ``study.json`` says of an arm.

        Raises:
            KeyError: there is no such arm; the message lists those that there are.
        """
        for each in self.study["arms"]:
            if each["name"] == name:
                return each
        raise KeyError(f"no arm {name!r}; there are {', '.join(self.arms)}")

    def random(self, arm: str) -> bool:
        """Whether an arm has randomness and so seeds; one without is a single run, a known constant."""
        return bool(self.runs.loc[self.runs["arm"] == arm, "seed"].notna().any())

    def rows(self, table: str, run: str, phase: str, step: int | None, protocol: str) -> pd.DataFrame:
        """Rows of one evaluation of one run; of all its checkpoints where ``step`` is None."""
        found = self._groups(table).get((run, phase, protocol))
        frame: pd.DataFrame = getattr(self, table)
        if found is None:
            return frame.iloc[:0]
        chosen = frame.iloc[found]
        return chosen if step is None else chosen[chosen["step"] == step]

    def has(self, table: str, run: str, phase: str, protocol: str) -> bool:
        """Whether a table has rows of an evaluation."""
        return (run, phase, protocol) in self._groups(table)

    def _groups(self, table: str) -> Mapping[Any, np.ndarray]:
        """Rows of a large table by run, phase and protocol."""
        cache = self.__dict__.setdefault("_group_cache", {})
        if table not in cache:
            frame = getattr(self, table)
            cache[table] = frame.groupby(["run", "phase", "protocol"], observed=True, sort=False).indices
        return cache[table]


def _failed(checks: object) -> str:
    """Of the column ``checks`` of runs; empty when all passed."""
    if not isinstance(checks, str) or not checks:
        return ""
    found: dict[str, dict[str, Any]] = json.loads(checks)
    failed = [f"{name!r} ({each.get('detail', '')})" for name, each in sorted(found.items()) if not each["passed"]]
    return f"manipulation check {', '.join(failed)} failed" if failed else ""
