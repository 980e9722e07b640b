"""Registered, committed, run, compared: which contrasts of a small real study are confirmatory, which come too late."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
STUDY = """\
study: small
seeds: [0, 1]
world: {train_questions: 120, test_questions: 40}
models: {base: {pretrain: {}}}
protocols: {think: {prompt: micro-base-think}, direct: {prompt: micro-instruct-direct}}
sft: {steps: 4, batch_size: 8, warmup_steps: 1}
curve: {questions: 0}
factors:
  start: {base: {protocols: [think]}}
  training: {none: {}, sft: {protocols: [direct]}}
arms: [{start: base, training: none}, {start: base, training: sft}]
power: {seed_sd: 2.0}
contrasts:
  - {name: sft-vs-base, question: Does SFT help, a: base+sft, b: base, family: primary, margin: 1.0}
"""
LATER = "  - {name: length, question: Is it shorter, a: base+sft, b: base, metric: tokens}\n"


def test_what_was_committed_before_the_first_evaluation_is_confirmatory(tmp_path: Path) -> None:
    study = tmp_path / "small.yaml"
    study.write_text(STUDY)
    names = {
        "GIT_AUTHOR_NAME": "A",
        "GIT_COMMITTER_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@b.c",
        "GIT_COMMITTER_EMAIL": "a@b.c",
    }
    # nothing of the machine's own configuration, such as that commits be signed
    names |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    environment = os.environ | names | {"PYTHONPATH": str(ROOT), "ABLATE_STORE": str(tmp_path / "runs")}

    def call(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=3600)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def ablate(*arguments: str) -> str:
        return call(sys.executable, "-m", "harness.cli", *arguments)

    def commit() -> None:
        call("git", "add", "small.yaml", "small.registered.json")
        call("git", "commit", "--quiet", "--message", "Register the contrasts")

    call("git", "init", "--quiet")
    ablate("plan", "small.yaml", "--register")
    commit()
    shown = ablate("run", "small.yaml")
    assert "; confirmatory]" in shown
    sheet = pd.read_csv(tmp_path / "results" / "small" / "tables" / "contrasts.csv").set_index("contrast")
    assert sheet["standing"].to_dict() == {"sft-vs-base": "confirmatory"}

    study.write_text(STUDY + LATER)
    ablate("plan", "small.yaml", "--register")
    commit()
    ablate("collect", "small.yaml")
    ablate("compare", "small.yaml")
    sheet = pd.read_csv(tmp_path / "results" / "small" / "tables" / "contrasts.csv").set_index("contrast")
    assert sheet["standing"].to_dict() == {"sft-vs-base": "confirmatory", "length": "exploratory"}
    page = (tmp_path / "results" / "small" / "comparison.md").read_text()
    assert "too late" in page
    assert "| sft-vs-base" in page
