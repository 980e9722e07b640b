"""Which simulated answers could be read, and the truth about the two parts of a gain.

A run's answer can be read where

    level of the method + loading x effect of the seed + effect of the question + own residual  >  0,

so that runs that are right more often are read more often too. What can't be read isn't right.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import ndtr

from analysis.coverage.simulate import Model, Studies

NODES = 7
"""Of each of two Gauss-Hermite sums over seed effects, which are small beside the residual."""


@dataclass(frozen=True)
class Reading:
    """Two methods' levels and the effects, on the latent scale."""

    levels: tuple[float, float]
    loading: float = 2.0
    """Of the seed effects that decide what is right."""
    question_sd: float = 0.5


@dataclass(frozen=True)
class Read:
    """What could be read, and what is true of the first method's gain over the second, in percentage points."""

    read: np.ndarray
    """Shape (studies, 2, seeds, questions), boolean."""
    now_parsed: np.ndarray
    """Right where the other's answer can't be read, minus the reverse: over all pairs of runs that belong together (or
    over all pairs), on these questions, shape (studies,)."""
    now_right: np.ndarray
    """The same where both can be read, shape (studies,)."""


def read(found: Studies, model: Model, reading: Reading, rng: np.random.Generator) -> Read:
    """Parse status of two methods' answers; the answers that it leaves right are ``found.answers & read``."""
    studies, methods, _, questions = found.answers.shape
    assert methods == 2, "a gain is of two methods"
    levels = np.array(reading.levels, dtype=np.float32)
    ease = reading.question_sd * rng.standard_normal((studies, questions), dtype=np.float32)
    latent = rng.standard_normal(found.answers.shape, dtype=np.float32)
    latent += levels[:, None, None] + ease[:, None, None] + reading.loading * found.seed_effects[..., None]
    parts = [_truth(found.fixed[i].astype(float), levels + ease[i, :, None], model, reading) for i in range(studies)]
    now_parsed, now_right = np.array(parts).T
    return Read(latent > 0.0, now_parsed, now_right)


def _truth(fixed: np.ndarray, readable: np.ndarray, model: Model, reading: Reading) -> tuple[float, float]:
    """Both parts by Gauss-Hermite sums over what the seeds share and over each method's own.

    Args:
        fixed: shape (2, questions).
        readable: what all runs' parse status has in common, shape (questions, 2).
    """
    nodes, weights = hermegauss(NODES)
    weights = weights / weights.sum()
    rho, sds = model.seed_correlation, model.seed_sds(2)
    right_scale = math.sqrt(model.checkpoint_image_sd**2 + 1.0)
    effects = math.sqrt(rho) * nodes[:, None] + math.sqrt(1.0 - rho) * nodes  # shared by own
    reads, rights = [], []
    for method in range(2):
        seed = sds[method] * effects[..., None]
        p = ndtr(readable[:, method] + reading.loading * seed)
        c = p * ndtr((fixed[method] + seed) / right_scale)
        reads.append(np.einsum("seq,e->sq", p, weights))
        rights.append(np.einsum("seq,e->sq", c, weights))

    def mean(of: np.ndarray) -> float:
        return 100.0 * float((weights @ of).mean())

    (c_a, c_b), (p_a, p_b) = rights, reads
    return mean(c_a * (1.0 - p_b) - c_b * (1.0 - p_a)), mean(c_a * p_b - c_b * p_a)
