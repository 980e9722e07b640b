"""A SLURM in this process: it answers the commands that the harness runs, keeps job arrays with their dependencies, and
runs their tasks, one at a time, through the code that a batch script runs."""

import os
import re
import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.launch.slurm.scheduler import SchedulerError, Slurm

IN_QUEUE = ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED")


class Crash(BaseException):
    """The submitting process died here."""


@dataclass(eq=False)
class FakeTask:
    """A task of a job array, and what accounting has of its earlier starts."""

    array: "FakeArray"
    index: int
    state: str = "PENDING"
    reason: str = "Priority"
    restarts: int = 0
    begun: bool = False
    exit_code: str = "0:0"
    earlier: list[tuple[str, str]] = field(default_factory=list)
    """State and exit code of each start that was followed by another one."""

    @property
    def job_id(self) -> str:
        return f"{self.array.job_id}_{self.index}"

    @property
    def queued(self) -> bool:
        return self.state in IN_QUEUE

    @property
    def nodes(self) -> str:
        return "n1" if self.begun else ""


@dataclass(eq=False)
class FakeArray:
    """A job array as sbatch took it."""

    job_id: str
    name: str
    folder: Path | None
    """Of its submission."""
    indices: list[int]
    throttle: int | None
    dependency: list[tuple[str, str, int | None]]
    """Kind, job id and task index of what it waits for, all of it."""
    kill_on_invalid_dep: bool
    options: dict[str, str]
    tasks: dict[int, FakeTask] = field(default_factory=dict)


@dataclass
class FakeSlurm(Slurm):
    """The scheduler; what a test may turn stands first."""

    down: str = ""
    """Why no command gives an answer."""
    accounting: bool = True
    lagging: bool = False
    """Accounting has heard of nothing yet."""
    says: dict[str, str] = field(default_factory=dict)
    """By job id: the state that accounting still has of it."""
    max_array_size: int = 1001
    most_jobs: int | None = None
    """MaxSubmitJobs: tasks in the queue."""
    refuse_after: int | None = None
    """sbatch refuses all arrays after so many."""
    silent_after: int | None = None
    """sbatch takes all arrays after so many, and its answer is lost."""
    crash: dict[int, str] = field(default_factory=dict)
    """``before`` or ``after`` sbatch takes the array of this number, from 1, the submitting process dies."""
    kills: dict[str, list[int]] = field(default_factory=dict)
    """By stage id: exit codes of srun of its next starts, which are killed in the middle of their work."""
    early: dict[str, list[int]] = field(default_factory=dict)
    """By stage id: exit codes of the batch script's next steps, which end before the stage's work begins."""
    show: dict[str, str] = field(default_factory=dict)
    """Further fields of ``scontrol show job``."""
    hooks: dict[str, Callable[[], None]] = field(default_factory=dict)
    """Called once, when a command has its answer and before it is given."""
    cluster: dict[str, str] = field(default_factory=dict)
    """Answers of ``sinfo``, ``sacctmgr`` and ``scontrol show config`` (added to it)."""

    arrays: dict[str, FakeArray] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)
    next_id: int = 100
    taken: int = 0
    """Arrays that sbatch took or refused."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    # ---- commands

    def run(self, command: Sequence[str], **options: object) -> str:
        with self.lock:
            self.calls[command[0]] += 1
            self.commands.append(list(command))
            if self.down:
                raise SchedulerError(self.down)
            answer = getattr(self, f"_{command[0]}")(list(command[1:]))
            hook = self.hooks.pop(command[0], None)
        if hook:
            hook()
        return answer

    def _sbatch(self, arguments: list[str]) -> str:
        self.taken += 1
        crash = self.crash.get(self.taken)
        if crash == "before":
            raise Crash
        if self.refuse_after is not None and self.taken > self.refuse_after:
            raise SchedulerError("sbatch: Batch job submission failed: Job violates accounting/QOS policy")
        script = Path(arguments[-1])
        array = self._accept_script(script)
        if crash == "after":
            raise Crash
        if self.silent_after is not None and self.taken > self.silent_after:
            raise SchedulerError("sbatch gave no answer in 120 s; is slurmctld up?", unknown=True)
        return f"{array.job_id}\n"

    def _accept_script(self, script: Path) -> FakeArray:
        options: dict[str, str] = {}
        for line in script.read_text().splitlines():
            if line.startswith("#SBATCH --"):
                (flag,) = shlex.split(line.removeprefix("#SBATCH "))
                name, _, value = flag.removeprefix("--").partition("=")
                options[name] = value
        return self.accept(options["array"], options.get("dependency", ""), options["job-name"], script.parent, options)

    def accept(
        self,
        indices: str,
        dependency: str = "",
        name: str = "",
        folder: Path | None = None,
        options: dict[str, str] | None = None,
    ) -> FakeArray:
        """Take an array, as sbatch does: what it can't have is refused."""
        options = options or {"kill-on-invalid-dep": "yes"}
        numbers, _, throttle = indices.partition("%")
        tasks = [index for part in numbers.split(",") for index in _range(part)]
        if max(tasks) >= self.max_array_size or len(set(tasks)) != len(tasks):
            raise SchedulerError("sbatch: error: Batch job submission failed: Invalid job array specification")
        waiting = sum(task.queued for array in self.arrays.values() for task in array.tasks.values())
        if self.most_jobs is not None and waiting + len(tasks) > self.most_jobs:
            raise SchedulerError("sbatch: error: AssocMaxSubmitJobLimit")
        clauses = [_clause(each) for each in dependency.split(",") if each]
        for kind, job, index in clauses:
            wanted = tasks if kind == "aftercorr" else [] if index is None else [index]
            if job not in self.arrays or not set(wanted) <= set(self.arrays[job].tasks):
                raise SchedulerError("sbatch: error: Batch job submission failed: Job dependency problem")
        kill = options.get("kill-on-invalid-dep") == "yes"
        job_id = str(self.next_id)
        self.next_id += 1
        limit = int(throttle) if throttle else None
        array = self.arrays[job_id] = FakeArray(job_id, name, folder, tasks, limit, clauses, kill, options)
        array.tasks = {index: FakeTask(array, index) for index in tasks}
        return array

    def _squeue(self, arguments: list[str]) -> str:
        self.settle()
        form = next(each.partition("=")[2] for each in arguments if each.startswith("--format="))
        lines = []
        for task in self.tasks():
            if task.queued:
                values = {"i": task.job_id, "j": task.array.name, "T": task.state, "N": task.nodes}
                values["r"] = task.reason if task.state == "PENDING" else "None"
                lines.append(re.sub(r"%(\w)", lambda match, values=values: values[match[1]], form) + "\n")
        return "".join(lines)

    def _sacct(self, arguments: list[str]) -> str:
        if not self.accounting:
            raise SchedulerError("sacct --noheader: Slurm accounting storage is disabled")
        given = dict(each.removeprefix("--").partition("=")[::2] for each in arguments)
        lines = []
        for task in self.tasks() if not self.lagging else ():
            if task.job_id not in given["jobs"].split(","):
                continue
            last = (self.says.get(task.job_id, task.state), task.exit_code, task.begun)
            starts = [*((state, code, True) for state, code in task.earlier), last]
            for state, code, begun in starts if "duplicates" in given else starts[-1:]:
                now = "2030-01-01T00:00:00"
                values = {"JobID": task.job_id, "State": state, "ExitCode": code, "Start": now if begun else "None"}
                values |= {"End": now, "NodeList": "n1" if begun else "None assigned", "JobName": task.array.name}
                lines.append("|".join(values[each] for each in given["format"].split(",")) + "\n")
        return "".join(lines)

    def _scontrol(self, arguments: list[str]) -> str:
        if arguments[:2] == ["show", "config"]:
            store = "accounting_storage/slurmdbd" if self.accounting else "(null)"
            lines = {"ClusterName": "fake", "MaxArraySize": str(self.max_array_size), "AccountingStorageType": store}
            lines["AccountingStorageEnforce"] = "associations,limits,qos" if self.accounting else "none"
            return "Configuration data as of 2030\n" + "".join(f"{key:20} = {lines[key]}\n" for key in lines)
        task = self.task(arguments[-1])
        if arguments[0] == "requeue":
            if task.state not in ("RUNNING", "COMPLETING"):
                raise SchedulerError(f"scontrol requeue {task.job_id}: Job is pending execution")
            task.earlier.append(("REQUEUED", task.exit_code))
            task.state, task.restarts, task.reason, task.begun = "PENDING", task.restarts + 1, "BeginTime", False
            return ""
        fields = {"JobId": "1", "ArrayJobId": task.array.job_id, "ArrayTaskId": str(task.index), "JobState": task.state}
        fields |= {"Restarts": str(task.restarts), "PreemptTime": "None"} | self.show
        return " ".join(f"{name}={value}" for name, value in fields.items()) + "\n"

    def _scancel(self, arguments: list[str]) -> str:
        for job_id in arguments:
            if not job_id.startswith("-") and self.task(job_id).queued:
                self.task(job_id).state = "CANCELLED"
        return ""

    def _sinfo(self, arguments: list[str]) -> str:
        return self.cluster.get("sinfo", "main*|infinite|64000|16|(null)|(null)|up\n")

    def _sacctmgr(self, arguments: list[str]) -> str:
        return self.cluster.get("sacctmgr", "")

    # ---- what a scheduler does by itself

    def tasks(self) -> Iterator[FakeTask]:
        for array in self.arrays.values():
            yield from array.tasks.values()

    def task(self, job_id: str) -> FakeTask:
        job, _, index = job_id.partition("_")
        if job not in self.arrays or int(index) not in self.arrays[job].tasks:
            raise SchedulerError(f"scontrol show job {job_id}: slurm_load_jobs error: Invalid job id specified")
        return self.arrays[job].tasks[int(index)]

    def waits(self, task: FakeTask) -> bool | None:
        """Whether something that a task waits for is not over yet; None: it will never be as it should."""
        open_yet = False
        for kind, job, index in task.array.dependency:
            others = self.arrays[job].tasks
            if kind == "afterany":
                open_yet |= any(each.queued for each in others.values())
                continue
            needed = others[task.index if kind == "aftercorr" else index]  # type: ignore[index]
            if needed.state != "COMPLETED" and not needed.queued:
                return None
            open_yet |= needed.queued
        return open_yet

    def settle(self) -> None:
        """Take out what can never start, and all that waits for it."""
        again = True
        while again:
            again = False
            for task in self.tasks():
                if task.state != "PENDING":
                    continue
                waits = self.waits(task)
                if waits is None and task.array.kill_on_invalid_dep:
                    task.state, again = "CANCELLED", True
                elif waits is None:
                    task.reason = "DependencyNeverSatisfied"
                elif waits:
                    task.reason = "Dependency"

    def ready(self) -> list[FakeTask]:
        """What may start now, by dependencies and by the arrays' throttles."""
        self.settle()
        found = []
        for array in self.arrays.values():
            running = sum(task.state == "RUNNING" for task in array.tasks.values())
            room = len(array.tasks) if array.throttle is None else array.throttle - running
            pending = [task for task in array.tasks.values() if task.state == "PENDING" and self.waits(task) is False]
            found += pending[: max(room, 0)]
        return found

    def begin(self, task: FakeTask) -> None:
        assert task.state == "PENDING"
        task.state, task.begun = "RUNNING", True

    def end(self, task: FakeTask, state: str, code: int = 0) -> None:
        """A task that runs ends, nobody asking."""
        task.state, task.exit_code = state, f"{code}:0"

    def restart(self, task: FakeTask, state: str) -> None:
        """The scheduler starts a task anew by itself, after this end of its last start."""
        task.earlier.append((state, "0:0"))
        task.state, task.restarts, task.begun = "PENDING", task.restarts + 1, False

    # ---- running tasks

    def step(self) -> FakeTask | None:
        """Run the first task that may start; None when there is none."""
        ready = self.ready()
        if ready:
            self.run_task(ready[0])
        return ready[0] if ready else None

    def run_all(self) -> list[FakeTask]:
        """Run until nothing may start any more. What ran, in this order; a task once for every start."""
        found = []
        while (task := self.step()) is not None:
            found.append(task)
            assert len(found) < 10_000, "it goes on for ever"
        return found

    def run_task(self, task: FakeTask) -> int:
        """What the batch script of a task does. Its exit code."""
        from harness.launch.slurm import aftermath

        folder = task.array.folder
        assert folder is not None
        self.begin(task)
        with task_environment(task):
            code = self._srun(task, folder)
            if code:
                code = aftermath.main(folder, code)
                if code == aftermath.REQUEUE:
                    code = self._put_back(task, folder)
        if task.state == "RUNNING":
            self.end(task, "FAILED" if code else "COMPLETED", code)
        return code

    def _put_back(self, task: FakeTask, folder: Path) -> int:
        """What the batch script does when the job is to go on."""
        from harness.launch.slurm import aftermath

        try:
            self.requeue(task.job_id)
        except SchedulerError:
            return aftermath.main(folder, aftermath.NOT_REQUEUED)
        return 1

    def _srun(self, task: FakeTask, folder: Path) -> int:
        from harness.launch.job import StageFailed
        from harness.launch.slurm.ledger import Submission

        stage_id = Submission(folder).stages[task.index]
        if self.early.get(stage_id):
            return self.early[stage_id].pop(0)
        if self.kills.get(stage_id):
            die_at_work(Submission(folder), task.index, task)
            return self.kills[stage_id].pop(0)
        try:
            task_main()(folder)
        except StageFailed:
            return 1
        except SystemExit as left:
            return int(left.code or 0)
        return 0


def task_main() -> Callable[[Path], None]:
    """What a task runs. Its module blocks signals when it is imported, which is no good here."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    from harness.launch.slurm import task

    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return task.main


def die_at_work(submission: object, index: int, task: FakeTask, step: int = 7, total: int = 10) -> None:
    """Leave what a job leaves that is killed in the middle of its stage's work."""
    from harness.launch.slurm.ledger import Submission
    from harness.record.attempts import open_attempt
    from harness.record.folders import Store
    from harness.record.status import Status, write_status

    assert isinstance(submission, Submission)
    manifest = submission.manifest
    folder = Store(Path(manifest["store"])).own_folder(submission.stages[index])
    name = f"{submission.token}-{index}"
    attempt = open_attempt(folder, "slurm", task.job_id, name, manifest["gpus"], task.restarts)
    folder.write_stage(submission.stage(index))
    write_status(folder.status_file, Status("running", attempt.number, step, total, started=attempt.began))
    (folder.path / "out-half.txt").write_text("half")


@contextmanager
def task_environment(task: FakeTask) -> Iterator[None]:
    """SLURM's variables of a task."""
    variables = {
        "SUBMITIT_EXECUTOR": "slurm",
        "SLURM_JOB_ID": f"9{task.array.job_id}{task.index}",
        "SLURM_ARRAY_JOB_ID": task.array.job_id,
        "SLURM_ARRAY_TASK_ID": str(task.index),
        "SLURM_RESTART_COUNT": str(task.restarts) if task.restarts else "",
        "SLURM_PROCID": "0",
        "SLURM_NTASKS": "1",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURMD_NODENAME": "n1",
    }
    before = dict(os.environ)
    os.environ.update({name: value for name, value in variables.items() if value})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _clause(text: str) -> tuple[str, str, int | None]:
    match = re.fullmatch(r"(aftercorr|afterok|afterany):(\d+)(?:_(\d+))?", text)
    if match is None:
        raise SchedulerError(f"sbatch: error: Batch job submission failed: Job dependency problem ({text})")
    return match[1], match[2], None if match[3] is None else int(match[3])
