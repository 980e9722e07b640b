"""What a task of a job array runs: ``python -m harness.launch.slurm.task <submission's folder>``, one per process."""

import os
import signal
import sys
from pathlib import Path

# Before anything else is imported: what comes now waits until the job can do something about it.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGUSR2})


def main(folder: Path) -> None:
    """Run one stage of a submission.

    Raises:
        StageFailed, SystemExit: as `harness.launch.job.StageJob`.
    """
    from harness.launch.job import StageJob
    from harness.launch.slurm.causes import WhyStopped, earlier_start, is_stale, own_restarts
    from harness.launch.slurm.ledger import Submission

    submission = Submission(folder)
    index = int(os.environ["SLURM_ARRAY_TASK_ID"])
    if index in submission.cancelled():  # and came back all the same
        print("cancelled", flush=True)
        raise SystemExit(1)
    manifest = submission.manifest
    job = StageJob(
        stage=submission.stage(index),
        root=Path(manifest["store"]),
        shipped=tuple(map(Path, manifest["shipped"])),
        kinds=manifest["kinds"],
        submission=f"{submission.token}-{index}",
        gpus=manifest["gpus"],
        restart=own_restarts(),
        why_stopped=WhyStopped(submission, index, manifest["minutes"]),
        is_stale=is_stale,
        earlier_start=earlier_start,
    )
    print(job(), flush=True)


if __name__ == "__main__":
    from harness.launch.job import StageFailed

    try:
        main(Path(sys.argv[1]))
    except StageFailed as error:
        sys.exit(str(error))
