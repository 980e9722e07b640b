"""The store: what counts as done, what is kept and what is cleared."""

import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.record.atomic import read_json, write_bytes, write_json, write_table
from harness.record.attempts import last_log, list_attempts, open_attempt
from harness.record.folders import Store
from harness.record.lock import FileLock, is_locked, lock_holder
from harness.record.provenance import available_cores, provenance
from harness.record.states import run_states, stage_states
from harness.record.status import Status, read_status, write_status
from harness.study.stage import Stage


def finish(store, stage, wanted=()):
    """A done folder, made as a job makes it."""
    folder = store.own_folder(stage.id)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_stage(stage)
    for step in wanted:
        write_json(folder.path / "checkpoints" / f"step-{step:06d}" / "model.json", step)
    write_bytes(folder.path / "metrics" / "part.bin", b"12345")
    folder.write_done(wanted, seconds=1.5)
    return folder


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


STAGE = Stage("sft", {"a": 1}, {}, {"checkpoints": [5, 10]})


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"b": 1, "a": 2})
    first = path.read_bytes()
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert path.read_bytes() == first
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]
    write_json(path, {"a": 2, "b": 1})
    assert path.read_bytes() == first


def test_tables_come_back_and_equal_tables_are_equal_bytes(tmp_path):
    table = pa.table({"x": [1, 2], "text": ["a", None]})
    for name in "ab":
        write_table(tmp_path / f"{name}.parquet", table)
    assert pq.read_table(tmp_path / "a.parquet").equals(table)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.parametrize("content", [None, b"", b'{"half": '])
def test_what_is_no_json_reads_as_nothing(tmp_path, content):
    if content is not None:
        (tmp_path / "x.json").write_bytes(content)
    assert read_json(tmp_path / "x.json") is None
    assert read_status(tmp_path / "x.json") is None


def test_done_needs_manifest_files_and_checkpoints(store):
    assert not store.is_done(STAGE)
    folder = finish(store, STAGE, [5, 10])
    assert store.is_done(STAGE)
    assert not store.is_done(Stage("sft", {"a": 1}, {}, {"checkpoints": [7]}))
    (folder.path / "metrics" / "part.bin").write_bytes(b"1234")
    assert not store.is_done(STAGE)
    (folder.path / "metrics" / "part.bin").write_bytes(b"54321")
    assert store.is_done(STAGE)
    (folder.path / "done.json").unlink()
    assert not store.is_done(STAGE)


def test_without_a_wanted_checkpoint_or_any_output_there_is_no_manifest(store):
    folder = store.own_folder(STAGE.id)
    folder.path.mkdir(parents=True)
    with pytest.raises(RuntimeError, match="without any output"):
        folder.write_done()
    write_json(folder.path / "checkpoints" / "step-000005" / "model.json", 5)
    with pytest.raises(RuntimeError, match=r"without the checkpoints of steps \[10\]"):
        folder.write_done([5, 10])
    assert folder.done_record() is None


def test_clearing_keeps_the_records_and_wanted_checkpoints_add_up(store):
    folder = finish(store, STAGE, [5, 10])
    attempt = open_attempt(folder, "local", "1", "one")
    attempt.log.write_text("log")
    assert folder.write_stage(Stage("sft", {"a": 1}, {}, {"checkpoints": [7]})) == [5, 7, 10]
    folder.clear_outputs()
    assert sorted(path.name for path in folder.path.iterdir()) == ["attempts", "stage.json"]
    assert folder.write_stage(STAGE) == [5, 7, 10]
    assert json.loads((folder.path / "stage.json").read_text())["id"] == STAGE.id


def test_a_shipped_folder_is_read_until_something_of_its_own_is_computed(tmp_path):
    shipping = Store(tmp_path / "elsewhere")
    shipped = finish(shipping, STAGE, [5, 10]).path
    store = Store(tmp_path / "store", [shipped])
    assert store.is_done(STAGE)
    assert store.folder(STAGE.id).path == shipped
    assert store.folder(STAGE.id).shipped
    more = Stage("sft", {"a": 1}, {}, {"checkpoints": [5, 7]})
    assert not store.is_done(more)
    finish(store, more, [5, 7])
    assert store.is_done(more)
    assert not store.folder(STAGE.id).shipped
    assert not store.is_done(Stage("sft", {"a": 2}))


def test_the_default_store(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ABLATE_STORE", raising=False)
    assert Store().root == tmp_path / "runs"
    monkeypatch.setenv("ABLATE_STORE", str(tmp_path / "other"))
    assert Store().root == tmp_path / "other"


def test_a_lock_excludes_and_ends(tmp_path):
    path = tmp_path / "lock"
    assert not is_locked(path)
    with FileLock(path) as lock:
        assert lock.acquire(pid=7)
        assert is_locked(path)
        assert lock_holder(path) == {"pid": 7}
        assert not FileLock(path).acquire(patience=0.05)
    assert not is_locked(path)
    assert FileLock(path).acquire()


def test_numbers_that_are_not_finite_are_none(tmp_path):
    write_status(tmp_path / "s.json", Status("running", 1, 2, 3, {"loss": float("nan"), "reward": 1.0}))
    status = read_status(tmp_path / "s.json")
    assert status is not None
    assert status.numbers == {"loss": None, "reward": 1.0}


def test_an_attempt_without_an_end_is_lost(store):
    folder = store.own_folder(STAGE.id)
    folder.path.mkdir(parents=True)
    open_attempt(folder, "local", "1", "one")
    assert [each["exit"] for each in list_attempts(folder)] == ["lost"]
    with FileLock(folder.lock_file) as lock:
        lock.acquire()
        assert [each["exit"] for each in list_attempts(folder)] == ["running"]
        second = open_attempt(folder, "local", "2", "two")
        second.log.write_text("hello")
        second.close("failed", "why", "traceback")
    assert [(each["attempt"], each["exit"]) for each in list_attempts(folder)] == [(1, "lost"), (2, "failed")]
    assert last_log(folder) == second.log


def test_provenance_names_the_libraries_without_importing_them():
    found = provenance()
    assert found["versions"]["torch"]
    assert found["host"]
    assert found["hardware"]
    assert available_cores() >= 1


def test_states_follow_from_the_folders_and_block_what_stands_on_a_failure(store):
    world = Stage("world", {})
    bad = Stage("sft", {"a": 1}, {"data": world.id})
    lost = Stage("sft", {"a": 2}, {"data": world.id})
    after = Stage("evaluate", {}, {"model": bad.id})
    later = Stage("evaluate", {"b": 1}, {"model": after.id})
    stages = {stage.id: stage for stage in (world, bad, lost, after, later)}
    runs = [
        SimpleNamespace(id="one", stages=(world.id,)),
        SimpleNamespace(id="two", stages=(world.id, bad.id, after.id, later.id)),
        SimpleNamespace(id="three", stages=(world.id, lost.id)),
        SimpleNamespace(id="four", stages=(world.id, after.id)),
    ]
    plan = SimpleNamespace(stages=stages, runs=runs)
    finish(store, world)
    write_status(store.own_folder(bad.id).status_file, Status("failed", 1, reason="it broke"))
    write_status(store.own_folder(lost.id).status_file, Status("running", 1))
    states = stage_states(plan, store)
    found = [states[stage_id].state for stage_id in stages]
    assert found == ["done", "failed", "interrupted", "blocked", "blocked"]
    assert states[later.id].reason == f"needs the failed {bad.id}"
    assert run_states(plan, states) == {
        "one": ("done", ""),
        "two": ("failed", f"{bad.id}: it broke"),
        "three": ("interrupted", f"{lost.id}: attempt 1 ended without a word (killed?)"),
        "four": ("blocked", f"{after.id}: needs the failed {bad.id}"),
    }
    with FileLock(store.own_folder(bad.id).lock_file) as lock:
        lock.acquire()
        states = stage_states(plan, store)
        assert states[bad.id].state == "running"
        assert states[after.id].state == "missing"
