"""What the verbs say where the extra ``train`` isn't installed."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from harness.cli.extras import TRAIN, missing

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[>=<~! ]", each)[0] for each in requirements}


def test_the_extra_is_what_the_verbs_ask_for():
    assert names(PROJECT["optional-dependencies"]["train"]) == set(TRAIN)
    assert not names(PROJECT["dependencies"]) & set(TRAIN)
    assert "ablate" in names(PROJECT["optional-dependencies"]["cluster"])


def test_all_that_is_asked_for_is_pinned():
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().split()}
    for part in (PROJECT["dependencies"], *(PROJECT["optional-dependencies"][name] for name in ("train", "test"))):
        assert {name.lower().replace("_", "-") for name in names(part)} <= pinned


def test_what_is_missing_is_found_without_an_import():
    assert missing(["json", "no_such_package_at_all"]) == ["no_such_package_at_all"]


def without_train(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A verb in an interpreter that finds no package of the extra."""
    code = (
        "import sys\n"
        "class Nowhere:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {TRAIN!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Nowhere())\n"
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        f"importlib.util.find_spec = lambda name: None if name in {TRAIN!r} else find(name)\n"
        f"sys.argv = ['ablate', *{arguments!r}]\n"
        "from harness.cli import main\n"
        "main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"ABLATE_STORE": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("run", "sweeps/micro.yaml"), "computing stages of kind evaluate, grpo, instruct, sft needs accelerate, "),
        (("run", "sweeps/paper.yaml"), "computing stages of kind cvbench, evaluate, grpo, model, sat, sft needs "),
        (("rehearse", "sweeps/micro.yaml"), "rehearsing needs accelerate, datasets, "),
        (("fetch", "sweeps/paper.yaml"), "fetching needs huggingface_hub, "),
    ],
)
def test_a_verb_that_needs_more_says_so_in_one_line(tmp_path, arguments, what):
    done = without_train(*arguments, folder=tmp_path / "store")
    assert done.returncode == 2
    assert done.stderr.startswith(what)
    assert done.stderr.endswith("not installed here: pip install 'ablate[train]'\n")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "store").exists()


def test_what_failed_is_not_started_again_without_its_code(tmp_path):
    kinds = {kind: "cli_toys:run" for kind in ("world", "pretrain", "instruct", "sft", "grpo", "evaluate")}
    (tmp_path / "fail-instruct").touch()
    toys = {"TOY_FOLDER": str(tmp_path), "ABLATE_KINDS": json.dumps(kinds), "ABLATE_STORE": str(tmp_path / "store")}
    environment = os.environ | toys | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)])}
    command = [sys.executable, "-m", "harness.cli", "run", "sweeps/micro.yaml", "--no-compare", "--only"]
    done = subprocess.run(
        [*command, "world", "--only", "instruct"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    done = without_train("retry", "sweeps/micro.yaml", folder=tmp_path / "store")
    assert done.returncode == 2
    assert done.stderr.startswith("computing stages of kind evaluate, grpo, instruct needs accelerate, ")


@pytest.mark.parametrize("verb", ["plan", "status"])
def test_a_light_verb_needs_no_more(tmp_path, verb):
    done = without_train(verb, "sweeps/paper.yaml", folder=tmp_path / "store")
    assert done.returncode == 0, done.stderr
    assert "base+grpo" in done.stdout


def test_an_import_that_nobody_foresaw_is_told_in_one_line(tmp_path):
    code = (
        "import sys\n"
        "from harness import cli\n"
        "def app(): raise ModuleNotFoundError(\"No module named 'torch.nn'\", name='torch.nn')\n"
        "cli.app = app\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        "this needs torch, not installed here: pip install 'ablate[train]'\n",
    )
