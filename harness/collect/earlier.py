"""What was collected into a folder before, and what of it would be lost by collecting again."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from harness.record.atomic import read_json
from harness.record.folders import Store
from harness.record.states import run_states, stage_states
from harness.study.expand import Plan


@dataclass(frozen=True)
class Earlier:
    """A folder of collected tables."""

    study: str | None
    """Name of the study; None where nothing was collected."""
    done: int
    """Number of finished runs."""


def collected_earlier(folder: Path) -> Earlier:
    """What a folder of collected tables holds; nothing where there are none that can be read."""
    record = read_json(folder / "study.json")
    study = record.get("study") if isinstance(record, dict) else None
    try:
        states = pq.read_table(folder / "runs.parquet", columns=["state"]).column("state").to_pylist()
    except (OSError, KeyError, pa.ArrowException):
        states = []
    return Earlier(study, states.count("done"))


def other_study(plan: Plan, folder: Path) -> str | None:
    """Say whose tables would be replaced by those of a plan, where they are another study's; else None."""
    before = collected_earlier(folder)
    if before.study in (None, plan.study.study):
        return None
    return (
        f"{folder} holds the study {before.study!r} with {_finished(before.done)}, which study {plan.study.study!r}"
        " would replace"
    )


def loss(plan: Plan, store: Store, folder: Path) -> str | None:
    """Say what would be lost if a plan were collected into a folder: another study's tables, or finished runs, where
    fewer of the plan are finished in the store than the folder has; None where nothing would be."""
    other, before = other_study(plan, folder), collected_earlier(folder)
    if other is not None or before.done == 0:
        return other
    done = sum(state == "done" for state, _ in run_states(plan, stage_states(plan, store)).values())
    if done >= before.done:
        return None
    return (
        f"{folder} holds {_finished(before.done)} of study {plan.study.study!r}, which the {done} of"
        f" {len(plan.runs)} planned that are finished in the store {store.root} would replace"
    )


def _finished(number: int) -> str:
    return f"{number} finished run{'' if number == 1 else 's'}"
