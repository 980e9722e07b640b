"""The rewards that trl asks for, paid and recorded."""

from collections.abc import Callable
from typing import Any

from accelerate.utils import gather_object

from harness.models.prompts import PromptStyle
from harness.record.outputs import StepLog
from harness.scoring.rewards import Rollout, pay
from harness.study.training import GRPOSettings, RewardName


class RolloutLog:
    """Pays every part of the reward and records every rollout with its parts, over all processes."""

    def __init__(self, log: StepLog, settings: GRPOSettings, style: PromptStyle, seed: int, ends: list[int]):
        """``ends``: ids of the tokens that end a reply."""
        self.log = log
        self.terms = settings.terms()
        self.group = settings.completions_per_prompt
        self.style = style
        self.seed = seed
        self.ends = set(ends)
        self.rank = 0
        """Of this process; the rollouts of all are recorded by the first."""
        self._parts: dict[RewardName, list[float]] = {}
        self._rows: list[dict[str, Any]] = []

    def reward_function(self, name: RewardName) -> Callable[..., list[float]]:
        """A reward in trl's calling convention; when the last one has been paid the rollouts are recorded."""

        def reward(completions: list[Any], completion_ids: list[list[int]], **columns: Any) -> list[float]:
            if not self._parts:
                self._rows = self._written(completions, completion_ids, columns)
            rollouts = [
                Rollout(
                    row["text"], self.style.prefill, tuple(row["choices"]), row["answer"], row["length"], row["key"]
                )
                for row in self._rows
            ]
            self._parts[name] = pay(name, self.terms[name], rollouts)
            paid = self._parts[name]
            if len(self._parts) == len(self.terms):
                self._record()
            return paid

        reward.__name__ = name
        return reward

    def _written(self, completions: list[Any], ids: list[list[int]], columns: dict[str, Any]) -> list[dict[str, Any]]:
        """What this process sampled, without rewards."""
        step = columns["trainer_state"].global_step + 1
        first = self.rank * len(ids)  # all processes sample equally many, in the order of the data
        rows = []
        for i, (completion, tokens) in enumerate(zip(completions, ids, strict=True)):
            stopped = bool(tokens) and tokens[-1] in self.ends
            question, sample = columns["question"][i], (first + i) % self.group
            rows.append(
                {
                    "step": step,
                    "question": question,
                    "sample": sample,
                    "text": completion[0]["content"],
                    "tokens": len(tokens),
                    "length": len(tokens) - stopped,
                    "finish": "stop" if stopped else "length",
                    "choices": list(columns["choices"][i]),
                    "answer": columns["answer"][i],
                    "key": f"{self.seed}/{step}/{question}/{sample}",
                }
            )
        return rows

    def _record(self) -> None:
        for i, row in enumerate(self._rows):
            row["reward"] = sum(term.weight * self._parts[name][i] for name, term in self.terms.items())
            row.update({f"reward_{name}": self._parts[name][i] for name in self.terms})
        gathered = gather_object(self._rows)
        if self.rank == 0:
            for row in gathered:
                self.log.add(row)
        self._parts, self._rows = {}, []
