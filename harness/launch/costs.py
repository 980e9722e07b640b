"""What a study has cost so far, by the ledger of all attempts, and what is left to pay."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.launch.slurm.script import gpus_of
from harness.launch.slurm.submit import stage_resources
from harness.record.attempts import list_attempts
from harness.record.folders import StageFolder, Store
from harness.record.states import StageState
from harness.study.description import format_hours
from harness.study.estimate import Measured, estimate
from harness.study.resources import ByKind, processes_of
from harness.study.stage import REVISIONS, Stage

if TYPE_CHECKING:
    from harness.study.expand import Plan

GOES_ON = ("timed out", "preempted", "interrupted", "cancelled", "node failed", "killed", "lost", "out of memory")
"""Ends of attempts whose work the next one goes on from."""

SHARE = 0.1
"""An attempt that came so far tells how long all would take; before, it tells of imports and loading."""


@dataclass(frozen=True)
class Cost:
    """GPU-hours of a study."""

    used: float
    """Of all attempts at its stages, failed and preempted ones too, whichever study they were made for."""
    low: float
    """Estimated of what is still to do, from and to."""
    high: float
    measured: bool
    """Stages of the shape of all that is to do were timed."""

    def sentence(self) -> str:
        """``3.2 GPU-hours used, 12 to 40 to go (unmeasured)``."""
        basis = "" if self.measured or not self.high else " (unmeasured)"
        return f"{format_hours(self.used, self.used)} GPU-hours used, {format_hours(self.low, self.high)} to go{basis}"


def allocated_gpus(plan: "Plan", site: ByKind) -> dict[str, int]:
    """GPUs that each stage gets, by stage id."""
    resources = stage_resources(plan, site)
    return {stage_id: gpus_of(resources[stage_id], processes_of(stage)) for stage_id, stage in plan.stages.items()}


def cost(
    plan: "Plan", store: Store, states: Mapping[str, StageState], measured: Iterable[Measured], site: ByKind
) -> Cost:
    """What a plan has cost and will cost."""
    estimates = estimate(plan, measured, allocated_gpus(plan, site))
    used = low = high = 0.0
    basis = True
    for stage_id, state in states.items():
        used += sum(each.get("gpu_seconds") or 0.0 for each in list_attempts(store.own_folder(stage_id))) / 3600
        if state.state == "done":
            continue
        status = state.status
        left = 1.0 - status.step / status.total if status is not None and status.total else 1.0
        if state.state == "running" and status is not None and status.started:
            gpus = list_attempts(store.own_folder(stage_id))[-1].get("gpus", 0)
            used += max(0.0, status.updated - status.started) * gpus / 3600
        low, high = low + left * estimates[stage_id].gpu_hours[0], high + left * estimates[stage_id].gpu_hours[1]
        basis = basis and (estimates[stage_id].measured or not estimates[stage_id].gpus)
    return Cost(used, low, high, basis)


def over_budget(found: Cost, budget: float | None) -> str | None:
    """Why a budget in GPU-hours is too small; None when it isn't, or there is none."""
    if budget is None or found.used + found.high <= budget:
        return None
    return (
        f"the budget is {budget:g} GPU-hours, and {found.sentence()}, which makes up to "
        f"{found.used + found.high:.3g}; raise --budget or make the study smaller"
    )


def measured_stages(store: Store) -> list[Measured]:
    """Times of all stages in the store, of whichever study: of finished ones the time of all attempts that went into
    them, of first attempts that came some steps far the time that all of their steps would take."""
    found = []
    for path in sorted(store.root.glob("*/stage.json")):
        folder = store.own_folder(path.parent.name)
        record, done, status = folder.stage_record(), folder.done_record(), folder.status()
        if record.get("kind") not in REVISIONS:
            continue
        seconds = None
        if done is not None and done.get("seconds"):
            seconds = done["seconds"] + _earlier_seconds(folder, done.get("attempt") or 1)
        elif status is not None and status.attempt == 1 and SHARE * status.total <= status.step < status.total:
            seconds = (status.updated - status.started) / status.step * status.total
        if seconds:
            found.append(Measured(Stage(record["kind"], record["settings"], record["inputs"]), seconds))
    return found


def _earlier_seconds(folder: StageFolder, attempt: int) -> float:
    """Of the attempts that a finished one went on from: those since the stage was last done, if ever."""
    seconds = 0.0
    for each in reversed(list_attempts(folder) if attempt > 1 else []):
        if each["attempt"] >= attempt:
            continue
        if each["exit"] == "completed":
            break
        seconds += (each["seconds"] or 0.0) if each["exit"] in GOES_ON else 0.0
    return seconds
