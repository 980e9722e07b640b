"""Each check on small tables: what is planted is found, and nothing else."""

from pathlib import Path

import pytest
import scipy.stats
from published_maker import folder, row

from analysis.audit import (
    Finding,
    Severity,
    audit_published,
    check_aggregates,
    check_chance,
    check_claims,
    check_differences,
    check_granularity,
    check_repeats,
    check_reproductions,
    read_published,
)

PAPER = "A paper"
SAID = {"source": PAPER, "table": "Table 2"}
BENCHMARKS = [
    ("Maze", "overall", "", "easy;hard;odd", "questions"),
    ("Maze", "easy", "25", "", ""),
    ("Maze", "hard", "25", "", ""),
    ("Maze", "odd", "", "", ""),
    ("Yes or no", "all", "50", "", ""),
]
CLEAN = [
    # 130 of 400, 55 of 200, 25 of 100: 210 of 700
    row("weak", "overall", "30.00", 700, benchmark="Maze", **SAID),
    row("weak", "easy", "32.50", 400, benchmark="Maze", **SAID),
    row("weak", "hard", "27.50", 200, benchmark="Maze", **SAID),
    row("weak", "odd", "25.00", 100, benchmark="Maze", **SAID),
    # 370 of 400, 170 of 200, 80 of 100: 620 of 700
    row("strong", "overall", "88.57", 700, benchmark="Maze", **SAID),
    row("strong", "easy", "92.50", 400, benchmark="Maze", **SAID),
    row("strong", "hard", "85.00", 200, benchmark="Maze", **SAID),
    row("strong", "odd", "80.00", 100, benchmark="Maze", **SAID),
    row("strong", "all", "97.3", "", benchmark="Yes or no", **SAID),
]


def serious(path: Path) -> list[Finding]:
    return [finding for finding in audit_published(path).findings if finding.severity is not Severity.NOTE]


def with_changes(changes: dict[tuple[str, str], str], more: list[list[str]] = []) -> list[list[str]]:  # noqa: B006
    """The clean table with other percentages at (condition, task), and further rows."""
    left = dict(changes)
    made = []
    for line in CLEAN:
        percent = left.pop((line[2], line[8]), line[9])
        made.append([*line[:9], percent, line[10]])
    assert not left
    return [*made, *more]


def test_a_table_without_faults(tmp_path: Path) -> None:
    result = audit_published(folder(tmp_path, CLEAN, BENCHMARKS))
    assert [(finding.check, finding.what) for finding in result.findings] == [("difference", "all tasks")]
    done = {check.check: (check.examined, dict(check.skipped)) for check in result.checks}
    assert done["aggregate"] == (2, {})
    assert done["granularity"] == (8, {"number of questions not known": 1})
    assert done["chance"][0] == 4
    assert done["difference"] == (4, {})


def test_all_faults_at_once(tmp_path: Path) -> None:
    """Another paper, every kind of fault planted once: found, and nothing else."""
    small = [
        row("twin", "overall", "88.71", 700, benchmark="Maze", **SAID),  # 621 of 700, one more than strong
        # the same configuration as strong, in another table
        row("final", "all", "91.3", "", benchmark="Yes or no", training="strong", source=PAPER, table="Table 3"),
        row("blind", "hard", "10.00", 200, benchmark="Maze", source=PAPER, table="Table 4"),
        row("odd one", "odd", "45.55", 100, benchmark="Maze", source=PAPER, table="Table 5"),
    ]
    path = folder(tmp_path, with_changes({("weak", "overall"): "31.00"}, small), BENCHMARKS)
    found = {(finding.check, finding.severity.value, finding.condition, finding.what) for finding in serious(path)}
    assert found == {
        ("aggregate", "error", "weak", "Maze overall"),
        ("granularity", "error", "odd one", "Maze odd"),
        ("duplicate", "error", "Table 2 strong; Table 3 final", "Yes or no"),
        ("chance", "warning", "blind", "Maze hard"),
        ("difference", "warning", "twin - strong", "Maze overall"),
    }


# ---- aggregates


def aggregates(path: Path) -> tuple[Finding, ...]:
    published = read_published(path)
    return check_aggregates(published.scores, published.benchmarks).findings


def test_a_wrong_sum(tmp_path: Path) -> None:
    (finding,) = aggregates(folder(tmp_path, with_changes({("weak", "overall"): "31.00"}), BENCHMARKS))
    assert finding.severity is Severity.ERROR
    assert finding.numbers == pytest.approx({"printed": 31.0, "implied": 30.0, "difference": 1.0, "n": 700})
    assert len(finding.rows) == 4
    assert "1.00 points above the 30.00 that its parts give (210 right answers out of 700)" in finding.sentence
    assert "No mean of the parts gives the printed figure; the plain mean of the tasks is 28.33" in finding.sentence
    assert "Of 1 other row of Maze with parts, 1 follows the mean weighted by questions." in finding.sentence


@pytest.mark.parametrize("percent", ["30.14", "29.86"])
def test_one_answer_is_enough(tmp_path: Path, percent: str) -> None:
    (finding,) = aggregates(folder(tmp_path, with_changes({("weak", "overall"): percent}), BENCHMARKS))
    assert abs(finding.numbers["difference"]) == pytest.approx(0.14)


def test_a_plain_mean_is_not_the_weighted_one(tmp_path: Path) -> None:
    (finding,) = aggregates(folder(tmp_path, with_changes({("weak", "overall"): "28.33"}), BENCHMARKS))
    assert finding.severity is Severity.WARNING
    assert "It is the plain mean of the tasks, not the mean weighted by questions." in finding.sentence


def test_a_benchmark_may_declare_the_plain_mean(tmp_path: Path) -> None:
    declared = [("Maze", "overall", "", "easy;hard;odd", "tasks"), *BENCHMARKS[1:]]
    right = with_changes({("weak", "overall"): "28.33", ("strong", "overall"): "85.83"})
    assert aggregates(folder(tmp_path / "right", right, declared)) == ()
    found = aggregates(folder(tmp_path / "wrong", CLEAN, declared))
    assert [finding.severity for finding in found] == [Severity.WARNING] * 2
    assert "It is the mean weighted by questions, not the plain mean of the tasks" in found[0].sentence


def test_a_mean_of_printed_figures_passes(tmp_path: Path) -> None:
    # 1 of 300 and 1 of 700, cut; 2 of 1,000 are 0.20, the mean of 0.33 and 0.14 is 0.197, and so 0.19
    lines = [row("a", "x", "0.33", 300), row("a", "y", "0.14", 700), row("a", "all", "0.19", 1000)]
    benchmarks = [("B", "all", "", "x;y", "questions"), ("B", "x", "", "", ""), ("B", "y", "", "", "")]
    assert aggregates(folder(tmp_path / "mean", lines, benchmarks)) == ()
    lines[-1][9] = "0.18"
    (finding,) = aggregates(folder(tmp_path / "wrong", lines, benchmarks))
    assert finding.numbers["implied"] == pytest.approx(0.2)


def test_parts_that_have_other_questions_than_the_whole(tmp_path: Path) -> None:
    lines = [*CLEAN[1:], [*CLEAN[0][:10], "710"]]
    (finding,) = aggregates(folder(tmp_path, lines, BENCHMARKS))
    assert (finding.severity, finding.numbers["difference"]) == (Severity.ERROR, 10.0)
    assert "said to rest on 710 questions, but its parts have 700 together" in finding.sentence


def test_without_numbers_of_questions_an_aggregate_lies_between_its_parts(tmp_path: Path) -> None:
    unknown = [[*line[:10], ""] for line in CLEAN]
    published = read_published(folder(tmp_path / "in", unknown, BENCHMARKS))
    done = check_aggregates(published.scores, published.benchmarks)
    assert (done.findings, done.examined) == ((), 0)
    assert done.skipped == {"number of questions not known": 2}
    outside = [[*line[:9], "33.00" if line[2] == "weak" and line[8] == "overall" else line[9], ""] for line in CLEAN]
    (finding,) = aggregates(folder(tmp_path / "out", outside, BENCHMARKS))
    assert "lies outside of all its parts (the nearest is 32.50)" in finding.sentence


def test_an_aggregate_without_all_of_its_parts_is_counted(tmp_path: Path) -> None:
    published = read_published(folder(tmp_path, CLEAN[:3], BENCHMARKS))
    done = check_aggregates(published.scores, published.benchmarks)
    assert (done.findings, done.examined, done.skipped) == ((), 0, {"parts not printed": 1})


# ---- granularity


def test_a_percentage_that_is_none(tmp_path: Path) -> None:
    scores = read_published(folder(tmp_path, [row("a", "x", "45.10", 30)])).scores
    (finding,) = check_granularity(scores).findings
    assert finding.severity is Severity.ERROR
    assert "13 are 43.333 % and 14 are 46.667 %" in finding.sentence
    assert finding.numbers["implied"] == pytest.approx(100 * 14 / 30)


def test_rounded_and_cut_in_one_source(tmp_path: Path) -> None:
    lines = [row("a", "x", "66.67", 600), row("b", "x", "66.66", 600), row("c", "x", "66.66", 600, source="other")]
    (finding,) = check_granularity(read_published(folder(tmp_path, lines)).scores).findings
    assert (finding.severity, finding.where) == (Severity.NOTE, "S")
    assert "1 can only have been rounded (1 in T) and 1 can only have been cut (1 in T)" in finding.sentence


# ---- chance


def chance(path: Path, *scores: tuple[str, int | str], level: str = "50") -> tuple[Finding, ...]:
    lines = [row(f"c{place}", "x", percent, n) for place, (percent, n) in enumerate(scores)]
    published = read_published(folder(path, lines, [("B", "x", level, "", "")]))
    return check_chance(published.scores, published.benchmarks).findings


def test_far_below_chance_and_just_below(tmp_path: Path) -> None:
    found = chance(tmp_path, ("31.67", 600), ("48.00", 600), ("50.00", 600), ("61.00", 600))
    assert [finding.condition for finding in found] == ["c0"]
    assert found[0].severity is Severity.WARNING
    assert found[0].numbers["p_adjusted"] == pytest.approx(4 * found[0].numbers["p"])
    assert "not a measure of ability alone" in found[0].sentence


def test_one_of_many_is_adjusted(tmp_path: Path) -> None:
    assert len(chance(tmp_path / "one", ("45.83", 600))) == 1  # p = 0.02
    assert chance(tmp_path / "many", ("45.83", 600), ("50.00", 600), ("50.00", 600)) == ()


def test_the_most_that_a_figure_can_stand_for_is_tested(tmp_path: Path) -> None:
    # 45 % of 600, without decimals: 267 to 275
    (finding,) = chance(tmp_path, ("45", 600))
    assert finding.numbers["p"] == pytest.approx(scipy.stats.binom.cdf(275, 600, 0.5))


def test_other_levels_of_chance(tmp_path: Path) -> None:
    assert len(chance(tmp_path / "a", ("10.00", 300), level="25")) == 1
    assert chance(tmp_path / "b", ("24.00", 300), level="25") == ()
    assert chance(tmp_path / "c", ("1.00", 300), level="") == ()


def test_below_chance_with_an_unknown_number_of_questions(tmp_path: Path) -> None:
    zero, fifty = chance(tmp_path, ("0.0", ""), ("49.99", ""), ("50.0", ""))
    assert zero.severity is Severity.WARNING
    assert "How many questions there were is not printed; it is no accident if there were at least 5:" in zero.sentence
    assert fifty.severity is Severity.NOTE
    assert "with fewer than 20000 it may be an accident" in fifty.sentence


# ---- one configuration more than once


def test_one_configuration_with_two_scores(tmp_path: Path) -> None:
    benchmarks = [("B", "x", "", "", ""), ("B", "all", "", "x;y", "questions"), ("B", "y", "", "", "")]
    lines = [
        *(row("a", task, percent, 100, table="T1") for task, percent in (("x", "60.00"), ("y", "70.00"))),
        *(row("b", task, percent, 100, table="T2", training="a") for task, percent in (("x", "60.0"), ("y", "74.00"))),
        *(row("c", "x", "10.00", 100, training="a", frozen="vision"), row("d", "x", "20.00", 100)),
    ]
    published = read_published(folder(tmp_path, [list(line) for line in lines], benchmarks))
    done = check_repeats(published.scores, published.benchmarks)
    (finding,) = done.findings
    assert (finding.severity, finding.condition, done.examined) == (Severity.ERROR, "T2 b; T1 a", 1)
    # x is equal as far as printed
    assert finding.numbers["difference"] == pytest.approx(4.0)
    assert "B is printed as y 74.00 and 70.00 (+4.00)." in finding.sentence
    assert len(finding.rows) == 2


def test_reproductions_are_notes(tmp_path: Path) -> None:
    lines = [row("a", "x", "60.00", 100), row("mine", "x", "64.00", 100, source="Other", training="a")]
    lines.append(row("untrained", "x", "50.00", 100, training="none"))
    lines.append(row("untrained", "x", "53.00", "", training="none", source="Other"))
    published = read_published(folder(tmp_path, lines))
    assert check_repeats(published.scores, published.benchmarks).findings == ()
    trained, untrained = check_reproductions(published.scores).findings
    assert trained.severity is Severity.NOTE
    assert trained.numbers == pytest.approx(
        {"printed": 64.0, "other": 60.0, "difference": 4.0, "sd": 8**0.5, "standard_error": (62 * 38 / 100) ** 0.5}
    )
    assert "the runs' own spread and whatever else differs between the sources" in trained.sentence
    assert "Nothing was trained" in untrained.sentence
    assert "standard_error" not in untrained.numbers


# ---- differences


def differences(path: Path, *scores: tuple[str, int | str]) -> tuple[Finding, ...]:
    lines = [row(f"c{place}", "x", percent, n) for place, (percent, n) in enumerate(scores)]
    published = read_published(folder(path, lines))
    return check_differences(published.scores, published.benchmarks).findings


def test_the_three_answers(tmp_path: Path) -> None:
    undecidable, runs = differences(tmp_path / "1", ("57.84", 2638), ("59.47", 2638))
    assert (undecidable.severity, undecidable.condition) == (Severity.WARNING, "c1 - c0")
    assert "undecidable from the printed totals" in undecidable.sentence
    assert "on fewer than 18.3 % of the 2638 questions; anything from 1.6 to 82.7 % is possible" in undecidable.sentence
    assert "undecidable from one run each" in runs.sentence
    inside, _ = differences(tmp_path / "2", ("52.43", 267), ("53.18", 267))
    assert "inside the noise of 267 questions even if" in inside.sentence
    (runs,) = differences(tmp_path / "3", ("30.00", 700), ("80.00", 700))
    assert "1 is outside the noise of their questions" in runs.sentence
    assert runs.numbers["low"] == runs.numbers["high"] > 10


def test_an_unknown_number_of_questions(tmp_path: Path) -> None:
    unknown, _ = differences(tmp_path, ("35.80", ""), ("62.32", ""))
    assert unknown.severity is Severity.NOTE
    assert "with at least 50 the difference is outside the noise whatever the discordance" in unknown.sentence
    assert "standard_error" not in unknown.numbers


def test_conditions_of_other_tables_are_not_compared(tmp_path: Path) -> None:
    lines = [row("a", "x", "60.00", 100, table="T1"), row("b", "x", "61.00", 100, table="T2")]
    published = read_published(folder(tmp_path, lines))
    assert check_differences(published.scores, published.benchmarks).findings == ()


def test_a_clear_total_over_unclear_tasks_is_a_note(tmp_path: Path) -> None:
    close = with_changes({("strong", "odd"): "26.00", ("strong", "overall"): "80.86"})
    published = read_published(folder(tmp_path, close, BENCHMARKS))
    found = check_differences(published.scores, published.benchmarks).findings
    assert [finding.severity for finding in found] == [Severity.NOTE] * 2
    assert "outside the noise of its questions, but not on each task: odd +1.00 (inside)" in found[0].sentence


def test_reproductions_are_held_against_the_differences(tmp_path: Path) -> None:
    lines = [row("a", "x", "60.00", 2000), row("b", "x", "70.00", 2000), row("c", "x", "20.00", 2000)]
    lines.append(row("again", "x", "50.00", 2000, source="Other", training="a"))  # SD 7.07
    published = read_published(folder(tmp_path, lines))
    runs = next(
        one for one in check_differences(published.scores, published.benchmarks).findings if one.what == "all tasks"
    )
    assert "spread by an SD of 7.07 points on B x (1 degree of freedom, 95 % interval" in runs.sentence
    # 10 points fall, 40 and 50 stand
    assert "hides 1 of the 3 differences on it" in runs.sentence


# ---- claims

CLAIM = ("claim", "source", "figure", "benchmark", "task", "a_table", "a_condition", "b_table", "b_condition")


@pytest.mark.parametrize(
    ("figure", "severity"),
    [
        ("58", Severity.NOTE),  # 58.57 cut
        ("59", Severity.NOTE),  # 58.57 rounded
        ("58.6", Severity.NOTE),
        ("58.57", Severity.NOTE),
        ("60", Severity.WARNING),  # by weak's parts: 60.36
        ("57", Severity.ERROR),
        ("-59", Severity.ERROR),
    ],
)
def test_claims(tmp_path: Path, figure: str, severity: Severity) -> None:
    # weak's total is said to be 30.00, its parts give 28.21
    lines = with_changes({("weak", "hard"): "21.25", ("weak", "odd"): "25.00"})
    claim = ("C1", PAPER, figure, "Maze", "overall", "Table 2", "strong", "Table 2", "weak")
    path = folder(tmp_path, lines, BENCHMARKS, [CLAIM, claim])
    published = read_published(path)
    (finding,) = check_claims(published.scores, published.benchmarks, published.claims).findings
    assert finding.severity is severity
    assert finding.numbers["implied"] == pytest.approx(58.57)
    assert finding.numbers["implied_other"] == pytest.approx(100 * (620 - 197.5) / 700, abs=0.01)


def test_a_claim_the_other_way_round_has_the_other_sign(tmp_path: Path) -> None:
    claim = ("C1", PAPER, "-58.5", "Maze", "overall", "Table 2", "weak", "Table 2", "strong")
    published = read_published(folder(tmp_path, CLEAN, BENCHMARKS, [CLAIM, claim]))
    (finding,) = check_claims(published.scores, published.benchmarks, published.claims).findings
    assert finding.severity is Severity.NOTE
