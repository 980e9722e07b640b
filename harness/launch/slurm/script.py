"""The batch script of a job array, written by submitit's executor."""

import math
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import submitit

from harness.launch.environment import ENVIRONMENT
from harness.launch.slurm.aftermath import NOT_REQUEUED, REQUEUE
from harness.launch.slurm.arrays import Array
from harness.launch.slurm.ledger import START_MARK, job_name
from harness.study.resources import Resources


class _ScriptExecutor(submitit.SlurmExecutor):
    """Writes scripts and submits nothing: sbatch has to inherit the lock on the submissions, and tasks read the
    manifest instead of a pickle that would only be put in place once the array is in the queue."""

    @classmethod
    def affinity(cls) -> int:
        return 2  # writing needs no SLURM

    def text(self, command: str, tasks: int) -> str:
        self.parameters["map_count"] = tasks
        return self._make_submission_file_text(command, "")


def layout(processes: int, per_node: int) -> tuple[int, int]:
    """Nodes, and processes on each: as few nodes as can share the processes evenly."""
    nodes = next(n for n in range(1, processes + 1) if processes % n == 0 and processes // n <= per_node)
    return nodes, processes // nodes


def gpus_of(resources: Resources, processes: int) -> int:
    """GPUs that a stage gets in all."""
    return (resources.gpus or 0) * processes


def batch_script(array: Array, folder: Path, token: str, code: Path, job_ids: Mapping[int, str], path: str) -> str:
    """Text of the batch script of an array.

    Args:
        folder: of the submission.
        code: the snapshot that the tasks run.
        job_ids: of the arrays submitted before, by number.
        path: what ``PYTHONPATH`` holds behind the snapshot.
    """
    given = array.resources
    nodes, per_node = layout(array.processes, given.processes_per_node or 1)
    gpus = (given.gpus or 0) * per_node
    wrapped = f"{given.container} " if given.container else ""
    python = f"{wrapped}{shlex.quote(given.python or sys.executable)}"
    variables = ENVIRONMENT | (given.environment or {})
    variables |= {"PYTHONPATH": ":".join(filter(None, [str(code), path])), "PYTHONSAFEPATH": "1"}
    aftermath = f"{python} -m harness.launch.slurm.aftermath {shlex.quote(str(folder))}"
    executor = _ScriptExecutor(folder)
    more = {"array": array.indices(), "requeue": True, "kill-on-invalid-dep": "yes"} | (given.sbatch or {})
    if array.after:
        more["dependency"] = ",".join(each.text(job_ids) for each in array.after)
    if gpus and given.gpu_type:
        more["gres"] = f"gpu:{given.gpu_type}:{gpus}"
    optional = {
        "partition": given.partition,
        "account": given.account,
        "qos": given.qos,
        "constraint": given.constraint,
        "gpus_per_node": gpus if gpus and not given.gpu_type else None,
    }
    executor.update_parameters(
        job_name=job_name(array.kind, token),
        time=given.minutes,
        nodes=nodes,
        ntasks_per_node=per_node,
        cpus_per_task=given.cpus,
        mem=f"{math.ceil((given.memory_gb or 1.0) * per_node * 1024)}MB",
        signal_delay_s=given.signal_before_s,
        wckey=None,
        srun_args=["--kill-on-bad-exit=1", f"--cpus-per-task={given.cpus}"],
        setup=[
            f'echo "{START_MARK}${{SLURM_RESTART_COUNT:-0}} on ${{SLURMD_NODENAME:-$HOSTNAME}}" >&2',
            *(f"module load {shlex.quote(name)}" for name in given.modules or []),
            *(given.setup or []),
            *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        ],
        teardown=[
            "code=$?",
            "if [ $code -ne 0 ]; then",
            f"    {aftermath} $code",
            "    code=$?",
            "fi",
            f"if [ $code -eq {REQUEUE} ]; then",
            "    for pause in 5 60 0; do",
            "        scontrol requeue ${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID} && exit 1",
            "        sleep $pause",
            "    done",
            f"    {aftermath} {NOT_REQUEUED}",
            "    code=$?",
            "fi",
            "exit $code",
        ],
        additional_parameters=more,
        **{name: value for name, value in optional.items() if value is not None},
    )
    command = f"{python} -u -m harness.launch.slurm.task {shlex.quote(str(folder))}"
    return executor.text(command, len(array.stages))
