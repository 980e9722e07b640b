"""What the analysis promises holds in simulated studies of this design, here and in the committed table."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis import contrast, declare, formats
from analysis.coverage.case import DRAWS, Case, Setting
from analysis.coverage.checks import ON_THESE, row_bootstrap, seed_bootstrap
from analysis.coverage.reading import Reading, read
from analysis.coverage.report import csv_text, main, markdown_text
from analysis.coverage.run import SEEDS, Row, coverage, run_scenario
from analysis.coverage.scenarios import SCENARIOS
from analysis.coverage.simulate import Model, make_layout, simulate

COMMITTED = Path(__file__).parents[2] / "results" / "coverage"
SMALL = make_layout(questions=150, seed=1)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}

COLLAPSE = "an arm whose runs collapse"
T_INTERVALS = {
    *("t interval of a mean", "contrast, Welch", "contrast, paired", "contrast against a constant"),
    *("difference of differences, four arms", "difference of differences, a shared arm"),
    *("difference of differences, a shared arm, paired", "one arm at two steps, within runs"),
    *("prediction of one more run", "prediction of a printed difference"),
    "prediction of a printed difference, ours paired",
}
OTHER_INTERVALS = {"gain split: now parsed", "gain split: now right", "contrast of two checkpoints"}
CAREFUL = {("answers that can't be read", 3)}
"""Welch's few degrees of freedom: about 96.5 %, in 2,000 studies only."""
DIRECTIONS = {"verdict: direction, Welch", "verdict: direction, paired", "verdict: direction, two checkpoints"}
AT_MOST = {
    "verdict: equivalent at the margin, Welch",
    "verdict: equivalent at the margin, paired",
    "verdict: equivalent at the margin, two checkpoints",
    "direction, 5 contrasts, Holm",
    "equivalence, 5 contrasts, Holm",
    "direction, 5 contrasts, Benjamini-Hochberg",
    "sign flip over clusters",
}


def committed() -> list[Row]:
    with (COMMITTED / "coverage.csv").open() as lines:
        return [
            Row(
                each["scenario"],
                each["method"],
                each["truth"],
                int(each["seeds"]),
                int(each["simulations"]),
                each["measure"],
                float(each["share"]),
                float(each["standard_error"]),
                float(each["nominal"]),
            )
            for each in csv.DictReader(lines)
        ]


def check_limits(rows: list[Row], slack: float = 0.0) -> set[str]:
    """The limits that are promised; returns the methods that were held against one.

    Args:
        slack: standard errors that a share may be beyond its limit.
    """
    held = set()
    for row in rows:
        more = slack * row.standard_error
        if row.scenario == COLLAPSE:
            continue  # promises nothing: see the notes of the table
        if row.method in T_INTERVALS | OTHER_INTERVALS:
            most = 98.0 if (row.scenario, row.seeds) in CAREFUL else 97.0
            assert 93.0 - more <= row.share <= most + more, row
        elif row.method in DIRECTIONS:
            # Welch's t estimates its degrees of freedom, and is careful with 3 seeds: about 3.6 %.
            least = 3.0 if "Welch" in row.method and row.seeds == 3 else 4.0
            assert least - more <= row.share <= 6.0 + more, row
        elif row.method in AT_MOST:
            assert row.share <= 6.0 + more, row
        else:
            continue
        held.add(row.method)
    return held


def test_promises_hold_in_the_committed_table() -> None:
    rows = committed()
    assert check_limits(rows) == T_INTERVALS | OTHER_INTERVALS | DIRECTIONS | AT_MOST
    for row in rows:
        assert row.simulations >= 2_000
        if row.method in T_INTERVALS | DIRECTIONS or "5 contrasts" in row.method:
            assert row.simulations == 10_000


@pytest.mark.parametrize("n", SEEDS)
def test_promises_hold_in_new_studies(n: int) -> None:
    """Fewer studies than in the table, of fewer questions: gross errors in what is computed would show."""
    names = ("independent seeds", "paired seeds", "closely paired seeds", "one method, two names, paired")
    held = set()
    for name in names:
        quick = replace(BY_NAME[name], checks=tuple(check for check in BY_NAME[name].checks if check.part == 1.0))
        held |= check_limits(run_scenario(quick, SMALL, n, 1_500, [1, n]), slack=3.0)
    assert held >= T_INTERVALS


@pytest.mark.parametrize(("name", "n"), [("one method, two names, paired", 3), ("closely paired seeds", 5)])
def test_the_committed_table_is_what_the_code_makes(name: str, n: int) -> None:
    position = list(BY_NAME).index(name)
    made = run_scenario(BY_NAME[name], make_layout(), n, 10_000, [0, position, n])
    there = [row for row in committed() if (row.scenario, row.seeds) == (name, n)]
    assert [row.method for row in made] == [row.method for row in there]
    # another machine may round one study in a thousand to the other side
    assert [row.share for row in made] == pytest.approx([row.share for row in there], abs=0.1)


def test_committed_table_shows_why_t_over_seeds_is_primary() -> None:
    share = {(row.method, row.truth, row.seeds): row.share for row in committed() if row.scenario != COLLAPSE}
    for name in (
        "percentile bootstrap over seeds, a mean",
        "percentile bootstrap over seeds",
        "percentile bootstrap, seeds drawn for each task",
        "percentile bootstrap, rows pooled",
    ):
        assert share[name, ON_THESE, 3] < 90.0
    assert share["percentile bootstrap over seeds, a mean", ON_THESE, 3] < 80.0
    # One unit beside the other: clusters and seeds, at the price of ignoring them.
    shares = {row.method: row.share for row in committed() if row.seeds == 1}
    assert shares["the same, clusters ignored"] < shares["contrast of two checkpoints"]
    assert shares["McNemar's exact test"] > shares["sign flip over clusters"]


def test_committed_table_shows_what_goes_wrong() -> None:
    """Unadjusted families, printed runs held against our pairs, and rare collapses are as bad as the notes say."""
    rows = {(row.scenario, row.method, row.seeds): row.share for row in committed()}
    for n in SEEDS:
        for scenario, kind in (("one method, six names", "direction"), ("five arms at the margin", "equivalence")):
            assert rows[scenario, f"{kind}, 5 contrasts, unadjusted", n] > 9.0
        pairs = rows["closely paired seeds", "the same from our pairs' differences", n]
        assert pairs < 93.0 < rows["closely paired seeds", "prediction of a printed difference, ours paired", n]
    assert min(share for (scenario, *_), share in rows.items() if scenario == COLLAPSE) < 90.0


def test_committed_table_is_one_table() -> None:
    rows = committed()
    assert (COMMITTED / "coverage.csv").read_text() == csv_text(rows)
    assert (COMMITTED / "coverage.md").read_text() == markdown_text(rows)
    expected = [
        (scenario.name, check.method, check.truth, n)
        for scenario in SCENARIOS
        for check in scenario.checks
        for n in ((1,) if scenario.single else SEEDS)
    ]
    assert [(row.scenario, row.method, row.truth, row.seeds) for row in rows] == expected


def test_the_command_writes_the_same_whatever_the_processes(tmp_path: Path) -> None:
    for name, workers in (("one", "1"), ("two", "2")):
        main(["--simulations", "12", "--workers", workers, "--out", str(tmp_path / name)])
    for file in ("coverage.csv", "coverage.md"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert csv_text(coverage(12, seed=1)) != (tmp_path / "one" / "coverage.csv").read_text()
    with pytest.raises(SystemExit):
        main(["--simulations", "0", "--out", str(tmp_path)])


def cases(n: int, studies: int, methods: int = 2, seed: int = 5) -> list[Case]:
    advantages = (0.0, -0.3, 0.1)[:methods]
    found = simulate(SMALL, Model(), advantages, n, studies, np.random.default_rng(seed))
    setting = Setting(SMALL, methods, n)
    return [
        Case(i, found.answers[i], found.on_these[i], found.checkpoints[i], found.like_these, setting, n)
        for i in range(studies)
    ]


@pytest.mark.parametrize("paired", [False, True])
def test_a_simulated_contrast_is_the_contrast_of_the_same_tables(paired: bool) -> None:
    """Through the tables, as for a study, and not only through the sides."""
    pairing = "seed" if paired else "none"
    for case in cases(4, 3, methods=3):
        tables = case.setting.fill(case.setting.tables, case.answers)
        shipped = contrast(tables, declare(tables, "m0", "m1", pairing=pairing, margin=6.0), draws=DRAWS)
        made = case.result(0, 1, margin=6.0, paired=paired)
        assert shipped.interval == made.interval
        assert shipped.prediction == made.prediction
        assert (shipped.verdict, shipped.p_equivalence) == (made.verdict, made.p_equivalence)
        assert shipped.bootstrap is not None
        drawn = case.bootstrap(paired)
        assert (shipped.bootstrap.low, shipped.bootstrap.high) == pytest.approx((drawn.low, drawn.high), abs=1e-9)
        minus = {"a": "m1", "b": "m2"}
        four = contrast(tables, declare(tables, "m0", "m1", pairing=pairing, minus=minus), draws=0)
        assert four.interval == case.combined(0, 1, 1, 2, paired=paired).interval


@pytest.mark.parametrize("paired", [False, True])
def test_a_simulated_split_is_the_split_of_the_same_tables(paired: bool) -> None:
    model, rng = Model(), np.random.default_rng(6)
    found = simulate(SMALL, model, (0.0, -0.3), 4, 3, rng)
    status = read(found, model, Reading((1.5, 0.8)), rng)
    setting = Setting(SMALL, 2, 4)
    for i in range(3):
        right = found.answers[i] & status.read[i]
        case = Case(i, right, found.on_these[i], found.checkpoints[i], found.like_these, setting, 4, status.read[i])
        tables = setting.fill(setting.tables, right, status.read[i])
        declared = declare(tables, "m0", "m1", pairing="seed" if paired else "none")
        (shipped,) = formats(tables, [contrast(tables, declared, draws=0)])
        assert shipped.split is not None
        assert shipped.split == case.split(paired)
        total = shipped.split.now_parsed.mean + shipped.split.now_right.mean
        assert total == pytest.approx(case.accuracy[0].mean() - case.accuracy[1].mean())


def test_other_peoples_bootstraps_are_what_their_names_say() -> None:
    """Row by row and seed by seed, resampled literally: the same verdict in nearly every study."""
    rng = np.random.default_rng(6)
    same_rows, same_seeds = [], []
    for case in cases(4, 40):
        truth = case.on_these[0] - case.on_these[1]
        rows, seeds = [], []
        for _ in range(DRAWS // 4):
            means = [100.0 * np.mean(rng.choice(case.answers[arm].ravel(), 600)) for arm in (0, 1)]
            rows.append(means[0] - means[1])
            picked = [case.answers[arm][rng.integers(0, 4, 4)] for arm in (0, 1)]
            seeds.append(100.0 * (picked[0].mean() - picked[1].mean()))
        for draws, same, shipped in (
            (rows, same_rows, row_bootstrap(case, case.on_these)),
            (seeds, same_seeds, seed_bootstrap(case)),
        ):
            low, high = np.quantile(draws, [0.025, 0.975])
            same.append((low <= truth <= high) == shipped)
    assert np.mean(same_rows) >= 0.9
    assert np.mean(same_seeds) >= 0.9
