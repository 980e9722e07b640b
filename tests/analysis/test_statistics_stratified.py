"""Means over the questions of several tasks: the literal formula, statsmodels' regression, a simulation."""

import math

import numpy as np
import pytest
import statsmodels.api as sm

from analysis.statistics import clustered_interval, stratified_interval

VALUES = [100.0, 0.0, -100.0, 100.0, 0.0, 100.0, 0.0]
IMAGES = ["a", "a", "b", "b", "c", "d", "d"]
TASKS = ["x", "x", "x", "y", "y", "y", "y"]


def test_it_is_its_definition() -> None:
    weights = [1.0, 2.0, 1.0, 3.0, 1.0, 1.0, 1.0]
    share = [weight / 10.0 for weight in weights]
    mean = sum(s * v for s, v in zip(share, VALUES, strict=True))
    means = {
        task: sum(s * v for s, v, t in zip(share, VALUES, TASKS, strict=True) if t == task)
        / sum(s for s, t in zip(share, TASKS, strict=True) if t == task)
        for task in ("x", "y")
    }
    sums = {image: 0.0 for image in IMAGES}
    for s, v, image, task in zip(share, VALUES, IMAGES, TASKS, strict=True):
        sums[image] += s * (v - means[task])
    error = math.sqrt(4 / 3 * 6 / 5 * sum(each**2 for each in sums.values()))
    found = stratified_interval(VALUES, weights, IMAGES, TASKS)
    assert (found.n, found.clusters, found.df) == (7, 4, 3)
    assert found.mean == pytest.approx(mean)
    assert found.standard_error == pytest.approx(error)
    assert found.half_width == pytest.approx(3.1824463052842638 * error)


@pytest.mark.parametrize("weighted", [False, True])
def test_it_agrees_with_a_cluster_robust_regression_on_the_tasks(weighted: bool) -> None:
    rng = np.random.default_rng(5)
    images, tasks = rng.integers(0, 40, 150), np.sort(rng.integers(0, 3, 150))
    values = rng.choice([-100.0, 0.0, 100.0], 150) + 30.0 * tasks + 5.0 * images
    # weights that are the same within a task: then the total is a sum of the regression's coefficients
    weights = np.array([1.0, 3.0, 0.5])[tasks] if weighted else np.ones(150)
    found = stratified_interval(values, weights, images, tasks)
    shares = np.bincount(tasks, weights=weights) / weights.sum()
    fit = sm.OLS(values, np.eye(3)[tasks]).fit(cov_type="cluster", cov_kwds={"groups": images}, use_t=True)
    test = fit.t_test(shares)
    assert found.mean == pytest.approx(test.effect.item())
    assert found.standard_error == pytest.approx(test.sd.item())
    assert (found.low, found.high) == tuple(pytest.approx(end) for end in test.conf_int()[0])
    assert found.p == pytest.approx(test.pvalue.item())


def test_one_task_is_the_plain_clustered_interval() -> None:
    plain, found = clustered_interval(VALUES, IMAGES), stratified_interval(VALUES, np.ones(7), IMAGES, ["x"] * 7)
    assert found.half_width == pytest.approx(plain.half_width)
    assert found.p == pytest.approx(plain.p)


def test_it_covers_where_the_benchmark_has_so_many_questions_of_each_task() -> None:
    rng = np.random.default_rng(8)
    tasks, images = np.repeat([0, 1], [60, 40]), np.arange(100) // 2
    means = np.array([40.0, -20.0])
    truth = 0.6 * 40.0 - 0.4 * 20.0
    draws = means[tasks] + rng.normal(0, 20.0, (2000, 50))[:, images] + rng.normal(0, 20.0, (2000, 100))
    found = [stratified_interval(draw, np.ones(100), images, tasks) for draw in draws]
    plain = [clustered_interval(draw, images.tolist()) for draw in draws]
    assert np.mean([each.low <= truth <= each.high for each in found]) == pytest.approx(0.95, abs=0.015)
    # the tasks' own difference is no spread of the questions
    assert np.mean([each.half_width for each in found]) < 0.8 * np.mean([each.half_width for each in plain])


def test_without_spread_within_the_tasks_there_is_no_error() -> None:
    found = stratified_interval([1 / 3, 1 / 3, 0.7, 0.7], np.ones(4), list("abcd"), list("xxyy"))
    assert (found.standard_error, found.p) == (0.0, None)


def test_one_image_has_no_interval() -> None:
    assert stratified_interval([0.0, 100.0], [1.0, 1.0], ["a", "a"], ["x", "x"]).half_width is None


def test_shapes_and_weights_are_checked() -> None:
    with pytest.raises(ValueError, match="one shape"):
        stratified_interval([0.0, 1.0], [1.0], ["a", "b"], ["x", "x"])
    with pytest.raises(ValueError, match="positive"):
        stratified_interval([0.0, 1.0], [1.0, 0.0], ["a", "b"], ["x", "x"])


def test_images_that_lie_within_tasks_are_a_sample_of_each() -> None:
    values, images = [100.0, 0.0, 100.0, -100.0, 0.0, 0.0, 100.0], list("aabccde")
    tasks = ["x", "x", "x", "y", "y", "y", "y"]
    found = stratified_interval(values, np.ones(7), images, tasks)
    means = {"x": 200 / 3, "y": 0.0}
    sums: dict[str, float] = {}
    for value, image, task in zip(values, images, tasks, strict=True):
        sums[image] = sums.get(image, 0.0) + (value - means[task]) / 7
    squares = {"x": sums["a"] ** 2 + sums["b"] ** 2, "y": sums["c"] ** 2 + sums["d"] ** 2 + sums["e"] ** 2}
    assert found.standard_error == pytest.approx(math.sqrt(2 / 1 * squares["x"] + 3 / 2 * squares["y"]))
    assert found.df == 5 - 2


@pytest.mark.parametrize("images_each", [3, 15])
def test_it_covers_with_few_images_of_each_task(images_each: int) -> None:
    rng = np.random.default_rng(9)
    images = np.repeat(np.arange(4 * images_each), 2)
    tasks = images // images_each
    draws = (
        30.0 * tasks + rng.normal(0, 20.0, (3000, 4 * images_each))[:, images] + rng.normal(0, 20, (3000, len(images)))
    )
    found = [stratified_interval(draw, np.ones(len(images)), images, tasks) for draw in draws]
    assert np.mean([each.low <= 45.0 <= each.high for each in found]) == pytest.approx(0.95, abs=0.012)


def test_a_task_of_one_image_of_its_own_leaves_no_interval() -> None:
    assert stratified_interval([0.0, 100.0, 0.0], np.ones(3), list("abc"), list("xxy")).half_width is None


def test_a_task_of_one_image_leaves_no_interval_though_others_share_it() -> None:
    """Its deviations add up to nothing within the image, which is no evidence that they would on another."""
    found = stratified_interval([100.0, 0.0, 100.0, 0.0, 100.0], [1.0] * 5, list("aaabc"), list("xxyyy"))
    assert (found.mean, found.standard_error, found.half_width) == (60.0, None, None)
    shared = stratified_interval([100.0, 0.0, 100.0, 0.0, 100.0], [1.0] * 5, list("abacc"), list("xxyyy"))
    assert shared.half_width is not None
