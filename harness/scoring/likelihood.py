"""Scoring rules for protocols that ask for the options' likelihood instead of a completion.

``likelihood``
    the option whose tokens have the largest summed log-likelihood.
``likelihood_per_token``
    the largest mean over its tokens, so that long options are not at a disadvantage.
"""

from collections.abc import Callable, Sequence
from typing import get_args

from harness.scoring.reading import Reading
from harness.study.settings import OptionRule


def likelihood(logprobs: Sequence[float], tokens: Sequence[int], choices: Sequence[str]) -> Reading:
    """The likeliest option; ``ambiguous`` where several are equally likely.

    Args:
        logprobs: summed log-likelihood of each option, shape (options,).
        tokens: number of tokens of each, shape (options,).
        choices: option texts in order.
    """
    best = max(logprobs)
    found = [choice for choice, logprob in zip(choices, logprobs, strict=True) if logprob == best]
    return Reading(found[0], "ok") if len(found) == 1 else Reading(None, "ambiguous")


def likelihood_per_token(logprobs: Sequence[float], tokens: Sequence[int], choices: Sequence[str]) -> Reading:
    """As `likelihood`, each option's log-likelihood divided by its number of tokens."""
    means = [logprob / count for logprob, count in zip(logprobs, tokens, strict=True)]
    return likelihood(means, tokens, choices)


OPTION_RULES: dict[OptionRule, Callable[[Sequence[float], Sequence[int], Sequence[str]], Reading]] = {
    "likelihood": likelihood,
    "likelihood_per_token": likelihood_per_token,
}
assert set(OPTION_RULES) == set(get_args(OptionRule))
