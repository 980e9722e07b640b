"""Sensitivity: each other choice against the contrast computed by hand from the frames."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_study import IMAGES, SIZE, draw, percent, questions, rows_of, runs_of, with_contrasts

from analysis import Tables, contrasts, declare, from_frames, sensitivity

FINAL = draw(5, a=(4, 0.7), b=(3, 0.5), base=(0, 0.35))
STRICT = draw(6, a=(4, 0.5), b=(3, 0.45), base=(0, 0.2))
OTHER = draw(7, a=(4, 0.6), b=(3, 0.6), base=(0, 0.5))
ASKED = 15
"""Questions of the curve: the first, whose images are 0 to 5."""
STEPS = (10, 20, 30, 40)
CURVE = {step: draw(20 + step, a=(4, 0.4 + step / 100), b=(3, 0.3 + step / 100)) for step in STEPS}
ODD = [q for q in range(SIZE) if IMAGES[q] % 2 == 1]
EVEN = [q for q in range(SIZE) if IMAGES[q] % 2 == 0]
UNEVEN = {"a": {0: [3, 7], 1: [0], 3: [20]}, "b": {2: [7, 11]}, "base": {None: [22]}}
"""Questions with a truncated answer."""


def curve_rows(arm: str, seed: int) -> pd.DataFrame:
    frames = [rows_of({arm: {seed: CURVE[step][arm][seed][:ASKED]}}, phase="curve", step=step) for step in STEPS]
    return pd.concat(frames)


def study(
    *declared: dict, truncated: dict | None = None, curves: bool = False, other: tuple = (), completions: bool = True
) -> Tables:
    values = {"default": rows_of(FINAL, rule="default"), "strict": rows_of(STRICT, rule="strict")}
    answers = [frame.assign(phase="final", step=40, protocol="default") for frame in values.values()]
    for arm in other:
        kept = {arm: OTHER[arm]}
        answers.append(rows_of(kept, rule="default", phase="final", step=40, protocol="other"))
    if curves:
        answers += [
            curve_rows(arm, seed).assign(protocol="default", rule="default") for arm in "ab" for seed in FINAL[arm]
        ]
    told = answers[0][["run", "arm", "seed", "phase", "step", "protocol", "suite", "question"]]
    cut = [
        "length" if q in (truncated or {}).get(arm, {}).get(None if pd.isna(seed) else seed, []) else "stop"
        for arm, seed, q in zip(told["arm"], told["seed"], told["question"], strict=True)
    ]
    written = told.assign(sample=0, tokens=5, finish=cut)
    arms = [
        {"name": arm, "levels": {}, "protocol": "default"}
        | {"curve_questions": ASKED if curves and arm != "base" else 0}
        for arm in FINAL
    ]
    protocols = {name: {"method": "generate"} for name in ("default", "other")}
    made = from_frames(
        pd.concat(answers),
        questions(),
        runs_of(FINAL),
        {"arms": arms, "rules": ["default", "strict"], "protocols": protocols},
        **({"completions": written} if completions else {}),
    )
    return with_contrasts(made, *declared)


def choices(tables: Tables) -> dict[tuple[str, str], object]:
    return {(each.kind, each.choice): each for each in sensitivity(tables, contrasts(tables, draws=0))}


def check(found, a: list[float], b: list[float] | None, questions_: int, pairing: str = "none") -> None:
    """The interval is Welch's (or the paired t's; of a alone where b is a constant) of accuracies in percent."""
    if b is None:
        expected = stats.ttest_1samp(a, 0.0)
    else:
        expected = stats.ttest_rel(a, b) if pairing == "seed" else stats.ttest_ind(a, b, equal_var=False)
    low, high = expected.confidence_interval(0.95)
    interval = found.combined.interval
    assert (interval.low, interval.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))
    assert len(found.combined.position) == questions_


def on(values, chosen) -> list[float]:
    return [100.0 * np.mean([right[q] for q in chosen]) for right in values.values()]


def test_the_declared_choice_comes_first_and_changes_nothing() -> None:
    tables = study({"a": "a", "b": "b"})
    found = sensitivity(tables, contrasts(tables, draws=0))
    assert (found[0].kind, found[0].choice, found[0].effect, found[0].against) == (
        "declared",
        "default/default",
        "",
        "",
    )
    check(found[0], percent(FINAL["a"]), percent(FINAL["b"]), SIZE)
    assert sum(each.kind == "declared" for each in found) == 1


def test_other_rules_and_prompts_are_the_contrasts_declared_so() -> None:
    tables = study({"a": "a", "b": "b"}, other=("a", "b"))
    found = choices(tables)
    assert [key for key in found if key[0] != "declared"] == [("scoring rule", "strict"), ("prompt", "other")]
    check(found["scoring rule", "strict"], percent(STRICT["a"]), percent(STRICT["b"]), SIZE)
    check(found["prompt", "other"], percent(OTHER["a"]), percent(OTHER["b"]), SIZE)


def test_a_prompt_that_one_arm_lacks_is_no_choice() -> None:
    assert ("prompt", "other") not in choices(study({"a": "a", "b": "b"}, other=("a",)))


def test_declared_away_from_the_arms_own_the_own_is_a_choice() -> None:
    tables = study(other=("a", "b"))
    tables.study["contrasts"] = [declare(tables, {"arm": "a", "protocol": "other"}, "b")]
    found = choices(tables)
    check(found["declared", "other/default against default/default"], percent(OTHER["a"]), percent(FINAL["b"]), SIZE)
    check(found["prompt", "default"], percent(FINAL["a"]), percent(FINAL["b"]), SIZE)
    check(found["prompt", "other"], percent(OTHER["a"]), percent(OTHER["b"]), SIZE)


@pytest.mark.parametrize("pairing", ["none", "seed"])
def test_truncated_answers_are_counted_wrong_or_left_out(pairing: str) -> None:
    tables = study({"a": "a", "b": "b", "pairing": pairing}, truncated=UNEVEN)
    found = choices(tables)

    def cut(arm: str) -> list[float]:
        return [
            100.0 * sum(right[q] for q in range(SIZE) if q not in UNEVEN[arm].get(seed, [])) / SIZE
            for seed, right in FINAL[arm].items()
        ]

    whole = [q for q in range(SIZE) if q not in {3, 7, 0, 20, 11}]
    a, b = on(FINAL["a"], whole), on(FINAL["b"], whole)
    n = 3 if pairing == "seed" else 4
    check(found["truncation", "a truncated answer is wrong"], cut("a")[:n], cut("b"), SIZE, pairing)
    check(found["truncation", "questions with a truncated answer left out"], a[:n], b, len(whole), pairing)


def test_truncation_of_a_constant_side_counts_too() -> None:
    found = choices(study({"a": "a", "b": "base"}, truncated={"base": {None: [22, 5, 6]}}))
    whole = [q for q in range(SIZE) if q not in (22, 5, 6)]
    base = FINAL["base"][None]
    kept = 100.0 * sum(base[q] for q in whole) / SIZE
    check(found["truncation", "a truncated answer is wrong"], [each - kept for each in percent(FINAL["a"])], None, SIZE)
    left = [each - on({0: base}, whole)[0] for each in on(FINAL["a"], whole)]
    check(found["truncation", "questions with a truncated answer left out"], left, None, 20)


@pytest.mark.parametrize("fields", [{"truncated": None}, {"truncated": UNEVEN, "completions": False}])
def test_without_truncation_or_without_knowing_there_is_no_such_choice(fields: dict) -> None:
    assert not any(kind == "truncation" for kind, _ in choices(study({"a": "a", "b": "b"}, **fields)))


def best(arm: str, seed: int) -> int:
    """The earliest of the steps with the most right answers on the questions of even images."""
    scores = [sum(CURVE[step][arm][seed][q] for q in EVEN if q < ASKED) for step in STEPS]
    return STEPS[scores.index(max(scores))]


def test_checkpoint_rules_are_those_written_out() -> None:
    found = choices(study({"a": "a", "b": "b", "last_k": 2}, curves=True))
    asked, scored = list(range(ASKED)), [q for q in ODD if q < ASKED]
    check(found["checkpoint", "last, on the curve's questions"], on(FINAL["a"], asked), on(FINAL["b"], asked), ASKED)
    chosen = {
        arm: [100.0 * np.mean([CURVE[best(arm, seed)][arm][seed][q] for q in scored]) for seed in FINAL[arm]]
        for arm in "ab"
    }
    steps = [best(arm, seed) for arm in "ab" for seed in FINAL[arm]]
    label = f"best on one half, scored on the other: after step {min(steps)} to {max(steps)}"
    check(found["checkpoint", label], chosen["a"], chosen["b"], len(scored))
    assert found["checkpoint", label].against == "last, on the scored half's questions"
    half = found["checkpoint", "last, on the scored half's questions"]
    check(half, on(FINAL["a"], scored), on(FINAL["b"], scored), len(scored))
    assert found["checkpoint", "mean of the last 2"].against == "last, on the curve's questions"
    last = {
        arm: [100.0 * np.mean([CURVE[step][arm][seed][:ASKED] for step in (30, 40)]) for seed in FINAL[arm]]
        for arm in "ab"
    }
    check(found["checkpoint", "mean of the last 2"], last["a"], last["b"], ASKED)
    assert len(set(steps)) > 1  # the rule picks, it doesn't always take the same


def test_a_constant_side_is_its_one_checkpoint_on_the_same_questions() -> None:
    found = choices(study({"a": "a", "b": "base"}, curves=True))
    base = FINAL["base"][None]
    for choice, chosen in (
        ("best on one half, scored on the other", ODD),
        ("last, on the curve's questions", range(SIZE)),
    ):
        asked = [q for q in chosen if q < ASKED]
        own = 100.0 * np.mean([base[q] for q in asked])
        of = CURVE if "best" in choice else None
        a = [
            100.0 * np.mean([(of[best("a", s)]["a"][s] if of else FINAL["a"][s])[q] for q in asked]) for s in FINAL["a"]
        ]
        (key,) = [key for key in found if key[1].startswith(choice)]
        check(found[key], [each - own for each in a], None, len(asked))


def test_ties_go_to_the_earliest_checkpoint() -> None:
    """All checkpoints alike on the choosing half; only the first is right on the other. The start is no choice."""
    start = [1 if IMAGES[q] % 2 == 0 else 0 for q in range(ASKED)]
    rows = [rows_of({"a": {seed: start}}, phase="curve", step=0) for seed in range(2)]
    for step in STEPS:
        right = [1 if IMAGES[q] % 2 == 0 or step == STEPS[0] else 0 for q in range(ASKED)]
        rows += [rows_of({"a": {seed: right}}, phase="curve", step=step) for seed in range(2)]
    values = {"a": {0: [0] * SIZE, 1: [0] * SIZE}, "base": {None: [0] * SIZE}}
    answers = pd.concat([*rows, rows_of(values, phase="final", step=40)])
    arms = [
        {"name": arm, "levels": {}, "protocol": "default", "curve_questions": asked}
        for arm, asked in (("a", ASKED), ("base", 0))
    ]
    tables = from_frames(answers, questions(), runs_of(values), {"arms": arms})
    tables = with_contrasts(tables, {"a": "a", "b": "base", "checkpoint": "best_half"})
    (result,) = contrasts(tables, draws=0)
    assert result.interval.mean == 100.0
    assert {tuple(run.position) for run in result.combined.parts[0].values.found} == {
        tuple(q for q in ODD if q < ASKED)
    }


def test_a_declared_checkpoint_rule_is_the_declared_choice() -> None:
    tables = study({"a": "a", "b": "b", "checkpoint": "mean_last", "last_k": 3}, curves=True)
    found = choices(tables)
    declared = next(each for (kind, _), each in found.items() if kind == "declared")
    last = [100.0 * np.mean([CURVE[step]["a"][s][:ASKED] for step in (20, 30, 40)]) for s in FINAL["a"]]
    other = [100.0 * np.mean([CURVE[step]["b"][s][:ASKED] for step in (20, 30, 40)]) for s in FINAL["b"]]
    check(declared, last, other, ASKED)
    assert declared.choice == "default/default, checkpoint mean_last"


def test_what_changes_the_verdict_is_marked() -> None:
    tables = study(
        {"a": "a", "b": "b"}, {"a": "a", "b": "base", "name": "two"}, truncated=UNEVEN, other=("a", "b", "base")
    )
    found = sensitivity(tables, contrasts(tables, draws=0))
    declared = {each.contrast: each for each in found if each.kind == "declared"}
    for each in found:
        interval = each.combined.interval
        direction = "higher" if interval.low > 0 else "lower" if interval.high < 0 else "inconclusive"
        assert each.verdict.name == direction
        if each.kind == "declared":
            continue
        other = declared[each.contrast]
        assert each.against == other.choice
        outside = not other.combined.interval.low <= interval.mean <= other.combined.interval.high
        assert each.effect == ("verdict" if each.verdict.name != other.verdict.name else "estimate" if outside else "")
    assert {each.effect for each in found} >= {"", "verdict"}


def test_a_choice_that_changes_equivalence_alone_changes_the_verdict() -> None:
    """Ends of the 90 % intervals by hand: a margin between the declared one's and the strict rule's."""
    ends = {}
    for name, values in (("default", FINAL), ("strict", STRICT)):
        test = stats.ttest_ind(percent(values["a"]), percent(values["b"]), equal_var=False)
        ends[name] = max(map(abs, test.confidence_interval(0.90)))
    margin = sum(ends.values()) / 2
    tables = study({"a": "a", "b": "b", "margin": margin})
    found = sensitivity(tables, contrasts(tables, draws=0))
    declared, strict = (next(each for each in found if each.kind == kind) for kind in ("declared", "scoring rule"))
    assert declared.verdict.equivalent != strict.verdict.equivalent
    assert strict.effect == "verdict"


def test_other_metrics_and_curve_steps_have_fewer_choices() -> None:
    tables = study({"a": "a", "b": "b", "metric": "tokens"}, truncated=UNEVEN)
    assert sensitivity(tables, contrasts(tables, draws=0)) == []
    step = {"a": {"arm": "a", "step": 20}, "b": {"arm": "a", "step": 10}}
    found = choices(study(step, curves=True, other=("a",)))
    assert {kind for kind, _ in found} <= {"declared", "scoring rule"}


def test_two_steps_of_one_arm_are_differences_within_its_runs() -> None:
    """The same runs on both sides belong together, declared so or not."""
    tables = study({"a": {"arm": "a", "step": 40}, "b": {"arm": "a", "step": 10}}, curves=True)
    (result,) = contrasts(tables, draws=50)
    late, early = ([100.0 * np.mean(CURVE[step]["a"][s][:ASKED]) for s in FINAL["a"]] for step in (40, 10))
    expected = stats.ttest_rel(late, early)
    low, high = expected.confidence_interval(0.95)
    assert result.method == "t over differences within runs"
    assert (result.interval.low, result.interval.high) == (pytest.approx(low), pytest.approx(high))
    assert result.interval.p == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("alike", [True, False])
def test_step_0_is_one_start_model_where_its_runs_answer_alike(alike: bool) -> None:
    start = {s: FINAL["base"][None][:ASKED] if alike else CURVE[10]["a"][s][:ASKED] for s in range(3)}
    late = {s: CURVE[40]["a"][s][:ASKED] for s in range(3)}
    values = {"a": {s: FINAL["a"][s] for s in range(3)}}
    answers = [rows_of({"a": of}, phase="curve", step=step) for step, of in ((0, start), (40, late))]
    arms = [{"name": "a", "levels": {}, "protocol": "default", "curve_questions": ASKED}]
    frames = (pd.concat([*answers, rows_of(values, phase="final", step=40)]), questions(), runs_of(values))
    tables = from_frames(*frames, study={"arms": arms})
    tables = with_contrasts(tables, {"a": {"arm": "a", "step": 40}, "b": {"arm": "a", "step": 0}})
    (result,) = contrasts(tables, draws=0)
    after = [100.0 * np.mean(of) for of in late.values()]
    before = [100.0 * np.mean(of) for of in start.values()]
    expected = stats.ttest_1samp(after, before[0]) if alike else stats.ttest_rel(after, before)
    assert result.ns == ((3, 1) if alike else (3, 3))
    assert result.interval.p == pytest.approx(expected.pvalue)
    assert result.interval.mean == pytest.approx(np.mean(after) - np.mean(before))


def test_an_estimate_outside_of_the_other_interval_is_marked_though_the_verdict_stays() -> None:
    def right(count: int) -> list[int]:
        return [int(q < count) for q in range(SIZE)]

    def values(first: int) -> dict:
        return {"a": {s: right(first + s % 2) for s in range(4)}, "base": {None: right(3)}}

    answers = pd.concat([rows_of(values(20), rule="default"), rows_of(values(12), rule="strict")])
    made = from_frames(answers, questions(), runs_of(values(20)), {"rules": ["default", "strict"]})
    found = choices(with_contrasts(made, {"a": "a", "b": "base"}))
    strict = found["scoring rule", "strict"]
    assert strict.verdict.name == "higher"
    assert (strict.effect, strict.against) == ("estimate", "default/default")
