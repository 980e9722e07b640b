"""A plan as rows of plain data and text, for the command line to print."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from harness.study.disk import disk_use, format_bytes
from harness.study.estimate import Estimate, Measured, estimate, known_shape, wall_seconds
from harness.study.expand import Plan
from harness.study.schema import Claim
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
    gpu_hours: tuple[float, float]
    """Of what is to do, from and to; 0 on a CPU."""
    measured: bool
    """Stages of the shape of all that is to do were timed."""
    bytes_to_do: float
    """Disk that what is to do will take."""


@dataclass(frozen=True)
class ClaimRow:
    """A published statement and what becomes of it here."""

    claim: str
    statement: str
    figure: float | None
    source: str
    decided_by: str
    """Name of its contrast, or the arm that really ran; empty when it is untestable."""
    untestable: str


@dataclass(frozen=True)
class Description:
    """What `describe` says about a plan."""

    study: str
    title: str
    arms: tuple[ArmRow, ...]
    kinds: tuple[KindRow, ...]
    claims: tuple[ClaimRow, ...]
    runs: int
    runs_done: int
    stages: int
    stages_done: int
    workers: int
    seconds_to_do: float
    """Estimated wall seconds of all stages to do, one after the other."""
    wall_seconds: float
    """Estimated wall seconds with the workers side by side."""
    gpu_hours: tuple[float, float]
    """GPU-hours of all stages to do, from and to; 0 on a CPU."""
    measured: bool
    """Stages of the shape of all that is to do on GPUs were timed."""
    bytes_to_do: float
    """Disk that all stages to do will take."""
    bytes_kept: float
    """What of it is left after ``ablate clean``."""
    bytes_resume: float
    """Disk that the largest training takes on top while it is at work, to be resumed from."""
    guessed_shapes: tuple[str, ...]
    """Models of unknown shape, counted as Qwen2-VL-2B."""

    def summary(self) -> str:
        """One line: ``11 runs in 5 arms; 33 stages, 4 done; about 24 min to go with 2 workers``."""
        counted = f"{_count(self.runs, 'run')} in {_count(len(self.arms), 'arm')}"
        stages = f"{_count(self.stages, 'stage')}, {self.stages_done} done"
        if self.stages_done == self.stages:
            return f"{counted}; {stages}; nothing to do"
        time = format_seconds(self.wall_seconds)
        return f"{counted}; {stages}; about {time} to go with {_count(self.workers, 'worker')}"

    def costs(self) -> list[str]:
        """Lines on GPU-hours and disk: what there is to say of them."""
        if self.stages_done == self.stages:
            return []
        lines = []
        if self.gpu_hours[1]:
            basis = "timed" if self.measured else "unmeasured: from operations and what GPUs reach of their peak"
            lines.append(f"{format_hours(*self.gpu_hours)} GPU-hours to go ({basis})")
        for name in self.guessed_shapes:
            lines.append(f"the shape of model {name} is not known; it is counted as Qwen2-VL-2B")
        lines.append(
            f"disk: {format_bytes(self.bytes_to_do)} to write, {format_bytes(self.bytes_kept)} of it left after ablate "
            f"clean; each training at work takes up to {format_bytes(self.bytes_resume)} more"
        )
        return lines


def describe(
    plan: Plan,
    done: Collection[str] = (),
    measured: Iterable[Measured] = (),
    workers: int = 1,
    gpus: Mapping[str, int] | None = None,
) -> Description:
    """What a plan comes to.

    Args:
        plan: the plan.
        done: ids of the stages that are done (others than the plan's are ignored).
        measured: finished stages with the time they took, for the estimate.
        workers: stages that run at a time.
        gpus: that each stage gets, by stage id; default: as its work is assumed to use.
    """
    done = {stage for stage in plan.stages if stage in done}
    estimates = estimate(plan, measured, gpus)
    seconds = {stage_id: each.seconds for stage_id, each in estimates.items()}
    disk = disk_use(plan, done)
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
            kinds.append(
                KindRow(
                    kind=kind,
                    stages=len(ids),
                    shared=shared,
                    done=len(ids) - len(to_do),
                    to_do=len(to_do),
                    seconds_to_do=sum(seconds[each] for each in to_do),
                    gpu_hours=_gpu_hours([estimates[each] for each in to_do]),
                    measured=all(estimates[each].measured for each in to_do),
                    bytes_to_do=sum(disk[each].outputs for each in to_do),
                )
            )
    gpu_work = [each for stage_id, each in estimates.items() if stage_id not in done and each.gpus]
    return Description(
        study=plan.study.study,
        title=plan.study.title,
        arms=tuple(arms),
        kinds=tuple(kinds),
        claims=tuple(
            ClaimRow(each.name, each.statement, each.figure, each.source, _decided_by(each), each.untestable or "")
            for each in plan.claims
        ),
        runs=len(plan.runs),
        runs_done=len(finished),
        stages=len(plan.stages),
        stages_done=len(done),
        workers=workers,
        seconds_to_do=sum(row.seconds_to_do for row in kinds),
        wall_seconds=wall_seconds(plan.stages, seconds, workers, done),
        gpu_hours=_gpu_hours(gpu_work),
        measured=all(each.measured for each in gpu_work),
        bytes_to_do=sum(each.outputs for each in disk.values()),
        bytes_kept=sum(each.kept for each in disk.values()),
        bytes_resume=max((each.resume for each in disk.values()), default=0.0),
        guessed_shapes=tuple(
            stage.settings.get("hub", {}).get("id") or stage.cosmetic.get("path", stage.id)
            for stage in plan.stages.values()
            if stage.kind == "model" and known_shape(stage) is None
        ),
    )


def _gpu_hours(estimates: Iterable[Estimate]) -> tuple[float, float]:
    hours = [each.gpu_hours for each in estimates]
    return sum(low for low, _ in hours), sum(high for _, high in hours)


def format_hours(low: float, high: float) -> str:
    """``12 to 40``, or one number where both are the same to two digits."""
    first, last = (f"{each:.2g}" if each < 10 else f"{each:,.0f}" for each in (low, high))
    return first if first == last else f"{first} to {last}"


def _decided_by(claim: Claim) -> str:
    if claim.ran is None:
        return claim.contrast or ""
    return f"a run of {claim.ran.arm} ({claim.ran.protocol}, {claim.ran.rule})"


def format_seconds(seconds: float) -> str:
    """``45 s``, ``12 min`` or ``3 h 20 min``."""
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
