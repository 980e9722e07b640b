"""The result of a contrast: its numbers, what they speak about, and the verdict that they allow."""

from dataclasses import dataclass, field

from scipy.special import stdtr

from analysis.combine import Combined, Population
from analysis.metrics import METRICS
from analysis.pairs import PairResult
from analysis.registration import Standing
from analysis.sentences import about, sentence
from analysis.statistics import BootstrapInterval, MeanInterval, PredictionInterval, equivalence_p
from analysis.values import Side
from analysis.verdicts import Verdict


@dataclass(frozen=True)
class ContrastResult:
    """A contrast and what came of it; whatever could not be computed is None, with the reason."""

    name: str
    question: str
    a: Side
    b: Side
    minus: tuple[Side, Side] | None
    """Of a difference of differences: the sides a and b of what is subtracted."""
    metric: str
    pairing: str
    margin: float | None
    alpha: float
    family: str | None
    checkpoint: str
    """Which checkpoint: ``last``, ``best_half``, ``mean_last``."""
    exclusions: tuple[str, ...]
    """Which runs are left out though they have values: ``failed_checks``."""
    combined: Combined
    """The sides on the questions and runs that entered."""
    planned: int
    """Runs planned on all sides together."""
    lost: dict[str, str]
    """Runs that did not enter, with the reason."""
    excluded: dict[str, str]
    """Those of the lost that have values but were left out on purpose."""
    standing: Standing
    """Confirmatory or exploratory, and why."""
    verdict: Verdict
    bootstrap: BootstrapInterval | None = None
    """Over seeds and images; None where there is no interval over seeds."""
    checkpoints: tuple[PairResult, ...] = ()
    """Every pair of checkpoints that belong together, compared question by question."""
    p_adjusted: float | None = None
    adjustment: str = ""
    """How, and over how many tests."""
    p_equivalence_adjusted: float | None = None
    """Of the two one-sided tests, adjusted in the same way over those with a margin."""
    detectable: float | None = None
    """True difference that the design would have shown with the power that the study asks for, from the declared
    spread; None where none is declared."""
    detected_at: tuple[float, float] = (0.8, 0.05)
    """That power, and the level of the test: Holm's strictest, alpha over the family's size."""
    unread: dict[str, str] = field(default_factory=dict)
    """Runs that the start model of a side at step 0 was not read from, with the reason. It is one under every seed and
    was read from others, so they don't count as missing."""
    missing_sd: bool = field(default=False)
    """No spread is declared, so nothing can be said about that."""

    @property
    def interval(self) -> MeanInterval | None:
        """Of a minus b at ``1 - alpha``, in the metric's unit."""
        return self.combined.interval

    @property
    def equivalence(self) -> MeanInterval | None:
        """The same at ``1 - 2 alpha``: the interval that decides equivalence."""
        return None if self.interval is None else self.interval.at(1.0 - 2.0 * self.alpha)

    @property
    def prediction(self) -> PredictionInterval | None:
        """Where the difference of single further runs falls."""
        return self.combined.prediction()

    @property
    def method(self) -> str:
        """The interval that was computed; ``none`` without an estimate."""
        return self.combined.method

    @property
    def population(self) -> Population:
        """What the interval speaks about."""
        return self.combined.population

    @property
    def about(self) -> str:
        """The same in words, with the number of runs and questions."""
        return about(self)

    @property
    def per_seed(self) -> dict[str, float]:
        """Question-paired difference of each seed (or of the two checkpoints)."""
        return self.combined.per_seed

    @property
    def reason(self) -> str:
        """Why there is no estimate or no interval; empty otherwise."""
        return self.combined.reason

    @property
    def sentence(self) -> str:
        """The result in sentences."""
        return sentence(self)

    @property
    def sides(self) -> tuple[Side, ...]:
        """a, b, and what is subtracted."""
        return (self.a, self.b, *(self.minus or ()))

    @property
    def ns(self) -> tuple[int, ...]:
        """Runs that entered, by side."""
        return self.combined.ns

    @property
    def unit(self) -> str:
        """Unit of estimate, interval and margin."""
        return METRICS[self.metric].unit

    @property
    def missing(self) -> int:
        """Planned runs of the sides that did not enter."""
        return len(self.lost)

    @property
    def p(self) -> float | None:
        """Two-sided p-value against 0; None without an interval over what the contrast is about: one seed of a method
        says nothing about the method, however sure it is of its questions."""
        about_others = self.population == "checkpoints" and any(part.values.random for part in self.combined.parts)
        return None if self.interval is None or about_others else self.interval.p

    @property
    def p_equivalence(self) -> float | None:
        """p-value of the two one-sided tests against the margin; None without one, or as `p`."""
        if self.margin is None or self.interval is None or self.p is None:
            return None
        return equivalence_p(self.interval, self.margin)

    @property
    def p_beyond(self) -> float | None:
        """Two-sided p-value against the nearer end of the margin (0 without one); None as `p`."""
        if self.interval is None or self.p is None or self.interval.df is None or not self.interval.standard_error:
            return None
        distance = max(0.0, abs(self.interval.mean) - (self.margin or 0.0))
        return 2.0 * float(stdtr(self.interval.df, -distance / self.interval.standard_error))

    @property
    def direction_survives(self) -> bool:
        """The direction holds after adjustment too."""
        return self.p_adjusted is not None and self.p_adjusted <= self.alpha

    @property
    def equivalence_survives(self) -> bool:
        """Equivalence within the margin holds after adjustment too."""
        return self.p_equivalence_adjusted is not None and self.p_equivalence_adjusted <= self.alpha

    @property
    def survives(self) -> bool:
        """All that the verdict says holds after adjustment too."""
        return (self.verdict.direction is None or self.direction_survives) and (
            not self.verdict.equivalent or self.equivalence_survives
        )

    @property
    def labels(self) -> tuple[str, str]:
        """Short names of a and b; of a difference of differences, of the two differences."""
        first = _labels(self.a, self.b)
        if self.minus is None:
            return first
        second = _labels(*self.minus)
        return f"({first[0]} − {first[1]})", f"({second[0]} − {second[1]})"


def _labels(a: Side, b: Side) -> tuple[str, str]:
    """The arm, and whatever is not its default or differs between the sides."""
    same_arm, other_rule, other_step = a.arm == b.arm, a.rule != b.rule, a.step != b.step
    shown = []
    for side in (a, b):
        parts = [] if side.own and (other_step or not same_arm) else [side.protocol]
        parts += [side.rule] if other_rule and side.rule else []
        if side.step is not None:
            parts.append(f"step {side.step}")
        elif other_step and same_arm:
            parts.append("last step")
        shown.append(side.arm + (f" ({', '.join(parts)})" if parts else ""))
    return shown[0], shown[1]
