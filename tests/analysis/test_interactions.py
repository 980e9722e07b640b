"""Interactions that the arms allow, each one difference of differences."""

import numpy as np
import pytest
from scipy import stats
from small_study import draw, percent, small, with_contrasts
from statsmodels.stats.multitest import multipletests

from analysis import interactions

# 2 starts x 3 trainings; the third training has only one start
VALUES = draw(
    5,
    **{"base": (0, 0.3), "base+sft": (3, 0.6), "base+grpo": (4, 0.7), "tuned": (0, 0.5), "tuned+grpo": (3, 0.65)},
)
LEVELS = {
    "base": ("base", "none"),
    "base+sft": ("base", "sft"),
    "base+grpo": ("base", "grpo"),
    "tuned": ("tuned", "none"),
    "tuned+grpo": ("tuned", "grpo"),
}


def study(more: dict | None = None, values=VALUES) -> dict:
    arms = [
        {"name": arm, "levels": {"start": start, "training": training}, "protocol": "default", "curve_questions": 0}
        for arm, (start, training) in (LEVELS | (more or {})).items()
        if arm in values
    ]
    return {"arms": arms, "factors": {"start": ["base", "tuned"], "training": ["none", "sft", "grpo"]}}


def test_a_two_by_two_is_found_and_is_the_difference_of_differences() -> None:
    (result,) = interactions(small(VALUES, study=study()))
    assert result.name == "start=tuned x training=grpo"
    assert [side.arm for side in result.sides] == ["tuned+grpo", "tuned", "base+grpo", "base"]
    both, second = percent(VALUES["tuned+grpo"]), percent(VALUES["base+grpo"])
    constant = percent(VALUES["base"])[0] - percent(VALUES["tuned"])[0]
    welch = stats.ttest_ind(both, second, equal_var=False)
    low, high = welch.confidence_interval(0.95)
    assert result.interval.mean == pytest.approx(np.mean(both) - np.mean(second) + constant)
    assert (result.interval.low, result.interval.high) == (
        pytest.approx(low + constant),
        pytest.approx(high + constant),
    )
    assert result.standing.status == "exploratory"


def test_more_arms_give_more_of_them_adjusted_together() -> None:
    values = VALUES | draw(9, **{"tuned+sft": (3, 0.4)})
    found = interactions(small(values, study=study({"tuned+sft": ("tuned", "sft")}, values)))
    assert {result.name for result in found} == {"start=tuned x training=grpo", "start=tuned x training=sft"}
    raw = [result.interval.p for result in found]
    assert [result.p_adjusted for result in found] == pytest.approx(multipletests(raw, method="fdr_bh")[1])


def test_one_that_is_declared_is_not_found_again() -> None:
    tables = small(VALUES, study=study())
    minus = {"a": "tuned+grpo", "b": "tuned"}  # turned about: the same four arms
    tables = with_contrasts(tables, {"a": "base+grpo", "b": "base", "minus": minus})
    assert interactions(tables) == []


def test_a_plain_contrast_of_two_of_the_arms_declares_no_interaction() -> None:
    tables = with_contrasts(small(VALUES, study=study()), {"a": "tuned+grpo", "b": "tuned"})
    assert len(interactions(tables)) == 1


@pytest.mark.parametrize("corner", ["base", "tuned", "base+grpo", "tuned+grpo"])
def test_without_a_corner_there_is_none(corner: str) -> None:
    values = {arm: of for arm, of in VALUES.items() if arm != corner}
    assert interactions(small(values, study=study(values=values))) == []


def test_arms_without_levels_allow_none() -> None:
    assert interactions(small(VALUES)) == []


def test_other_factors_stay_where_they_are_and_are_named() -> None:
    values = {
        f"{start}{training}{size}": of
        for size in ("s", "l")
        for (start, training), of in zip(
            [(start, training) for start in "bt" for training in "ng"],
            draw(3, **{arm: (3, 0.5) for arm in "wxyz"}).values(),
            strict=True,
        )
    }
    arms = [
        {"name": arm, "protocol": "default", "curve_questions": 0}
        | {"levels": dict(zip(("start", "training", "size"), arm, strict=True))}
        for arm in values
    ]
    factors = {"start": ["b", "t"], "training": ["n", "g"], "size": ["s", "l"]}
    found = interactions(small(values, study={"arms": arms, "factors": factors}))
    names = {result.name: {side.arm for side in result.sides} for result in found}
    assert names["start=t x training=g"] == {"bns", "bgs", "tns", "tgs"}
    assert names["start=t x training=g (size=l)"] == {"bnl", "bgl", "tnl", "tgl"}
    assert len(names) == 6  # three pairs of factors, each at two levels of the third


def test_a_declared_one_in_another_metric_does_not_hide_the_one_in_accuracy() -> None:
    tables = small(VALUES, study=study())
    minus = {"a": "base+grpo", "b": "base"}
    with_contrasts(tables, {"a": "tuned+grpo", "b": "tuned", "minus": minus, "metric": "tokens", "name": "length"})
    assert [result.metric for result in interactions(tables)] == ["accuracy"]
