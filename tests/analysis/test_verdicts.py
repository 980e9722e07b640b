"""What intervals decide, on its own and about claims; families of tests and their adjustment."""

import pytest
from scipy import stats
from small_study import draw, percent, small, with_contrasts
from statsmodels.stats.multitest import multipletests

from analysis import contrast, contrasts, declare
from analysis.statistics import MeanInterval
from analysis.verdicts import Verdict, decide, judge, lies_beyond

VALUES = draw(3, a=(4, 0.8), b=(3, 0.45), c=(4, 0.6), d=(5, 0.5), base=(0, 0.3), tuned=(0, 0.55))


def interval(mean: float, error: float | None, df: float = 10.0) -> MeanInterval:
    if error is None:
        return MeanInterval(mean, 1, None, None, None, None, None)
    p = 2 * stats.t.sf(abs(mean) / error, df) if error else None
    return MeanInterval(mean, 11, error * 11**0.5, error, df, stats.t.ppf(0.975, df) * error, p)


WIDE, NARROW = stats.t.ppf(0.975, 10), stats.t.ppf(0.95, 10)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("margin", [None, 1.9, 5.0, 30.0])
@pytest.mark.parametrize("mean", [0.0, 0.5, 1.9, 2.1, 2.3, 5.0, 20.0])
def test_the_95_interval_decides_direction_and_the_90_one_equivalence(sign: int, mean: float, margin) -> None:
    """Error 1: every combination of direction and equivalence occurs."""
    found = decide(interval(sign * mean, 1.0), margin, 0.05, "method", True)
    p_zero = 2 * stats.t.sf(mean, 10)
    direction = None if p_zero >= 0.05 else "higher" if sign > 0 else "lower"
    equivalent = margin is not None and stats.t.sf(margin - mean, 10) < 0.05  # the larger of two one-sided tests
    assert (found.direction, found.equivalent) == (direction, equivalent)
    assert found.decided == (direction is not None or equivalent)
    expected = "equivalent within the margin" if equivalent else "inconclusive"
    if direction:
        expected = f"{direction}, below the margin" if equivalent else direction
    assert found.name == expected
    assert "significant" not in found.name


def test_all_four_names_occur_and_the_ends_belong_to_the_open_side() -> None:
    names = [
        decide(interval(mean, 1.0), margin, 0.05, "method", True).name
        for mean, margin in ((5.0, None), (5.0, 30.0), (0.0, 5.0), (0.0, 1.0))
    ]
    assert names == ["higher", "higher, below the margin", "equivalent within the margin", "inconclusive"]
    # an interval that just touches 0 leaves it in, one that just touches the margin isn't within
    touching = MeanInterval(2.0, 11, 1.0, 2.0 / WIDE, 10.0, 2.0, 0.05)
    assert touching.at(0.95).low == pytest.approx(0.0, abs=1e-12)
    assert decide(interval(WIDE - 1e-9, 1.0), None, 0.05, "method", True).direction is None
    assert decide(interval(WIDE + 1e-9, 1.0), None, 0.05, "method", True).direction == "higher"
    assert not decide(interval(0.0, 1.0), NARROW - 1e-9, 0.05, "method", True).equivalent
    assert decide(interval(0.0, 1.0), NARROW + 1e-9, 0.05, "method", True).equivalent


def test_exact_zero_and_exact_margin_decide_nothing() -> None:
    """Ends that are exactly 0 or the margin, without rounding in the way."""
    at_zero = MeanInterval(1.0, 2, 1.0, 1.0, None, 1.0, None)
    assert decide(at_zero, None, 0.05, "method", True) == Verdict(None, False)
    below = MeanInterval(-1.0, 2, 1.0, 1.0, None, 1.0, None)
    assert decide(below, None, 0.05, "method", True) == Verdict(None, False)
    for side in (at_zero, below):
        assert not decide(side, 2.0, 0.05, "method", True).equivalent
        assert decide(side, 2.5, 0.05, "method", True).equivalent


def test_alpha_moves_both_intervals() -> None:
    assert decide(interval(2.5, 1.0), None, 0.05, "method", True).direction == "higher"
    assert decide(interval(2.5, 1.0), None, 0.01, "method", True).direction is None
    assert decide(interval(0.0, 1.0), 2.0, 0.05, "method", True).equivalent
    assert not decide(interval(0.0, 1.0), 2.0, 0.01, "method", True).equivalent


@pytest.mark.parametrize(
    ("given", "population", "seeds", "reason", "told"),
    [
        (None, "none", True, "no run of a is there", "no run of a is there"),
        (interval(5.0, None), "none", True, "one seed of a shows no spread", "one seed of a shows no spread"),
        (None, "none", True, "", "no interval"),
        (interval(50.0, 1.0), "checkpoints", True, "", "one seed gives no interval over methods"),
        (interval(50.0, 0.0), "method", True, "", "the runs show no spread at all, so the interval has no width"),
    ],
)
def test_without_a_usable_interval_nothing_is_decided_and_the_reason_stands(
    given: MeanInterval | None, population, seeds: bool, reason: str, told: str
) -> None:
    found = decide(given, 100.0, 0.05, population, seeds, reason)
    assert (found.name, found.reason, found.decided) == ("inconclusive", told, False)


def test_two_arms_without_seeds_are_decided_over_questions() -> None:
    assert decide(interval(50.0, 1.0), None, 0.05, "checkpoints", False).name == "higher"


JUDGED = {
    # direction of the claim: verdict's direction, equivalent, beyond
    ("higher", "higher", False): "supported",
    ("higher", "higher", True): "supported, below the margin",
    ("higher", "lower", False): "contradicted",
    ("higher", "lower", True): "contradicted, below the margin",
    ("higher", None, True): "equivalent within the margin",
    ("higher", None, False): "inconclusive",
    ("lower", "lower", False): "supported",
    ("lower", "lower", True): "supported, below the margin",
    ("lower", "higher", False): "contradicted",
    ("lower", "higher", True): "contradicted, below the margin",
    ("lower", None, True): "equivalent within the margin",
    ("lower", None, False): "inconclusive",
    ("equal", None, True): "supported",
    ("equal", "higher", True): "supported, below the margin",
    ("equal", "lower", True): "supported, below the margin",
    ("equal", None, False): "inconclusive",
}


@pytest.mark.parametrize("beyond", [False, True])
@pytest.mark.parametrize(("case", "expected"), JUDGED.items())
def test_what_a_verdict_says_of_a_claim(case, expected: str, beyond: bool) -> None:
    claim, direction, equivalent = case
    assert judge(claim, Verdict(direction, equivalent), beyond) == expected


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_equality_is_contradicted_only_by_an_interval_that_lies_beyond_the_margin(direction) -> None:
    assert judge("equal", Verdict(direction, False), True) == "contradicted"
    assert judge("equal", Verdict(direction, False), False) == "inconclusive"


@pytest.mark.parametrize(
    ("mean", "half", "margin", "expected"),
    [
        (5.0, 2.0, 2.0, True),
        (5.0, 3.0, 2.0, False),  # touches the margin
        (5.0, 4.0, 2.0, False),  # leaves 0 out, not the margin
        (5.0, 4.0, None, True),
        (-5.0, 2.0, 2.0, True),
        (-5.0, 3.0, 2.0, False),
        (0.0, 1.0, None, False),
    ],
)
def test_an_interval_lies_beyond_as_a_whole(mean: float, half: float, margin: float | None, expected: bool) -> None:
    for sign in (1, -1):
        assert lies_beyond(MeanInterval(sign * mean, 2, 1.0, 1.0, None, half, None), margin) == expected
    assert not lies_beyond(interval(5.0, None), margin)
    assert not lies_beyond(None, margin)


PAIRS = (("a", "b", "main"), ("c", "b", "main"), ("a", "base", "main"), ("c", "d", "other"), ("a", "d", "other"))
PAIRS = (*PAIRS, ("a", "c", None), ("b", "d", None), ("c", "base", None), ("b", "base", None))


def test_holm_within_a_family_and_benjamini_hochberg_outside() -> None:
    declared = [{"a": a, "b": b, "family": family, "name": f"{a}{b}"} for a, b, family in PAIRS]
    results = contrasts(with_contrasts(small(VALUES), *declared), draws=0)
    for family, method in (("main", "holm"), ("other", "holm"), (None, "fdr_bh")):
        mine = [result for result in results if result.family == family]
        raw = [result.interval.p for result in mine]
        assert [result.p_adjusted for result in mine] == pytest.approx(multipletests(raw, method=method)[1])
        words = "Benjamini-Hochberg" if family is None else "Holm"
        assert {result.adjustment for result in mine} == {f"{words}, {len(mine)}"}
        for result in mine:
            assert result.direction_survives == (result.p_adjusted <= 0.05)
    welch = stats.ttest_ind(percent(VALUES["a"]), percent(VALUES["b"]), equal_var=False)
    assert results[0].interval.p == pytest.approx(welch.pvalue)


@pytest.mark.parametrize("family", ["main", None])
def test_a_contrast_without_a_p_value_still_counts_among_the_tests(family: str | None) -> None:
    values = VALUES | {"lone": {0: VALUES["a"][0]}, "gone": {}}
    declared = [{"a": "a", "b": "b"}, {"a": "c", "b": "b"}, {"a": "lone", "b": "b"}]
    tables = with_contrasts(small(values), *({"family": family} | each for each in declared))
    first, second, lone = contrasts(tables, draws=0)
    assert lone.interval.p is None
    assert lone.p_adjusted is None
    method = "holm" if family else "fdr_bh"
    expected = multipletests([first.interval.p, second.interval.p, 1.0], method=method)[1]
    assert [first.p_adjusted, second.p_adjusted] == pytest.approx(expected[:2])
    assert first.adjustment.endswith(", 3")


def test_a_lone_contrast_is_not_adjusted_until_it_is_among_others() -> None:
    tables = small(VALUES)
    result = contrast(tables, declare(tables, "a", "b"), draws=0)
    assert result.p_adjusted is None


def test_a_direction_that_the_family_does_not_leave_is_said_to_hold_alone() -> None:
    """One test at p = 0.03 among 9 that show nothing."""
    values = draw(11, a=(3, 0.72), b=(3, 0.45))
    declared = [{"a": "a", "b": "b", "family": "f", "name": str(i)} for i in range(9)]
    result = contrasts(with_contrasts(small(values), *declared), draws=0)[0]
    assert result.interval.p < 0.05
    assert result.p_adjusted == pytest.approx(min(1.0, 9 * result.interval.p))
    assert result.verdict.direction == "higher"
    assert not result.survives
    assert "After adjustment (Holm, 9 tests) that does not hold." in result.sentence
