"""Where the processes of a job meet."""

import os
import threading
from pathlib import Path

import pytest

from harness.launch import ranks
from harness.launch.ranks import Place, call_meeting, join_meeting
from harness.record.folders import StageFolder
from harness.record.lock import FileLock
from harness.study.stage import Stage

FIRST, SECOND = Place(0, 2, 0), Place(1, 2, 1)
VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No environment is left behind, and no thread that ends the process."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(ranks, "_leave_with", lambda folder: None)


def test_the_others_learn_where_to_meet(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path / "stage")
    with FileLock(folder.lock_file) as lock:
        lock.acquire(token="now")
        call_meeting(tmp_path, "job", FIRST, "now")
        port = os.environ["MASTER_PORT"]
        assert os.environ["RANK"] == "0"
        assert join_meeting(tmp_path, "job", SECOND, folder)
    assert (os.environ["MASTER_PORT"], os.environ["RANK"], os.environ["WORLD_SIZE"]) == (port, "1", "2")


def test_nothing_to_do_is_told_without_a_lock(tmp_path: Path) -> None:
    call_meeting(tmp_path, "job", FIRST, None)
    assert not join_meeting(tmp_path, "job", SECOND, StageFolder(tmp_path / "stage"))


@pytest.mark.parametrize("held", [False, True])
def test_the_meeting_of_an_earlier_start_is_not_joined(
    held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preempted job is started again under its old submission, whose meeting file is still there."""
    folder = StageFolder(tmp_path / "stage")
    call_meeting(tmp_path, "job", FIRST, "before")
    with FileLock(folder.lock_file) as lock:
        if held:
            lock.acquire(token="now")
        monkeypatch.setattr(ranks, "MEETING_PATIENCE_S", 0.3)
        with pytest.raises(TimeoutError, match="gave no sign"):
            join_meeting(tmp_path, "job", SECOND, folder)
        monkeypatch.setattr(ranks, "MEETING_PATIENCE_S", 30.0)
        lock.release()
        lock.acquire(token="now")
        later = threading.Timer(0.3, call_meeting, (tmp_path, "job", FIRST, "now"))
        later.start()
        assert join_meeting(tmp_path, "job", SECOND, folder)
        later.join()


def test_all_processes_keep_the_same_checkpoints(tmp_path: Path) -> None:
    """The others ask before or after the first one has written down what is wanted."""
    folder = StageFolder(tmp_path)
    folder.write_stage(Stage("sft", {}, {}, {"checkpoints": [5, 10]}))
    stage = Stage("sft", {}, {}, {"checkpoints": [4, 10]})
    before = folder.wanted_checkpoints(stage)
    assert folder.write_stage(stage) == before == folder.wanted_checkpoints(stage) == [4, 5, 10]
