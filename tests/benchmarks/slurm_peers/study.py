"""A study of trivial stages, run through the command line."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.launch.slurm.ledger import open_submissions
from harness.record.atomic import read_json
from harness.record.folders import Store
from harness.study import load_study, plan_study
from tests.benchmarks.slurm_peers import parameters
from tests.slurm.toy_study import KINDS, ROOT, STUDY


@dataclass(frozen=True)
class Study:
    """Its file and its store, in a folder of its own."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "toy.yaml"

    @property
    def _store(self) -> Store:
        return Store(self.folder / "store")

    def write(self) -> "Study":
        """Make the folder."""
        self.folder.mkdir(parents=True)
        self.file.write_text(STUDY)
        return self

    def command(self, verb: str, seeds: int, *arguments: str) -> list[str]:
        """A verb on the study with so many seeds; each has three stages, and four more are for all."""
        overrides = [part for each in _overrides(seeds) for part in ("--set", each)]
        return [sys.executable, "-m", "harness.cli", verb, str(self.file), *arguments, *overrides]

    def variables(self) -> dict[str, str]:
        """What makes its stages trivial."""
        return {
            "ABLATE_KINDS": json.dumps(dict.fromkeys(KINDS, "trivial:stage")),
            "ABLATE_STORE": str(self._store.root),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]),
        }

    def stages(self, seeds: int) -> int:
        """Number of its stages, those included that came with the harness."""
        return len(plan_study(load_study(self.file, _overrides(seeds))).stages)

    def arrays(self) -> list[int]:
        """Number of tasks of each array that was submitted, in order."""
        manifests = [read_json(path) or {} for path in self._store.root.glob(".submitit/slurm-*/manifest.json")]
        return [len(each["tasks"]) for each in sorted(manifests, key=lambda each: each["created"])]

    def queued(self) -> list[str]:
        """Job ids of all tasks that may be in the queue."""
        return [f"{each.job_id}_{index}" for each in open_submissions(self._store) for index in each.stages]


def _overrides(seeds: int) -> list[str]:
    given = {
        "cpus": parameters.CPUS,
        "memory_gb": parameters.MEMORY_MB / 1024,
        "time": str(parameters.MINUTES),
        "signal_before_s": parameters.SIGNAL_BEFORE_S,
        "parallel": parameters.PARALLEL,
    }
    return [f"seeds={list(range(seeds))}", *(f"resources.all.{name}={json.dumps(given[name])}" for name in given)]
