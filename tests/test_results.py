"""The committed results stand on their own: their tables follow from their parquet, byte for byte."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

MICRO = Path(__file__).parents[1] / "results" / "micro"


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``ablate compare FOLDER`` makes of the collected tables alone."""
    out = tmp_path_factory.mktemp("again")
    for path in [MICRO / "study.json", *MICRO.glob("*.parquet")]:
        if path.name != "estimates.parquet":
            shutil.copy(path, out)
    command = [sys.executable, "-m", "harness.cli", "compare", str(out)]
    done = subprocess.run(command, cwd=MICRO.parents[1], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return out


def test_tables_and_figure_data_are_made_again_from_the_parquet(again: Path) -> None:
    patterns = ("tables/*", "figures/*.csv", "*.md")
    made = {path.relative_to(again) for pattern in patterns for path in again.glob(pattern)}
    kept = {path.relative_to(MICRO) for pattern in patterns for path in MICRO.glob(pattern)}
    assert made == kept
    assert len(made) > 50
    for name in sorted(made):
        assert (again / name).read_bytes() == (MICRO / name).read_bytes(), name


def test_estimates_are_made_again_from_the_parquet(again: Path) -> None:
    assert pq.read_table(again / "estimates.parquet").equals(pq.read_table(MICRO / "estimates.parquet"))


def test_all_figures_are_there(again: Path) -> None:
    figures = {path.name for path in (again / "figures").iterdir()}
    assert figures == {path.name for path in (MICRO / "figures").iterdir()}
    assert {"dynamics.png", "dynamics.svg", "dynamics.pdf", "forest.png", "power.png"} <= figures


def test_every_planned_run_is_done() -> None:
    study = json.loads((MICRO / "study.json").read_text())
    assert len(study["seeds"]) >= 3
    assert all(row["done"] == row["planned"] for row in study["completeness"])


def test_the_folder_is_small() -> None:
    assert sum(path.stat().st_size for path in MICRO.rglob("*") if path.is_file()) < 6e6
