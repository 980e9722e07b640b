import pytest

from harness.scoring.traces import thinking_part, trace_statistics


@pytest.mark.parametrize(
    ("text", "prefill", "thinking"),
    [
        ("look here </think> <answer> red </answer>", "<think>", "look here"),
        ("<think> look here </think> red", "", "look here"),
        ("so <think> look </think>", "", "look"),
        ("look here", "<think>", "look here"),
        ("look <answer> red </answer>", "<think>", "look"),
        ("red", "", "red"),
        ("", "<think>", ""),
        ("</think> <answer> red </answer>", "<think>", ""),
        ("a </think> b </think> c", "<think>", "a"),
    ],
)
def test_the_reasoning_part(text: str, prefill: str, thinking: str) -> None:
    assert thinking_part(text, prefill) == thinking


def test_statistics_of_a_trace() -> None:
    text = "Wait , I should re-check : possibly red red . Aha ! not yet verified </think> <answer> wait </answer>"
    found = trace_statistics(text, "<think>")
    assert found.well_formed
    assert found.thinking_words == 15
    assert found.reflection_markers == 5  # wait, check, possibly, aha, yet; "verified" is another stem
    assert found.distinct_words_share == 14 / 15


def test_statistics_of_nothing() -> None:
    found = trace_statistics("", "<think>")
    assert (found.well_formed, found.thinking_words, found.reflection_markers) == (False, 0, 0)
    assert found.distinct_words_share is None


def test_markers_count_where_a_word_begins() -> None:
    assert trace_statistics("await paycheck impossible aha! Checking, verifying; possibly").reflection_markers == 4
