"""A store, toy stages and runners in processes of their own."""

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.record.folders import Store
from harness.study.stage import Stage

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KINDS = {kind: "toy_stages:run" for kind in ("world", "pretrain", "sft", "grpo", "evaluate")}


class Toys:
    """A toy study: its folder, its stages by name, and what happened to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "store")
        self.stages: dict[str, Stage] = {}
        self.processes: list[subprocess.Popen[str]] = []

    def add(self, name: str, *inputs: str, kind: str = "sft", checkpoints: list[int] | None = None, **settings: Any):
        needs = {f"input{i}": self.stages[each].id for i, each in enumerate(inputs)}
        cosmetic = {"checkpoints": checkpoints} if checkpoints else {}
        self.stages[name] = Stage(kind, {"name": name, **settings}, needs, cosmetic)

    @property
    def plan(self) -> Any:
        stages = {stage.id: stage for stage in self.stages.values()}
        run = SimpleNamespace(
            id="arm/seed=0", start=next(iter(stages)), train=None, evaluations=(), stages=tuple(stages)
        )
        return SimpleNamespace(study=SimpleNamespace(study="toy", title="Toy"), runs=(run,), stages=stages)

    def path(self, name: str) -> Path:
        return self.store.own_folder(self.stages[name].id).path

    def touch(self, name: str) -> Path:
        path = self.folder / name
        path.touch()
        return path

    def events(self, what: str = "") -> list[dict[str, Any]]:
        path = self.folder / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [event for event in map(json.loads, lines) if what in ("", event["what"])]

    def names(self, what: str) -> list[str]:
        return sorted(event["name"] for event in self.events(what))

    def wait_for(self, condition: Callable[[], Any], seconds: float = 180.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"waited {seconds} s in vain; {self.events()}"
            time.sleep(0.02)
        return found

    def started(self, *names: str) -> None:
        self.wait_for(lambda: set(names) <= set(self.names("start")))

    def adopted(self, name: str, runner: int) -> None:
        """Wait until a runner, counted from 0, has found the job of another at work."""
        self.wait_for(lambda: f"adopted {name}" in (self.folder / f"runner-{runner}.log").read_text())

    def runner(self, **options: Any) -> "subprocess.Popen[str]":
        """Start a runner in a process group of its own, as a shell would."""
        request = self.folder / f"request-{len(self.processes)}.pkl"
        request.write_bytes(pickle.dumps((self.plan, self.store, options)))
        log = (self.folder / f"runner-{len(self.processes)}.log").open("w")
        process = subprocess.Popen(
            [sys.executable, str(HERE / "toy_runner.py"), str(request)],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def finish(self, process: "subprocess.Popen[str]", seconds: float = 180.0) -> int:
        return process.wait(timeout=seconds)


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TOY_FOLDER", str(tmp_path))
    monkeypatch.setenv("ABLATE_KINDS", json.dumps(KINDS))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(HERE)]))
    toys = Toys(tmp_path)
    yield toys
    for process in toys.processes:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=180)
