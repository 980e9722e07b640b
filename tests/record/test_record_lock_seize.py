"""A lock that is taken from a holder that lost its right to it, and what that holder can still do: nothing."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.record.atomic import TEMPORARY_SUFFIX, guarded, read_json, replacing, write_bytes, write_json
from harness.record.attempts import list_attempts
from harness.record.folders import Store
from harness.record.lock import FileLock, is_locked, lock_holder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "lock"


def test_who_seizes_has_it_and_the_old_holder_knows(path: Path) -> None:
    with FileLock(path) as old, FileLock(path) as new:
        assert not old.is_mine()
        assert old.acquire(token="old")
        assert old.is_mine()
        new.seize(token="new")
        assert new.is_mine()
        assert not old.is_mine()
        assert lock_holder(path) == {"token": "new"}
        assert is_locked(path)
        assert [each.name for each in path.parent.iterdir()] == ["lock"]


def test_a_third_one_waits_for_who_seized_it(path: Path) -> None:
    with FileLock(path) as old, FileLock(path) as new, FileLock(path) as third:
        old.acquire(token="old")
        new.seize(token="new")
        assert not third.acquire(0.0)
        old.release()  # the old one's end frees nothing
        assert not third.acquire(0.0)
        assert is_locked(path)
        new.release()
        assert not is_locked(path)
        assert third.acquire(0.0, token="third")
        assert lock_holder(path) == {"token": "third"}


def test_the_old_holder_can_get_it_back_only_when_it_is_free(path: Path) -> None:
    with FileLock(path) as old, FileLock(path) as new:
        old.acquire(token="old")
        new.seize(token="new")
        with FileLock(path) as again:
            assert not again.acquire(0.0)
            new.release()
            assert again.acquire(0.0, token="again")
            assert again.is_mine()
            assert not old.is_mine()


def test_what_is_seized_can_be_seized(path: Path) -> None:
    with FileLock(path) as first, FileLock(path) as second, FileLock(path) as third:
        first.acquire()
        second.seize(token=2)
        third.seize(token=3)
        assert [each.is_mine() for each in (first, second, third)] == [False, False, True]


def test_a_lock_that_is_released_or_whose_file_is_gone_is_nobodys(path: Path) -> None:
    with FileLock(path) as lock:
        lock.acquire()
        lock.release()
        assert not lock.is_mine()
        with pytest.raises(RuntimeError, match="is not held"):
            _ = lock.descriptor
        lock.acquire()
        path.unlink()
        assert not lock.is_mine()


def test_a_lock_seized_between_opening_and_locking_is_not_taken_for_ones_own(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opened the old file, and gets its lock once the old holder is dead, has nothing."""
    with FileLock(path) as old, FileLock(path) as new, FileLock(path) as late:
        old.acquire()
        open_file = os.open

        def slow(name: object, *arguments: int) -> int:
            descriptor = open_file(name, *arguments)  # type: ignore[arg-type]
            if name == path:  # now it is seized, and the old holder dies
                monkeypatch.setattr(os, "open", open_file)
                new.seize(token="new")
                old.release()
            return descriptor

        monkeypatch.setattr(os, "open", slow)
        assert not late.acquire(0.0)
        assert not late.is_mine()
        assert new.is_mine()
        assert lock_holder(path) == {"token": "new"}


def test_of_many_at_once_one_has_it(path: Path) -> None:
    """While one after another takes it, seizes it or lets go of it, nobody has it beside another."""
    with FileLock(path) as old:
        old.acquire()
        with FileLock(path) as first:
            first.seize()
    inside, most, turns = [0], [0], []
    guard = threading.Lock()

    def work() -> None:
        for _ in range(20):
            with FileLock(path) as lock:
                assert lock.acquire(120.0)
                with guard:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                assert lock.is_mine()
                with guard:
                    inside[0] -= 1
                    turns.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(300)
    assert (most[0], len(turns)) == (1, 80)


def test_a_child_that_inherits_it_holds_it(path: Path) -> None:
    lock = FileLock(path)
    lock.acquire()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[lock.descriptor]) as child:
        lock.release()
        assert is_locked(path)
        with FileLock(path) as other:
            assert not other.acquire(0.0)
        assert child.stdin is not None
        child.stdin.close()
        child.wait(60)
    assert not is_locked(path)


# ---- guarded writes


class Fenced(BaseException):
    pass


def fence() -> None:
    raise Fenced


def test_a_guard_keeps_files_from_their_place(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, 1)
    with guarded(fence):
        for write in (lambda: write_json(path, 2), lambda: write_bytes(tmp_path / "new", b"2")):
            with pytest.raises(Fenced):
                write()
    assert read_json(path) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]
    write_json(path, 3)
    assert read_json(path) == 3


def test_a_guard_is_asked_when_the_file_is_whole_and_not_before(tmp_path: Path) -> None:
    asked: list[list[str]] = []
    with guarded(lambda: asked.append([path.read_text() for path in tmp_path.iterdir()])):
        with replacing(tmp_path / "x") as temporary:
            assert asked == []
            temporary.write_text("all of it")
        assert asked == [["all of it"]]


def test_every_guard_is_asked_and_each_is_taken_away_alone(tmp_path: Path) -> None:
    asked = []

    def guard(name: str) -> Callable[[], None]:
        return lambda: asked.append(name)

    with guarded(guard("outer")):
        with guarded(guard("inner")):
            write_json(tmp_path / "x", 1)
        write_json(tmp_path / "x", 1)
    write_json(tmp_path / "x", 1)
    assert asked == ["outer", "inner", "outer"]


# ---- an attempt that was fenced


JOB = """\
import sys
from pathlib import Path
from harness.launch.job import StageJob
from harness.study.stage import Stage

store, watched, how = Path(sys.argv[1]), sys.argv[2] == "watched", sys.argv[3]
stage = Stage("sft", {"how": how})
job = StageJob(stage, store, (), {"sft": "fenced_stage:run"}, "s", is_stale=(lambda holder: False) if watched else None)
print(job())
"""

STAGE = """\
import os, time
from pathlib import Path
from harness.record.atomic import write_json

FOLDER = Path(__file__).parent


def run(context):
    (FOLDER / "started").touch()
    while not (FOLDER / "go").exists():
        time.sleep(0.01)
    how = context.settings["how"]
    if how == "write":
        write_json(context.folder / "out.json", "of the old one")
    elif how == "report":
        for step in range(1, 200):
            context.progress(step, 1000)
            time.sleep(0.02)
    elif how == "fail":
        raise ValueError("of the old one")
    elif how == "return":
        return
    time.sleep(600.0)
"""


@pytest.mark.parametrize(
    ("watched", "how"),
    [(False, "write"), (False, "report"), (False, "fail"), (False, "return"), (True, "sleep")],
)
def test_a_fenced_attempt_ends_at_once_and_writes_nothing(tmp_path: Path, watched: bool, how: str) -> None:
    """Whatever it does next; and even if it does nothing, where its lock is watched."""
    (tmp_path / "fenced_stage.py").write_text(STAGE)
    command = [sys.executable, "-c", JOB, str(tmp_path / "store"), "watched" if watched else "", how]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SUBMITIT_"))}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(tmp_path)])
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            deadline = time.monotonic() + 120
            while not (tmp_path / "started").exists():
                assert time.monotonic() < deadline
                assert process.poll() is None, process.stdout and process.stdout.read()
                time.sleep(0.01)
            (stage_id,) = [path.name for path in (tmp_path / "store").iterdir() if path.name.startswith("sft-")]
            folder = Store(tmp_path / "store").own_folder(stage_id)
            with FileLock(folder.lock_file) as new:
                new.seize(token="new")
                write_json(folder.path / "out.json", "of the new one")
                before = everything(folder.path)
                (tmp_path / "go").touch()
                assert process.wait(120) == 76
                assert everything(folder.path) == before
                assert new.is_mine()
        finally:
            process.kill()
    assert [each["exit"] for each in list_attempts(folder)] == ["lost"]
    log = (folder.path / "attempts" / "0001" / "log.txt").read_text()
    assert "another attempt has taken this stage over" in log


def everything(folder: Path) -> dict[str, bytes]:
    """All files but the log, which the old attempt still holds open, and what it began to write under another name."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "log.txt")
    return {str(path): path.read_bytes() for path in files if not path.name.endswith(TEMPORARY_SUFFIX)}


def test_an_attempt_that_keeps_its_lock_ends_well_under_the_same_watch(tmp_path: Path) -> None:
    (tmp_path / "fenced_stage.py").write_text(STAGE.replace("time.sleep(600.0)", "time.sleep(0.0)"))
    (tmp_path / "go").touch()
    command = [sys.executable, "-c", JOB, str(tmp_path / "store"), "watched", "write"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SUBMITIT_"))}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(tmp_path)])
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr
