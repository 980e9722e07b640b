"""The verbs of ``ablate``, thin: each loads a study, calls one room and prints.

Nothing slow is imported until a verb needs it, so that ``--help`` answers at once, and no verb imports torch: that
is for the jobs.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from harness.record.folders import Store
    from harness.study import Measured, Plan

DEFAULT_STUDY = Path("sweeps/micro.yaml")

app = typer.Typer(
    name="ablate",
    help="Comparative ablation studies of R1-Zero-style reinforcement learning on vision-language models.\n\n"
    "A study is a YAML file (default: sweeps/micro.yaml). plan shows what it comes to, run computes what is not "
    "done yet, collect makes tables of what is, compare makes the comparison.\n\n"
    "Exit codes: 0 all done, 1 something failed or is blocked, 2 wrong usage or study, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY", help="The study file.", show_default=True)]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Another value for a setting of the study, such as grpo.steps=20 or seeds=[0,1]; repeatable. "
        "Changed settings make other stages with other ids. A level or arm that sets it itself still wins.",
    ),
]
StorePath = Annotated[
    Path | None,
    typer.Option("--store", help="Folder of the stage folders; default: $ABLATE_STORE, or ./runs."),
]
ResultsPath = Annotated[
    Path | None, typer.Option("--results", help="Folder of the collected tables; default: results/<study>.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Jobs at once; default: the cores of this machine.")
]


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

    the_store = _store(store)
    the_plan = with_needs(_plan(study, overrides), the_store)
    done = [stage_id for stage_id, stage in the_plan.stages.items() if the_store.is_done(stage)]
    description = describe(the_plan, done, _measured(the_store), workers or available_cores())
    console = _console()
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

    the_store = _store(store)
    the_plan = with_needs(_plan(study, overrides), the_store)
    console = _console()
    log = the_store.root / f"{the_plan.study.study}.log"
    seconds = estimate_seconds(the_plan, _measured(the_store))
    try:
        with Display(console, log) as display:
            outcome = run_local(the_plan, the_store, workers, display, only=only or (), seconds=seconds)
    except ValueError as error:
        _refuse(str(error))
    states = stage_states(the_plan, the_store)
    console.print(views.run_summary(outcome, states, the_store, log))
    if not no_compare and not outcome.interrupted:
        folder = _results(results, the_plan)
        _collect(the_plan, the_store, folder)
        _compare(folder, console)
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

    the_plan = _plan(study, overrides)
    the_store = rehearsal_store(_store(store))
    console, began = _console(), time.monotonic()
    name = the_plan.study.study
    try:
        rehearsal = reduced_study(the_plan.study, the_store.root / "data", the_store.shipped)
    except ValueError as error:
        _refuse(str(error))
    with Display(console, the_store.root / f"{name}.log") as display:
        outcome = rehearse(rehearsal, the_store, workers, display)
    if not outcome.interrupted:
        _collect(outcome.plan, the_store, the_store.root / "results" / name)
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

    the_plan, the_store = _plan(study, overrides), _store(store)
    states = stage_states(the_plan, the_store)
    runs = run_states(the_plan, states)
    if as_json:
        print(json.dumps(views.status_record(the_plan, the_store, states, runs), indent=1, sort_keys=True))
    else:
        _console().print(views.status_view(the_plan, the_store, states, runs))
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

    the_plan, the_store = _plan(study, overrides), _store(store)
    stage_id = stage_of_interest(name, the_plan, the_store)
    if stage_id is None:
        _refuse(_unknown("run or stage", name, [*(each.id for each in the_plan.runs), *the_plan.stages]))
    folder = the_store.own_folder(stage_id)
    log = last_log(folder)
    if log is None and not follow:
        shipped = the_store.folder(stage_id).shipped
        why = "it came with the harness" if shipped else "it was never started"
        _refuse(f"{stage_id} has no log: {why}", code=1)
    try:
        follow_log(folder, follow, lambda path: print(f"==> {path}", file=sys.stderr, flush=True))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@app.command()
def collect(
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
    results: ResultsPath = None,
) -> None:
    """Make tables (parquet) of whatever is finished; what is missing is a row with its state."""
    the_plan = _plan(study, overrides)
    folder = _results(results, the_plan)
    rows = _collect(the_plan, _store(store), folder)
    width = max(map(len, rows))
    for table, number in rows.items():
        print(f"{table:{width}}  {number:>8,} rows")
    print(f"in {folder}")


@app.command()
def compare(
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    results: ResultsPath = None,
) -> None:
    """Make tables and figures from the collected tables and print the comparison. Nothing is collected anew."""
    _compare(_results(results, None if results else _plan(study, overrides)), _console())


@app.command()
def clean(
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it nothing is deleted.")] = False,
) -> None:
    """Show which checkpoints and leftovers no stage of a study still to do needs; with --yes delete them.

    What stays of finished trainings is said by the study's setting retention.checkpoints (all, last or none). A
    stage stays done without its cleaned checkpoints until something needs them again. Other studies in the same
    store are not asked.
    """
    from harness import views
    from harness.record.clean import clean, cleanable

    the_plan, the_store = _plan(study, overrides), _store(store)
    found = cleanable(the_plan, the_store, the_plan.study.retention.checkpoints)
    if yes:
        found = clean(found, the_store)
    _console().print(views.clean_view(found, the_plan, freed=yes))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run, such as base+grpo/seed=0.")],
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
) -> None:
    """Show one run: settings, stages, attempts, and the checks that its arm was really applied."""
    from harness import views

    the_plan, the_store = _plan(study, overrides), _store(store)
    found = next((each for each in the_plan.runs if each.id == name), None)
    if found is None:
        _refuse(_unknown("run", name, [each.id for each in the_plan.runs]))
    _console().print(views.run_view(found, the_plan, the_store))


def _plan(study: Path, overrides: Sequence[str] | None) -> "Plan":
    from harness.study import load_study, plan_study

    return plan_study(load_study(study, overrides or ()))


def _store(root: Path | None) -> "Store":
    """The store with what is shipped beside the models' code."""
    from harness.record.folders import Store

    shipped = sorted(path.parent for path in (Path(__file__).parent / "models").glob("*/stage.json"))
    return Store(root, shipped)


def _measured(store: "Store") -> list["Measured"]:
    """Times of all finished stages in the store, of whichever study."""
    from harness.study import Measured
    from harness.study.stage import REVISIONS, Stage

    found = []
    for path in sorted(store.root.glob("*/done.json")):
        folder = store.own_folder(path.parent.name)
        record, seconds = folder.stage_record(), (folder.done_record() or {}).get("seconds")
        if seconds and record.get("kind") in REVISIONS:
            found.append(Measured(Stage(record["kind"], record["settings"], record["inputs"]), seconds))
    return found


def _results(results: Path | None, plan: "Plan | None") -> Path:
    return results or Path("results") / (plan.study.study if plan else "")


def _collect(plan: "Plan", store: "Store", folder: Path) -> dict[str, int]:
    from harness.collect import collect

    return collect(plan, store, folder)


def _compare(folder: Path, console: "Console") -> None:
    from analysis.compare import compare
    from analysis.load import CollectedError
    from analysis.terminal import render

    try:
        comparison = compare(folder)
    except CollectedError as error:
        _refuse(str(error))
    console.print(render(comparison))
    console.print(f"\npage     {comparison.page}", highlight=False, soft_wrap=True)
    for title, paths in (("tables", comparison.table_paths), ("figures", comparison.figure_paths)):
        for place in sorted({path.parent for path in paths}):
            names = " ".join(sorted(path.name for path in paths if path.parent == place))
            console.print(f"{title:8} {place}/  {names}", highlight=False, soft_wrap=True)
    names = " ".join(sorted(path.name for path in folder.glob("*.parquet")))
    console.print(f"parquet  {folder}/  {names}", highlight=False, soft_wrap=True)


def _console() -> "Console":
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=140)


def _unknown(what: str, name: str, valid: Sequence[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, valid, n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return f"no {what} {name!r} in this study{hint} There are:\n  " + "\n  ".join(valid)


def _refuse(message: str, code: int = 2) -> NoReturn:
    typer.secho(message, fg="red", err=True)
    raise typer.Exit(code)


def main() -> None:
    """Entry point of ``ablate``."""
    try:
        app()
    except Exception as error:
        from harness.study.errors import StudyError

        if not isinstance(error, StudyError):
            raise
        typer.secho(str(error), fg="red", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
