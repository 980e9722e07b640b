"""Takes tasks out of the queue."""

from collections.abc import Sequence

from harness.launch.slurm.ledger import Submission, Task
from harness.launch.slurm.scheduler import Slurm


def cancel_tasks(tasks: Sequence[Task], scheduler: Slurm) -> None:
    """End tasks, those that wait first, so that nothing begins because something else ends.

    It is noted before it is done: a job that is told to stop finds out why.

    Raises:
        SchedulerError: the scheduler doesn't answer.
    """
    by_submission: dict[Submission, list[int]] = {}
    for task in tasks:
        by_submission.setdefault(task.submission, []).append(task.index)
    for submission, indices in by_submission.items():
        submission.note_cancelled(indices)
    ordered = sorted(tasks, key=lambda each: each.queued is not None and each.queued.state != "PENDING")
    scheduler.cancel([task.job_id for task in ordered])
