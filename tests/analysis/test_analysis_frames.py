"""Frames and folders with something odd in them: an answer that makes sense, or an error that tells the rows."""

from collections.abc import Callable
from pathlib import Path

import fabricated_study
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from small_study import SIZE, TASKS, draw, percent, questions, rows_of, runs_of, small

from analysis import (
    CollectedError,
    analyse,
    arm_table,
    compare,
    contrast,
    contrasts,
    declare,
    from_frames,
    load,
    run_scores,
)

VALUES = draw(5, a=(3, 0.75), b=(3, 0.45), base=(0, 0.3))


def minimal() -> tuple[pd.DataFrame, pd.DataFrame]:
    return rows_of(VALUES)[["run", "arm", "seed", "question", "correct"]], questions()[["question", "task", "image"]]


def test_minimal_frames_give_the_same_as_full_ones() -> None:
    answers, asked = minimal()
    tables, full = from_frames(answers, asked), small(VALUES)
    assert (tables.arms, tables.study["seeds"], tables.rules) == (["a", "b", "base"], [0, 1, 2], ["default"])
    for a, b in (("a", "b"), ("a", "base")):
        found, expected = (contrast(each, declare(each, a, b), draws=100) for each in (tables, full))
        assert found.interval == expected.interval
        assert found.bootstrap == expected.bootstrap
    assert set(analyse(tables, draws=0).sheets()) >= {"arms", "seeds", "protocols", "completeness"}


def test_frames_of_a_folder_are_the_folder(collected: Path) -> None:
    read = {
        name: pq.read_table(collected / f"{name}.parquet").to_pandas()
        for name in ("runs", "questions", "answers", "completions", "option_scores", "traces", "training", "attempts")
    }
    plain = load(collected)
    study = {key: value for key, value in plain.study.items() if key != "schema_version"}
    tables = from_frames(study=study, **read)
    pd.testing.assert_frame_equal(run_scores(tables), run_scores(plain))
    first, second = (analyse(each, draws=50) for each in (tables, plain))
    assert {name: sheet.markdown() for name, sheet in first.sheets().items()} == {
        name: sheet.markdown() for name, sheet in second.sheets().items()
    }


def test_another_tables_name_is_refused() -> None:
    with pytest.raises(TypeError, match=r"no table 'completion'; there are answers, questions, runs, completions"):
        from_frames(*minimal(), completion=pd.DataFrame())


def test_a_study_of_frames_has_what_a_study_has() -> None:
    with pytest.raises(
        CollectedError, match=r"study: unknown contrast, of; did you mean contrasts\? There are study, title, arms, "
    ):
        from_frames(*minimal(), study={"contrast": [], "of": 1, "claims": [], "suite": "mine"})


@pytest.mark.parametrize("column", ["run", "question", "correct"])
def test_a_frame_without_a_column_that_it_needs_names_it(column: str) -> None:
    answers, asked = minimal()
    with pytest.raises((CollectedError, KeyError), match=column):
        from_frames(answers.drop(columns=column), asked)


@pytest.mark.parametrize("column", ["correct", "question", "rule", "run", "protocol", "suite"])
def test_a_missing_value_names_the_row(column: str) -> None:
    answers = rows_of(VALUES, rule="r", protocol="p").astype({"correct": object, "question": object})
    answers.loc[17, column] = None
    with pytest.raises(CollectedError, match=rf"frame answers: the row .* has no '{column}'") as caught:
        from_frames(answers, questions(), runs_of(VALUES))
    if column == "correct":
        assert "'question': 17" in str(caught.value)
        assert "'run': 'a/seed=0'" in str(caught.value)


def test_nan_in_a_folder_names_the_row(fabricate: Callable[..., Path]) -> None:
    folder = fabricate()
    rows = pq.read_table(folder / "answers.parquet").to_pylist()
    rows[3] |= {"correct": None}
    fabricated_study.write(folder, "answers", rows)
    with pytest.raises(CollectedError, match=r"answers\.parquet: the row .*'question': 1.* has no 'correct'"):
        load(folder)


def test_a_row_twice_names_it() -> None:
    answers, asked = minimal()
    twice = pd.concat([answers, answers.iloc[[30]].assign(correct=~answers["correct"].iloc[30])])
    with pytest.raises(
        CollectedError, match=r"frame answers: the row .*'a/seed=1'.*'question': 7.* stands there twice"
    ):
        from_frames(twice, asked)
    with pytest.raises(CollectedError, match=r"frame questions: the row .*'question': 4.* stands there twice"):
        from_frames(answers, pd.concat([asked, asked.iloc[[4]]]))
    runs = runs_of(VALUES)
    with pytest.raises(CollectedError, match=r"frame runs: the row .*'b/seed=2'.* stands there twice"):
        from_frames(answers, asked, pd.concat([runs, runs[runs["run"] == "b/seed=2"]]))


def test_a_question_that_questions_does_not_have_names_the_row() -> None:
    answers, asked = minimal()
    told = r"frame answers: the row .*'a/seed=0'.*'question': 9.* questions does not have"
    with pytest.raises(CollectedError, match=told):
        from_frames(answers, asked[asked["question"] != 9])
    with pytest.raises(CollectedError, match=r"'suite': 'other'"):
        from_frames(answers.assign(suite="other"), asked)


def test_an_arm_that_the_study_does_not_have_is_refused() -> None:
    arms = [{"name": arm, "levels": {}, "protocol": "default", "curve_questions": 0} for arm in ("a", "b")]
    with pytest.raises(CollectedError, match="unknown arm 'base'"):
        from_frames(*minimal(), study={"arms": arms})
    tables = small(VALUES)
    with pytest.raises(ValueError, match=r"b\.arm: 'c'; one of a, b, base"):
        declare(tables, "a", "c")
    with pytest.raises(ValueError, match="pared: 'seed'; no such field, there are name, a, b"):
        declare(tables, "a", "b", pared="seed")


def test_answers_of_a_run_that_is_not_planned_are_refused() -> None:
    answers, asked = minimal()
    runs = runs_of(VALUES)
    with pytest.raises(CollectedError, match=r"frame answers: run 'a/seed=1' is not among the 6 of the table runs"):
        from_frames(answers, asked, runs[runs["run"] != "a/seed=1"])


def test_a_question_missing_in_one_arm_loses_its_runs_and_says_which() -> None:
    answers, asked = minimal()
    kept = answers[~((answers["arm"] == "b") & answers["question"].isin([4, 11]))]
    tables = from_frames(kept, asked)
    result = contrast(tables, declare(tables, "a", "b"), draws=0)
    told = "21 of 23 questions answered (first without an answer: 4, 11)"
    assert result.lost == {f"b/seed={seed}": told for seed in range(3)}
    assert (result.interval, result.reason) == (None, "no run of b is there")
    assert told in result.sentence
    assert contrast(tables, declare(tables, "a", "base"), draws=0).ns == (3, 1)


def test_an_arm_without_runs_has_no_result_and_a_reason() -> None:
    answers, asked = minimal()
    study = {
        "arms": [{"name": arm, "levels": {}, "protocol": "default", "curve_questions": 0} for arm in (*VALUES, "ghost")]
    }
    tables = from_frames(answers, asked, study=study)
    tables.study["contrasts"] = [declare(tables, "a", "ghost", name="x", margin=2.0)]
    (result,) = contrasts(tables)
    assert (result.interval, result.planned, result.ns[0]) == (None, 3, 3)
    assert result.sentence == "a against ghost: no result, because no run of ghost is there."
    sheets = analyse(tables, draws=0).sheets()
    assert "ghost 0" in sheets["arms"].footers[-1]
    assert any(row[0] == "ghost" for row in sheets["arms"].rows)


def test_empty_tables_make_a_study_without_results() -> None:
    answers, asked = minimal()
    for tables in (
        from_frames(answers.iloc[:0], asked, runs_of(VALUES)),
        from_frames(answers.iloc[:0], asked.iloc[:0], runs_of(VALUES)),
    ):
        tables.study["contrasts"] = [declare(tables, "a", "b", name="x")]
        results = analyse(tables)
        assert results.contrasts[0].interval is None
        assert set(results.contrasts[0].lost) == {f"{arm}/seed={seed}" for arm in "ab" for seed in range(3)}
        for sheet in results.sheets().values():
            assert sheet.markdown()
            sheet.latex(), sheet.html(), sheet.frame()


def test_no_runs_at_all() -> None:
    answers, asked = minimal()
    tables = from_frames(answers.iloc[:0], asked)
    assert tables.arms == []
    results = analyse(tables)
    assert (results.contrasts, results.arms.rows) == ((), ())
    assert all(sheet.markdown() for sheet in results.sheets().values())


@pytest.mark.parametrize(("right", "score"), [(1, 100.0), (0, 0.0)])
def test_all_right_or_all_wrong_is_no_spread_and_no_verdict(right: int, score: float) -> None:
    values = {arm: {seed: [right] * SIZE for seed in range(3)} for arm in "ab"} | {"base": {None: [right] * SIZE}}
    tables = small(values)
    tables.study["contrasts"] = [
        declare(tables, "a", other, name=f"{other}-{pairing}", pairing=pairing, margin=2.0)
        for other in ("b", "base")
        for pairing in ("none", "seed")
    ]
    for result in contrasts(tables, draws=200):
        assert (result.interval.mean, result.verdict.name) == (0.0, "inconclusive")
        assert "no spread" in result.verdict.reason
        assert (result.bootstrap.low, result.bootstrap.high) == pytest.approx((0.0, 0.0), abs=1e-9)
        assert "nan" not in result.sentence
    assert all(row.cells["overall"].interval.mean == score for row in arm_table(tables).rows)
    for sheet in analyse(tables, draws=20).sheets().values():
        assert "nan" not in sheet.markdown()


def test_answers_may_be_numbers_or_booleans() -> None:
    answers, asked = minimal()
    as_numbers = from_frames(answers.astype({"correct": float}), asked)
    result = contrast(as_numbers, declare(as_numbers, "a", "base"), draws=0)
    assert result.interval.mean == pytest.approx(np.mean(percent(VALUES["a"])) - percent(VALUES["base"])[0])


def test_a_stored_order_of_questions_changes_nothing() -> None:
    answers, asked = minimal()
    tables, turned = from_frames(answers, asked), from_frames(answers.iloc[::-1], asked.iloc[::-1])
    pd.testing.assert_frame_equal(turned.answers, tables.answers)
    pd.testing.assert_frame_equal(turned.questions, tables.questions)
    np.testing.assert_array_equal(turned.layout.images, tables.layout.images)


def test_objects_are_read_as_what_they_hold() -> None:
    """Of other sources right and wrong often come as objects, and so do numbers of questions."""
    answers, asked = minimal()
    expected = from_frames(answers, asked)
    for kind in ({"correct": object}, {"correct": "boolean"}, {"correct": float}, {"question": object}):
        tables = from_frames(answers.astype(kind), asked.astype({"question": kind.get("question", int)}))
        found = [contrast(each, declare(each, "a", "b"), draws=50) for each in (tables, expected)]
        assert found[0].interval == found[1].interval
        assert found[0].bootstrap == found[1].bootstrap


@pytest.mark.parametrize(("task", "source"), [("overall", "x"), ("micro", "x"), ("benchmark", None), ("COCO", None)])
def test_a_task_called_as_a_total_is_refused(task: str, source: str | None) -> None:
    """It would have stood in for the score over all questions, and decided the contrasts."""
    answers, asked = minimal()
    sources = [source or ("ADE20K", "COCO", "Omni3D")[i % 3] for i in range(SIZE)]
    asked = asked.assign(task=[task if i < 4 else "Count" for i in range(SIZE)], source=sources)
    with pytest.raises(CollectedError, match=rf"frame questions: the task '{task}' has the name of a score"):
        from_frames(answers, asked)


def curve() -> pd.DataFrame:
    answers, _ = minimal()
    later = [answers[answers["question"] < 9].assign(phase="curve", step=step) for step in (0, 5, 10)]
    later[2]["correct"] = later[2]["question"] % 2 == 0
    return pd.concat([answers.assign(phase="final", step=15), *later])


def test_checkpoints_of_a_curve_are_compared_on_its_questions() -> None:
    answers, asked = curve(), minimal()[1]
    tables = from_frames(answers, asked)
    result = contrast(tables, declare(tables, "a", "b", checkpoint="mean_last", last_k=2), draws=0)
    rows = answers[answers["step"].isin([5, 10])]
    means = 100 * rows.groupby(["arm", "seed"])["correct"].mean()
    assert len(result.combined.position) == 9
    assert result.interval.mean == pytest.approx(means["a"].mean() - means["b"].mean())


def test_a_checkpoint_that_lacks_a_question_is_lost_not_cut() -> None:
    answers, asked = curve(), minimal()[1]
    gap = (answers["run"] == "a/seed=1") & (answers["step"] == 5) & (answers["question"] > 3)
    tables = from_frames(answers[~gap], asked)
    result = contrast(tables, declare(tables, {"arm": "a", "step": 5}, {"arm": "b", "step": 5}), draws=0)
    assert result.lost == {"a/seed=1": "4 of 9 questions answered"}
    assert (result.ns, len(result.combined.position)) == ((2, 3), 9)


def test_arms_are_judged_by_the_protocol_that_all_were_asked_under() -> None:
    answers, asked = minimal()
    other = answers[answers["arm"] == "a"].assign(protocol="another", correct=True)
    tables = from_frames(pd.concat([answers.assign(protocol="plain"), other]), asked)
    assert [tables.own_protocol(arm) for arm in tables.arms] == ["plain"] * 3
    apart = from_frames(pd.concat([answers[answers["arm"] != "a"].assign(protocol="plain"), other]), asked)
    assert {arm: apart.own_protocol(arm) for arm in apart.arms} == {"a": "another", "b": "plain", "base": "plain"}


def test_frames_are_compared_like_a_folder(tmp_path: Path) -> None:
    tables = from_frames(*minimal())
    tables.study["contrasts"] = [declare(tables, "a", "b", margin=5.0)]
    compared = compare(tables, tmp_path, draws=20)
    assert all(path.exists() for path in compared.paths)
    page = compared.dictionary.read_text(encoding="utf-8")
    assert "## estimates.parquet" in page
    assert "## runs.parquet" not in page  # there is no such file
    with pytest.raises(ValueError, match="say with out where the comparison goes"):
        compare(tables)


@pytest.mark.parametrize("rule", ["last", "mean_last", "best_half"])
def test_a_metric_that_the_frames_lack_is_no_result_under_any_checkpoint_rule(rule: str) -> None:
    tables = from_frames(curve(), minimal()[1])
    result = contrast(tables, declare(tables, "a", "b", metric="tokens", checkpoint=rule), draws=0)
    assert (result.interval, len(result.lost), result.planned) == (None, 6, 6)


def test_references_are_of_what_is_known_of_the_questions(tmp_path: Path) -> None:
    """Options without right answers give chance alone; of some right answers no constant is scored on all."""
    answers, asked = minimal()
    asked["choices"] = [["1", "2", "3", "4"] if i % 2 else ["1", "2"] for i in range(SIZE)]
    chance, constant = arm_table(from_frames(answers, asked)).references
    assert chance.cells["overall"] == pytest.approx(100 * (12 / 2 + 11 / 4) / SIZE)
    assert constant.cells == {}
    footers = compare(from_frames(answers, asked), tmp_path, draws=0).sheets["arms"].footers
    assert any("Best constant answer is unknown, as the right answers are." in each for each in footers)
    asked["answer"] = ["1"] * 20 + ["2"] * 3
    assert arm_table(from_frames(answers, asked)).references[1].cells["overall"] == pytest.approx(100 * 20 / SIZE)
    asked.loc[22, "answer"] = None
    known = arm_table(from_frames(answers, asked)).references[1].cells
    assert set(known) == {"Count"} - {TASKS[22]} | {"Depth"} - {TASKS[22]}
    asked.at[3, "choices"] = []
    with pytest.raises(CollectedError, match=r"'choices' is empty in the row .*'question': 3"):
        from_frames(answers, asked)
