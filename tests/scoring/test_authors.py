"""The paper's released scoring: 120 of the completions that its own functions were run on, and what they rest on."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from math_verify import parse

from harness.data.question import LETTERS
from harness.scoring.authors import authors, first_line_tag, first_trimmed_tag, rewarded
from harness.scoring.math_client import may_hold_mathematics
from harness.scoring.reading import Reading
from harness.scoring.rewards import Rollout, pay
from harness.study.training import RewardTerm

CASES = [json.loads(line) for line in (Path(__file__).parent / "authors_scoring.jsonl").read_text().splitlines()]
EVALUATED = [case["cvbench"] for case in CASES]
TRAINED = [case["sat"] for case in CASES]


@pytest.mark.parametrize("case", EVALUATED, ids=lambda case: case["completion"][-40:])
def test_the_rule_is_the_released_evaluation(case: dict[str, Any]) -> None:
    text, choices = case["completion"], case["choices"]
    reading = authors(text, "stop", choices)
    assert reading.correct(choices[LETTERS.index(case["answer"][1])]) == case["authors_correct"]
    assert (first_trimmed_tag(text) or text) == case["authors_extracted"]


@pytest.mark.parametrize("case", TRAINED, ids=lambda case: case["completion"][-40:])
@pytest.mark.parametrize(("prefill", "form"), [("<think>", "base"), ("", "chat")])
def test_the_rewards_are_the_released_ones(case: dict[str, Any], prefill: str, form: str) -> None:
    rollouts = [Rollout(case["completion"], prefill, (case["correct_answer"], "other"), case["correct_answer"])]
    assert pay("accuracy_authors", RewardTerm(), rollouts) == [case[f"authors_accuracy_reward_{form}"]]
    assert pay("format", RewardTerm(), rollouts) == [case[f"authors_format_reward_{form}"]]


def test_the_cases_hold_every_outcome() -> None:
    assert len(CASES) == 120
    kinds = Counter((case["authors_correct"], case["authors_extracted"] == case["completion"]) for case in EVALUATED)
    assert min(kinds.values()) >= 10
    assert len(kinds) == 4
    paid = Counter(
        tuple(case[f"authors_{what}_reward_{form}"] for what in ("accuracy", "format") for form in ("base", "chat"))
        for case in TRAINED
    )
    assert set(paid) == {
        (accuracy, accuracy, base, chat)
        for accuracy in (0.0, 1.0)
        for base, chat in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
    }


CHOICES = ("desk", "sofa", "3")

READINGS = [
    ("I see a desk.", "desk", "ok"),
    ("There is a dog.", "desk", "ok"),  # the article is option A
    ("Desk", None, "no_tag"),
    ("[B]", None, "no_tag"),
    ("three", None, "no_tag"),
    ("G", None, "no_tag"),
    ("**B**", "sofa", "ok"),
    ("(b)", "sofa", "ok"),
    ("<answer>B</answer>", "sofa", "ok"),
    ("<answer>SOFA</answer>", None, "no_option"),
    ("<answer>\n sofa\n</answer> A", "sofa", "ok"),
    ("<answer>so\nfa</answer>", None, "no_tag"),  # a tag of several lines is none
    ("<answer></answer> sofa", "sofa", "ok"),  # nor is an empty one
    ("<answer> </answer>", None, "no_tag"),
    ("<answer>D</answer><answer>B</answer>", None, "no_option"),
    ("\\boxed{3}", "3", "ok"),
    ("C) 3", "3", "ok"),
    ("the final answer is B", "sofa", "ok"),
    ("$\\foo{$ b", "sofa", "ok"),  # what is no formula is skipped
    ("", None, "empty"),
    (" \n", None, "empty"),
]


@pytest.mark.parametrize(("text", "extracted", "status"), READINGS)
def test_what_the_rule_reads(text: str, extracted: str | None, status: Any) -> None:
    assert authors(text, "stop", CHOICES) == Reading(extracted, status)


def test_a_reply_cut_off_before_its_answer_is_truncated() -> None:
    assert authors("The sofa and", "length", ("desk", "bed")).status == "truncated"
    assert authors("<answer>bath</answer>", "length", ("desk", "bed")).status == "no_option"


def test_a_text_that_is_also_a_letter_names_two_options() -> None:
    reading = authors("a", "stop", ("b", "a"))
    assert reading == Reading(None, "ambiguous", ("b", "a"))
    assert reading.correct("a")
    assert reading.correct("b")
    assert not reading.correct("c")


PAID = [
    ("left", "left", True),
    ("left", " left\n", True),
    ("left", "Left", False),
    ("left", "left.", False),
    ("left", "it is left", False),
    ("left", "so <answer> left </answer> I think", True),
    ("left", "<answer>right</answer><answer>left</answer>", False),
    ("left", "<answer>right\n</answer><answer>left</answer>", True),
    ("left", "<answer>right\n<answer>left</answer>", True),
    ("left", "<answer>left\n</answer>", False),
    ("B", "[B]", True),
    ("B", "A or (B)", True),
    ("A", "A or (B)", False),
    ("B", "A B", False),  # the blank between them belongs to A
    ("B", "B.", False),
    ("B", "<answer>(B)</answer> A", True),
    ("I", "(I)", False),
    ("3", "3", True),
    ("3", "The answer is 3", False),  # math-verify sees no number in <answer>3</answer>
    ("3", "\\boxed{3}", False),
    ("3 cm", "3", False),
    ("turned by 30 degrees", "TURNED BY 30 DEGREES", True),  # but one in <answer>turned by 30 degrees</answer>
    ("turned by 30 degrees", "It moved 30.0 degrees", True),
    ("turned by 30 degrees", "\\boxed{30}", True),
    ("turned by 30 degrees", "$\\frac{60}{2}$", True),
    ("turned by 30 degrees", "15 + 15 = 30", True),
    ("turned by 30 degrees", "29 or 30", True),
    ("turned by 30 degrees", "30 or 29", False),
    ("turned by 30 degrees", "31", False),
    ("turned by 30 degrees", "thirty", False),
]


@pytest.mark.parametrize(("answer", "text", "paid"), PAID)
def test_what_the_reward_pays_for(answer: str, text: str, paid: bool) -> None:
    assert rewarded(text, answer) == paid


TAGS = st.lists(
    st.sampled_from(["<answer>", "</answer>", "<answer", "answer>", " ", "\n", "\t", "\u3000", "\r", "a", "b c"]),
    max_size=14,
).map("".join)


@given(TAGS)
def test_tags_are_those_of_the_released_patterns(text: str) -> None:
    trimmed = re.search(r"<answer>\s*(.*?)\s*</answer>", text)
    line = re.search(r"<answer>(.*?)</answer>", text)
    assert first_trimmed_tag(text) == (trimmed and trimmed[1])
    assert first_line_tag(text) == (line and line[1])


PROSE = st.lists(
    st.sampled_from(["final", "answer", "is", ":", "boxed", "{", "}", "(", ")", "]", "x", "=", "+", "\n", "½", "¹"])
    | st.characters(exclude_characters="$\\[", exclude_categories=["Nd"]),
    max_size=20,
).map(" ".join)


@given(PROSE)
def test_math_verify_finds_nothing_in_what_is_kept_from_it(text: str) -> None:
    assert not may_hold_mathematics(text)
    assert parse(text, parsing_timeout=0) == []


@given(st.text(st.characters(exclude_categories=())), st.lists(st.text(max_size=5), min_size=2, max_size=9))
def test_the_rule_never_raises(text: str, choices: list[str]) -> None:
    reading = authors(text, "stop", choices)
    assert set(reading.accepted) <= set(choices)
    assert (reading.status == "ok") == (reading.extracted is not None)
