"""What a cluster gives to each kind of stage: partition, time, memory, GPUs.

It stands in the study file (``resources:``) and in a site file, both as a mapping from a kind of stage, or ``all``, to
settings; nothing in it can change an outcome. What does (the number of processes, say) is a setting of the study.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt

from harness.study.errors import Problem, StudyError
from harness.study.messages import validated
from harness.study.settings import Settings
from harness.study.source import read_source
from harness.study.stage import MODEL_KINDS, Stage

ResourceKey = Literal[
    "all", "world", "sat", "cvbench", "pretrain", "model", "tiny", "instruct", "sft", "grpo", "evaluate"
]
"""``all``, or a kind of stage, which wins over it."""

FIXED_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "PYTHONHASHSEED",
    "PYTHONPATH",
    "PYTHONSAFEPATH",
    "CUDA_VISIBLE_DEVICES",
    "ABLATE_KINDS",
)
"""Environment variables that can change an outcome, or which code runs, and so are no site's business."""

_OWN_OPTIONS = {
    *("account", "array", "constraint", "cpus-per-task", "dependency", "error", "gpus-per-node", "gres", "job-name"),
    *("kill-on-invalid-dep", "mem", "nodes", "ntasks-per-node", "open-mode", "output", "partition", "qos", "requeue"),
    *("signal", "time"),
}
"""Options of sbatch that the harness sets."""

_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<parts>\d+(?::\d+){0,2})")


def minutes_of(time: str) -> int:
    """Whole minutes, rounded up, of a time as SLURM writes it: ``90`` (minutes), ``1:30:00``, ``2-12`` or ``2-12:00``.

    Raises:
        ValueError: it is none.
    """
    match = _TIME.fullmatch(time.strip())
    if match is None:
        raise ValueError(f"{time!r} is no time; write minutes (90), h:mm:ss (1:30:00) or days-hours (2-12)")
    parts = [int(each) for each in match["parts"].split(":")]
    if match["days"] is not None:
        hours, minutes, seconds = (*parts, 0, 0)[:3]
        hours += 24 * int(match["days"])
    elif len(parts) == 3:
        hours, minutes, seconds = parts
    else:
        hours, (minutes, seconds) = 0, (*parts, 0)[:2]
    total = hours * 60 + minutes + math.ceil(seconds / 60)
    if total < 1:
        raise ValueError(f"{time!r} is no time at all; SLURM's smallest limit is 1 minute")
    return total


def _time(value: str) -> str:
    minutes_of(value)
    return value


def _environment(values: dict[str, str]) -> dict[str, str]:
    fixed = sorted(set(values).intersection(FIXED_VARIABLES))
    if fixed:
        raise ValueError(f"{', '.join(fixed)} can change an outcome or the code that runs, and is fixed; leave it out")
    return values


def _options(values: dict[str, str | int | bool]) -> dict[str, str | int | bool]:
    own = sorted(name for name in values if name.replace("_", "-") in _OWN_OPTIONS)
    if own:
        raise ValueError(f"{', '.join(own)} is set by the harness, or has a setting of its own; leave it out")
    return {name: value for name, value in values.items() if value is not False}


class Resources(Settings):
    """What a stage gets of a cluster; what is left out is taken from the next more general place."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    """Features that a node must have, as ``sbatch --constraint`` takes them."""
    gpus: NonNegativeInt | None = None
    """GPUs per process; default: 1 for what runs a real model, else 0."""
    gpu_type: str | None = None
    cpus: PositiveInt | None = None
    """Cores per process (default 2)."""
    memory_gb: PositiveFloat | None = None
    """Memory per process in gibibytes (default 8)."""
    time: Annotated[str, AfterValidator(_time)] | None = None
    """Time limit as SLURM writes it (default 4:00:00). A training that reaches it goes on in the next attempt."""
    signal_before_s: PositiveInt | None = None
    """Seconds before the time limit at which a job is told to save and stop (default 120). A training stops after the
    step under way and then saves its state: give it more than both take, else SLURM ends it and it must be retried."""
    processes_per_node: PositiveInt | None = None
    """At most so many processes of a stage on one node (default 8)."""
    parallel: PositiveInt | None = None
    """At most so many stages of this kind at once, of those that are submitted together (default 64)."""
    attempts: PositiveInt | None = None
    """Starts in all of a stage whose attempts are killed or run out of memory (default 3). An error of the stage's own
    code is final; preemptions and failed nodes don't count."""
    timeouts: NonNegativeInt | None = None
    """How often a stage may go on after its time limit (default 20)."""
    modules: list[str] | None = None
    """Loaded by ``module load``, in this order."""
    setup: list[str] | None = None
    """Lines of the batch script before the stage starts, after the modules."""
    container: str | None = None
    """Command that the job's Python is run by, such as ``apptainer exec --nv image.sif``."""
    python: str | None = None
    """Interpreter on the nodes; default: this one."""
    environment: Annotated[dict[str, str], AfterValidator(_environment)] | None = None
    sbatch: Annotated[dict[str, str | int | bool], AfterValidator(_options)] | None = None
    """Further options of sbatch by name, without dashes before it: ``{reservation: vlm, exclude: "n[3-4]"}``."""

    @property
    def minutes(self) -> int:
        """Time limit in minutes."""
        return minutes_of(self.time or "4:00:00")


DEFAULTS = Resources(
    cpus=2,
    memory_gb=8.0,
    time="4:00:00",
    signal_before_s=120,
    processes_per_node=8,
    parallel=64,
    attempts=3,
    timeouts=20,
    modules=[],
    setup=[],
    environment={},
    sbatch={},
)

ByKind = dict[ResourceKey, Resources]


class SiteFile(BaseModel):
    """A site file: resources by kind of stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    resources: ByKind = Field(default={})


def load_site(path: Path) -> SiteFile:
    """Read a site file.

    Raises:
        StudyError: one line per problem, with file and line.
    """
    if not path.is_file():
        raise StudyError([Problem((), "there is no such site file")], lambda _: str(path))
    source = read_source(path, what="a site file is a mapping that starts with 'resources:'")
    try:
        return validated(SiteFile, source.data)
    except StudyError as error:
        raise StudyError(error.problems, source.locate) from None


def processes_of(stage: Stage) -> int:
    """Processes that a stage is computed by."""
    return stage.settings.get("compute", {}).get("processes", 1)


def gpus_per_process(stage: Stage, leaf: Stage | None) -> int:
    """GPUs that each process of a stage uses where nothing else is said.

    Args:
        leaf: the stage that its model comes from in the end.
    """
    return int(stage.kind in MODEL_KINDS and leaf is not None and leaf.kind == "model")


def resources_for(stage: Stage, leaf: Stage | None, *places: Mapping[ResourceKey, Resources]) -> Resources:
    """What a stage gets: the defaults, and on top of them each place in turn, its ``all`` before its kind.

    Args:
        places: the study's own resources, then the site's; later ones win.
    """
    found = DEFAULTS.model_dump() | {"gpus": gpus_per_process(stage, leaf)}
    for place in places:
        for key, given in sorted(place.items(), key=lambda item: item[0] != "all"):
            if key in ("all", stage.kind):
                found |= given.model_dump(exclude_none=True)
    return Resources.model_validate(found)
