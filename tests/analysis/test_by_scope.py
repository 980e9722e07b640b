"""Contrasts by task, source and suite: those of the questions alone, the worst marked, nothing hidden by a mean."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_study import IMAGES, SIZE, TASKS, draw, questions, rows_of, runs_of, small, with_contrasts
from statsmodels.stats.multitest import multipletests

from analysis import by_scope, contrasts, from_frames
from analysis.scopes import SUITES, scopes

VALUES = draw(5, a=(4, 0.75), b=(3, 0.45), base=(0, 0.3), tuned=(0, 0.6))
PAIRS = ({"a": "a", "b": "b"}, {"a": "a", "b": "b", "pairing": "seed", "name": "paired"}, {"a": "tuned", "b": "base"})


def accuracy(arm: str, chosen: np.ndarray) -> list[float]:
    return [100.0 * np.array(right)[chosen].mean() for right in VALUES[arm].values()]


def test_a_task_is_the_same_contrast_on_its_questions_alone() -> None:
    tables = with_contrasts(small(VALUES), *PAIRS)
    found = {(each.contrast, each.scope): each for each in by_scope(tables, contrasts(tables, draws=0))}
    assert set(found) == {(name, task) for name in ("a-vs-b", "paired", "tuned-vs-base") for task in ("Depth", "Count")}
    for task in ("Depth", "Count"):
        chosen = np.array(TASKS) == task
        a, b = accuracy("a", chosen), accuracy("b", chosen)
        welch = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
        paired = stats.ttest_rel(a[:3], b).confidence_interval(0.95)
        for name, expected in (("a-vs-b", welch), ("paired", paired)):
            interval = found[name, task].combined.interval
            assert (interval.low, interval.high) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
        alone = from_frames(
            rows_of({"tuned": VALUES["tuned"], "base": VALUES["base"]}).iloc[np.tile(chosen, 2)],
            questions()[chosen],
            runs_of({"tuned": VALUES["tuned"], "base": VALUES["base"]}),
        )
        (expected,) = contrasts(with_contrasts(alone, PAIRS[2]), draws=0)
        interval = found["tuned-vs-base", task].combined.interval
        assert interval.low == pytest.approx(expected.interval.low)
        assert interval.standard_error == pytest.approx(expected.interval.standard_error)
        assert (interval.n, interval.clusters) == (chosen.sum(), len({IMAGES[i] for i in np.flatnonzero(chosen)}))


def test_p_values_are_adjusted_over_all_lines() -> None:
    tables = with_contrasts(small(VALUES), *PAIRS)
    found = by_scope(tables, contrasts(tables, draws=0))
    raw = [each.combined.interval.p for each in found]
    assert len(raw) == 6
    assert [each.p_adjusted for each in found] == pytest.approx(multipletests(raw, method="fdr_bh")[1])


def lifted(tasks: list[str], sources: list[str], right_of: dict[str, int]) -> list:
    """tuned is right where ``right_of`` of its task or source says so, base never: by_scope of the difference."""
    right = [int(right_of.get(task, 0) or right_of.get(source, 0)) for task, source in zip(tasks, sources, strict=True)]
    values = {"tuned": {None: right}, "base": {None: [0] * SIZE}}
    tables = with_contrasts(small(values, questions(task=tasks, source=sources)), {"a": "tuned", "b": "base"})
    return by_scope(tables, contrasts(tables, draws=0))


def test_the_worst_is_the_lowest_of_its_kind() -> None:
    tasks = ["Count", "Depth", "Distance"] * 7 + ["Count", "Count"]
    found = lifted(tasks, ["x"] * SIZE, {"Count": 1, "Distance": 1})
    assert {each.scope: each.lowest for each in found} == {"Count": False, "Depth": True, "Distance": False}
    assert {each.kind for each in found} == {"task"}


def test_the_worst_of_tasks_and_of_sources_are_marked_apart_and_totals_never() -> None:
    tasks = (["Count"] * 8) + (["Depth"] * 15)
    sources = (["ADE20K", "COCO"] * 4) + (["Omni3D"] * 15)
    found = lifted(tasks, sources, {"ADE20K": 1, "Omni3D": 1})
    kinds = {each.scope: (each.kind, each.lowest) for each in found}
    assert kinds == {
        "benchmark": ("total", False),
        "Count": ("task", True),
        "Depth": ("task", False),
        "ADE20K": ("source", False),
        "COCO": ("source", True),
        "Omni3D": ("source", False),
    }


def two_suites() -> tuple:
    """Suite big has 20 questions where a is ahead, suite little 3 where a is behind."""
    asked = pd.DataFrame({"suite": ["big"] * 20 + ["little"] * 3, "question": [*range(20), *range(3)]})
    asked = asked.assign(task=["Count", "Depth"] * 10 + ["Count"] * 3, image=[f"{i}" for i in IMAGES], source="x")
    rows = []
    for arm, (big, little) in {"a": (0.9, 0.0), "b": (0.2, 1.0)}.items():
        for seed in range(3):
            rng = np.random.default_rng(seed + 10 * len(rows))
            for suite, question in zip(asked["suite"], asked["question"], strict=True):
                right = bool(rng.random() < big) if suite == "big" else bool(little)
                rows.append((f"{arm}/{seed}", arm, seed, suite, question, right))
    columns = ["run", "arm", "seed", "suite", "question", "correct"]
    return asked, pd.DataFrame(rows, columns=columns)


def test_several_suites_count_alike_and_none_is_hidden() -> None:
    asked, answers = two_suites()
    tables = from_frames(answers, asked)
    tables = with_contrasts(tables, {"a": "a", "b": "b", "pairing": "seed"})
    results = contrasts(tables, draws=0)
    by_seed = answers.groupby(["arm", "seed", "suite"])["correct"].mean() * 100
    per_suite = {suite: by_seed.xs(suite, level="suite") for suite in ("big", "little")}
    mean = (per_suite["big"] + per_suite["little"]) / 2
    expected = stats.ttest_rel(mean["a"], mean["b"]).confidence_interval(0.95)
    (result,) = results
    assert (result.interval.low, result.interval.high) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
    overall = answers.groupby(["arm", "seed"])["correct"].mean() * 100
    assert result.interval.mean != pytest.approx((overall["a"] - overall["b"]).mean(), abs=5)

    found = {each.scope: each for each in by_scope(tables, results)}
    assert list(scopes(tables.questions)) == [
        *(SUITES, "big", "big: Count", "big: Depth", "little", "little: Count"),
    ]
    assert set(found) == {"big", "big: Count", "big: Depth", "little", "little: Count"}
    assert {name: each.kind for name, each in found.items()} == {
        name: "suite" if ":" not in name else "task" for name in found
    }
    assert {name for name, each in found.items() if each.lowest} == {"little", "little: Count"}
    # a is behind by 100 points in each seed there, without any spread
    assert found["little"].combined.interval.mean == -100.0
    assert found["big"].combined.interval.mean > 50
    for suite, values in per_suite.items():
        difference = (values["a"] - values["b"]).mean()
        assert found[suite].combined.interval.mean == pytest.approx(difference)


def test_a_joint_bootstrap_gives_every_line_its_own_interval() -> None:
    tables = with_contrasts(small(VALUES), PAIRS[1])
    results = contrasts(tables, draws=400)
    found = {each.scope: each.bootstrap for each in by_scope(tables, results, draws=400)}
    share = np.mean(np.array(TASKS) == "Depth")
    parts = share * found["Depth"].estimate + (1 - share) * found["Count"].estimate
    assert parts == pytest.approx(results[0].bootstrap.estimate)
    assert found["Depth"].standard_error > results[0].bootstrap.standard_error


def test_a_contrast_without_an_estimate_has_no_lines() -> None:
    tables = small({"a": VALUES["a"], "b": VALUES["b"]})
    tables.runs.loc[tables.runs["arm"] == "b", "state"] = "failed"
    answers = tables.answers[tables.answers["arm"] == "a"].drop(columns="position")
    tables = from_frames(answers, questions(), tables.runs, tables.study)
    results = contrasts(with_contrasts(tables, {"a": "a", "b": "b"}), draws=0)
    assert results[0].interval is None
    assert by_scope(tables, results) == []


def test_a_task_that_is_alone_is_not_the_lowest_of_anything() -> None:
    found = lifted(["Count"] * SIZE, ["x"] * SIZE, {})
    assert [(each.scope, each.lowest) for each in found] == [("Count", False)]


def test_totals_of_two_suites_are_not_held_against_each_other() -> None:
    """Both of CV-Bench's sources: each suite has a total of its own besides the score that is its line."""
    sources = ["ADE20K", "COCO", "Omni3D"]
    asked = pd.DataFrame({"suite": ["s"] * 6 + ["t"] * 6, "question": [*range(6)] * 2, "source": sources * 4})
    asked = asked.assign(task=["Count", "Count", "Depth"] * 4, image=[str(i) for i in range(12)])
    right = {"tuned": [1] * 6 + [0] * 6, "base": [0] * 12}
    rows = [
        (arm, arm, suite, question, bool(each))
        for arm, of in right.items()
        for suite, question, each in zip(asked["suite"], asked["question"], of, strict=True)
    ]
    answers = pd.DataFrame(rows, columns=["run", "arm", "suite", "question", "correct"])
    tables = with_contrasts(from_frames(answers, asked), {"a": "tuned", "b": "base"})
    found = {each.scope: each for each in by_scope(tables, contrasts(tables, draws=0))}
    assert {name for name, each in found.items() if each.kind == "total"} == {"s: benchmark", "t: benchmark"}
    lowest = {name for name, each in found.items() if each.lowest}
    assert "t" in lowest
    assert not lowest & {"s: benchmark", "t: benchmark"}


def test_suites_keep_their_shares_on_questions_of_which_one_has_most() -> None:
    """A curve over 15 of big's 20 questions and 1 of little's 3 is still the mean of two suites."""
    asked, answers = two_suites()
    kept = ((answers["suite"] == "big") & (answers["question"] < 15)) | (
        (answers["suite"] == "little") & (answers["question"] == 1)
    )
    tables = from_frames(
        pd.concat([answers.assign(phase="final", step=9), answers[kept].assign(phase="curve", step=5)]), asked
    )
    step = {"a": {"arm": "a", "step": 5}, "b": {"arm": "b", "step": 5}, "pairing": "seed"}
    (result,) = contrasts(with_contrasts(tables, step), draws=50)
    by_suite = answers[kept].groupby(["arm", "seed", "suite"])["correct"].mean() * 100
    means = by_suite.groupby(["arm", "seed"]).mean()
    expected = stats.ttest_rel(means["a"], means["b"]).confidence_interval(0.95)
    assert (result.interval.low, result.interval.high) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
    assert result.bootstrap.estimate == pytest.approx(result.interval.mean)
    assert [pair.interval.mean for pair in result.checkpoints] == pytest.approx(list(means["a"] - means["b"]))


def test_the_benchmarks_total_keeps_its_formula_on_some_questions() -> None:
    sources = ["ADE20K"] * 8 + ["COCO"] * 5 + ["Omni3D"] * 10
    kept = [0, 1, 2, 3, 4, 5, 6, 8, 13, 14]
    asked, rows = questions(source=sources), rows_of(VALUES)
    rows = pd.concat(
        [rows.assign(phase="final", step=9), rows[rows["question"].isin(kept)].assign(phase="curve", step=5)]
    )
    tables = from_frames(rows, asked, runs_of(VALUES))
    step = {"a": {"arm": "a", "step": 5}, "b": {"arm": "b", "step": 5}}
    results = contrasts(with_contrasts(tables, step), draws=0)
    (total,) = (each for each in by_scope(tables, results, draws=50) if each.scope == "benchmark")

    def score(right: list[int]) -> float:
        means = {name: np.mean([right[i] for i in kept if sources[i] == name]) for name in set(sources)}
        return 100 * ((means["ADE20K"] + means["COCO"]) / 2 + means["Omni3D"]) / 2

    a, b = ([score(right) for right in VALUES[arm].values()] for arm in "ab")
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    interval = total.combined.interval
    assert (interval.low, interval.high) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
    assert total.bootstrap.estimate == pytest.approx(np.mean(a) - np.mean(b))
    # all questions count the same in the first score, whatever their sources
    plain = [[100 * np.mean([right[i] for i in kept]) for right in VALUES[arm].values()] for arm in "ab"]
    assert results[0].interval.mean == pytest.approx(np.mean(plain[0]) - np.mean(plain[1]))
