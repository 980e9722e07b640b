"""The committed results stand on their own: their tables follow from their parquet, byte for byte."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analysis import compare

MICRO = Path(__file__).parents[1] / "results" / "micro"


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("again")
    compare(MICRO, out)
    return out


def test_tables_and_figure_data_are_made_again_from_the_parquet(again: Path) -> None:
    names = sorted(
        path.relative_to(MICRO)
        for pattern in ("tables/*", "figures/*.csv", "comparison.md")
        for path in MICRO.glob(pattern)
    )
    assert len(names) > 10
    for name in names:
        assert (again / name).read_bytes() == (MICRO / name).read_bytes(), name


def test_estimates_are_made_again_from_the_parquet(again: Path) -> None:
    assert pq.read_table(again / "estimates.parquet").equals(pq.read_table(MICRO / "estimates.parquet"))


def test_all_figures_are_there(again: Path) -> None:
    figures = {path.name for path in (again / "figures").iterdir()}
    assert figures == {path.name for path in (MICRO / "figures").iterdir()}
    assert {"curves.png", "curves.svg", "arms.png", "arms.svg"} <= figures


def test_every_planned_run_is_done() -> None:
    study = json.loads((MICRO / "study.json").read_text())
    assert len(study["seeds"]) >= 3
    assert all(row["done"] == row["planned"] for row in study["completeness"])


def test_the_folder_is_small() -> None:
    assert sum(path.stat().st_size for path in MICRO.rglob("*") if path.is_file()) < 6e6
