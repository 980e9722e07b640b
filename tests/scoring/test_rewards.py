import json
import re
import time
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scoring.rewards import REWARDS, Rollout, well_formed
from harness.study.settings import RewardName

AUTHORS = [json.loads(line) for line in (Path(__file__).parent / "authors_format.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", AUTHORS, ids=str)
def test_the_format_reward_is_the_authors(case: dict[str, Any]) -> None:
    """60 completions with the rewards that the paper's released code pays them, for both kinds of start model."""
    for prefill, kind in (("<think>", "base"), ("", "chat")):
        (paid,) = REWARDS["format"]([Rollout(case["completion"], prefill, ("a", "b"), "a")])
        assert paid == case[f"authors_format_reward_{kind}"], kind


def test_the_authors_cases_tell_rewards_apart() -> None:
    outcomes = {(case["authors_format_reward_base"], case["authors_format_reward_chat"]) for case in AUTHORS}
    assert len(outcomes) == 3
    assert len(AUTHORS) == 60


PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "<answer", "think>", " ", "\n", "\v", "x"]),
    max_size=12,
)


@given(PIECES, st.sampled_from(["", "<think>"]))
def test_well_formed_is_the_pattern(pieces: list[str], prefill: str) -> None:
    text = "".join(pieces)
    pattern = r"<think>.*?</think>\s*<answer>.*?</answer>"
    assert well_formed(text, prefill) == bool(re.fullmatch(pattern, prefill + text, re.DOTALL))


FORMED = "<think> look </think> <answer> red </answer>"


@pytest.mark.parametrize("middle", ["", "x", "</think><answer>", "<think>", "</think> x <answer>", "</answer>"])
def test_a_reply_with_something_inside(middle: str) -> None:
    text = f"<think>{middle}</think><answer>{middle}</answer>"
    assert well_formed(text, "")
    assert well_formed(text.removeprefix("<think>"), "<think>")
    assert not well_formed(text + " ", "")
    assert not well_formed("x" + text, "")


HOSTILE = [
    "<think>" + "</think><answer>" * 6_000,
    "<think>" + "</think><answer></answer>" * 4_000 + "x",
    "<think>" * 14_000,
    "<think></think>" + " " * 100_000,
    "<think>" + "</think> " * 11_000 + "</answer>",
    "<think></answer>",
    "<think></think><answer></answer",
    "<think><answer></think></answer>",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:30])
def test_hostile_texts_are_judged_quickly(text: str) -> None:
    began = time.process_time()
    assert not well_formed(text, "")
    assert not well_formed(text, "<think>")
    assert time.process_time() - began < 0.5


def test_accuracy_is_paid_for_the_right_option_alone() -> None:
    texts = ["<answer> red </answer>", "<answer> blue </answer>", "red", "B", "it is red", "", "<answer> x </answer>"]
    rollouts = [Rollout(text, "<think>", ("blue", "red"), "red") for text in texts]
    assert REWARDS["accuracy"](rollouts) == [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]


def test_rewards_do_not_depend_on_their_neighbours() -> None:
    rollouts = [
        Rollout(text, prefill, ("red", "blue"), answer)
        for text in (FORMED, FORMED.removeprefix("<think>"), "red")
        for prefill in ("", "<think>")
        for answer in ("red", "blue")
    ]
    for reward in REWARDS.values():
        assert reward(rollouts) == [reward([each])[0] for each in rollouts]
        assert reward(rollouts[::-1]) == reward(rollouts)[::-1]
        assert set(reward(rollouts)) == {0.0, 1.0}
        assert reward([]) == []


def test_every_reward_of_the_settings_is_there() -> None:
    assert set(REWARDS) == set(get_args(RewardName))
