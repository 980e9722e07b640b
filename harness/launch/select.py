"""Which stages a verb about a run means."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from harness.record.states import StageState

if TYPE_CHECKING:
    from harness.study.expand import Plan


def dependants(plan: "Plan", stages: Iterable[str]) -> list[str]:
    """Stages and all that stand on them, inputs first."""
    found = set(stages)
    for stage_id, stage in plan.stages.items():  # inputs come before what reads them
        if found.intersection(stage.inputs.values()):
            found.add(stage_id)
    return [stage_id for stage_id in plan.stages if stage_id in found]


def to_retry(plan: "Plan", states: Mapping[str, StageState], run: str | None, failed_only: bool) -> list[str]:
    """Stages that failed (or were stopped or cancelled), what they need that is not there, and all that waits for them.

    Args:
        run: only what this run needs.
        failed_only: leave alone what did not fail.
    """
    wanted = ("failed",) if failed_only else ("failed", "interrupted")
    own = set(plan.stages) if run is None else set(next(each for each in plan.runs if each.id == run).stages)
    start = [each for each in own if states[each].state in wanted or (not failed_only and _cancelled(states[each]))]
    chosen = set(dependants(plan, start))
    for stage_id in reversed(list(plan.stages)):
        if stage_id in chosen:
            chosen.update(each for each in plan.stages[stage_id].inputs.values() if states[each].state != "done")
    return [stage_id for stage_id in plan.stages if stage_id in chosen and states[stage_id].state != "done"]


def _cancelled(state: StageState) -> bool:
    """It never began, and was taken out of the queue."""
    return state.state == "missing" and state.reason != "never started"


def to_cancel(plan: "Plan", run: str | None) -> list[str]:
    """Stages of a run that no other run needs, and all that stands on them; all stages without a run."""
    if run is None:
        return list(plan.stages)
    own = next(each for each in plan.runs if each.id == run).stages
    return dependants(plan, (each for each in own if plan.users(each) == (run,)))
