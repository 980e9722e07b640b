"""The application, the options that its verbs share, and what several of them do."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from harness.record.folders import Store
    from harness.study import Plan
    from harness.study.resources import ByKind

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
CollectedPath = Annotated[
    Path | None,
    typer.Argument(
        metavar="STUDY",
        help=f"The study file, or a collected folder such as results/micro; default: {DEFAULT_STUDY}.",
        show_default=False,
    ),
]
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
SitePath = Annotated[
    Path | None,
    typer.Option("--site", help="File of what the cluster gives each kind of stage; default: $ABLATE_SITE."),
]
Budget = Annotated[
    float | None,
    typer.Option("--budget", metavar="GPU_HOURS", help="Refuse if what was used and is to go comes to more than this."),
]


def load_site_resources(site: Path | None) -> "ByKind":
    """A site file's resources; none without one."""
    import os

    from harness.study.resources import load_site

    path = site or (Path(os.environ["ABLATE_SITE"]) if os.environ.get("ABLATE_SITE") else None)
    return load_site(path).resources if path else {}


def load_plan(study: Path, overrides: Sequence[str] | None) -> "Plan":
    """A study file expanded."""
    from harness.study import load_study, plan_study

    return plan_study(load_study(study, overrides or ()))


def open_store(root: Path | None) -> "Store":
    """The store with what is shipped beside the models' code."""
    from harness.record.folders import Store

    shipped = sorted(path.parent for path in (Path(__file__).parents[1] / "models").glob("*/stage.json"))
    return Store(root, shipped)


def results_folder(results: Path | None, plan: "Plan") -> Path:
    """Where the collected tables are: as given, or by the study's name."""
    return results or Path("results") / plan.study.study


def collected_folder(study: Path | None, overrides: Sequence[str] | None, results: Path | None) -> Path:
    """Where a study was collected, given the folder itself or the study file; leaves if it holds another study.

    Args:
        study: None where the user names none: then ``results`` says it all, or the default study is meant.
    """
    from harness.collect.earlier import collected_earlier

    if study is None and results is not None and not overrides:
        return results
    study = study or DEFAULT_STUDY
    if study.is_dir():
        if results is not None or overrides:
            refuse(f"{study} is a collected folder already; leave --results and --set out, or name a study file")
        return study
    plan = load_plan(study, overrides)
    folder = results_folder(results, plan)
    holds = collected_earlier(folder).study
    if holds not in (None, plan.study.study):
        refuse(
            f"{folder} holds the study {holds!r}, not {plan.study.study!r} of {study}; name that study's file, another"
            f" folder by --results, or the folder itself in place of the file"
        )
    return folder


def collect_tables(plan: "Plan", store: "Store", folder: Path, study: Path | None) -> dict[str, int]:
    """Make the tables; rows by table.

    Args:
        study: the study file, beside which the registration of its contrasts is looked for.
    """
    from harness.collect import collect
    from harness.record.registration import find_registrations

    return collect(plan, store, folder, None if study is None else find_registrations(plan, study))


def check_results(plan: "Plan", folder: Path) -> None:
    """Before anything is computed that is collected at its end: leave if the folder holds another study, and say so if
    it holds more finished runs than the plan has."""
    from harness.collect.earlier import collected_earlier, other_study

    if text := other_study(plan, folder):
        refuse(f"{text}; name another folder by --results, or collect nothing by --no-compare")
    done = collected_earlier(folder).done
    if done > len(plan.runs):
        text = f"{folder} holds {done} finished runs and this plan has {len(plan.runs)}, so it will be left alone"
        typer.secho(
            f"{text}; name another folder by --results to have them collected and compared", fg="yellow", err=True
        )


def collect_and_compare(plan: "Plan", store: "Store", folder: Path, study: Path, console: "Console") -> None:
    """Make the tables and compare them at the end of a run; if the folder would lose finished runs by that, say so and
    leave it alone."""
    from harness.collect.earlier import loss

    if text := loss(plan, store, folder):
        mend = "`ablate collect` takes another folder by --results, and replaces them by --force"
        typer.secho(f"not collected: {text}; {mend}", fg="yellow", err=True)
        return
    collect_tables(plan, store, folder, study)
    print_comparison(folder, console)


def print_comparison(folder: Path, console: "Console") -> None:
    """Compare what is collected, and print it."""
    from analysis.collected import CollectedError
    from analysis.compare import compare
    from analysis.terminal import render

    try:
        comparison = compare(folder)
    except CollectedError as error:
        refuse(str(error))
    console.print(render(comparison))
    console.print(f"\npage     {comparison.page}", highlight=False, soft_wrap=True)
    for title, paths in (("tables", comparison.table_paths), ("figures", comparison.figure_paths)):
        for place in sorted({path.parent for path in paths}):
            own = [path for path in paths if path.parent == place]
            names = " ".join(sorted({path.stem for path in own}))
            kinds = " ".join(sorted({path.suffix.removeprefix(".") for path in own}))
            console.print(f"{title:8} {place}/  {names}  ({kinds})", highlight=False, soft_wrap=True)
    names = " ".join(sorted(path.name for path in folder.glob("*.parquet")))
    console.print(f"parquet  {folder}/  {names}", highlight=False, soft_wrap=True)


def make_console() -> "Console":
    """As wide as the terminal; 140 columns where there is none."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=140)


def unknown_name(what: str, name: str, valid: Sequence[str]) -> str:
    """Text about a name that stands for nothing in a study."""
    import difflib

    near = difflib.get_close_matches(name, valid, n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return f"no {what} {name!r} in this study{hint} There are:\n  " + "\n  ".join(valid)


def refuse(message: str, code: int = 2) -> NoReturn:
    """Say why not, and leave."""
    typer.secho(message, fg="red", err=True)
    raise typer.Exit(code)


def refuse_unpinned(plan: "Plan") -> None:
    """Leave if something comes from a hub by a branch or tag: what it stands for may change."""
    from harness.study.revisions import unpinned

    names = unpinned(plan.study)
    if names:
        refuse(f"{', '.join(names)}: no commit is given; `ablate fetch` looks them up and notes them in revisions.yaml")
