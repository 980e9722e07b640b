"""However a job ends, its stage goes on where it was, within what was declared, and its attempts say how they ended."""

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.record.lock import lock_holder
from tests.slurm.onebox import OneBox
from tests.slurm.toy_study import HERE, ROOT, ToyStudy, slurm


@pytest.fixture
def toy(tmp_path: Path, clean_slurm: OneBox) -> ToyStudy:
    return ToyStudy(tmp_path)


def test_a_preemption_is_gone_on_from_and_costs_nothing(toy: ToyStudy) -> None:
    """No time-outs and one attempt are allowed, so a preemption that counted as either would end the stage."""
    toy.order(sft={"steps": 40, "seconds": 0.1, "hold": 20})
    toy.submit("--set", "resources.sft={timeouts: 0, attempts: 1}")
    stage = toy.stage("sft")
    toy.at_step(stage, 10)
    slurm("sbatch", "--partition=high", "--nodes=4", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    toy.wait_for(lambda: toy.exits(stage)[0] == "preempted")
    toy.go()
    toy.attach()
    assert toy.exits(stage) == ["preempted", "completed"]
    assert "higher priority" in toy.attempts(stage)[0]["reason"]
    assert toy.history(stage) == list(range(1, 41))
    assert toy.attempts(stage)[1]["restart"] == 1


def test_a_requeue_is_gone_on_from(toy: ToyStudy) -> None:
    toy.order(sft={"steps": 40, "seconds": 0.1, "hold": 20})
    toy.submit()
    stage = toy.stage("sft")
    toy.at_step(stage, 10)
    job = toy.job(stage)

    def waits_with_its_steps() -> bool:
        found = toy.status()["stages"][stage]
        return found["state"] == "queued" and "of 40 steps are behind it" in found["reason"]

    slurm("scontrol", "update", "PartitionName=main", "State=DOWN")  # it stays queued until that was seen
    try:
        slurm("scontrol", "requeue", job)
        toy.wait_for(waits_with_its_steps)
    finally:
        slurm("scontrol", "update", "PartitionName=main", "State=UP")
    toy.go()
    toy.attach()
    assert toy.exits(stage) == ["preempted", "completed"]
    assert toy.history(stage) == list(range(1, 41))


def test_a_killed_job_is_started_again(toy: ToyStudy) -> None:
    toy.order(sft={"steps": 20, "seconds": 0.05, "die": 10})
    toy.submit()
    toy.attach()
    stage = toy.stage("sft")
    assert toy.exits(stage) == ["killed", "completed"]
    assert toy.attempts(stage)[0]["reason"] == "killed by SIGKILL"
    assert toy.history(stage) == list(range(1, 21))
    assert "going on after step 10" in Path(toy.status()["stages"][stage]["log"]).read_text()


def test_a_job_that_is_killed_again_and_again_fails_after_the_declared_attempts(toy: ToyStudy) -> None:
    toy.order(sft={"steps": 100, "seconds": 0.1})
    toy.submit("--set", "resources.sft={attempts: 2}")
    stage = toy.stage("sft")
    for number in (1, 2):
        toy.wait_for(lambda number=number: len(toy.attempts(stage)) == number)
        toy.at_step(stage, 1)
        os.kill(lock_holder(toy.store.own_folder(stage).lock_file)["pid"], signal.SIGKILL)
        toy.wait_for(lambda number=number: toy.exits(stage)[number - 1] == "killed")
    toy.attach(code=1)
    found = toy.status()["stages"]
    assert found[stage]["state"] == "failed"
    assert found[stage]["reason"] == "killed by SIGKILL (attempt 2 of 2)"
    assert {each["state"] for each in found.values() if stage in each["reason"]} == {"blocked"}
    toy.wait_for(lambda: slurm("squeue", "-h") == "")  # what waited for it was taken out of the queue

    text = toy("retry", "toy.yaml", "--failed", "--allow-dirty")
    assert "of 7 stages: 3 submitted, 4 done" in text  # with its two evaluations
    toy.attach()
    assert toy.exits(stage) == ["killed", "killed", "completed"]
    assert toy.history(stage) == list(range(1, 101))


def test_a_failure_is_final_and_one_readable_line(toy: ToyStudy) -> None:
    toy.order(sft={"fail": True})
    toy.submit("--set", "seeds=[0, 1]")
    seeds = ("--set", "seeds=[0, 1]")
    text = toy.attach(*seeds, code=1)
    assert "ValueError: sft was told to fail" in text
    assert toy.states("sft", *seeds) == ["failed", "failed"]
    assert toy.states("evaluate", *seeds).count("blocked") == 4
    assert all(len(toy.attempts(stage)) == 1 for stage in toy.status(*seeds)["stages"] if stage.startswith("sft"))
    assert "Traceback" in toy("logs", "sft/seed=1", "toy.yaml", *seeds)
    assert toy.submit(*seeds).count("aftercorr") == 2  # the second run takes them up again, with what waits for them
    toy.attach(*seeds, code=1)


def test_a_cancelled_run_takes_along_what_waits_for_it_alone(toy: ToyStudy) -> None:
    toy.order(sft={"steps": 40, "seconds": 0.1, "hold": 20})
    seeds = ("--set", "seeds=[0, 1]")
    toy.submit(*seeds)
    first, second = (toy.training(seed, *seeds) for seed in (0, 1))
    toy.at_step(first, 5)
    text = toy("cancel", "sft/seed=0", "toy.yaml", *seeds)
    assert text.count("cancelled") == 3
    toy.wait_for(lambda: toy.exits(first) == ["cancelled"])
    toy.go()
    toy.attach(*seeds, code=1)
    runs = toy.status(*seeds)["runs"]
    assert runs["sft/seed=1"]["state"] == runs["none"]["state"] == "done"
    assert runs["sft/seed=0"]["state"] == "interrupted"
    assert toy.exits(first) == ["cancelled"]
    assert toy.exits(second) == ["completed"]
    toy("retry", "sft/seed=0", "toy.yaml", "--allow-dirty", *seeds)
    toy.attach(*seeds)
    assert toy.exits(first) == ["cancelled", "completed"]
    assert toy.history(first) == list(range(1, 41))


def test_scancel_is_told_apart_from_a_requeue(toy: ToyStudy) -> None:
    toy.order(sft={"steps": 40, "seconds": 0.1, "hold": 20})
    toy.submit()
    stage = toy.stage("sft")
    toy.at_step(stage, 5)
    slurm("scancel", toy.job(stage))
    toy.attach(code=1)
    assert toy.exits(stage) == ["cancelled"]
    assert toy.states("sft") == ["interrupted"]


def test_a_node_that_is_lost_and_comes_back_cant_write_over_its_successor(toy: ToyStudy, slurm: OneBox) -> None:
    toy.order(sft={"steps": 60, "seconds": 0.1, "hold": 40})
    toy.submit()
    stage = toy.stage("sft")
    toy.at_step(stage, 20)
    folder = toy.store.own_folder(stage)
    before = lock_holder(folder.lock_file)
    node = toy.attempts(stage)[0]["host"]
    slurm.kill_node(node)
    assert Path(f"/proc/{before['pid']}").exists()  # it stands still, with the lock in its hands
    toy.wait_for(lambda: len(toy.attempts(stage)) == 2)
    toy.at_step(stage, 40, attempt=2)
    slurm.revive_node(node)
    toy.wait_for(lambda: not Path(f"/proc/{before['pid']}").exists())
    toy.go()
    toy.attach()
    first, second = toy.attempts(stage)
    assert (first["exit"], second["exit"]) == ("node failed", "completed")
    assert second["restart"] == 1
    assert lock_holder(folder.lock_file)["token"] != before["token"]
    assert toy.history(stage) == list(range(1, 61))
    assert len(toy.events("end", "sft")) == 1


def test_what_uses_more_memory_than_it_was_given_is_told_so(toy: ToyStudy, slurm: OneBox) -> None:
    toy.order(sft={"steps": 200, "seconds": 0.05, "eat": 20})
    toy.submit("--set", "resources.sft={attempts: 1, memory_gb: 0.4}")
    toy.attach(code=1)
    stage = toy.stage("sft")
    assert toy.exits(stage) == ["out of memory"]
    reason = toy.status()["stages"][stage]["reason"]
    assert "more memory than it was given" in reason
    assert "attempt 1 of 1" in reason


def test_what_ended_before_its_work_began_says_why(toy: ToyStudy) -> None:
    toy.submit("--set", "resources.sft={setup: ['echo the license server is away >&2; exit 3']}")
    toy.attach(code=1)
    stage = toy.stage("sft")
    assert toy.states("sft") == ["failed"]
    assert "FAILED" in toy.status()["stages"][stage]["reason"]
    assert "the license server is away" in toy("logs", stage, "toy.yaml")


def test_a_submission_that_dies_after_sbatch_leaves_no_orphan_and_no_duplicate(toy: ToyStudy) -> None:
    toy.order(world={"steps": 2, "hold": 1})
    script = (
        "import os, sys\n"
        "from harness.launch.slurm.ledger import Submission\n"
        "noted = []\n"
        "def die(self, job_id):\n"
        "    noted.append(job_id)\n"
        "    len(noted) < 3 or os._exit(9)\n"
        "    write(self, job_id)\n"
        "write, Submission.note_submitted = Submission.note_submitted, die\n"
        "from harness.cli import main\n"
        "sys.argv = ['ablate', 'run', 'toy.yaml', '--on', 'slurm', '--allow-dirty']\n"
        "main()\n"
    )
    died = subprocess.run(
        [sys.executable, "-c", script],
        cwd=toy.folder, env=toy.environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert died.returncode == 9, died.stderr
    assert len(slurm("squeue", "-h", "-o", "%F").split()) >= 3  # the third is in the queue without a note
    text = toy.submit()
    assert "2 submitted" in text
    assert "4 in the queue already" in text
    toy.go()
    toy.attach()
    for stage in toy.status()["stages"]:
        assert len(toy.attempts(stage)) == (0 if stage.startswith("pretrain") else 1)


def test_two_submissions_at_once_hand_over_every_stage_once(toy: ToyStudy) -> None:
    toy.order(world={"steps": 2, "hold": 1})
    with ThreadPoolExecutor() as pool:
        both = pool.map(lambda _: toy.submit(), range(2))
    texts = sorted(text.splitlines()[-1] for text in both)
    assert texts == [
        "of 7 stages: 1 done, 6 in the queue already",
        "of 7 stages: 6 submitted, 1 done",
    ]
    toy.go()
    toy.attach()
    assert all(len(toy.attempts(stage)) <= 1 for stage in toy.status()["stages"])
    assert len(toy.events("start")) == 6


def test_jobs_run_the_code_that_was_there_when_they_were_submitted(toy: ToyStudy) -> None:
    """The package that the verb came from changes while the jobs wait."""
    copied = toy.folder / "checkout"
    shutil.copytree(ROOT / "harness", copied / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    usual = toy.environment["PYTHONPATH"]
    toy.environment["PYTHONPATH"] = os.pathsep.join([str(copied), str(HERE)])
    toy.order(world={"steps": 2, "hold": 1})
    toy.submit()
    for module in (copied / "harness" / "launch").rglob("*.py"):
        module.write_text("raise SystemExit('this is another code')\n")
    toy.environment["PYTHONPATH"] = usual
    toy.go()
    toy.attach()
    (code,) = (toy.store.root / ".code").iterdir()
    assert "torch==" in (code / "environment.txt").read_text()
