from collections.abc import Callable
from pathlib import Path
from typing import Any

import fabricated_study
import pyarrow.parquet as pq
import pytest
from scipy import stats

from analysis import contrasts, load


def by_name(folder: Path) -> dict[str, Any]:
    return {result.name: result for result in contrasts(load(folder), draws=0)}


def accuracies(folder: Path, arm: str) -> dict[int | None, float]:
    frame = pq.read_table(folder / "answers.parquet").to_pandas()
    chosen = frame[(frame["arm"] == arm) & (frame["phase"] == "final") & (frame["rule"] == "lenient")]
    chosen = chosen[chosen["protocol"] == fabricated_study.ARMS[arm]["protocol"]]
    means = 100 * chosen.groupby("seed", dropna=False)["correct"].mean()
    return {None if seed != seed else int(seed): float(mean) for seed, mean in means.items()}


def test_seed_paired_contrast_is_the_paired_t_of_the_seeds(fabricate: Callable[..., Path]) -> None:
    folder = fabricate()
    result = by_name(folder)["grpo-vs-sft"]
    a, b = accuracies(folder, "base+grpo"), accuracies(folder, "base+sft")
    expected = stats.ttest_rel([a[0], a[1], a[2]], [b[0], b[1], b[2]])
    interval = expected.confidence_interval()
    assert result.method == "t over seed-paired differences"
    assert result.per_seed == {f"seed={s}": pytest.approx(a[s] - b[s]) for s in range(3)}
    assert (result.interval.low, result.interval.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert (result.ns, result.interval.df, result.missing) == ((3, 3), 2, 0)
    assert result.interval.p == pytest.approx(expected.pvalue)


def test_lost_seeds_are_named_and_counted(collected: Path) -> None:
    result = by_name(collected)["grpo-vs-sft"]
    assert list(result.per_seed) == ["seed=0", "seed=1"]
    assert result.lost == {
        "base+grpo/seed=2": "failed: out of memory",
        "base+sft/seed=2": "seed 2 is not finished in base+grpo",
    }
    assert (result.missing, result.planned) == (2, 6)
    assert "base+grpo/seed=2 (failed: out of memory)" in result.sentence


def test_unpaired_contrast_is_welch(collected: Path) -> None:
    result = by_name(collected)["grpo-unpaired"]
    a, b = accuracies(collected, "base+grpo"), accuracies(collected, "base+sft")
    expected = stats.ttest_ind(list(a.values()), list(b.values()), equal_var=False)
    assert result.ns == (2, 3)
    assert result.interval.df == pytest.approx(expected.df)
    assert result.interval.p == pytest.approx(expected.pvalue)


def test_a_single_run_stands_against_every_seed(collected: Path) -> None:
    result = by_name(collected)["grpo-vs-base"]
    base = accuracies(collected, "base")[None]
    values = [value - base for value in accuracies(collected, "base+grpo").values()]
    assert result.method == "t over seeds against a known constant"
    assert result.interval.mean == pytest.approx(sum(values) / 2)
    assert result.interval.df == 1


def test_the_sign_follows_the_sides_when_the_single_run_is_first(fabricate: Callable[..., Path]) -> None:
    folder = fabricate(contrasts=[{"name": "turned", "question": "", "a": "base", "b": "base+grpo"}])
    result = by_name(folder)["turned"]
    assert result.interval.mean < -70
    assert "base scores" in result.sentence
    assert "lower than base+grpo" in result.sentence


def test_two_single_runs_are_paired_by_question_and_say_so(collected: Path) -> None:
    result = by_name(collected)["instruct-vs-base"]
    assert result.method == "t over questions, clustered by image"
    assert (result.interval.n, result.interval.clusters, result.interval.df) == (120, 60, 59)
    assert "for these checkpoints only" in result.sentence


def test_one_seed_gives_the_two_checkpoints(fabricate: Callable[..., Path]) -> None:
    results = by_name(fabricate(seeds=(1,)))
    assert all(result.method == "t over questions, clustered by image" for result in results.values())
    assert all("for these checkpoints only" in result.sentence for result in results.values())


def test_one_seed_against_several_unpaired_has_no_interval(fabricate: Callable[..., Path]) -> None:
    lost = {f"base+grpo/seed={seed}": "killed" for seed in (0, 1)}
    result = by_name(fabricate(lost=lost))["grpo-unpaired"]
    assert result.interval.half_width is None
    assert result.reason == "one seed of base+grpo shows no spread"
    assert "there is no interval, because one seed of base+grpo" in result.sentence


def test_missing_arms_and_seeds_give_a_reason(fabricate: Callable[..., Path]) -> None:
    lost = {f"base+grpo/seed={seed}": "killed" for seed in range(3)}
    result = by_name(fabricate("none", lost=lost))["grpo-vs-sft"]
    assert (result.interval, result.missing) == (None, 3)
    assert result.reason == "no run of base+grpo is there"
    assert "no result, because no run of base+grpo is there" in result.sentence
    assert list(result.lost.values())[:3] == ["failed: killed"] * 3
    lost = {"base+grpo/seed=0": "killed", "base+sft/seed=1": "killed", "base+sft/seed=2": "killed"}
    result = by_name(fabricate("crossed", lost=lost))["grpo-vs-sft"]
    assert result.reason == "the sides have no finished seed in common"
    assert result.missing == 6


def test_sides_may_name_protocol_and_rule(fabricate: Callable[..., Path]) -> None:
    contrast = {
        "name": "format",
        "question": "Is it the format?",
        "a": {"arm": "base+sft", "protocol": "instruct-direct", "rule": "lenient"},
        "b": {"arm": "base+sft", "protocol": "instruct-direct", "rule": "strict"},
        "pairing": "seed",
    }
    result = by_name(fabricate(contrasts=[contrast]))["format"]
    assert result.labels == ("base+sft (instruct-direct, lenient)", "base+sft (instruct-direct, strict)")
    assert 0 < result.interval.mean < 10
    contrast["b"] = {"arm": "base+sft", "protocol": "base-think", "rule": "lenient"}
    result = by_name(fabricate("other", contrasts=[contrast]))["format"]
    assert result.interval is None
    assert result.reason == "no run of base+sft is there"
    assert set(result.lost.values()) == {"no answers under base-think/lenient"}


def values(folder: Path, table: str, column: str, step: int | None, first: int = 120) -> dict[int, float]:
    """Mean by seed of base+grpo's values, at a checkpoint of the curve or at the end, on the first questions."""
    frame = pq.read_table(folder / f"{table}.parquet").to_pandas()
    frame = frame[(frame["arm"] == "base+grpo") & (frame["protocol"] == "base-think") & (frame["question"] < first)]
    frame = frame[frame["phase"] == "final"] if step is None else frame[(frame["phase"] == "curve")]
    frame = frame if step is None else frame[frame["step"] == step]
    frame = frame.assign(**{column: frame[column].astype(float).fillna(1.0)})  # no reasoning repeats nothing
    return {int(seed): float(mean) for seed, mean in frame.groupby("seed")[column].mean().items()}


@pytest.mark.parametrize(
    ("metric", "table", "column", "factor", "unit", "words"),
    [
        ("well_formed", "traces", "well_formed", 100, "percentage point", "well-formed replies"),
        ("tokens", "completions", "tokens", 1, "token", "tokens fewer per completion than base+grpo (step 50)"),
        ("reflection", "traces", "reflection_markers", 1, "marker", "reflection markers "),
        ("distinct_words", "traces", "distinct_words_share", 100, "percentage point", "the share of distinct words"),
    ],
)
def test_a_metric_of_the_completions_is_compared_like_accuracy(
    fabricate: Callable[..., Path], metric: str, table: str, column: str, factor: int, unit: str, words: str
) -> None:
    sides = {"a": {"arm": "base+grpo", "step": 200}, "b": {"arm": "base+grpo", "step": 50}}
    folder = fabricate(contrasts=[{"name": "m", "question": "", "pairing": "seed", "metric": metric} | sides])
    result = by_name(folder)["m"]
    late, early = values(folder, table, column, 200), values(folder, table, column, 50)
    expected = stats.ttest_rel([factor * late[seed] for seed in range(3)], [factor * early[seed] for seed in range(3)])
    assert result.interval.mean == pytest.approx(sum(factor * (late[s] - early[s]) for s in range(3)) / 3)
    assert result.interval.p == pytest.approx(expected.pvalue)
    assert result.unit == unit
    assert result.labels == ("base+grpo (step 200)", "base+grpo (step 50)")
    assert words in result.sentence


def test_a_checkpoint_and_the_end_are_compared_on_the_curves_questions(fabricate: Callable[..., Path]) -> None:
    declared = {"name": "m", "question": "", "a": "base+grpo", "b": {"arm": "base+grpo", "step": 0}, "pairing": "seed"}
    folder = fabricate(contrasts=[declared, declared | {"name": "t", "metric": "tokens"}])
    for name, table, column, factor in (("m", "answers", "correct", 100), ("t", "completions", "tokens", 1)):
        result = by_name(folder)[name]
        frames = [values(folder, table, column, step, first=60) for step in (None, 0)]
        if table == "answers":  # two rules
            frame = pq.read_table(folder / "answers.parquet").to_pandas()
            frame = frame[(frame["arm"] == "base+grpo") & (frame["rule"] == "lenient") & (frame["question"] < 60)]
            ends = (frame["phase"] == "final", (frame["phase"] == "curve") & (frame["step"] == 0))
            frames = [frame[end].groupby("seed")["correct"].mean().to_dict() for end in ends]
        assert result.per_seed == {f"seed={s}": pytest.approx(factor * (frames[0][s] - frames[1][s])) for s in range(3)}
        assert "on these 60 questions" in result.sentence
        assert result.labels == ("base+grpo (last step)", "base+grpo (step 0)")


def test_other_arms_are_cut_to_the_curves_questions_too(fabricate: Callable[..., Path]) -> None:
    sides = {"a": {"arm": "base+grpo", "step": 100}, "b": "instruct"}
    unpaired = {"a": {"arm": "base+grpo", "step": 100}, "b": "base+sft"}
    folder = fabricate(contrasts=[{"name": "m", "question": ""} | sides, {"name": "w", "question": ""} | unpaired])
    frame = pq.read_table(folder / "answers.parquet").to_pandas()
    frame = frame[(frame["rule"] == "lenient") & (frame["question"] < 60)]
    late = frame[(frame["arm"] == "base+grpo") & (frame["phase"] == "curve") & (frame["step"] == 100)]
    late = 100 * late.groupby("seed")["correct"].mean()
    final = frame[frame["phase"] == "final"]
    one = final[(final["arm"] == "instruct") & (final["protocol"] == "instruct-think")]
    results = by_name(folder)
    assert results["m"].interval.mean == pytest.approx(late.mean() - 100 * one["correct"].mean())
    assert results["m"].interval.df == 2
    sft = 100 * final[final["arm"] == "base+sft"].groupby("seed")["correct"].mean()
    assert results["w"].interval.df == pytest.approx(stats.ttest_ind(late, sft, equal_var=False).df)
    assert results["m"].labels == ("base+grpo (step 100)", "instruct")


def test_a_run_whose_curve_lacks_a_question_is_lost(fabricate: Callable[..., Path]) -> None:
    folder = fabricate(contrasts=[{"name": "m", "question": "", "a": {"arm": "base+grpo", "step": 50}, "b": "base"}])
    rows = pq.read_table(folder / "answers.parquet").to_pylist()
    lacking = ("base+grpo/seed=1", "curve", 50, 7)
    kept = [row for row in rows if (row["run"], row["phase"], row["step"], row["question"]) != lacking]
    fabricated_study.write(folder, "answers", kept)
    result = by_name(folder)["m"]
    assert result.lost == {"base+grpo/seed=1": "59 of 60 questions answered"}
    assert result.ns[0] == 2


def test_a_step_without_answers_gives_a_reason(fabricate: Callable[..., Path]) -> None:
    folder = fabricate(contrasts=[{"name": "m", "question": "", "a": {"arm": "base+grpo", "step": 70}, "b": "base"}])
    result = by_name(folder)["m"]
    assert result.reason == "no run of base+grpo is there"
    assert set(result.lost.values()) == {"no answers under base-think/lenient at step 70"}


@pytest.mark.parametrize("margin", [60.0, 1.0, 0.001])
def test_the_margin_is_judged_by_the_whole_interval(fabricate: Callable[..., Path], margin: float) -> None:
    declared = {"name": "m", "question": "", "a": "base+grpo", "b": "base+sft", "pairing": "seed", "margin": margin}
    result = by_name(fabricate(contrasts=[declared]))["m"]
    low, high = result.interval.low, result.interval.high
    assert low < 0 < high < 60
    assert ("equivalent by the declared standard" in result.sentence) == (margin == 60.0)
    assert ("stays open" in result.sentence) == (margin < 60.0)
    assert "compatible with anything from base+sft ahead by" in result.sentence
    assert "significant" not in result.sentence
