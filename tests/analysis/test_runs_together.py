"""Which runs belong together: the start model under every seed, one run on two sides, seeds of a printed difference."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import CollectedError, contrast, contrasts, declare, from_frames
from analysis.collected import Tables
from analysis.tables.contrasts import evidence

QUESTIONS = pd.DataFrame(
    {"question": range(40), "task": ["x", "y"] * 20, "image": [f"{i // 2}" for i in range(40)]}
    | {"choices": [["1", "2"]] * 40, "answer": "1", "answer_letter": "A"}
)


def tables(correct: dict[str, np.ndarray], contrasts: list[dict] | None = None, **more: np.ndarray) -> Tables:
    """A study of arms with runs, each a row of right and wrong; ``curve`` holds checkpoints by (arm, seed, step)."""
    rows = []
    for arm, matrix in correct.items():
        for seed, right in enumerate(matrix):
            run = {"run": f"{arm}/seed={seed}", "arm": arm, "seed": seed}
            rows += [run | {"question": q, "correct": bool(c), "step": 100} for q, c in enumerate(right)]
            for step, at_step in (more.get(arm) or {}).items():
                rows += [
                    run | {"question": q, "correct": bool(c), "step": step, "phase": "curve"}
                    for q, c in enumerate(at_step[seed])
                ]
    frame = pd.DataFrame(rows).fillna({"phase": "final"}) if more else pd.DataFrame(rows)
    made = from_frames(frame, QUESTIONS)
    arms = [{**arm, "curve_questions": 40 if more else 0} for arm in made.study["arms"]]
    return from_frames(frame, QUESTIONS, study={"arms": arms, "contrasts": contrasts or []})


def drawn(seed: int, *shares: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.random(40) < share for share in shares])


def score(matrix: np.ndarray) -> np.ndarray:
    return 100.0 * matrix.mean(axis=1)


def test_step_0_is_one_start_model_and_a_known_constant() -> None:
    start = np.repeat(drawn(1, 0.3), 4, axis=0)
    last = drawn(2, 0.5, 0.6, 0.7, 0.8)
    study = tables({"grpo": last}, grpo={0: start, 50: drawn(3, 0.4, 0.4, 0.5, 0.5)})
    found = contrast(study, declare(study, "grpo", {"arm": "grpo", "step": 0}), draws=0)
    expected = stats.ttest_1samp(score(last), score(start)[0])
    assert found.method == "t over seeds against a known constant"
    assert found.ns == (4, 1)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval.low == pytest.approx(expected.confidence_interval().low - score(start)[0])
    assert (found.planned, found.missing) == (5, 0)


@pytest.mark.parametrize("against", ["grpo", "other"])
def test_a_run_that_the_start_model_is_not_read_from_is_told_of_and_nothing_of_it_is_missing(against: str) -> None:
    start = np.repeat(drawn(1, 0.3), 4, axis=0)
    arms = {"grpo": drawn(2, 0.5, 0.6, 0.7, 0.8), "other": drawn(4, 0.5, 0.6, 0.4, 0.5)}
    made = tables(arms, grpo={0: start, 50: drawn(3, 0.4, 0.4, 0.5, 0.5)})
    failed = [json.dumps({"frozen": {"passed": run != "grpo/seed=2", "detail": "moved"}}) for run in made.runs["run"]]
    study = replace(made, runs=made.runs.assign(checks=failed))
    found = contrast(study, declare(study, against, {"arm": "grpo", "step": 0}), draws=0)
    told = "excluded: manipulation check 'frozen' (moved) failed"
    both = against == "grpo"
    where = " under default/default at step 0" if both else ""
    assert found.unread == {f"grpo/seed=2{where}": told}
    assert found.lost == ({"grpo/seed=2 under default/default": told} if both else {})
    assert (found.ns, found.planned) == ((3 if both else 4, 1), 5)
    assert f"was read from other runs than grpo/seed=2{where} ({told})." in found.sentence
    foot = " ".join(evidence(study, [found]).footers)
    assert f"it was not read from grpo/seed=2{where}: {told}." in foot
    whole = contrast(made, declare(made, against, {"arm": "grpo", "step": 0}), draws=0)
    assert whole.unread == {}
    assert "Step 0" not in whole.sentence + " ".join(evidence(made, [whole]).footers)


def test_one_arm_at_two_steps_is_paired_by_run_whatever_the_pairing() -> None:
    early, last = drawn(3, 0.2, 0.4, 0.6, 0.8), drawn(4, 0.3, 0.5, 0.7, 0.9)
    study = tables({"grpo": last}, grpo={50: early})
    expected = stats.ttest_rel(score(last), score(early))
    for pairing in ("none", "seed"):
        declared = declare(study, "grpo", {"arm": "grpo", "step": 50}, pairing=pairing)
        found = contrast(study, declared, draws=200)
        assert found.p == pytest.approx(expected.pvalue)
        assert found.interval.df == 3
        assert found.per_seed == {f"seed={s}": pytest.approx(d) for s, d in enumerate(score(last) - score(early))}
    assert found.method == "t over differences within runs"


def test_shared_runs_of_a_difference_of_differences_enter_once() -> None:
    a, b, c = drawn(5, 0.9, 0.7, 0.8, 0.5), drawn(6, 0.5, 0.6, 0.4), drawn(7, 0.3, 0.2, 0.4, 0.3, 0.2)
    study = tables({"a": a, "b": b, "c": c})
    found = contrast(study, declare(study, "a", "b", minus={"a": "c", "b": "a"}), draws=0)
    # (a - b) - (c - a) = 2 a - b - c: three independent samples
    parts = [(2.0, score(a)), (-1.0, score(b)), (-1.0, score(c))]
    variances = [k * k * x.var(ddof=1) / len(x) for k, x in parts]
    error = math.sqrt(sum(variances))
    df = sum(variances) ** 2 / sum(v * v / (len(x) - 1) for v, (_, x) in zip(variances, parts, strict=True))
    assert found.interval.mean == pytest.approx(sum(k * x.mean() for k, x in parts))
    assert found.interval.standard_error == pytest.approx(error)
    assert found.interval.df == pytest.approx(df)


def test_a_printed_difference_shares_no_seed_with_itself_however_ours_are_paired() -> None:
    a, b = drawn(8, 0.9, 0.7, 0.8, 0.5, 0.6), drawn(9, 0.8, 0.6, 0.7, 0.4, 0.5)
    study = tables({"a": a, "b": b})
    paired = contrast(study, declare(study, "a", "b", pairing="seed"), draws=0)
    variances = [x.var(ddof=1) * (1 + 1 / 5) for x in (score(a), score(b))]
    df = sum(variances) ** 2 / sum(v * v / 4 for v in variances)
    assert paired.prediction.half_width == pytest.approx(stats.t.ppf(0.975, df) * math.sqrt(sum(variances)))
    assert paired.prediction.half_width > 2 * paired.interval.half_width


def test_one_seed_of_a_method_has_no_p_value_and_counts_among_the_tests() -> None:
    names = {"lone": ("a1", "b1"), "real": ("a", "b")}
    study = tables(
        {"a1": drawn(1, 0.9), "b1": drawn(2, 0.1), "a": drawn(3, 0.7, 0.8, 0.75), "b": drawn(4, 0.5, 0.45, 0.6)},
        [{"name": name, "a": a, "b": b, "family": "F"} for name, (a, b) in names.items()],
    )
    found = {each.name: each for each in contrasts(study, draws=0)}
    assert found["lone"].interval.p < 0.001
    assert (found["lone"].p, found["lone"].p_adjusted) == (None, None)
    assert found["lone"].verdict.name == "inconclusive"
    assert found["real"].p_adjusted == pytest.approx(2 * found["real"].p)
    assert "over questions" in found["lone"].sentence


def test_equivalence_is_adjusted_in_its_family() -> None:
    right = [drawn(seed, 0.5, 0.5, 0.5, 0.5, 0.5) for seed in range(4)]
    study = tables(
        {f"a{i}": each for i, each in enumerate(right)},
        [{"name": f"c{i}", "a": f"a{i}", "b": "a0", "family": "F", "margin": 14.0} for i in (1, 2, 3)],
    )
    found = contrasts(study, draws=0)
    raw = [each.p_equivalence for each in found]
    order = sorted(range(3), key=lambda i: raw[i])
    holm, last = {}, 0.0
    for rank, place in enumerate(order):
        last = max(last, min(1.0, (3 - rank) * raw[place]))
        holm[place] = last
    assert [each.p_equivalence_adjusted for each in found] == [pytest.approx(holm[i]) for i in range(3)]
    alone = [each for each in found if each.verdict.equivalent and each.p_equivalence_adjusted > 0.05]
    assert all("alone" in each.sentence or "does not hold" in each.sentence for each in alone)


def test_runs_of_an_arm_need_seeds_of_their_own() -> None:
    rows = [{"run": f"x{r}", "arm": "x", "question": q, "correct": True} for r in range(3) for q in range(40)]
    with pytest.raises(CollectedError, match="the 3 runs of arm 'x' need a seed each"):
        from_frames(pd.DataFrame(rows), QUESTIONS)
    with pytest.raises(CollectedError, match="need a seed each"):
        from_frames(pd.DataFrame(rows).assign(seed=1), QUESTIONS)


def test_a_run_is_of_one_arm() -> None:
    rows = pd.DataFrame([{"run": "x", "arm": "x", "question": q, "correct": True} for q in range(40)])
    runs = pd.DataFrame([{"run": "x", "arm": "y"}, {"run": "z", "arm": "x"}])
    with pytest.raises(CollectedError, match="run 'x' is of arm 'x', but of 'y' in the table runs"):
        from_frames(rows, QUESTIONS, runs=runs)


def test_a_run_without_its_last_checkpoints_is_lost_and_not_averaged_over_earlier_ones() -> None:
    curve = {step: drawn(step, 0.3, 0.4, 0.5) for step in (50, 100)}
    study = tables({"grpo": drawn(1, 0.6, 0.6, 0.7), "other": drawn(2, 0.5, 0.5, 0.6)}, grpo=curve)
    lacking = (study.answers["run"] == "grpo/seed=1") & (study.answers["phase"] == "curve")
    lacking &= study.answers["step"] == 100
    arms = [{**arm, "curve_questions": 40 if arm["name"] == "grpo" else 0} for arm in study.study["arms"]]
    cut = from_frames(study.answers[~lacking], QUESTIONS, study={"arms": arms})
    for rule in ("mean_last", "best_half"):
        found = contrast(cut, declare(cut, "grpo", "other", checkpoint=rule), draws=0)
        assert found.lost == {"grpo/seed=1": "no checkpoint after step 100"}
        assert found.ns == (2, 3)


@pytest.mark.parametrize("of", [0, 1])
def test_without_a_question_of_one_half_there_is_no_best_checkpoint(of: int) -> None:
    """Curves asked on even images alone have nothing to be scored on, on odd ones nothing to choose a checkpoint by."""
    curve = {step: drawn(step, 0.3, 0.4) for step in (50, 100)}
    study = tables({"grpo": drawn(1, 0.6, 0.6), "other": drawn(2, 0.5, 0.5)}, grpo=curve)
    left = (study.answers["phase"] != "curve") | (study.answers["question"] // 2 % 2 == of)
    cut = from_frames(study.answers[left], QUESTIONS)
    found = contrast(cut, declare(cut, "grpo", "other", checkpoint="best_half"), draws=0)
    assert found.interval is None
    reasons = {"no question to choose a checkpoint on, of the images that are for choosing"}
    assert set(found.lost.values()) == (reasons if of == 1 else set())
    assert found.reason
    mean = contrast(cut, declare(cut, "grpo", "other", checkpoint="mean_last"), draws=0)
    assert mean.interval is not None


def test_the_best_checkpoint_is_chosen_by_accuracy_and_never_the_start() -> None:
    half = np.arange(40) // 2 % 2 == 1  # images with odd numbers: what it is scored on
    start, good, poor = (np.zeros(40, dtype=bool) for _ in range(3))
    start[~half], good[~half], poor[~half] = True, [True] * 15 + [False] * 5, False
    good[half], poor[half] = False, True
    curve = {0: np.stack([start] * 2), 50: np.stack([good] * 2), 100: np.stack([poor] * 2)}
    study = tables({"grpo": drawn(1, 0.5, 0.5), "other": drawn(2, 0.5, 0.6)}, grpo=curve)
    arms = [{**arm, "curve_questions": 40 if arm["name"] == "grpo" else 0} for arm in study.study["arms"]]
    study = from_frames(study.answers, QUESTIONS, study={"arms": arms})
    found = contrast(study, declare(study, "grpo", "other", checkpoint="best_half"), draws=0)
    # step 0 is the best on the half that it is chosen on, step 50 the best but for it; it has none of the other half
    values = found.combined.parts[0].values.matrix()
    assert values.shape == (2, 20)
    assert not values.any()
