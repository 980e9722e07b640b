"""The simulated studies' truths are what an endless simulation comes to, and their parts vary as the model says."""

import numpy as np
import pytest

from analysis.statistics.simulate import Layout, Model, make_layout, simulate

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
    assert np.corrcoef(ranks.T)[0, 1] == pytest.approx(6 / np.pi * np.arcsin(0.3), abs=0.02)


def test_one_method_under_two_names_is_one_truth() -> None:
    same = simulate(SMALL, Model(), (0.2, 0.2), 2, 5, np.random.default_rng(4), same_images=True)
    assert (same.on_these[:, 0] == same.on_these[:, 1]).all()
    other = simulate(SMALL, Model(), (0.2, 0.2), 2, 5, np.random.default_rng(4))
    assert (other.on_these[:, 0] != other.on_these[:, 1]).all()
    assert (same.answers[:, 0] != same.answers[:, 1]).any()
