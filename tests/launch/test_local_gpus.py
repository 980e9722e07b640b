"""Stages that run a model share the machine's GPUs, each with its own."""

import os
from pathlib import Path

import pytest

from harness.launch.local import gpus_needed, run_local
from harness.record.provenance import gpus
from harness.study.stage import Stage


def seen(toys) -> dict[str, str]:
    return {event["name"]: event["gpus"] for event in toys.events("start")}


def test_every_model_stage_has_its_own_gpu_and_others_none(toys):
    toys.add("data", kind="world")
    toys.add("one", "data", kind="sft", seconds=1.0)
    toys.add("other", "data", kind="evaluate", seconds=1.0)
    run = run_local(toys.plan, toys.store, workers=3, gpus=[0, 3])
    assert run.exit_code == 0
    assert seen(toys)["data"] == ""
    assert sorted([seen(toys)["one"], seen(toys)["other"]]) == ["0", "3"]


def test_a_stage_waits_for_a_gpu(toys):
    toys.add("one", kind="sft", seconds=0.5)
    toys.add("other", kind="grpo", seconds=0.5)
    assert run_local(toys.plan, toys.store, workers=3, gpus=[1]).exit_code == 0
    assert seen(toys) == {"one": "1", "other": "1"}
    (first_end, _), (_, second_start) = (
        [event["time"] for event in sorted(toys.events(what), key=lambda each: each["time"])]
        for what in ("end", "start")
    )
    assert first_end <= second_start


def test_a_stage_of_more_processes_than_gpus_is_refused(toys):
    toys.add("large", kind="grpo", compute={"processes": 4})
    with pytest.raises(ValueError, match=r"needs 4 GPUs \(compute.processes\), and this machine has 2"):
        run_local(toys.plan, toys.store, gpus=[0, 1])
    assert not toys.events()


def test_gpus_by_kind_of_stage():
    assert gpus_needed(Stage("world", {})) == 0
    assert gpus_needed(Stage("evaluate", {})) == 1
    assert gpus_needed(Stage("grpo", {"compute": {"processes": 4}})) == 4


def test_gpus_are_those_that_may_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '0, Made-up A, GPU-a\\n1, Made-up B, GPU-b\\n2, Made-up C, GPU-c\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    try:
        for visible, expected in ((None, ["0", "1", "2"]), ("2,0", ["2", "0"]), ("GPU-b", ["1"]), ("", [])):
            gpus.cache_clear()
            if visible is None:
                monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
            else:
                monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
            assert [index for index, _ in gpus()] == expected
    finally:
        gpus.cache_clear()
