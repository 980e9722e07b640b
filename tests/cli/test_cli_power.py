"""ablate power as a user types it."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from analysis.planned import TESTS
from harness.cli import app

ROOT = Path(__file__).parents[2]
SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))
SLOW = ("torch", "transformers", "numpy", "pandas", "pyarrow", "submitit", "rich")


@pytest.fixture
def power(tmp_path):
    def power(*arguments: object, code: int = 0) -> str:
        command = [sys.executable, "-m", "harness.cli", "power", *map(str, arguments)]
        environment = os.environ | {"ABLATE_STORE": str(tmp_path / "store")}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    return power


@pytest.mark.parametrize("study", SWEEPS, ids=lambda path: path.stem)
def test_every_shipped_sweep_is_told_what_it_can_see(tmp_path, study):
    arguments = ["power", str(study), "--store", str(tmp_path / "store"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, arguments)  # in this process, as most of the time would go into imports
    assert done.exit_code == 0, done.output
    text = done.output
    frame = pd.read_csv(tmp_path / "out" / "power.csv")
    assert len(frame)
    assert text.count("\n") > len(frame)
    for name in frame["contrast"]:
        assert name in text
    # no sweep declares a contrast that no test could decide
    assert set(frame["test"]) <= set(TESTS.values()) - {TESTS["none"]}
    # a spread is known, or the row says that it isn't declared
    assert (frame["detectable"].notna() | frame["spread_from"].str.contains("declared")).all()
    assert (frame["adjusted_alpha"] <= frame["alpha"]).all()
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"power.md", "power.csv", "power.tex", "power.html"} <= files
    drawn = {f"power_curve.{suffix}" for suffix in ("png", "svg", "pdf", "csv")}
    if frame.loc[frame["test"] != TESTS["questions"], "detectable"].notna().any():
        assert drawn <= files
        assert "![Power curve](power_curve.png)" in (tmp_path / "out" / "power.md").read_text()


def test_the_papers_contrasts(power, tmp_path):
    text = power("sweeps/paper.yaml", "--out", tmp_path)
    assert "GPU-hours" in text
    row = pd.read_csv(tmp_path / "power.csv").set_index("contrast").loc["grpo-vs-sft"]
    assert row["runs"] == "5, 5"
    assert row["seeds"] > 5
    assert row["hours_low"] < row["hours"] < row["hours_high"]


def test_options_change_the_numbers(power, tmp_path):
    power("sweeps/paper.yaml", "--difference", "4", "--seed-sd", "0.5", "--power", "0.9", "--out", tmp_path)
    frame = pd.read_csv(tmp_path / "power.csv").set_index("contrast")
    row = frame.loc["grpo-vs-sft"]
    assert (row["difference"], row["spread"]) == (4.0, 0.5)
    assert row["spread_from"].startswith("given")
    assert row["power"] > 99
    assert row["seeds"] < 5
    text = power("--set", "seeds=[0]", "--discordance", "0.1", "--out", tmp_path)
    assert "10 % discordant" in text


def test_a_collected_folder_says_what_its_study_file_says(power, tmp_path):
    text = power("results/micro", "--out", tmp_path / "folder")
    assert "As collected in results/micro: runs planned then" in text
    power("sweeps/micro.yaml", "--set", "seeds=[0,1,2,3,4,5,6,7]", "--out", tmp_path / "file")
    collected, declared = (pd.read_csv(tmp_path / name / "power.csv") for name in ("folder", "file"))
    hours = [column for column in declared if column.startswith("hours")]
    assert hours
    pd.testing.assert_frame_equal(collected, declared.drop(columns=hours))
    assert "leave --set out" in power("results/micro", "--set", "seeds=[0]", code=2)
    assert "study.json: no such file" in power(tmp_path, code=2)


def test_a_pilots_results_are_measured(power, tmp_path):
    text = power("--results", "results/micro", "--out", tmp_path)
    assert "on 26 finished runs of study micro, 1,000 questions on 625 images" in text
    frame = pd.read_csv(tmp_path / "power.csv").set_index("contrast")
    row = frame.loc["grpo-vs-sft"]
    assert row["spread_from"].startswith("measured, 14 df, r ")
    # seed SDs of 0.9 and 1.1 points
    assert row["spread"] == pytest.approx(1.03, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--power", "80"), ("--power 80", "share", "80 % is 0.8")),
        (("--power", "0.01"), ("power", "0.01", "alpha")),
        (("--seed-sd", "-1"), ("--seed-sd -1", "above 0")),
        (("--difference", "0"), ("--difference 0", "above 0")),
        (("--discordance", "1.5"), ("--discordance 1.5", "share")),
        (("sweeps/length.yaml", "--results", "results/micro"), ("shares no contrast", "grpo-vs-sft", "micro")),
        (("--results", "results/none"), ("results/none", "no such file")),
        (("sweeps/nowhere.yaml",), ("nowhere.yaml",)),
        (("--set", "contrasts=[]"), ("declares no contrasts",)),
    ],
)
def test_what_cannot_be_is_told_without_a_traceback(power, arguments, parts):
    text = power(*arguments, code=2)
    assert "Traceback" not in text
    for part in parts:
        assert part in text


def test_help_imports_nothing_slow():
    code = (
        "import sys; sys.argv = ['ablate', 'power', '--help']\nfrom harness.cli import main\n"
        f"try: main()\nfinally: print('slow:', *[name for name in {SLOW!r} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1].split() == ["slow:"]
    for option in ("--difference", "--power", "--seed-sd", "--discordance", "--results", "--out"):
        assert option in shown


def test_nothing_is_drawn_or_trained_to_tell():
    code = (
        "import sys; sys.argv = ['ablate', 'power']\nfrom harness.cli import main\n"
        "try: main()\nfinally: print('slow:', *[n for n in ('torch', 'matplotlib', 'seaborn') if n in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1].split() == ["slow:"]
