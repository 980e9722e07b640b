"""Verbs that compute and look at runs."""

import json
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import (
    DEFAULT_STUDY,
    Budget,
    Overrides,
    ResultsPath,
    SitePath,
    StorePath,
    StudyPath,
    Workers,
    app,
    check_results,
    collect_and_compare,
    collect_tables,
    load_plan,
    load_site_resources,
    make_console,
    open_store,
    refuse,
    refuse_unpinned,
    results_folder,
    unknown_name,
)
from harness.cli.cluster import (
    AllowDirty,
    On,
    Where,
    attach_to,
    look_over,
    refuse_if_queued,
    refuse_over_budget,
    submit_to_slurm,
    watch_status,
)
from harness.cli.extras import refuse_light, refuse_without

if TYPE_CHECKING:
    from harness.record.folders import Store
    from harness.study import Plan


@app.command()
def run(
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
    on: On = Where.local,
    workers: Workers = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="KIND", help="Compute only stages of this kind (world, sft, ...); repeatable."),
    ] = None,
    site: SitePath = None,
    budget: Budget = None,
    allow_dirty: AllowDirty = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="slurm: print the batch scripts, submit nothing.")] = False,
    attach: Annotated[bool, typer.Option("--attach", help="slurm: then wait as `ablate attach` does.")] = False,
    no_compare: Annotated[bool, typer.Option("--no-compare", help="Neither collect nor compare at the end.")] = False,
    results: ResultsPath = None,
) -> None:
    """Compute all stages of a study that are not done, here or on a cluster.

    Here: collects and compares at the end. Ctrl-C ends the jobs and leaves all resumable; run again to go on. A stage
    that fails blocks only those that need it; the next run starts it anew.

    --on slurm hands over what is neither done nor queued, as job arrays that need nobody to wait for them, and returns.
    """
    from harness.record.states import with_needs

    the_store = open_store(store)
    the_plan = with_needs(load_plan(study, overrides), the_store)
    if not dry_run:
        waiting = [each for each in the_plan.stages.values() if not the_store.is_done(each)]
        refuse_light(each for each in waiting if not only or each.kind in only)
    _refuse_unready(the_plan, the_store)
    resources = load_site_resources(site)
    refuse_over_budget(the_plan, the_store, resources, budget)
    if on is Where.slurm:
        wanted = _of_kinds(the_plan, only)
        if attach and not dry_run and not no_compare:
            check_results(the_plan, results_folder(results, the_plan))
        submitted = submit_to_slurm(the_plan, the_store, resources, wanted, allow_dirty, dry_run)
        if attach and not dry_run:
            attach_to(the_plan, study, the_store, resources, results, no_compare, submitted)
        return
    if dry_run or attach:
        refuse("--dry-run and --attach go with --on slurm")
    refuse_if_queued(the_plan, the_store)
    run_here(the_plan, study, the_store, workers, only or (), results, no_compare)


def run_here(
    plan: "Plan",
    study: Path,
    store: "Store",
    workers: int | None,
    only: Sequence[str],
    results: Path | None,
    no_compare: bool,
    stages: Collection[str] | None = None,
) -> None:
    """Compute a plan, or only these stages of it, on this machine, then collect and compare."""
    from harness.launch.costs import measured_stages
    from harness.launch.display import Display
    from harness.launch.local import run_local
    from harness.record.states import stage_states
    from harness.study import estimate_seconds
    from harness.views.status import run_summary

    folder = results_folder(results, plan)
    if not no_compare:
        check_results(plan, folder)
    console = make_console()
    log = store.root / f"{plan.study.study}.log"
    seconds = estimate_seconds(plan, measured_stages(store))
    try:
        with Display(console, log) as display:
            outcome = run_local(plan, store, workers, display, only=only, seconds=seconds, stages=stages)
    except ValueError as error:
        refuse(str(error))
    console.print(run_summary(outcome, stage_states(plan, store), store, log))
    if not no_compare and not outcome.interrupted:
        collect_and_compare(plan, store, folder, study, console)
    raise typer.Exit(outcome.exit_code)


def _of_kinds(plan: "Plan", only: Sequence[str] | None) -> list[str] | None:
    """Ids of the stages of some kinds; None for all."""
    from harness.launch.kinds import kinds_in_force

    unknown = sorted(set(only or ()) - set(kinds_in_force()))
    if unknown:
        refuse(f"no stages of kind {', '.join(unknown)}; there are {', '.join(sorted(kinds_in_force()))}")
    return [stage_id for stage_id, stage in plan.stages.items() if stage.kind in only] if only else None


@app.command()
def rehearse(
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
    workers: Workers = None,
) -> None:
    """Run every stage of every arm of a study in minutes, made small, and show the manipulation checks.

    Same code and same arms, with one seed, tiny random models, made-up data, two optimiser steps and a few questions;
    what was made small is listed. Its stages lie in a store of their own, <store>/rehearsal, shared by all studies.
    Exit code 1 if a stage or a check failed.
    """
    import time

    from harness.launch.display import Display
    from harness.rehearse import reduced_study, rehearsal_store, rehearse
    from harness.rehearse.view import outcome_view

    the_plan = load_plan(study, overrides)
    refuse_without("rehearsing")
    the_store = rehearsal_store(open_store(store))
    console, began = make_console(), time.monotonic()
    name = the_plan.study.study
    try:
        rehearsal = reduced_study(the_plan.study, the_store.root / "data", the_store.shipped)
    except ValueError as error:
        refuse(str(error))
    with Display(console, the_store.root / f"{name}.log") as display:
        outcome = rehearse(rehearsal, the_store, workers, display)
    if not outcome.interrupted:
        collect_tables(outcome.plan, the_store, the_store.root / "results" / name, None)
    console.print(outcome_view(rehearsal, outcome, time.monotonic() - began))
    raise typer.Exit(outcome.exit_code)


@app.command()
def status(
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
    site: SitePath = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it anew every few seconds, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option("--every", min=1.0, help="Seconds between two looks of --watch.")] = 5.0,
) -> None:
    """Show the state of every run and stage, what runs, what is queued and why, and GPU-hours used and to go.

    Of what failed, the reason and the log. The scheduler is asked once, or twice where a job ended without a word.
    Exit code 1 if something failed.
    """
    from harness.views.status import status_record, status_view

    the_plan, the_store, resources = load_plan(study, overrides), open_store(store), load_site_resources(site)
    if watch:
        watch_status(the_plan, the_store, resources, every)
        return
    overview = look_over(the_plan, the_store, resources)
    if as_json:
        print(json.dumps(status_record(overview), indent=1, sort_keys=True))
    else:
        make_console().print(status_view(overview))
    if any(state.state in ("failed", "blocked") for state in overview.look.states.values()):
        raise typer.Exit(1)


@app.command()
def logs(
    name: Annotated[str, typer.Argument(metavar="RUN_OR_STAGE", help="A run (base+grpo/seed=0) or a stage id.")],
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing until it ends.")] = False,
) -> None:
    """Print the log of the latest attempt of a stage, or of the stage of a run that is of most interest.

    Of a job that ended before its work began, what SLURM and the batch script said.
    """
    from harness.launch.slurm.ledger import latest_tasks
    from harness.record.attempts import last_log
    from harness.views.logs import follow_log, stage_of_interest

    the_plan, the_store = load_plan(study, overrides), open_store(store)
    stage_id = stage_of_interest(name, the_plan, the_store)
    if stage_id is None:
        refuse(unknown_name("run or stage", name, [*(each.id for each in the_plan.runs), *the_plan.stages]))

    def in_queue() -> bool:
        task = latest_tasks(the_store).get(stage_id)
        return task is not None and task.index not in task.submission.cancelled()

    folder = the_store.own_folder(stage_id)
    log = last_log(folder)
    if log is None and not follow:
        task = latest_tasks(the_store).get(stage_id)
        outside = task.submission.logs(task.index) if task else []
        for path in outside:
            print(f"==> {path}", file=sys.stderr, flush=True)
            print(path.read_text(errors="replace"), end="")
        if not outside:
            shipped = the_store.folder(stage_id).shipped
            why = "it came with the harness" if shipped else "it is in the queue" if task else "it was never started"
            refuse(f"{stage_id} has no log: {why}", code=1)
        return
    try:
        follow_log(folder, follow, lambda path: print(f"==> {path}", file=sys.stderr, flush=True), in_queue)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run, such as base+grpo/seed=0.")],
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
) -> None:
    """Show one run: settings, stages, attempts, and the checks that its arm was really applied."""
    from harness.views.run import run_view

    the_plan, the_store = load_plan(study, overrides), open_store(store)
    found = next((each for each in the_plan.runs if each.id == name), None)
    if found is None:
        refuse(unknown_name("run", name, [each.id for each in the_plan.runs]))
    make_console().print(run_view(found, the_plan, the_store))


def _refuse_unready(plan: "Plan", store: "Store") -> None:
    """Nothing is launched whose inputs can be seen to be wrong beforehand."""
    from harness.data.import_stage import check_files

    refuse_unpinned(plan)
    study = plan.study
    if study.data is not None:
        waiting = {stage.kind for stage in plan.stages.values() if not store.is_done(stage)}
        problems = [*(check_files(study.data.train) if "sat" in waiting else [])]
        problems += check_files(study.data.test) if "cvbench" in waiting else []
        if problems:
            refuse("\n".join(problems))
