"""Verbs that fetch what studies need and free what they need no more."""

from typing import Annotated

import typer

from harness.cli.app import (
    DEFAULT_STUDY,
    Overrides,
    StorePath,
    StudyPath,
    app,
    load_plan,
    make_console,
    open_store,
    refuse,
)
from harness.cli.extras import refuse_without


@app.command()
def fetch(study: StudyPath = DEFAULT_STUDY, overrides: Overrides = None) -> None:
    """Bring the models and data of a study into the hub's local cache, so that jobs need no network.

    Branches are pinned: the commits that they stand for now go to revisions.yaml beside the study file.
    """
    refuse_without("fetching", ["huggingface_hub"])
    from harness.models.fetch import FetchError, fetch
    from harness.study import load_study

    try:
        found = fetch(load_study(study, overrides or ()), study.parent, progress=print)
    except FetchError as error:
        refuse(str(error), code=1)
    for each in found:
        print(f"{each.where}: {each.id} at {each.commit}\n    {each.path}")
    if not found:
        print("the study takes nothing from a hub")


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
    from harness.record.clean import clean, cleanable
    from harness.views.plan import clean_view

    the_plan, the_store = load_plan(study, overrides), open_store(store)
    found = cleanable(the_plan, the_store, the_plan.study.retention.checkpoints)
    if yes:
        found = clean(found, the_store)
    make_console().print(clean_view(found, the_plan, freed=yes))
