"""The verb that shows what a study comes to, and registers its contrasts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import (
    DEFAULT_STUDY,
    Budget,
    Overrides,
    SitePath,
    StorePath,
    StudyPath,
    Workers,
    app,
    load_plan,
    load_site_resources,
    make_console,
    open_store,
    refuse,
    refuse_unpinned,
)
from harness.cli.cluster import refuse_over_budget

if TYPE_CHECKING:
    from harness.record.folders import Store
    from harness.study import Plan


@app.command()
def plan(
    study: StudyPath = DEFAULT_STUDY,
    overrides: Overrides = None,
    store: StorePath = None,
    workers: Workers = None,
    site: SitePath = None,
    budget: Budget = None,
    register: Annotated[
        bool,
        typer.Option(
            "--register",
            help="Write what the contrasts are to <study>.registered.json beside the study file, to be committed "
            "before the first evaluation.",
        ),
    ] = False,
) -> None:
    """Show arms, runs and stages of a study, what is done already, and an estimate of time and GPU-hours."""
    from harness.launch.costs import allocated_gpus, measured_stages
    from harness.record.provenance import available_cores
    from harness.record.registration import find_registrations
    from harness.record.states import with_needs
    from harness.study import describe
    from harness.views.plan import plan_view
    from harness.views.registration import registration_line

    the_store = open_store(store)
    the_plan = with_needs(load_plan(study, overrides), the_store)
    done = [stage_id for stage_id, stage in the_plan.stages.items() if the_store.is_done(stage)]
    resources = load_site_resources(site)
    gpus = allocated_gpus(the_plan, resources)
    description = describe(the_plan, done, measured_stages(the_store), workers or available_cores(), gpus)
    make_console().print(plan_view(description))
    if register:
        _register(the_plan, study, overrides or (), the_store)
    elif the_plan.contrasts:
        print(registration_line(find_registrations(the_plan, study)))
    refuse_over_budget(the_plan, the_store, resources, budget)


def _register(plan: "Plan", study: Path, overrides: Sequence[str], store: "Store") -> None:
    from harness.record.attempts import list_attempts
    from harness.record.registration import find_registrations, in_repository, register, registration_file
    from harness.study.declaration import read_stages
    from harness.views.registration import registered_lines

    if not plan.contrasts:
        refuse(f"{study} declares no contrasts, so there is nothing to register")
    # a commit that is looked up later would change the ids of what is read, and so what the contrasts are
    refuse_unpinned(plan)
    try:
        changes = register(plan, study, list(overrides))
    except ValueError as error:
        refuse(str(error))
    started = [
        contrast.name
        for contrast in plan.contrasts
        if any(
            store.is_done(plan.stages[stage]) or list_attempts(store.own_folder(stage))
            for stage in read_stages(plan, contrast)
        )
    ]
    found = find_registrations(plan, study)
    file = registration_file(study)
    print("\n".join(registered_lines(file, plan.study.study, changes, found, started, in_repository(file))))
