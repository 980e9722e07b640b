"""Spread measured in collected runs, against its literal definition on results/micro."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.collected import Tables
from analysis.contrasts import contrast, contrasts
from analysis.load import load
from analysis.pilot import measured_spread, measured_spreads
from analysis.planned import planned_test, sides_of

MICRO = Path(__file__).parents[2] / "results" / "micro"
POWER = {
    "seed_sd": None,
    "seed_correlation": 0.3,
    "discordance": 0.2,
    "design_effect": 1.0,
    "power": 0.8,
    "difference": 2,
}


@pytest.fixture(scope="module")
def tables() -> Tables:
    return load(MICRO)


@pytest.fixture(scope="module")
def wide() -> pd.DataFrame:
    """Right or wrong by question (rows) and run (columns), read without the package; own protocols only."""
    answers = pd.read_parquet(MICRO / "answers.parquet")
    chosen = answers[(answers["phase"] == "final") & (answers["rule"] == "lenient")]
    own = pd.read_parquet(MICRO / "runs.parquet").set_index("run")["protocol"]
    chosen = chosen[chosen["protocol"] == chosen["run"].map(own)]
    return chosen.pivot(index="question", columns="run", values="correct").astype(float)


def declared(tables: Tables, name: str) -> dict:
    return next(each for each in tables.study["contrasts"] if each["name"] == name)


def test_the_sd_is_pooled_over_both_sides(tables, wide):
    spread = measured_spread(tables, declared(tables, "grpo-vs-sft"), POWER)
    sides = [100 * wide.filter(regex=rf"^base\+{arm}/").mean() for arm in ("grpo", "sft")]
    pooled = math.sqrt(sum(7 * side.std(ddof=1) ** 2 for side in sides) / 14)
    assert spread.sd == pytest.approx(pooled, rel=1e-9)
    assert spread.sd_from == "measured, 14 df"


def test_the_correlation_gives_the_differences_their_spread(tables, wide):
    found = declared(tables, "grpo-vs-sft")
    spread = measured_spread(tables, found, POWER)
    a, b = (100 * wide.filter(regex=rf"^base\+{arm}/").mean().to_numpy() for arm in ("grpo", "sft"))
    error = planned_test(found, (8, 8)).design(spread.correlation).error * (spread.sd or 0.0)
    assert error == pytest.approx(np.std(a - b, ddof=1) / math.sqrt(8), rel=1e-9)
    # with equal spreads it is Pearson's; here it is near
    assert spread.correlation == pytest.approx(np.corrcoef(a, b)[0, 1], abs=0.1)


def test_a_constant_side_has_no_spread(tables, wide):
    spread = measured_spread(tables, declared(tables, "grpo-vs-base"), POWER)
    assert spread.sd == pytest.approx((100 * wide.filter(regex=r"^base\+grpo/").mean()).std(ddof=1), rel=1e-9)
    assert spread.sd_from == "measured, 7 df"
    assert spread.correlation == 0.3  # not paired, so the declared one stands, unused


def test_discordance_and_design_effect_of_pairs(tables, wide):
    spread = measured_spread(tables, declared(tables, "grpo-vs-sft"), POWER)
    questions = pd.read_parquet(MICRO / "questions.parquet").set_index("question").loc[wide.index]
    images, tasks = questions["image"].to_numpy(), questions["task"].to_numpy()
    shares, effects = [], []
    for seed in range(8):
        difference = wide[f"base+grpo/seed={seed}"] - wide[f"base+sft/seed={seed}"]
        shares.append((difference != 0).mean())
        # every image has questions of one task: a sample of images of each, about the tasks' means
        sums = (difference - difference.groupby(tasks).transform("mean")).groupby([tasks, images]).sum()
        n, counts = len(difference), sums.groupby(level=0).size()
        clustered = ((sums**2).groupby(level=0).sum() * counts / (counts - 1)).sum() / n**2
        effects.append(clustered / (difference.var(ddof=1) / n))
    assert spread.discordance == pytest.approx(np.mean(shares), rel=1e-12)
    assert spread.design_effect == pytest.approx(np.mean(effects), rel=1e-9)
    assert spread.discordance_from == "measured"


def test_the_planned_test_is_the_one_that_is_made(tables):
    seeds = {arm: 8 if tables.random(arm) else None for arm in tables.arms}
    results = contrasts(tables, draws=0)
    assert results
    for result, each in zip(results, tables.study["contrasts"], strict=True):
        test = planned_test(each, [seeds[side["arm"]] for side in sides_of(each)])
        assert test.name == result.method
        if result.interval is not None and result.interval.df is not None and test.kind != "welch":
            assert test.design(0.0).df == result.interval.df


def test_the_same_with_one_seed(tables):
    one = tables.runs[tables.runs["seed"].isna() | (tables.runs["seed"] == 0)]
    cut = Tables(**{**{name: getattr(tables, name) for name in tables.__dataclass_fields__}, "runs": one})
    for each in tables.study["contrasts"]:
        result = contrast(cut, each, draws=0)
        ns = [1 if tables.random(side["arm"]) else None for side in sides_of(each)]
        test = planned_test(each, ns)
        if len(ns) == 2:
            assert test.name == result.method
            spread = measured_spread(cut, each, POWER)
            assert spread.sd is None or spread.sd_from == "declared"
            assert 0 < spread.discordance <= 1


def test_without_any_run_the_declared_stands(tables):
    none = Tables(
        **{**{name: getattr(tables, name) for name in tables.__dataclass_fields__}, "runs": tables.runs.iloc[:0]}
    )
    found = measured_spreads(none, POWER)
    assert set(found) == {each["name"] for each in tables.study["contrasts"]}
    assert all(spread.discordance_from == "declared" for spread in found.values())
