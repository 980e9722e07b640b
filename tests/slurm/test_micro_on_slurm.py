"""The miniature study with real models and real training: a cluster changes nothing but the times."""

import json
import signal
import time
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from harness.record.attempts import list_attempts
from harness.record.folders import Store
from harness.record.lock import lock_holder
from tests.slurm.micro_study import ONE_GRPO, SITE, SMALL, ablate, differing_tables, digests
from tests.slurm.onebox import OneBox
from tests.slurm.processes import is_pending, send, state_of, wait_until
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
    """On a machine of any speed: the limit is made short once the training is under way, and this stands still until
    it is warned of the limit."""
    steps = "grpo={steps: 60, prompts_per_step: 8, warmup_steps: 0, checkpoint_every: 30, resume_every: 40}"
    study = [*ONE_GRPO, steps]
    limit = "resources.grpo={cpus: 1, memory_gb: 4, time: '60', signal_before_s: 20, timeouts: 1}"
    cluster, local = tmp_path / "cluster", tmp_path / "local"
    ablate("run", study, "--store", local, "--no-compare")
    ablate("run", [*study, limit], "--store", cluster, "--on", "slurm", "--allow-dirty")
    stage = wait_for_step(cluster, 10)
    folder = Store(cluster).own_folder(stage)
    pid = lock_holder(folder.lock_file)["pid"]
    send([pid], signal.SIGSTOP)
    assert wait_until(lambda: state_of(pid) == "T", 60)
    job, began = queued_grpo("%i %S").split()
    ran = (datetime.now() - datetime.fromisoformat(began)).total_seconds()
    # SLURM looks every 30 s, and warns that much earlier than it was told to.
    slurm_command("scontrol", "update", f"JobId={job}", f"TimeLimit={(ran + 60) // 60 + 1:.0f}")
    # With the warning SLURM may let it go on itself.
    assert wait_until(lambda: is_pending(pid, signal.SIGUSR2) or state_of(pid) != "T", 300)
    send([pid], signal.SIGCONT)
    assert wait_until(lambda: exits(cluster, stage) == ["timed out"], 120)
    assert wait_until(lambda: queued_grpo("%T") == "PENDING" or len(exits(cluster, stage)) == 2, 120)
    slurm_command("scontrol", "update", f"JobId={job}", "TimeLimit=60")
    ablate("attach", study, "--store", cluster, "--no-compare")
    assert exits(cluster, stage) == ["timed out", "completed"]
    assert digests(cluster, stage) == digests(local, stage)
    assert not (cluster / stage / "resume").exists()


def test_a_training_of_two_nodes_is_told_to_stop_as_one_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """One task per process, so the signal reaches both; whichever hears first, they stop after the same step."""
    study = [
        *ONE_GRPO,
        "grpo={steps: 60, prompts_per_step: 4, completions_per_prompt: 4, warmup_steps: 0, resume_every: 20}",
        "grpo.compute.processes=2",
    ]
    cluster, local = tmp_path / "cluster", tmp_path / "local"
    nodes = "resources.grpo={cpus: 1, memory_gb: 4, gpus: 1, processes_per_node: 1, timeouts: 0, attempts: 1}"
    ablate("run", [*study, nodes], "--store", cluster, "--on", "slurm", "--allow-dirty")
    stage = wait_for_step(cluster, 5)
    assert queued_grpo("%D") == "2"  # nodes
    slurm_command("sbatch", "--partition=high", "--nodes=4", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    ablate("attach", study, "--store", cluster, "--no-compare")
    attempts = list_attempts(Store(cluster).own_folder(stage))
    assert [each["exit"] for each in attempts] == ["preempted", "completed"]
    assert {each["gpus"] for each in attempts} == {2}
    ablate("run", study, "--store", local, "--no-compare")
    assert digests(cluster, stage) == digests(local, stage)


def wait_for_step(store: Path, step: int) -> str:
    """Id of the GRPO stage once it is so far."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        for path in store.glob("grpo-*"):
            status = Store(store).own_folder(path.name).status()
            if status is not None and status.step >= step:
                return path.name
        time.sleep(0.1)
    raise AssertionError(f"no step {step} in 600 s; {slurm_command('squeue')}")


def queued_grpo(fields: str) -> str:
    """What squeue says of the only GRPO job in the queue; empty where there is none."""
    lines = slurm_command("squeue", "-h", "-o", f"%j|{fields}").splitlines()
    found = [said for name, _, said in (line.partition("|") for line in lines) if "-grpo-" in name]
    return found[0] if found else ""


def exits(store: Path, stage: str) -> list[str]:
    return [each["exit"] for each in list_attempts(Store(store).own_folder(stage))]
