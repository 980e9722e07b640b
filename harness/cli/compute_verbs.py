"""Verbs that plan, compute and look at runs."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import (
    DEFAULT_STUDY,
    Overrides,
    ResultsPath,
    StorePath,
    StudyPath,
    Workers,
    app,
    collect_tables,
    load_plan,
    make_console,
    measured,
    open_store,
    print_comparison,
    refuse,
    results_folder,
    unknown_name,
)

if TYPE_CHECKING:
    from harness.record.folders import Store
    from harness.study import Plan


@app.command()
def plan(
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
    workers: Workers = None,
) -> None:
    """Show arms, runs and stages of a study, what is done already, and an estimate of the time."""
    from harness import views
    from harness.record.provenance import available_cores
    from harness.record.states import with_needs
    from harness.study import describe

    the_store = open_store(store)
    the_plan = with_needs(load_plan(study, overrides), the_store)
    done = [stage_id for stage_id, stage in the_plan.stages.items() if the_store.is_done(stage)]
    description = describe(the_plan, done, measured(the_store), workers or available_cores())
    console = make_console()
    console.print(views.plan_view(description))


@app.command()
def run(
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
    workers: Workers = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="KIND", help="Compute only stages of this kind (world, sft, ...); repeatable."),
    ] = None,
    no_compare: Annotated[bool, typer.Option("--no-compare", help="Neither collect nor compare at the end.")] = False,
    results: ResultsPath = None,
) -> None:
    """Compute all stages of a study that are not done, then collect and compare.

    Ctrl-C ends the jobs and leaves all resumable; run again to go on. A stage that fails blocks only those that
    need it; the next run starts it anew.
    """
    from harness import views
    from harness.launch.display import Display
    from harness.launch.local import run_local
    from harness.record.states import stage_states, with_needs
    from harness.study import estimate_seconds

    the_store = open_store(store)
    the_plan = with_needs(load_plan(study, overrides), the_store)
    _refuse_unready(the_plan, the_store)
    console = make_console()
    log = the_store.root / f"{the_plan.study.study}.log"
    seconds = estimate_seconds(the_plan, measured(the_store))
    try:
        with Display(console, log) as display:
            outcome = run_local(the_plan, the_store, workers, display, only=only or (), seconds=seconds)
    except ValueError as error:
        refuse(str(error))
    states = stage_states(the_plan, the_store)
    console.print(views.run_summary(outcome, states, the_store, log))
    if not no_compare and not outcome.interrupted:
        folder = results_folder(results, the_plan)
        collect_tables(the_plan, the_store, folder)
        print_comparison(folder, console)
    raise typer.Exit(outcome.exit_code)


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
        collect_tables(outcome.plan, the_store, the_store.root / "results" / name)
    console.print(outcome_view(rehearsal, outcome, time.monotonic() - began))
    raise typer.Exit(outcome.exit_code)


@app.command()
def status(
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show the state of every run and stage; of what failed, the reason and the log. Exit code 1 if some did."""
    from harness import views
    from harness.record.states import run_states, stage_states

    the_plan, the_store = load_plan(study, overrides), open_store(store)
    states = stage_states(the_plan, the_store)
    runs = run_states(the_plan, states)
    if as_json:
        print(json.dumps(views.status_record(the_plan, the_store, states, runs), indent=1, sort_keys=True))
    else:
        make_console().print(views.status_view(the_plan, the_store, states, runs))
    if any(state.state in ("failed", "blocked") for state in states.values()):
        raise typer.Exit(1)


@app.command()
def logs(
    name: Annotated[str, typer.Argument(metavar="RUN_OR_STAGE", help="A run (base+grpo/seed=0) or a stage id.")],
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing while it is at work.")] = False,
) -> None:
    """Print the log of the latest attempt of a stage, or of the stage of a run that is of most interest."""
    from harness.record.attempts import last_log
    from harness.views import follow_log, stage_of_interest

    the_plan, the_store = load_plan(study, overrides), open_store(store)
    stage_id = stage_of_interest(name, the_plan, the_store)
    if stage_id is None:
        refuse(unknown_name("run or stage", name, [*(each.id for each in the_plan.runs), *the_plan.stages]))
    folder = the_store.own_folder(stage_id)
    log = last_log(folder)
    if log is None and not follow:
        shipped = the_store.folder(stage_id).shipped
        why = "it came with the harness" if shipped else "it was never started"
        refuse(f"{stage_id} has no log: {why}", code=1)
    try:
        follow_log(folder, follow, lambda path: print(f"==> {path}", file=sys.stderr, flush=True))
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
    from harness import views

    the_plan, the_store = load_plan(study, overrides), open_store(store)
    found = next((each for each in the_plan.runs if each.id == name), None)
    if found is None:
        refuse(unknown_name("run", name, [each.id for each in the_plan.runs]))
    make_console().print(views.run_view(found, the_plan, the_store))


def _refuse_unready(plan: "Plan", store: "Store") -> None:
    """Nothing is launched whose inputs can be seen to be wrong beforehand."""
    from harness.data.import_stage import check_files
    from harness.study.revisions import unpinned

    study = plan.study
    names = unpinned(study)
    if names:
        refuse(f"{', '.join(names)}: no commit is given; `ablate fetch` looks them up and notes them in revisions.yaml")
    if study.data is not None:
        waiting = {stage.kind for stage in plan.stages.values() if not store.is_done(stage)}
        problems = [*(check_files(study.data.train) if "sat" in waiting else [])]
        problems += check_files(study.data.test) if "cvbench" in waiting else []
        if problems:
            refuse("\n".join(problems))
