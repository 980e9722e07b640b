"""The whole way from a collected folder to its page, and what must not change it."""

from collections.abc import Callable
from pathlib import Path

import fabricated_study
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from analysis import Comparison, ContrastResult, arm_table, compare, contrasts, load, render, run_scores
from analysis.tables.table import Column, Table

FIGURES = ("seeds", "dumbbells", "dynamics", "length_accuracy", "rewards", "forest", "scopes", "formats")
TABLES = ("arms", "contrasts", "evidence", "scopes", "interactions", "formats", "splits", "sensitivity", "pairs")
TABLES = (*TABLES, "protocols", "seeds", "completeness")


@pytest.fixture(scope="module")
def compared(collected: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compare(collected, tmp_path_factory.mktemp("compared"))


def shuffled(folder: Path, out: Path, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    out.mkdir(exist_ok=True)
    (out / "study.json").write_bytes((folder / "study.json").read_bytes())
    for path in sorted(folder.glob("*.parquet")):
        table = pq.read_table(path)
        pq.write_table(table.take(rng.permutation(len(table))), out / path.name)
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def facts(result: ContrastResult) -> tuple:
    """All that a contrast says, but for the arrays behind it."""
    combined = result.combined
    return (
        *(result.name, combined.interval, combined.prediction(), combined.per_seed, combined.ns, result.bootstrap),
        *(result.checkpoints, result.lost, result.verdict, result.p_adjusted, result.detectable, result.sentence),
    )


def test_everything_is_written(compared: Comparison) -> None:
    out = compared.page.parent
    tables = {f"tables/{n}.{s}" for n in TABLES for s in ("md", "csv", "tex", "html")}
    figures = {f"figures/{n}.{s}" for n in FIGURES for s in ("png", "svg", "pdf", "csv")}
    assert set(files(out)) == tables | figures | {"comparison.md", "estimates.parquet", "dictionary.md"}
    assert {str(path.relative_to(out)) for path in compared.paths} == set(files(out))


def test_row_order_changes_no_byte_and_neither_does_a_second_call(
    collected: Path, compared: Comparison, tmp_path: Path
) -> None:
    again = compare(shuffled(collected, tmp_path / "shuffled", 5), tmp_path / "out")
    assert files(again.page.parent) == files(compared.page.parent)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_row_order_changes_no_number(collected: Path, tmp_path: Path, seed: int) -> None:
    plain, other = load(collected), load(shuffled(collected, tmp_path / "shuffled", seed))
    assert arm_table(other) == arm_table(plain)
    assert [facts(each) for each in contrasts(other, draws=200)] == [
        facts(each) for each in contrasts(plain, draws=200)
    ]
    pd.testing.assert_frame_equal(run_scores(other), run_scores(plain))


def test_the_page_shows_tables_figures_and_what_is_missing(compared: Comparison) -> None:
    page = compared.page.read_text()
    for name in FIGURES:
        assert f"](figures/{name}.png)" in page
    for result in compared.contrasts:
        assert result.sentence in page
    assert "Missing: base+grpo/seed=2 (failed: out of memory)." in page
    assert "Chance: 43.8 % overall" in page
    assert "base+grpo 2 of 3 finished, 1 failed, 0 blocked, 0 excluded." in page


def test_the_numbers_of_the_table_are_those_of_the_csv_and_of_the_estimates(compared: Comparison) -> None:
    sheet = pd.read_csv(compared.page.parent / "tables" / "arms.csv").set_index(["arm", "protocol"])
    estimates = pq.read_table(compared.estimates).to_pandas()
    row = next(row for row in compared.arms.rows if row.arm == "base+sft")
    interval = row.cells["Depth"].interval
    assert interval is not None
    found = sheet.loc[("base+sft", "instruct-direct")]
    assert (found["Depth"], found["Depth_low"]) == (pytest.approx(interval.mean), pytest.approx(interval.low))
    chosen = estimates[
        (estimates["table"] == "arms") & (estimates["row"] == "base+sft | instruct-direct | lenient")
    ].set_index("column")
    assert chosen.loc["Depth", "high"] == pytest.approx(interval.high)
    assert chosen.loc["Depth", ["n", "unit"]].tolist() == [3, "percent"]
    assert not estimates.duplicated(["table", "row", "column"]).any()
    text = (compared.page.parent / "tables" / "arms.md").read_text()
    assert f"{interval.mean:.1f} ± {interval.half_width:.1f}" in text


def test_a_study_of_one_seed_compares(fabricate: Callable[..., Path]) -> None:
    compared = compare(fabricate(seeds=(0,)))
    assert (compared.page.parent / "figures" / "dynamics.png").exists()
    assert "±" not in "".join(line for line in compared.page.read_text().splitlines() if line.startswith("| base"))


def test_a_study_without_results_compares_and_clears_old_figures(fabricate: Callable[..., Path]) -> None:
    folder = fabricate()
    (folder / "figures").mkdir()
    (folder / "figures" / "dynamics.png").write_bytes(b"of an earlier collection")
    for name in ("answers", "completions", "traces", "training", "questions"):
        fabricated_study.write(folder, name, [])
    compared = compare(folder)
    assert not list((folder / "figures").iterdir())
    assert "No curve was collected" in compared.page.read_text()
    assert all(result.reason for result in compared.contrasts)


def test_the_terminal_shows_means_counts_and_sentences(compared: Comparison) -> None:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(render(compared))
    text = console.export_text()
    row = next(row for row in compared.arms.rows if row.arm == "base+grpo")
    interval = row.cells["overall"].interval
    assert interval is not None
    assert f"{interval.mean:.1f} ± {interval.half_width:.1f}" in text
    assert "2/3" in text
    assert "chance" in text
    assert "Is GRPO ahead?" in text


def test_a_bar_in_a_name_does_not_break_the_markdown() -> None:
    odd = Table("x", "X", (Column("a", "a"),), (("one|two",),), ("note",))
    assert "one\\|two" in odd.markdown()
