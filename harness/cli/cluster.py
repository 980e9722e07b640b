"""What several verbs do with a cluster."""

import enum
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import check_results, collect_and_compare, make_console, refuse, results_folder

if TYPE_CHECKING:
    from rich.console import Console

    from harness.launch.slurm.ledger import Task
    from harness.record.folders import Store
    from harness.study import Plan
    from harness.study.resources import ByKind
    from harness.views.status import Overview

ASK_AFTER_S = (15.0, 120.0)
"""Seconds between two questions to the scheduler while attached, at the least and at the most, a quarter of the time so
far in between. The folders, which tell of starts, steps and ends, are looked at every second."""


class Where(enum.StrEnum):
    """Where a study is computed."""

    local = "local"
    slurm = "slurm"


On = Annotated[Where, typer.Option("--on", help="Where to compute: this machine, or a SLURM cluster.")]
AllowDirty = Annotated[
    bool,
    typer.Option("--allow-dirty", help="slurm: go on although the code differs from its commit, and record how."),
]


def look_over(
    plan: "Plan", store: "Store", resources: "ByKind", tasks: "Mapping[str, Task] | None" = None
) -> "Overview":
    """How a plan stands, and what it has cost; the scheduler is not asked where ``tasks`` has what it said before."""
    from harness.launch.costs import cost, measured_stages
    from harness.launch.slurm.look import look
    from harness.launch.slurm.scheduler import Slurm
    from harness.record.states import run_states
    from harness.views.status import Overview

    found = look(plan, store, Slurm(), tasks)
    costs = cost(plan, store, found.states, measured_stages(store), resources)
    return Overview(plan, store, found, run_states(plan, found.states), costs)


def refuse_over_budget(plan: "Plan", store: "Store", resources: "ByKind", budget: float | None) -> None:
    """Leave if a study costs more than was said."""
    if budget is None:
        return
    from harness.launch.costs import cost, measured_stages, over_budget
    from harness.record.states import stage_states

    found = cost(plan, store, stage_states(plan, store), measured_stages(store), resources)
    if why := over_budget(found, budget):
        refuse(why)


def refuse_if_queued(plan: "Plan", store: "Store") -> None:
    """Leave if stages are queued on SLURM: they would be computed there and here."""
    from harness.launch.slurm.scheduler import SchedulerError, Slurm
    from harness.launch.slurm.submit import queued_tasks

    try:
        tasks = queued_tasks(store, Slurm())
    except SchedulerError as error:
        typer.secho(f"stages of this store were submitted to SLURM, which gives no answer here: {error}", err=True)
        return
    queued = [stage_id for stage_id, task in tasks.items() if task.queued and stage_id in plan.stages]
    if queued:
        count = f"{len(queued)} stages of the study are" if len(queued) > 1 else "a stage of the study is"
        refuse(f"{count} in SLURM's queue; `ablate attach` waits for them, `ablate cancel` takes them out")


def submit_to_slurm(
    plan: "Plan",
    store: "Store",
    resources: "ByKind",
    only: Collection[str] | None,
    allow_dirty: bool,
    dry_run: bool = False,
) -> list[str]:
    """Hand stages over and say which, or print the scripts. Returns the ids of those that are in the queue now."""
    from harness.launch.slurm.scheduler import SchedulerError, Slurm
    from harness.launch.slurm.snapshot import DirtyTree
    from harness.launch.slurm.submit import Refused, submit
    from harness.record.states import stage_labels
    from harness.views.status import submitted_view

    try:
        found = submit(plan, store, Slurm(), resources, only=only, allow_dirty=allow_dirty, dry_run=dry_run)
    except (Refused, SchedulerError, DirtyTree) as error:
        refuse(str(error))
    if dry_run:
        for array, script in zip(found.arrays, found.scripts, strict=True):
            print(f"# ---- array <{array.number}>: {', '.join(array.stages.values())}\n{script}")
    make_console().print(submitted_view(found, plan, stage_labels(plan)))
    if found.error:
        raise typer.Exit(1)
    return [*found.stages, *found.queued]


def watch_status(plan: "Plan", store: "Store", resources: "ByKind", every: float) -> None:
    """Show the status anew until Ctrl-C."""
    from rich.live import Live

    from harness.views.status import status_view

    try:
        with Live(console=make_console(), auto_refresh=False, screen=False) as live:
            while True:
                live.update(status_view(look_over(plan, store, resources)), refresh=True)
                time.sleep(every)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def attach_to(
    plan: "Plan",
    study: Path,
    store: "Store",
    resources: "ByKind",
    results: Path | None,
    no_compare: bool,
    submitted: Collection[str] | None = None,
) -> None:
    """Show how a study goes until nothing of it runs or is queued any more, then collect and compare.

    Leaving early (Ctrl-C) stops nothing. Exit code 0 when all is done that was waited for.

    Args:
        study: the study file.
        submitted: ids of the stages that were handed over just now, and are waited for, into a results folder that was
            looked at before; default: the whole plan.
    """
    from harness.views.status import status_view

    folder = results_folder(results, plan)
    if not no_compare and submitted is None:
        check_results(plan, folder)
    console = make_console()
    stages = list(plan.stages if submitted is None else submitted)
    overview = wait_for(plan, store, resources, stages, console, ask_first=submitted is None)
    console.print(status_view(overview))
    if not no_compare:
        collect_and_compare(plan, store, folder, study, console)
    waited = overview.look.states if submitted is None else submitted
    raise typer.Exit(int(any(overview.look.states[each].state != "done" for each in waited)))


def wait_for(
    plan: "Plan", store: "Store", resources: "ByKind", stages: list[str], console: "Console", ask_first: bool
) -> "Overview":
    """Wait until stages are done, or nothing of the plan runs or is queued any more; the last look at it."""
    from rich.live import Live

    from harness.views.status import status_view

    live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
    began = asked = time.monotonic()
    tasks: Mapping[str, Task] = {}
    pause = 0.0 if ask_first else ASK_AFTER_S[0]
    try:
        if live:
            live.start()
        while stages := [each for each in stages if not store.is_done(plan.stages[each])]:
            now = time.monotonic()
            if now - asked >= pause:
                overview = look_over(plan, store, resources)
                if not overview.look.open:
                    return overview
                if overview.look.trouble and not live:
                    print(f"waiting all the same: {overview.look.trouble}", file=sys.stderr, flush=True)
                tasks, asked = overview.look.tasks, time.monotonic()
                pause = min(ASK_AFTER_S[1], max(ASK_AFTER_S[0], (asked - began) / 4))
            if live:
                live.update(status_view(look_over(plan, store, resources, tasks)), refresh=True)
            time.sleep(1.0)
        return look_over(plan, store, resources)
    except KeyboardInterrupt:
        print("left; the jobs go on (ablate cancel ends them)")
        raise typer.Exit(130) from None
    finally:
        if live:
            live.stop()
