"""The miniature study cut to ten steps, run here and on the cluster, and what of it must be equal."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from harness.record.folders import Store

ROOT = Path(__file__).parents[2]
SMALL = [
    "seeds=[0]",
    "world={train_questions: 200, test_questions: 40}",
    "sft={steps: 6, batch_size: 8, warmup_steps: 1, checkpoint_every: 3}",
    "grpo={steps: 10, prompts_per_step: 4, warmup_steps: 0, checkpoint_every: 5}",
    "models.instruct.instruct.steps=10",
    "models.instruct.instruct.batch_size=24",
    "models.instruct.instruct.warmup_steps=1",
    "models.instruct.instruct.learning_rate=0.002",
    "curve.questions=8",
]
ONE_GRPO = [
    "seeds=[0]",
    "world={train_questions: 40, test_questions: 8}",
    "curve.questions=0",
    "arms=[{start: base, training: grpo}]",
    "contrasts=[]",
]
"""Overrides that leave one GRPO run of the study."""
SITE = """\
resources:
  all: {partition: main, account: ci, qos: normal, cpus: 60, memory_gb: 8, time: "0:30:00"}
  grpo: {gpus: 1}
  evaluate: {gpus: 1, parallel: 6}
"""
"""Nearly all of a node's cores for each stage, so that no node takes two."""


def ablate(verb: str, overrides: list[str], *arguments: str | Path, code: int = 0) -> str:
    """Run a verb on the miniature study; standard output and error together."""
    sets = [f"--set={each}" for each in overrides]
    command = [sys.executable, "-m", "harness.cli", verb, *map(str, arguments), "sweeps/micro.yaml", *sets]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600, env=dict(os.environ))
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def differing_tables(a: Path, b: Path) -> list[str]:
    """Collected files that are not byte-equal, but for attempts and the seconds of training steps."""
    differing = []
    for path in sorted(a.iterdir()):
        if path.suffix not in (".parquet", ".json") or path.name in ("attempts.parquet", "estimates.parquet"):
            continue
        if path.name == "training.parquet":
            tables = [pq.read_table(folder / path.name).drop_columns(["seconds"]) for folder in (a, b)]
            equal = tables[0].num_rows > 0 and tables[0].equals(tables[1])
        else:
            equal = path.read_bytes() == (b / path.name).read_bytes()
        if not equal:
            differing.append(path.name)
    return differing


def digests(store: Path, stage_id: str) -> dict[str, str]:
    """Hashes of a stage's outputs: all but the times in the metrics."""
    files = (Store(store).own_folder(stage_id).done_record() or {})["files"]
    return {name: entry["sha256"] for name, entry in files.items() if not name.startswith("metrics")}
