"""How a plan stands: the run folders' word, and the scheduler's on what is not done, in one or two calls."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.launch.slurm.causes import ENDED
from harness.launch.slurm.ledger import Submission, Task, match, open_submissions
from harness.launch.slurm.scheduler import EndedTask, SchedulerError, Slurm
from harness.record.attempts import ExitCause, list_attempts, open_attempt, settle_lost
from harness.record.folders import StageFolder, Store
from harness.record.lock import FileLock
from harness.record.states import StageState, block, stage_states
from harness.record.status import Status, status_after, write_status

if TYPE_CHECKING:
    from harness.study.expand import Plan

REASONS = {
    "Dependency": "waits for what it needs",
    "JobArrayTaskLimit": "as many of its kind as declared (parallel) are running",
    "Resources": "waits for free nodes",
    "Priority": "others come first",
    "BeginTime": "about to start again",
    "DependencyNeverSatisfied": "what it needs failed",
    "QOSMaxJobsPerUserLimit": "as many jobs as the QOS allows are running",
    "AssocMaxJobsLimit": "as many jobs as the account allows are running",
}
"""SLURM's reasons in plain words; others are shown as they are."""


@dataclass
class Look:
    """A plan's stages as they stand."""

    states: dict[str, StageState]
    tasks: dict[str, Task] = field(default_factory=dict)
    """Where stages stand in the queue, by stage id: those that the scheduler has."""
    trouble: str = ""
    """Why the scheduler could not be asked; the states are then the folders' alone."""

    @property
    def open(self) -> bool:
        """Something is running or queued, or nobody knows."""
        if self.trouble:
            return any(each.state != "done" for each in self.states.values())
        return any(each.state in ("running", "queued") for each in self.states.values())


def look(plan: "Plan", store: Store, scheduler: Slurm, tasks: Mapping[str, Task] | None = None) -> Look:
    """State of every stage.

    The scheduler is asked once, and not at all if no submission is open; accounting once, if a job left the queue
    without its stage's folder saying how it ended, which is then written there.

    Args:
        tasks: what it said before, to look at the folders alone.
    """
    if tasks is not None:
        states = stage_states(plan, store)
        known = {stage_id: task for stage_id, task in tasks.items() if stage_id in states}
        states |= {stage_id: _as_queued(states[stage_id], task) for stage_id, task in known.items()}
        return Look(block(plan, states), known)
    submissions = [each for each in open_submissions(store) if not _close_if_done(each, store)]
    # Of what is being handed over just now the queue may not know yet; what has its id was there before it was asked.
    handed_over = {each for each in submissions if each.job_id is not None}
    try:
        tasks = match(submissions, scheduler.queue()) if submissions else {}
    except SchedulerError as error:
        return Look(stage_states(plan, store), trouble=str(error))
    states = stage_states(plan, store)
    gone = {
        stage_id: task
        for stage_id, task in tasks.items()
        if stage_id in states
        and task.queued is None
        and task.submission in handed_over
        and _unexplained(states[stage_id])
        and not _never_began(states[stage_id], task)
    }
    if gone and _settle(gone, store, scheduler):
        states = stage_states(plan, store)
    queued = {stage_id: task for stage_id, task in tasks.items() if task.queued is not None and stage_id in states}
    for stage_id, task in queued.items():
        states[stage_id] = _as_queued(states[stage_id], task)
    for stage_id, task in tasks.items():
        if stage_id in states and task.queued is None and _never_began(states[stage_id], task):
            states[stage_id] = replace(states[stage_id], reason="cancelled before it began")
        elif stage_id in gone and _unexplained(states[stage_id]):
            states[stage_id] = replace(states[stage_id], reason=_unknown_end(states[stage_id], task))
    _close(handed_over, tasks, states)
    return Look(block(plan, states), queued)


def _unexplained(state: StageState) -> bool:
    """The folder doesn't say why its job is gone."""
    if state.state == "interrupted":
        return state.status is not None and state.status.state == "running"
    return state.state == "missing"


def _never_began(state: StageState, task: Task) -> bool:
    """It was cancelled while it waited."""
    return state.state == "missing" and task.index in task.submission.cancelled()


def _as_queued(state: StageState, task: Task) -> StageState:
    """A state with what the scheduler says of the job."""
    assert task.queued is not None
    if state.state in ("done", "running"):
        return state
    if task.queued.state in ("RUNNING", "CONFIGURING", "STAGE_OUT"):
        return replace(state, state="running", reason=f"starting on {task.queued.nodes}", status=None)
    if task.queued.state == "COMPLETING":
        return state if state.state == "failed" else replace(state, state="queued", reason="ending just now")
    reason = REASONS.get(task.queued.reason, task.queued.reason)
    if state.status is not None and state.status.step:
        reason = f"{reason}; {state.status.step} of {state.status.total} steps are behind it"
    return replace(state, state="queued", reason=reason)


def _unknown_end(state: StageState, task: Task) -> str:
    logs = task.submission.logs(task.index)
    where = f"; its log: {logs[-1]}" if logs else ""
    what = state.reason if state.state == "interrupted" else "it never began"
    return f"its job {task.job_id} is gone from the queue and nobody knows why; {what}{where}"


def _settle(gone: Mapping[str, Task], store: Store, scheduler: Slurm) -> bool:
    """Write into the folders how their jobs ended, as far as accounting knows. Whether anything was written."""
    ids = [task.job_id for task in gone.values() if task.job_id]
    if not ids:
        return False
    try:
        ended: dict[str, EndedTask] = {each.job_id: each for each in scheduler.ended(ids)}
    except SchedulerError:  # no accounting here
        ended = {}
    written = False
    for stage_id, task in gone.items():
        end = ended.get(task.job_id)
        if end is not None and not end.name.endswith(task.submission.token):  # ids that were given out anew
            end = None
        cause: ExitCause | None = ENDED.get(end.state.split()[0]) if end else None
        if task.index in task.submission.cancelled():
            cause = "cancelled"
        if cause is not None:
            written |= _write_end(stage_id, task, store, cause, end)
    return written


def _write_end(stage_id: str, task: Task, store: Store, cause: ExitCause, end: EndedTask | None) -> bool:
    """Close the attempt that was cut off, or note one that never began, with the scheduler's word on it."""
    folder = store.own_folder(stage_id)
    name = f"{task.submission.token}-{task.index}"
    has_attempt = any(each["submission"] == name for each in list_attempts(folder)[-1:])
    began = has_attempt or (end is not None and end.start not in ("None", "Unknown", ""))
    if cause == "cancelled" and not began:  # with what it waited for, or by somebody
        task.submission.note_cancelled([task.index])
        return False
    reason = f"SLURM: {end.state}, job {end.job_id} on {end.nodes}" if end else "cancelled by ablate cancel"
    with FileLock(folder.lock_file) as lock:
        if not lock.acquire(0.0):
            return False
        if has_attempt:
            settle_lost(folder, cause, reason)
        else:
            attempt = open_attempt(folder, "slurm", task.job_id, name, task.submission.manifest["gpus"])
            task.submission.copy_logs(task.index, attempt.log)
            attempt.close(cause, f"{reason}, before its work began")
        write_status(folder.status_file, _ended(folder, cause, reason))
    return True


def _ended(folder: StageFolder, cause: ExitCause, reason: str) -> Status:
    """Status of a stage whose latest attempt ended so; it keeps the times of the steps that it made."""
    number = max((each["attempt"] for each in list_attempts(folder)), default=0)
    state = "interrupted" if cause in ("cancelled", "preempted") else "failed"
    text, status = f"{cause} ({reason})", folder.status()
    return status_after(status, number, state, text)


def _close_if_done(submission: Submission, store: Store) -> bool:
    """Close a submission of which every stage is done: there is nothing to ask about it."""
    done = bool(submission.stages) and all(store.is_done(submission.stage(index)) for index in submission.stages)
    if done:
        submission.close()
    return done


def _close(handed_over: Iterable[Submission], tasks: Mapping[str, Task], states: Mapping[str, StageState]) -> None:
    """Close the submissions that nothing is to be learnt from any more."""
    needed = {
        task.submission
        for stage_id, task in tasks.items()
        if task.queued is not None or stage_id not in states or _unexplained(states[stage_id])
    }
    for each in handed_over:
        if each not in needed:
            each.close()
