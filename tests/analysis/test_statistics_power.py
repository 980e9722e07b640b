"""Power against statsmodels, against printed anchors, and against the tests themselves in simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from analysis.statistics import (
    Design,
    Term,
    checkpoint_detectable,
    checkpoint_half_width,
    checkpoint_power,
    clustered_interval,
    detectable,
    linear_interval,
    mean_interval,
    power_of,
    seeds_needed,
)

DIFFERENCE = (1.0, -1.0)


def equal(n: int, paired: bool, correlation: float = 0.0) -> Design:
    return Design(DIFFERENCE, (n, n), paired, correlation)


@pytest.mark.parametrize(("n", "independent", "paired"), [(2, 5.7, 16.3), (3, 3.1, 4.6), (5, 2.0, 2.4), (10, 1.3, 1.4)])
def test_anchors_of_seeds(n: int, independent: float, paired: float) -> None:
    """Smallest difference found with power 0.8 at alpha 0.05, in units of the seeds' standard deviation."""
    assert detectable(equal(n, False), 1.0, 0.05, 0.8) == pytest.approx(independent, abs=0.05)
    assert detectable(equal(n, True), 1.0, 0.05, 0.8) == pytest.approx(paired, abs=0.05)


@pytest.mark.parametrize(("discordance", "half_width"), [(0.1, 1.2), (0.2, 1.7), (0.3, 2.1)])
def test_anchors_of_questions(discordance: float, half_width: float) -> None:
    assert checkpoint_half_width(2638, discordance) == pytest.approx(half_width, abs=0.05)


@given(st.integers(2, 60), st.floats(0.05, 4.0), st.sampled_from([0.001, 0.01, 0.05, 0.2]))
def test_power_agrees_with_statsmodels(n: int, difference: float, alpha: float) -> None:
    found = power_of(equal(n, False), difference, 1.0, alpha)
    theirs = TTestIndPower().power(difference, n, alpha)
    # Theirs is NaN where scipy's far tail is.
    assert found == pytest.approx(theirs, abs=1e-8) or (math.isnan(theirs) and found > 0.01)
    found = power_of(equal(n, True, 0.5), difference, 1.0, alpha)
    # At a correlation of a half the differences have the standard deviation of a side.
    theirs = TTestPower().power(difference, n, alpha)
    assert found == pytest.approx(theirs, abs=1e-8) or (math.isnan(theirs) and found > 0.01)
    assert found == pytest.approx(power_of(Design((1.0,), (n,), False), -difference, 1.0, alpha))


@pytest.mark.parametrize("paired", [True, False])
def test_seeds_needed_agree_with_statsmodels(paired: bool) -> None:
    for difference in (0.5, 1.0, 2.0):
        found = seeds_needed(DIFFERENCE, paired, 1.5 * difference, 1.5, 0.05, 0.8, 0.5 if paired else 0.0)
        theirs = (TTestPower() if paired else TTestIndPower()).solve_power(difference, alpha=0.05, power=0.8)
        assert found == math.ceil(float(theirs))


@given(
    st.lists(st.tuples(st.sampled_from([1.0, -1.0, 0.5]), st.integers(2, 9)), min_size=1, max_size=4),
    st.floats(0.1, 10.0),
    st.sampled_from([0.001, 0.0125, 0.05]),
    st.floats(0.3, 0.99),
)
def test_what_is_detectable_is_found_with_that_power(sides, sd: float, alpha: float, power: float) -> None:
    design = Design(tuple(c for c, _ in sides), tuple(n for _, n in sides), paired=False)
    difference = detectable(design, sd, alpha, power)
    assert difference is not None
    assert power_of(design, difference, sd, alpha) == pytest.approx(power, abs=1e-6)
    assert detectable(design, 2 * sd, alpha, power) == pytest.approx(2 * difference)


@given(st.integers(2, 30), st.floats(0.0, 7.0), st.sampled_from([1e-5, 0.001, 0.05]))
def test_power_is_a_probability_and_rises_with_seeds(n: int, difference: float, alpha: float) -> None:
    for paired in (True, False):
        found, more = (power_of(equal(size, paired), difference, 1.0, alpha) for size in (n, n + 1))
        assert alpha * (1 - 1e-6) <= found <= 1.0
        assert found <= more * (1 + 1e-9)


def test_unequal_seeds_by_definition() -> None:
    design = Design((1.0, -1.0, -1.0, 1.0), (5, 3, 2, 4), paired=False)
    assert design.error == pytest.approx(math.sqrt(1 / 5 + 1 / 3 + 1 / 2 + 1 / 4))
    parts = 1 / 25 / 4 + 1 / 9 / 2 + 1 / 4 / 1 + 1 / 16 / 3
    assert design.df == pytest.approx((1 / 5 + 1 / 3 + 1 / 2 + 1 / 4) ** 2 / parts)


@pytest.mark.parametrize("n", [3, 5])
def test_power_is_how_often_the_paired_test_finds_it(n: int) -> None:
    rng = np.random.default_rng(0)
    shared, own = math.sqrt(0.6), math.sqrt(0.4)  # correlation 0.6 at the same seed
    sides = shared * rng.normal(size=(4000, 1, n)) + own * rng.normal(size=(4000, 2, n))
    sides[:, 0] += 1.8
    found = np.mean([mean_interval(a - b).p < 0.05 for a, b in sides])
    assert found == pytest.approx(power_of(equal(n, True, 0.6), 1.8, 1.0, 0.05), abs=0.025)


@pytest.mark.parametrize(
    ("ns", "differences"),
    [((3, 3), (0.0, 2.5)), ((2, 2), (0.0, 6.0)), ((3, 6), (2.5,)), ((10, 10), (1.2,)), ((3, 4, 5, 3), (0.0, 3.0))],
)
def test_power_of_welch_is_how_often_it_finds_it(ns: tuple[int, ...], differences: tuple[float, ...]) -> None:
    rng = np.random.default_rng(2)
    signs = (1.0, -1.0, -1.0, 1.0)[: len(ns)]
    design = Design(signs, ns, paired=False)
    for difference in differences:
        found = []
        for _ in range(3000):
            terms = [Term(sign, rng.normal(size=n)) for sign, n in zip(signs, ns, strict=True)]
            terms[0] = Term(1.0, np.asarray(terms[0].values) + difference)
            found.append(linear_interval(terms).p < 0.05)
        power = power_of(design, difference, 1.0, 0.05, estimated_df=True)
        assert np.mean(found) == pytest.approx(power, abs=4 * math.sqrt(power * (1 - power) / 3000))


def test_welch_finds_less_than_if_it_knew_the_spreads() -> None:
    for n, smallest in ((2, 10.39), (3, 3.51), (5, 2.08), (10, 1.33)):
        found = detectable(equal(n, False), 1.0, 0.05, 0.8, estimated_df=True)
        assert found == pytest.approx(smallest, abs=0.005)
        assert found > detectable(equal(n, False), 1.0, 0.05, 0.8)
    assert seeds_needed(DIFFERENCE, False, 3.3, 1.0, 0.05, 0.8) == 3
    assert seeds_needed(DIFFERENCE, False, 3.3, 1.0, 0.05, 0.8, estimated_df=True) == 4
    for design in (equal(3, True, 0.5), Design((1.0,), (3,), False)):
        assert power_of(design, 3.0, 1.0, 0.05, estimated_df=True) == power_of(design, 3.0, 1.0, 0.05)


def test_far_tails_are_numbers() -> None:
    """The integral over the standard deviation's distribution, where scipy's own wrong tail is NaN or nothing."""
    for df, difference, alpha in [(28, 2.0, 1e-5), (1, 100.0, 0.001), (8, 4.0, 0.001), (4, 6.0, 0.05)]:
        n = df + 1
        found = power_of(Design((1.0,), (n,), False), difference, 1.0, alpha)
        critical = stats.t.ppf(1 - alpha / 2, df)
        ratio = np.sqrt(stats.chi2.ppf((np.arange(200_000) + 0.5) / 200_000, df) / df)
        expected = stats.norm.sf(critical * ratio - difference * math.sqrt(n)).mean()
        assert found == pytest.approx(expected, abs=1e-4)


def test_power_over_questions_is_how_often_the_test_finds_it() -> None:
    rng = np.random.default_rng(1)
    # 20 % discordance, 6 points apart: 13 % a alone, 7 % b alone.
    differences = rng.choice([100.0, -100.0, 0.0], p=[0.13, 0.07, 0.8], size=(2000, 400))
    found = np.mean([clustered_interval(row, range(400)).p < 0.05 for row in differences])
    assert found == pytest.approx(checkpoint_power(400, 0.2, 6.0, 0.05), abs=0.03)
    smallest = checkpoint_detectable(400, 0.2, 0.05, 0.8)
    assert smallest is not None
    assert checkpoint_power(400, 0.2, smallest, 0.05) == pytest.approx(0.8)
    assert checkpoint_power(800, 0.2, smallest, 0.05, design_effect=2.0) == pytest.approx(0.8)
    half_width = checkpoint_half_width(400, 0.2, 0.9)
    assert checkpoint_half_width(800, 0.2, 0.9, design_effect=2.0) == pytest.approx(half_width)


def test_where_nothing_can_be_seen() -> None:
    one_seed = Design(DIFFERENCE, (1, 5), paired=False)
    assert (power_of(one_seed, 10.0, 1.0, 0.05), detectable(one_seed, 1.0, 0.05, 0.8)) == (0.0, None)
    assert seeds_needed(DIFFERENCE, False, 0.01, 1.0, 0.05, 0.8) is None
    assert seeds_needed(DIFFERENCE, False, 100.0, 1.0, 0.05, 0.8) == 2
    assert checkpoint_detectable(10, 0.1, 0.05, 0.8) is None
    assert checkpoint_power(10, 1.0, 100.0, 0.05) == 1.0


def test_what_is_no_design_is_refused() -> None:
    for arguments, message in [
        (((), (), False), "coefficients"),
        (((1.0, 0.0), (2, 2), False), "coefficients"),
        ((DIFFERENCE, (2,), False), "ns"),
        ((DIFFERENCE, (2, 3), True), "the same seeds"),
        ((DIFFERENCE, (2, 2), True, 1.0), "from -1 to under 1"),
        (((1.0, 1.0), (2, 2), True, -1.0), "no spread"),
    ]:
        with pytest.raises(ValueError, match=message):
            Design(*arguments)
    for call, message in [
        (lambda: power_of(equal(3, False), 1.0, 0.0, 0.05), "sd: 0.0"),
        (lambda: power_of(equal(3, False), 1.0, 1.0, 5.0), "alpha: 5.0"),
        (lambda: detectable(equal(3, False), 1.0, 0.05, 0.01), "power: 0.01"),
        (lambda: seeds_needed(DIFFERENCE, False, 0.0, 1.0, 0.05, 0.8), "difference: 0.0"),
        (lambda: checkpoint_power(100, 0.1, 11.0, 0.05), "differ on 10.0%"),
        (lambda: checkpoint_half_width(100, 20.0), "discordance: 20.0"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
