"""The audit's statistics: literal definitions, scipy and statsmodels, seeded simulations."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep

from analysis.audit.chance import ALPHA, below_chance_p, questions_for_below_chance
from analysis.audit.differences import (
    CRITICAL,
    SMALLEST,
    Decision,
    Difference,
    critical_discordance,
    hiding_seed_sd,
)
from analysis.audit.repeats import Reproduction, pooled_sd
from analysis.audit.rows import Score
from analysis.statistics import holm


def score(percent: float | str, n: int | None, source: str = "S") -> Score:
    return Score(source, "T", "c", ("base", "grpo", "none", "plain"), "B", "x", str(percent), n)


def difference(right_a: int, right_b: int, n: int) -> Difference:
    # repr of a float is exact enough to give the count back
    return Difference(score(repr(100 * right_a / n), n), score(repr(100 * right_b / n), n))


# ---- chance


def test_chance_by_its_definition() -> None:
    # at most 1 of 4 right, each with 1/3
    expected = (2 / 3) ** 4 + 4 * (1 / 3) * (2 / 3) ** 3
    assert below_chance_p(1, 4, 1 / 3) == pytest.approx(expected, rel=1e-12)


@given(n=st.integers(1, 500), share=st.floats(0, 1), chance=st.sampled_from([0.2, 0.25, 0.5]))
@settings(max_examples=50)
def test_chance_against_scipy(n: int, share: float, chance: float) -> None:
    count = round(share * n)
    expected = scipy.stats.binomtest(count, n, chance, alternative="less").pvalue
    assert below_chance_p(count, n, chance) == pytest.approx(expected, rel=1e-9)


def test_guessers_are_seldom_found_below_chance() -> None:
    """40 honest guessers on 300 questions: any finding at all in at most 5 % of the papers."""
    rng = np.random.default_rng(5)
    counts = rng.binomial(300, 0.5, size=(4000, 40))
    p = scipy.stats.binom.cdf(counts, 300, 0.5)
    # Holm's first step decides whether any is rejected
    assert holm([float(one) for one in p[0]])[int(p[0].argmin())] == pytest.approx(min(1.0, 40 * p[0].min()))
    found = (p.min(axis=1) * 40 < ALPHA).mean()
    assert 0.02 < found < 0.055  # exact tests of counts are on the safe side


@pytest.mark.parametrize(("percent", "least"), [(0.0, 5), (35.8, 42), (49.0, 6951)])
def test_questions_for_below_chance(percent: float, least: int) -> None:
    found = questions_for_below_chance(percent, 0.5)
    assert found is not None
    p = [scipy.stats.binom.cdf(math.floor(n * percent / 100 + 0.5), n, 0.5) for n in range(found - 1, found + 200)]
    assert p[0] >= ALPHA
    assert max(p[1:]) < ALPHA
    assert found == least


def test_no_number_of_questions_makes_chance_less_than_chance() -> None:
    assert questions_for_below_chance(50.0, 0.5) is None


# ---- differences


def test_the_papers_own_difference() -> None:
    one = Difference(score("59.47", 2638), score("57.84", 2638))
    error = 100 * math.sqrt(0.5947 * 0.4053 / 2638 + 0.5784 * 0.4216 / 2638)
    assert one.points == pytest.approx(1.63)
    assert one.standard_error == pytest.approx(error, rel=1e-12)
    assert round(error, 2) == 1.36
    assert round(one.points / error, 1) == 1.2
    assert one.critical_discordance == pytest.approx(0.0163**2 * (2638 / 1.959964**2 + 1), rel=1e-6)
    assert one.feasible == pytest.approx((0.0163, 0.8269))
    assert one.decision is Decision.UNDECIDABLE
    assert one.hiding_seed_sd == 0.0


@pytest.mark.parametrize(("a", "b", "n_a", "n_b"), [(13, 4, 20, 20), (600, 580, 1000, 1000), (30, 80, 50, 200)])
def test_unpaired_interval_against_statsmodels(a: int, b: int, n_a: int, n_b: int) -> None:
    one = Difference(score(repr(100 * a / n_a), n_a), score(repr(100 * b / n_b), n_b))
    low, high = confint_proportions_2indep(a, n_a, b, n_b, method="wald", compare="diff")
    assert (one.low, one.high) == pytest.approx((100 * low, 100 * high), rel=1e-9)


@given(n=st.integers(5, 60), data=st.data())
@settings(max_examples=200)
def test_the_decision_is_what_every_possible_pairing_says(n: int, data: st.DataObject) -> None:
    """All 2 x 2 tables with the two totals: is the paired interval off zero in all, in none, or in some?"""
    right_a, right_b = data.draw(st.integers(0, n)), data.draw(st.integers(0, n))
    one = difference(right_a, right_b, n)
    d = (right_a - right_b) / n
    off, close = set(), False
    for both in range(max(0, right_a + right_b - n), min(right_a, right_b) + 1):
        a_only, b_only = right_a - both, right_b - both
        # literal: standard error of the mean of n differences of -1, 0 and 1
        differences = np.repeat([1.0, -1.0, 0.0], [a_only, b_only, n - a_only - b_only])
        error = differences.std() / math.sqrt(n)
        gap = abs(d) - CRITICAL * error
        if abs(gap) < 1e-9:  # rounding decides
            close = True
            continue
        off.add(gap > 0)
        discordance = (a_only + b_only) / n
        low, high = one.feasible
        assert low - 1e-9 <= discordance <= high + 1e-9
        critical = one.critical_discordance
        assert critical is not None
        assert (discordance < critical) == (gap > 0)
    if not close:
        expected = {frozenset({True}): Decision.OUTSIDE, frozenset({False}): Decision.INSIDE}
        assert one.decision is expected.get(frozenset(off), Decision.UNDECIDABLE)


def test_the_ends_of_the_discordance_are_reached() -> None:
    one = difference(7, 4, 10)
    assert one.feasible == pytest.approx((0.3, 0.9))  # 3 + 0, and 6 + 3 of 10


def test_paired_test_at_the_critical_discordance_against_statsmodels() -> None:
    """Just below it McNemar's test (its normal form) rejects, just above it doesn't, for a small difference."""
    n, d = 100_000, 600
    critical = critical_discordance(d / n, n) * n
    for discordant, rejected in ((critical - 30, True), (critical + 30, False)):
        b = round((discordant + d) / 2)
        c = b - d
        p = mcnemar([[40_000, b], [c, n - 40_000 - b - c]], exact=False, correction=False).pvalue
        # McNemar's variance under the null has D where the interval has D - d²
        assert (p < 0.05) == rejected


def test_questions_to_be_outside_is_the_first_number_that_does() -> None:
    for a, b in (("62.32", "35.80"), ("55.00", "52.00"), ("51.0", "50.0")):
        least = Difference(score(a, None), score(b, None)).questions_to_be_outside
        assert least > SMALLEST
        assert Difference(score(a, least), score(b, least)).decision is Decision.OUTSIDE
        assert Difference(score(a, least - 1), score(b, least - 1)).decision is not Decision.OUTSIDE
    assert Difference(score("62.32", None), score("0.0", None)).questions_to_be_outside == SMALLEST
    assert Difference(score("50", None), score("50", None)).questions_to_be_outside == 0


def test_all_right_all_wrong_and_equal() -> None:
    full = difference(50, 0, 50)
    assert (full.standard_error, full.z, full.decision) == (0.0, None, Decision.OUTSIDE)
    same = difference(50, 50, 50)
    assert (same.points, same.z, same.decision) == (0.0, None, Decision.INSIDE)
    assert difference(25, 25, 50).decision is Decision.INSIDE


def test_different_numbers_of_questions_are_not_paired() -> None:
    near = Difference(score("60.0", 100), score("55.0", 200))
    far = Difference(score("90.0", 100), score("55.0", 200))
    assert near.critical_discordance is None
    assert near.decision is Decision.INSIDE
    assert far.decision is Decision.OUTSIDE
    assert Difference(score("60.0", None), score("55.0", 200)).decision is Decision.UNKNOWN


def test_unpaired_interval_covers() -> None:
    """Two checkpoints of known shares on 788 independent questions each: 95 % of the intervals hold the difference."""
    rng = np.random.default_rng(11)
    a, b = rng.binomial(788, 0.6, 4000) / 788, rng.binomial(788, 0.55, 4000) / 788
    error = np.sqrt(a * (1 - a) / 788 + b * (1 - b) / 788)
    # the code under test on the first, the same arithmetic on all
    one = Difference(score(float(100 * a[0]), 788), score(float(100 * b[0]), 788))
    assert one.standard_error == pytest.approx(100 * error[0], rel=1e-9)
    covered = (np.abs(a - b - 0.05) <= CRITICAL * error).mean()
    assert 0.94 < covered < 0.96


# ---- what single runs can tell


def test_hiding_seed_sd_by_its_definition() -> None:
    found = hiding_seed_sd(4.77, 1.31)
    assert CRITICAL * math.sqrt(1.31**2 + 2 * found**2) == pytest.approx(4.77, rel=1e-12)
    assert hiding_seed_sd(-4.77, 1.31) == found
    assert hiding_seed_sd(2.0, 1.31) == 0.0


def test_at_the_hiding_seed_sd_equal_methods_differ_as_much_in_one_of_twenty_pairs() -> None:
    n, points, share = 2638, 5.0, 0.6
    error = 100 * math.sqrt(2 * share * (1 - share) / n)
    sd = hiding_seed_sd(points, error)
    rng = np.random.default_rng(3)
    # two runs of one method: their true scores differ by seed, their printed ones by questions too
    truth = share + rng.normal(0, sd / 100, size=(40_000, 2))
    printed = 100 * rng.binomial(n, truth) / n
    assert (np.abs(printed[:, 0] - printed[:, 1]) >= points).mean() == pytest.approx(0.05, abs=0.005)


# ---- reproductions


def reproduction(*percents: str, n: int | None = 1000) -> Reproduction:
    scores = tuple(score(percent, n, source=f"S{place}") for place, percent in enumerate(percents))
    return Reproduction(scores[0].settings, "B", "x", scores)


def test_spread_of_reproductions() -> None:
    one = reproduction("66.03", "63.57", "70.36", n=2638)
    assert one.range == pytest.approx(6.79)
    assert one.sd == pytest.approx(np.std([66.03, 63.57, 70.36], ddof=1))
    share = np.mean([0.6603, 0.6357, 0.7036])
    assert one.binomial_error == pytest.approx(100 * math.sqrt(share * (1 - share) / 2638))
    assert reproduction("60.0", "61.0", n=None).binomial_error is None


def test_pooled_sd_is_the_within_mean_square() -> None:
    groups = [("66.03", "63.57", "70.36"), ("59.47", "58.4")]
    found = pooled_sd(reproduction(*group) for group in groups)
    values = [np.array([float(text) for text in group]) for group in groups]
    squares = sum(((value - value.mean()) ** 2).sum() for value in values)
    assert found is not None
    assert found[1] == 3
    assert found[0] == pytest.approx(math.sqrt(squares / 3), rel=1e-12)
    assert pooled_sd([]) is None


def test_pooled_sd_finds_the_seed_sd() -> None:
    rng = np.random.default_rng(8)
    rows = [reproduction(*(f"{value:.2f}" for value in 60 + rng.normal(0, 2, size=3))) for _ in range(400)]
    found = pooled_sd(rows)
    assert found is not None
    assert found[0] == pytest.approx(2.0, abs=0.1)
