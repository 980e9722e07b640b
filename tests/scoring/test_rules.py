import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scoring.reading import Reading, Status
from harness.scoring.rules import RULES, answer_tags, lenient, named_option, strict
from harness.study.settings import GenerationRule

COLORS = ("red", "green", "blue")

# completion, finish, what lenient and strict read
CASES = [
    ("<answer> red </answer>", "stop", ("red", "ok"), ("red", "ok")),
    ("I see it . </think> <answer> blue </answer>", "stop", ("blue", "ok"), ("blue", "ok")),
    ("<answer>Red.</answer>", "stop", ("red", "ok"), ("red", "ok")),
    ("<answer>\n GREEN \n</answer> and so on", "stop", ("green", "ok"), ("green", "ok")),
    ("<answer> B </answer>", "stop", ("green", "ok"), ("green", "ok")),
    ("<answer> (c) </answer>", "stop", ("blue", "ok"), ("blue", "ok")),
    ("<answer> (C). </answer>", "stop", ("blue", "ok"), ("blue", "ok")),
    ("red", "stop", ("red", "ok"), (None, "no_tag")),
    ("Red .", "stop", ("red", "ok"), (None, "no_tag")),
    ("(A)", "stop", ("red", "ok"), (None, "no_tag")),
    ("red", "length", ("red", "ok"), (None, "truncated")),
    ("it is red", "stop", (None, "no_tag"), (None, "no_tag")),
    ("it is red", "length", (None, "truncated"), (None, "truncated")),
    ("</think> red", "stop", (None, "no_tag"), (None, "no_tag")),
    ("<answer> red", "stop", (None, "no_tag"), (None, "no_tag")),
    ("<answer> red", "length", (None, "truncated"), (None, "truncated")),
    ("red </answer>", "stop", (None, "no_tag"), (None, "no_tag")),
    ("</answer> red <answer>", "stop", (None, "no_tag"), (None, "no_tag")),
    ("<answer> it is red </answer>", "stop", (None, "no_option"), (None, "no_option")),
    ("<answer> red or blue </answer>", "stop", (None, "no_option"), (None, "no_option")),
    ("<answer> D </answer>", "stop", (None, "no_option"), (None, "no_option")),
    ("<answer> AB </answer>", "stop", (None, "no_option"), (None, "no_option")),
    ("<answer></answer>", "stop", (None, "no_option"), (None, "no_option")),
    ("<answer></answer>", "length", (None, "no_option"), (None, "no_option")),
    ("<answer> red </answer> <answer> blue </answer>", "stop", ("red", "ok"), (None, "ambiguous")),
    ("<answer> red </answer> <answer> red </answer>", "stop", ("red", "ok"), (None, "ambiguous")),
    ("<answer> pink </answer> <answer> red </answer>", "stop", (None, "no_option"), (None, "ambiguous")),
    ("<answer> red </answer> <answer> blue", "stop", ("red", "ok"), ("red", "ok")),
    ("<answer> <answer> red </answer> </answer>", "stop", (None, "no_option"), (None, "no_option")),
    ("<ANSWER> red </ANSWER>", "stop", (None, "no_tag"), (None, "no_tag")),
    ("red <answer> blue </answer>", "stop", ("blue", "ok"), ("blue", "ok")),
    ("", "stop", (None, "empty"), (None, "empty")),
    (" \n\t", "length", (None, "empty"), (None, "empty")),
]


@pytest.mark.parametrize(("text", "finish", "by_lenient", "by_strict"), CASES)
def test_what_the_rules_read(text: str, finish, by_lenient: tuple, by_strict: tuple) -> None:
    assert lenient(text, finish, COLORS) == Reading(*by_lenient)
    assert strict(text, finish, COLORS) == Reading(*by_strict)


OPTIONS = [
    ("3", ("2", "3", "4"), "3"),
    ("3.", ("2", "3", "4"), "3"),
    ("3.5", ("2", "3", "4"), None),
    ("b", ("2", "3", "4"), "3"),
    ("three", ("2", "3", "4"), None),
    ("A", ("b", "a"), "a"),  # an option's text goes before a letter
    ("(A)", ("b", "a"), "b"),
    ("In  Front\nof", ("in front of", "behind"), "in front of"),
    ("c", ("left", "right"), None),
    ("(a", ("left", "right"), "left"),
    ("h", tuple("12345678"), "8"),
    ("i", tuple("12345678"), None),
    ("left.", ("left.", "right."), "left."),
    (".", ("left", "right"), None),
    ("straße", ("STRASSE", "x"), "STRASSE"),
    ("а", ("left", "right"), None),  # a Cyrillic letter
    ("", ("left", "right"), None),
]


@pytest.mark.parametrize(("text", "choices", "expected"), OPTIONS)
def test_how_an_option_is_named(text: str, choices: tuple[str, ...], expected: str | None) -> None:
    assert named_option(text, choices) == expected


HOSTILE = [
    "<answer>" * 12_500,
    "</answer>" * 11_000,
    "<answer></answer>" * 6_000,
    "<answer>" + "<" * 100_000,
    "<answer>" + " " * 100_000 + "</answer>",
    "red " * 25_000,
    "(" * 100_000,
    "<answer>" * 6_000 + "</answer>" * 6_000,
    "\0\ud800" * 1000,
    "<answer>" + "." * 100_000 + "</answer>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_name_nothing(text: str) -> None:
    for rule in (lenient, strict):
        reading = rule(text, "length", COLORS)
        assert reading.extracted is None
        assert reading.status in get_args(Status)


PIECES = st.lists(
    st.sampled_from(["<answer>", "</answer>", "<think>", "</think>", " ", "\n", "red", "B", ".", "<", "x"]), max_size=14
)


@given(PIECES)
def test_tags_are_those_of_the_pattern(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert answer_tags(text) == re.findall("<answer>(.*?)</answer>", text, re.DOTALL)


@given(PIECES, st.sampled_from(["stop", "length"]))
def test_what_strict_accepts_lenient_reads_the_same(pieces: list[str], finish) -> None:
    text = "".join(pieces)
    by_lenient, by_strict = lenient(text, finish, COLORS), strict(text, finish, COLORS)
    for reading in (by_lenient, by_strict):
        assert (reading.status == "ok") == (reading.extracted is not None)
        assert reading.extracted is None or reading.extracted in COLORS
    if by_strict.status == "ok":
        assert by_lenient == by_strict


def test_every_rule_of_the_settings_is_there() -> None:
    assert set(RULES) == set(get_args(GenerationRule))


def test_right_is_what_names_the_answer() -> None:
    assert Reading("red", "ok").correct("red")
    assert not Reading("red", "ok").correct("blue")
    assert not Reading(None, "no_tag").correct("red")
