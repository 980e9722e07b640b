"""What is simulated for the coverage table, and what is checked on it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from analysis.coverage import checks
from analysis.coverage.case import Case
from analysis.coverage.checks import CHECKPOINTS, FURTHER, LIKE_THESE, ON_THESE
from analysis.coverage.reading import Reading
from analysis.coverage.simulate import Model


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    method: str
    truth: str
    hit: Callable[[Case], float]
    """1 where the interval holds the truth, or where the test errs; a share where there are several."""
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
    reading: Reading | None = None
    """Which answers can be read; all of them by default."""


def _error(
    method: str, hit: Callable[[Case], float], measure: str = "error", truth: str = ON_THESE, part: float = 1.0
) -> Check:
    return Check(method, truth, hit, measure, 5.0, part)


SHARED_LUCK = Model(seed_correlation=0.6)
CLOSE_SEEDS = Model(seed_sd=0.2, seed_correlation=0.8)
WIDER = Model(seed_factors=(2.6, 1.0))
"""The first method's runs spread twice as far in accuracy, the chance in single answers included."""
COLLAPSING = Model(collapse_rate=0.1, collapse_depth=0.76)
"""By 20 percentage points."""
EQUAL = (0.0,) * 6
DIFFERENCES = (
    Check("contrast, Welch", ON_THESE, lambda c: checks.contrast_holds(c, c.on_these)),
    Check("contrast, paired", ON_THESE, lambda c: checks.contrast_holds(c, c.on_these, paired=True)),
    Check("prediction of a printed difference", FURTHER, lambda c: checks.predicts_difference(c, paired=False)),
)
"""What unusual spreads of seeds do to."""


def _split(paired: bool) -> tuple[Check, ...]:
    return (
        Check("gain split: now parsed", ON_THESE, lambda c: checks.split_holds(c, "now_parsed", paired), part=0.2),
        Check("gain split: now right", ON_THESE, lambda c: checks.split_holds(c, "now_right", paired), part=0.2),
    )


SCENARIOS = (
    Scenario(
        "independent seeds",
        (0.0, -0.3, 0.1, 0.0),
        (
            Check("t interval of a mean", ON_THESE, lambda c: checks.mean_holds(c, c.on_these)),
            Check("t interval of a mean, not its claim", LIKE_THESE, lambda c: checks.mean_holds(c, c.like_these)),
            Check("contrast, Welch", ON_THESE, lambda c: checks.contrast_holds(c, c.on_these)),
            Check("contrast, Welch, not its claim", LIKE_THESE, lambda c: checks.contrast_holds(c, c.like_these)),
            Check("contrast against a constant", ON_THESE, checks.against_constant),
            Check("difference of differences, four arms", ON_THESE, lambda c: checks.interaction(c, 0, 1, 2, 3)),
            Check("difference of differences, a shared arm", ON_THESE, lambda c: checks.interaction(c, 0, 1, 1, 2)),
            Check("prediction of one more run", FURTHER, checks.predicts),
            Check("prediction of a printed difference", FURTHER, lambda c: checks.predicts_difference(c, paired=False)),
            _error("verdict: equivalent at the margin, Welch", checks.claims_equivalence),
            Check("two-level bootstrap", LIKE_THESE, lambda c: checks.two_level(c, paired=False), part=0.2),
            Check("percentile bootstrap over seeds, a mean", ON_THESE, checks.mean_seed_bootstrap, part=0.5),
            Check("percentile bootstrap over seeds", ON_THESE, checks.seed_bootstrap, part=0.5),
            Check("percentile bootstrap, seeds drawn for each task", ON_THESE, checks.task_bootstrap, part=0.5),
            Check(
                "percentile bootstrap, rows pooled", ON_THESE, lambda c: checks.row_bootstrap(c, c.on_these), part=0.5
            ),
            Check(
                "percentile bootstrap, rows pooled",
                LIKE_THESE,
                lambda c: checks.row_bootstrap(c, c.like_these),
                part=0.5,
            ),
        ),
        further=2,
    ),
    Scenario(
        "paired seeds",
        (0.0, -0.3, 0.1),
        (
            Check("contrast, paired", ON_THESE, lambda c: checks.contrast_holds(c, c.on_these, paired=True)),
            Check(
                "difference of differences, a shared arm, paired",
                ON_THESE,
                lambda c: checks.interaction(c, 0, 1, 1, 2, paired=True),
            ),
            _error("verdict: equivalent at the margin, paired", lambda c: checks.claims_equivalence(c, paired=True)),
            Check("two-level bootstrap, paired", LIKE_THESE, lambda c: checks.two_level(c, paired=True), part=0.2),
        ),
        SHARED_LUCK,
    ),
    Scenario(
        "closely paired seeds",
        (0.0, -0.3),
        (
            Check("one arm at two steps, within runs", ON_THESE, checks.within_runs),
            Check(
                "prediction of a printed difference, ours paired",
                FURTHER,
                lambda c: checks.predicts_difference(c, paired=True),
            ),
            Check("the same from our pairs' differences", FURTHER, checks.pairs_predict_difference),
        ),
        CLOSE_SEEDS,
        further=2,
    ),
    Scenario(
        "one method, six names",
        EQUAL,
        (
            _error("verdict: direction, Welch", checks.claims_direction),
            _error("direction, 5 contrasts, Holm", lambda c: checks.any_direction(c, True), "family-wise error"),
            _error("direction, 5 contrasts, unadjusted", lambda c: checks.any_direction(c, False), "family-wise error"),
        ),
        same_images=True,
    ),
    Scenario(
        "one method, two names, paired",
        (0.0, 0.0),
        (_error("verdict: direction, paired", lambda c: checks.claims_direction(c, paired=True)),),
        SHARED_LUCK,
        same_images=True,
    ),
    Scenario(
        "five arms at the margin",
        (0.0, *(-0.3,) * 5),
        (
            _error("equivalence, 5 contrasts, Holm", lambda c: checks.any_equivalence(c, True), "family-wise error"),
            _error(
                "equivalence, 5 contrasts, unadjusted", lambda c: checks.any_equivalence(c, False), "family-wise error"
            ),
        ),
        same_images=True,
    ),
    Scenario(
        "three of five arms equal",
        (0.0, 0.0, 0.0, 0.0, 0.2, 0.2),
        (_error("direction, 5 contrasts, Benjamini-Hochberg", checks.false_share, "false discovery rate"),),
        same_images=True,
    ),
    Scenario("answers that can't be read", (0.0, -0.3), _split(paired=False), reading=Reading((1.5, 0.8))),
    Scenario(
        "answers that can't be read, paired", (0.0, -0.3), _split(paired=True), SHARED_LUCK, reading=Reading((1.5, 0.8))
    ),
    Scenario("one arm with twice the spread", (0.0, -0.3), DIFFERENCES, WIDER, further=2),
    Scenario(
        "an arm whose runs collapse",
        (0.0, -0.3, 0.0),
        (
            Check("t interval of a mean", ON_THESE, lambda c: checks.mean_holds(c, c.on_these)),
            Check("contrast against a constant", ON_THESE, checks.against_constant),
            *DIFFERENCES,
        ),
        COLLAPSING,
        further=2,
    ),
    Scenario(
        "two checkpoints",
        (0.0, -0.3),
        (
            Check("contrast of two checkpoints", CHECKPOINTS, checks.checkpoints_hold),
            Check("the same, clusters ignored", CHECKPOINTS, checks.unclustered),
            _error(
                "verdict: equivalent at the margin, two checkpoints",
                checks.checkpoints_equivalent,
                truth=CHECKPOINTS,
            ),
        ),
        single=True,
    ),
    Scenario(
        "two equal checkpoints",
        (0.0, 0.0),
        (
            _error(
                "verdict: direction, two checkpoints",
                lambda c: c.checkpoint_result().verdict.direction is not None,
                truth=CHECKPOINTS,
            ),
            _error("sign flip over clusters", checks.sign_flip, truth=CHECKPOINTS, part=0.5),
            _error("McNemar's exact test", checks.mcnemar, truth=CHECKPOINTS, part=0.5),
        ),
        Model(seed_sd=0.0),
        single=True,
    ),
)
"""Everything that the table is about."""
