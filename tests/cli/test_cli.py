"""The verbs as a user types them, on toy stages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VERBS = ("plan", "run", "rehearse", "status", "logs", "clean", "show", "collect", "compare", "power")
STUDY = """\
study: toy
title: A toy
seeds: [0, 1]
world: {}
models: {base: {pretrain: {}}}
protocols: {think: {prompt: micro-base-think}}
factors: {training: [none, sft]}
arms:
  - {training: none, set: {start: base, protocols: [think]}}
  - {training: sft, set: {start: base, protocols: [think]}}
"""


class Cli:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.study = folder / "toy.yaml"
        self.study.write_text(STUDY)
        kinds = {kind: "cli_toys:run" for kind in ("world", "pretrain", "instruct", "sft", "grpo", "evaluate")}
        self.environment = os.environ | {
            "TOY_FOLDER": str(folder),
            "ABLATE_KINDS": json.dumps(kinds),
            "ABLATE_STORE": str(folder / "store"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
        }

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a verb; standard output and error together."""
        command = [sys.executable, "-m", "harness.cli", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def json(self, *arguments: str, code: int = 0) -> dict:
        return json.loads(self("status", str(self.study), "--json", *arguments, code=code))


@pytest.fixture
def cli(tmp_path):
    return Cli(tmp_path)


SLOW = ("torch", "transformers", "numpy", "pandas", "pyarrow", "submitit", "rich")


@pytest.mark.parametrize("verb", VERBS)
def test_help_says_something_and_imports_nothing_slow(cli, verb):
    text = cli(verb, "--help")
    code = (
        f"import sys; sys.argv = ['ablate', {verb!r}, '--help']\nfrom harness.cli import main\n"
        f"try: main()\nfinally: print('slow:', *[name for name in {SLOW!r} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1].split() == ["slow:"]
    assert "Usage:" in text
    assert "--set" in text
    assert len(text.splitlines()) > 10


def test_no_verb_imports_torch_to_plan_or_tell(cli):
    code = (
        "import sys\n"
        "from harness.cli import app\n"
        "for verb in (['plan'], ['status'], ['show', 'base/x']):\n"
        "    try:\n"
        f"        app([*verb, {str(cli.study)!r}], standalone_mode=False)\n"
        "    except BaseException:\n"
        "        pass\n"
        "import harness.launch.local, harness.launch.display, analysis\n"
        "print(sorted({'torch', 'transformers', 'trl'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=cli.environment, cwd=cli.folder, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_study_from_plan_to_show(cli):
    study = str(cli.study)
    text = cli("plan", study)
    assert "3 runs in 2 arms" in text
    assert "1 done" in text  # the base model is shipped
    assert "disk: " in text
    runs = list(cli.json()["runs"])
    assert [run["state"] for run in cli.json()["runs"].values()] == ["missing"] * 3

    text = cli("run", study, "--no-compare", "--workers", "2")
    assert "done sft" in text
    assert "started world" in text
    record = cli.json()
    assert {run["state"] for run in record["runs"].values()} == {"done"}
    assert {stage["state"] for stage in record["stages"].values()} == {"done"}
    assert [stage["shipped"] for stage in record["stages"].values() if stage["kind"] == "pretrain"] == [True]
    assert "nothing to do" in cli("plan", study)
    assert "stages done" in cli("run", study, "--no-compare")
    log = (cli.folder / "store" / "toy.log").read_text()
    assert log.count("started world") == 1

    seeded = runs[-1]
    text = cli("show", seeded, study)
    for part in ("checks", "trainable", "passed", "all of it", "completed", "learning_rate", "shipped"):
        assert part in text
    text = cli("logs", seeded, study)
    assert "working on sft-" in text
    world = next(name for name, stage in record["stages"].items() if stage["kind"] == "world")
    assert f"working on {world}" in cli("logs", world, study, "--follow")


def test_cleaning_shows_first_and_deletes_only_when_told_to(cli):
    study, last = str(cli.study), ("--set", "retention.checkpoints=last")
    cli("run", study, "--no-compare", "--workers", "2")
    kept = sorted((cli.folder / "store").glob("sft-*/checkpoints/*"))
    assert len(kept) == 12  # every 50 of 300 steps, two seeds
    assert "nothing can be freed" in cli("clean", study)
    text = cli("clean", study, *last)
    assert "50, 100, 150, 200, 250" in text
    assert "--yes deletes" in text
    assert sorted((cli.folder / "store").glob("sft-*/checkpoints/*")) == kept
    assert "freed" in cli("clean", study, *last, "--yes")
    assert {path.name for path in (cli.folder / "store").glob("sft-*/checkpoints/*")} == {"step-000300"}
    assert "nothing to do" in cli("plan", study)

    # what is asked of a cleaned checkpoint later is computed anew, training and all
    curve = ("--set", "curve.questions=7")
    assert "started sft" in cli("run", study, *curve, "--no-compare", "--workers", "2")
    assert sorted((cli.folder / "store").glob("sft-*/checkpoints/*")) == kept


def test_a_failure_shows_in_the_exit_code_the_status_and_the_log(cli):
    study = str(cli.study)
    cause = cli.folder / "fail-sft"
    cause.touch()
    text = cli("run", study, "--no-compare", "--workers", "2", code=1)
    assert "ValueError: told to fail" in text
    assert "log.txt" in text
    record = cli.json(code=1)
    states = {name: run["state"] for name, run in record["runs"].items()}
    assert sorted(states.values()) == ["done", "failed", "failed"]
    failed = next(name for name, state in states.items() if state == "failed")
    assert "told to fail" in record["runs"][failed]["reason"]
    stages = [stage for stage in record["stages"].values() if stage["state"] == "failed"]
    assert all("ValueError: told to fail" in Path(stage["log"]).read_text() for stage in stages)
    assert "told to fail" in cli("status", study, code=1)
    assert "Traceback" in cli("logs", failed, study)

    cause.unlink()
    cli("run", study, "--no-compare", "--workers", "2")
    assert "told to fail" not in cli("status", study)


def test_settings_from_the_command_line_make_other_stages(cli):
    ids = [set(cli.json(*more)["stages"]) for more in ((), ("--set", "sft.steps=20"), ("--set", "seeds=[0,1]"))]
    assert ids[0] == ids[2]
    assert len(ids[0] & ids[1]) < len(ids[0])


def test_only_one_kind(cli):
    text = cli("run", str(cli.study), "--no-compare", "--only", "world")
    assert "started world" in text
    assert "started sft" not in text
    assert "there are cvbench, evaluate" in cli("run", str(cli.study), "--only", "cheese", code=2)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("plan", "nowhere.yaml"), ("nowhere.yaml",)),
        (("plan", "toy.yaml", "--set", "sft.stepz=20"), ("stepz", "steps")),
        (("show", "nobody", "toy.yaml"), ("no run 'nobody'", "There are:", "sft/seed=0")),
        (("logs", "nobody", "toy.yaml"), ("no run or stage 'nobody'", "world-")),
        (("run", "toy.yaml", "--workers", "0"), ("--workers",)),
        (("compare", "toy.yaml"), ("results/toy",)),
        (("nonsense",), ("nonsense",)),
    ],
)
def test_wrong_usage_is_told_without_a_traceback(cli, arguments, parts):
    text = cli(*arguments, code=2)
    for part in parts:
        assert part in text
    assert "Traceback" not in text


def test_a_study_of_which_nothing_came_is_collected_and_compared_all_the_same(cli):
    (cli.folder / "fail-world").touch()
    text = cli("run", str(cli.study), code=1)
    assert "told to fail" in text
    assert (cli.folder / "results" / "toy" / "runs.parquet").exists()
    assert "Traceback" not in text
