"""Studies simulated from a known truth: seed effects, hard and easy questions, several questions of one image.

A probit model of each answer, so that every truth has a formula: a run has a question right where

    ability of the method at the task + effect of the seed + effect of the image + effect of the question
    + effect of the image on the method + effect of the image on the checkpoint + own residual  >  0,

all effects normal with mean 0 and the residual's variance 1. Runs may spread more under one method than under another,
and those of the first may collapse now and then.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from analysis.collected import Layout


@dataclass(frozen=True)
class Model:
    """Abilities and standard deviations of the effects, on the latent scale."""

    abilities: tuple[float, ...] = (0.2, 0.9, 0.5, 0.0)
    """Of the method without advantage, at each task."""
    seed_sd: float = 0.08
    seed_factors: tuple[float, ...] = ()
    """Of each method, times ``seed_sd``; all 1 where empty."""
    seed_correlation: float = 0.0
    """Of the seed effects of two methods at the same seed."""
    collapse_rate: float = 0.0
    """Share of the first method's runs that collapse."""
    collapse_depth: float = 0.0
    """How much worse such a run is at every question."""
    image_sd: float = 0.4
    question_sd: float = 0.6
    method_image_sd: float = 0.3
    """An image's effect on all runs of one method."""
    checkpoint_image_sd: float = 0.7
    """An image's effect on one run alone: it misreads the image, and errs on all questions about it."""

    def seed_sds(self, methods: int) -> np.ndarray:
        """Of each method, shape (methods,)."""
        return self.seed_sd * np.array(self.seed_factors or (1.0,) * methods)

    @property
    def question_variance(self) -> float:
        """What differs from question to question for one run."""
        return self.image_sd**2 + self.question_sd**2 + self.method_image_sd**2 + self.checkpoint_image_sd**2 + 1.0


@dataclass(frozen=True)
class Studies:
    """Simulated studies and their truths, in percent."""

    answers: np.ndarray
    """Right or wrong, shape (studies, methods, seeds, questions)."""
    on_these: np.ndarray
    """The method on these questions: its mean accuracy over all seeds, shape (studies, methods)."""
    checkpoints: np.ndarray
    """These checkpoints: each run's mean accuracy over all questions like these, shape (studies, methods, seeds)."""
    like_these: np.ndarray
    """The method on questions like these: over all seeds and questions, shape (methods,)."""
    seed_effects: np.ndarray
    """On the latent scale, shape (studies, methods, seeds)."""
    fixed: np.ndarray
    """What a method's runs have in common at a question, on the latent scale, shape (studies, methods, questions)."""


def make_layout(questions: int = 600, per_image: float = 1.6, seed: int = 0) -> Layout:
    """Questions of four tasks, two on each half of the images; each image has 1 + Poisson(per_image - 1) questions."""
    rng = np.random.default_rng(seed)
    sizes = 1 + rng.poisson(per_image - 1.0, questions)
    images = np.repeat(np.arange(questions), sizes)[:questions]
    kinds = rng.integers(0, 2, questions)
    return Layout(images, 2 * kinds[images] + rng.integers(0, 2, questions))


def simulate(
    layout: Layout,
    model: Model,
    advantages: tuple[float, ...],
    seeds: int,
    studies: int,
    rng: np.random.Generator,
    *,
    same_images: bool = False,
) -> Studies:
    """Simulated studies of several methods, each with its seeds, all on the same questions.

    Args:
        advantages: added to each method's abilities.
        seeds: runs of each method; the i-th runs of two methods have one seed.
        studies: number of studies, each with questions of its own.
        same_images: images affect all methods alike: with equal advantages the methods are one and the same.
    """
    methods, questions, images = len(advantages), len(layout.images), int(layout.images.max()) + 1

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal((studies, *shape), dtype=np.float32)

    correlation, sds = model.seed_correlation, model.seed_sds(methods)
    seed = math.sqrt(correlation) * normal(1, seeds) + math.sqrt(1.0 - correlation) * normal(methods, seeds)
    seed *= sds[:, None].astype(np.float32)
    if model.collapse_rate:
        seed[:, 0] -= np.float32(model.collapse_depth) * (rng.random((studies, seeds)) < model.collapse_rate)
    difficulty = model.image_sd * normal(1, images)[..., layout.images] + model.question_sd * normal(1, questions)
    taste = model.method_image_sd * normal(1 if same_images else methods, images)[..., layout.images]
    abilities = np.add.outer(np.array(advantages), np.array(model.abilities))
    fixed = abilities[:, layout.tasks].astype(np.float32) + difficulty + taste
    latent = normal(methods, seeds, questions)
    latent += model.checkpoint_image_sd * normal(methods, seeds, images)[..., layout.images]
    latent += fixed[:, :, None]
    latent += seed[..., None]

    shares = np.bincount(layout.tasks, minlength=len(model.abilities)) / questions
    per_checkpoint = ndtr((abilities[None, :, None] + seed[..., None]) / math.sqrt(model.question_variance))
    run_variance = sds**2 + model.checkpoint_image_sd**2 + 1.0
    on_these = _over_runs(fixed, run_variance[:, None], model)
    like_these = _over_runs(abilities[None], (sds**2 + model.question_variance)[:, None], model)[0]
    return Studies(
        answers=latent > 0.0,
        on_these=100.0 * on_these.mean(axis=-1, dtype=np.float64),
        checkpoints=100.0 * (per_checkpoint @ shares),
        like_these=100.0 * (like_these @ shares),
        seed_effects=seed,
        fixed=fixed,
    )


def _over_runs(fixed: np.ndarray, variance: np.ndarray, model: Model) -> np.ndarray:
    """Share of right answers where what varies is normal, some runs of the first method collapsed.

    Args:
        fixed: shape (studies, methods, ...).
        variance: shape (methods, 1).
    """
    scale = np.sqrt(variance).astype(fixed.dtype)
    share = ndtr(fixed / scale)
    if model.collapse_rate:
        collapsed = ndtr((fixed[:, 0] - np.asarray(model.collapse_depth, fixed.dtype)) / scale[0])
        share[:, 0] += model.collapse_rate * (collapsed - share[:, 0])
    return share
