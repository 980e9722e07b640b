"""A thousand stages on a cluster without accounting, whose arrays hold a hundred tasks at most."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.slurm.toy_study import ToyStudy, slurm

SEEDS = ("--set", f"seeds={list(range(333))}")
THROTTLE = ("--set", "resources.sft={parallel: 50}", "--set", "resources.evaluate={parallel: 100}")


@pytest.mark.usefixtures("plain_slurm")
def test_a_thousand_stages_in_arrays_of_a_hundred_without_accounting(tmp_path: Path) -> None:
    toy = ToyStudy(tmp_path)
    toy.order(sft={"steps": 2, "hold": 1})
    study = (*SEEDS, *THROTTLE)
    text = toy.submit(*study)
    assert "of 1003 stages: 1002 submitted, 1 done" in text
    again = toy.submit(*study)
    assert "1002 submitted" not in again
    began = time.monotonic()
    status = toy.status(*study)
    print(f"status of {len(status['stages'])} stages: {time.monotonic() - began:.2f} s")
    assert status["scheduler"] is None

    def running() -> Counter[str]:
        return Counter(line.split("-")[1] for line in slurm("squeue", "-h", "-t", "RUNNING", "-o", "%j").split())

    toy.wait_for(lambda: running()["sft"])
    toy.go()
    deadline = time.monotonic() + 1800
    while slurm("squeue", "-h"):
        assert time.monotonic() < deadline, "jobs that don't end"
        now = running()
        assert now["sft"] <= 50
        assert now["evaluate"] <= 100
        time.sleep(2.0)
    assert set(toy.states("", *study)) == {"done"}
    assert Counter(each["stage"] for each in toy.events("start")).most_common(1)[0][1] == 1
    manifests = [json.loads(path.read_text()) for path in toy.store.root.glob(".submitit/slurm-*/manifest.json")]
    assert max(len(each["tasks"]) for each in manifests) == 100
    assert max(int(index) for each in manifests for index in each["tasks"]) == 99


@pytest.mark.usefixtures("plain_slurm")
def test_ends_are_known_without_accounting_too(tmp_path: Path) -> None:
    toy = ToyStudy(tmp_path)
    toy.order(sft={"steps": 20, "seconds": 0.05, "die": 10})
    toy.submit()
    toy.attach()
    assert toy.exits(toy.stage("sft")) == ["killed", "completed"]

    other = ToyStudy(tmp_path / "other")
    other.order(sft={"steps": 40, "seconds": 0.1, "hold": 20})
    other.submit()
    stage = other.stage("sft")
    other.at_step(stage, 2)
    slurm("scancel", other.job(stage))
    other.attach(code=1)
    assert other.exits(stage) == ["cancelled"]
    other("cancel", "toy.yaml")
    other.wait_for(lambda: slurm("squeue", "-h") == "")


@pytest.mark.usefixtures("plain_slurm")
def test_account_and_qos_are_left_to_the_scheduler_without_accounting(tmp_path: Path) -> None:
    toy = ToyStudy(tmp_path)
    text = toy.submit("--set", "resources.all.partition=mian", code=2)
    assert "'mian'" in text
    assert "did you mean 'main'" in text
