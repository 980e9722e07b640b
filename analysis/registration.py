"""Confirmatory or exploratory: whether a contrast stood committed before anything that it reads was evaluated."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pandas as pd

from analysis.collected import Tables
from analysis.declared import checked

Status = Literal["confirmatory", "exploratory"]


@dataclass(frozen=True)
class Standing:
    """Whether a contrast was declared beforehand, and how that is known."""

    status: Status
    reason: str


def standing(tables: Tables, contrast: Mapping[str, Any]) -> Standing:
    """How a contrast stands.

    It is confirmatory where its registration was committed before the first attempt of every evaluation that it reads,
    attempts that failed included: what was looked at first can't be confirmed afterwards. Neither can another contrast
    under a registered one's name.
    """
    declared = [each for each in tables.study["contrasts"] if each["name"] == contrast["name"]]
    if declared and any(checked(tables, each) != checked(tables, contrast) for each in declared):
        return Standing("exploratory", "it is not what the study declares under its name")
    found = tables.study["registration"]["contrasts"].get(contrast["name"])
    if found is None:
        return Standing("exploratory", "no registration was collected")
    if found["committed"] is None:
        return Standing("exploratory", found["reason"])
    committed = datetime.fromisoformat(found["committed"])
    started = _first_start(tables.attempts, contrast["reads"])
    if started is None:
        return Standing("exploratory", "nothing tells when its evaluations were started")
    told = f"registered {_minute(committed)}, first evaluated {_minute(started)}"
    if committed < started:
        return Standing("confirmatory", told)
    return Standing("exploratory", f"{told}: too late")


def _first_start(attempts: pd.DataFrame, stages: list[str]) -> datetime | None:
    """The earliest start of any of the stages; None where none was started."""
    if "start" not in attempts:
        return None
    started = attempts.loc[attempts["stage"].isin(stages), "start"].dropna()
    return min(map(datetime.fromisoformat, started), default=None)


def _minute(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC")
