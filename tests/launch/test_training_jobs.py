"""Real trainings as jobs: a signal or a kill in the middle, and the weights are those of a job that was left alone."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from harness.launch.local import run_local
from harness.record.attempts import last_log, list_attempts
from harness.record.folders import StageFolder, Store
from harness.record.lock import lock_holder
from harness.study import Plan, load_study, plan_study

ROOT = Path(__file__).parents[2]
OVERRIDES = [
    "seeds=[0]",
    "world={train_questions: 40, test_questions: 8}",
    "grpo={steps: 12, prompts_per_step: 4, completions_per_prompt: 4, checkpoint_every: 6, resume_every: 3}",
]


def micro_plan(processes: int) -> Plan:
    study = load_study(ROOT / "sweeps" / "micro.yaml", [*OVERRIDES, f"grpo.compute.processes={processes}"])
    plan = plan_study(study)
    run = next(run for run in plan.runs if run.arm == "base+grpo")
    wanted = [stage for stage in run.stages if plan.stages[stage].kind != "evaluate"]
    return replace(plan, runs=(run,), stages={stage: plan.stages[stage] for stage in wanted})


def grpo_stage(plan: Plan) -> str:
    return next(stage for stage in plan.stages if plan.stages[stage].kind == "grpo")


def store_in(folder: Path) -> Store:
    return Store(folder, [ROOT / "harness" / "models" / "micro_base"])


def digests(store: Store, stage: str) -> dict[str, str]:
    """Hashes of what must be equal: all but the times in the metrics."""
    files = (store.folder(stage).done_record() or {})["files"]
    return {name: entry["sha256"] for name, entry in files.items() if not name.startswith("metrics")}


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], dict[str, str]]:
    done: dict[int, dict[str, str]] = {}

    def left_alone(processes: int) -> dict[str, str]:
        if processes not in done:
            plan, store = micro_plan(processes), store_in(tmp_path_factory.mktemp("store"))
            assert run_local(plan, store).exit_code == 0
            done[processes] = digests(store, grpo_stage(plan))
        return done[processes]

    return left_alone


@pytest.mark.parametrize(
    ("number", "processes", "cause"),
    [
        (signal.SIGTERM, 1, "interrupted"),
        (signal.SIGUSR2, 1, "interrupted"),
        (signal.SIGKILL, 1, "lost"),
        (signal.SIGTERM, 2, "interrupted"),
        (signal.SIGUSR2, 2, "interrupted"),  # submitit starts the same submission again
        (signal.SIGKILL, 2, "lost"),
    ],
)
def test_a_training_goes_on_where_it_was_ended(
    number: signal.Signals, processes: int, cause: str, left_alone: Callable[[int], dict[str, str]], tmp_path: Path
) -> None:
    plan = micro_plan(processes)
    stage = grpo_stage(plan)
    for number_of_try in range(5):  # on a busy machine the job may be over before this process comes to hit it
        store = store_in(tmp_path / str(number_of_try))
        folder = store.own_folder(stage)
        assert run_and_hit(plan, store, folder, number) == 0
        if [each["exit"] for each in list_attempts(folder)] != ["completed"]:
            break
    assert [each["exit"] for each in list_attempts(folder)] == [cause, "completed"]
    log = last_log(folder)
    assert log is not None
    assert "going on after step" in log.read_text()
    assert digests(store, stage) == left_alone(processes)
    assert not (folder.path / "resume").exists()


def run_and_hit(plan: Plan, store: Store, folder: StageFolder, number: signal.Signals) -> int:
    """Run a plan and send a stage's job a signal in the midst of its work, once. Returns the exit code."""

    over = threading.Event()

    def hit_once() -> None:
        while not over.wait(0.02):
            status = folder.status()
            if status is not None and status.step >= 5 and folder.is_locked():
                with suppress(ProcessLookupError):
                    os.kill(lock_holder(folder.lock_file)["pid"], number)
                return

    hitter = threading.Thread(target=hit_once)
    hitter.start()
    try:
        return run_local(plan, store).exit_code
    finally:
        over.set()
        hitter.join()
