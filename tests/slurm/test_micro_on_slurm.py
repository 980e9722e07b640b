"""The miniature study with real models and real training: a cluster changes nothing but the times."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from harness.record.attempts import list_attempts
from harness.record.folders import Store
from tests.slurm.micro_study import ONE_GRPO, SITE, SMALL, ablate, differing_tables, digests, only_stage
from tests.slurm.onebox import OneBox
from tests.slurm.toy_study import slurm as slurm_command

pytestmark = pytest.mark.usefixtures("clean_slurm")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site.yaml").write_text(SITE)
    return tmp_path / "site.yaml"


def test_the_study_on_four_nodes_gives_the_tables_of_a_local_run(tmp_path: Path, site: Path, slurm: OneBox) -> None:
    """Begun here, gone on with there."""
    cluster, local = tmp_path / "cluster", tmp_path / "local"
    ablate("run", SMALL, "--store", cluster, "--only", "world", "--no-compare")
    where = ("--store", cluster, "--site", site)
    text = ablate("run", SMALL, *where, "--on", "slurm", "--allow-dirty", "--attach", "--results", cluster / "results")
    assert "2 done" in text  # the shipped base model and the world
    assert "base+grpo" in text
    ablate("run", SMALL, "--store", local, "--results", local / "results")
    assert differing_tables(cluster / "results", local / "results") == []
    attempts = pq.read_table(cluster / "results" / "attempts.parquet").to_pylist()
    on_slurm = [each for each in attempts if each["scheduler"] == "slurm"]
    assert {each["host"] for each in on_slurm} == set(slurm.nodes)
    assert {each["exit"] for each in attempts} == {"completed"}
    assert {each["gpus"] for each in on_slurm if each["kind"] in ("grpo", "evaluate")} == {1}
    assert all(each["gpu_seconds"] == pytest.approx(each["seconds"] * each["gpus"], abs=0.01) for each in attempts)
    status = json.loads(ablate("status", SMALL, *where, "--json"))
    used = sum(each["gpu_seconds"] for each in attempts) / 3600
    assert status["gpu_hours"]["used"] == pytest.approx(used)
    assert status["gpu_hours"]["to_go"] == [0, 0]
    text = ablate("run", SMALL, *where, "--on", "slurm", "--allow-dirty")
    assert "of 21 stages: 21 done" in text


def test_a_time_limit_in_the_middle_of_grpo_is_gone_on_from_bit_for_bit(tmp_path: Path) -> None:
    steps = "grpo={steps: 60, prompts_per_step: 8, warmup_steps: 0, checkpoint_every: 30, resume_every: 40}"
    study = [*ONE_GRPO, steps]
    limit = "resources.grpo={cpus: 1, memory_gb: 4, time: '1', signal_before_s: 20, timeouts: 9}"
    cluster, local = tmp_path / "cluster", tmp_path / "local"
    ablate("run", study, "--store", local, "--no-compare")
    on_slurm = ("--on", "slurm", "--allow-dirty", "--attach", "--no-compare")
    ablate("run", [*study, limit], "--store", cluster, *on_slurm)
    stage = only_stage(cluster, "grpo")
    exits = [each["exit"] for each in list_attempts(Store(cluster).own_folder(stage))]
    assert exits[-1] == "completed"
    assert set(exits[:-1]) == {"timed out"}
    assert digests(cluster, stage) == digests(local, stage)
    assert not (cluster / stage / "resume").exists()


def test_a_training_of_two_nodes_is_told_to_stop_as_one_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """One task per process, so the signal reaches both; whichever hears first, they stop after the same step."""
    study = [
        *ONE_GRPO,
        "grpo={steps: 40, prompts_per_step: 4, completions_per_prompt: 4, warmup_steps: 0, resume_every: 20}",
        "grpo.compute.processes=2",
    ]
    cluster, local = tmp_path / "cluster", tmp_path / "local"
    nodes = "resources.grpo={cpus: 1, memory_gb: 4, gpus: 1, processes_per_node: 1, timeouts: 0, attempts: 1}"
    ablate("run", [*study, nodes], "--store", cluster, "--on", "slurm", "--allow-dirty")
    stage = wait_for_step(cluster, 5)
    job = json.loads(ablate("status", study, "--store", cluster, "--json"))["stages"][stage]["job"]
    assert slurm_command("squeue", "-h", "-j", job, "-o", "%D") == "2\n"
    slurm_command("sbatch", "--partition=high", "--nodes=4", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    ablate("attach", study, "--store", cluster, "--no-compare")
    attempts = list_attempts(Store(cluster).own_folder(stage))
    assert [each["exit"] for each in attempts] == ["preempted", "completed"]
    assert {each["gpus"] for each in attempts} == {2}
    ablate("run", study, "--store", local, "--no-compare")
    assert digests(cluster, stage) == digests(local, stage)


def wait_for_step(store: Path, step: int) -> str:
    """Id of the GRPO stage once it is so far."""
    import time

    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        for path in store.glob("grpo-*"):
            status = Store(store).own_folder(path.name).status()
            if status is not None and status.step >= step:
                return path.name
        time.sleep(0.1)
    raise AssertionError(f"no step {step} in 600 s; {slurm_command('squeue')}")
