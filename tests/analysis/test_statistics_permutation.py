"""Sign-flip and McNemar's test: enumeration, scipy and statsmodels, and their error under the null."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from analysis.statistics import mcnemar_test, sign_flip_test

DIFFERENCES = [100.0, 100.0, 0.0, -100.0, 0.0, 100.0, 100.0, -100.0]
IMAGES = ["a", "a", "b", "b", "c", "d", "e", "e"]

outcomes = st.lists(
    st.tuples(st.sampled_from([-100.0, 0.0, 100.0, 0.1, 33.3]), st.integers(0, 6)), min_size=1, max_size=20
)


def enumerated(differences: list[float], clusters: list) -> float:
    """Share of sign patterns over clusters with at least the observed absolute sum."""
    names = sorted(set(clusters))
    sums = [sum(d for d, c in zip(differences, clusters, strict=True) if c == name) for name in names]
    observed = abs(sum(sums))
    patterns = list(itertools.product((1, -1), repeat=len(sums)))
    return sum(abs(sum(map(math.prod, zip(p, sums, strict=True)))) >= observed - 1e-9 for p in patterns) / len(patterns)


def test_sign_flip_is_its_enumeration() -> None:
    found = sign_flip_test(DIFFERENCES, IMAGES)
    # Cluster sums 200, -100, 0, 100, 0: all patterns but the two with 200 against both others reach the observed 200.
    assert found.p == enumerated(DIFFERENCES, IMAGES) == 6 / 8
    assert (found.clusters, found.exact) == (5, True)


@given(outcomes)
def test_sign_flip_is_its_enumeration_everywhere(rows: list[tuple[float, int]]) -> None:
    differences, clusters = [d for d, _ in rows], [c for _, c in rows]
    assert sign_flip_test(differences, clusters).p == pytest.approx(enumerated(differences, clusters))


@given(outcomes, st.randoms(use_true_random=False))
def test_order_of_rows_and_names_of_clusters_change_nothing(rows: list[tuple[float, int]], random) -> None:
    shuffled = random.sample(rows, len(rows))
    first = sign_flip_test([d for d, _ in rows], [c for _, c in rows])
    second = sign_flip_test([d for d, _ in shuffled], [f"image {-c}" for _, c in shuffled])
    mirrored = sign_flip_test([-d for d, _ in rows], [c for _, c in rows])
    assert first == second == mirrored


def test_sign_flip_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    sums = rng.normal(0.4, 1.0, 11)
    expected = stats.permutation_test((sums,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_test(sums, range(11)).p == pytest.approx(expected.pvalue)


def test_random_patterns_come_near_the_exact_share() -> None:
    rng = np.random.default_rng(1)
    sums = rng.normal(0.35, 1.0, 40)
    found = sign_flip_test(sums, range(40), draws=40_000)
    assert (found.exact, found.draws) == (False, 40_000)
    # The exact distribution of the sum of 40 flipped normals, from scipy with other patterns.
    expected = stats.permutation_test(
        (sums,), np.mean, permutation_type="samples", n_resamples=40_000, rng=np.random.default_rng(2)
    )
    assert found.p == pytest.approx(expected.pvalue, abs=4 * math.sqrt(2 * 0.25 / 40_000))
    assert found == sign_flip_test(sums, range(40), draws=40_000)
    assert found.p != sign_flip_test(sums, range(40), draws=40_000, seed=1).p


def test_random_patterns_count_the_observed_one() -> None:
    assert sign_flip_test(np.ones(60), range(60), draws=99).p == 1 / 100


def test_flipping_clusters_errs_as_it_says_and_flipping_questions_does_not() -> None:
    rng = np.random.default_rng(3)
    images = np.repeat(np.arange(15), 6)
    samples = rng.normal(0.0, 1.0, (600, 15))[:, images] + rng.normal(0.0, 1.0, (600, 90))
    clustered = [sign_flip_test(sample, images.tolist()).p <= 0.05 for sample in samples]
    single = [sign_flip_test(sample, range(90), draws=500).p <= 0.05 for sample in samples]
    assert np.mean(clustered) == pytest.approx(0.05, abs=0.03)
    assert np.mean(single) > 0.2


def test_no_difference_at_all_is_no_evidence() -> None:
    assert sign_flip_test([0.0] * 50, range(50)).p == 1.0
    assert sign_flip_test([100.0, -100.0], ["a", "a"]).p == 1.0


def test_what_can_not_be_flipped_is_refused() -> None:
    with pytest.raises(ValueError, match="2 differences but 1 clusters"):
        sign_flip_test([0.0, 1.0], ["a"])
    with pytest.raises(ValueError, match="finite number"):
        sign_flip_test([math.nan], ["a"])
    with pytest.raises(ValueError, match="draws: 0"):
        sign_flip_test([1.0], ["a"], draws=0)


def test_mcnemar_is_its_definition() -> None:
    a, b = np.array([1, 1, 1, 1, 0, 1, 0, 1], bool), np.array([0, 0, 0, 0, 1, 1, 0, 0], bool)
    found = mcnemar_test(a, b)
    assert (found.a_only, found.b_only) == (5, 1)
    # One or none of six: 1 + 6 of the 64 outcomes, on both sides.
    assert found.p == pytest.approx(2 * 7 / 64)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_agrees_with_statsmodels(pairs: list[tuple[bool, bool]]) -> None:
    a, b = np.array([x for x, _ in pairs]), np.array([y for _, y in pairs])
    found = mcnemar_test(a, b)
    table = [[int((a & b).sum()), int((a & ~b).sum())], [int((~a & b).sum()), int((~a & ~b).sum())]]
    if found.a_only + found.b_only:
        assert found.p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert found.p == mcnemar_test(b, a).p


def test_mcnemar_without_clusters_is_the_sign_flip() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.random(30) < 0.7, rng.random(30) < 0.45
    differences = a.astype(float) - b.astype(float)
    assert (differences != 0).sum() <= 16
    assert mcnemar_test(a, b).p == pytest.approx(sign_flip_test(differences, range(30)).p)


def test_mcnemar_errs_no_more_than_it_says() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.random((3000, 200)) < 0.6, rng.random((3000, 200)) < 0.6
    assert 0.02 < np.mean([mcnemar_test(x, y).p <= 0.05 for x, y in zip(a, b, strict=True)]) < 0.055


def test_mcnemar_of_equal_answers_and_of_none() -> None:
    assert mcnemar_test([True, False], [True, False]).p == 1.0
    with pytest.raises(ValueError, match="true or false"):
        mcnemar_test([], [])
    with pytest.raises(ValueError, match="true or false"):
        mcnemar_test([1, 0], [0, 1])
    with pytest.raises(ValueError, match="2 answers of a but 1 of b"):
        mcnemar_test([True, False], [True])
