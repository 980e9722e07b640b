"""Processes of jobs on this machine: starting them through submitit, asking them to stop, finding orphans."""

import os
import shutil
import signal
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.launch.environment import ENVIRONMENT
from harness.launch.job import StageJob
from harness.launch.work import one_line
from harness.record.attempts import list_attempts, open_attempt
from harness.record.folders import StageFolder, Store
from harness.record.lock import FileLock, is_locked, lock_holder
from harness.record.status import Status, write_status
from harness.study.resources import processes_of
from harness.study.stage import Stage

if TYPE_CHECKING:
    import submitit

_NEVER_MINUTES = 60 * 24 * 365


@dataclass
class JobProcess:
    """A job that this runner started."""

    stage: Stage
    submission: str
    job: "submitit.Job[str]"
    gpus: tuple[int, ...] = ()
    """GPUs of this machine that it has to itself."""

    def ended(self) -> bool:
        """submitit's controller, a child of this process, is gone (if killed, its task may outlive it)."""
        return self.job.done()


@contextmanager
def _for_children() -> Iterator[None]:
    """The children's environment, and signals blocked: what is blocked at a fork stays so in the child.

    So a Ctrl-C, which a terminal sends to the whole process group, reaches the runner (once this ends) and
    neither submitit's controller nor a job that isn't ready for it.
    """
    old = {name: os.environ.get(name) for name in ENVIRONMENT}
    blocked = {signal.SIGINT, signal.SIGHUP}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in old.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def start_job(
    stage: Stage, store: Store, kinds: Mapping[str, str], runner: Path, gpus: Sequence[int] = ()
) -> JobProcess:
    """Start a job for a stage in processes of its own, which see these GPUs alone, and return at once."""
    import submitit

    submission = uuid.uuid4().hex[:12]
    # A folder for each submission: submitit names files by process id, and a reused id would find old ones.
    executor = submitit.LocalExecutor(folder=submitit_folder(store, stage.id, submission))
    executor.update_parameters(
        timeout_min=_NEVER_MINUTES,
        tasks_per_node=processes_of(stage),
        gpus_per_node=len(gpus),
        visible_gpus=tuple(gpus),
    )
    job = StageJob(stage, store.root, tuple(store.shipped.values()), dict(kinds), submission, runner, len(gpus))
    with _for_children():
        return JobProcess(stage, submission, executor.submit(job), tuple(gpus))


def submitit_folder(store: Store, stage_id: str, submission: str) -> Path:
    return store.root / ".submitit" / f"{stage_id}-{submission}"


def end_job(process: JobProcess, store: Store, number: signal.Signals) -> None:
    """Signal a job with SIGTERM or SIGKILL, to be repeated until it ends.

    While the job isn't at work yet its controller gets SIGTERM instead, and passes that on.
    """
    if not signal_job(store.own_folder(process.stage.id), number, process.submission):
        _signal_controller(process, signal.SIGTERM)


def _signal_controller(process: JobProcess, number: signal.Signals) -> None:
    if not process.ended():  # not reaped yet, so the id is still this child's
        with suppress(ProcessLookupError):
            os.kill(int(process.job.job_id), number)


def signal_job(folder: StageFolder, number: signal.Signals, submission: str | None = None) -> bool:
    """Signal the session of the job that holds a folder's lock.

    Returns False when there is none, it is another submission's, or its processes can't be reached from here.
    """
    holder = lock_holder(folder.lock_file)
    if not folder.is_locked() or holder.get("host") != socket.gethostname() or not holder.get("session"):
        return False
    if submission is not None and holder["submission"] != submission:
        return False
    with suppress(ProcessLookupError):
        # A group of one whose leader is gone can still be there (forked workers that hold on to the lock).
        os.killpg(holder["session"], number)
    return True


def bury_orphans(folder: StageFolder) -> None:
    """Kill what a killed job left behind: forked workers that still hold its lock."""
    holder = lock_holder(folder.lock_file)
    if holder.get("host") == socket.gethostname() and not _alive(holder.get("pid", 1)):
        signal_job(folder, signal.SIGKILL)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"


def waited_for(folder: StageFolder, other_than: Path) -> bool:
    """A living runner, other than the one with this lock file, waits for the job at work in a folder."""
    runner = lock_holder(folder.lock_file).get("runner")
    return bool(runner) and runner != str(other_than) and is_locked(Path(runner))


def attempt_of(process: JobProcess, store: Store) -> dict[str, Any]:
    """Record of the last attempt that a job made; empty when it made none."""
    attempts = list_attempts(store.own_folder(process.stage.id))
    own = [each for each in attempts if each["submission"] == process.submission]
    return own[-1] if own else {}


def record_failure(process: JobProcess, store: Store, reason: str | None = None) -> str:
    """Write the end of a job that couldn't do so itself. Returns the reason (default: its last words)."""
    folder = store.own_folder(process.stage.id)
    reason = reason or f"the job ended before its work began: {_last_words(process.job)}"
    with FileLock(folder.lock_file) as lock:
        if not lock.acquire():
            return reason
        number = attempt_of(process, store).get("attempt")
        if number is None:
            attempt = open_attempt(folder, "local", str(process.job.job_id), process.submission, len(process.gpus))
            with suppress(OSError):
                shutil.copyfile(process.job.paths.stderr, attempt.log)
            attempt.close("failed", reason)
            number = attempt.number
        write_status(folder.status_file, Status("failed", number, reason=reason))
    return reason


def _last_words(job: "submitit.Job[str]") -> str:
    """Last line of what the job wrote on standard error, without submitit's own."""
    try:
        lines = job.paths.stderr.read_text(errors="replace").splitlines()
    except OSError as error:
        return one_line(error)
    lines = [line.strip() for line in lines if line.strip() and not line.startswith("submitit ")]
    return lines[-1][:300] if lines else "it left no message (killed?)"
