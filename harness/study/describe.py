"""A plan as rows of plain data and text, for the command line to print."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from harness.study.estimate import Measured, estimate_seconds, wall_seconds
from harness.study.expand import Plan
from harness.study.stage import REVISIONS


@dataclass(frozen=True)
class ArmRow:
    """One arm of a plan."""

    arm: str
    levels: dict[str, str]
    protocols: tuple[str, ...]
    """The arm's own first."""
    runs: int
    done: int
    """Runs of which every stage is done."""


@dataclass(frozen=True)
class KindRow:
    """All stages of one kind."""

    kind: str
    stages: int
    shared: int
    """Stages that several runs need, computed once."""
    done: int
    to_do: int
    seconds_to_do: float
    """Sum of the estimates of what is to do, as if one after the other."""


@dataclass(frozen=True)
class Description:
    """What `describe` says about a plan."""

    study: str
    title: str
    arms: tuple[ArmRow, ...]
    kinds: tuple[KindRow, ...]
    runs: int
    runs_done: int
    stages: int
    stages_done: int
    workers: int
    seconds_to_do: float
    """Estimated wall seconds of all stages to do, one after the other."""
    wall_seconds: float
    """Estimated wall seconds with the workers side by side."""

    def summary(self) -> str:
        """One line: ``11 runs in 5 arms; 33 stages, 4 done; about 24 min to go with 2 workers``."""
        counted = f"{_count(self.runs, 'run')} in {_count(len(self.arms), 'arm')}"
        stages = f"{_count(self.stages, 'stage')}, {self.stages_done} done"
        if self.stages_done == self.stages:
            return f"{counted}; {stages}; nothing to do"
        time = format_seconds(self.wall_seconds)
        return f"{counted}; {stages}; about {time} to go with {_count(self.workers, 'worker')}"


def describe(
    plan: Plan, done: Collection[str] = (), measured: Iterable[Measured] = (), workers: int = 1
) -> Description:
    """What a plan comes to.

    Args:
        plan: the plan.
        done: ids of the stages that are done (others than the plan's are ignored).
        measured: finished stages with the time they took, for the estimate.
        workers: stages that run at a time.
    """
    done = {stage for stage in plan.stages if stage in done}
    seconds = estimate_seconds(plan, measured)
    users = {stage: len(plan.users(stage)) for stage in plan.stages}
    finished = {run.id for run in plan.runs if done.issuperset(run.stages)}
    arms = []
    for arm in plan.arms:
        runs = [run.id for run in plan.runs if run.arm == arm.name]
        protocols = tuple(arm.settings.protocols)
        arms.append(ArmRow(arm.name, arm.levels, protocols, len(runs), len(finished.intersection(runs))))
    kinds = []
    for kind in REVISIONS:
        ids = [stage_id for stage_id, stage in plan.stages.items() if stage.kind == kind]
        to_do = [each for each in ids if each not in done]
        if ids:
            shared = sum(users[each] > 1 for each in ids)
            time = sum(seconds[each] for each in to_do)
            kinds.append(KindRow(kind, len(ids), shared, len(ids) - len(to_do), len(to_do), time))
    return Description(
        study=plan.study.study,
        title=plan.study.title,
        arms=tuple(arms),
        kinds=tuple(kinds),
        runs=len(plan.runs),
        runs_done=len(finished),
        stages=len(plan.stages),
        stages_done=len(done),
        workers=workers,
        seconds_to_do=sum(row.seconds_to_do for row in kinds),
        wall_seconds=wall_seconds(plan.stages, seconds, workers, done),
    )


def format_seconds(seconds: float) -> str:
    """``45 s``, ``12 min`` or ``3 h 20 min``."""
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
