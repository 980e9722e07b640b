"""The totals of CV-Bench against the formulas of the public evaluation kits, on a made-up table of results."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from analysis import arm_table, compare, load
from analysis.scopes import scopes, weighted_mean
from analysis.scores import references
from analysis.statistics import mean_interval

SIZES = {("ADE20K", "Count"): 7, ("ADE20K", "Relation"): 4, ("COCO", "Count"): 3, ("COCO", "Relation"): 6}
SIZES |= {("Omni3D", "Depth"): 5, ("Omni3D", "Distance"): 8}


@pytest.fixture(scope="module")
def made_up() -> pd.DataFrame:
    """One row per question: source, task, split, choices, answer, hit."""
    rows = []
    for number, ((source, task), size) in enumerate(SIZES.items()):
        for i in range(size):
            choices = ["1", "2", "3", "4"] if task == "Count" else ["a", "b"]
            answer = choices[(i * i + number) % len(choices)]
            split = "3D" if source == "Omni3D" else "2D"
            rows.append((source, task, split, choices, answer, "(A)", (i + number) % (2 + number) != 0))
    columns = ["source", "task", "split", "choices", "answer", "answer_letter", "hit"]
    return pd.DataFrame(rows, columns=columns).assign(question=range(100, 100 + len(rows)))


def found(made_up: pd.DataFrame) -> dict[str, float]:
    hits = made_up.set_index("question")["hit"]
    return {name: weighted_mean(hits, weights) for name, weights in scopes(made_up).items()}


def test_the_scores_have_their_names(made_up: pd.DataFrame) -> None:
    tasks = ["Count", "Relation", "Depth", "Distance"]
    assert list(scopes(made_up)) == ["micro", "benchmark", *tasks, "ADE20K", "COCO", "Omni3D"]


def test_benchmark_and_micro_are_those_of_lmms_eval(made_up: pd.DataFrame) -> None:
    """lmms-eval, tasks/cv_bench: the mean of all, and 1/2 * ((ade20k + coco) / 2 + omni) of the means by source."""
    by_source: dict[str, list[bool]] = {}
    for source, hit in zip(made_up["source"], made_up["hit"], strict=True):
        by_source.setdefault(source, []).append(hit)
    means = {source: sum(hits) / len(hits) for source, hits in by_source.items()}
    scores = found(made_up)
    assert scores["benchmark"] == pytest.approx(1 / 2 * ((means["ADE20K"] + means["COCO"]) / 2 + means["Omni3D"]))
    assert scores["micro"] == pytest.approx(sum(made_up["hit"]) / len(made_up))
    assert abs(scores["micro"] - scores["benchmark"]) > 0.01
    for source, mean in means.items():
        assert scores[source] == pytest.approx(mean)


def test_benchmark_is_the_mean_of_vlmevalkits_two_totals(made_up: pd.DataFrame) -> None:
    """VLMEvalKit, ImageMCQDataset CVBench: 2D is the mean over its sources' means, 3D the mean over its questions."""
    flat, deep = made_up[made_up["split"] == "2D"], made_up[made_up["split"] == "3D"]
    sources = sorted(set(flat["source"]))
    overall_2d = sum(flat[flat["source"] == source]["hit"].mean() for source in sources) / len(sources)
    overall_3d = deep["hit"].mean()
    assert found(made_up)["benchmark"] == pytest.approx((overall_2d + overall_3d) / 2)


def test_tasks_count_their_questions_alike(made_up: pd.DataFrame) -> None:
    for task, group in made_up.groupby("task"):
        assert found(made_up)[str(task)] == pytest.approx(group["hit"].mean())


def test_chance_and_constants_go_by_the_same_weights(made_up: pd.DataFrame) -> None:
    chance, constant = references(made_up, scopes(made_up))
    by_source = {source: (1 / group["choices"].map(len)).mean() for source, group in made_up.groupby("source")}
    expected = ((by_source["ADE20K"] + by_source["COCO"]) / 2 + by_source["Omni3D"]) / 2
    assert chance.cells["benchmark"] == pytest.approx(100 * expected)
    assert constant.cells["benchmark"] == pytest.approx(100.0)  # every letter is A
    assert constant.details["benchmark"] == "always the letter A"


def test_other_sources_have_no_benchmark_total(made_up: pd.DataFrame) -> None:
    for source in ("Micro2D", "COCO"):
        changed = made_up.assign(source=made_up["source"].replace({"ADE20K": source}))
        assert list(scopes(changed)) == ["overall", "Count", "Relation", "Depth", "Distance"]


def test_the_comparison_shows_all_of_them_with_intervals_over_seeds(
    fabricate: Callable[..., Path], tmp_path: Path
) -> None:
    folder = fabricate(cvbench=True)
    compared = compare(folder, tmp_path / "out")
    table = (tmp_path / "out" / "tables" / "arms.md").read_text()
    for name in ("micro", "benchmark", "Count", "Distance", "ADE20K", "COCO", "Omni3D"):
        assert f"| {name} %" in table
    assert "1/2 ((ADE20K + COCO) / 2 + Omni3D)" in table
    answers = pq.read_table(folder / "answers.parquet").to_pandas()
    mine = answers[(answers["arm"] == "base+sft") & (answers["phase"] == "final") & (answers["rule"] == "lenient")]
    means = 100 * mine.groupby(["seed", "source"])["correct"].mean().unstack()
    totals = ((means["ADE20K"] + means["COCO"]) / 2 + means["Omni3D"]) / 2
    row = next(row for row in arm_table(load(folder)).rows if row.arm == "base+sft")
    interval = row.cells["benchmark"].interval
    assert interval is not None
    assert interval.low == pytest.approx(mean_interval(totals.tolist()).low)
    estimates = pq.read_table(compared.estimates).to_pandas()
    chosen = estimates[(estimates["table"] == "arms") & (estimates["column"] == "benchmark")].set_index("row")
    assert chosen.loc["base+sft | instruct-direct | lenient", "low"] == pytest.approx(interval.low, abs=1e-6)
    assert chosen.loc["chance", "estimate"] > 0
    assert not estimates.duplicated(["table", "row", "column"]).any()
