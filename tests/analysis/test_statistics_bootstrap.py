"""The two-level bootstrap against a literal loop over the same draws, its analytic variance, and scipy."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics import BootstrapSide, two_level_bootstrap
from analysis.statistics.bootstrap import cluster_counts, seed_counts

CLUSTERS = [7, 7, 7, 3, 3, 9, 1, 1, 4, 4, 4, 4]
STRATA = [0, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1]
WEIGHTS = [[1.0] * 12, [2.0, 2.0, 1.0, 2.0, 2.0, 0.0, 1.0, 1.0, 0.0, 0.5, 0.5, 0.5]]


def answers(runs: int, seed: int, questions: int = 12) -> np.ndarray:
    return 100.0 * (np.random.default_rng(seed).random((runs, questions)) < 0.6)


def literal(sides, clusters, weights, strata, paired: bool, draws: int, seed: int) -> np.ndarray:
    """Every draw as the rows it consists of: for each side a list of runs, and a list of questions."""
    names = sorted(set(clusters))
    numbers = cluster_counts(len(names), draws, seed).astype(int)
    found = []
    for draw in range(draws):
        questions = [
            q
            for name, count in zip(names, numbers[draw], strict=True)
            for _ in range(count)
            for q in range(len(clusters))
            if clusters[q] == name
        ]
        total = 0.0
        for number, side in enumerate(sides):
            runs = list(range(len(side.values)))
            if not side.constant:
                counts = seed_counts(len(runs), draws, seed, 0 if paired else number)[draw]
                runs = np.repeat(runs, counts).tolist()
            for stratum in sorted(set(strata)):
                inside = [q for q in questions if strata[q] == stratum]
                share = sum(w for w, s in zip(weights, strata, strict=True) if s == stratum) / sum(weights)
                mass = sum(weights[q] for q in inside)
                rows = [weights[q] * side.values[run][q] for run in runs for q in inside]
                total += side.coefficient * share * (sum(rows) / (len(runs) * mass) if mass else np.nan)
        found.append(total)
    return np.array(found)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("strata", [None, STRATA])
def test_draws_are_the_rows_they_consist_of(paired: bool, strata: list[int] | None) -> None:
    sides = [
        BootstrapSide(1.0, answers(3, 0)),
        BootstrapSide(-1.0, answers(3 if paired else 5, 1)),
        BootstrapSide(-0.5, answers(1, 2), constant=True),
    ]
    found = two_level_bootstrap(sides, CLUSTERS, WEIGHTS, paired=paired, draws=700, seed=3, level=0.9, strata=strata)
    for interval, weights in zip(found, WEIGHTS, strict=True):
        expected = literal(sides, CLUSTERS, weights, strata or [0] * 12, paired, 700, 3)
        expected = expected[~np.isnan(expected)]
        assert interval.draws == len(expected) > 500
        assert [interval.low, interval.high] == pytest.approx(np.quantile(expected, [0.05, 0.95]))
        assert interval.standard_error == pytest.approx(expected.std(ddof=1))
        assert interval.seeds == ((3, 3, 1) if paired else (3, 5, 1))
    assert [interval.clusters for interval in found] == [5, 4]


def test_estimate_is_the_contrast_itself() -> None:
    a, b = answers(3, 0), answers(4, 1)
    found = two_level_bootstrap(
        [BootstrapSide(1.0, a), BootstrapSide(-1.0, b)], CLUSTERS, WEIGHTS[:1], paired=False, draws=10
    )
    assert found[0].estimate == pytest.approx(a.mean() - b.mean())
    zero, one = np.array(STRATA) == 0, np.array(STRATA) == 1
    halves = np.where(zero, 0.5 / zero.sum(), 0.5 / one.sum())
    by_task = two_level_bootstrap([BootstrapSide(1.0, a)], CLUSTERS, [halves], paired=False, draws=10, strata=STRATA)
    assert by_task[0].estimate == pytest.approx((a[:, zero].mean() + a[:, one].mean()) / 2)


@pytest.mark.parametrize("paired", [True, False])
def test_standard_error_is_the_analytic_one(paired: bool) -> None:
    """Owen 2007: the row, column and interaction parts over n, G and n G, of the doubly centred table."""
    rng = np.random.default_rng(4)
    clusters = np.repeat(np.arange(30), 2)
    seeds, questions = rng.normal(0, 3, (4, 1)), rng.normal(0, 20, 60)
    a = 60 + seeds + questions + rng.normal(0, 30, (4, 60))
    b = 55 + seeds + 0.5 * questions + rng.normal(0, 30, (4, 60))

    def parts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        table = values.reshape(len(values), 30, 2).mean(axis=2)
        rows, columns = table.mean(axis=1), table.mean(axis=0)
        return rows - table.mean(), columns - table.mean(), table - rows[:, None] - columns + table.mean()

    if paired:
        row, column, rest = parts(a - b)
        variance = (row**2).sum() / 4**2 + (column**2).sum() / 30**2 + (rest**2).sum() / (4 * 30) ** 2
    else:
        (row_a, column_a, rest_a), (row_b, column_b, rest_b) = parts(a), parts(b)
        variance = ((row_a**2).sum() + (row_b**2).sum()) / 4**2 + ((column_a - column_b) ** 2).sum() / 30**2
        variance += ((rest_a**2).sum() + (rest_b**2).sum()) / (4 * 30) ** 2
    sides = [BootstrapSide(1.0, a), BootstrapSide(-1.0, b)]
    found = two_level_bootstrap(sides, clusters, np.ones((1, 60)), paired=paired, draws=20_000)
    assert found[0].standard_error == pytest.approx(np.sqrt(variance), rel=0.02)


def test_constant_sides_are_the_one_level_bootstrap_of_scipy() -> None:
    values = answers(1, 5, 60)
    found = two_level_bootstrap(
        [BootstrapSide(1.0, values, constant=True)], np.arange(60), np.ones((1, 60)), paired=False
    )
    expected = stats.bootstrap(
        (values[0],), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(0)
    )
    assert found[0].standard_error == pytest.approx(expected.standard_error, rel=0.03)
    assert found[0].low == pytest.approx(expected.confidence_interval.low, abs=1.7)
    assert found[0].high == pytest.approx(expected.confidence_interval.high, abs=1.7)


def test_names_of_clusters_and_size_of_weights_change_nothing() -> None:
    sides = [BootstrapSide(1.0, answers(3, 0)), BootstrapSide(-1.0, answers(3, 1))]
    renamed = [10 * cluster - 2 for cluster in CLUSTERS]
    first = two_level_bootstrap(sides, CLUSTERS, WEIGHTS, paired=True, draws=200)
    second = two_level_bootstrap(sides, renamed, 3 * np.array(WEIGHTS), paired=True, draws=200)
    for one, other in zip(first, second, strict=True):
        assert (one.estimate, one.low, one.high) == tuple(map(pytest.approx, (other.estimate, other.low, other.high)))
    assert two_level_bootstrap(sides, CLUSTERS, WEIGHTS, paired=True, draws=200, seed=1) != first


@given(st.permutations(range(12)))
def test_order_of_questions_changes_nothing(order: list[int]) -> None:
    def found(order: list[int]) -> list:
        sides = [BootstrapSide(1.0, answers(3, 0)[:, order]), BootstrapSide(-1.0, answers(4, 1)[:, order])]
        clusters, strata = np.array(CLUSTERS)[order], np.array(STRATA)[order]
        weights = np.array(WEIGHTS)[:, order]
        return two_level_bootstrap(sides, clusters, weights, paired=False, draws=50, strata=strata)

    for one, other in zip(found(list(range(12))), found(order), strict=True):
        assert (one.estimate, one.low, one.high) == tuple(map(pytest.approx, (other.estimate, other.low, other.high)))


def test_all_right_has_no_spread() -> None:
    sides = [BootstrapSide(1.0, np.full((3, 12), 100.0))]
    for found in two_level_bootstrap(sides, CLUSTERS, WEIGHTS, paired=False, draws=100, strata=STRATA):
        assert found.estimate == pytest.approx(100.0)
        assert (found.low, found.high) == (pytest.approx(100.0), pytest.approx(100.0))
        assert found.standard_error == pytest.approx(0.0)


def test_one_seed_or_one_cluster_has_no_interval() -> None:
    one_seed = two_level_bootstrap([BootstrapSide(1.0, answers(1, 0))], CLUSTERS, WEIGHTS, paired=False, draws=10)
    weights = [[1.0 if cluster == 4 else 0.0 for cluster in CLUSTERS], [1.0] * 12]
    one_cluster = two_level_bootstrap([BootstrapSide(1.0, answers(3, 0))], CLUSTERS, weights, paired=False, draws=10)
    for found in (*one_seed, one_cluster[0]):
        assert (found.low, found.high, found.standard_error, found.draws) == (None, None, None, 0)
    assert one_cluster[0].estimate == pytest.approx(answers(3, 0)[:, 8:].mean())
    assert one_cluster[1].low is not None


@pytest.mark.parametrize(
    ("sides", "changes", "message"),
    [
        ([], {}, "at least one side"),
        ([BootstrapSide(1.0, answers(3, 0)), BootstrapSide(1.0, answers(2, 0))], {}, r"\[3, 2\] runs"),
        ([BootstrapSide(1.0, answers(3, 0), constant=True)], {}, "a constant is one run, got 3"),
        ([BootstrapSide(1.0, answers(3, 0) * np.nan)], {}, "finite numbers"),
        ([BootstrapSide(1.0, answers(3, 0, 11))], {}, "values of 11 questions but clusters of 12"),
        ([BootstrapSide(1.0, answers(3, 0))], {"weights": [[1.0] * 11]}, "weights: needs the shape"),
        ([BootstrapSide(1.0, answers(3, 0))], {"weights": [[0.0] * 12]}, "positive sum"),
        ([BootstrapSide(1.0, answers(3, 0))], {"strata": [0]}, "strata: needs the shape"),
    ],
)
def test_what_does_not_fit_is_refused(sides: list[BootstrapSide], changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        two_level_bootstrap(sides, CLUSTERS, **{"weights": WEIGHTS, "paired": True, "draws": 10, **changes})


def test_a_full_contrast_is_quick_and_small() -> None:
    rng = np.random.default_rng(0)
    clusters, strata = np.sort(rng.integers(0, 1650, 2638)), rng.integers(0, 4, 2638)
    weights = np.stack([*(strata == task for task in range(4)), strata < 3, strata == 3, np.ones(2638)])
    sides = [BootstrapSide(1.0, answers(10, 1, 2638)), BootstrapSide(-1.0, answers(10, 2, 2638))]
    cluster_counts.cache_clear()
    tracemalloc.start()
    two_level_bootstrap(sides, clusters, weights, paired=False, strata=strata)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6
    start = time.process_time()  # by the clock it is as long as others want the processors
    two_level_bootstrap(sides, clusters, weights, paired=False, strata=strata)
    assert time.process_time() - start < 5.0


def test_whole_numbers_in_single_precision_are_what_double_precision_gives() -> None:
    a, b = answers(4, 0), answers(4, 1)
    clusters, weights = CLUSTERS, np.ones((1, 12))

    def found(shift: float):
        sides = [BootstrapSide(1.0, a + shift), BootstrapSide(-1.0, b + shift)]
        return two_level_bootstrap(sides, clusters, weights, paired=False, draws=500)[0]

    # the shift cancels; half a point more is a number that isn't whole, and so computed in double precision
    assert (found(0.0).low, found(0.0).high) == (pytest.approx(found(0.5).low), pytest.approx(found(0.5).high))
    assert found(0.0).standard_error == pytest.approx(found(0.5).standard_error, rel=1e-12)


def test_a_stratum_of_one_cluster_has_no_limits() -> None:
    """Drawn or not, its mean is the same in every draw that is defined."""
    values = np.random.default_rng(1).integers(0, 2, (3, 8)).astype(float)
    strata, weights = [0, 0, 0, 0, 0, 1, 1, 1], np.ones((1, 8))
    for clusters, known in (([0, 1, 2, 3, 4, 4, 4, 4], False), ([0, 1, 2, 3, 4, 4, 4, 0], True)):
        side = [BootstrapSide(1.0, values)]
        (found,) = two_level_bootstrap(side, clusters, weights, paired=False, draws=50, strata=strata)
        assert (found.low is not None) is known
        assert (found.estimate, found.clusters) == (pytest.approx(values.mean()), 5)
