"""SLURM's commands: each method is one call, and all calls are counted."""

import os
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from getpass import getuser

_UNANSWERED = re.compile(r"timed out|Unable to contact|Socket|Connection|Zero Bytes", re.IGNORECASE)
"""Words of a command that got no answer: slurmctld may have done what it was asked for all the same."""

_OVERRIDING = ("SBATCH_", "SLURM_")
"""Variables that win over a script's own options, or stem from a job that this is called in."""

QUEUE_FORMAT = "%i|%j|%T|%N|%r"
ACCOUNTING_FORMAT = "JobID,State,Start,NodeList,JobName"


class SchedulerError(Exception):
    """A scheduler command failed or isn't there; the message is one line that says which and why.

    Args:
        unknown: whether the command may have done its work all the same.
    """

    def __init__(self, message: str, unknown: bool = False):
        super().__init__(message)
        self.unknown = unknown


@dataclass(frozen=True)
class QueuedTask:
    """A task of a job array that the scheduler has."""

    job_id: str
    """``123_4``."""
    name: str
    state: str
    """PENDING, RUNNING, COMPLETING, ..."""
    nodes: str
    reason: str
    """Why it is pending."""


@dataclass(frozen=True)
class EndedTask:
    """What accounting has of one start of a task."""

    job_id: str
    state: str
    """COMPLETED, FAILED, TIMEOUT, OUT_OF_MEMORY, NODE_FAIL, PREEMPTED, REQUEUED, CANCELLED, ..."""
    start: str
    nodes: str
    name: str


@dataclass(frozen=True)
class Partition:
    """What nodes of one sort in a partition offer; a partition can have several."""

    name: str
    minutes: float
    """Longest time limit; infinite if there is none."""
    memory_mb: int
    cpus: int
    gpus: dict[str, int]
    """By type; the type is empty where nodes have none declared."""
    features: frozenset[str]
    default: bool


@dataclass
class Slurm:
    """The scheduler of this machine."""

    calls: Counter[str] = field(default_factory=Counter)
    """Commands run so far."""

    def run(self, command: Sequence[str], pass_fds: Sequence[int] = (), env: Mapping[str, str] | None = None) -> str:
        """Standard output of a command.

        Args:
            pass_fds: file descriptors that it inherits.
            env: its environment; default: this process's.

        Raises:
            SchedulerError: it can't be started, fails or hangs.
        """
        self.calls[command[0]] += 1
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, pass_fds=pass_fds, env=env)
        except FileNotFoundError:
            raise SchedulerError(f"there is no {command[0]} on this machine; is it a SLURM login node?") from None
        except OSError as error:
            raise SchedulerError(f"{command[0]} can't be run: {error}") from None
        except subprocess.TimeoutExpired:
            raise SchedulerError(f"{command[0]} gave no answer in 120 s; is slurmctld up?", unknown=True) from None
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())
            text = f"{shlex.join(command)[:200]}: {said[:600] or f'exit code {done.returncode}'}"
            raise SchedulerError(text, unknown=_UNANSWERED.search(said) is not None)
        return done.stdout

    def configuration(self) -> dict[str, str]:
        """``scontrol show config`` by name."""
        found = {}
        for line in self.run(["scontrol", "show", "config"]).splitlines():
            name, equals, value = line.partition("=")
            if equals:
                found[name.strip()] = value.strip()
        return found

    def partitions(self) -> list[Partition]:
        """All partitions that are up."""
        lines = self.run(["sinfo", "--all", "--noheader", "--format=%P|%l|%m|%c|%G|%f|%a"]).splitlines()
        return [_partition(line) for line in lines if line.endswith("|up")]

    def associations(self) -> dict[str, frozenset[str]]:
        """QOS that this user may use, by account."""
        command = ["sacctmgr", "--noheader", "--parsable2", "show", "assoc", f"user={getuser()}", "format=account,qos"]
        found: dict[str, frozenset[str]] = {}
        for line in self.run(command).splitlines():
            account, _, qos = line.partition("|")
            found[account] = found.get(account, frozenset()) | frozenset(filter(None, qos.split(",")))
        return found

    def queue(self) -> list[QueuedTask]:
        """Every task of this user that is pending or not over yet."""
        command = ["squeue", "--noheader", "--array", f"--user={os.getuid()}", f"--format={QUEUE_FORMAT}"]
        return [QueuedTask(*line.split("|", 4)) for line in self.run(command).splitlines() if line.count("|") >= 4]

    def ended(self, job_ids: Iterable[str]) -> list[EndedTask]:
        """What accounting has of tasks, every start of each, first to last. What it lacks yet is not there."""
        what = ["--allocations", "--duplicates", f"--format={ACCOUNTING_FORMAT}", f"--jobs={','.join(job_ids)}"]
        lines = self.run(["sacct", "--noheader", "--parsable2", *what]).splitlines()
        return [EndedTask(*line.split("|")) for line in lines if line.count("|") == 4]

    def job(self, job_id: str) -> dict[str, str]:
        """``scontrol show job`` of one task, by name."""
        text = self.run(["scontrol", "show", "job", "--oneliner", job_id])
        return dict(re.findall(r"(\S+?)=(\S*)", text.splitlines()[0])) if text.strip() else {}

    def submit(self, script: str, keep_open: Sequence[int] = ()) -> str:
        """Job id of a batch script that was handed over.

        Args:
            script: path of the file.
            keep_open: file descriptors that the command inherits: a lock held through one is held until it is over,
                even if this process dies meanwhile.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_OVERRIDING)}
        environment |= {name: os.environ[name] for name in ("SLURM_CONF",) if name in os.environ}
        said = self.run(["sbatch", "--parsable", script], pass_fds=keep_open, env=environment)
        match = re.search(r"(?m)^(\d+)(;\S+)?$", said.strip())
        if match is None:
            raise SchedulerError(f"sbatch gave no job id but {said!r}", unknown=True)
        return match[1]

    def cancel(self, job_ids: Sequence[str]) -> None:
        """End tasks, pending or running."""
        if job_ids:
            self.run(["scancel", "--quiet", *job_ids])

    def requeue(self, job_id: str) -> None:
        """Put a running task back into the queue."""
        self.run(["scontrol", "requeue", job_id])


def _partition(line: str) -> Partition:
    name, time, memory, cpus, gres, features, _ = line.split("|")
    gpus: dict[str, int] = {}
    for each in re.sub(r"\([^)]*\)", "", gres).split(","):  # in brackets: what they are tied to
        kind, *rest = each.split(":")
        if kind == "gpu":
            gpus[rest[0] if len(rest) == 2 else ""] = int(rest[-1])
    return Partition(
        name.rstrip("*"),
        _limit(time),
        int(memory.rstrip("+")),
        int(cpus.rstrip("+")),
        gpus,
        frozenset(each for each in features.split(",") if each != "(null)"),
        name.endswith("*"),
    )


def _limit(time: str) -> float:
    """Minutes of a time limit as sinfo prints it, ``infinite`` or ``[days-]hours:minutes:seconds``."""
    if time in ("infinite", "n/a"):
        return float("inf")
    days, _, clock = time.rpartition("-")
    parts = [int(each) for each in clock.split(":")]
    hours, minutes, seconds = [0] * (3 - len(parts)) + parts
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60
