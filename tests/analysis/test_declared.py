"""What a contrast may declare, and what is answered to what means nothing."""

from pathlib import Path
from typing import Any

import pytest

from analysis import contrast, declare, load
from analysis.collected import Tables


@pytest.fixture(scope="module")
def tables(collected: Path) -> Tables:
    return load(collected)


def test_a_contrast_is_two_arms_and_the_rest_is_filled_in(tables: Tables) -> None:
    found = declare(tables, "base+grpo", "base+sft", pairing="seed", margin=2.0)
    assert found["name"] == "base+grpo-vs-base+sft"
    assert found["a"] == {"arm": "base+grpo", "protocol": "base-think", "rule": "lenient", "step": None}
    assert found["b"]["protocol"] == "instruct-direct"
    assert (found["alpha"], found["checkpoint"], found["exclusions"]) == (0.05, "last", ["failed_checks"])
    assert declare(tables, "base", "instruct", metric="tokens")["a"]["rule"] is None
    plain = {"name": "plain", "a": "base+grpo", "b": "base"}
    assert contrast(tables, plain, draws=0).interval == contrast(tables, declare(tables, **plain), draws=0).interval


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"pairing": "seeds"}, "pairing: 'seeds'; one of none, seed"),
        ({"checkpoint": "best"}, "checkpoint: 'best'; one of last, best_half, mean_last"),
        ({"metric": "acc"}, "metric: 'acc'; one of accuracy, well_formed, tokens"),
        ({"exclusions": ["failed_check"]}, "exclusions: 'failed_check'; one of failed_checks"),
        ({"exclusions": "failed_checks"}, "exclusions: 'failed_checks'; a list of failed_checks"),
        ({"margin": "2"}, "margin: '2'; a number"),
        ({"margin": -1.0}, "margin: -1.0; a number above 0, or None"),
        ({"alpha": 5}, "alpha: 5; above 0 and below 0.5"),
        ({"alpha": 0.6}, "alpha: 0.6; above 0"),
        ({"last_k": 0}, "last_k: 0; 1 or more"),
        ({"last_k": 1.5}, "last_k: 1.5; a whole number"),
        ({"alpha": None}, "alpha: None; a number"),
        ({"margin": float("inf")}, "margin: inf; a number above 0"),  # all would be equivalent
        ({"margins": 1.0}, "margins: 1.0; no such field, there are name, a, b"),
        ({"minus": {"a": "base"}}, "minus: {'a': 'base'}; a mapping of a and b"),
        ({"minus": {"a": "base", "b": "bass"}}, "minus.b.arm: 'bass'; one of base, base\\+sft"),
        ({"a": "bass"}, "a.arm: 'bass'; one of base"),
        ({"a": {"arm": "base", "rul": "lenient"}}, "no field 'rul', there are arm, protocol, rule, step"),
        ({"a": {"arm": "base", "protocol": "z"}}, "a.protocol: 'z'; one of base-think"),
        ({"b": {"arm": "base", "rule": "harsh"}}, "b.rule: 'harsh'; one of lenient, strict, which read base-think"),
    ],
)
def test_what_means_nothing_is_answered_with_what_does(tables: Tables, fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        declare(tables, **{"a": "base+grpo", "b": "base", **fields})
