"""Adjusted p-values: by hand, against statsmodels, and their error rates in simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.statistics import benjamini_hochberg, holm

p_lists = st.lists(st.none() | st.floats(0.0, 1.0) | st.sampled_from([0.01, 0.02]), min_size=1, max_size=12)


def test_holm_by_hand() -> None:
    # In rising order 0.01, 0.02, 0.02, 0.3 times 4, 3, 2, 1, never falling.
    assert holm([0.3, 0.02, 0.01, 0.02]) == pytest.approx([0.3, 0.06, 0.04, 0.06])


def test_benjamini_hochberg_by_hand() -> None:
    # In rising order 0.01, 0.04, 0.045, 0.9 times 4/1, 4/2, 4/3, 4/4, never above the next.
    assert benjamini_hochberg([0.045, 0.9, 0.01, 0.04]) == pytest.approx([0.06, 0.9, 0.04, 0.06])


@given(p_lists)
@pytest.mark.parametrize(("function", "method"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
def test_adjusted_as_statsmodels_does(function, method: str, p_values: list[float | None]) -> None:
    expected = multipletests([1.0 if p is None else p for p in p_values], method=method)[1]
    found = function(p_values)
    assert [p is None for p in found] == [p is None for p in p_values]
    for raw, mine, theirs in zip(p_values, found, expected, strict=True):
        if raw is not None and mine is not None:
            assert mine == pytest.approx(theirs)
            assert raw <= mine * (1 + 1e-12) <= 1 + 1e-12


@given(p_lists, st.randoms(use_true_random=False))
@pytest.mark.parametrize("function", [holm, benjamini_hochberg])
def test_order_changes_nothing(function, p_values: list[float | None], random) -> None:
    order = random.sample(range(len(p_values)), len(p_values))
    assert function([p_values[i] for i in order]) == [function(p_values)[i] for i in order]


@pytest.mark.parametrize("function", [holm, benjamini_hochberg])
def test_a_test_without_a_p_value_still_counts(function) -> None:
    assert function([0.01, None]) == [pytest.approx(0.02), None]
    assert function([]) == []


@pytest.mark.parametrize("function", [holm, benjamini_hochberg])
@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_what_is_no_p_value_is_refused(function, p: float) -> None:
    with pytest.raises(ValueError, match="no p-value"):
        function([0.5, p])


def test_error_rates_are_kept_where_tests_share_an_arm() -> None:
    rng = np.random.default_rng(0)
    # Four contrasts against one baseline: two true nulls, two real differences.
    means = np.array([0.0, 0.0, 4.0, 4.0])
    family_wise, false_share = [], []
    for _ in range(2000):
        baseline, arms = rng.normal(0, 1, 10), rng.normal(means[:, None], 1, (4, 10))
        p = [float(stats.ttest_ind(arm, baseline, equal_var=False).pvalue) for arm in arms]
        family_wise.append(min(holm(p)[:2]) <= 0.05)
        rejected = np.array(benjamini_hochberg(p)) <= 0.05
        false_share.append(rejected[:2].sum() / max(rejected.sum(), 1))
    assert 0.02 < np.mean(family_wise) < 0.065
    assert 0.005 < np.mean(false_share) < 0.05
