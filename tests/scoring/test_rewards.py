import re
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scoring.rewards import REWARDS, Rollout, pay, well_formed
from harness.study.training import LengthTerm, RandomTerm, RewardName, RewardTerm

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
def test_hostile_texts_are_not_well_formed(text: str) -> None:
    assert not well_formed(text, "")
    assert not well_formed(text, "<think>")


def test_accuracy_is_paid_for_the_right_option_alone() -> None:
    texts = ["<answer> red </answer>", "<answer> blue </answer>", "red", "B", "it is red", "", "<answer> x </answer>"]
    rollouts = [Rollout(text, "<think>", ("blue", "red"), "red") for text in texts]
    assert pay("accuracy", RewardTerm(), rollouts) == [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]


def test_strict_accuracy_wants_one_tag() -> None:
    texts = ["<answer> red </answer>", "<answer>B</answer>", "red", "<answer>red</answer><answer>red</answer>"]
    rollouts = [Rollout(text, "<think>", ("blue", "red"), "red") for text in texts]
    assert pay("accuracy_strict", RewardTerm(), rollouts) == [1.0, 1.0, 0.0, 0.0]


def test_length_is_paid_per_token_up_to_the_cap() -> None:
    rollouts = [Rollout("wrong", "", ("a", "b"), "a", length) for length in (0, 1, 300, 700)]
    assert pay("length", LengthTerm(), rollouts) == pytest.approx([0.0, 0.001, 0.3, 0.7])
    assert pay("length", LengthTerm(per_token=0.01, cap=300), rollouts) == pytest.approx([0.0, 0.01, 3.0, 3.0])


def keyed(count: int) -> list[Rollout]:
    return [Rollout("red", "", ("red", "blue"), "red", 1, f"0/1/{number}/0") for number in range(count)]


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.5, 1.0])
def test_a_random_reward_comes_as_often_as_it_says(probability: float) -> None:
    paid = pay("random", RandomTerm(probability=probability), keyed(4000))
    assert set(paid) <= {0.0, 1.0}
    assert sum(paid) / 4000 == pytest.approx(probability, abs=0.03)


def test_a_uniform_random_reward_differs_from_rollout_to_rollout() -> None:
    paid = pay("random", RandomTerm(probability=None), keyed(4000))
    assert len(set(paid)) == 4000
    assert all(0 <= each < 1 for each in paid)
    assert [sum(each < edge for each in paid) / 4000 for edge in (0.25, 0.5, 0.75)] == pytest.approx(
        [0.25, 0.5, 0.75], abs=0.03
    )


def test_a_random_reward_knows_nothing_but_its_key() -> None:
    term = RandomTerm(probability=None)
    one, other = Rollout("red", "<think>", ("red", "blue"), "red", 3, "k"), Rollout("", "", (), "blue", 9, "k")
    assert pay("random", term, [one]) == pay("random", term, [other])
    assert pay("random", term, [one]) != pay("random", term, [replace(one, key="l")])


def test_random_numbers_never_change() -> None:
    """They are the first 53 bits of the keys' SHA-256 digests, here by ``sha256sum``."""
    assert pay("random", RandomTerm(probability=None), keyed(2)) == [0.652216625868678, 0.6334049280358889]


TERMS: dict[RewardName, RewardTerm] = {name: parameters() for name, (parameters, _) in REWARDS.items()}


@pytest.mark.parametrize("name", get_args(RewardName))
def test_rewards_do_not_depend_on_their_neighbours(name: RewardName) -> None:
    rollouts = [
        Rollout(text, prefill, ("red", "blue"), answer, len(text), f"{text}/{prefill}/{answer}")
        for text in (FORMED, FORMED.removeprefix("<think>"), "red", "by 30", "$\\frac{60}{2}$")
        for prefill in ("", "<think>")
        for answer in ("red", "blue", "turned by 30 degrees")
    ]
    paid = pay(name, TERMS[name], rollouts)
    assert paid == [pay(name, TERMS[name], [each])[0] for each in rollouts]
    assert paid[::-1] == pay(name, TERMS[name], rollouts[::-1])
    assert len(set(paid)) > 1
    assert pay(name, TERMS[name], []) == []


@given(
    st.lists(st.text(st.characters(exclude_categories=())) | PIECES.map("".join), max_size=3),
    st.text(st.characters(exclude_categories=()), max_size=10),
)
def test_no_text_makes_a_reward_raise(texts: list[str], answer: str) -> None:
    rollouts = [Rollout(text, "<think>", (answer, "b"), answer, len(text), text) for text in texts]
    for name, term in TERMS.items():
        assert len(pay(name, term, rollouts)) == len(texts)


def test_a_term_of_another_reward_is_refused() -> None:
    with pytest.raises(TypeError, match="reward length takes a LengthTerm, not a RewardTerm"):
        pay("length", RewardTerm(), [])
