"""A study of toy stages, run through the command line on whatever cluster ``SLURM_CONF`` names."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.record.attempts import list_attempts
from harness.record.folders import Store
from harness.study import load_study, plan_study

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STUDY = """\
study: toy
seeds: [0]
world: {}
models: {base: {pretrain: {}}}
protocols: {think: {prompt: micro-base-think}}
resources:
  all: {cpus: 1, memory_gb: 0.5, time: "10", signal_before_s: 20}
factors: {training: [none, sft]}
arms:
  - {training: none, set: {start: base, protocols: [think]}}
  - {training: sft, set: {start: base, protocols: [think]}}
"""
KINDS = {kind: "slurm_toys:run" for kind in ("world", "pretrain", "instruct", "sft", "grpo", "evaluate")}


class ToyStudy:
    """Its file, its store, what its stages are told, and the verbs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.study = folder / "toy.yaml"
        self.study.write_text(STUDY)
        self.store = Store(folder / "store")
        self.environment = os.environ | {
            "TOY_FOLDER": str(folder),
            "ABLATE_KINDS": json.dumps(KINDS),
            "ABLATE_STORE": str(self.store.root),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
        }

    def order(self, **by_kind: dict[str, Any]) -> None:
        """What stages of a kind are to do from now on."""
        (self.folder / "orders.json").write_text(json.dumps(by_kind))

    def go(self) -> None:
        """Let stages go on that wait after a step (``hold``): what was to happen meanwhile has happened."""
        (self.folder / "go").touch()

    def __call__(self, verb: str, *arguments: str, code: int = 0) -> str:
        """Run a verb; standard output and error together."""
        command = [sys.executable, "-m", "harness.cli", verb, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=1500
        )
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def submit(self, *arguments: str, code: int = 0) -> str:
        return self("run", "toy.yaml", "--on", "slurm", "--allow-dirty", *arguments, code=code)

    def attach(self, *arguments: str, code: int = 0) -> str:
        return self("attach", "toy.yaml", "--no-compare", *arguments, code=code)

    def status(self, *arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "harness.cli", "status", "toy.yaml", "--json", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)

    def states(self, kind: str = "", *arguments: str) -> list[str]:
        """States of the stages of a kind."""
        return [each["state"] for each in self.status(*arguments)["stages"].values() if kind in ("", each["kind"])]

    def stage(self, kind: str) -> str:
        """Id of the only stage of a kind."""
        (found,) = [stage for stage, each in self.status()["stages"].items() if each["kind"] == kind]
        return found

    def training(self, seed: int, *arguments: str) -> str:
        """Id of the training of a seed."""
        plan = plan_study(load_study(self.study, [each for each in arguments if each != "--set"]))
        (found,) = [run.train for run in plan.runs if run.seed == seed]
        assert found is not None
        return found

    def attempts(self, stage_id: str) -> list[dict[str, Any]]:
        return list_attempts(self.store.own_folder(stage_id))

    def exits(self, stage_id: str) -> list[str]:
        return [each["exit"] for each in self.attempts(stage_id)]

    def history(self, stage_id: str) -> list[int]:
        """Steps that went into a finished stage, in order."""
        return json.loads((self.store.own_folder(stage_id).path / "out.json").read_text())["history"]

    def events(self, what: str = "", kind: str = "") -> list[dict[str, Any]]:
        path = self.folder / "events.jsonl"
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [each for each in found if what in ("", each["what"]) and each["stage"].startswith(kind)]

    def wait_for(self, condition: Callable[[], Any], seconds: float = 300.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, (self("status", "toy.yaml"), slurm("squeue"))
            time.sleep(0.1)
        return found

    def at_step(self, stage_id: str, step: int, attempt: int = 1) -> None:
        """Wait until an attempt at a stage, or a later one, is so far."""

        def reached() -> bool:
            folder = self.store.own_folder(stage_id)
            status = folder.status()
            if status is None or status.state != "running" or status.attempt < attempt:
                return False
            return status.step >= step and folder.is_locked()

        self.wait_for(reached)

    def job(self, stage_id: str) -> str:
        """Its job's id, ``123_4``."""
        return self.status()["stages"][stage_id]["job"]


def slurm(*command: str) -> str:
    """A command of SLURM's."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout
