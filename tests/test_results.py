"""The committed results stand on their own: their tables follow from their parquet, byte for byte."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[1]
STUDIES = ("micro", "micro-replication")


@pytest.fixture(scope="module", params=STUDIES)
def shipped(request: pytest.FixtureRequest) -> Path:
    return ROOT / "results" / request.param


@pytest.fixture(scope="module")
def again(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``ablate compare FOLDER`` makes of the collected tables alone."""
    out = tmp_path_factory.mktemp("again")
    for path in [shipped / "study.json", *shipped.glob("*.parquet")]:
        if path.name != "estimates.parquet":
            shutil.copy(path, out)
    command = [sys.executable, "-m", "harness.cli", "compare", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    return out


def test_tables_and_figure_data_are_made_again_from_the_parquet(again: Path, shipped: Path) -> None:
    patterns = ("tables/*", "figures/*.csv", "*.md")
    made = {path.relative_to(again) for pattern in patterns for path in again.glob(pattern)}
    kept = {path.relative_to(shipped) for pattern in patterns for path in shipped.glob(pattern)}
    assert made == kept
    assert len(made) > 50
    for name in sorted(made):
        assert (again / name).read_bytes() == (shipped / name).read_bytes(), name


def test_estimates_are_made_again_from_the_parquet(again: Path, shipped: Path) -> None:
    assert pq.read_table(again / "estimates.parquet").equals(pq.read_table(shipped / "estimates.parquet"))


def test_all_figures_are_there(again: Path, shipped: Path) -> None:
    figures = {path.name for path in (again / "figures").iterdir()}
    assert figures == {path.name for path in (shipped / "figures").iterdir()}
    assert {"dynamics.png", "dynamics.svg", "dynamics.pdf", "forest.png", "power.png"} <= figures


def test_every_planned_run_is_done(shipped: Path) -> None:
    study = json.loads((shipped / "study.json").read_text())
    assert len(study["seeds"]) >= 3
    assert all(row["done"] == row["planned"] for row in study["completeness"])


def test_the_folder_is_small(shipped: Path) -> None:
    assert sum(path.stat().st_size for path in shipped.rglob("*") if path.is_file()) < 6e6


def test_what_micro_found_was_registered_before_new_seeds_were_looked_at() -> None:
    """The replication's hashes are those of the committed registration, of seeds that micro's results don't hold."""
    registered = json.loads((ROOT / "sweeps" / "micro-replication.registered.json").read_text())["contrasts"]
    study, first = (json.loads((ROOT / "results" / name / "study.json").read_text()) for name in reversed(STUDIES))
    declared = {contrast["name"]: contrast["hash"] for contrast in study["contrasts"]}
    assert declared == {name: contrast["hash"] for name, contrast in registered.items()}
    assert not set(study["seeds"]) & set(first["seeds"])
    contrasts = pd.read_csv(ROOT / "results" / "micro-replication" / "tables" / "contrasts.csv")
    assert list(contrasts["standing"]) == ["confirmatory"] * len(declared)


def test_what_is_claimed_of_micro_is_what_it_holds() -> None:
    study = json.loads((ROOT / "results" / "micro-replication" / "study.json").read_text())
    found = pd.read_csv(ROOT / "results" / "micro" / "tables" / "contrasts.csv").set_index("contrast")
    told = [claim for claim in study["claims"] if claim["contrast"]]
    assert len(told) == 4
    for claim in told:
        assert claim["figure"] == pytest.approx(found.loc[claim["contrast"], "estimate"], abs=0.051)
        assert claim["runs"] == 8
