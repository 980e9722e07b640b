"""The copy of the code that jobs run."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.launch.slurm import snapshot
from harness.launch.slurm.snapshot import DirtyTree, code_digest, take_snapshot
from harness.record import provenance

ROOT = Path(__file__).parents[3]


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


class Repo:
    """A repository with a small harness: what knows the commit, and one more file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("__init__.py", "record/__init__.py", "record/provenance.py", "record/atomic.py"):
            (root / "harness" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "harness" / name, root / "harness" / name)
        self.code = root / "harness" / "code.py"
        self.code.write_text("ANSWER = 1\n")
        (root / "README.md").write_text("read me\n")
        (root / ".gitignore").write_text("__pycache__\n")
        git(root, "init", "-q")
        git(root, "add", ".")
        self.commit("first")

    def commit(self, message: str) -> None:
        git(self.root, "commit", "-qam", message)
        provenance.commit.cache_clear()

    @property
    def head(self) -> str:
        return git(self.root, "rev-parse", "HEAD")

    def take(self, store: Path, allow_dirty: bool = False) -> snapshot.Snapshot:
        provenance.commit.cache_clear()  # as in a new process
        return take_snapshot(store, allow_dirty)


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repo]:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)  # nothing of the machine's own configuration
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    made = Repo(tmp_path / "repo")
    for module in (snapshot, provenance):
        monkeypatch.setattr(module, "code_root", lambda: made.root)
    provenance.commit.cache_clear()
    yield made
    provenance.commit.cache_clear()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def record(taken: snapshot.Snapshot) -> dict:
    return json.loads((taken.path / "code.json").read_text())


def in_job(taken: snapshot.Snapshot, code: str, folder: Path) -> str:
    """What a job prints, which finds its code as the batch script says."""
    environment = os.environ | {"PYTHONPATH": str(taken.path), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_clean_tree_is_copied_whole_with_its_commit(repo: Repo, store: Path) -> None:
    cache = repo.root / "harness" / "__pycache__"
    cache.mkdir()
    (cache / "code.pyc").write_bytes(b"x")
    taken = repo.take(store)
    assert taken.commit == repo.head
    assert taken.path == store / ".code" / f"{taken.digest}-{taken.commit[:9]}"
    assert record(taken) == {"commit": repo.head, "digest": taken.digest, "changed": []}
    copied = {str(path.relative_to(taken.path)) for path in taken.path.rglob("*") if path.is_file()}
    assert copied == {
        "code.json", "changes.patch", "environment.txt", "harness/__init__.py", "harness/code.py",
        "harness/record/__init__.py", "harness/record/provenance.py", "harness/record/atomic.py",
    }  # fmt: skip
    assert (taken.path / "changes.patch").read_text() == ""
    assert "pytest==" in (taken.path / "environment.txt").read_text()
    assert code_digest(taken.path) == taken.digest


def test_equal_code_is_copied_once(repo: Repo, store: Path) -> None:
    taken = repo.take(store)
    before = (taken.path / "code.json").stat().st_mtime_ns
    (repo.root / "README.md").write_text("changed, and no code\n")
    assert repo.take(store).path == taken.path
    assert (taken.path / "code.json").stat().st_mtime_ns == before
    assert [path.name for path in (store / ".code").iterdir()] == [taken.path.name]
    os.utime(repo.code)
    assert code_digest(repo.root) == taken.digest


@pytest.mark.parametrize("change", ["edit", "add", "delete", "rename"])
def test_every_change_is_another_digest(repo: Repo, change: str) -> None:
    before = code_digest(repo.root)
    if change == "edit":
        repo.code.write_text("ANSWER = 2\n")
    elif change == "add":
        (repo.root / "harness" / "data.bin").write_bytes(b"")
    elif change == "delete":
        repo.code.unlink()
    else:
        repo.code.rename(repo.code.with_name("other.py"))
    assert code_digest(repo.root) != before


def test_a_changed_tree_is_refused_and_the_files_are_named(repo: Repo, store: Path) -> None:
    repo.code.write_text("ANSWER = 2\n")
    (repo.root / "harness" / "new.py").write_text("NEW = 1\n")
    with pytest.raises(DirtyTree, match=r"harness/code\.py, harness/new\.py; commit it, or say --allow-dirty"):
        repo.take(store)
    assert not (store / ".code").exists()
    for number in range(20):
        (repo.root / "harness" / f"x{number:02}.py").write_text("")
    with pytest.raises(DirtyTree, match="and 14 more"):
        repo.take(store)


def test_what_is_no_code_may_differ(repo: Repo, store: Path) -> None:
    (repo.root / "README.md").write_text("changed\n")
    (repo.root / "notes.txt").write_text("new\n")
    assert repo.take(store).commit == repo.head  # not dirty


@pytest.mark.parametrize("taste", ["", "color.ui=always", "diff.noprefix=true", "diff.external=true"])
def test_an_allowed_change_is_recorded_so_that_it_can_be_made_again(
    taste: str, repo: Repo, store: Path, tmp_path: Path
) -> None:
    """However the user likes to see changes."""
    if taste:
        git(repo.root, "config", *taste.split("="))
    repo.code.write_text("ANSWER = 2\n")
    (repo.root / "harness" / "new.py").write_text("NEW = 1\n")
    (repo.root / "harness" / "new.bin").write_bytes(bytes(range(256)))
    taken = repo.take(store, allow_dirty=True)
    assert taken.commit == record(taken)["commit"] == f"{repo.head}+dirty"
    assert record(taken)["changed"] == ["harness/code.py", "harness/new.bin", "harness/new.py"]
    again = tmp_path / "again"
    subprocess.run(["git", "clone", "-q", str(repo.root), str(again)], check=True)
    git(again, "apply", str(taken.path / "changes.patch"))
    assert code_digest(again) == taken.digest


def test_jobs_run_the_copy_and_know_its_commit(repo: Repo, store: Path, tmp_path: Path) -> None:
    """Whatever becomes of the working tree, and wherever the job is started."""
    taken = repo.take(store)
    head = repo.head
    repo.code.write_text("ANSWER = 2\n")
    repo.commit("second")
    (repo.root / "harness" / "record" / "provenance.py").write_text("raise SystemExit(1)\n")
    code = "import harness.code; from harness.record.provenance import commit; print(harness.code.ANSWER, commit())"
    assert in_job(taken, code, tmp_path) == f"1 {head}"
    assert in_job(taken, code, repo.root) == f"1 {head}"  # not the harness that lies there
    assert code_digest(taken.path) == taken.digest


def test_code_that_is_committed_later_is_known_by_its_commit(repo: Repo, store: Path, tmp_path: Path) -> None:
    """Submitted with --allow-dirty, then committed as it is, then submitted again: the same code, and now it has a
    commit, which the attempts of the second submission should record."""
    repo.code.write_text("ANSWER = 2\n")
    repo.take(store, allow_dirty=True)
    repo.commit("second")
    taken = repo.take(store)
    assert taken.commit == repo.head
    assert in_job(taken, "from harness.record.provenance import commit; print(commit())", tmp_path) == repo.head


def test_outside_a_repository_nothing_is_refused(repo: Repo, store: Path) -> None:
    shutil.rmtree(repo.root / ".git")
    taken = repo.take(store)
    assert (taken.commit, record(taken)["commit"], record(taken)["changed"]) == (None, None, [])


def test_two_at_once_make_one_copy(repo: Repo, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", rename)
        repo.take(store)  # somebody else is faster
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    taken = repo.take(store)
    assert [path.name for path in (store / ".code").iterdir()] == [taken.path.name]
    assert record(taken)["digest"] == taken.digest


def test_a_copy_that_was_cut_off_is_not_taken_for_whole(
    repo: Repo, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(path: Path, data: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(snapshot, "write_json", cut)
    with pytest.raises(KeyboardInterrupt):
        repo.take(store)
    monkeypatch.undo()
    for module in (snapshot, provenance):
        monkeypatch.setattr(module, "code_root", lambda: repo.root)
    taken = repo.take(store)
    assert record(taken)["digest"] == taken.digest
    assert code_digest(taken.path) == taken.digest
