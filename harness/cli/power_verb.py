"""The verb that says what a study's contrasts can see, before anything is paid for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.app import (
    DEFAULT_STUDY,
    CollectedPath,
    Overrides,
    StorePath,
    app,
    load_plan,
    make_console,
    open_store,
    refuse,
)

if TYPE_CHECKING:
    from analysis.collected import Tables
    from analysis.planned import Spread
    from analysis.power_report import ContrastPower, Costs
    from analysis.tables.table import Table
    from harness.study import Plan


@app.command()
def power(
    study: CollectedPath = None,
    overrides: Overrides = None,
    difference: Annotated[
        float | None,
        typer.Option("--difference", metavar="POINTS", help="Difference in accuracy to see; default: the study's."),
    ] = None,
    wanted: Annotated[
        float | None,
        typer.Option("--power", metavar="SHARE", help="Wanted probability of seeing it; default: the study's."),
    ] = None,
    seed_sd: Annotated[
        float | None,
        typer.Option("--seed-sd", metavar="POINTS", help="SD of an arm's accuracy over seeds; default: the study's."),
    ] = None,
    discordance: Annotated[
        float | None,
        typer.Option(
            "--discordance",
            metavar="SHARE",
            help="Share of questions that one of two checkpoints alone answers right; default: the study's.",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option("--results", help="Measure spread and discordance in these collected tables, as of a pilot."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for power.md, .csv, .tex, .html and the power curve.")
    ] = None,
    store: StorePath = None,
) -> None:
    """Show what each contrast of a study can see with its seeds, and the seeds that it needs. Nothing is computed yet.

    By the test that the analysis will make of it, at its level adjusted for its family, from the spread over seeds that
    the study declares (power.seed_sd, a contrast's seed_sd) or that --results shows. The costs are estimates, from
    stages in the store where there are any; a collected folder knows none.
    """
    from analysis.power_report import power_report, summary
    from analysis.tables.power import power_table

    _refuse_numbers(
        {"--difference": difference, "--seed-sd": seed_sd}, {"--power": wanted, "--discordance": discordance}
    )
    study = study or DEFAULT_STUDY
    design = _collected(study, overrides) if study.is_dir() else _planned(load_plan(study, overrides), store)
    if not design.record["contrasts"]:
        refuse(f"{study} declares no contrasts, so there is nothing that its seeds could be enough for")
    spreads, questions, remarks = None, design.questions, list(design.remarks)
    if results is not None:
        spreads, questions, measured_on = _measured(results, design.record)
        remarks.insert(0, measured_on)
    try:
        rows = power_report(
            design.record,
            design.runs,
            questions,
            spreads=spreads,
            difference=difference,
            power=wanted,
            seed_sd=seed_sd,
            discordance=discordance,
        )
    except ValueError as error:
        refuse(str(error))
    table = power_table(f"{design.title}: power of the declared contrasts", rows, design.costs, remarks)
    _print(table, rows, summary(rows))
    if out is not None:
        _write(out, table, rows)


def _refuse_numbers(positive: dict[str, float | None], shares: dict[str, float | None]) -> None:
    for name, value in positive.items():
        if value is not None and not 0.0 < value < float("inf"):
            refuse(f"{name} {value:g}: a number of points above 0 is needed")
    for name, value in shares.items():
        if value is not None and not 0.0 < value < 1.0:
            hint = f"; {value:g} % is {value / 100:g}" if 1.0 < value < 100.0 else ""
            refuse(f"{name} {value:g}: a share above 0 and below 1 is needed{hint}")


@dataclass(frozen=True)
class _Design:
    """What a study declares, from its file or from where it was collected."""

    title: str
    record: Mapping[str, Any]
    """``contrasts``, ``arms`` and ``power`` as in ``study.json``."""
    runs: Mapping[str, int | None]
    """Planned, by arm; None for an arm without randomness."""
    questions: int
    """Of the benchmark."""
    costs: "Costs | None" = None
    remarks: Sequence[str] = ()
    """For the table's foot."""


def _planned(plan: "Plan", store: Path | None) -> _Design:
    return _Design(
        title=plan.study.title or plan.study.study,
        record=_record(plan),
        runs={arm.name: len(plan.study.seeds) if arm.has_seeds else None for arm in plan.arms},
        questions=_questions(plan),
        costs=_costs(plan, store),
    )


def _collected(folder: Path, overrides: Sequence[str] | None) -> _Design:
    """The study as it was declared when it was collected; nothing of what its runs came to."""
    if overrides:
        refuse(f"{folder} is a collected folder already; leave --set out, or name a study file")
    tables = _load(folder)
    if not len(tables.questions):
        refuse(f"{folder} was collected before the questions were there; name the study file instead")
    planned = tables.runs["arm"].value_counts()
    return _Design(
        title=tables.study["title"] or tables.study["study"],
        record=tables.study,
        runs={arm: int(planned[arm]) if tables.random(arm) else None for arm in tables.arms},
        questions=len(tables.questions),
        remarks=[f"As collected in {folder}: runs planned then, spread as declared then; costs need the study file."],
    )


def _load(folder: Path) -> "Tables":
    from analysis.collected import CollectedError
    from analysis.load import load

    try:
        return load(folder)
    except CollectedError as error:
        refuse(str(error))


def _record(plan: "Plan") -> dict[str, Any]:
    """What the analysis reads of a study, in the shape of ``study.json``."""
    return {
        "contrasts": [contrast.model_dump(mode="json") for contrast in plan.contrasts],
        "power": plan.study.power.model_dump(mode="json"),
        "arms": [
            {"name": arm.name, "curve_questions": arm.settings.curve.questions if arm.has_seeds else 0}
            for arm in plan.arms
        ],
    }


def _questions(plan: "Plan") -> int:
    """Questions of the benchmark."""
    from harness.study.estimate import questions_of

    finals = {each.stage for run in plan.runs for each in run.evaluations if each.phase == "final"}
    return max(questions_of(plan.stages[stage]) for stage in finals)


def _measured(folder: Path, record: Mapping[str, Any]) -> "tuple[dict[str, Spread], int, str]":
    """Spread by contrast, number of questions, and where they are from, of collected tables."""
    from analysis.pilot import measured_spreads

    tables = _load(folder)
    spreads = measured_spreads(tables, record["power"])
    wanted = [each["name"] for each in record["contrasts"]]
    found = {name: spread for name, spread in spreads.items() if name in wanted}
    if not found:
        refuse(
            f"{folder} is of study {tables.study['study']!r}, which shares no contrast with this one; it has"
            f" {', '.join(spreads) or 'none'}, this one {', '.join(wanted)}"
        )
    images = len(set(tables.layout.images.tolist()))
    runs = int((tables.runs["state"] == "done").sum())
    told = f"measured: on {runs} finished runs of study {tables.study['study']}, {len(tables.questions):,} questions"
    return found, len(tables.questions), f"{told} on {images:,} images."


def _costs(plan: "Plan", store: Path | None) -> "Costs | None":
    """What one more seed of each arm costs; None where no arm has seeds."""
    from analysis.power_report import Costs
    from harness.launch.costs import measured_stages
    from harness.study.seed_costs import seed_costs

    found = seed_costs(plan.study, measured_stages(open_store(store)))
    if not found.hours:
        return None
    basis = "Timed." if found.measured else "Unmeasured: from operations and what machines reach of their peak."
    return Costs(found.hours, "GPU-hour" if found.gpu else "CPU-hour", basis)


def _print(table: "Table", rows: "list[ContrastPower]", sentence: str) -> None:
    """The table, narrow enough for a terminal: tests in short, the level that counts, spread and its source in one."""
    from rich.text import Text

    from harness.views.common import new_table

    place = {column.name: index for index, column in enumerate(table.columns)}
    left_out = ("family", "alpha", "spread_from")
    titles = {name: table.columns[index].title for name, index in place.items() if name not in left_out}
    words = ("contrast", "test", "runs", "spread")
    grid = new_table(*titles.values(), right=tuple(title for name, title in titles.items() if name not in words))
    for title, column in zip(titles, grid.columns, strict=True):
        column.no_wrap = title in ("contrast", "runs")
        column.max_width = 9 if column.justify == "right" else None
    for row, cells in zip(rows, table.rows, strict=True):
        shown = {name: str(cells[place[name]]) for name in titles}
        spread = [] if row.spread_value is None else [shown["spread"]]
        shown |= {"test": row.test.short, "spread": " ".join([*spread, str(cells[place["spread_from"]])])}
        grid.add_row(*map(Text, shown.values()))
    console = make_console()
    console.print(Text(table.title, "bold"), grid)
    for footer in table.footers:
        console.print(Text(footer, "dim"))
    console.print(Text(sentence))


def _write(folder: Path, table: "Table", rows: "list[ContrastPower]") -> None:
    from analysis.figures import power as curve
    from analysis.figures.write import save
    from analysis.files import write_csv, write_text
    from analysis.power_report import power_frame

    page, paths, frame = table.markdown("#"), [], power_frame(rows)
    if len(frame):
        paths += save(curve.draw(frame), frame, folder / "power_curve")
        page += f"\n![Power curve](power_curve.png)\n\n{curve.caption(frame)}\n"
    paths += [
        write_text(folder / "power.md", page),
        write_csv(folder / "power.csv", table.frame()),
        write_text(folder / "power.tex", table.latex()),
        write_text(folder / "power.html", table.html()),
    ]
    for path in sorted(paths):
        print(path)
