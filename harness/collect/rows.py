"""What a run's finished stages hold, as plain records."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from harness.record.folders import Store
from harness.record.outputs import CHECKS_FILE, COMPLETIONS_FILE, METRICS, ROLLOUTS, read_steps
from harness.scoring.rules import Finish
from harness.study.expand import Run


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
class RunReader:
    """Reads the finished stages of one run."""

    run: Run
    store: Store
    done: set[str]
    """Ids of the finished stages."""

    def checks(self) -> str | None:
        """Manipulation checks of the training as JSON. A run that failed by one has them too."""
        if self.run.train is None:
            return None
        path = self.store.folder(self.run.train).path / CHECKS_FILE
        return json.dumps(json.loads(path.read_text()), sort_keys=True) if path.exists() else None

    def training(self) -> list[dict[str, Any]]:
        """Metrics of every optimiser step; empty unless the training is finished."""
        return self._steps(METRICS)

    def evaluations(self) -> Iterator[Completion]:
        """Completions of all finished evaluations.

        The last point of the run's curve is the final evaluation under the arm's own protocol, cut to the curve's
        questions.
        """
        curve = self.run.settings.curve.questions if self.run.train else 0
        for evaluation in self.run.evaluations:
            if evaluation.stage not in self.done:
                continue
            table = pq.read_table(self.store.folder(evaluation.stage).path / COMPLETIONS_FILE).to_pylist()
            for position, row in enumerate(table):
                completion = Completion(
                    phase=evaluation.phase,
                    step=row["step"] - evaluation.step_offset,
                    protocol=evaluation.protocol,
                    question=row["question"],
                    sample=0,
                    text=row["text"],
                    tokens=row["tokens"],
                    finish=row["finish"],
                )
                yield completion
                own = evaluation.protocol == self.run.settings.protocols[0]
                if evaluation.phase == "final" and own and position < curve:
                    yield Completion(**{**vars(completion), "phase": "curve"})

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

    def _steps(self, folder: str) -> list[dict[str, Any]]:
        if self.run.train not in self.done or self.run.train is None:
            return []
        return read_steps(self.store.folder(self.run.train).path / folder)
