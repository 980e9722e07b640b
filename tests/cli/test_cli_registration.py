"""Registering the contrasts of a study, as a user does it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.study import load_study
from harness.study.revisions import REVISIONS_FILE, unpinned

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SWEEPS = ROOT / "sweeps"
STUDY = """\
study: toy
seeds: [0, 1]
world: {}
models: {base: {pretrain: {}}}
protocols: {think: {prompt: micro-base-think}}
factors: {training: [none, sft]}
arms:
  - {training: none, set: {start: base, protocols: [think]}}
  - {training: sft, set: {start: base, protocols: [think]}}
contrasts:
  - {name: gain, question: Does it help, a: sft, b: none}
  - {name: tokens, question: Is it shorter, a: sft, b: none, metric: tokens}
"""


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "toy.yaml").write_text(STUDY)
        kinds = {kind: "cli_toys:run" for kind in ("world", "pretrain", "sft", "evaluate")}
        self.environment = os.environ | {
            "TOY_FOLDER": str(folder),
            "ABLATE_KINDS": json.dumps(kinds),
            "ABLATE_STORE": str(folder / "store"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
            "GIT_CEILING_DIRECTORIES": str(folder.parent),
            # nothing of the machine's own configuration, such as that commits be signed
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }

    def __call__(self, *arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "harness.cli", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def shell(self, command: str) -> None:
        subprocess.run(command, shell=True, cwd=self.folder, env=self.environment, check=True, capture_output=True)

    def registration(self) -> dict:
        return json.loads((self.folder / "results" / "toy" / "study.json").read_text())["registration"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path / "work"
    folder.mkdir()
    return Place(folder)


def test_from_registering_to_what_is_collected(place: Place) -> None:
    place.shell("git init --quiet && git config user.name A && git config user.email a@example.org")
    text = place("plan", "toy.yaml")
    assert "contrasts: 0 of 2 registered and committed; no registration file toy.registered.json" in text
    text = place("plan", "toy.yaml", "--register")
    assert "toy.registered.json: 2 new, 0 changed, 0 unchanged" in text
    assert "Evaluated in part already" not in text
    assert "git init" not in text
    assert "toy.registered.json holds this contrast, but that version is not committed" in place("plan", "toy.yaml")
    # the commands that it names are those to run
    (command,) = re.findall(r"^  (git add .*)$", text, re.MULTILINE)
    place.shell(command)
    assert "contrasts: 2 of 2 registered and committed\n" in place("plan", "toy.yaml")
    text = place("plan", "toy.yaml", "--register")
    assert "0 new, 0 changed, 2 unchanged\ncontrasts: 2 of 2 registered and committed\n" in text
    assert "git add" not in text
    text = place("plan", "toy.yaml", "--set", "contrasts.0.margin=1.0")
    assert "contrasts: 1 of 2 registered and committed; gain: changed since it was registered: margin" in text
    place("collect", "toy.yaml")
    found = place.registration()
    assert found["file"] == "toy.registered.json"
    assert all(each["committed"].endswith("+00:00") for each in found["contrasts"].values())


def test_outside_of_a_repository_all_the_same(place: Place) -> None:
    for more in (["--register"], []):
        text = place("plan", "toy.yaml", *more)
        assert "0 of 2 registered and committed; the registration file is in no git repository" in text
        assert "git add" not in text
        advice = (
            "Only a commit in a git repository tells others when they were registered: make one (git init), and commit"
        )
        assert (f"{advice} toy.registered.json before the first evaluation" in text) == bool(more)
    place("collect", "toy.yaml")
    reasons = {each["reason"] for each in place.registration()["contrasts"].values()}
    assert reasons == {"the registration file is in no git repository"}


def test_what_was_evaluated_before_is_told(place: Place) -> None:
    place("run", "toy.yaml", "--no-compare", "--workers", "2", "--set", "contrasts=[]")
    text = place("plan", "toy.yaml", "--register")
    assert "Evaluated in part already, so exploratory unless registered before: gain, tokens" in text


def test_a_change_is_told_with_what_differs(place: Place) -> None:
    place("plan", "toy.yaml", "--register")
    text = place("plan", "toy.yaml", "--register", "--set", "contrasts.0.margin=1.0")
    assert "0 new, 1 changed, 1 unchanged" in text
    assert "changed: gain (margin)" in text


def test_there_is_nothing_to_register_without_contrasts(place: Place) -> None:
    assert "declares no contrasts" in place("plan", "toy.yaml", "--register", "--set", "contrasts=[]", code=2)
    assert "registered" not in place("plan", "toy.yaml", "--set", "contrasts=[]")


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_sweep_registers_once_its_revisions_are_pinned(place: Place, path: Path) -> None:
    """A branch that is pinned later would make other stages, and so other contrasts, of it."""
    study = place.folder / path.name
    shutil.copy(path, study)
    names = unpinned(load_study(study))
    if names:
        assert "no commit is given; `ablate fetch`" in place("plan", study.name, "--register", code=2)
        assert not study.with_suffix(".registered.json").exists()
        (place.folder / REVISIONS_FILE).write_text(yaml.safe_dump(dict.fromkeys(names, "ab" * 20)))
    place("plan", study.name, "--register")
    registered = json.loads(study.with_suffix(".registered.json").read_text())
    contrasts = load_study(study).contrasts
    assert set(registered["contrasts"]) == {contrast.name for contrast in contrasts}
    assert len({each["hash"] for each in registered["contrasts"].values()}) == len(contrasts)
