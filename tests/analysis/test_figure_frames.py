"""The frames behind the figures and the captions made of them, against numbers worked out by hand."""

import re

import figure_study
import numpy as np
import pandas as pd
import pytest
from figure_study import T

from analysis import arm_table, from_frames
from analysis.figure_columns import described
from analysis.figures import (
    dumbbells,
    dynamics,
    forest,
    formats,
    length_accuracy,
    power,
    rewards,
    rollouts,
    scopes,
    seeds,
)
from analysis.figures.series import POINTS
from analysis.figures.style import with_note, wrapped
from analysis.figures.wording import course
from analysis.files import rounded
from analysis.statistics import Design, detectable

TABLES = figure_study.tables()
TABLE = arm_table(TABLES)
NONE = float("nan")


def row(frame: pd.DataFrame, **where: object) -> pd.Series:
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_dynamics_has_every_seed_their_mean_with_its_t_interval_and_chance() -> None:
    frame = dynamics.frame(TABLES, TABLE)
    assert set(frame["series"]) == {"run", "mean", "reference"}
    assert set(frame.loc[frame["series"] == "run", "seed"]) == {0, 1}
    assert len(frame) == 2 * 3 * 2 + 1
    first = row(frame, measure="accuracy", series="mean", step=0)
    # seeds at 0 and 50 %
    assert (first["value"], first["n"], first["questions"]) == (25.0, 2, 2)
    assert (first["low"], first["high"]) == (pytest.approx(25 - T * 25), pytest.approx(25 + T * 25))
    last = row(frame, measure="tokens", series="mean", step=10)
    assert (last["value"], last["low"], last["high"]) == (5.0, 5.0, 5.0)
    assert row(frame, measure="tokens", series="run", seed=1, step=0)["value"] == 25.0
    assert frame.loc[frame["series"] == "run", ["low", "high"]].isna().all(axis=None)
    # one question of four options and one of two
    assert row(frame, arm="chance")["value"] == pytest.approx(37.5)


def test_every_figure_names_its_runs_in_the_same_columns() -> None:
    modules = (dynamics, rollouts, rewards, length_accuracy, seeds, dumbbells)
    for module in modules:
        frame = module.frame(TABLES, TABLE)
        assert list(frame)[:3] == ["arm", "seed", "series"], module.__name__
        assert str(frame["seed"].dtype) == "Int64"
        assert set(frame["series"]) <= {"run", "mean", "start", "reference"}
        trained = frame[frame["arm"] == "base+grpo"]
        assert set(trained.loc[trained["series"] == "run", "seed"]) == {0, 1}
        # only a run with randomness has a seed
        others = frame[(frame["series"] != "run") | (frame["arm"] == "base")]
        assert others["seed"].isna().all()
        assert set(trained.loc[trained["series"] == "mean", "n"]) == {2}
        told = {column: described(module.__name__.split(".")[-1], str(column)) for column in frame}
        assert all(told.values()), told
        for word in set(frame["series"]):
            assert re.search(rf"\b{word}\b", told["series"]), word


def test_dynamics_says_from_where_to_where() -> None:
    caption = dynamics.caption(dynamics.frame(TABLES, TABLE), figure_study.ARMS)
    assert "accuracy goes from 25.0 to 75.0 % in base+grpo" in caption
    assert "mean completion length goes from 20.0 to 5.0 tokens in base+grpo" in caption
    assert "2 seeds per arm, greedy completions on 2 questions" in caption
    assert "chance (37.5 %)" in caption
    assert "95 % t intervals of the mean over seeds" in caption


def test_a_run_that_failed_a_manipulation_check_is_left_out_and_told() -> None:
    tables = figure_study.tables(failed="base+grpo/seed=1")
    table = arm_table(tables)
    frame = dynamics.frame(tables, table)
    last = row(frame, measure="accuracy", series="mean", step=10)
    assert (last["value"], last["n"], last["excluded"]) == (50.0, 1, 1)
    total = row(rewards.frame(tables, table), measure="total", series="mean", step=2)
    assert (total["value"], total["n"], total["excluded"]) == (1.5, 1, 1)
    told = " and 1 run that failed a manipulation check is left out."
    for module in (dynamics, rollouts, rewards, length_accuracy):
        assert module.caption(module.frame(tables, table), figure_study.ARMS).endswith(told)
        assert "manipulation" not in module.caption(module.frame(TABLES, TABLE), figure_study.ARMS)


def test_a_checkpoint_that_lacks_a_question_is_left_out() -> None:
    right = figure_study.RIGHT | {("base+grpo", 1, "curve", 10): [1]}
    frame = dynamics.frame(figure_study.tables(right=right), TABLE)
    last = row(frame, measure="accuracy", series="mean", step=10)
    assert (last["value"], last["n"]) == (50.0, 1)
    assert row(frame, measure="tokens", series="mean", step=10)["n"] == 1


def test_training_is_averaged_over_windows_that_seeds_share() -> None:
    frame = rewards.frame(TABLES, TABLE)
    assert set(frame["measure"]) == {"total", "format"}
    assert set(frame["window"]) == {60 // POINTS}
    first = row(frame, measure="total", series="mean", step=2)
    # steps 1 and 2: 1.5 and 3.5
    assert (first["value"], first["low"]) == (2.5, pytest.approx(2.5 - T * 1.0))
    # seed 1 stopped at step 59, and still stands in the window that ends at 60
    last = row(frame, measure="total", series="mean", step=60)
    assert (last["value"], last["n"]) == (pytest.approx((59.5 + 61.0) / 2), 2)
    assert row(frame, measure="format", series="run", seed=0, step=60)["value"] == pytest.approx(59.5 / 2)
    caption = rewards.caption(frame, figure_study.ARMS)
    assert "total from 2.50 to 60.25 in base+grpo and format from 1.25 to 30.12 in base+grpo" in caption
    assert "each point the mean of 2 optimiser steps" in caption


def test_rollouts_have_length_and_reward() -> None:
    frame = rollouts.frame(TABLES, TABLE)
    assert set(frame["measure"]) == {"length", "reward"}
    assert row(frame, measure="length", series="mean", step=2)["value"] == 98.5
    assert "from 98.5 to 40.8 tokens in base+grpo" in rollouts.caption(frame, figure_study.ARMS)
    without = figure_study.tables(training=figure_study.training().drop(columns="completion_length"))
    assert rollouts.frame(without, TABLE).empty
    assert not rewards.frame(without, TABLE).empty


def test_a_dip_of_the_rollouts_is_told_with_its_step() -> None:
    training = figure_study.training()
    training["completion_length"] = (training["step"] - 30.5).abs() + 10
    caption = rollouts.caption(rollouts.frame(figure_study.tables(training=training), TABLE), figure_study.ARMS)
    assert "(shortest at step 30: 11.0)" in caption


def test_length_against_accuracy_joins_both_by_checkpoint() -> None:
    frame = length_accuracy.frame(TABLES, TABLE)
    first = row(frame, series="mean", step=0)
    assert (first["tokens"], first["accuracy"], first["n"]) == (20.0, 25.0, 2)
    caption = length_accuracy.caption(frame, figure_study.ARMS)
    # shorter and better: never the same direction
    assert "base+grpo (20.0 to 5.0 tokens, 25.0 to 75.0 %) in 0 of 1 steps" in caption
    assert length_accuracy.frame(figure_study.tables(completions=None), TABLE).empty


def test_seeds_has_every_run_its_mean_and_the_references() -> None:
    frame = seeds.frame(TABLES, TABLE)
    mean = row(frame, arm="base+grpo", scope="overall", series="mean")
    assert (mean["accuracy"], mean["n"], mean["planned"]) == (87.5, 2, 2)
    assert (mean["low"], mean["high"]) == (pytest.approx(87.5 - T * 12.5), pytest.approx(87.5 + T * 12.5))
    assert row(frame, series="run", seed=0, scope="Depth")["accuracy"] == 50.0
    single = row(frame, arm="base", scope="overall", series="mean")
    assert (single["accuracy"], single["n"], np.isnan(single["low"])) == (25.0, 1, True)
    assert row(frame, arm="chance", scope="Count")["accuracy"] == pytest.approx(25.0)
    assert frame.groupby("scope")["kind"].first().to_dict() == {"overall": "total", "Count": "task", "Depth": "task"}
    caption = seeds.caption(frame, figure_study.ARMS)
    assert "base+grpo scores 87.5 % (95 % interval −71.3 to 246.3, 2 seeds) and base 25.0 % (1 run)" in caption
    assert "seeds spread most in base+grpo (75.0 to 100.0 %)" in caption
    assert "on 4 questions" in caption


def test_dumbbells_go_from_the_untrained_start_to_the_mean_of_the_trained() -> None:
    frame = dumbbells.frame(TABLES, TABLE)
    assert row(frame, scope="Count", series="start")["accuracy"] == 50.0
    assert row(frame, scope="Depth", series="start")["accuracy"] == 0.0
    assert row(frame, scope="Depth", series="mean")["accuracy"] == 75.0
    assert row(frame, scope="Count", series="run", seed=1)["accuracy"] == 100.0
    caption = dumbbells.caption(frame, figure_study.ARMS)
    assert "largest gain is that of base+grpo on Depth (0.0 to 75.0 %, +75.0 points)" in caption
    assert "smallest gain that of base+grpo on Count (50.0 to 100.0 %, +50.0 points)" in caption


def test_the_start_of_an_arm_has_its_start_and_most_of_its_levels() -> None:
    def arm(name: str, **levels: str) -> dict[str, object]:
        return {"name": name, "levels": levels}

    TABLES.study["arms"], kept = (
        [
            arm("i", start="instruct", training="none", prompt="think"),
            arm("b", start="base", training="none", prompt="think"),
            arm("b-plain", start="base", training="none", prompt="plain"),
            arm("b+grpo", start="base", training="grpo", prompt="think", reward="random"),
            arm("b+grpo-plain", start="base", training="grpo", prompt="plain", reward="random"),
            arm("cold+grpo", start="cold", training="grpo", prompt="think"),
            arm("odd"),
        ],
        TABLES.study["arms"],
    )
    try:
        assert dumbbells.starts(TABLES) == {"b+grpo": "b", "b+grpo-plain": "b-plain"}
    finally:
        TABLES.study["arms"] = kept


def test_nothing_is_made_of_nothing() -> None:
    answers = pd.DataFrame({"run": [], "arm": [], "question": [], "correct": []})
    runs = pd.DataFrame({"run": ["a"], "arm": ["a"], "seed": [0], "state": ["failed"], "reason": [""]})
    arms = [{"name": "a", "levels": {}, "protocol": "p", "curve_questions": 0}]
    study = {"arms": arms, "protocols": {"p": {"method": "generate"}}, "rules": ["lenient"]}
    empty = from_frames(answers, figure_study.QUESTIONS, runs, study)
    table = arm_table(empty)
    for module in (dynamics, rollouts, rewards, length_accuracy, seeds, dumbbells):
        assert module.frame(empty, table).empty


def test_forest_counts_sides_of_zero() -> None:
    head = ("one", "a − b", "accuracy", "percentage point")
    rows = [
        (*head, 4.0, 1.0, 7.0, 1.5, 6.5, 2.0, "main", "confirmatory", "higher", "the method"),
        (*head, -9.0, -10.0, -8.0, -9.9, -8.1, NONE, None, "exploratory", "lower", "the method"),
        (*head, 1.0, -1.0, 3.0, -0.5, 2.5, NONE, None, "exploratory", "", "the method"),
        (*head, NONE, NONE, NONE, NONE, NONE, NONE, None, "exploratory", "", ""),
    ]
    frame = pd.DataFrame(rows, columns=list(forest.COLUMNS)).assign(label=["a − b", "c − d", "e − f", "g − h"])
    caption = forest.caption(frame)
    assert caption.startswith("4 declared contrasts (1 confirmatory, 3 exploratory)")
    assert "lies above zero in 1, below in 1 and holds zero in 1, 1 has no interval" in caption
    assert "clearest is c − d with −9.0 percentage points (−10.0 to −8.0)" in caption
    assert "thin bars are 99 % and thick ones 98 % intervals" in forest.caption(frame.assign(level=0.99))
    assert "the 1 − α interval lies above" in forest.caption(frame.assign(level=[0.99, 0.95, 0.95, 0.95]))
    assert "95 % and thick ones 90 % intervals (population: the method)" in caption


def test_scopes_names_the_lowest_of_the_worst() -> None:
    rows = [
        ("one", "Count", 5.0, 3.0, 7.0, False), ("one", "Depth", -2.0, -4.0, 0.0, True),
        ("one", "COCO", 1.0, 0.0, 2.0, True),
        ("two", "Count", 1.0, NONE, NONE, True), ("two", "Depth", 9.0, 8.0, 10.0, False),
    ]  # fmt: skip
    caption = scopes.caption(pd.DataFrame(rows, columns=list(scopes.COLUMNS)))
    assert "under zero in 1 of 2" in caption
    assert "lowest is Depth for one (−2.0 percentage points; −4.0 to 0.0)" in caption
    assert caption.endswith("and each panel has a scale of its own.")


def test_formats_tells_the_parts_of_the_largest() -> None:
    rows = [
        ("one", "a − b", "now parsed", 12.0, 11.0, 13.0), ("one", "a − b", "now right", -2.0, -3.0, -1.0),
        ("two", "c − d", "now parsed", 1.0, 0.0, 2.0), ("two", "c − d", "now right", 4.0, 3.0, 5.0),
    ]  # fmt: skip
    caption = formats.caption(pd.DataFrame(rows, columns=list(formats.COLUMNS)))
    assert "a − b, the largest, is +10.0 percentage points: +12.0 now parsed and −2.0 now right" in caption
    assert "“now parsed” is the largest part in 1 of 2 contrasts" in caption


def test_power_tells_what_each_number_of_seeds_finds() -> None:
    # At a seed SD of 1, alpha 0.05 and power 0.8: 3.1, 2.0 and 1.3 points with 3, 5 and 10 seeds, 2.4 with 5 pairs.
    frame = power.frame([5], 1.0, paired=False)
    assert sorted(set(frame["seeds"])) == [2, 3, 5, 10]
    assert set(frame.loc[frame["own"], "seeds"]) == {5}
    assert frame["power"].between(0, 1).all()
    assert frame.loc[frame["difference"] == 0, "power"].to_numpy() == pytest.approx(0.05, abs=0.02)
    caption = power.caption(frame)
    assert "3.1 with 3, 2.0 with 5 (this study) and 1.3 with 10" in caption
    assert "SD 1 over seeds) more than 4.0 with 2, 3.1 with 3" in caption
    both = power.caption(pd.concat([frame, power.frame([5], 1.0, paired=True)]))
    assert "by t over seed pairs (SD 1 over seeds)" in both
    assert both.count("2.4 with 5 (this study)") == 1


@pytest.mark.parametrize("paired", [True, False])
def test_power_tells_differences_that_are_right_to_more_than_the_digit_shown(paired: bool) -> None:
    sd, alpha = 2.28583, 0.05 / 3
    frame = rounded(power.frame([8, 20], sd, paired=paired, alpha=alpha).assign(test="t, α 0.0167"))
    spoken = power.caption(frame)
    assert "by t (α 0.0167, SD 2.29 over seeds)" in spoken
    for count in (3, 5, 8, 10, 20):
        exact = detectable(Design((1.0, -1.0), (count, count), paired, 0.0), sd, alpha, 0.8)
        assert exact is not None
        line = frame[frame["seeds"] == count]
        assert power._crossing(line, 0.8) == pytest.approx(exact, abs=1e-3)
        assert f"{exact:.1f} with {count}" in spoken
    # chords would be told wrongly
    assert any(
        abs(np.interp(0.8, line["power"], line["difference"]) - (power._crossing(line, 0.8) or 0.0)) > 5e-3
        for _, line in frame.groupby("seeds")
    )


def test_power_says_where_panels_have_scales_of_their_own() -> None:
    near = power.frame([3], 1.0, paired=False).assign(test="one, α 0.05")
    far = near.assign(test="two, α 0.01", difference=3.0 * near["difference"])
    assert "each panel has a horizontal scale of its own" in power.caption(pd.concat([near, far]))
    both = pd.concat([near, far.assign(difference=1.5 * near["difference"])])
    assert "scale" not in power.caption(both)
    # shared by the panels, and wide enough for both
    for axes in power.draw(both).axes:
        assert axes.get_xlim() == pytest.approx((0.0, 1.02 * 1.5 * near["difference"].max()))
    assert len({axes.get_xlim() for axes in power.draw(pd.concat([near, far])).axes}) == 2


def test_formats_says_where_ability_cannot_be_told() -> None:
    rows = [
        ("one", "a − b", "now parsed", 90.0, 89.0, 91.0, False), ("one", "a − b", "now right", -2.0, -3.0, -1.0, False),
        ("two", "c − d", "now parsed", 1.0, 0.0, 2.0, True), ("two", "c − d", "now right", 4.0, 3.0, 5.0, True),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=[*formats.COLUMNS, "told"])
    caption = formats.caption(frame)
    assert "a − b, the largest, is +88.0 percentage points" in caption
    assert "ability cannot be told from format there" in caption
    assert "“now parsed” is the largest part in 0 of the 1 contrast that can be told" in caption
    other = formats.caption(frame.assign(told=~frame["told"]))
    assert "there" not in other
    assert "cannot be told from format in 1 of 2 contrasts; “now parsed” is the largest part in 1 of the 1" in other
    none = formats.caption(frame.assign(told=False))
    assert "cannot be told from format in 2 of 2 contrasts; bars are parts and diamonds totals" in none
    assert formats.caption(frame.assign(told=True)) == formats.caption(frame.drop(columns="told"))


def test_a_course_that_does_not_move_is_no_change() -> None:
    assert course(pd.Series([10.51, 12.0]), "tokens") == ("goes", "from 10.5 to 12.0 tokens")
    assert course(pd.Series([10.51, 10.49, 10.5]), "tokens") == ("stays", "at 10.5 tokens")
    assert course(pd.Series([10.51, 14.0, 10.49]), "tokens") == ("begins and ends", "at 10.5 tokens")
    frame = rollouts.frame(TABLES, TABLE)
    still = rollouts.caption(frame.assign(value=10.5), figure_study.ARMS)
    assert "Mean rollout length stays at 10.5 tokens in base+grpo" in still
    assert "from 10.5" not in still
    frame = length_accuracy.frame(TABLES, TABLE)
    still = length_accuracy.caption(frame.assign(tokens=10.5), figure_study.ARMS)
    assert "base+grpo (stays at 10.5 tokens, 25.0 to 75.0 %) in 0 of 1 steps" in still


def test_texts_are_broken_at_blanks_and_long_words_after_signs() -> None:
    assert wrapped("base+grpo − base+sft", 12) == "base+grpo −\nbase+sft"
    assert wrapped("base+grpo+vision-frozen", 12) == "base+grpo+\nvision-\nfrozen"
    assert wrapped("abcdefghij", 4) == "abcd\nefgh\nij"
    assert with_note("base", "(n = 3)", 12) == "base (n = 3)"
    assert with_note("base+grpo", "(n = 3)", 12) == "base+grpo\n(n = 3)"
