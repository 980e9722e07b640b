"""A study of toy stages on a scheduler in this process."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.launch.slurm import aftermath, causes
from harness.launch.slurm import submit as submit_module
from harness.launch.slurm.ledger import Submission
from harness.launch.slurm.look import Look, look
from harness.launch.slurm.snapshot import Snapshot
from harness.launch.slurm.submit import Submitted, submit
from harness.record.attempts import list_attempts
from harness.record.folders import StageFolder, Store
from harness.record.states import with_needs
from harness.study.resources import Resources
from harness.study.stage import REVISIONS, Stage
from tests.launch.slurm_fake import fake_stages
from tests.launch.slurm_fake.fake_slurm import FakeSlurm, FakeTask

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class ToyPlan:
    """What the cluster's code needs of a plan."""

    study: Any
    runs: tuple[Any, ...]
    stages: dict[str, Stage]

    def users(self, stage: str) -> tuple[str, ...]:
        return tuple(run.id for run in self.runs if stage in run.stages)


@dataclass
class Toy:
    """Stages by name, their store, and the scheduler."""

    folder: Path
    scheduler: FakeSlurm
    stages: dict[str, Stage] = field(default_factory=dict)
    runs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the stages of each run; one run of all stages where none is given."""
    resources: dict[Any, Resources] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = Store(self.folder / "store")

    def add(
        self, name: str, *inputs: str, kind: str = "sft", checkpoints: Collection[int] = (), **settings: Any
    ) -> str:
        needs = {f"input{place}": self.stages[each].id for place, each in enumerate(inputs)}
        cosmetic = {"checkpoints": list(checkpoints)} if checkpoints else {}
        self.stages[name] = Stage(kind, {"name": name, **settings}, needs, cosmetic)
        return name

    def chain(self) -> None:
        """A world, two trainings on it, an evaluation of each."""
        self.add("world", kind="world")
        for seed in (0, 1):
            self.add(f"sft{seed}", "world")
            self.add(f"eval{seed}", f"sft{seed}", "world", kind="evaluate")

    @property
    def plan(self) -> Any:
        stages = {stage.id: stage for stage in self.stages.values()}
        named = self.runs or {"arm": tuple(self.stages)}
        runs = tuple(
            SimpleNamespace(id=run, stages=tuple(self.stages[each].id for each in names), start="", train=None)
            for run, names in named.items()
        )
        return ToyPlan(SimpleNamespace(study="toy", title="Toy", resources=self.resources), runs, stages)

    def submit(self, **options: Any) -> Submitted:
        return submit(with_needs(self.plan, self.store), self.store, self.scheduler, **options)

    def look(self) -> Look:
        return look(self.plan, self.store, self.scheduler)

    def states(self) -> dict[str, str]:
        """State of every stage by name."""
        found = self.look().states
        return {name: found[stage.id].state for name, stage in self.stages.items()}

    def reason(self, name: str) -> str:
        return self.look().states[self.stages[name].id].reason

    def id(self, name: str) -> str:
        return self.stages[name].id

    def names(self, stage_ids: Collection[str]) -> list[str]:
        known = {stage.id: name for name, stage in self.stages.items()}
        return [known[each] for each in stage_ids]

    def own(self, name: str) -> StageFolder:
        return self.store.own_folder(self.stages[name].id)

    def attempts(self, name: str) -> list[dict[str, Any]]:
        return list_attempts(self.own(name))

    def exits(self, name: str) -> list[str]:
        return [each["exit"] for each in self.attempts(name)]

    def finish(self, *names: str) -> None:
        """Make stages done, as an earlier run would have."""
        for name in names:
            folder = self.own(name)
            folder.path.mkdir(parents=True, exist_ok=True)
            wanted = folder.write_stage(self.stages[name])
            for step in wanted:
                path = folder.path / "checkpoints" / f"step-{step:06d}"
                path.mkdir(parents=True, exist_ok=True)
                (path / "model.json").write_text("1")
            (folder.path / "out.json").write_text('{"value": 1}')
            folder.write_done(wanted, seconds=1.0, attempt=1)

    def tasks(self, name: str) -> list[FakeTask]:
        """All tasks that a stage ever had, first to last."""
        found = []
        for task in self.scheduler.tasks():
            folder = task.array.folder
            if folder is not None and Submission(folder).stages.get(task.index) == self.id(name):
                found.append(task)
        return found

    def task(self, name: str) -> FakeTask:
        return self.tasks(name)[-1]

    def in_queue(self) -> list[str]:
        """Names of the stages in the queue, one for every task."""
        self.scheduler.settle()
        return sorted(name for name in self.stages for task in self.tasks(name) if task.queued)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    scheduler = FakeSlurm()
    kinds = {kind: "tests.launch.slurm_fake.fake_stages:run" for kind in REVISIONS}
    monkeypatch.setenv("ABLATE_KINDS", json.dumps(kinds))
    for name in ("SUBMITIT_EXECUTOR", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(causes, "Slurm", lambda: scheduler)
    monkeypatch.setattr(aftermath, "LOCK_PATIENCE_S", 0.2)
    monkeypatch.setattr(submit_module, "take_snapshot", lambda root, allow_dirty: Snapshot(ROOT, None, "0" * 16))
    fake_stages.ORDERS.clear()
    fake_stages.STARTED.clear()
    return Toy(tmp_path, scheduler)


@pytest.fixture
def one(toy: Toy) -> Toy:
    """One stage, ``a``, and ``b`` which waits for it."""
    toy.add("a")
    toy.add("b", "a", kind="evaluate")
    return toy
