"""What a run's finished stages hold, as plain records."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from harness.data.order import spread
from harness.record.folders import Store
from harness.record.outputs import (
    CHECKS_FILE,
    COMPLETIONS_FILE,
    FACTS_FILE,
    METRICS,
    OPTIONS_FILE,
    ROLLOUTS,
    read_steps,
)
from harness.scoring.reading import Finish
from harness.study.expand import Evaluation, Run
from harness.study.schema import Study


@dataclass(frozen=True)
class Completion:
    """One completion of a run; fields as in the ``completions`` table."""

    phase: str
    step: int
    protocol: str | None
    question: int
    sample: int
    text: str
    tokens: int
    finish: Finish
    rewards: dict[str, float] = field(default_factory=dict)
    """``reward`` and its parts; empty in evaluation."""


@dataclass(frozen=True)
class ScoredOptions:
    """Log-likelihoods of one question's options, in the options' order."""

    phase: str
    step: int
    protocol: str
    question: int
    logprobs: list[float]
    tokens: list[int]


@dataclass(frozen=True)
class RunReader:
    """Reads the finished stages of one run."""

    study: Study
    run: Run
    store: Store
    done: set[str]
    """Ids of the finished stages."""

    def checks(self) -> str | None:
        """Manipulation checks of the training as JSON. A run that failed by one has them too."""
        checks = self._json(CHECKS_FILE)
        return None if checks is None else json.dumps(checks, sort_keys=True)

    def facts(self) -> dict[str, str | None]:
        """What the run was trained on, as columns of ``runs``."""
        facts = self._json(FACTS_FILE) or {}
        pixels = facts.get("pixel_range")
        return {
            "data_fingerprint": facts.get("data_fingerprint"),
            "prompt_hash": facts.get("prompt_hash"),
            "pixel_range": None if pixels is None else json.dumps(pixels),
        }

    def training(self) -> list[dict[str, Any]]:
        """Metrics of every optimiser step; empty unless the training is finished."""
        return self._steps(METRICS)

    def completions(self) -> Iterator[Completion]:
        """Completions of all finished evaluations."""
        for evaluation in self._finished("generate"):
            for phase, rows in self._questions(evaluation, COMPLETIONS_FILE):
                (row,) = rows
                yield Completion(
                    phase=phase,
                    step=row["step"] - evaluation.step_offset,
                    protocol=evaluation.protocol,
                    question=row["question"],
                    sample=0,
                    text=row["text"],
                    tokens=row["tokens"],
                    finish=row["finish"],
                )

    def scored_options(self) -> Iterator[ScoredOptions]:
        """Options of all finished evaluations that ask for their likelihood."""
        for evaluation in self._finished("options"):
            for phase, rows in self._questions(evaluation, OPTIONS_FILE):
                yield ScoredOptions(
                    phase=phase,
                    step=rows[0]["step"] - evaluation.step_offset,
                    protocol=evaluation.protocol,
                    question=rows[0]["question"],
                    logprobs=[row["logprob"] for row in rows],
                    tokens=[row["tokens"] for row in rows],
                )

    def rollouts(self, every: int) -> Iterator[Completion]:
        """Rollouts of the first and every so-many-th step; none unless the training is finished."""
        for row in self._steps(ROLLOUTS):
            if row["step"] == 1 or row["step"] % every == 0:
                yield Completion(
                    phase="rollout",
                    step=row["step"],
                    protocol=None,
                    question=row["question"],
                    sample=row["sample"],
                    text=row["text"],
                    tokens=row["tokens"],
                    finish=row["finish"],
                    rewards={name: value for name, value in row.items() if name.startswith("reward")},
                )

    def _finished(self, method: str) -> Iterator[Evaluation]:
        for evaluation in self.run.evaluations:
            if evaluation.stage in self.done and self.study.protocols[evaluation.protocol].method == method:
                yield evaluation

    def _questions(self, evaluation: Evaluation, file: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Phase and rows of every question of every checkpoint, in the file's order.

        The last point of the run's curve is the final evaluation under the arm's own protocol, cut to the curve's
        questions: those come twice.
        """
        curve = self.run.settings.curve.questions if self.run.train else 0
        last_of_curve = evaluation.phase == "final" and evaluation.protocol == self.run.settings.protocols[0]
        table = pq.read_table(self.store.folder(evaluation.stage).path / file).to_pylist()
        grouped = itertools.groupby(table, key=lambda row: (row["step"], row["question"]))
        asked = [list(group) for _, group in grouped]
        of_curve = set(spread(len(asked), curve)) if last_of_curve and curve else set()
        for position, rows in enumerate(asked):
            yield evaluation.phase, rows
            if position in of_curve:
                yield "curve", rows

    def _json(self, file: str) -> dict[str, Any] | None:
        if self.run.train is None:
            return None
        path = self.store.folder(self.run.train).path / file
        return json.loads(path.read_text()) if path.exists() else None

    def _steps(self, folder: str) -> list[dict[str, Any]]:
        if self.run.train not in self.done or self.run.train is None:
            return []
        return read_steps(self.store.folder(self.run.train).path / folder)
