"""What one more seed costs."""

import pytest

from harness.study import Measured
from harness.study.estimate import estimate
from harness.study.seed_costs import seed_costs

REAL = (
    "world=null",
    "data={train: {hub: {id: a/b, files: [c]}, first_rows: 1000}, test: {hub: {id: a/c, files: [d]}}}",
    "models.base={hub: {id: Qwen/Qwen2-VL-2B}}",
)


def gpu_hours(plan) -> tuple[float, float]:
    found = [each.gpu_hours for each in estimate(plan).values()]
    return sum(low for low, _ in found), sum(high for _, high in found)


def two_runs(plan):
    """An arm that has seeds and its runs of seeds 0 and 1."""
    arm = next(arm.name for arm in plan.arms if arm.has_seeds)
    return (arm, *(next(run for run in plan.runs if run.arm == arm and run.seed == seed) for seed in (0, 1)))


def test_two_more_seeds_cost_twice_that_of_all_arms(plan):
    few, many = plan(*REAL, "seeds=[0]"), plan(*REAL, "seeds=[0, 1, 2]")
    costs = seed_costs(few.study)
    assert costs.gpu
    assert not costs.measured
    assert set(costs.hours) == {arm.name for arm in few.arms if arm.has_seeds}
    assert set(costs.hours) < {arm.name for arm in few.arms}
    for end in (0, 1):
        assert gpu_hours(many)[end] - gpu_hours(few)[end] == pytest.approx(
            2 * sum(hours[end] for hours in costs.hours.values())
        )


def test_on_a_cpu_the_hours_are_a_cores(plan):
    made = plan("seeds=[0, 1]")
    costs = seed_costs(made.study)
    assert not costs.gpu
    arm, run, other = two_runs(made)
    seconds = estimate(made)
    own = sum(seconds[stage].seconds for stage in set(run.stages) - set(other.stages))
    assert costs.hours[arm] == (pytest.approx(own / 3600), pytest.approx(own / 3600))


def test_what_was_timed_is_taken(plan):
    made = plan("seeds=[0, 1]")
    timed = [Measured(stage, 100.0) for stage in made.stages.values()]
    costs = seed_costs(made.study, timed)
    assert costs.measured
    arm, run, other = two_runs(made)
    own = len(set(run.stages) - set(other.stages))
    assert own > 1
    assert costs.hours[arm] == (pytest.approx(own / 36), pytest.approx(own / 36))
