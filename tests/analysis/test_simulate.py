"""The simulated studies' truths are what an endless simulation comes to, and their parts vary as the model says."""

import numpy as np
import pytest

from analysis.collected import Layout
from analysis.coverage.reading import Reading, read
from analysis.coverage.scenarios import COLLAPSING, WIDER
from analysis.coverage.simulate import Model, Studies, make_layout, simulate

SMALL = Layout(np.array([0, 0, 0, 1, 2, 2]), np.array([0, 1, 1, 2, 3, 3]))


def test_layout_has_shared_images_and_four_tasks() -> None:
    layout = make_layout()
    counts = np.bincount(layout.images)
    assert counts.min() >= 1
    assert len(layout.images) / len(counts) == pytest.approx(1.6, abs=0.1)
    assert np.bincount(layout.tasks).min() > 100
    for image in np.flatnonzero(counts > 1):
        assert len(set(layout.tasks[layout.images == image] // 2)) == 1
    assert (make_layout().images == layout.images).all()


def test_truth_over_everything() -> None:
    found = simulate(SMALL, Model(seed_sd=0.5), (0.0, 0.7), 2, 40_000, np.random.default_rng(0))
    assert found.answers.shape == (40_000, 2, 2, 6)
    accuracy = 100.0 * found.answers.mean(axis=(0, 2, 3))
    assert accuracy == pytest.approx(found.like_these, abs=0.6)
    assert found.on_these.mean(axis=0) == pytest.approx(found.like_these, abs=0.6)
    assert found.checkpoints.mean(axis=(0, 2)) == pytest.approx(found.like_these, abs=0.6)


def test_truth_on_these_questions_and_of_these_checkpoints() -> None:
    # One study with very many seeds: the method on these questions.
    many = simulate(SMALL, Model(seed_sd=0.5), (0.0, 0.7), 100_000, 1, np.random.default_rng(1))
    assert 100.0 * many.answers.mean(axis=(2, 3)) == pytest.approx(many.on_these, abs=0.6)
    assert np.abs(many.on_these - many.like_these).max() > 2.0
    # One study with very many images: these checkpoints on questions like these.
    large = Layout(np.repeat(np.arange(100_000), 2), np.tile([0, 1, 2, 3], 50_000))
    wide = simulate(large, Model(seed_sd=0.5), (0.0, 0.7), 3, 1, np.random.default_rng(2))
    assert 100.0 * wide.answers.mean(axis=-1) == pytest.approx(wide.checkpoints, abs=0.6)
    assert np.ptp(wide.checkpoints[0, 0]) > 2.0


def test_seeds_are_shared_where_they_correlate() -> None:
    model = Model(seed_sd=1.0, seed_correlation=0.6)
    found = simulate(SMALL, model, (0.0, 0.0), 1, 20_000, np.random.default_rng(3)).checkpoints[:, :, 0]
    # A rank correlation of 6/pi asin(0.6 / 2), as the seed effects are normal and accuracy rises with them.
    ranks = found.argsort(axis=0).argsort(axis=0)
    assert np.corrcoef(*ranks.T)[0, 1] == pytest.approx(6 / np.pi * np.arcsin(0.3), abs=0.02)


def test_one_method_under_two_names_is_one_truth() -> None:
    same = simulate(SMALL, Model(), (0.2, 0.2), 2, 5, np.random.default_rng(4), same_images=True)
    assert (same.on_these[:, 0] == same.on_these[:, 1]).all()
    other = simulate(SMALL, Model(), (0.2, 0.2), 2, 5, np.random.default_rng(4))
    assert (other.on_these[:, 0] != other.on_these[:, 1]).all()
    assert (same.answers[:, 0] != same.answers[:, 1]).any()


def spread(found: Studies, method: int) -> float:
    """SD of a method's runs in accuracy, within studies."""
    accuracy = 100.0 * found.answers[:, method].mean(axis=-1)
    return float(np.sqrt(accuracy.var(axis=1, ddof=1).mean()))


def test_twice_the_spread_is_twice_the_spread() -> None:
    found = simulate(make_layout(), WIDER, (0.0, 0.0), 10, 150, np.random.default_rng(5))
    assert spread(found, 0) / spread(found, 1) == pytest.approx(2.0, abs=0.1)
    assert spread(found, 1) == pytest.approx(2.8, abs=0.15)
    accuracy = 100.0 * found.answers.mean(axis=(0, 2, 3))
    assert accuracy == pytest.approx(found.on_these.mean(axis=0), abs=0.6)


def test_collapsed_runs_are_twenty_points_worse_and_belong_to_the_truth() -> None:
    never = simulate(SMALL, Model(), (0.0, 0.0), 1, 1, np.random.default_rng(6)).like_these
    always = Model(collapse_rate=1.0, collapse_depth=COLLAPSING.collapse_depth)
    assert never[0] - simulate(SMALL, always, (0.0, 0.0), 1, 1, np.random.default_rng(6)).like_these[0] == (
        pytest.approx(20.0, abs=1.0)
    )
    many = simulate(SMALL, COLLAPSING, (0.0, 0.0), 100_000, 1, np.random.default_rng(7))
    assert 100.0 * many.answers.mean(axis=(2, 3)) == pytest.approx(many.on_these, abs=0.5)
    found = simulate(SMALL, COLLAPSING, (0.0, 0.0), 2, 40_000, np.random.default_rng(8))
    assert found.answers.mean(axis=(0, 2, 3)) * 100.0 == pytest.approx(found.like_these, abs=0.6)
    assert found.checkpoints.mean(axis=(0, 2)) == pytest.approx(found.like_these, abs=0.6)
    assert found.like_these[1] == pytest.approx(never[1])
    assert never[0] - found.like_these[0] == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_the_truth_about_the_parts_of_a_gain(correlation: float) -> None:
    """One study with very many seeds, both parts written out; with large seed effects, as with small ones what seeds
    share would hardly show."""
    model, reading = Model(seed_sd=0.6, seed_correlation=correlation), Reading((1.0, 0.2))
    rng = np.random.default_rng(9)
    found = simulate(SMALL, model, (0.3, -0.3), 200_000, 1, rng)
    status = read(found, model, reading, rng)
    p_a, p_b = status.read[0]
    c_a, c_b = found.answers[0] & status.read[0]
    now_parsed = (c_a & ~p_b).mean() - (c_b & ~p_a).mean()
    now_right = (c_a & p_b).mean() - (c_b & p_a).mean()
    assert 100.0 * now_parsed == pytest.approx(status.now_parsed[0], abs=0.3)
    assert 100.0 * now_right == pytest.approx(status.now_right[0], abs=0.3)
    if correlation:
        # seeds of its own for each side would be another truth
        other = (c_a & np.roll(p_b, 1, axis=0)).mean() - (c_b & np.roll(p_a, 1, axis=0)).mean()
        assert abs(100.0 * other - status.now_right[0]) > 1.0


def test_what_can_be_read_goes_with_what_is_right() -> None:
    rng = np.random.default_rng(10)
    found = simulate(make_layout(), Model(), (0.0, -0.3), 4, 200, rng)
    status = read(found, Model(), Reading((1.5, 0.8)), rng).read
    assert 100.0 * (1.0 - status.mean(axis=(0, 2, 3))) == pytest.approx([9.0, 24.0], abs=1.0)
    seeds = [each - each.mean(axis=-1, keepdims=True) for each in (found.answers.mean(axis=-1), status.mean(axis=-1))]
    assert np.corrcoef(*(each.ravel() for each in seeds))[0, 1] > 0.3
