"""Logs, printed as they grow."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.record.attempts import last_log
from harness.record.states import stage_states

if TYPE_CHECKING:
    from harness.record.folders import StageFolder, Store
    from harness.study.expand import Plan


def stage_of_interest(name: str, plan: "Plan", store: "Store") -> str | None:
    """The stage that a name stands for; of a run the first that failed, is at work or was interrupted, else its
    training, else its last. None when the name is neither a stage's nor a run's."""
    if name in plan.stages:
        return name
    run = next((each for each in plan.runs if each.id == name), None)
    if run is None:
        return None
    states = stage_states(plan, store)
    for state in ("failed", "running", "interrupted"):
        for stage_id in run.stages:
            if states[stage_id].state == state:
                return stage_id
    return run.train or run.stages[-1]


def follow_log(
    folder: "StageFolder", follow: bool, heading: Callable[[Path], None], patient: Callable[[], bool] = bool
) -> None:
    """Print the latest attempt's log; with ``follow`` whatever comes, later attempts too, until the job ends.

    Args:
        patient: whether the stage is in a scheduler's queue: between two of its attempts nothing holds the lock, and
            only its end is the end.
    """
    path, place = None, 0
    while True:
        locked = folder.is_locked()
        newest = last_log(folder)
        if newest is not None and newest != path:
            heading(newest)
            path, place = newest, 0
        if path is not None:
            with path.open("rb") as file:
                file.seek(place)
                text = file.read()
            place += len(text)
            print(text.decode(errors="replace"), end="", flush=True)
        status = folder.status()
        over = not patient() or (status is not None and status.state in ("done", "failed"))
        if not follow or (path is not None and not locked and over):
            return
        time.sleep(0.3)
