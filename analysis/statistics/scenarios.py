"""What is simulated for the coverage table, and what is checked on it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from analysis.statistics.checks import (
    CHECKPOINTS,
    LIKE_THESE,
    ON_THESE,
    Case,
    against_constant,
    clustered,
    difference,
    differs,
    equivalent,
    false_share,
    family_wise,
    holds,
    interaction,
    mcnemar,
    mean_holds,
    mean_seed_bootstrap,
    paired,
    predicts,
    row_bootstrap,
    seed_bootstrap,
    sign_flip,
    task_bootstrap,
    two_level,
    unadjusted,
    unclustered,
    welch,
)
from analysis.statistics.simulate import Model


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    method: str
    truth: str
    hit: Callable[[Case], float]
    """1 where the interval holds the truth, or where the test errs; a share for the false discovery rate."""
    measure: str = "coverage"
    nominal: float = 95.0
    """In percent: of an error, the most that is allowed."""
    part: float = 1.0
    """Done in such a part of the simulations, as it is slow."""


@dataclass(frozen=True)
class Scenario:
    """Methods to simulate, and what is checked on them."""

    name: str
    advantages: tuple[float, ...]
    checks: tuple[Check, ...]
    model: Model = field(default_factory=Model)
    same_images: bool = False
    further: int = 0
    """Seeds beside those observed."""
    single: bool = False
    """One run of each method, whatever the number of seeds."""


SHARED_LUCK = Model(seed_correlation=0.6)
EQUAL = (0.0,) * 6

SCENARIOS = (
    Scenario(
        "independent seeds",
        (0.0, -0.3, 0.1, 0.0),
        (
            Check("t interval of a mean", ON_THESE, lambda c: mean_holds(c, c.on_these)),
            Check("t interval of a mean, not its claim", LIKE_THESE, lambda c: mean_holds(c, c.like_these)),
            Check("Welch's t", ON_THESE, lambda c: holds(welch(c, 0, 1), difference(c.on_these))),
            Check("Welch's t, not its claim", LIKE_THESE, lambda c: holds(welch(c, 0, 1), difference(c.like_these))),
            Check("t against a known constant", ON_THESE, against_constant),
            Check("difference of differences, Welch-Satterthwaite", ON_THESE, interaction),
            Check("prediction interval of one more run", "one more run on these questions", predicts),
            Check("two-level bootstrap", LIKE_THESE, lambda c: two_level(c, paired=False), part=0.2),
            Check("percentile bootstrap over seeds, a mean", ON_THESE, mean_seed_bootstrap, part=0.5),
            Check("percentile bootstrap over seeds", ON_THESE, seed_bootstrap, part=0.5),
            Check("percentile bootstrap, seeds drawn for each task", ON_THESE, task_bootstrap, part=0.5),
            Check("percentile bootstrap, rows pooled", ON_THESE, lambda c: row_bootstrap(c, c.on_these), part=0.5),
            Check("percentile bootstrap, rows pooled", LIKE_THESE, lambda c: row_bootstrap(c, c.like_these), part=0.5),
            Check(
                "two one-sided tests at the margin, Welch",
                ON_THESE,
                lambda c: equivalent(welch(c, 0, 1), c),
                "error",
                5.0,
            ),
        ),
        further=1,
    ),
    Scenario(
        "paired seeds",
        (0.0, -0.3),
        (
            Check("paired t", ON_THESE, lambda c: holds(paired(c), difference(c.on_these))),
            Check("two-level bootstrap, paired", LIKE_THESE, lambda c: two_level(c, paired=True), part=0.2),
            Check(
                "two one-sided tests at the margin, paired",
                ON_THESE,
                lambda c: equivalent(paired(c), c),
                "error",
                5.0,
            ),
        ),
        SHARED_LUCK,
    ),
    Scenario(
        "one method under six names",
        EQUAL,
        (
            Check("direction of equal methods, Welch", ON_THESE, lambda c: differs(c.against_first[0]), "error", 5.0),
            Check("Holm, 5 contrasts against one arm", ON_THESE, family_wise, "family-wise error", 5.0),
            Check("no adjustment, 5 contrasts against one arm", ON_THESE, unadjusted, "family-wise error", 5.0),
        ),
        same_images=True,
    ),
    Scenario(
        "one method under two names, paired seeds",
        (0.0, 0.0),
        (Check("direction of equal methods, paired t", ON_THESE, lambda c: differs(paired(c)), "error", 5.0),),
        SHARED_LUCK,
        same_images=True,
    ),
    Scenario(
        "three equal methods of five",
        (0.0, 0.0, 0.0, 0.0, 0.2, 0.2),
        (Check("Benjamini-Hochberg, 3 of 5 contrasts equal", ON_THESE, false_share, "false discovery rate", 5.0),),
        same_images=True,
    ),
    Scenario(
        "two checkpoints",
        (0.0, -0.3),
        (
            Check("clustered interval", CHECKPOINTS, lambda c: holds(clustered(c), difference(c.checkpoints[:, 0]))),
            Check(
                "interval over questions, clusters ignored",
                CHECKPOINTS,
                lambda c: holds(unclustered(c), difference(c.checkpoints[:, 0])),
            ),
        ),
        single=True,
    ),
    Scenario(
        "two equal checkpoints",
        (0.0, 0.0),
        (
            Check("sign flip over clusters", CHECKPOINTS, sign_flip, "error", 5.0, part=0.5),
            Check("McNemar's exact test", CHECKPOINTS, mcnemar, "error", 5.0),
            Check("clustered interval, direction", CHECKPOINTS, lambda c: differs(clustered(c)), "error", 5.0),
        ),
        Model(seed_sd=0.0),
        single=True,
    ),
)
"""Everything that the table is about."""
