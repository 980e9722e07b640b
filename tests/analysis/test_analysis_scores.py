from collections.abc import Callable
from pathlib import Path

import fabricated_study
import pandas as pd
import pyarrow.parquet as pq
import pytest

from analysis import arm_table, load, run_scores
from analysis.scopes import scopes
from analysis.scores import references
from analysis.statistics import mean_interval


def row(table, arm: str, protocol: str | None = None):
    return next(each for each in table.rows if each.arm == arm and (protocol in (None, each.protocol)))


def test_accuracy_is_percent_correct_overall_and_by_task(collected: Path) -> None:
    answers = pq.read_table(collected / "answers.parquet").to_pylist()
    chosen = [
        each for each in answers if (each["run"], each["phase"], each["rule"]) == ("base+sft/seed=1", "final", "strict")
    ]
    scores = run_scores(load(collected))
    scores = scores[(scores["run"] == "base+sft/seed=1") & (scores["rule"] == "strict")].set_index("scope")
    assert len(chosen) == 120
    assert scores.loc["overall", "accuracy"] == pytest.approx(100 * sum(e["correct"] for e in chosen) / 120)
    depth = [each["correct"] for each in chosen if each["task"] == "Depth"]
    assert scores.loc["Depth", "accuracy"] == pytest.approx(100 * sum(depth) / len(depth))
    assert scores.loc["Depth", "questions"] == 30


def test_arm_table_has_the_interval_over_seeds(collected: Path) -> None:
    tables = load(collected)
    scores = run_scores(tables)
    mine = scores[(scores["arm"] == "base+sft") & (scores["rule"] == "lenient") & (scores["scope"] == "overall")]
    cell = row(arm_table(tables), "base+sft").cells["overall"]
    assert list(cell.values) == ["base+sft/seed=0", "base+sft/seed=1", "base+sft/seed=2"]
    assert cell.interval == mean_interval(mine["accuracy"].tolist())


def test_a_lost_run_is_counted_with_its_reason(collected: Path) -> None:
    lost = row(arm_table(load(collected)), "base+grpo")
    assert (lost.planned, lost.done, lost.n) == (3, 2, 2)
    assert lost.lost == {"base+grpo/seed=2": "failed: out of memory"}


def test_a_run_that_lacks_a_question_is_lost_and_not_averaged_over_fewer(fabricate: Callable[..., Path]) -> None:
    folder = fabricate()
    rows = pq.read_table(folder / "answers.parquet").to_pylist()
    lacking = ("base+sft/seed=0", "final", 17)
    kept = [each for each in rows if (each["run"], each["phase"], each["question"]) != lacking]
    fabricated_study.write(folder, "answers", kept)
    found = row(arm_table(load(folder)), "base+sft")
    assert found.lost == {"base+sft/seed=0": "119 of 120 questions answered (first without an answer: 17)"}
    assert found.n == 2


def test_protocols_of_an_arm_are_listed_own_first(collected: Path) -> None:
    rows = [(each.protocol, each.own) for each in arm_table(load(collected)).rows if each.arm == "base"]
    assert rows == [("base-think", True), ("instruct-direct", False), ("instruct-think", False)]


def test_a_protocol_of_options_is_scored_by_its_own_rules(collected: Path) -> None:
    tables = load(collected)
    assert row(arm_table(tables), "instruct", "instruct-think").rule == "lenient"
    found = row(arm_table(tables), "instruct", "options")
    assert (found.rule, found.n, found.tokens) == ("likelihood_per_token", 1, None)
    assert found.cells["overall"].interval.mean == pytest.approx(70, abs=12)
    assert {each.protocol for each in arm_table(tables, "likelihood").rows} == {"options"}
    assert "options" not in {each.protocol for each in arm_table(tables, "strict").rows}
    assert set(run_scores(tables).query("protocol == 'options'")["rule"]) == {"likelihood", "likelihood_per_token"}


def test_parsed_and_tokens(collected: Path) -> None:
    table = arm_table(load(collected))
    completions = pq.read_table(collected / "completions.parquet").to_pandas()
    final = completions[(completions["phase"] == "final") & (completions["arm"] == "base+sft")]
    assert row(table, "base+sft").tokens == pytest.approx(final.groupby("run")["tokens"].mean().mean())
    assert row(table, "base+sft").parsed == 100.0
    assert row(table, "base").parsed < 20.0


def test_single_runs_have_no_interval(collected: Path) -> None:
    base = row(arm_table(load(collected)), "base")
    assert base.single
    assert base.cells["overall"].interval.half_width is None


def test_an_unknown_rule_is_refused(collected: Path) -> None:
    with pytest.raises(
        ValueError, match="no scoring rule 'harsh' in this study; there are lenient, strict, likelihood_per_token"
    ):
        arm_table(load(collected), "harsh")


def test_chance_and_best_constant_answer() -> None:
    questions = pd.DataFrame(
        [
            ("Count", ["1", "2", "3", "4"], "2", "(B)"),
            ("Count", ["2", "1", "3", "4"], "2", "(A)"),
            ("Count", ["1", "3", "2", "4"], "4", "(D)"),
            ("Depth", ["red", "blue"], "blue", "(B)"),
            ("Depth", ["green", "red"], "red", "(B)"),
        ],
        columns=["task", "choices", "answer", "answer_letter"],
    ).assign(question=range(5), source="micro")
    chance, constant = references(questions, scopes(questions))
    assert chance.cells == {"overall": pytest.approx(35.0), "Count": 25.0, "Depth": 50.0}
    # Overall the letter B is right three times of five, the option "2" twice; on Count the option wins.
    assert constant.cells == {"overall": 60.0, "Count": pytest.approx(200 / 3), "Depth": 100.0}
    assert constant.details["overall"] == "always the letter B"
    assert constant.details["Count"] == "always the option '2'"
    assert constant.details["Depth"] == "always the letter B"


def test_a_study_without_answers_still_has_a_table(fabricate: Callable[..., Path]) -> None:
    folder = fabricate()
    for name in ("answers", "completions", "traces", "training", "questions"):
        fabricated_study.write(folder, name, [])
    table = arm_table(load(folder))
    assert [each.n for each in table.rows] == [0, 0, 0, 0, 0]
    assert table.scopes == ("overall",)
