"""Linear combinations of independent means, other levels, and equivalence: definition, scipy and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics import (
    MeanInterval,
    Term,
    clustered_interval,
    equivalence_p,
    linear_interval,
    linear_prediction,
    mean_interval,
    prediction_interval,
    welch_interval,
)

LOPSIDED = [80.0, 93.0, 95.0, 92.5, 61.0]
OTHER = [91.0, 92.0, 93.5]
INTERACTION = (Term(1.0, LOPSIDED), Term(-1.0, OTHER), Term(-1.0, [50.0, 58.0]), Term(1.0, [40.0, 41.0, 45.0, 40.0]))

samples = st.lists(st.integers(0, 10_000).map(lambda value: value / 100), min_size=2, max_size=6)


def test_four_terms_are_the_formula_of_welch_and_satterthwaite() -> None:
    found = linear_interval(INTERACTION)
    variances = [np.var(LOPSIDED, ddof=1) / 5, np.var(OTHER, ddof=1) / 3, 32.0 / 2, 17.0 / 3 / 4]
    df = sum(variances) ** 2 / (
        variances[0] ** 2 / 4 + variances[1] ** 2 / 2 + variances[2] ** 2 + variances[3] ** 2 / 3
    )
    mean = 421.5 / 5 - 276.5 / 3 - 54.0 + 41.5
    half_width = stats.t.ppf(0.975, df) * math.sqrt(sum(variances))
    assert found.ns == (5, 3, 2, 4)
    assert (found.n, found.sd) == (2, None)
    assert found.mean == pytest.approx(mean)
    assert found.standard_error == pytest.approx(math.sqrt(sum(variances)))
    assert found.df == pytest.approx(df)
    assert (found.low, found.high) == (pytest.approx(mean - half_width), pytest.approx(mean + half_width))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(mean) / math.sqrt(sum(variances)), df))


def test_coefficients_are_not_only_signs() -> None:
    found = linear_interval((Term(0.5, LOPSIDED), Term(-2.0, OTHER)))
    variances = [0.25 * np.var(LOPSIDED, ddof=1) / 5, 4.0 * np.var(OTHER, ddof=1) / 3]
    assert found.mean == pytest.approx(0.5 * 84.3 - 2.0 * 276.5 / 3)
    assert found.standard_error == pytest.approx(math.sqrt(sum(variances)))
    assert found.df == pytest.approx(sum(variances) ** 2 / (variances[0] ** 2 / 4 + variances[1] ** 2 / 2))


def test_one_random_term_against_a_constant_is_the_one_sample_t_test() -> None:
    found = linear_interval((Term(1.0, LOPSIDED), Term(-1.0, [70.0], constant=True)))
    expected = stats.ttest_1samp(LOPSIDED, 70.0)
    interval = expected.confidence_interval(0.95)
    assert (found.n, found.ns, found.df) == (5, (5, 1), 4.0)
    assert found.sd == pytest.approx(np.std(LOPSIDED, ddof=1))
    assert (found.low, found.high) == (pytest.approx(interval.low - 70.0), pytest.approx(interval.high - 70.0))
    assert found.p == pytest.approx(expected.pvalue)


@pytest.mark.filterwarnings("ignore:Precision loss")  # scipy's, of samples with hardly any spread
@given(samples, samples)
def test_two_terms_are_two_sample_welch(a: list[float], b: list[float]) -> None:
    found = welch_interval(a, b)
    linear = linear_interval((Term(1.0, a), Term(-1.0, b)))
    assert (found.mean, found.standard_error, found.df, found.p) == (
        linear.mean,
        linear.standard_error,
        linear.df,
        linear.p,
    )
    if np.ptp(a) or np.ptp(b):
        expected = stats.ttest_ind(a, b, equal_var=False)
        assert found.df == pytest.approx(expected.df)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


@given(st.permutations(INTERACTION))
def test_order_of_terms_changes_nothing(terms: list[Term]) -> None:
    found, expected = linear_interval(terms), linear_interval(INTERACTION)
    assert found.mean == pytest.approx(expected.mean)
    assert found.half_width == pytest.approx(expected.half_width)


def test_interval_of_an_interaction_covers() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal([[90.0], [80.0], [70.0], [65.0]], [[1.0], [4.0], [2.0], [6.0]], (3000, 4, 5))
    found = [linear_interval([Term(c, x) for c, x in zip((1, -1, -1, 1), draw, strict=True)]) for draw in draws]
    assert np.mean([f.low <= 5.0 <= f.high for f in found]) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    "terms",
    [
        (Term(1.0, LOPSIDED), Term(-1.0, [70.0])),
        (Term(1.0, [80.0], constant=True), Term(-1.0, [70.0], constant=True)),
    ],
)
def test_without_repetition_there_is_no_interval(terms: tuple[Term, ...]) -> None:
    for found in (linear_interval(terms), linear_prediction(terms)):
        assert [found.standard_error, found.df, found.half_width, found.p] == [None] * 4
        assert found.mean == pytest.approx(terms[0].coefficient * np.mean(terms[0].values) - 70.0)


def test_no_spread_has_no_p_value() -> None:
    found = linear_interval((Term(1.0, [0.1] * 3), Term(-1.0, [0.3] * 3)))
    assert (found.standard_error, found.df, found.half_width, found.p) == (0.0, None, 0.0, None)
    assert (found.at(0.5).half_width, equivalence_p(found, 1.0)) == (0.0, None)


def test_small_numbers_keep_their_degrees_of_freedom() -> None:
    scaled = [Term(term.coefficient, np.asarray(term.values) * 1e-120) for term in INTERACTION]
    assert linear_interval(scaled).df == pytest.approx(linear_interval(INTERACTION).df)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ((), "at least one term"),
        ((Term(1.0, []),), "finite number"),
        ((Term(math.nan, LOPSIDED),), "coefficient: nan"),
        ((Term(1.0, OTHER, constant=True),), "a constant is one value, got 3"),
    ],
)
def test_what_is_no_combination_is_refused(terms: tuple[Term, ...], message: str) -> None:
    for function in (linear_interval, linear_prediction):
        with pytest.raises(ValueError, match=message):
            function(terms)


@pytest.mark.parametrize("further", [1, 8])
def test_linear_prediction_is_its_definition(further: int) -> None:
    found = linear_prediction(INTERACTION[:2], further=further)
    variances = [np.var(LOPSIDED, ddof=1) * (1 / further + 1 / 5), np.var(OTHER, ddof=1) * (1 / further + 1 / 3)]
    df = sum(variances) ** 2 / (variances[0] ** 2 / 4 + variances[1] ** 2 / 2)
    assert found.standard_error == pytest.approx(math.sqrt(sum(variances)))
    assert found.df == pytest.approx(df)
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, df) * math.sqrt(sum(variances)))
    assert found.p is None


def test_linear_prediction_wants_something_to_predict() -> None:
    with pytest.raises(ValueError, match="further: 0 observations"):
        linear_prediction(INTERACTION[:2], further=0)


def test_linear_prediction_of_one_term_is_the_prediction_interval() -> None:
    found = linear_prediction((Term(-1.0, LOPSIDED), Term(1.0, [5.0], constant=True)), 0.8)
    expected = prediction_interval(LOPSIDED, 0.8)
    assert found.mean == pytest.approx(5.0 - expected.mean)
    assert (found.half_width, found.df) == (pytest.approx(expected.half_width), expected.df)


def test_linear_prediction_covers_a_further_difference() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(93.0, 1.0, (3000, 6)), rng.normal(90.0, 3.0, (3000, 6))
    found = [linear_prediction((Term(1.0, x[:5]), Term(-1.0, y[:5]))) for x, y in zip(a, b, strict=True)]
    hits = [f.contains(x[5] - y[5]) for f, x, y in zip(found, a, b, strict=True)]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_another_level_is_the_interval_asked_at_that_level(level: float) -> None:
    images = ["a", "a", "b", "c", "c"]
    for made in (
        lambda at: mean_interval(LOPSIDED, at),
        lambda at: prediction_interval(LOPSIDED, at),
        lambda at: welch_interval(LOPSIDED, OTHER, at),
        lambda at: linear_interval(INTERACTION, at),
        lambda at: linear_prediction(INTERACTION, at),
        lambda at: clustered_interval(LOPSIDED, images, at),
        lambda at: mean_interval([80.0], at),
    ):
        again = made(0.95).at(level)
        assert again == made(level)
        assert (type(again), again.level) == (type(made(0.95)), level)


def test_equivalence_is_two_one_sided_tests() -> None:
    for values in ([1.0, 2.0, -1.5, 0.7], [-1.0, -2.0, 1.5, -0.7]):
        above = stats.ttest_1samp(values, -3.0, alternative="greater").pvalue
        below = stats.ttest_1samp(values, 3.0, alternative="less").pvalue
        assert equivalence_p(mean_interval(values), 3.0) == pytest.approx(max(above, below))


@given(samples, st.integers(1, 3000).map(lambda value: value / 100), st.sampled_from([0.01, 0.05, 0.2]))
def test_equivalence_is_the_narrower_interval_within_the_margin(
    values: list[float], margin: float, alpha: float
) -> None:
    found = mean_interval(np.array(values) - 50.0, 1 - 2 * alpha)
    p = equivalence_p(found, margin)
    if p is not None and abs(p - alpha) > 1e-9:
        assert (p < alpha) == (-margin < found.low and found.high < margin)


def test_equivalence_errs_at_the_margin_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    found = [equivalence_p(mean_interval(x), 2.0) for x in rng.normal(2.0, 0.5, (4000, 5))]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.01)


def test_equivalence_without_an_interval_or_a_margin() -> None:
    assert equivalence_p(mean_interval([1.0]), 2.0) is None
    assert equivalence_p(mean_interval([1.0, 1.0]), 2.0) is None
    found: MeanInterval = mean_interval(LOPSIDED)
    for margin in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="margin"):
            equivalence_p(found, margin)
