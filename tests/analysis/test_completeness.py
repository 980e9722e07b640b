"""Nothing is lost silently: every planned run enters or is told of, in every contrast and every table's foot."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from small_study import SIZE, draw, percent, questions, rows_of, runs_of, with_contrasts

from analysis import Tables, analyse, arm_table, contrasts, declare, from_frames, run_scores
from analysis.tables.common import state_counts

VALUES = draw(5, a=(4, 0.75), b=(3, 0.45), base=(0, 0.3))
FAILED = json.dumps({"gradients": {"passed": True}, "answers": {"passed": False, "detail": "all the same"}})
PASSED = json.dumps({"gradients": {"passed": True, "detail": "moved"}})
DECLARED: tuple[dict[str, Any], ...] = (
    {"a": "a", "b": "b", "name": "unpaired"},
    {"a": "a", "b": "b", "pairing": "seed", "name": "paired"},
    {"a": "a", "b": "base", "name": "constant"},
    {"a": "a", "b": "base", "minus": {"a": "b", "b": "base"}, "name": "interaction"},
)


def study(
    states: dict[str, str] | None = None, checks: dict[str, str] | None = None, drop: pd.Series | None = None, **fields
) -> Tables:
    """Runs in a state have no answers unless it is done; ``drop`` tells which rows of answers are gone."""
    runs = runs_of(VALUES)
    states, checks = states or {}, checks or {}
    runs = runs.assign(
        state=[states.get(run, "done") for run in runs["run"]],
        reason=["out of memory" if run in states else "" for run in runs["run"]],
        checks=[checks.get(run, PASSED) for run in runs["run"]],
    )
    answers = rows_of(VALUES)
    answers = answers[~answers["run"].isin(states)]
    if drop is not None:
        answers = answers[~drop.reindex(answers.index)]
    arms = [{"name": arm, "levels": {}, "protocol": "default", "curve_questions": 0} for arm in VALUES]
    frames = from_frames(answers, questions(), runs, {"arms": arms})
    return with_contrasts(frames, *(each | fields for each in DECLARED))


def entered(result) -> set[str]:
    return {run.run for part in result.combined.parts for run in part.values.found}


STATES = ("failed", "blocked", "interrupted", "running", "missing")


def test_the_foot_of_every_table_counts_the_runs_of_every_arm() -> None:
    states = {"a/seed=0": "failed", "a/seed=3": "blocked", "b/seed=1": "interrupted"}
    results = analyse(study(states, {"b/seed=2": FAILED}), draws=50)
    sheets = results.sheets()
    assert {"arms", "contrasts", "evidence", "scopes", "interactions", "formats", "sensitivity", "seeds"} <= set(sheets)
    for table in sheets.values():
        foot = table.footers[-1]
        assert foot == (
            "Runs: 5 of 8 planned are finished (a 4, b 3, base 1 planned)."
            " Not whole: a 2 of 4 finished, 1 failed, 1 blocked, 0 excluded;"
            " b 2 of 3 finished, 0 failed, 0 blocked, 1 interrupted, 1 excluded."
        )
        assert foot in table.markdown()
    table = sheets["completeness"]
    assert [[str(cell) for cell in row] for row in table.rows] == [
        ["a", "4", "2", "1", "1", "0", "0", "0", "0"],
        ["b", "3", "2", "0", "0", "1", "0", "0", "1"],
        ["base", "1", "1", "0", "0", "0", "0", "0", "0"],
    ]
    told = " ".join(table.footers)
    assert "a/seed=0: failed (out of memory)" in told
    assert "b/seed=2: excluded, manipulation check 'answers' (all the same) failed" in told


def test_a_whole_study_says_so() -> None:
    tables = study()
    assert analyse(tables, draws=0).sheets()["arms"].footers[-1] == (
        "Runs: 8 of 8 planned are finished, none failed, blocked or excluded (a 4, b 3, base 1)."
    )
    excluded = study(checks={"b/seed=2": FAILED})
    assert analyse(excluded, draws=0).sheets()["arms"].footers[-1] == (
        "Runs: 8 of 8 planned are finished (a 4, b 3, base 1 planned)."
        " Not whole: b 3 of 3 finished, 0 failed, 0 blocked, 1 excluded."
    )


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_counted(state: str) -> None:
    counts = state_counts(study({"a/seed=1": state}))
    assert counts["a"] | {"done": 3, state: 1} == counts["a"]
    assert sum(counts["a"][each] for each in ("done", *STATES)) == counts["a"]["planned"]


def test_a_run_that_failed_a_check_is_left_out_of_everything_and_said_so() -> None:
    tables = study(checks={"a/seed=1": FAILED})
    told = "excluded: manipulation check 'answers' (all the same) failed"
    for result in contrasts(tables, draws=0):
        assert "a/seed=1" not in entered(result)
        assert result.excluded == {"a/seed=1": told}
        assert result.lost["a/seed=1"] == told
        assert f"a/seed=1 ({told})" in result.sentence
    (row,) = [row for row in arm_table(tables).rows if row.arm == "a"]
    assert (row.n, row.lost) == (3, {"a/seed=1": told})
    assert "a/seed=1" not in set(run_scores(tables)["run"])
    sheets = analyse(tables, draws=0).sheets()
    for name in ("contrasts", "scopes", "sensitivity", "formats", "splits"):
        without = study({"a/seed=1": "failed"})
        other = analyse(without, draws=0).sheets()[name]
        assert sheets[name].frame().equals(other.frame())
    kept = [result for result in contrasts(tables, draws=0) if result.name == "unpaired"]
    a = [value for seed, value in enumerate(percent(VALUES["a"])) if seed != 1]
    expected = stats.ttest_ind(a, percent(VALUES["b"]), equal_var=False)
    assert kept[0].interval.p == pytest.approx(expected.pvalue)


def test_a_contrast_may_keep_what_failed_a_check() -> None:
    results = contrasts(study(checks={"a/seed=1": FAILED}, exclusions=[]), draws=0)
    assert all("a/seed=1" in entered(result) or "seed 1" in str(result.lost) for result in results)
    assert all(result.excluded == {} for result in results)
    assert results[0].ns == (4, 3)


def test_checks_that_passed_or_were_not_made_exclude_nothing() -> None:
    for checks in ({}, {"a/seed=1": ""}, {"a/seed=1": None}, {"a/seed=1": PASSED}):
        assert contrasts(study(checks=checks), draws=0)[0].ns == (4, 3)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_planned_is_entered_plus_lost(data: st.DataObject) -> None:
    runs = runs_of(VALUES)["run"].tolist()
    states = data.draw(st.dictionaries(st.sampled_from(runs), st.sampled_from(STATES)))
    checks = dict.fromkeys(data.draw(st.sets(st.sampled_from(runs), max_size=3)), FAILED)
    exclusions = data.draw(st.sampled_from([[], ["failed_checks"]]))
    seed = data.draw(st.integers(0, 10**6))
    rows = rows_of(VALUES)
    holes = data.draw(st.dictionaries(st.sampled_from(runs), st.integers(1, SIZE), max_size=3))
    rng = np.random.default_rng(seed)
    drop = pd.Series(False, index=rows.index)
    for run, size in holes.items():
        drop[rng.choice(rows.index[rows["run"] == run], size, replace=False)] = True
    tables = study(states, checks, drop, exclusions=exclusions)
    whole = set(runs) - set(states) - set(holes) - (set(checks) if exclusions else set())
    for result in contrasts(tables, draws=0):
        arms = {"a", "b", "base"} if result.minus else {side.arm for side in result.sides}
        planned = {run for run in runs if run.split("/")[0] in arms}
        lost = {run.split(" under ")[0] for run in result.lost}
        assert planned == (entered(result) | lost)
        assert not entered(result) & lost
        assert entered(result) <= whole
        assert all(result.lost.values())
        if result.pairing == "none":
            assert lost == planned - whole
        assert result.planned == (9 if result.minus else len(planned))
        numbers = [run for run, why in result.lost.items() if "questions answered" in why]
        assert {run.split(" under ")[0] for run in numbers} <= set(holes)
    for row in arm_table(tables).rows:
        assert row.planned == row.n + len(row.lost)


def test_a_lost_run_of_a_side_twice_in_a_contrast_is_told_for_each() -> None:
    tables = study({"a/seed=2": "failed"})
    tables.study["contrasts"] = [declare(tables, {"arm": "a", "rule": "default"}, "a", name="self")]
    (result,) = contrasts(tables, draws=0)
    assert result.lost == {"a/seed=2 under default/default": "failed: out of memory"}
