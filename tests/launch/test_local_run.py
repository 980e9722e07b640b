"""Running plans with real processes: order, bounds, failures."""

import json
import os
import time

import pytest

from harness.launch.local import run_local
from harness.record.attempts import list_attempts
from harness.record.states import stage_states


def test_every_stage_runs_once_after_its_inputs_and_is_recorded(toys):
    toys.add("a")
    toys.add("b", "a", checkpoints=[5, 10])
    toys.add("c", "a", "b")
    run = run_local(toys.plan, toys.store, workers=2)

    assert run.exit_code == 0
    assert toys.names("start") == ["a", "b", "c"]
    assert json.loads((toys.path("c") / "out.json").read_text()) == {"value": 4}
    times = {(event["what"], event["name"]): event["time"] for event in toys.events()}
    assert times["end", "a"] < times["start", "b"] < times["end", "b"] < times["start", "c"]

    folder = toys.store.own_folder(toys.stages["b"].id)
    done = folder.done_record()
    assert done is not None
    assert sorted(done["files"]) == [
        "checkpoints/step-000005/model.json",
        "checkpoints/step-000010/model.json",
        "out-half.txt",
        "out.json",
    ]
    assert done["checkpoints"] == [5, 10]
    status = folder.status()
    assert status is not None
    assert (status.state, status.step, status.total, status.numbers) == ("done", 10, 10, {"reward": 1.0})
    [attempt] = list_attempts(folder)
    assert attempt["exit"] == "completed"
    assert attempt["scheduler"] == "local"
    assert attempt["versions"]["submitit"]
    assert attempt["seconds"] > 0
    first, own, *progress, last = (folder.path / "attempts/0001/log.txt").read_text().splitlines()
    assert first.endswith(f"{folder.path.name}: attempt 1")
    assert own == "this is b"
    assert progress[-1].endswith("step 10/10 reward 1")
    assert " done in " in last

    again = run_local(toys.plan, toys.store)
    assert again.exit_code == 0
    assert len(toys.events("start")) == 3


def test_no_more_than_so_many_jobs_at_once_and_both_places_are_used(toys):
    for name in "abcde":
        toys.add(name, seconds=0.4)
    holds = [toys.touch(f"hold-{name}") for name in "abcde"]
    runner = toys.runner(workers=2)
    toys.wait_for(lambda: len(toys.events("start")) == 2)
    time.sleep(1.0)  # a third would have its chance
    for hold in holds:
        hold.unlink()
    assert toys.finish(runner) == 0
    at_work, most = 0, 0
    for event in sorted(toys.events(), key=lambda event: event["time"]):
        at_work += 1 if event["what"] == "start" else -1
        most = max(most, at_work)
    assert most == 2


def test_the_longest_chain_starts_first(toys):
    toys.add("short")
    toys.add("long")
    toys.add("after", "long")
    seconds = {toys.stages["short"].id: 5.0, toys.stages["long"].id: 1.0, toys.stages["after"].id: 10.0}
    run_local(toys.plan, toys.store, workers=1, seconds=seconds)
    assert [event["name"] for event in toys.events("start")] == ["long", "after", "short"]


def test_a_failure_blocks_what_stands_on_it_and_nothing_else_until_mended(toys):
    toys.add("bad")
    toys.add("next", "bad")
    toys.add("last", "next")
    toys.add("other")
    toys.add("apart", "other")
    cause = toys.touch("fail-bad")
    run = run_local(toys.plan, toys.store, workers=1)

    assert run.exit_code == 1
    assert toys.names("end") == ["apart", "other"]
    states = {name: stage_states(toys.plan, toys.store)[stage.id] for name, stage in toys.stages.items()}
    bad = toys.stages["bad"].id
    assert {name: state.state for name, state in states.items()} == {
        "bad": "failed",
        "next": "blocked",
        "last": "blocked",
        "other": "done",
        "apart": "done",
    }
    assert states["bad"].reason == "ValueError: bad was told to fail"
    assert states["next"].reason == states["last"].reason == f"needs the failed {bad}"
    assert states["bad"].log is not None
    assert "ValueError: bad was told" in states["bad"].log.read_text()
    assert "to fail" in (states["bad"].log.parent / "traceback.txt").read_text()

    cause.unlink()
    assert run_local(toys.plan, toys.store).exit_code == 0
    assert toys.names("start") == ["apart", "bad", "bad", "last", "next", "other"]
    assert [each["exit"] for each in list_attempts(toys.store.own_folder(bad))] == ["failed", "completed"]


def test_code_that_cannot_be_imported_is_a_failure_with_its_reason(toys):
    (toys.folder / "broken_stage.py").write_text("import a_module_that_is_not_there\n")
    os.environ["PYTHONPATH"] += os.pathsep + str(toys.folder)
    toys.add("a", kind="world")
    toys.add("b", kind="sft")
    toys.add("c", kind="grpo")
    kinds = {"world": "toy_stages:run", "sft": "broken_stage:run", "grpo": "toy_stages:nothing"}
    run = run_local(toys.plan, toys.store, kinds=kinds)
    assert run.exit_code == 1
    states = stage_states(toys.plan, toys.store)
    assert states[toys.stages["a"].id].state == "done"
    assert states[toys.stages["b"].id].reason == "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"
    assert "has no attribute 'nothing'" in states[toys.stages["c"].id].reason


def test_a_job_that_dies_before_its_work_begins_is_a_failure_with_its_last_words(toys):
    toys.add("a")
    (toys.folder / "numpy.py").write_text("raise RuntimeError('numpy is broken here')\n")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(toys.folder), os.environ["PYTHONPATH"]])
    assert run_local(toys.plan, toys.store).exit_code == 1
    state = stage_states(toys.plan, toys.store)[toys.stages["a"].id]
    assert state.state == "failed"
    assert "ended from outside 2 times" in state.reason or "numpy is broken here" in state.reason
    assert state.log is not None
    assert "numpy is broken here" in state.log.read_text()


def test_only_some_kinds(toys):
    toys.add("data", kind="world")
    toys.add("model", "data", kind="sft")
    toys.add("scores", "model", kind="evaluate")
    run = run_local(toys.plan, toys.store, only=["world"])
    assert run.exit_code == 0
    assert toys.names("end") == ["data"]
    run = run_local(toys.plan, toys.store, only=["evaluate"])
    assert run.exit_code == 1
    assert "left out" in run.reasons[toys.stages["scores"].id]
    with pytest.raises(ValueError, match="no stages of kind nonsense; there are cvbench, evaluate"):
        run_local(toys.plan, toys.store, only=["nonsense"])


def test_workers_must_be_positive(toys):
    toys.add("a")
    with pytest.raises(ValueError, match="at least 1, not 0"):
        run_local(toys.plan, toys.store, workers=0)
    assert toys.events() == []


def test_jobs_have_one_thread_and_stay_offline(toys, tmp_path):
    (tmp_path / "tell.py").write_text(
        "import json, os\n"
        "def run(context):\n"
        "    (context.folder / 'env.json').write_text(json.dumps(dict(os.environ)))\n"
    )
    os.environ["PYTHONPATH"] += os.pathsep + str(tmp_path)
    toys.add("a")
    assert run_local(toys.plan, toys.store, kinds={"sft": "tell:run"}).exit_code == 0
    environment = json.loads((toys.path("a") / "env.json").read_text())
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["PYTHONHASHSEED"] == "0"
    assert "HF_HUB_OFFLINE" not in os.environ
