"""How a declared contrast will be tested, and what that test can see: known before anything is computed.

The spread over seeds is the declared one. From the spread observed in the same runs "observed power" would only say the
p-value again (Hoenig & Heisey 2001, The American Statistician 55:19); that of a pilot's runs is another matter, see
`analysis.pilot`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from analysis.statistics import Design, checkpoint_detectable, checkpoint_power, detectable, power_of, seeds_needed

COEFFICIENTS = (1.0, -1.0, -1.0, 1.0)
"""Signs of the sides ``a``, ``b``, ``minus.a`` and ``minus.b`` of a contrast."""
MOST_SEEDS = 1000

Kind = Literal["welch", "paired", "within", "constant", "questions", "none"]
TESTS: dict[Kind, str] = {
    "welch": "Welch t over unpaired seeds",
    "paired": "t over seed-paired differences",
    "within": "t over differences within runs",
    "constant": "t over seeds against a known constant",
    "questions": "t over questions, clustered by image",
    "none": "none",
}
SHORT: dict[Kind, str] = {
    "welch": "Welch t",
    "paired": "paired t",
    "within": "t within runs",
    "constant": "t",
    "questions": "questions",
    "none": "none",
}
"""The same where there is little room."""


@dataclass(frozen=True)
class Spread:
    """What a power calculation takes for granted about one contrast."""

    sd: float | None
    """Standard deviation of one run's value over seeds, in the metric's unit."""
    sd_from: str
    """``declared``, ``measured, 14 df``, ``given``; empty without an SD."""
    correlation: float = 0.0
    """Of runs of equal seeds of two sides; counts only where the contrast is paired."""
    discordance: float = 0.2
    """Share of the questions that one of two checkpoints answers right and the other wrong."""
    discordance_from: str = "declared"
    design_effect: float = 1.0
    """Variance of a difference over that of as many questions without shared images."""


@dataclass(frozen=True)
class PlannedTest:
    """The test that the analysis will make of a contrast with so many runs."""

    kind: Kind
    coefficients: tuple[float, ...]
    """Weight of each side that has seeds; sides of the same runs asked and read alike are one."""
    ns: tuple[int, ...]
    """Runs of each of them."""
    groups: tuple[int, ...]
    """Number of each one's group: runs of one group belong together, seed by seed."""
    reason: str = ""
    """Why there is no test, or nothing is known about the spread of what it tests; empty otherwise."""

    @property
    def name(self) -> str:
        return TESTS[self.kind]

    @property
    def short(self) -> str:
        return SHORT[self.kind]

    @property
    def paired(self) -> bool:
        """Whether a correlation of sides at the same seed matters."""
        return len(set(self.groups)) < len(self.groups)

    def design(self, correlation: float, seeds: int | None = None) -> Design:
        """For the power functions.

        Args:
            correlation: of two sides at the same seed.
            seeds: runs of each side that has seeds; those of the plan when left out.
        """
        weights = self.weights(correlation)
        if len(set(self.groups)) == 1:
            ns = self.ns
        else:
            ns = tuple(self.ns[self.groups.index(group)] for group in dict.fromkeys(self.groups))
        ns = ns if seeds is None else (seeds,) * len(weights)
        return Design(weights, ns, self._one_group, correlation if self._one_group else 0.0)

    @property
    def _one_group(self) -> bool:
        return self.paired and len(set(self.groups)) == 1

    def weights(self, correlation: float) -> tuple[float, ...]:
        """Of independent samples: the sides' own, or for each of several groups the one that has its sum's spread.

        Of one run's sum ``Σ c_i x_i`` the variance is ``s² (Σ c_i² + r ((Σ c_i)² - Σ c_i²))``.
        """
        if len(set(self.groups)) == 1:
            return self.coefficients
        made = []
        for group in dict.fromkeys(self.groups):
            own = [c for c, each in zip(self.coefficients, self.groups, strict=True) if each == group]
            squares = sum(c * c for c in own)
            made.append(math.sqrt(squares + correlation * (sum(own) ** 2 - squares)))
        return tuple(made)

    def power(self, difference: float, spread: Spread, alpha: float, questions: int | None) -> float | None:
        """Probability that a true difference is found, at a level; None where the spread isn't known.

        Of Welch's test with its degrees of freedom estimated, as the analysis will have to.
        """
        if self.reason:
            return None
        if self.kind == "questions" and questions:
            return checkpoint_power(questions, spread.discordance, difference, alpha, spread.design_effect)
        if self.kind == "questions" or spread.sd is None:
            return None
        return power_of(self.design(spread.correlation), difference, spread.sd, alpha, estimated_df=True)

    def detectable(
        self, spread: Spread, alpha: float, power: float, questions: int | None, estimated_df: bool = True
    ) -> float | None:
        """Smallest true difference that is found with a probability; None where the spread isn't known.

        Args:
            estimated_df: of Welch's test itself; else of the textbook's, which knows that the spreads are equal.
        """
        if self.reason:
            return None
        if self.kind == "questions" and questions:
            return checkpoint_detectable(questions, spread.discordance, alpha, power, spread.design_effect)
        if self.kind == "questions" or spread.sd is None:
            return None
        return detectable(self.design(spread.correlation), spread.sd, alpha, power, estimated_df=estimated_df)

    def seeds_needed(self, difference: float, spread: Spread, alpha: float, power: float) -> int | None:
        """Runs of each side with seeds; None where none has, where the spread isn't known, or over `MOST_SEEDS`."""
        if not self.coefficients or spread.sd is None:
            return None
        weights = self.weights(spread.correlation)
        correlation = spread.correlation if self._one_group else 0.0
        # Widened step by step: at a thousand seeds a large difference is so many errors from 0 that the noncentral t
        # distribution can't be evaluated any more, and a few seeds are enough for it anyway.
        for largest in (10, 30, 100, 300, MOST_SEEDS):
            found = seeds_needed(
                weights,
                self._one_group,
                difference,
                spread.sd,
                alpha,
                power,
                correlation,
                largest=largest,
                estimated_df=True,
            )
            if found is not None:
                return found
        return None


def planned_test(contrast: Mapping[str, Any], ns: Sequence[int | None]) -> PlannedTest:
    """The test of a contrast, by the rules of `analysis.combine`.

    Args:
        contrast: as in ``study.json``.
        ns: runs of each side (``a``, ``b``, and ``minus.a``, ``minus.b`` of a difference of differences); None for an
            arm without randomness, whose one run is a known constant.

    Raises:
        ValueError: not as many numbers as sides.
    """
    sides = sides_of(contrast)
    if len(ns) != len(sides):
        raise ValueError(f"contrast {contrast['name']!r} has {len(sides)} sides, but ns has {len(ns)} numbers: {ns}")
    random = [(sign, n, side) for sign, n, side in zip(COEFFICIENTS, ns, sides, strict=False) if n is not None]
    together = contrast["pairing"] == "seed" and len(random) > 1
    arms = list(dict.fromkeys(side["arm"] for _, _, side in random))
    weights: dict[tuple[Any, ...], float] = {}
    group_of: dict[tuple[Any, ...], int] = {}
    runs: dict[int, int] = {}
    for sign, n, side in random:
        condition = (side["arm"], side.get("protocol"), side.get("rule"), side.get("step"))
        weights[condition] = weights.get(condition, 0.0) + sign
        group = group_of[condition] = 0 if together else arms.index(side["arm"])
        runs[group] = min(n, runs.get(group, n))
    kept = [condition for condition, weight in weights.items() if weight]
    coefficients, groups = tuple(weights[each] for each in kept), tuple(group_of[each] for each in kept)
    counts = tuple(runs[group] for group in groups)

    def none(kind: Kind, reason: str) -> PlannedTest:
        return PlannedTest(kind, coefficients, counts, groups, reason)

    if any(n < 1 for n in counts):
        return none("none", "a side has no run")
    if all(n == 1 for n in counts):
        if len(sides) > 2:
            return none("questions", "one checkpoint on each of four sides: their discordance is not declared")
        if contrast["metric"] != "accuracy":
            reason = "one checkpoint on each side: discordance is of right and wrong answers alone"
            return none("questions", reason)
        return none("questions", "")
    if min(counts) == 1:
        return none("none", "one seed shows no spread: give both sides two")
    kind: Kind = "constant"
    if len(set(groups)) > 1:
        kind = "welch"
    elif len(random) > 1:
        kind = "within" if len(arms) == 1 else "paired"
    return PlannedTest(kind, coefficients, counts, groups)


def sides_of(contrast: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """a, b, and what is subtracted."""
    minus = contrast["minus"]
    return [contrast["a"], contrast["b"], *((minus["a"], minus["b"]) if minus else ())]


def declared_spread(contrast: Mapping[str, Any], power: Mapping[str, Any]) -> Spread:
    """What the study itself takes for granted.

    Args:
        power: the study's section ``power``.
    """
    return Spread(
        sd=contrast["seed_sd"],
        sd_from="" if contrast["seed_sd"] is None else "declared",
        correlation=power["seed_correlation"],
        discordance=power["discordance"],
        design_effect=power["design_effect"],
    )


def family_sizes(contrasts: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Tests in the family of each contrast, by the contrast's name; 1 outside of a family."""
    families = [each["family"] for each in contrasts]
    return {each["name"]: families.count(each["family"]) if each["family"] else 1 for each in contrasts}


def asked_questions(contrast: Mapping[str, Any], curve: Mapping[str, int], questions: int) -> int:
    """Questions that all sides of a contrast are asked.

    Args:
        curve: questions at the checkpoints before the last, by arm; 0 without a curve.
        questions: of the benchmark.
    """
    asked = questions
    for side in sides_of(contrast):
        on_curve = side["step"] is not None or contrast["checkpoint"] != "last"
        if on_curve and curve[side["arm"]]:
            asked = min(asked, curve[side["arm"]])
    return asked // 2 if contrast["checkpoint"] == "best_half" else asked


def default_difference(contrast: Mapping[str, Any], power: Mapping[str, Any]) -> float | None:
    """The smallest difference that matters: the study's for accuracy, the margin for other metrics."""
    return power["difference"] if contrast["metric"] == "accuracy" else contrast["margin"]


def detectable_effect(
    contrast: Mapping[str, Any],
    ns: Sequence[int | None],
    power: Mapping[str, Any],
    family_size: int,
    questions: int | None = None,
) -> float | None:
    """Smallest true difference that a design would have shown with the declared power, from the declared spread.

    Args:
        contrast: as in ``study.json``.
        ns: runs that entered, as in `planned_test`.
        power: the study's section ``power``.
        family_size: tests in the contrast's family (1 outside of one); the level is the strictest step of Holm's
            procedure, ``alpha / family_size``.
        questions: asked of both checkpoints, where each side is down to one.

    Returns:
        In the metric's unit; None where no spread is declared or there is no test.
    """
    test = planned_test(contrast, ns)
    return test.detectable(declared_spread(contrast, power), contrast["alpha"] / family_size, power["power"], questions)
