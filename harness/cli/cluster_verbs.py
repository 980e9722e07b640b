"""Verbs for what is in a cluster's queue."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import (
    DEFAULT_STUDY,
    Overrides,
    ResultsPath,
    SitePath,
    StorePath,
    StudyPath,
    Workers,
    app,
    load_plan,
    load_site_resources,
    open_store,
    refuse,
    unknown_name,
)
from harness.cli.cluster import AllowDirty, Where, attach_to, look_over, refuse_if_queued, submit_to_slurm
from harness.cli.compute_verbs import run_here
from harness.cli.extras import refuse_light

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUN] [STUDY]", help="One run (base+grpo/seed=0); the study file."),
]


def run_and_study(names: list[str] | None) -> tuple[str | None, Path]:
    """A run, if one is named, and the study file: what ends in .yaml."""
    studies = [each for each in names or [] if each.endswith((".yaml", ".yml"))]
    runs = [each for each in names or [] if each not in studies]
    if len(studies) > 1 or len(runs) > 1:
        refuse("at most one run and one study file can be named")
    return (runs[0] if runs else None), Path(studies[0]) if studies else DEFAULT_STUDY


@app.command()
def retry(
    names: Names = None,
    overrides: Overrides = None,
    store: StorePath = None,
    failed: Annotated[bool, typer.Option("--failed", help="Not what was stopped or cancelled.")] = False,
    on: Annotated[Where | None, typer.Option("--on", help="Default: where the store was submitted to.")] = None,
    workers: Workers = None,
    site: SitePath = None,
    allow_dirty: AllowDirty = False,
    no_compare: Annotated[bool, typer.Option("--no-compare", help="local: neither collect nor compare.")] = False,
    results: ResultsPath = None,
) -> None:
    """Start again what failed, was stopped or was cancelled, with all that waits for it.

    A new start has its whole allowance of attempts again, and goes on where the last one left something to go on from.
    """
    from harness.launch.select import to_retry
    from harness.record.states import with_needs

    run, study = run_and_study(names)
    the_store = open_store(store)
    the_plan = with_needs(load_plan(study, overrides), the_store)
    _refuse_unknown_run(run, [each.id for each in the_plan.runs])
    overview = look_over(the_plan, the_store, {})
    chosen = to_retry(the_plan, overview.look.states, run, failed)
    if not chosen:
        print("nothing to start again")
        return
    refuse_light(the_plan.stages[each] for each in chosen)
    where = on or (Where.slurm if any((the_store.root / ".submitit").glob("slurm-*")) else Where.local)
    if where is Where.slurm:
        submit_to_slurm(the_plan, the_store, load_site_resources(site), chosen, allow_dirty)
        return
    refuse_if_queued(the_plan, the_store)
    run_here(the_plan, study, the_store, workers, (), results, no_compare, chosen)


@app.command()
def cancel(
    names: Names = None,
    overrides: Overrides = None,
    store: StorePath = None,
) -> None:
    """Take a study, or one run with all that waits for it, out of SLURM's queue; what runs saves its state and stops.

    Stages that other runs need as well stay. `ablate retry` brings back what was cancelled.
    """
    from harness.launch.select import to_cancel
    from harness.launch.slurm.cancel import cancel_tasks
    from harness.launch.slurm.scheduler import SchedulerError, Slurm
    from harness.launch.slurm.submit import queued_tasks
    from harness.record.states import stage_labels

    run, study = run_and_study(names)
    the_plan, the_store, scheduler = load_plan(study, overrides), open_store(store), Slurm()
    _refuse_unknown_run(run, [each.id for each in the_plan.runs])
    try:
        tasks = queued_tasks(the_store, scheduler)
        queued = {key: task for key, task in tasks.items() if task.queued is not None and key in the_plan.stages}
    except SchedulerError as error:
        refuse(str(error), code=1)
    chosen = [queued[each] for each in to_cancel(the_plan, run) if each in queued]
    try:
        cancel_tasks(chosen, scheduler)
    except SchedulerError as error:
        refuse(f"some may go on for now, do it again: {error}", code=1)
    labels = stage_labels(the_plan)
    for task in chosen:
        print(f"cancelled {task.job_id}  {labels[task.submission.stages[task.index]]}")
    if not chosen:
        print("nothing of it is in SLURM's queue (a local run is stopped by Ctrl-C where it was started)")


@app.command()
def attach(
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
    site: SitePath = None,
    no_compare: Annotated[bool, typer.Option("--no-compare", help="Neither collect nor compare at the end.")] = False,
    results: ResultsPath = None,
) -> None:
    """Watch a study that runs on a cluster or was started elsewhere until it is over, then collect and compare.

    Ctrl-C leaves it running. Exit code 0 when all is done.
    """
    attach_to(load_plan(study, overrides), study, open_store(store), load_site_resources(site), results, no_compare)


def _refuse_unknown_run(run: str | None, known: list[str]) -> None:
    if run is not None and run not in known:
        refuse(unknown_name("run", run, known))
