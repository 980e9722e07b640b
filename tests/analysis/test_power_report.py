"""What a study's contrasts can see: the declared tests at their adjusted levels, from declared spread."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.planned import Spread, asked_questions, family_sizes, planned_test
from analysis.power_report import Costs, detectable_effect, power_frame, power_report, summary
from analysis.statistics import paired_interval, welch_interval
from analysis.tables.power import power_table

POWER = {
    "seed_sd": 1.0,
    "seed_correlation": 0.0,
    "discordance": 0.2,
    "design_effect": 1.0,
    "power": 0.8,
    "difference": 2.0,
}


def side(arm: str, step: int | None = None) -> dict[str, Any]:
    return {"arm": arm, "protocol": "p", "rule": "lenient", "step": step}


def declare(name: str = "c", a: str = "new", b: str = "old", **fields: Any) -> dict[str, Any]:
    defaults = {
        **{"name": name, "question": "?", "a": side(a), "b": side(b), "minus": None, "metric": "accuracy"},
        **{"pairing": "none", "margin": None, "family": None, "alpha": 0.05, "checkpoint": "last", "last_k": 3},
        **{"exclusions": ["failed_checks"], "seed_sd": 1.0},
    }
    return defaults | fields


def study(*contrasts: dict[str, Any], **power: Any) -> dict[str, Any]:
    arms = [{"name": name, "curve_questions": 400 if name != "base" else 0} for name in ("new", "old", "base", "other")]
    return {"contrasts": list(contrasts), "power": POWER | power, "arms": arms}


def runs(seeds: int) -> dict[str, int | None]:
    return {"new": seeds, "old": seeds, "other": seeds, "base": None}


def only(contrast: dict[str, Any], seeds: int, questions: int = 2638, **more: Any):
    (row,) = power_report(study(contrast), runs(seeds), questions, **more)
    return row


@pytest.mark.parametrize(("seeds", "seen"), [(2, 16.3), (3, 4.6), (5, 2.4), (10, 1.4)])
def test_seed_pairs_see_what_is_known_that_they_see(seeds, seen):
    row = only(declare(pairing="seed"), seeds)
    assert row.test.kind == "paired"
    assert row.textbook is None
    assert row.detectable == pytest.approx(seen, abs=0.05)
    assert only(declare(pairing="seed"), seeds, difference=row.detectable).power == pytest.approx(0.8, abs=1e-6)


@pytest.mark.parametrize(("seeds", "textbook", "seen"), [(2, 5.7, 10.4), (3, 3.1, 3.5), (5, 2.0, 2.1), (10, 1.3, 1.3)])
def test_independent_arms_see_less_than_the_textbook_says(seeds, textbook, seen):
    row = only(declare(), seeds)
    assert row.test.kind == "welch"
    assert row.textbook == pytest.approx(textbook, abs=0.05)
    assert row.detectable == pytest.approx(seen, abs=0.05)
    assert only(declare(), seeds, difference=row.detectable).power == pytest.approx(0.8, abs=1e-6)
    assert any(f"would be: c {textbook}." in footer for footer in power_table("t", [row]).footers)


@pytest.mark.parametrize(("discordance", "width"), [(0.1, "1.2"), (0.2, "1.7"), (0.3, "2.1")])
def test_two_checkpoints_have_the_known_half_width(discordance, width):
    rows = power_report(study(declare()), runs(1), 2638, discordance=discordance)
    text = power_table("t", rows).markdown()
    assert f"is ± {width} points where they are equally good" in text
    assert f"{100 * discordance:.0f} % discordant" in text
    assert rows[0].test.name == "t over questions, clustered by image"
    # 80 % power at 5 %: the normal quantiles of both, with the variance d - share^2
    share = (rows[0].detectable or 0.0) / 100
    error = math.sqrt((discordance - share**2) / 2638)
    assert share / error == pytest.approx(stats.norm.ppf(0.975) + stats.norm.ppf(0.8), rel=1e-4)


def test_against_a_constant_by_scipy():
    row = only(declare(b="base"), 5)
    assert row.test.kind == "constant"
    assert row.runs == (5, None)
    shift = 2.0 * math.sqrt(5) / 1.0
    t = stats.t.ppf(0.975, 4)
    assert row.power == pytest.approx(stats.nct.sf(t, 4, shift) + stats.nct.cdf(-t, 4, shift), abs=1e-9)


def test_power_is_what_the_analysis_attains():
    """Simulated with the intervals that the analysis uses, at the level of a family of four."""
    random = np.random.default_rng(7)
    family = [declare(f"c{i}", pairing="seed", family="f") for i in range(3)] + [declare("u", family="f")]
    rows = power_report(study(*family, seed_correlation=0.5), runs(6), 1000)
    paired, unpaired = rows[0], rows[3]
    assert paired.adjusted_alpha == unpaired.adjusted_alpha == 0.0125
    draws, found = 3000, {"paired": 0, "unpaired": 0}
    for _ in range(draws):
        shared, a, b = random.normal(0, math.sqrt(0.5), (3, 6))
        p = paired_interval(dict(enumerate(2.0 + shared + a)), dict(enumerate(shared + b))).p
        found["paired"] += p is not None and p < 0.0125
        p = welch_interval(2.0 + random.normal(0, 1, 6), random.normal(0, 1, 6)).p
        found["unpaired"] += p is not None and p < 0.0125
    assert found["paired"] / draws == pytest.approx(paired.power, abs=0.03)
    assert found["unpaired"] / draws == pytest.approx(unpaired.power, abs=0.03)


@given(
    size=st.floats(0.15, 9.0),
    sd=st.floats(0.2, 3.0),
    pairing=st.sampled_from(["seed", "none"]),
    b=st.sampled_from(["old", "base"]),
)
def test_seeds_are_enough_and_one_fewer_is_not(size, sd, pairing, b):
    difference = size * sd
    contrast = declare(b=b, pairing=pairing, seed_sd=sd)
    needed = only(contrast, 3, difference=difference).seeds
    assert needed is not None
    assert (only(contrast, needed, difference=difference).power or 0.0) >= 0.8
    if needed > 2:
        assert (only(contrast, needed - 1, difference=difference).power or 0.0) < 0.8


def test_a_difference_of_differences_costs_more():
    minus = {"a": side("other"), "b": side("base")}
    plain, double = only(declare(b="base"), 5), only(declare(b="base", minus=minus), 5)
    assert double.test.kind == "welch"
    assert double.test.coefficients == (1.0, -1.0)
    assert double.runs == (5, None, 5, None)
    assert (double.detectable or 0.0) > (plain.detectable or 0.0)


@pytest.mark.parametrize(
    ("pairing", "minus", "weights", "expected"),
    [
        ("none", ("other", "old"), (1.0, -1.0), 3.13),  # (new - old) - (other - old): new - other
        ("none", ("other", "new"), (2.0, -1.0, -1.0), 5.37),
        ("seed", ("other", "old"), (1.0, -1.0), 3.57),
        ("seed", ("other", "new"), (2.0, -1.0, -1.0), 6.18),
    ],
)
def test_the_same_runs_on_two_sides_are_planned_as_one(pairing, minus, weights, expected):
    contrast = declare(pairing=pairing, seed_sd=1.5, minus={"a": side(minus[0]), "b": side(minus[1])})
    found = only(contrast, 5)
    assert found.test.coefficients == weights
    assert found.detectable == pytest.approx(expected, abs=0.01)


def test_one_arm_at_two_steps_is_planned_within_runs():
    found = only(declare(a="new", b="new", seed_sd=2.0) | {"b": side("new", 200)}, 4)
    assert found.test.name == "t over differences within runs"
    assert found.detectable == pytest.approx(6.02, abs=0.01)


def test_groups_of_several_sides_have_the_spread_of_their_sum():
    """(new - new at 200) - (old - old at 200), unpaired: two samples of differences, each of sqrt(2 (1 - r)) SDs."""
    minus = {"a": side("old"), "b": side("old", 200)}
    contrast = declare(a="new", seed_sd=1.0, minus=minus) | {"b": side("new", 200)}
    test = planned_test(contrast, (5, 5, 5, 5))
    assert (test.kind, test.groups) == ("welch", (0, 0, 1, 1))
    assert test.weights(0.75) == pytest.approx((math.sqrt(0.5), math.sqrt(0.5)))
    assert test.design(0.75).df == pytest.approx(8.0)


def test_holms_strictest_step_in_a_family_and_alpha_outside():
    contrasts = [declare("x", family="f"), declare("y", family="f"), declare("z"), declare("w", alpha=0.01)]
    rows = power_report(study(*contrasts), runs(5), 100)
    assert [row.adjusted_alpha for row in rows] == [0.025, 0.025, 0.05, 0.01]
    assert family_sizes(contrasts) == {"x": 2, "y": 2, "z": 1, "w": 1}
    table = power_table("t", rows)
    assert any("Outside of any family: z, w." in footer for footer in table.footers)
    assert (rows[0].detectable or 0.0) > (rows[2].detectable or 0.0)


def test_other_metrics_only_with_their_own_spread_and_margin():
    silent = only(declare(metric="tokens", seed_sd=None), 5)
    assert (silent.power, silent.detectable, silent.seeds) == (None, None, None)
    table = power_table("t", [silent])
    assert "no seed SD declared: give seed_sd" in table.markdown()
    assert any("give margin" in footer for footer in table.footers)
    told = only(declare(metric="tokens", seed_sd=8.0, margin=10.0), 5, seed_sd=0.1)
    assert told.spread.sd == 8.0  # the option is of accuracy
    assert told.difference == 10.0
    assert told.detectable == pytest.approx(8.0 * (only(declare(), 5).detectable or 0.0))
    assert "16.7 tokens" in power_table("t", [told]).markdown()


def test_options_come_before_what_is_measured_and_that_before_what_is_declared():
    measured = {"c": Spread(sd=3.0, sd_from="measured, 8 df", discordance=0.4, discordance_from="measured")}
    assert only(declare(), 5, spreads=measured).spread.sd == 3.0
    given = only(declare(), 5, spreads=measured, seed_sd=0.5, discordance=0.1, power=0.9, difference=1.0)
    assert (given.spread.sd, given.spread.sd_from, given.spread.discordance) == (0.5, "given", 0.1)
    assert (given.target, given.difference) == (0.9, 1.0)
    assert only(declare("other"), 5, spreads=measured).spread.sd_from == "declared"


def test_what_has_no_test_says_why():
    row = planned_test(declare(), (1, 3))
    assert (row.kind, row.reason) == ("none", "one seed shows no spread: give both sides two")
    minus = {"a": side("other"), "b": side("base")}
    four = only(declare(minus=minus), 1)
    assert (four.test.kind, four.power, four.detectable) == ("questions", None, None)
    assert "four sides" in four.reason
    assert four.seeds is not None  # there is a number that would do
    assert "right and wrong" in only(declare(metric="tokens"), 1).reason
    assert planned_test(declare(), (0, 3)).reason == "a side has no run"
    with pytest.raises(ValueError, match="2 sides, but ns has 3"):
        planned_test(declare(), (1, 2, 3))
    beyond = only(declare(), 1, difference=30.0)  # more than the questions that they differ on
    assert beyond.power is None
    assert beyond.detectable is not None


def test_questions_of_checkpoints_before_the_last():
    curve = {"new": 400, "old": 400, "base": 0}
    assert asked_questions(declare(), curve, 2638) == 2638
    assert asked_questions(declare(a="base"), curve, 2638) == 2638
    assert asked_questions(declare() | {"b": side("old", 200)}, curve, 2638) == 400
    assert asked_questions(declare(checkpoint="mean_last"), curve, 2638) == 400
    assert asked_questions(declare(checkpoint="best_half"), curve, 2638) == 200


def test_the_smallest_effect_that_a_design_could_have_seen():
    contrast = declare(pairing="seed", family="f")
    row = power_report(study(contrast, declare("d", family="f")), runs(5), 100)[0]
    assert detectable_effect(contrast, (5, 5), POWER, 2) == pytest.approx(row.detectable)
    # a run that failed takes its partner with it
    assert detectable_effect(contrast, (5, 3), POWER, 2) == detectable_effect(contrast, (3, 3), POWER, 2)
    assert detectable_effect(declare(seed_sd=None), (5, 5), POWER, 1) is None
    assert detectable_effect(declare(), (None, None), POWER, 1) is None
    assert detectable_effect(declare(), (None, None), POWER, 1, questions=2638) == pytest.approx(2.4, abs=0.05)
    assert detectable_effect(declare(), (1, 4), POWER, 1) is None


def test_hours_are_of_each_arm_once():
    costs = Costs({"new": (1.0, 3.0), "old": (2.0, 4.0)}, "GPU-hour", "Guessed.")
    row = only(declare(), 5)
    assert row.seeds == 6
    assert row.hours(costs) == (18.0, 42.0)
    same = only(declare(a="new", b="new") | {"b": side("new", 200)}, 5)
    assert same.hours(costs) == (7.0, 21.0)  # one seed more than Welch's test: half the degrees of freedom
    assert only(declare(b="base"), 5, difference=0.001).hours(costs) is None
    table = power_table("t", [row, only(declare(b="base"), 5, difference=0.001)], costs)
    frame = table.frame()
    assert frame["hours_low"].tolist()[0] == 18.0
    assert "over 1,000" in table.markdown()
    assert any("Guessed." in footer for footer in table.footers)


def test_every_column_is_described_and_every_format_written():
    table = power_table("t", power_report(study(declare(), declare("d", b="base")), runs(5), 100), None, ["a note"])
    assert all(column.description for column in table.columns)
    for text in (table.markdown(), table.latex(), table.html()):
        assert "a note" in text
        assert "known constant" in text
    assert table.frame()["power"].iloc[0] == pytest.approx(76.7, abs=0.1)


def test_the_curve_crosses_the_target_where_the_table_says():
    contrasts = [declare("x", family="f"), declare("y", family="f"), declare("z", pairing="seed")]
    rows = power_report(study(*contrasts, declare("t", metric="tokens", seed_sd=8.0)), runs(4), 100)
    frame = power_frame(rows)
    assert list(dict.fromkeys(frame["test"])) == [
        "Welch t over unpaired seeds, α 0.025",
        "t over seed-paired differences, α 0.05",
    ]
    assert set(frame["seeds"]) == {2, 3, 4, 5, 10}
    assert set(frame.loc[frame["own"], "seeds"]) == {4}
    line = frame[(frame["seeds"] == 4) & frame["test"].str.startswith("Welch")]
    crossing = np.interp(0.8, line["power"], line["difference"])
    assert crossing == pytest.approx(rows[0].detectable, rel=0.01)
    assert power_frame(power_report(study(declare(seed_sd=None)), runs(4), 100)).empty


def test_the_sentence_counts_what_is_enough():
    rows = power_report(study(declare(), declare("d", b="base")), runs(5), 100)
    assert summary(rows) == "1 of 2 contrasts with a known spread reach a power of 80 % for their difference."
    assert "give seed_sd" in summary([only(declare(seed_sd=None), 5)])
