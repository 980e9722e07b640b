"""The peer with the least of its own: ``map_array.py FOLDER SIZES`` maps a function over numbers with submitit, in one
array or, with several sizes (``1,66,66``), in arrays that wait for each other."""

import sys
from pathlib import Path

import parameters
import submitit
import trivial


def main(folder: Path, sizes: list[int]) -> None:
    executor = submitit.AutoExecutor(folder / "jobs", cluster="slurm")
    executor.update_parameters(
        timeout_min=parameters.MINUTES,
        nodes=1,
        tasks_per_node=1,
        cpus_per_task=parameters.CPUS,
        mem_gb=parameters.MEMORY_MB / 1024,
        slurm_signal_delay_s=parameters.SIGNAL_BEFORE_S,
        slurm_array_parallelism=parameters.PARALLEL,
    )
    jobs: list[submitit.Job[int]] = []
    for size, before in zip(sizes, [0, *sizes], strict=False):
        if jobs:
            kind = "aftercorr" if size == before else "afterok"
            dependency = f"{kind}:{jobs[-1].job_id.partition('_')[0]}"
            executor.update_parameters(slurm_additional_parameters={"dependency": dependency})
        numbers = range(len(jobs), len(jobs) + size)
        jobs += executor.map_array(trivial.write, numbers, [str(folder)] * size)
    assert [job.result() for job in jobs] == list(range(sum(sizes)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(each) for each in sys.argv[2].split(",")])
