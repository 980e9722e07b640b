"""Hands the stages of a plan that are neither done nor queued to SLURM, each exactly once."""

import os
import shutil
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.launch.kinds import kinds_in_force
from harness.launch.slurm.arrays import Array, Place, make_arrays
from harness.launch.slurm.ledger import Submission, Task, match, open_submissions, submission_folder, write_manifest
from harness.launch.slurm.scheduler import SchedulerError, Slurm
from harness.launch.slurm.script import batch_script, gpus_of
from harness.launch.slurm.site import check_resources, known_cluster
from harness.launch.slurm.snapshot import take_snapshot
from harness.record.atomic import write_text
from harness.record.folders import NEEDED, Store
from harness.record.lock import FileLock
from harness.study.estimate import leaf_model
from harness.study.resources import ByKind, Resources, processes_of, resources_for

if TYPE_CHECKING:
    from harness.study.expand import Plan
    from harness.study.stage import Stage

LOCK_PATIENCE_S = 60.0


class Refused(Exception):
    """Nothing was submitted; the message says why, a line for each reason."""


@dataclass
class Submitted:
    """What was handed over, and what was not."""

    arrays: list[Array] = field(default_factory=list)
    """Handed over, in this order."""
    scripts: list[str] = field(default_factory=list)
    """Of all arrays, those that were not handed over too."""
    job_ids: dict[int, str] = field(default_factory=dict)
    """By number of the array."""
    done: list[str] = field(default_factory=list)
    queued: list[str] = field(default_factory=list)
    """Stages that were in the queue already."""
    elsewhere: list[str] = field(default_factory=list)
    """Stages that something else is at work on (a local run, a job that is ending, one that was asked for fewer
    checkpoints), and those that wait for them: to be submitted once these are over."""
    left: list[str] = field(default_factory=list)
    """Stages that the scheduler did not take."""
    error: str = ""
    """Why not."""

    @property
    def stages(self) -> list[str]:
        """Ids of the stages handed over."""
        return [stage_id for array in self.arrays for stage_id in array.stages.values()]


def stage_resources(plan: "Plan", site: ByKind) -> dict[str, Resources]:
    """What every stage gets, by stage id."""
    return {
        stage_id: resources_for(stage, leaf_model(stage, plan.stages), plan.study.resources, site)
        for stage_id, stage in plan.stages.items()
    }


def submit(
    plan: "Plan",
    store: Store,
    scheduler: Slurm,
    site: ByKind | None = None,
    *,
    only: Collection[str] | None = None,
    allow_dirty: bool = False,
    dry_run: bool = False,
) -> Submitted:
    """Submit all stages that are neither done nor queued.

    Args:
        plan: with the checkpoints that are needed (`harness.record.states.with_needs`).
        site: the site file's resources.
        only: ids of the stages that may be submitted; default: all.
        allow_dirty: go on, and record the change, when the code differs from its commit.
        dry_run: only make the scripts.

    Raises:
        Refused: resources that the cluster can't give, or another submission is under way.
        SchedulerError: the scheduler doesn't answer; nothing was submitted.
        DirtyTree: see ``allow_dirty``.
    """
    resources = stage_resources(plan, site or {})
    lock = FileLock(store.root / ".submitit" / "submit.lock")
    with lock:
        if not dry_run and not lock.acquire(LOCK_PATIENCE_S, pid=os.getpid()):
            raise Refused(f"another submission to {store.root} is under way; try again when it is over")
        submissions = open_submissions(store)
        tasks = match(submissions, scheduler.queue()) if submissions else {}
        found, to_do = _sort_out(plan, store, tasks, only)
        if not dry_run:
            for each in submissions:
                if each.job_id is None:  # whoever wrote it died before it was handed over, else it were in the queue
                    each.close()
        if not to_do:
            return found
        processes = {stage_id: processes_of(stage) for stage_id, stage in to_do.items()}
        size = _checked(to_do, resources, processes, scheduler, store)
        queued = {
            each: Place(str(task.submission.job_id), task.index)
            for each, task in tasks.items()
            if task.queued and each not in found.done and each not in to_do
        }
        arrays = make_arrays(to_do, plan.stages, queued, resources, processes, size)
        code = store.root / ".code" / "<snapshot>" if dry_run else take_snapshot(store.root, allow_dirty).path
        _hand_over(arrays, to_do, plan, store, scheduler, code, found, None if dry_run else lock)
    return found


def queued_tasks(store: Store, scheduler: Slurm) -> dict[str, Task]:
    """Where the stages of a store stand by their latest open submission. The scheduler is asked once, and only if there
    is one."""
    submissions = open_submissions(store)
    return match(submissions, scheduler.queue()) if submissions else {}


def _sort_out(
    plan: "Plan", store: Store, tasks: Mapping[str, Task], only: Collection[str] | None
) -> tuple[Submitted, dict[str, "Stage"]]:
    """What is done, queued or at work elsewhere, and what is to be submitted. The queue was asked before the folders
    are looked at, so that a job that ends in between is found done."""
    found = Submitted()
    to_do: dict[str, Stage] = {}
    left_out: set[str] = set()
    for stage_id, stage in plan.stages.items():
        task = tasks.get(stage_id)
        if store.is_done(stage):
            found.done.append(stage_id)
        elif task is not None and task.queued is not None and not _is_over(stage_id, task, store):
            (found.queued if _keeps_enough(stage, task) else found.elsewhere).append(stage_id)
        elif store.own_folder(stage_id).is_locked() or any(each in found.elsewhere for each in stage.inputs.values()):
            found.elsewhere.append(stage_id)
        elif (only is not None and stage_id not in only) or left_out.intersection(stage.inputs.values()):
            left_out.add(stage_id)
        else:
            to_do[stage_id] = stage
    return found, to_do


def _is_over(stage_id: str, task: Task, store: Store) -> bool:
    """Its job is ending, and the stage failed: it won't come back."""
    status = store.own_folder(stage_id).status()
    return task.queued is not None and task.queued.state == "COMPLETING" and bool(status and status.state == "failed")


def _keeps_enough(stage: "Stage", task: Task) -> bool:
    """The queued job will leave every checkpoint that is asked of the stage now."""
    asked = {*stage.cosmetic.get("checkpoints", []), *stage.cosmetic.get(NEEDED, [])}
    return asked <= set(task.submission.stage(task.index).cosmetic.get("checkpoints", []))


def _checked(
    stages: Mapping[str, "Stage"],
    resources: Mapping[str, Resources],
    processes: Mapping[str, int],
    scheduler: Slurm,
    store: Store,
) -> int:
    """The cluster's MaxArraySize, once all that is asked of it can be had."""
    sorts = {(stages[each].kind, resources[each].model_dump_json(), processes[each]): each for each in stages}
    wanted = [(stages[each].kind, resources[each], processes[each]) for each in sorts.values()]
    names = any(each.account or each.qos for _, each, _ in wanted)
    cache = store.root / ".submitit" / "cluster.json"
    cluster, fresh = known_cluster(scheduler, cache, names)
    problems = check_resources(wanted, cluster)
    if problems and not fresh:
        cluster, _ = known_cluster(scheduler, cache, names, fresh=True)
        problems = check_resources(wanted, cluster)
    if problems:
        raise Refused("\n".join(problems))
    return cluster.max_array_size


def _hand_over(
    arrays: list[Array],
    stages: Mapping[str, "Stage"],
    plan: "Plan",
    store: Store,
    scheduler: Slurm,
    code: Path,
    found: Submitted,
    lock: FileLock | None,
) -> None:
    """Write each array's folder, hand it over, note its id. Without a lock only the scripts are made."""
    path = os.environ.get("PYTHONPATH", "")
    for array in arrays:
        token = uuid.uuid4().hex[:12]
        submission = Submission(submission_folder(store, token))
        found.scripts.append(batch_script(array, submission.path, token, code, found.job_ids, path))
        if lock is None:
            found.arrays.append(array)
            continue
        write_manifest(
            submission,
            {index: stages[each] for index, each in array.stages.items()},
            study=plan.study.study,
            created=time.time(),
            store=str(store.root),
            shipped=[str(_in_snapshot(each, code)) for each in store.shipped.values()],
            kinds=kinds_in_force(),
            code=str(code),
            gpus=gpus_of(array.resources, array.processes),
            minutes=array.resources.minutes,
            attempts=array.resources.attempts,
            timeouts=array.resources.timeouts,
        )
        write_text(submission.path / "job.sh", found.scripts[-1])
        try:
            job_id = scheduler.submit(str(submission.path / "job.sh"), keep_open=[lock.descriptor])
        except SchedulerError as error:
            found.error = str(error)
            if not error.unknown:
                shutil.rmtree(submission.path)
            found.left = [each for later in arrays[len(found.arrays) :] for each in later.stages.values()]
            return
        submission.note_submitted(job_id)
        found.job_ids[array.number] = job_id
        found.arrays.append(array)


def _in_snapshot(shipped: Path, code: Path) -> Path:
    """Where a folder that is shipped with the harness lies in the copy of the code."""
    from harness.record.provenance import code_root

    return code / shipped.relative_to(code_root()) if shipped.is_relative_to(code_root()) else shipped
