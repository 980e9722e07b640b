"""Submissions: one folder for each job array, which is all that its tasks need and all that a later look needs.

Layout of ``<store>/.submitit/slurm-<token>/``: ``manifest.json``, written before the array is handed over; ``job.sh``;
``submitted.json`` with the job id, written after; ``cancelled.json``; the logs of the batch script and of ``srun``. The
token stands in the job's name, so that an array that was handed over is found in the queue even if whoever did it died
before it could write down the id, and ids that a scheduler gives out anew are never taken for old ones.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.launch.slurm.scheduler import QueuedTask
from harness.record.atomic import read_json, write_json, write_text
from harness.record.folders import Store
from harness.study.stage import Stage

_JOB_NAME = re.compile(r"ablate-[a-z]+-([0-9a-f]{12})")
_TASK = re.compile(r"(\d+)_(\d+)")

START_MARK = "---- start "
"""What the batch script writes on standard error first: a job that is started again appends to the same logs."""

MANIFEST, SUBMITTED, CANCELLED, CLOSED = "manifest.json", "submitted.json", "cancelled.json", "closed.json"


def job_name(kind: str, token: str) -> str:
    return f"ablate-{kind}-{token}"


@dataclass(frozen=True)
class Task:
    """A stage's place in the queue."""

    submission: "Submission"
    index: int
    queued: QueuedTask | None = None
    """What the scheduler says; None when it doesn't have it any more."""

    @property
    def job_id(self) -> str:
        """``123_4``; empty when the array was never handed over."""
        return f"{self.submission.job_id}_{self.index}" if self.submission.job_id else ""


@dataclass(frozen=True)
class Submission:
    """One job array."""

    path: Path

    @property
    def token(self) -> str:
        return self.path.name.removeprefix("slurm-")

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """``study``, ``created``, ``tasks`` (index -> stage), and what every task needs."""
        return read_json(self.path / MANIFEST) or {"tasks": {}, "created": 0.0}

    @cached_property
    def stages(self) -> dict[int, str]:
        """Stage ids by task index."""
        return {int(index): task["id"] for index, task in self.manifest["tasks"].items()}

    @property
    def job_id(self) -> str | None:
        """Of the whole array; None when it was not noted."""
        return (read_json(self.path / SUBMITTED) or {}).get("job_id")

    def note_submitted(self, job_id: str) -> None:
        write_json(self.path / SUBMITTED, {"job_id": job_id})

    def cancelled(self) -> set[int]:
        """Indices of the tasks that `ablate cancel` ended."""
        return set((read_json(self.path / CANCELLED) or {}).get("indices", []))

    def note_cancelled(self, indices: Sequence[int]) -> None:
        write_json(self.path / CANCELLED, {"indices": sorted({*self.cancelled(), *indices})})

    def close(self) -> None:
        """None of its tasks is in the queue any more, and what became of them is known."""
        write_json(self.path / CLOSED, {})

    def stage(self, index: int) -> Stage:
        task = self.manifest["tasks"][str(index)]
        return Stage(task["kind"], task["settings"], task["inputs"], task["cosmetic"])

    def logs(self, index: int) -> list[Path]:
        """Logs of a task outside of its attempts: the batch script's and srun's."""
        pattern = re.compile(rf"\d+_{index}_\d+_log\.(out|err)")
        return sorted(path for path in self.path.glob("*_log.*") if pattern.fullmatch(path.name))

    def said(self, index: int) -> dict[Path, str]:
        """What the batch script and srun said on standard error in the latest start of a task, as far as 20,000
        characters tell; where that start isn't marked, the ends of all logs."""
        tails = {path: path.read_bytes()[-20_000:].decode(errors="replace") for path in self.logs(index)}
        starts = {path: tail.rpartition(START_MARK)[2] for path, tail in tails.items() if START_MARK in tail}
        marked = {path: start.partition("\n")[2] for path, start in starts.items()}
        return marked or tails

    def copy_logs(self, index: int, target: Path) -> None:
        """What the batch script and srun said, as the log of an attempt that had none of its own."""
        said = "".join(f"==> {path}\n{text}\n" for path, text in self.said(index).items())
        write_text(target, said or "neither the batch script nor srun said anything\n")


def submission_folder(store: Store, token: str) -> Path:
    return store.root / ".submitit" / f"slurm-{token}"


def write_manifest(submission: Submission, stages: Mapping[int, Stage], **more: Any) -> None:
    """Write down what an array is to do, before it is handed over."""
    tasks = {str(index): {"id": stage.id, **asdict(stage)} for index, stage in stages.items()}
    write_json(submission.path / MANIFEST, {"token": submission.token, "tasks": tasks, **more})


def open_submissions(store: Store) -> list[Submission]:
    """All that may still have tasks in the queue, in the order in which they were made."""
    paths = [path for path in (store.root / ".submitit").glob("slurm-*") if not (path / CLOSED).exists()]
    found = [Submission(path) for path in paths if (path / MANIFEST).exists()]
    return sorted(found, key=lambda each: (each.manifest["created"], each.token))


def latest_tasks(store: Store) -> dict[str, Task]:
    """Where the stages of a store stand by their latest open submission, by stage id; the scheduler is not asked."""
    return match(open_submissions(store), ())


def match(submissions: Sequence[Submission], queue: Sequence[QueuedTask]) -> dict[str, Task]:
    """Where each stage stands by its latest submission, by stage id; with what the queue says of it, if it has it.

    An array that is in the queue although its id was never noted is noted now.
    """
    by_token: dict[str, dict[int, QueuedTask]] = {}
    ids: dict[str, str] = {}
    for task in queue:
        name, place = _JOB_NAME.fullmatch(task.name), _TASK.fullmatch(task.job_id)
        if name and place:
            by_token.setdefault(name[1], {})[int(place[2])] = task
            ids[name[1]] = place[1]
    found: dict[str, Task] = {}
    for each in submissions:
        if each.token in ids and each.job_id is None:
            each.note_submitted(ids[each.token])
        queued = by_token.get(each.token, {})
        ended = [index for index in each.cancelled() if index in queued and queued[index].state == "COMPLETING"]
        for index in ended:  # it will not come back, as others may that end
            del queued[index]
        for index, stage_id in each.stages.items():
            earlier = found.get(stage_id)
            if index in queued or earlier is None or earlier.queued is None:
                found[stage_id] = Task(each, index, queued.get(index))
    return found
