"""Calls of the scheduler's commands, CPU time and wall time of a process that uses a cluster, and of its jobs.

Calls are counted by scripts of the commands' names that stand first on PATH, note themselves in a log and become the
real command; jobs inherit both, and note theirs apart. CPU time of the submitting side is what the kernel counts for
the process and all that it waited for, the commands too. That of jobs is accounting's TotalCPU of their steps, which
slurmd takes from the kernel when a step's processes have ended: the batch step's are the script and srun, step 0's the
task. SLURM's daemons are not counted.
"""

import os
import resource
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from submitit import SlurmJob

COMMANDS = ("sbatch", "squeue", "sacct", "scontrol", "sinfo", "scancel", "sacctmgr")
_SLURM_VARIABLES = ("SLURM_", "SBATCH_", "SRUN_", "SACCT_", "SQUEUE_", "SINFO_", "SCANCEL_")
_OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL")

_ALL_TIMES = ("--starttime=now-2days", "--endtime=now+1days")


@dataclass
class Measured:
    """One process, from its start to its end."""

    seconds: float
    submitting_cpu: float
    calls: dict[str, int]
    """Of the submitting side, by command."""
    jobs: int = 0
    script_cpu: float = 0.0
    """Of all batch scripts with their srun."""
    task_cpu: float = 0.0
    """Of all tasks."""
    calls_in_jobs: dict[str, int] = field(default_factory=dict)

    @property
    def cpu_by_job(self) -> float:
        """CPU-seconds for each job, submitting side and job together."""
        return (self.submitting_cpu + self.script_cpu + self.task_cpu) / self.jobs if self.jobs else 0.0

    def record(self) -> dict[str, Any]:
        return asdict(self) | {"all_calls": sum(self.calls.values()), "cpu_by_job": self.cpu_by_job}


class Meter:
    """Runs commands on a cluster and measures them."""

    def __init__(self, folder: Path, cluster: Mapping[str, str]) -> None:
        """
        Args:
            folder: for the counting scripts and their log.
            cluster: what leads to the cluster (``SLURM_CONF``).
        """
        self._log = folder / "calls.log"
        self._plain = {
            key: value for key, value in os.environ.items() if not key.startswith(_SLURM_VARIABLES)
        } | cluster
        scripts = folder / "counting"
        scripts.mkdir(parents=True)
        for name in filter(shutil.which, COMMANDS):
            note = f'echo "${{SLURM_JOB_ID:+job-}}{name}" >> "{self._log}"'
            (scripts / name).write_text(f'#!/bin/sh\n{note}\nexec {shutil.which(name)} "$@"\n')
            (scripts / name).chmod(0o755)
        self.environment = self._plain | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
        self._seen = self._job_ids()

    def run(
        self, command: Sequence[str], cwd: Path, said: str = "", codes: Sequence[int] = (0,), **variables: str
    ) -> tuple[Measured, str]:
        """Run a process on the submitting side; what it took, and its standard output.

        Raises:
            RuntimeError: it ended with another code than those expected.
        """
        self._log.write_text("")
        before, began = _cpu_of_children(), time.monotonic()
        done = subprocess.run(
            command, cwd=cwd, env=self.environment | variables, input=said, capture_output=True, text=True
        )
        seconds, cpu = time.monotonic() - began, _cpu_of_children() - before
        if done.returncode not in codes:
            raise RuntimeError(f"{command}: exit code {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        calls, _ = self._calls()
        return Measured(seconds, cpu, calls), done.stdout

    def run_with_jobs(self, command: Sequence[str], cwd: Path, jobs: Callable[[], int], **variables: str) -> Measured:
        """Run a process that submits arrays and waits for them, then add up what their tasks used.

        Args:
            jobs: tells afterwards how many tasks there were.

        Raises:
            RuntimeError: it, or one of its jobs, didn't end well.
        """
        found, _ = self.run(command, cwd, **variables)
        found.jobs = jobs()
        found.script_cpu, found.task_cpu = self._cpu_of_jobs(found.jobs)
        _, found.calls_in_jobs = self._calls()
        return found

    def ask(self, *command: str) -> str:
        """Standard output of a command that isn't counted."""
        return subprocess.run(command, env=self._plain, capture_output=True, text=True, check=True, timeout=60).stdout

    def knows(self, tasks: Sequence[str]) -> bool:
        """Whether accounting has all of these tasks; it may lag behind."""
        arrays = ",".join({_id_of(each) for each in tasks})
        said = self.ask("sacct", "--parsable2", f"--jobs={arrays}", "--format=JobID,State,NodeList")
        return set(tasks) <= set(SlurmJob.watcher.read_info(said))

    def _calls(self) -> tuple[dict[str, int], dict[str, int]]:
        """Calls since the last start, outside of jobs and from jobs."""
        lines = self._log.read_text().split()
        inside = Counter(line.removeprefix("job-") for line in lines if line.startswith("job-"))
        return dict(Counter(line for line in lines if not line.startswith("job-"))), dict(inside)

    def _accounting(self) -> list[tuple[str, str, str]]:
        """Job or step, state and CPU time of all that accounting has."""
        said = self.ask("sacct", "--noheader", "--parsable2", *_ALL_TIMES, "--format=JobID,State,TotalCPU")
        return [(job, state, cpu) for job, state, cpu in (line.split("|") for line in said.splitlines())]

    def _job_ids(self) -> set[str]:
        return {_id_of(job) for job, _, _ in self._accounting()}

    def _cpu_of_jobs(self, jobs: int) -> tuple[float, float]:
        """CPU-seconds of the batch steps and of the tasks of all jobs that are new; accounting may lag behind."""
        deadline = time.monotonic() + 60
        while True:
            rows = [row for row in self._accounting() if _id_of(row[0]) not in self._seen]
            batch = {job.removesuffix(".batch") for job, _, _ in rows if job.endswith(".batch")}  # not a lone srun
            rows = [row for row in rows if row[0].partition(".")[0] in batch]
            over = [state for job, state, _ in rows if "." not in job and state.startswith(_OVER)]
            steps = {job: _seconds(cpu) for job, state, cpu in rows if "." in job and state.startswith(_OVER)}
            if len(over) == jobs and len(steps) == 2 * jobs:
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"accounting has {len(over)} of {jobs} jobs and {len(steps)} steps of theirs")
            time.sleep(1)
        self._seen |= {_id_of(job) for job, _, _ in rows}
        if set(over) != {"COMPLETED"}:
            raise RuntimeError(f"not all jobs ended well: {Counter(over)}")
        scripts = sum(cpu for job, cpu in steps.items() if job.endswith(".batch"))
        return scripts, sum(steps.values()) - scripts


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _id_of(job: str) -> str:
    return job.partition(".")[0].partition("_")[0]


def _seconds(text: str) -> float:
    """Seconds of ``[days-][hours:]minutes:seconds``."""
    days, _, clock = text.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds + 86400 * int(days or 0)
