"""What `ablate run` and `ablate status` say of stages and runs."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from harness.launch.costs import Cost
from harness.launch.display import clock, numbers_text
from harness.launch.slurm.arrays import Array
from harness.launch.slurm.look import Look
from harness.launch.slurm.submit import Submitted
from harness.record.states import StageState, stage_labels
from harness.record.status import STATES
from harness.study.stage import REVISIONS
from harness.views.common import STYLES, RunStates, new_table, state_text

if TYPE_CHECKING:
    from harness.launch.progress import LocalRun
    from harness.record.folders import Store
    from harness.study.expand import Plan

MANY = 40
"""Rows of a table beyond which it is shortened."""


@dataclass(frozen=True)
class Overview:
    """All that `ablate status` tells."""

    plan: "Plan"
    store: "Store"
    look: Look
    runs: RunStates
    cost: Cost


def run_summary(run: "LocalRun", states: Mapping[str, StageState], store: "Store", log: Path) -> RenderableType:
    """What `ablate run` says at the end, before the comparison."""
    counts = Counter(run.phases.values())
    if run.interrupted:
        head = Text("interrupted; the same command goes on from here", "yellow")
    elif run.exit_code:
        parts = ", ".join(f"{counts[phase]} {phase}" for phase in ("failed", "blocked") if counts[phase])
        head = Text(f"{parts}; {counts['done']} of {len(run.phases)} stages done", "bold red")
    else:
        head = Text(f"{counts['done']} of {len(run.phases)} stages done", "green")
    lines: list[RenderableType] = [head]
    for stage_id, phase in run.phases.items():
        if phase == "failed":
            lines.append(Text(f"  {stage_id}: {run.reasons[stage_id]}"))
            lines.append(Text(f"    {states[stage_id].log or store.own_folder(stage_id).path}", "dim"))
    lines.append(Text(f"log {log}", "dim"))
    return Group(*lines)


def status_record(overview: Overview) -> dict[str, Any]:
    """What `ablate status --json` prints."""
    plan, store, tasks = overview.plan, overview.store, overview.look.tasks
    return {
        "study": plan.study.study,
        "runs": {run: {"state": state, "reason": reason} for run, (state, reason) in overview.runs.items()},
        "stages": {
            stage_id: {
                "kind": plan.stages[stage_id].kind,
                "state": each.state,
                "reason": each.reason,
                "log": str(each.log) if each.log else None,
                "folder": str(store.folder(stage_id).path),
                "step": each.status.step if each.status else None,
                "total": each.status.total if each.status else None,
                "numbers": each.status.numbers if each.status else {},
                "attempt": each.status.attempt if each.status else None,
                "shipped": each.shipped,
                "job": tasks[stage_id].job_id if stage_id in tasks else None,
            }
            for stage_id, each in overview.look.states.items()
        },
        "gpu_hours": {"used": overview.cost.used, "to_go": [overview.cost.low, overview.cost.high]},
        "scheduler": overview.look.trouble or None,
    }


def status_view(overview: Overview) -> RenderableType:
    """What `ablate status` shows: counts, stages by arm, and one by one what is not simply done or missing."""
    plan, states = overview.plan, overview.look.states
    parts: list[RenderableType] = []
    for what, found in (
        ("runs", [state for state, _ in overview.runs.values()]),
        ("stages", [each.state for each in states.values()]),
    ):
        counts = Counter(found)
        line = Text(f"{what:8}")
        for state in STATES:
            if counts[state]:
                line.append(f"{counts[state]} {state}  ", STYLES[state])
        parts.append(line)
    parts += [_arms(plan, states), *_runs(overview)]
    labels = stage_labels(plan)
    running = {key: each for key, each in states.items() if each.state == "running"}
    if running:
        parts.append(_running(running, overview, labels))
    parts += _queued({key: each for key, each in states.items() if each.state == "queued"}, labels)
    for stage_id, each in states.items():
        if each.state in ("failed", "interrupted"):
            parts.append(Text.assemble(state_text(each.state), f" {labels[stage_id]}: {each.reason}"))
            parts.append(Text(f"    {each.log or overview.store.own_folder(stage_id).path}", "dim"))
    if overview.cost.used or overview.cost.high:
        parts.append(Text(overview.cost.sentence()))
    if overview.look.trouble:
        parts.append(Text(f"only what the folders say, for {overview.look.trouble}", "red"))
    return Group(*parts)


def _arms(plan: "Plan", states: Mapping[str, StageState]) -> RenderableType:
    """Stages of every arm by kind and state; one that several arms need is counted with each."""
    present = {stage.kind for stage in plan.stages.values()}
    kinds = [kind for kind in REVISIONS if kind in present]
    table = new_table("arm", "runs", *kinds, right=("runs",))
    for arm in plan.arms:
        runs = [run for run in plan.runs if run.arm == arm.name]
        own = {stage_id for run in runs for stage_id in run.stages}
        cells = []
        for kind in kinds:
            counts = Counter(states[each].state for each in own if plan.stages[each].kind == kind)
            parts = [Text(f"{counts[state]} {state}", STYLES[state]) for state in STATES if counts[state]]
            cells.append(Text(" ").join(parts))
        table.add_row(arm.name, str(len(runs)), *cells)
    return table


def _runs(overview: Overview) -> list[RenderableType]:
    """All runs; of very many only those that are neither done nor still to come."""
    shown = dict(overview.runs)
    if len(shown) > MANY:
        shown = {run: found for run, found in shown.items() if found[0] not in ("done", "queued", "missing")}
    left_out = len(overview.runs) - len(shown)
    parts: list[RenderableType] = []
    if shown:
        table = new_table("run", "state", "why")
        for run, (state, reason) in list(shown.items())[:MANY]:
            table.add_row(run, state_text(state), reason)
        parts.append(table)
    if left_out or len(shown) > MANY:
        parts.append(Text(f"{max(left_out, len(overview.runs) - MANY)} more runs; --json has all", "dim"))
    return parts


def _running(running: Mapping[str, StageState], overview: Overview, labels: Mapping[str, str]) -> RenderableType:
    table = new_table("running", "step", "numbers", "for", "job", right=("step", "for"))
    for stage_id, each in list(running.items())[:MANY]:
        status = each.status
        step = f"{status.step}/{status.total}" if status and status.total else "starting"
        since = clock(time.time() - status.started) if status and status.started else ""
        job = overview.look.tasks[stage_id].job_id if stage_id in overview.look.tasks else ""
        numbers = numbers_text(status.numbers) if status else each.reason
        table.add_row(labels[stage_id], step, numbers, since, job)
    return table


def _queued(queued: Mapping[str, StageState], labels: Mapping[str, str]) -> list[RenderableType]:
    """Queued stages by reason."""
    by_reason: dict[str, list[str]] = {}
    for stage_id, each in queued.items():
        by_reason.setdefault(each.reason, []).append(labels[stage_id])
    parts: list[RenderableType] = []
    for reason, found in by_reason.items():
        shown = ", ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")
        parts.append(Text.assemble(state_text("queued"), f" {len(found)} ({reason}): {shown}"))
    return parts


def submitted_view(found: Submitted, plan: "Plan", labels: Mapping[str, str]) -> RenderableType:
    """What `ablate run --on slurm` says: the arrays that were handed over, and what was not."""
    parts: list[RenderableType] = []
    if found.arrays:
        table = new_table("job", "kind", "stages", "each gets", "waits for", right=("stages",))
        for array in found.arrays:
            waits = ", ".join(each.text(found.job_ids) for each in array.after)
            job = found.job_ids.get(array.number, f"<{array.number}>")
            table.add_row(f"{job}_[{array.indices()}]", array.kind, str(len(array.stages)), _gets(array), waits)
        parts.append(table)
    handed_over = bool(found.job_ids) or not found.arrays
    counted = {
        "submitted" if handed_over else "to submit": len(found.stages),
        "done": len(found.done),
        "in the queue already": len(found.queued),
        "still at work otherwise, or waiting for such": len(found.elsewhere),
        "not taken": len(found.left),
    }
    counts = ", ".join(f"{number} {what}" for what, number in counted.items() if number)
    parts.append(Text(f"of {len(plan.stages)} stages: {counts}"))
    if found.elsewhere:
        who = f"a local run, or a job that is ending, has {labels[found.elsewhere[0]]}"
        parts.append(Text(f"{who}; run again when it is over", "yellow"))
    if found.error:
        parts.append(Text(f"the scheduler did not take all: {found.error}", "bold red"))
        parts.append(Text("what it took goes on; the same command hands over the rest later", "yellow"))
    return Group(*parts)


def _gets(array: Array) -> str:
    given = array.resources
    parts = [f"{array.processes} x" if array.processes > 1 else "", f"{given.cpus} cores", f"{given.memory_gb:g} GB"]
    parts += [f"{given.gpus} GPU" if given.gpus else "", given.time or "", given.partition or ""]
    return " ".join(part for part in parts if part)
