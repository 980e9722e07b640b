"""Rewards by name: pure functions of what was written and asked."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from harness.scoring.authors import rewarded
from harness.scoring.rules import lenient, strict
from harness.study.training import LengthTerm, RandomTerm, RewardName, RewardTerm


@dataclass(frozen=True)
class Rollout:
    """One sampled completion with what its rewards depend on."""

    text: str
    prefill: str
    """What the prompt already holds of the reply."""
    choices: tuple[str, ...]
    answer: str
    length: int = 0
    """Tokens of the completion without the end token."""
    key: str = ""
    """What the random reward is a function of: "seed/step/question/sample"."""


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


def _accuracy(rollout: Rollout, term: RewardTerm) -> float:
    return float(lenient(rollout.text, "stop", rollout.choices).correct(rollout.answer))


def _accuracy_strict(rollout: Rollout, term: RewardTerm) -> float:
    return float(strict(rollout.text, "stop", rollout.choices).correct(rollout.answer))


def _accuracy_authors(rollout: Rollout, term: RewardTerm) -> float:
    return float(rewarded(rollout.text, rollout.answer))


def _format(rollout: Rollout, term: RewardTerm) -> float:
    return float(well_formed(rollout.text, rollout.prefill))


def _length(rollout: Rollout, term: LengthTerm) -> float:
    paid = rollout.length if term.cap is None else min(rollout.length, term.cap)
    return term.per_token * paid


def _random(rollout: Rollout, term: RandomTerm) -> float:
    digest = hashlib.sha256(rollout.key.encode("utf-8", "surrogatepass")).digest()
    uniform = (int.from_bytes(digest[:8], "big") >> 11) / 2**53  # the 53 bits of a float, so always below 1
    return uniform if term.probability is None else float(uniform < term.probability)


REWARDS: dict[RewardName, tuple[type[RewardTerm], Callable[[Rollout, Any], float]]] = {
    "accuracy": (RewardTerm, _accuracy),
    "accuracy_strict": (RewardTerm, _accuracy_strict),
    "accuracy_authors": (RewardTerm, _accuracy_authors),
    "format": (RewardTerm, _format),
    "length": (LengthTerm, _length),
    "random": (RandomTerm, _random),
}
"""Reward functions by name, each with the type of its parameters."""
assert set(REWARDS) == set(get_args(RewardName))


def pay(name: RewardName, term: RewardTerm, rollouts: Sequence[Rollout]) -> list[float]:
    """What a reward function pays, before its weight.

    Args:
        name: accuracy, accuracy_strict: 1 where the completion names the right option under the rule ``lenient``,
            ``strict``, else 0. accuracy_authors: 1 where the paper's released code pays, else 0 (see
            `harness.scoring.authors.rewarded`). format: 1 where the reply is well formed, else 0. length: so much per
            token up to a cap. random: 1 with a probability, else 0, or uniform in [0, 1): a hash of the rollout's key.
        term: its parameters; the weight is the caller's business.
        rollouts: each is paid by itself, whatever its neighbours.

    Returns:
        One number per rollout, in order.

    Raises:
        TypeError: the term holds another reward's parameters.
    """
    parameters, reward = REWARDS[name]
    if not isinstance(term, parameters):
        raise TypeError(f"reward {name} takes a {parameters.__name__}, not a {type(term).__name__}")
    return [reward(rollout, term) for rollout in rollouts]
