"""Registration of contrasts: the file, and since when git has held it."""

import json
import os
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from harness.record.registration import (
    HistoryError,
    find_registrations,
    history,
    in_repository,
    register,
    registration_file,
)
from harness.study import Plan, load_study, plan_study
from harness.study.declaration import contrast_hashes, declaration_hash

STUDY = """\
study: toy
seeds: [0, 1]
world: {}
models: {base: {pretrain: {}}}
protocols: {think: {prompt: micro-base-think}}
factors: {training: [none, sft, grpo]}
arms:
  - {training: none, set: {start: base, protocols: [think]}}
  - {training: sft, set: {start: base, protocols: [think]}}
  - {training: grpo, set: {start: base, protocols: [think]}}
contrasts:
  - {name: gain, question: Does it help, a: sft, b: none}
  - {name: which, question: Which helps more, a: sft, b: grpo, pairing: seed}
claims:
  - {name: H1, statement: It helps., source: a paper, contrast: gain}
"""

NO_FILE = "no registration file toy.registered.json; ablate plan --register writes it"


class Place:
    """A folder with a study file, in a repository or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.study = folder / "toy.yaml"
        self.study.write_text(STUDY)
        self.file = registration_file(self.study)
        self.clock = 1_700_000_000

    def git(self, *arguments: str, zone: str = "+0000") -> str:
        """Run git; every call is an hour after the one before."""
        self.clock += 3600
        when = f"{self.clock} {zone}"
        environment = {**os.environ, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        command = ["git", *who, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=True, timeout=300
        )
        return done.stdout.strip()

    def commit(self, zone: str = "+0000") -> tuple[str, str]:
        """Commit all there is: id and time of the commit."""
        self.git("add", "-A")
        self.git("commit", "-m", "x", "--allow-empty", zone=zone)
        time = datetime.fromisoformat(self.git("show", "-s", "--format=%cI", "HEAD"))
        return self.git("rev-parse", "HEAD"), time.astimezone().isoformat()

    def plan(self, *overrides: str) -> Plan:
        return plan_study(load_study(self.study, overrides))

    def found(self, *overrides: str) -> dict[str, Any]:
        return find_registrations(self.plan(*overrides), self.study)["contrasts"]

    def reasons(self, *overrides: str) -> dict[str, str]:
        found = self.found(*overrides)
        assert all(each["commit"] is None and each["committed"] is None for each in found.values())
        return {name: each["reason"] for name, each in found.items()}


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A folder outside of any repository."""
    # whatever holds the temporary folders must not count as the repository
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "studies"
    folder.mkdir()
    return Place(folder)


@pytest.fixture
def place(bare: Place) -> Place:
    bare.git("init", "--quiet", "--initial-branch=main")
    return bare


def same_time(one: str, two: str) -> bool:
    return datetime.fromisoformat(one) == datetime.fromisoformat(two)


def test_the_file_says_what_each_hash_is_made_of_and_what_hangs_on_it(bare: Place) -> None:
    plan = bare.plan("seeds=[0]")
    changes = register(plan, bare.study, ["seeds=[0]"])
    assert bare.file.name == "toy.registered.json"
    assert (changes.new, changes.changed, changes.unchanged, changes.withdrawn) == (["gain", "which"], {}, [], [])
    data = json.loads(bare.file.read_text())
    assert (data["study"], data["overrides"]) == ("toy", ["seeds=[0]"])
    assert {name: each["hash"] for name, each in data["contrasts"].items()} == contrast_hashes(plan)
    assert data["contrasts"]["gain"]["claims"] == {"H1": "It helps."}
    assert data["contrasts"]["which"]["claims"] == {}
    assert data["contrasts"]["which"]["question"] == "Which helps more"
    for each in data["contrasts"].values():
        assert declaration_hash(each["made_of"]) == each["hash"]
    assert bare.file.read_text() == json.dumps(data, indent=1, sort_keys=True) + "\n"
    again = bare.file.read_bytes()
    assert register(plan, bare.study, ["seeds=[0]"]).unchanged == ["gain", "which"]
    assert bare.file.read_bytes() == again


def test_registering_again_tells_new_changed_unchanged_and_withdrawn(bare: Place) -> None:
    register(bare.plan(), bare.study, [])
    more = (
        "contrasts=[{name: gain, question: Other words, a: sft, b: none}, {name: late, question: Q, a: grpo, b: none}]"
    )
    changes = register(bare.plan(more), bare.study, [])
    assert (changes.new, changes.changed, changes.unchanged, changes.withdrawn) == (["late"], {}, ["gain"], ["which"])
    changes = register(bare.plan(more, "contrasts.0.alpha=0.01", "seeds=[0]"), bare.study, [])
    assert changes.changed == {"gain": ["alpha", "reads", "seeds"], "late": ["reads", "seeds"]}


def test_another_studys_registration_is_not_overwritten(bare: Place) -> None:
    register(bare.plan(), bare.study, [])
    before = bare.file.read_bytes()
    with pytest.raises(ValueError, match="is the registration of the study 'toy', not of 'other'"):
        register(bare.plan("study=other"), bare.study, [])
    assert bare.file.read_bytes() == before


def test_without_a_file_nothing_is_registered(place: Place) -> None:
    place.commit()
    found = find_registrations(place.plan(), place.study)
    assert found["file"] is None
    assert set(place.reasons().values()) == {
        "no registration file toy.registered.json; ablate plan --register writes it"
    }


def test_a_committed_contrast_has_its_commit_and_time_in_utc(place: Place) -> None:
    place.commit()
    register(place.plan(), place.study, [])
    assert set(place.reasons().values()) == {
        "toy.registered.json holds this contrast, but that version is not committed"
    }
    commit, time = place.commit(zone="+0530")
    place.commit()
    found = find_registrations(place.plan(), place.study)
    assert found["file"] == "toy.registered.json"
    for each in found["contrasts"].values():
        assert (each["commit"], each["reason"]) == (commit, "")
        assert same_time(each["committed"], time)
        assert each["committed"].endswith("+00:00")
    assert found["withdrawn"] == {}


def test_the_earliest_commit_counts_also_after_changes_and_back(place: Place) -> None:
    register(place.plan(), place.study, [])
    first, _ = place.commit()
    register(place.plan("contrasts.0.alpha=0.01"), place.study, [])
    second, _ = place.commit()
    assert {name: each["commit"] for name, each in place.found("contrasts.0.alpha=0.01").items()} == {
        "gain": second,
        "which": first,
    }
    # the contrast as it was first, though the file in the folder now says otherwise
    assert place.found()["gain"]["commit"] == first
    register(place.plan(), place.study, [])
    place.commit()
    assert place.found()["gain"]["commit"] == first


def test_what_was_changed_since_or_never_registered_is_told_apart(place: Place) -> None:
    register(place.plan(), place.study, [])
    place.commit()
    reasons = place.reasons("contrasts.0.margin=1.0", "contrasts.1.name=another", "contrasts.1.alpha=0.01")
    assert reasons == {
        "gain": "changed since it was registered: margin",
        "another": "not in toy.registered.json: never registered",
    }
    # another name is not another contrast
    assert place.found("contrasts.1.name=another")["another"]["commit"]


def test_a_contrast_no_longer_declared_is_withdrawn(place: Place) -> None:
    register(place.plan(), place.study, [])
    commit, time = place.commit()
    kept = "contrasts=[{name: gain, question: Q, a: sft, b: none}]"
    register(place.plan(kept), place.study, [])
    place.commit()
    withdrawn = find_registrations(place.plan(kept), place.study)["withdrawn"]
    assert {name: each["commit"] for name, each in withdrawn.items()} == {"which": commit}
    assert same_time(withdrawn["which"]["committed"], time)


def test_a_renamed_study_keeps_its_history(place: Place) -> None:
    register(place.plan(), place.study, [])
    first, _ = place.commit()
    (place.folder / "deeper").mkdir()
    place.git("mv", "toy.yaml", "toy.registered.json", "deeper/")
    place.study = place.folder / "deeper" / "toy.yaml"
    assert set(place.reasons().values()) == {
        "toy.registered.json holds this contrast, but that version is not committed"
    }
    place.commit()
    assert {each["commit"] for each in place.found().values()} == {first}


def test_a_file_with_an_odd_name_is_found(place: Place) -> None:
    study = place.folder / "tö [y]*.yaml"
    place.study.rename(study)
    place.study = study
    register(place.plan(), study, [])
    commit, _ = place.commit()
    assert {each["commit"] for each in place.found().values()} == {commit}


@pytest.mark.parametrize("margin", [1.0, float("nan")])
def test_a_hash_that_is_not_of_what_stands_beside_it_counts_for_nothing(place: Place, margin: float) -> None:
    register(place.plan(), place.study, [])
    data = json.loads(registration_file(place.study).read_text())
    data["contrasts"]["gain"]["made_of"]["margin"] = margin
    place.file.write_text(json.dumps(data))
    place.commit()
    found = place.found()
    assert found["gain"]["commit"] is None
    assert found["gain"]["reason"] == "changed since it was registered: margin"
    assert found["which"]["commit"]


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"format": 99}', '{"format": 1, "contrasts": {"gain": 3}}'])
def test_a_file_that_is_no_registration_holds_nothing(place: Place, text: str) -> None:
    place.file.write_text(text)
    place.commit()
    assert set(place.reasons().values()) == {"not in toy.registered.json: never registered"}
    assert register(place.plan(), place.study, []).new == ["gain", "which"]
    commit, _ = place.commit()
    assert {each["commit"] for each in place.found().values()} == {commit}


def test_a_file_taken_away_leaves_its_history(place: Place) -> None:
    register(place.plan(), place.study, [])
    commit, _ = place.commit()
    place.file.unlink()
    place.commit()
    assert {each["commit"] for each in place.found().values()} == {commit}
    # what it did not hold is not said to be missing in a file that is not there
    assert find_registrations(place.plan(), place.study)["file"] == "toy.registered.json"
    found = {name: each["reason"] for name, each in place.found("contrasts.0.alpha=0.01").items()}
    assert found == {"gain": "no registration file toy.registered.json; ablate plan --register writes it", "which": ""}
    assert (
        find_registrations(place.plan("contrasts.0.alpha=0.01", "contrasts.1.alpha=0.01"), place.study)["file"] is None
    )


def test_a_registration_on_a_merged_branch_counts_from_its_own_commit(place: Place) -> None:
    place.commit()
    place.git("checkout", "--quiet", "-b", "side")
    register(place.plan(), place.study, [])
    commit, _ = place.commit()
    place.git("checkout", "--quiet", "main")
    (place.folder / "else").write_text("x")
    place.commit()
    assert set(place.reasons().values()) == {
        "no registration file toy.registered.json; ablate plan --register writes it"
    }
    place.git("merge", "--quiet", "--no-ff", "-m", "merge", "side")
    assert {each["commit"] for each in place.found().values()} == {commit}


def test_what_a_merge_itself_made_counts_from_the_merge(place: Place) -> None:
    """Both branches registered something else, and who merged them settled on a third."""
    register(place.plan(), place.study, [])
    place.commit()
    place.git("checkout", "--quiet", "-b", "side")
    register(place.plan("contrasts.0.margin=1.0"), place.study, [])
    place.commit()
    place.git("checkout", "--quiet", "main")
    register(place.plan("contrasts.0.margin=2.0"), place.study, [])
    place.commit()
    place.git("merge", "--quiet", "--no-commit", "-s", "ours", "side")
    register(place.plan("contrasts.0.margin=3.0"), place.study, [])
    merge, _ = place.commit()
    assert place.found("contrasts.0.margin=3.0")["gain"]["commit"] == merge


def test_in_a_shallow_clone_a_time_is_never_too_early(place: Place) -> None:
    register(place.plan(), place.study, [])
    first, first_time = place.commit()
    (place.folder / "else").write_text("x")
    last, last_time = place.commit()
    copy = place.folder.parent / "copy"
    place.git("clone", "--quiet", "--depth", "1", place.folder.as_uri(), str(copy))
    found = find_registrations(place.plan(), copy / "toy.yaml")["contrasts"]
    for each in found.values():
        assert each["commit"] == last
        assert same_time(each["committed"], last_time)
        assert "shallow (git fetch --unshallow)" in each["reason"]
    subprocess.run(["git", "-C", str(copy), "fetch", "--quiet", "--unshallow"], check=True)
    for each in find_registrations(place.plan(), copy / "toy.yaml")["contrasts"].values():
        assert (each["commit"], each["reason"]) == (first, "")
        assert same_time(each["committed"], first_time)


def test_outside_of_a_repository_it_is_told(bare: Place) -> None:
    register(bare.plan(), bare.study, [])
    assert set(bare.reasons().values()) == {"the registration file is in no git repository"}
    with pytest.raises(HistoryError, match="no git repository"):
        history(bare.file)
    assert not in_repository(bare.file)
    bare.git("init", "--quiet")
    assert in_repository(bare.file)  # though there is no commit


def test_a_repository_without_a_commit_holds_nothing(place: Place) -> None:
    register(place.plan(), place.study, [])
    assert set(place.reasons().values()) == {
        "toy.registered.json holds this contrast, but that version is not committed"
    }


def test_without_git_it_is_told(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    register(place.plan(), place.study, [])
    place.commit()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert set(place.reasons().values()) == {"git is not installed, so nothing says since when it is registered"}
    assert not in_repository(place.file)


def test_what_git_refuses_is_told(place: Place) -> None:
    register(place.plan(), place.study, [])
    place.commit()
    (place.folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (place.folder / ".git" / "refs" / "heads" / "main").write_text("f" * 40 + "\n")
    for reason in place.reasons().values():
        assert reason.startswith("git can't read the history of the registration file: fatal:")


@pytest.mark.parametrize(
    ("name", "value"), [("diff.relative", "true"), ("log.showSignature", "true"), ("core.quotePath", "true")]
)
def test_settings_of_git_change_nothing(place: Place, name: str, value: str) -> None:
    folder = place.folder / "ünder"
    folder.mkdir()
    place.git("config", name, value)
    place.study = place.study.rename(folder / "toy.yaml")
    register(place.plan(), place.study, [])
    commit, _ = place.commit()
    assert {each["commit"] for each in place.found().values()} == {commit}
