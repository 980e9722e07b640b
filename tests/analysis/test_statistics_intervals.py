"""Each statistic three ways: the literal definition, scipy or statsmodels, and a seeded coverage simulation."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from analysis.statistics import (
    clustered_interval,
    mean_interval,
    paired_interval,
    prediction_interval,
    welch_interval,
)

LOPSIDED = [80.0, 93.0, 95.0, 92.5, 61.0]
OTHER = [91.0, 92.0, 93.5]


def test_mean_interval_is_its_definition() -> None:
    found = mean_interval([80.0, 93.0, 95.0])
    mean = (80.0 + 93.0 + 95.0) / 3
    sd = math.sqrt(((80 - mean) ** 2 + (93 - mean) ** 2 + (95 - mean) ** 2) / 2)
    # 4.302652729911275 is the 97.5 % quantile of Student's t with 2 degrees of freedom.
    half_width = 4.302652729911275 * sd / math.sqrt(3)
    assert (found.n, found.df) == (3, 2)
    assert found.mean == pytest.approx(mean)
    assert found.sd == pytest.approx(sd)
    assert found.half_width == pytest.approx(half_width)
    assert (found.low, found.high) == (pytest.approx(mean - half_width), pytest.approx(mean + half_width))


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_mean_interval_agrees_with_scipy(level: float) -> None:
    found, expected = mean_interval(LOPSIDED, level), stats.ttest_1samp(LOPSIDED, 0.0)
    interval = expected.confidence_interval(level)
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.p == pytest.approx(expected.pvalue)


def test_mean_interval_covers() -> None:
    rng = np.random.default_rng(0)
    hits = [abs(f.mean - 90.0) <= f.half_width for f in map(mean_interval, rng.normal(90.0, 4.0, (3000, 3)))]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_one_observation_has_a_mean_and_no_interval() -> None:
    found = mean_interval([93.0])
    assert (found.mean, found.n) == (93.0, 1)
    assert [found.sd, found.standard_error, found.df, found.half_width, found.low, found.high, found.p] == [None] * 7


def test_no_spread_has_no_p_value() -> None:
    # The mean of three 0.1 is not 0.1 in floating point: no spread must be no spread all the same.
    found = mean_interval([0.1, 0.1, 0.1])
    assert (found.sd, found.half_width, found.p) == (0.0, 0.0, None)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf], [[1.0, 2.0]]])
def test_what_is_no_sample_is_refused(values: list) -> None:
    with pytest.raises(ValueError, match="finite number"):
        mean_interval(values)


def test_prediction_interval_is_its_definition() -> None:
    found = prediction_interval([60.0, 61.0, 60.5, 75.0])
    mean = (60.0 + 61.0 + 60.5 + 75.0) / 4
    sd = math.sqrt(sum((value - mean) ** 2 for value in (60.0, 61.0, 60.5, 75.0)) / 3)
    # 3.1824463052842638 is the 97.5 % quantile of Student's t with 3 degrees of freedom.
    half_width = 3.1824463052842638 * sd * math.sqrt(1 + 1 / 4)
    assert (found.n, found.df, found.p) == (4, 3, None)
    assert found.mean == pytest.approx(mean)
    assert found.sd == pytest.approx(sd)
    assert found.half_width == pytest.approx(half_width)
    assert (found.low, found.high) == (pytest.approx(mean - half_width), pytest.approx(mean + half_width))
    inside, outside = mean + half_width - 1e-9, mean - half_width - 1e-9
    assert (found.contains(mean), found.contains(inside), found.contains(outside)) == (True, True, False)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_prediction_interval_agrees_with_statsmodels(level: float) -> None:
    found = prediction_interval(LOPSIDED, level)
    fit = sm.OLS(LOPSIDED, np.ones(len(LOPSIDED))).fit()
    predicted = fit.get_prediction(np.ones((1, 1))).summary_frame(alpha=1 - level)
    assert (found.low, found.high) == (
        pytest.approx(predicted["obs_ci_lower"].iloc[0]),
        pytest.approx(predicted["obs_ci_upper"].iloc[0]),
    )
    assert found.mean == pytest.approx(predicted["mean"].iloc[0])


def test_the_mean_of_several_further_observations_falls_closer() -> None:
    values = [60.0, 61.0, 60.5, 75.0]
    found, one = prediction_interval(values, further=3), prediction_interval(values)
    assert found.half_width == pytest.approx(3.1824463052842638 * np.std(values, ddof=1) * math.sqrt(1 / 3 + 1 / 4))
    assert (found.mean, found.sd, found.df, found.n) == (one.mean, one.sd, one.df, one.n)
    many, ours = prediction_interval(values, further=10**12), mean_interval(values)
    assert many.half_width == pytest.approx(ours.half_width)  # what endless runs come to is the truth
    with pytest.raises(ValueError, match="further: 0 observations"):
        prediction_interval(values, further=0)


@pytest.mark.parametrize(("n", "further"), [(2, 1), (5, 1), (5, 8)])
def test_prediction_interval_covers_what_follows(n: int, further: int) -> None:
    rng = np.random.default_rng(6)
    found = [prediction_interval(values, further=further) for values in rng.normal(64.0, 3.0, (3000, n))]
    follows = rng.normal(64.0, 3.0, (3000, further)).mean(axis=1)
    hits = [interval.contains(mean) for interval, mean in zip(found, follows, strict=True)]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_one_observation_predicts_nothing() -> None:
    found = prediction_interval([64.0])
    assert (found.mean, found.n) == (64.0, 1)
    assert [found.sd, found.half_width, found.low, found.high, found.contains(64.0)] == [None] * 5


def test_paired_interval_pairs_by_key_and_agrees_with_scipy() -> None:
    a, b = {3: 80.0, 1: 93.0, 2: 95.0, 9: 0.0}, {1: 91.0, 2: 92.0, 3: 93.5, 8: 100.0}
    found = paired_interval(a, b)
    expected = stats.ttest_rel([93.0, 95.0, 80.0], [91.0, 92.0, 93.5])
    interval = expected.confidence_interval(0.95)
    assert found.n == 3
    assert found.mean == pytest.approx((2.0 + 3.0 - 13.5) / 3)
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.p == pytest.approx(expected.pvalue)


def test_paired_interval_covers_where_seeds_share_their_luck() -> None:
    rng = np.random.default_rng(1)
    luck = rng.normal(0.0, 6.0, (2000, 4))
    first, second = luck + 2.0 + rng.normal(0, 2, luck.shape), luck + rng.normal(0, 2, luck.shape)
    found = [paired_interval(dict(enumerate(a)), dict(enumerate(b))) for a, b in zip(first, second, strict=True)]
    assert np.mean([f.low <= 2.0 <= f.high for f in found]) == pytest.approx(0.95, abs=0.02)
    # Pairing is there to take the shared luck out: without it the intervals are far wider.
    unpaired = [welch_interval(a, b).half_width for a, b in zip(first[:200], second[:200], strict=True)]
    assert np.mean([f.half_width for f in found]) < 0.6 * np.mean(unpaired)


def test_paired_interval_without_pairs_is_refused() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        paired_interval({1: 1.0}, {2: 1.0})


def test_welch_interval_is_its_definition() -> None:
    found = welch_interval([1.0, 5.0], [2.0, 3.0, 10.0])
    part_a, part_b = 8.0 / 2, 19.0 / 3
    df = (part_a + part_b) ** 2 / (part_a**2 / 1 + part_b**2 / 2)
    assert (found.n, found.n_b) == (2, 3)
    assert found.mean == pytest.approx(-2.0)
    assert found.standard_error == pytest.approx(math.sqrt(part_a + part_b))
    assert found.df == pytest.approx(df)
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, df) * math.sqrt(part_a + part_b))


def test_welch_interval_agrees_with_scipy() -> None:
    found, expected = welch_interval(LOPSIDED, OTHER), stats.ttest_ind(LOPSIDED, OTHER, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.df == pytest.approx(expected.df)
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.p == pytest.approx(expected.pvalue)


def test_welch_interval_covers_with_unequal_spread() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(93.0, 1.0, (3000, 5)), rng.normal(90.0, 5.0, (3000, 5))
    found = [welch_interval(x, y) for x, y in zip(a, b, strict=True)]
    assert np.mean([f.low <= 3.0 <= f.high for f in found]) == pytest.approx(0.95, abs=0.015)


def test_welch_interval_with_one_seed_on_a_side_has_no_interval() -> None:
    found = welch_interval([90.0], [80.0, 82.0])
    assert (found.mean, found.half_width, found.p) == (9.0, None, None)


def test_clustered_interval_is_its_definition() -> None:
    differences, images = [100.0, 100.0, 0.0, -100.0, 0.0], ["a", "a", "b", "b", "c"]
    found = clustered_interval(differences, images)
    mean = 20.0
    sums = [(100 - mean) + (100 - mean), (0 - mean) + (-100 - mean), 0 - mean]
    error = math.sqrt(3 / 2 * sum(each**2 for each in sums)) / 5
    assert (found.mean, found.n, found.clusters, found.df) == (mean, 5, 3, 2)
    assert found.standard_error == pytest.approx(error)
    assert found.half_width == pytest.approx(4.302652729911275 * error)


def test_clustered_interval_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(3)
    images = rng.integers(0, 17, 60)
    differences = rng.choice([-100.0, 0.0, 100.0], 60) + 10.0 * images
    found = clustered_interval(differences, images.tolist())
    fit = sm.OLS(differences, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": images}, use_t=True)
    assert found.standard_error == pytest.approx(fit.bse[0])
    assert (found.low, found.high) == tuple(pytest.approx(bound) for bound in fit.conf_int()[0])
    assert found.p == pytest.approx(fit.pvalues[0])


def test_clusters_of_one_are_the_plain_t_interval() -> None:
    plain, clustered = mean_interval(LOPSIDED), clustered_interval(LOPSIDED, list("abcde"))
    assert clustered.half_width == pytest.approx(plain.half_width)


def test_clustered_interval_covers_where_the_plain_one_does_not() -> None:
    rng = np.random.default_rng(4)
    images = np.repeat(np.arange(50), 4)
    samples = rng.normal(0.0, 30.0, (2000, 50))[:, images] + rng.normal(5.0, 20.0, (2000, 200))
    clustered = [clustered_interval(sample, images.tolist()) for sample in samples]
    plain = [mean_interval(sample) for sample in samples]
    assert np.mean([f.low <= 5.0 <= f.high for f in clustered]) == pytest.approx(0.95, abs=0.02)
    assert np.mean([f.low <= 5.0 <= f.high for f in plain]) < 0.85


def test_one_image_has_no_interval_and_lengths_must_agree() -> None:
    assert clustered_interval([0.0, 100.0], ["a", "a"]).half_width is None
    with pytest.raises(ValueError, match="2 differences but 1 clusters"):
        clustered_interval([0.0, 100.0], ["a"])
