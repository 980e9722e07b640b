"""State of every stage and run of a plan, read off the store."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.record.attempts import last_log
from harness.record.folders import NEEDED, Store
from harness.record.status import State, Status
from harness.study.stage import Stage

if TYPE_CHECKING:
    from harness.study.expand import Plan

_WORST_FIRST: tuple[State, ...] = ("failed", "blocked", "interrupted", "running", "queued", "missing")


@dataclass(frozen=True)
class StageState:
    """State of one stage."""

    state: State
    reason: str = ""
    """Why it is not done; empty when it is."""
    log: Path | None = None
    """Log of the latest attempt."""
    status: Status | None = None
    """What that attempt wrote last."""
    shipped: bool = False


def stage_state(stage: Stage, store: Store) -> StageState:
    """State of a stage by its own folder alone: never ``blocked``."""
    folder = store.folder(stage.id)
    own = store.own_folder(stage.id)
    status, log = own.status(), last_log(own)
    if own.is_locked():
        return StageState("running", "a job is at work on it", log, status)
    if folder.is_done(stage):
        return StageState("done", "", log, status, folder.shipped)
    if status is None:
        return StageState("missing", "never started", log)
    if status.state == "failed":
        return StageState("failed", status.reason, log, status)
    if status.state == "running":
        return StageState("interrupted", f"attempt {status.attempt} ended without a word (killed?)", log, status)
    if status.state == "done":
        reason = "outputs are incomplete or lack a requested checkpoint"
        return StageState("missing", reason, log, status)
    return StageState("interrupted", status.reason, log, status)


def needed_checkpoints(stages: Mapping[str, Stage], store: Store) -> dict[str, set[int]]:
    """Steps of the checkpoints that stages still to do read, by the id of the stage that keeps them.

    A stage that is done but for a cleaned checkpoint that is needed again is itself to do, and so needs its inputs.

    Args:
        stages: by id, inputs before what reads them.
    """
    needed: dict[str, set[int]] = {stage_id: set() for stage_id in stages}
    for stage_id, stage in reversed(list(stages.items())):
        if store.is_done(_in_need(stage, needed[stage_id])):
            continue
        for role, source in stage.inputs.items():
            kept = stages[source].cosmetic.get("checkpoints", []) if source in stages else []
            if kept and role == "model" and stage.kind == "evaluate":
                needed[source].update(stage.settings["steps"])
            elif kept:
                needed[source].add(max(kept))  # what trains on, or adapts, a model takes its last
    return needed


def _in_need(stage: Stage, steps: set[int]) -> Stage:
    return replace(stage, cosmetic={**stage.cosmetic, NEEDED: sorted(steps)}) if steps else stage


def with_needs(plan: "Plan", store: Store) -> "Plan":
    """The plan with every stage knowing which of its checkpoints are still to be read: cleaned ones are made anew."""
    needed = needed_checkpoints(plan.stages, store)
    return replace(plan, stages={key: _in_need(stage, needed[key]) for key, stage in plan.stages.items()})


def stage_states(plan: "Plan", store: Store) -> dict[str, StageState]:
    """State of every stage. One that is not done and whose input failed or is blocked is itself blocked."""
    steps = needed_checkpoints(plan.stages, store)
    states = {stage_id: stage_state(_in_need(stage, steps[stage_id]), store) for stage_id, stage in plan.stages.items()}
    return block(plan, states)


def block(plan: "Plan", states: Mapping[str, StageState]) -> dict[str, StageState]:
    """States with those that are to do and need what failed as ``blocked``."""
    found: dict[str, StageState] = {}
    for stage_id, stage in plan.stages.items():  # inputs come before those that read them
        found[stage_id] = state = states[stage_id]
        if state.state in ("done", "running", "queued", "blocked"):
            continue
        for needed in stage.inputs.values():
            if needed in found and found[needed].state in ("failed", "blocked"):
                root = needed if found[needed].state == "failed" else found[needed].reason.rpartition(" ")[2]
                found[stage_id] = StageState("blocked", f"needs the failed {root}", state.log, state.status)
                break
    return found


def run_states(plan: "Plan", states: Mapping[str, StageState]) -> dict[str, tuple[State, str]]:
    """State and reason of every run: ``done`` when all its stages are, else that of its worst stage."""
    found: dict[str, tuple[State, str]] = {}
    for run in plan.runs:
        own = {stage_id: states[stage_id] for stage_id in run.stages}
        found[run.id] = ("done", "")
        for state in _WORST_FIRST:
            of_that = [stage_id for stage_id, each in own.items() if each.state == state]
            if of_that:
                found[run.id] = (state, f"{of_that[0]}: {own[of_that[0]].reason}")
                break
    return found


def stage_labels(plan: "Plan") -> dict[str, str]:
    """A short readable name of every stage: its kind and the first run, of how many, that uses it."""
    users: dict[str, list[str]] = {}
    for run in plan.runs:
        ends = {run.start: "", **({run.train: ""} if run.train else {})}
        ends |= {each.stage: f" {each.protocol} {each.phase}" for each in run.evaluations}
        for stage_id, suffix in ends.items():
            users.setdefault(stage_id, []).append(run.id + suffix)
    labels = {}
    for stage_id, stage in plan.stages.items():
        of = users.get(stage_id, [])
        if stage.kind not in ("sft", "grpo", "evaluate") or not of:
            labels[stage_id] = stage.kind
        else:
            labels[stage_id] = f"{stage.kind} {of[0]}" + (f" (+{len(of) - 1} runs)" if len(of) > 1 else "")
    return labels
