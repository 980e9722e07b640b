"""What must not change a result: order of rows, names of arms, numbers of seeds, questions asked twice, the sides."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_study import IMAGES, SIZE, TASKS, draw, questions, rows_of, runs_of, with_contrasts

from analysis import Tables, analyse, contrast, contrasts, declare, formats, from_frames, load, sensitivity

ARMS = {"a": (3, 0.75), "b": (4, 0.45), "c": (2, 0.6), "base": (0, 0.3), "tuned": (0, 0.55)}
DECLARED: tuple[dict[str, Any], ...] = (
    {"a": "a", "b": "b", "name": "0", "family": "f", "margin": 5.0},
    {"a": "a", "b": "b", "pairing": "seed", "name": "1", "family": "f"},
    {"a": "a", "b": "base", "name": "2", "seed_sd": 2.0},
    {"a": "tuned", "b": "base", "name": "3"},
    {"a": "a", "b": "b", "minus": {"a": "c", "b": "base"}, "name": "4"},
)
Rename = dict[str, str]


def study(values: dict, rename: Rename | None = None, renumber: dict[int, int] | None = None, order: int | None = None):
    """The study with its arms renamed, its seeds renumbered and its rows in another order."""
    names = {arm: (rename or {}).get(arm, arm) for arm in values}
    seeds = {seed: (renumber or {}).get(seed, seed) if seed is not None else None for seed in (None, *range(5))}
    moved = {names[arm]: {seeds[seed]: right for seed, right in of.items()} for arm, of in values.items()}
    status = {
        names[arm]: {seeds[seed]: ["ok" if each or i % 3 else "bad" for i, each in enumerate(right)] for seed, right in
                     of.items()} for arm, of in values.items()
    }  # fmt: skip
    frames = [rows_of(moved, status=status), questions(), runs_of(moved)]
    if order is not None:
        rng = np.random.default_rng(order)
        frames = [frame.iloc[rng.permutation(len(frame))] for frame in frames]
    arms = [{"name": names[arm], "levels": {}, "protocol": "default", "curve_questions": 0} for arm in values]
    tables = from_frames(*frames, study={"arms": arms})

    def named(side: Any) -> Any:
        return {key: names[arm] for key, arm in side.items()} if isinstance(side, dict) else names[side]

    changed = [{k: named(v) if k in ("a", "b", "minus") else v for k, v in each.items()} for each in DECLARED]
    return with_contrasts(tables, *changed)


def numbers(tables: Tables, draws: int = 100) -> list[tuple]:
    """All numbers of all contrasts, splits and sensitivities; no names."""
    results = contrasts(tables, draws)
    found: list[tuple] = []
    for result in results:
        pairs = [(pair.interval, pair.sign_flip, pair.mcnemar) for pair in result.checkpoints]
        found.append((result.interval, result.prediction, result.bootstrap, result.p_adjusted, result.verdict, pairs))
        found.append((result.ns, result.planned, len(result.lost), result.detectable))
    found += [(each.split.now_parsed, each.split.now_right) for each in formats(tables, results)]
    found += [(each.kind, each.combined.interval, each.effect) for each in sensitivity(tables, results)]
    return found


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10**6), order=st.integers(0, 10**6))
def test_the_order_of_rows_changes_no_byte_of_any_table(seed: int, order: int) -> None:
    values = draw(seed, **ARMS)
    plain, other = (analyse(study(values, order=each), draws=50).sheets() for each in (None, order))
    assert list(plain) == list(other)
    for name, table in plain.items():
        for way in ("markdown", "latex", "html"):
            assert getattr(table, way)() == getattr(other[name], way)()
        assert table.frame().to_csv() == other[name].frame().to_csv()


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.integers(0, 10**6))
def test_the_order_of_rows_of_every_parquet_changes_no_byte_of_any_table(
    collected: Path, tmp_path: Path, order: int
) -> None:
    import pyarrow.parquet as pq

    rng = np.random.default_rng(order)
    (tmp_path / "study.json").write_bytes((collected / "study.json").read_bytes())
    for path in sorted(collected.glob("*.parquet")):
        table = pq.read_table(path)
        pq.write_table(table.take(rng.permutation(len(table))), tmp_path / path.name)
    plain, other = (analyse(load(folder), draws=50).sheets() for folder in (collected, tmp_path))
    for name, table in plain.items():
        assert table.markdown() == other[name].markdown()
        assert list(table.estimates()) == list(other[name].estimates())


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10**6), names=st.permutations(["zz", "b", "a", "Base", "tuned+"]))
def test_names_of_arms_change_nothing(seed: int, names: list[str]) -> None:
    values = draw(seed, **ARMS)
    rename = dict(zip(values, names, strict=True))
    assert numbers(study(values, rename)) == numbers(study(values))
    plain, other = (analyse(study(values, each), draws=20).sheets() for each in (None, rename))
    for name, table in plain.items():
        found = [[cell for cell in row if not isinstance(cell, str)] for row in table.rows]
        assert found == [[cell for cell in row if not isinstance(cell, str)] for row in other[name].rows]


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.integers(1, 50), step=st.integers(1, 5))
def test_numbers_of_seeds_change_nothing_when_their_order_stays(seed: int, shift: int, step: int) -> None:
    values = draw(seed, **ARMS)
    assert numbers(study(values, renumber={s: shift + step * s for s in range(5)})) == numbers(study(values))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), new=st.permutations(range(4)))
def test_any_renumbering_of_seeds_keeps_estimates_and_intervals(seed: int, new: list[int]) -> None:
    values = draw(seed, **(ARMS | {"a": (4, 0.75)}))
    plain, other = (study(values, renumber=each) for each in (None, dict(enumerate(new))))
    for first, second in zip(contrasts(plain, 0), contrasts(other, 0), strict=True):
        if first.pairing == "seed" or first.minus is None:
            assert second.interval.mean == pytest.approx(first.interval.mean, abs=1e-9)
            assert second.interval.low == pytest.approx(first.interval.low, abs=1e-6)
            assert sorted(second.per_seed.values()) == pytest.approx(sorted(first.per_seed.values()))


def flipped(interval: Any) -> tuple | None:
    return interval and (interval.mean, interval.low, interval.high, interval.p, interval.df)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_swapping_the_sides_turns_every_sign(seed: int) -> None:
    tables = study(draw(seed, **ARMS))
    for fields in DECLARED:
        turned = {**fields, "a": fields["b"], "b": fields["a"]}
        if "minus" in fields:
            turned["minus"] = {"a": fields["minus"]["b"], "b": fields["minus"]["a"]}
        one, two = (contrast(tables, declare(tables, **each), draws=200) for each in (fields, turned))
        for first, second in (
            (one.interval, two.interval),
            (one.equivalence, two.equivalence),
            (one.prediction, two.prediction),
            *zip((p.interval for p in one.checkpoints), (p.interval for p in two.checkpoints), strict=True),
        ):
            if first is None:
                assert second is None
                continue
            assert second.mean == pytest.approx(-first.mean)
            assert (second.low is None) == (first.low is None)
            if first.low is not None:
                assert (second.low, second.high) == (pytest.approx(-first.high), pytest.approx(-first.low))
            assert second.p == (None if first.p is None else pytest.approx(first.p))
        for first, second in zip(one.checkpoints, two.checkpoints, strict=True):
            assert second.sign_flip == first.sign_flip
            if first.mcnemar:
                assert second.mcnemar.p == first.mcnemar.p
                assert (second.mcnemar.a_only, second.mcnemar.b_only) == (first.mcnemar.b_only, first.mcnemar.a_only)
        opposite = {"higher": "lower", "lower": "higher", None: None}
        assert two.verdict.direction == opposite[one.verdict.direction]
        assert two.verdict.equivalent == one.verdict.equivalent
        if one.bootstrap:
            assert two.bootstrap.estimate == pytest.approx(-one.bootstrap.estimate)
            if one.pairing == "seed":
                assert two.bootstrap.low == pytest.approx(-one.bootstrap.high, abs=1e-6)
        if "minus" not in fields:
            (split, other) = (formats(tables, [each])[0].split for each in (one, two))
            for part in ("now_parsed", "now_right"):
                first, second = getattr(split, part), getattr(other, part)
                assert second.mean == pytest.approx(-first.mean)
                assert second.half_width == (first.half_width and pytest.approx(first.half_width))
            assert other.share == (split.share if split.share is None else pytest.approx(split.share))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_every_question_asked_twice_of_its_image_changes_no_interval(seed: int) -> None:
    values = draw(seed, **ARMS)
    doubled = pd.concat([questions(), questions(question=range(SIZE, 2 * SIZE))])
    answers = rows_of(values)
    answers = pd.concat([answers, answers.assign(question=answers["question"] + SIZE)])
    plain = study(values)
    # the small-sample factor (n - 1) / (n - tasks) alone counts questions
    factor = np.sqrt((2 * SIZE - 1) / (2 * SIZE - 2) / ((SIZE - 1) / (SIZE - 2)))
    twice = with_contrasts(from_frames(answers, doubled, runs_of(values)), *DECLARED)
    for first, second in zip(contrasts(plain, 200), contrasts(twice, 200), strict=True):
        assert second.interval.mean == pytest.approx(first.interval.mean)
        counted = factor if first.population == "checkpoints" else 1.0
        assert second.interval.standard_error == pytest.approx(first.interval.standard_error * counted)
        for one, two in zip(first.checkpoints, second.checkpoints, strict=True):
            assert two.interval.standard_error == pytest.approx(one.interval.standard_error * factor)
            assert two.sign_flip.p == one.sign_flip.p
        if first.bootstrap:
            assert second.bootstrap.low == pytest.approx(first.bootstrap.low, abs=1e-6)
    assert len(set(IMAGES)) < SIZE
    assert set(TASKS) == {"Count", "Depth"}
