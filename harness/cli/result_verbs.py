"""Verbs that make tables and comparisons of what is computed."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import (
    DEFAULT_STUDY,
    CollectedPath,
    Overrides,
    ResultsPath,
    StorePath,
    StudyPath,
    app,
    collect_tables,
    collected_folder,
    load_plan,
    make_console,
    open_store,
    print_comparison,
    refuse,
    results_folder,
)


@app.command()
def collect(
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
    results: ResultsPath = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace what the folder holds: another study, or more finished runs than now."),
    ] = False,
) -> None:
    """Make tables (parquet) of whatever is finished; what is missing is a row with its state."""
    from harness.collect.earlier import loss

    the_plan, the_store = load_plan(study, overrides), open_store(store)
    folder = results_folder(results, the_plan)
    if not force and (text := loss(the_plan, the_store, folder)):
        refuse(f"{text}; name another folder by --results, or replace it by --force")
    rows = collect_tables(the_plan, the_store, folder, study)
    width = max(map(len, rows))
    for table, number in rows.items():
        print(f"{table:{width}}  {number:>8,} rows")
    print(f"in {folder}")


@app.command()
def rescore(
    study: CollectedPath = None,
    overrides: Overrides = None,
    results: ResultsPath = None,
    rules: Annotated[
        list[str] | None,
        typer.Option(
            "--rule", metavar="RULE", help="Scoring rule; repeatable, the first decides. Default: the study's."
        ),
    ] = None,
) -> None:
    """Score the collected completions anew by other scoring rules: no model, no GPU, no run folder is needed."""
    from harness.collect.rescore import rescore

    folder = collected_folder(study, overrides, results)
    try:
        rows = rescore(folder, rules)
    except (FileNotFoundError, ValueError) as error:
        refuse(str(error))
    for rule, number in rows.items():
        print(f"{rule:22}  {number:>8,} answers")
    print(f"in {folder}; `ablate compare` makes tables of them")


@app.command()
def compare(
    study: CollectedPath = None,
    overrides: Overrides = None,
    results: ResultsPath = None,
) -> None:
    """Make tables, figures and verdicts from the collected tables and print them. Nothing is collected anew."""
    print_comparison(collected_folder(study, overrides, results), make_console())


@app.command()
def audit(
    published: Annotated[
        Path, typer.Argument(metavar="PUBLISHED", help="Folder with scores.csv, or such a file.", show_default=True)
    ] = Path("results/published"),
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Also write audit.md, .csv, .tex and .html there.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 if there are errors in the figures.")] = False,
) -> None:
    """Hold printed tables against themselves: sums, impossible scores, scores under chance, noise."""
    from analysis.audit import PublishedError, Severity, audit_published, render, write_audit

    try:
        result = audit_published(published)
    except (FileNotFoundError, PublishedError) as error:
        refuse(str(error))
    make_console().print(render(result))
    if out is not None:
        for path in write_audit(result, out):
            print(path)
    if strict and result.count(Severity.ERROR):
        raise typer.Exit(1)
