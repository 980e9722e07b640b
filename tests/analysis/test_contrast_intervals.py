"""Every interval of a contrast against scipy, statsmodels or its formula written out, on a small lopsided study."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from small_study import IMAGES, SIZE, TASKS, clustered, draw, percent, questions, rows_of, runs_of, small

from analysis import contrast, declare, from_frames

VALUES = draw(3, a=(4, 0.75), b=(3, 0.45), c=(4, 0.6), d=(5, 0.5), base=(0, 0.3), tuned=(0, 0.55))
TABLES = small(VALUES)


def found(a: str, b: str, **fields):
    return contrast(TABLES, declare(TABLES, a, b, **fields), draws=0)


def satterthwaite(*terms: tuple[float, list[float]]) -> tuple[float, float, float]:
    """Mean, standard error and degrees of freedom of a sum of coefficient times mean, written out."""
    mean, total, under = 0.0, 0.0, 0.0
    for coefficient, values in terms:
        n, own = len(values), sum(values) / len(values)
        mean += coefficient * own
        part = coefficient**2 * sum((value - own) ** 2 for value in values) / (n - 1) / n
        total += part
        under += part**2 / (n - 1)
    return mean, math.sqrt(total), total**2 / under


def test_unpaired_seeds_are_welchs_t() -> None:
    result = found("a", "b")
    expected = stats.ttest_ind(percent(VALUES["a"]), percent(VALUES["b"]), equal_var=False)
    low, high = expected.confidence_interval(0.95)
    assert result.method == "Welch t over unpaired seeds"
    assert (result.population, result.ns) == ("method", (4, 3))
    assert (result.interval.low, result.interval.high) == (pytest.approx(low), pytest.approx(high))
    assert result.interval.p == pytest.approx(expected.pvalue)
    assert result.interval.df == pytest.approx(expected.df)
    assert result.per_seed == {}


def test_paired_seeds_are_the_paired_t_on_the_seeds_that_both_have() -> None:
    result = found("a", "b", pairing="seed")
    expected = stats.ttest_rel(percent(VALUES["a"])[:3], percent(VALUES["b"]))
    low, high = expected.confidence_interval(0.95)
    assert (result.ns, result.interval.df) == ((3, 3), 2)
    assert (result.interval.low, result.interval.high) == (pytest.approx(low), pytest.approx(high))
    assert result.interval.p == pytest.approx(expected.pvalue)
    assert result.lost == {"a/seed=3": "seed 3 is not finished in b"}
    assert result.planned == 7


@pytest.mark.parametrize("pairing", ["none", "seed"])
@pytest.mark.parametrize("turned", [False, True])
def test_an_arm_without_randomness_is_one_known_constant(pairing: str, turned: bool) -> None:
    """Not n equal runs: a paired or a Welch interval over n copies of it would be another."""
    result = found("base", "a", pairing=pairing) if turned else found("a", "base", pairing=pairing)
    base = percent(VALUES["base"])[0]
    expected = stats.ttest_1samp(percent(VALUES["a"]), base)
    low, high = (each - base for each in expected.confidence_interval(0.95))
    assert result.method == "t over seeds against a known constant"
    assert result.ns == ((1, 4) if turned else (4, 1))
    bounds = (-high, -low) if turned else (low, high)
    assert (result.interval.low, result.interval.high) == (pytest.approx(bounds[0]), pytest.approx(bounds[1]))
    assert (result.interval.df, result.interval.p) == (3, pytest.approx(expected.pvalue))


def test_two_checkpoints_are_compared_question_by_question_with_errors_by_image() -> None:
    result = found("tuned", "base")
    differences = 100.0 * (np.array(VALUES["tuned"][None]) - np.array(VALUES["base"][None]))
    mean, error = clustered(differences)
    half = stats.t.ppf(0.975, 8) * error
    assert (result.method, result.population) == ("t over questions, clustered by image", "checkpoints")
    assert result.interval.mean == pytest.approx(mean)
    assert result.interval.standard_error == pytest.approx(error)
    assert (result.interval.low, result.interval.high) == (pytest.approx(mean - half), pytest.approx(mean + half))
    assert result.interval.df == 8
    assert result.interval.p == pytest.approx(2 * stats.t.sf(abs(mean) / error, 8))
    assert result.prediction is None
    # neither has seeds, so the two checkpoints are the whole question
    assert result.verdict.reason == ""


def test_one_seed_of_either_side_speaks_about_checkpoints_and_gives_no_verdict_on_methods() -> None:
    one = {"a": {0: VALUES["a"][0]}, "b": {0: VALUES["b"][0]}, "base": VALUES["base"]}
    tables = small(one)
    for other in ("b", "base"):
        result = contrast(tables, declare(tables, "a", other, margin=200.0), draws=0)
        right = one[other][0 if other == "b" else None]
        mean, error = clustered(100.0 * (np.array(one["a"][0]) - np.array(right)))
        assert result.population == "checkpoints"
        assert result.interval.mean == pytest.approx(mean)
        assert result.interval.standard_error == pytest.approx(error)
        assert (result.verdict.name, result.verdict.reason) == (
            *("inconclusive", "one seed gives no interval over methods"),
        )


def test_one_seed_against_several_has_an_estimate_and_no_interval() -> None:
    tables = small({"a": {0: VALUES["a"][0]}, "b": VALUES["b"]})
    result = contrast(tables, declare(tables, "a", "b", margin=5.0), draws=0)
    assert result.interval.mean == pytest.approx(percent(VALUES["a"])[0] - np.mean(percent(VALUES["b"])))
    assert (result.interval.half_width, result.interval.p, result.population) == (None, None, "none")
    assert (result.verdict.name, result.verdict.reason) == ("inconclusive", "one seed of a shows no spread")


def test_one_pair_of_seeds_is_two_checkpoints() -> None:
    tables = small({"a": {0: VALUES["a"][0], 1: VALUES["a"][1]}, "b": {1: VALUES["b"][1], 2: VALUES["b"][2]}})
    result = contrast(tables, declare(tables, "a", "b", pairing="seed"), draws=0)
    mean, error = clustered(100.0 * (np.array(VALUES["a"][1]) - np.array(VALUES["b"][1])))
    assert (result.population, result.per_seed) == ("checkpoints", {"seed=1": pytest.approx(mean)})
    assert result.interval.standard_error == pytest.approx(error)
    assert result.lost == {
        "a/seed=0": "seed 0 is not finished in b",
        "b/seed=2": "seed 2 is not finished in a",
    }


def test_a_difference_of_differences_unpaired_is_satterthwaite_over_four_arms() -> None:
    result = found("a", "b", minus={"a": "c", "b": "d"})
    a, b, c, d = (percent(VALUES[arm]) for arm in "abcd")
    mean, error, df = satterthwaite((1, a), (-1, b), (-1, c), (1, d))
    half = stats.t.ppf(0.975, df) * error
    assert result.interval.mean == pytest.approx(mean)
    assert mean == pytest.approx((np.mean(a) - np.mean(b)) - (np.mean(c) - np.mean(d)))
    assert result.interval.df == pytest.approx(df)
    assert (result.interval.low, result.interval.high) == (pytest.approx(mean - half), pytest.approx(mean + half))
    assert result.interval.p == pytest.approx(2 * stats.t.sf(abs(mean) / error, df))
    assert (result.ns, result.planned) == ((4, 3, 4, 5), 16)


def test_a_difference_of_differences_paired_is_the_t_of_the_seeds() -> None:
    result = found("a", "b", minus={"a": "c", "b": "d"}, pairing="seed")
    a, b, c, d = (percent(VALUES[arm])[:3] for arm in "abcd")
    per_seed = [w - x - (y - z) for w, x, y, z in zip(a, b, c, d, strict=True)]
    expected = stats.ttest_1samp(per_seed, 0.0)
    low, high = expected.confidence_interval(0.95)
    assert list(result.per_seed.values()) == pytest.approx(per_seed)
    assert (result.interval.low, result.interval.high) == (pytest.approx(low), pytest.approx(high))
    assert result.interval.p == pytest.approx(expected.pvalue)


def test_a_difference_of_differences_with_constants_leaves_the_spread_of_the_random_arms() -> None:
    result = found("a", "base", minus={"a": "c", "b": "tuned"})
    mean, error, df = satterthwaite((1, percent(VALUES["a"])), (-1, percent(VALUES["c"])))
    shift = percent(VALUES["tuned"])[0] - percent(VALUES["base"])[0]
    assert result.interval.mean == pytest.approx(mean + shift)
    assert (result.interval.standard_error, result.interval.df) == (pytest.approx(error), pytest.approx(df))


@pytest.mark.parametrize(("alpha", "level"), [(0.01, 0.99), (0.1, 0.9)])
def test_alpha_sets_the_level_of_every_interval(alpha: float, level: float) -> None:
    a, b = percent(VALUES["a"]), percent(VALUES["b"])
    result = contrast(TABLES, declare(TABLES, "a", "b", alpha=alpha), draws=300)
    test = stats.ttest_ind(a, b, equal_var=False)
    assert result.interval.low == pytest.approx(test.confidence_interval(level)[0])
    assert result.equivalence.low == pytest.approx(test.confidence_interval(1 - 2 * alpha)[0])
    assert result.bootstrap.high - result.bootstrap.low > 0
    usual = contrast(TABLES, declare(TABLES, "a", "b"), draws=300)
    wider = result.bootstrap.high - result.bootstrap.low > usual.bootstrap.high - usual.bootstrap.low
    assert wider == (alpha < 0.05)
    va, vb = (np.var(values, ddof=1) * (1 + 1 / len(values)) for values in (a, b))
    df = (va + vb) ** 2 / (va**2 / 3 + vb**2 / 2)
    assert result.prediction.half_width == pytest.approx(stats.t.ppf(1 - alpha / 2, df) * math.sqrt(va + vb))
    pair = found("tuned", "base", alpha=alpha)
    mean, error = clustered(100.0 * (np.array(VALUES["tuned"][None]) - np.array(VALUES["base"][None])))
    assert pair.interval.low == pytest.approx(mean - stats.t.ppf(1 - alpha / 2, 8) * error)


def test_a_further_difference_of_single_runs_falls_in_its_prediction_interval() -> None:
    """Of runs that have no seed in common with each other, as printed ones haven't, however ours are paired."""
    for pairing, n_a, half_df in (("none", 4, (3, 2)), ("seed", 3, (2, 2))):
        a, b = percent(VALUES["a"])[:n_a], percent(VALUES["b"])
        va, vb = (np.var(values, ddof=1) * (1 + 1 / len(values)) for values in (a, b))
        df = (va + vb) ** 2 / (va**2 / half_df[0] + vb**2 / half_df[1])
        half = stats.t.ppf(0.975, df) * math.sqrt(va + vb)
        assert found("a", "b", pairing=pairing).prediction.half_width == pytest.approx(half)
    against = found("a", "base")
    half = stats.t.ppf(0.975, 3) * np.std(percent(VALUES["a"]), ddof=1) * math.sqrt(1 + 1 / 4)
    assert against.prediction.half_width == pytest.approx(half)
    assert against.prediction.mean == pytest.approx(np.mean(percent(VALUES["a"])) - percent(VALUES["base"])[0])


def test_equal_runs_of_a_random_arm_show_no_spread_and_decide_nothing() -> None:
    tables = small({"a": {0: [1] * SIZE, 1: [1] * SIZE}, "base": {None: [0] * SIZE}})
    result = contrast(tables, declare(tables, "a", "base"), draws=50)
    assert (result.interval.mean, result.interval.standard_error) == (100.0, 0.0)
    assert result.verdict.name == "inconclusive"
    assert "no spread" in result.verdict.reason


def test_the_two_level_bootstrap_knows_who_is_constant_and_who_is_paired() -> None:
    """Runs that all answer alike leave only the images: the same for every way to draw the seeds."""
    same = {"a": dict.fromkeys(range(3), VALUES["a"][0]), "base": VALUES["base"]}
    tables = small(same)
    result = contrast(tables, declare(tables, "a", "base"), draws=4000)
    difference = 100.0 * (np.array(VALUES["a"][0]) - np.array(VALUES["base"][None]))
    rng, sums = np.random.default_rng(1), []
    groups = [np.flatnonzero(np.array(IMAGES) == image) for image in sorted(set(IMAGES))]
    for _ in range(4000):
        drawn = np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])
        sums.append(difference[drawn].mean())
    assert result.bootstrap.estimate == pytest.approx(difference.mean())
    assert result.bootstrap.standard_error == pytest.approx(np.std(sums), rel=0.08)
    assert found("tuned", "base").bootstrap is None


def test_a_question_weighs_by_its_suite() -> None:
    """Two suites of 5 and 18 questions: the first score is the mean of their means, and the clusters' error follows."""
    suites = ["s"] * 18 + ["t"] * 5
    images = (*IMAGES[:18], 8, 8, 9, 9, 9)
    asked = questions(suite=suites, question=[*range(18), *range(5)], image=[f"{i}.png" for i in images])
    answers = rows_of({"tuned": VALUES["tuned"], "base": VALUES["base"]})
    place = answers["question"]
    answers = answers.assign(suite=np.where(place < 18, "s", "t"), question=np.where(place < 18, place, place - 18))
    tables = from_frames(answers, asked, runs_of({"tuned": VALUES["tuned"], "base": VALUES["base"]}))
    result = contrast(tables, declare(tables, "tuned", "base"), draws=0)
    difference = 100.0 * (np.array(VALUES["tuned"][None]) - np.array(VALUES["base"][None]))
    mean = (difference[:18].mean() + difference[18:].mean()) / 2
    weights = np.array([1 / 36] * 18 + [1 / 10] * 5)
    # a task of a suite is a stratum of its own
    strata = [f"{suite} {task}" for suite, task in zip(suites, TASKS, strict=True)]
    total, error = 0.0, 0.0
    deviations = np.zeros(SIZE)
    for each in set(strata):
        inside = np.array([stratum == each for stratum in strata])
        own = float(weights[inside] @ difference[inside] / weights[inside].sum())
        total += own * weights[inside].sum()
        deviations[inside] = weights[inside] * (difference[inside] - own)
    by_image = [deviations[np.array(images) == image].sum() for image in set(images)]
    error = math.sqrt(10 / 9 * 22 / (23 - len(set(strata))) * sum(each**2 for each in by_image))
    assert total == pytest.approx(mean)
    assert result.interval.mean == pytest.approx(mean)
    assert result.interval.standard_error == pytest.approx(error)
    sums = [(weights * difference)[np.array(images) == image].sum() for image in set(images)]
    flips = np.array([np.dot(signs, sums) for signs in itertools.product((-1, 1), repeat=len(sums))])
    assert result.checkpoints[0].sign_flip.p == pytest.approx(np.mean(np.abs(flips) > abs(sum(sums)) - 1e-9))


def test_a_suite_of_one_image_leaves_no_interval_over_questions() -> None:
    """Half of the score hangs on one image, whose mean would be taken for known."""
    suites = ["s"] * 18 + ["t"] * 5
    asked = questions(suite=suites, question=[*range(18), *range(5)])
    answers = rows_of({"tuned": VALUES["tuned"], "base": VALUES["base"]})
    place = answers["question"]
    answers = answers.assign(suite=np.where(place < 18, "s", "t"), question=np.where(place < 18, place, place - 18))
    tables = from_frames(answers, asked, runs_of({"tuned": VALUES["tuned"], "base": VALUES["base"]}))
    result = contrast(tables, declare(tables, "tuned", "base"), draws=0)
    assert result.interval.half_width is None
    assert result.reason == "all questions of a task share one image"
    assert result.verdict.reason == result.reason
    assert result.checkpoints[0].sign_flip.p <= 1.0
