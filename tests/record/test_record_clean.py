"""What may be deleted, what is deleted, and what that does to what counts as done."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from harness.record.atomic import TEMPORARY_SUFFIX, write_bytes, write_json
from harness.record.clean import clean, cleanable
from harness.record.folders import Store
from harness.record.lock import FileLock
from harness.record.states import needed_checkpoints, stage_states, with_needs
from harness.study.stage import Stage

WORLD = Stage("world", {})
START = Stage("instruct", {"a": 0}, {"data": WORLD.id}, {"checkpoints": [7]})
TRAIN = Stage("grpo", {"a": 1}, {"model": START.id, "data": WORLD.id}, {"checkpoints": [5, 10, 15]})
CURVE = Stage("evaluate", {"steps": [5, 10]}, {"model": TRAIN.id, "data": WORLD.id})
FINAL = Stage("evaluate", {"steps": [15]}, {"model": TRAIN.id, "data": WORLD.id})
STAGES = {stage.id: stage for stage in (WORLD, START, TRAIN, CURVE, FINAL)}


@dataclass(frozen=True)
class Plan:
    """As much of a plan as is looked at here."""

    stages: dict[str, Stage]


PLAN = Plan(STAGES)


def finish(store, *stages):
    for stage in stages:
        folder = store.own_folder(stage.id)
        folder.path.mkdir(parents=True, exist_ok=True)
        wanted = folder.write_stage(stage)
        folder.clear_outputs()
        for step in wanted:
            write_json(folder.path / "checkpoints" / f"step-{step:06d}" / "model.json", "x" * step)
        write_bytes(folder.path / "metrics" / "part.bin", b"12345")
        folder.write_done(wanted, seconds=1.5)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def steps(found, stage=TRAIN):
    return [each.step for each in found if each.stage == stage.id]


@pytest.mark.parametrize(
    ("keep", "train", "start"), [("all", [], []), ("last", [5, 10], []), ("none", [5, 10, 15], [7])]
)
def test_retention_says_what_stays_when_all_is_done(store, keep, train, start):
    finish(store, *STAGES.values())
    found = cleanable(PLAN, store, keep)
    assert (steps(found), steps(found, START)) == (train, start)


def test_what_a_stage_still_to_do_reads_is_not_cleanable(store):
    finish(store, WORLD, START, TRAIN, FINAL)
    assert steps(cleanable(PLAN, store, "none")) == [15]
    finish(store, CURVE)
    (store.own_folder(FINAL.id).path / "done.json").unlink()
    assert steps(cleanable(PLAN, store, "none")) == [5, 10]
    (store.own_folder(TRAIN.id).path / "done.json").unlink()
    assert cleanable(PLAN, store, "none") == []  # the training is to do, and starts from step 7


def test_a_cleaned_stage_is_done_and_a_run_over_it_is_too(store):
    finish(store, *STAGES.values())
    found = cleanable(PLAN, store, "none")
    assert sum(each.bytes for each in found) == sum(each.path.joinpath("model.json").stat().st_size for each in found)
    assert clean(found, store) == found
    assert not any(each.path.exists() for each in found)
    record = store.own_folder(TRAIN.id).done_record()
    assert record["cleaned"] == [5, 10, 15]
    assert record["checkpoints"] == []
    assert list(record["files"]) == ["metrics/part.bin"]
    assert record["seconds"] == 1.5
    assert {state.state for state in stage_states(PLAN, store).values()} == {"done"}
    assert cleanable(PLAN, store, "none") == []


def test_a_cleaned_checkpoint_that_is_needed_again_makes_its_stage_and_what_that_needs_undone(store):
    finish(store, *STAGES.values())
    clean(cleanable(PLAN, store, "last"), store)
    (store.own_folder(FINAL.id).path / "done.json").unlink()
    states = stage_states(PLAN, store)
    assert {key for key, each in states.items() if each.state != "done"} == {FINAL.id}  # step 15 is there
    (store.own_folder(CURVE.id).path / "done.json").unlink()
    states = stage_states(PLAN, store)
    assert {key for key, each in states.items() if each.state != "done"} == {TRAIN.id, CURVE.id, FINAL.id}
    assert needed_checkpoints(STAGES, store)[START.id] == {7}
    stages = with_needs(PLAN, store).stages
    assert not store.is_done(stages[TRAIN.id])
    assert store.is_done(stages[START.id])
    finish(store, stages[TRAIN.id])
    assert store.is_done(stages[TRAIN.id])
    record = store.own_folder(TRAIN.id)
    assert record.done_record()["checkpoints"] == [5, 10, 15]
    assert "needed" not in record.stage_record()["cosmetic"]


def test_needs_change_no_identity(store):
    assert list(with_needs(PLAN, store).stages) == [stage.id for stage in with_needs(PLAN, store).stages.values()]


def test_leftovers_go_but_not_what_an_unfinished_stage_goes_on_from(store):
    finish(store, WORLD, START, CURVE)
    for stage in (TRAIN, CURVE):
        folder = store.own_folder(stage.id).path
        write_bytes(folder / "resume" / "state.bin", b"123")
        write_bytes(folder / f".x.json.1{TEMPORARY_SUFFIX}", b"12")
    found = cleanable(PLAN, store, "all")
    assert [(each.stage, each.path.name, each.bytes) for each in found] == [
        (TRAIN.id, f".x.json.1{TEMPORARY_SUFFIX}", 2),
        (CURVE.id, "resume", 3),
        (CURVE.id, f".x.json.1{TEMPORARY_SUFFIX}", 2),
    ]
    clean(found, store)
    assert (store.own_folder(TRAIN.id).path / "resume" / "state.bin").exists()
    assert not (store.own_folder(CURVE.id).path / "resume").exists()
    assert store.is_done(CURVE)


def test_a_stage_at_work_is_left_alone(store):
    finish(store, *STAGES.values())
    found = cleanable(PLAN, store, "last")
    with FileLock(store.own_folder(TRAIN.id).lock_file) as lock:
        lock.acquire()
        assert cleanable(PLAN, store, "last") == []
        assert clean(found, store) == []
    assert all(each.path.exists() for each in found)
    assert steps(clean(found, store)) == [5, 10]


def test_a_shipped_folder_is_left_alone(store, tmp_path):
    finish(store, *STAGES.values())
    shipping = Store(tmp_path / "store", [])
    other = Store(tmp_path / "elsewhere", [shipping.own_folder(TRAIN.id).path])
    finish(other, WORLD, START, CURVE, FINAL)
    assert steps(cleanable(PLAN, other, "none")) == []
    assert other.is_done(TRAIN)


def test_a_cut_off_cleaning_is_finished_by_the_next(store):
    finish(store, *STAGES.values())
    found = [each for each in cleanable(PLAN, store, "last") if each.step == 5]
    kept = {each.path: each.path.joinpath("model.json").read_bytes() for each in found}
    clean(found, store)
    for path, content in kept.items():
        write_bytes(path / "model.json", content)
    assert store.is_done(TRAIN)
    assert steps(clean(cleanable(PLAN, store, "last"), store)) == [5, 10]
    assert store.own_folder(TRAIN.id).done_record()["cleaned"] == [5, 10]


def test_states_take_any_plan_with_stages(store):
    finish(store, WORLD)
    assert stage_states(SimpleNamespace(stages={WORLD.id: WORLD}), store)[WORLD.id].state == "done"
