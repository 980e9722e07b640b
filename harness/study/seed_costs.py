"""What one more seed of each arm costs: the work that its runs don't share with other seeds."""

from collections.abc import Iterable
from dataclasses import dataclass

from harness.study.estimate import Measured, estimate
from harness.study.expand import plan_study
from harness.study.schema import Study


@dataclass(frozen=True)
class SeedCosts:
    """Estimated hours of one more seed, from and to."""

    hours: dict[str, tuple[float, float]]
    """By arm; arms without randomness are missing."""
    gpu: bool
    """GPU-hours; else hours of one core each."""
    measured: bool
    """Stages of the shape of all that a seed needs were timed."""


def seed_costs(study: Study, measured: Iterable[Measured] = ()) -> SeedCosts:
    """Of every arm that has seeds: the estimates of the stages by which two seeds differ (training and evaluations).

    Args:
        measured: finished stages with the time they took, of this study or another.
    """
    plan = plan_study(study.model_copy(update={"seeds": [0, 1]}))
    estimates = estimate(plan, measured)
    own: dict[str, set[str]] = {}
    for arm in plan.arms:
        if arm.has_seeds:
            first, second = (set(run.stages) for run in plan.runs if run.arm == arm.name)
            own[arm.name] = first - second
    found = [estimates[stage] for stages in own.values() for stage in stages]
    gpu = any(each.gpus for each in found)

    def hours(stages: set[str]) -> tuple[float, float]:
        ranges = [
            estimates[each].gpu_hours if gpu else (estimates[each].low / 3600, estimates[each].high / 3600)
            for each in sorted(stages)
        ]
        return sum(low for low, _ in ranges), sum(high for _, high in ranges)

    return SeedCosts(
        hours={arm: hours(stages) for arm, stages in own.items()},
        gpu=gpu,
        measured=all(each.measured for each in found if each.gpus or not gpu),
    )
