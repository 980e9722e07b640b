"""Rewards by name: batched pure functions of what was written and asked."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from harness.scoring.rules import lenient
from harness.study.settings import RewardName


@dataclass(frozen=True)
class Rollout:
    """One sampled completion with what its rewards depend on."""

    text: str
    prefill: str
    """What the prompt already holds of the reply."""
    choices: tuple[str, ...]
    answer: str


_OPENING, _CLOSING = "<think>", "</answer>"
_TURN = re.compile(r"</think>\s*<answer>")


def well_formed(text: str, prefill: str) -> bool:
    """Whether the reply, prefill included, is ``<think> ... </think> <answer> ... </answer>`` and nothing else.

    The paper's released format reward: the whole reply, white space at its ends too, matches
    ``<think>.*?</think>\\s*<answer>.*?</answer>``. Looked for piece by piece, in linear time on any text.
    """
    reply = prefill + text
    if not (reply.startswith(_OPENING) and reply.endswith(_CLOSING)):
        return False
    return _TURN.search(reply, len(_OPENING), len(reply) - len(_CLOSING)) is not None


def accuracy(rollouts: Sequence[Rollout]) -> list[float]:
    """1 where the completion names the right option under the lenient rule, else 0."""
    return [float(lenient(each.text, "stop", each.choices).extracted == each.answer) for each in rollouts]


def format_reward(rollouts: Sequence[Rollout]) -> list[float]:
    """1 where the reply is well formed, else 0."""
    return [float(well_formed(each.text, each.prefill)) for each in rollouts]


REWARDS: dict[RewardName, Callable[[Sequence[Rollout]], list[float]]] = {
    "accuracy": accuracy,
    "format": format_reward,
}
assert set(REWARDS) == set(get_args(RewardName))
