"""A whole study, small but real, through the command line: run, looked at, killed in the middle and taken up again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from harness.record.lock import is_locked, lock_holder
from harness.record.status import read_status

ROOT = Path(__file__).parents[1]
STUDY = "sweeps/micro.yaml"
SMALL = [
    "seeds=[0, 1]",
    "world={train_questions: 200, test_questions: 40}",
    "sft={steps: 6, batch_size: 8, warmup_steps: 1, checkpoint_every: 3}",
    "grpo={steps: 2, prompts_per_step: 4, warmup_steps: 0}",
    "models.instruct.instruct.steps=10",  # enough to earn a reward now and then
    "models.instruct.instruct.batch_size=24",
    "models.instruct.instruct.warmup_steps=1",
    "models.instruct.instruct.learning_rate=0.002",
    "curve.questions=8",
    "arms.0.set.protocols=[base-think]",
    "arms.3.set.protocols=[instruct-think]",
]
TABLES = ("runs", "questions", "answers", "completions", "traces", "training", "stages", "attempts")


def command(verb: str, *arguments: str | Path, seeds: str = "[0, 1]") -> list[str]:
    sets = [f"--set={each}" for each in [*SMALL, f"seeds={seeds}"]]
    return [sys.executable, "-m", "harness.cli", verb, *map(str, arguments), STUDY, *sets]


def ablate(verb: str, *arguments: str | Path, seeds: str = "[0, 1]") -> "subprocess.CompletedProcess[str]":
    words = command(verb, *arguments, seeds=seeds)
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=3600)


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    return pq.read_table(folder / f"{table}.parquet").to_pylist()


def attempts(store: Path) -> list[tuple[str, str]]:
    """Stage id and exit of every attempt."""
    return [
        (path.parts[-4], json.loads(path.read_text())["exit"])
        for path in sorted(store.glob("*/attempts/*/attempt.json"))
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``store``, ``results`` and ``output.txt`` of a study that ran without a hitch."""
    folder = tmp_path_factory.mktemp("whole")
    done = ablate("run", "--store", folder / "store", "--results", folder / "results", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "output.txt").write_text(done.stdout)
    return folder


def test_a_study_runs_to_its_comparison(whole: Path) -> None:
    results = whole / "results"
    runs = rows(results, "runs")
    assert Counter(row["arm"] for row in runs) == {
        **{"base": 1, "base+sft": 2, "base+grpo": 2},
        **{"instruct": 1, "instruct+grpo": 2},
    }
    assert {row["state"] for row in runs} == {"done"}
    for row in runs:
        if row["train_stage"]:
            assert all(check["passed"] for check in json.loads(row["checks"]).values())
    finals = Counter(row["run"] for row in rows(results, "answers") if row["phase"] == "final")
    assert finals == {row["run"]: 2 * 40 for row in runs}  # two rules
    curve = {(row["run"], row["step"]) for row in rows(results, "answers") if row["phase"] == "curve"}
    assert {step for run, step in curve if run == "base+sft/seed=0"} == {0, 3, 6}
    assert {step for run, step in curve if run == "base+grpo/seed=1"} == {0, 2}
    rollouts = Counter(row["run"] for row in rows(results, "completions") if row["phase"] == "rollout")
    assert set(rollouts.values()) == {4 * 8}  # of the first step
    assert (results / "comparison.md").exists()
    assert (results / "estimates.parquet").exists()
    assert {path.suffix for path in (results / "tables").iterdir()} >= {".md", ".csv"}
    assert {path.suffix for path in (results / "figures").iterdir()} >= {".png", ".svg"}


def test_seeds_differ_and_trained_models_differ_from_their_start(whole: Path) -> None:
    texts: dict[str, list[str]] = {}
    for row in rows(whole / "results", "completions"):
        if row["phase"] == "final":
            texts.setdefault(row["run"], []).append(row["text"])
    for arm in ("base+sft", "base+grpo", "instruct+grpo"):
        assert texts[f"{arm}/seed=0"] != texts[f"{arm}/seed=1"]
        assert texts[f"{arm}/seed=0"] != texts[arm.split("+")[0]]


def test_the_output_shows_the_table_and_the_paths(whole: Path) -> None:
    output = (whole / "output.txt").read_text()
    for arm in ("base", "base+sft", "base+grpo", "instruct", "instruct+grpo"):
        assert arm in output
    assert str(whole / "results" / "comparison.md") in output
    assert "hance" in output


def test_everything_was_computed_once(whole: Path) -> None:
    found = attempts(whole / "store")
    assert {end for _, end in found} == {"completed"}
    assert set(Counter(stage for stage, _ in found).values()) == {1}
    stages = rows(whole / "results", "stages")
    assert {stage for stage, _ in found} == {row["stage"] for row in stages if not row["shipped"]}
    assert [row["kind"] for row in stages if row["shipped"]] == ["pretrain"]


def test_running_again_computes_nothing_and_collects_the_same(whole: Path, tmp_path: Path) -> None:
    before = attempts(whole / "store")
    done = ablate("run", "--store", whole / "store", "--no-compare")
    assert done.returncode == 0, done.stdout + done.stderr
    assert attempts(whole / "store") == before
    assert ablate("collect", "--store", whole / "store", "--results", tmp_path).returncode == 0
    for table in TABLES:
        assert (tmp_path / f"{table}.parquet").read_bytes() == (whole / "results" / f"{table}.parquet").read_bytes()


def test_plan_status_and_show_tell_what_is(whole: Path) -> None:
    plan = ablate("plan", "--store", whole / "store")
    assert plan.returncode == 0, plan.stderr
    for text in ("base+grpo", "instruct+grpo", "done"):
        assert text in plan.stdout
    status = ablate("status", "--store", whole / "store", "--json")
    assert status.returncode == 0, status.stderr
    assert "base+grpo/seed=1" in status.stdout
    record = json.loads(status.stdout)
    assert {run["state"] for run in record["runs"].values()} == {"done"}
    show = ablate("show", "base+grpo/seed=1", "--store", whole / "store")
    assert show.returncode == 0, show.stderr
    for text in ("learning_rate", "moved", "rewards", "completed"):
        assert text in show.stdout
    nobody = ablate("show", "base+gpro/seed=1", "--store", whole / "store")
    assert nobody.returncode == 2
    assert "did you mean base+grpo/seed=1" in nobody.stderr


class Runner:
    """``ablate run`` on another store, in a process group of its own."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "store"
        self.log = folder / "output.txt"
        arguments = ("--store", self.store, "--results", folder / "results", "--workers", "2", "--no-compare")
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command("run", *arguments, seeds="[0]"),
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def at_work(self, *kinds: str) -> dict[Path, int]:
        """Folders of the stages of some kinds whose jobs are at work, with the step that they have reached."""
        found = {}
        for path in self.store.glob("*/lock"):
            status = read_status(path.with_name("status.json"))
            if path.parent.name.startswith(kinds) and status is not None and is_locked(path):
                found[path.parent] = status.step
        return found

    def in_training(self) -> Path | None:
        """A stage that was stopped (SIGSTOP) in the midst of its training."""
        for stage, step in self.at_work("instruct", "sft", "grpo").items():
            if step and stand_still(stage):
                return stage
        return None

    def starting(self, but: Path) -> Path | None:
        """Another stage than one, stopped (SIGSTOP) before its first step was told of."""
        for stage, step in self.at_work("evaluate", "grpo").items():
            if stage != but and not step and stand_still(stage):
                return stage
        return None

    def wait_for(self, condition: Callable[[], Any], seconds: float = 1800.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        return found


def signal_job(stage: Path, number: signal.Signals) -> None:
    """Signal the job at work in a stage's folder, and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(lock_holder(stage / "lock")["session"], number)


def stand_still(stage: Path) -> bool:
    """Stop a stage's job (SIGSTOP). Whether it stands still in the midst of its work, and can't end any more; else it
    goes on."""
    signal_job(stage, signal.SIGSTOP)
    with suppress(psutil.NoSuchProcess, KeyError):
        process = psutil.Process(lock_holder(stage / "lock")["pid"])
        while process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):  # a signal that was sent may wait
            time.sleep(0.01)
        if not (stage / "done.json").exists() and not (stage / "checks.json").exists():
            return True
    signal_job(stage, signal.SIGCONT)
    return False


@pytest.fixture
def runners(tmp_path: Path) -> Iterator[Callable[[], Runner]]:
    started: list[Runner] = []

    def start() -> Runner:
        started.append(Runner(tmp_path))
        return started[-1]

    yield start
    for runner in started:
        if runner.process.poll() is None:
            runner.process.kill()
            runner.process.wait()
        for stage in runner.at_work(""):
            signal_job(stage, signal.SIGKILL)


def test_a_killed_study_ends_with_the_tables_of_an_uninterrupted_one(
    whole: Path, tmp_path: Path, runners: Callable[[], Runner]
) -> None:
    """One seed of the same study: a job is killed, then the runner's group and another job, then it is run again."""
    runner = runners()
    store = runner.store
    victim = runner.wait_for(runner.in_training)
    signal_job(victim, signal.SIGKILL)
    other = runner.wait_for(lambda: runner.starting(but=victim))
    os.killpg(runner.process.pid, signal.SIGKILL)
    runner.process.wait()
    signal_job(other, signal.SIGKILL)
    assert not (other / "done.json").exists()

    assert runners().process.wait(timeout=3600) == 0, (tmp_path / "output.txt").read_text()
    found = attempts(store)
    completed = Counter(stage for stage, end in found if end == "completed")
    assert set(completed.values()) == {1}, "a stage was computed twice"
    for stage in (victim, other):
        assert [end for name, end in found if name == stage.name] == ["lost", "completed"]

    for place in (whole / "store", store):
        results = tmp_path / f"results-{place == store}"
        done = ablate("collect", "--store", place, "--results", results, seeds="[0]")
        assert done.returncode == 0, done.stderr
    uninterrupted, killed = tmp_path / "results-False", tmp_path / "results-True"
    assert {row["state"] for row in rows(killed, "runs")} == {"done"}
    for name in ("study.json", *(f"{table}.parquet" for table in TABLES)):
        if name == "training.parquet":
            a, b = (pq.read_table(folder / name).drop_columns(["seconds"]) for folder in (uninterrupted, killed))
            assert a.num_rows > 0
            assert a.equals(b)
        elif name != "attempts.parquet":
            assert (uninterrupted / name).read_bytes() == (killed / name).read_bytes(), name
