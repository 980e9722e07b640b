"""What a new process does to learn from submitit how jobs stand: ``one_by_one.py FOLDER MODE`` with the ids on standard
input. Modes: ``state`` and ``force`` make a job and ask it before the next one is made, by its property and by a forced
look; ``together`` makes all jobs first, so that submitit can ask for them at once."""

import json
import sys
from collections import Counter

import submitit


def main(folder: str, mode: str, job_ids: list[str]) -> None:
    made = (submitit.SlurmJob(folder=folder, job_id=each) for each in job_ids)
    jobs = list(made) if mode == "together" else made
    states = Counter(job.get_info(mode="force").get("State", "") if mode == "force" else job.state for job in jobs)
    print(json.dumps(states))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.stdin.read().split())
