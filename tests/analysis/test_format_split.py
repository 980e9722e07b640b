"""Format apart from ability: the split question by question, its intervals, and contrasts read by every rule."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_study import SIZE, TASKS, clustered, questions, rows_of, runs_of, with_contrasts

from analysis import Tables, contrast, contrasts, declare, formats, from_frames

ARMS = {"a": (3, 0.8, 0.85), "b": (4, 0.5, 0.6), "c": (2, 0.6, 0.9), "base": (0, 0.4, 0.5), "tuned": (0, 0.7, 0.95)}
"""Seeds, share right, share that can be read (of which what is right must be)."""


def drawn(seed: int, strict: bool) -> tuple[dict, dict]:
    """Right answers and parse status by arm and seed; what is right could be read."""
    rng = np.random.default_rng(seed)
    right, status = {}, {}
    for arm, (seeds, level, parsed) in ARMS.items():
        right[arm], status[arm] = {}, {}
        for number in range(seeds) if seeds else [None]:
            read = rng.random(SIZE) < parsed
            hit = read & (rng.random(SIZE) < level / parsed)
            if strict:
                read = read & (rng.random(SIZE) < 0.8)
                hit = hit & read
            right[arm][number] = [int(each) for each in hit]
            status[arm][number] = ["ok" if each else "no_answer" for each in read]
    return right, status


LENIENT, LENIENT_STATUS = drawn(1, False)
STRICT, STRICT_STATUS = drawn(2, True)
OPTIONS, _ = drawn(3, False)


def study(*declared: dict, with_options: dict[str, str] | None = None) -> Tables:
    """Options under the protocol that ``with_options`` names for an arm."""
    frames = [
        rows_of(LENIENT, protocol="generate", rule="lenient", status=LENIENT_STATUS),
        rows_of(STRICT, protocol="generate", rule="strict", status=STRICT_STATUS),
    ]
    for arm, protocol in (with_options or {}).items():
        for rule in ("likelihood", "likelihood_per_token"):
            right = {arm: OPTIONS[arm] if rule == "likelihood_per_token" else LENIENT[arm]}
            frames.append(rows_of(right, protocol=protocol, rule=rule))
    answers = pd.concat(frames)
    protocols = {name: {"method": "generate"} for name in ("generate", "other")}
    protocols |= {name: {"method": "options"} for name in ("options", "options-2")}
    made = from_frames(answers, questions(), runs_of(LENIENT), {"rules": ["lenient", "strict"], "protocols": protocols})
    return with_contrasts(made, *declared)


def brackets(arm: str, seed, other: str, other_seed, right=LENIENT, status=LENIENT_STATUS) -> tuple[list, list]:
    """Both parts of every question, in percentage points, written out."""
    parsed, ability = [], []
    for q in range(SIZE):
        c_a, c_b = right[arm][seed][q], right[other][other_seed][q]
        p_a, p_b = (int(status[x][s][q] == "ok") for x, s in ((arm, seed), (other, other_seed)))
        parsed.append(100.0 * (c_a * (1 - p_b) - c_b * (1 - p_a)))
        ability.append(100.0 * (c_a * p_b - c_b * p_a))
        assert parsed[-1] + ability[-1] == pytest.approx(100.0 * (c_a - c_b))
    return parsed, ability


def pair_means(arm: str, other: str, part: int) -> np.ndarray:
    """Mean over questions of a part for every pair of runs, shape (runs of a, runs of b)."""
    return np.array([[np.mean(brackets(arm, one, other, two)[part]) for two in LENIENT[other]] for one in LENIENT[arm]])


def split_of(a: str, b: str, **fields):
    tables = study({"a": a, "b": b, **fields})
    results = contrasts(tables, draws=0)
    (found,) = formats(tables, results)
    return results[0], found.split


@pytest.mark.parametrize(
    ("a", "b", "fields"),
    [
        ("a", "b", {}),
        ("b", "a", {}),
        ("a", "b", {"pairing": "seed"}),
        ("a", "base", {}),
        ("base", "a", {}),
        ("tuned", "base", {}),
        ("a", "b", {"alpha": 0.01}),
    ],
)
def test_the_parts_add_up_to_the_difference(a: str, b: str, fields: dict) -> None:
    result, split = split_of(a, b, **fields)
    assert split.now_parsed.mean + split.now_right.mean == pytest.approx(result.interval.mean, abs=1e-7)
    total = split.now_parsed.mean + split.now_right.mean
    if split.now_parsed.mean * split.now_right.mean >= 0:
        assert split.share == pytest.approx(100 * split.now_parsed.mean / total)
    else:
        assert split.share is None


@pytest.mark.parametrize("part", [0, 1])
def test_paired_seeds_have_the_t_interval_of_each_seeds_part(part: int) -> None:
    _, split = split_of("a", "b", pairing="seed")
    per_seed = [np.mean(brackets("a", seed, "b", seed)[part]) for seed in range(3)]
    expected = stats.ttest_1samp(per_seed, 0.0).confidence_interval(0.95)
    interval = (split.now_parsed, split.now_right)[part]
    assert (interval.low, interval.high) == (pytest.approx(expected[0]), pytest.approx(expected[1]))


@pytest.mark.parametrize("part", [0, 1])
def test_seeds_against_a_constant_have_the_t_interval_of_their_own_parts(part: int) -> None:
    _, split = split_of("a", "base")
    expected = stats.ttest_1samp(pair_means("a", "base", part)[:, 0], 0.0).confidence_interval(0.95)
    interval = (split.now_parsed, split.now_right)[part]
    assert (interval.low, interval.high) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
    _, turned = split_of("base", "a")
    other = (turned.now_parsed, turned.now_right)[part]
    assert (other.low, other.high) == (pytest.approx(-expected[1]), pytest.approx(-expected[0]))


@pytest.mark.parametrize("part", [0, 1])
def test_unpaired_seeds_have_the_jackknife_of_the_mean_over_pairs(part: int) -> None:
    """Delete one run of a side at a time (Arvesen 1969): of a mean over pairs that is the variance by projections."""
    _, split = split_of("a", "b")
    interval = (split.now_parsed, split.now_right)[part]
    pairs = pair_means("a", "b", part)
    assert interval.mean == pytest.approx(pairs.mean())
    variances = []
    for axis in (0, 1):
        n = pairs.shape[axis]
        without = [np.delete(pairs, i, axis=axis).mean() for i in range(n)]
        variances.append((n - 1) / n * sum((each - np.mean(without)) ** 2 for each in without))
    assert interval.standard_error == pytest.approx(math.sqrt(sum(variances)))
    df = sum(variances) ** 2 / sum(v**2 / (n - 1) for v, n in zip(variances, pairs.shape, strict=True))
    assert interval.df == pytest.approx(df)
    assert interval.half_width == pytest.approx(stats.t.ppf(0.975, df) * math.sqrt(sum(variances)))


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize(("a", "b"), [("tuned", "base"), ("base", "tuned")])
def test_two_checkpoints_have_errors_clustered_by_image(a: str, b: str, part: int) -> None:
    _, split = split_of(a, b)
    interval = (split.now_parsed, split.now_right)[part]
    values = np.array(brackets(a, None, b, None)[part])
    assert interval.mean == pytest.approx(values.mean())
    assert interval.standard_error == pytest.approx(clustered(values)[1])


def test_a_gain_in_format_alone_is_all_now_parsed() -> None:
    """Both know the same answers; base can't be read half of the time."""
    knows = [i % 2 for i in range(SIZE)]
    read = [int(i % 4 < 2) for i in range(SIZE)]
    right = {"a": {None: knows}, "b": {None: [k * r for k, r in zip(knows, read, strict=True)]}}
    status = {"a": {None: ["ok"] * SIZE}, "b": {None: ["ok" if r else "bad" for r in read]}}
    answers = rows_of(right, status=status)
    tables = with_contrasts(from_frames(answers, questions(), runs_of(right)), {"a": "a", "b": "b"})
    (found,) = formats(tables, contrasts(tables, draws=0))
    assert found.split.now_right.mean == 0.0
    assert found.split.share == pytest.approx(100.0)
    assert found.by_rule[0].parsed == (100.0, pytest.approx(100 * sum(read) / SIZE))


@pytest.mark.parametrize("fields", [{}, {"pairing": "seed"}, {"alpha": 0.01}])
@pytest.mark.parametrize(("a", "b"), [("a", "b"), ("a", "base"), ("tuned", "base")])
def test_every_rule_is_the_contrast_declared_under_it(a: str, b: str, fields: dict) -> None:
    tables = study({"a": a, "b": b, **fields})
    (found,) = formats(tables, contrasts(tables, draws=0))
    assert [(each.rule, each.decides) for each in found.by_rule] == [("lenient", True), ("strict", False)]
    for each in found.by_rule:
        sides = [{"arm": arm, "rule": each.rule} for arm in (a, b)]
        declared = contrast(tables, declare(tables, *sides, **fields), draws=0)
        assert each.combined.interval == declared.interval
        status = LENIENT_STATUS if each.rule == "lenient" else STRICT_STATUS
        for arm, parsed in zip((a, b), each.parsed, strict=True):
            shares = [100 * of.count("ok") / SIZE for of in status[arm].values()]
            assert parsed == pytest.approx(sum(shares) / len(shares))
    assert found.options == ()


def test_option_likelihood_stands_beside_where_both_arms_were_asked() -> None:
    shared = study({"a": "a", "b": "b"}, with_options={"a": "options", "b": "options"})
    (found,) = formats(shared, contrasts(shared, draws=0))
    (row,) = found.options
    assert (row.label, row.rule, row.parsed, row.decides) == ("options", "likelihood_per_token", (None, None), False)
    a, b = ([100 * sum(of) / SIZE for of in OPTIONS[arm].values()] for arm in "ab")
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert row.combined.interval.low == pytest.approx(expected[0])

    own = study({"a": "a", "b": "b"}, with_options={"a": "options", "b": "options-2"})
    (found,) = formats(own, contrasts(own, draws=0))
    assert [each.label for each in found.options] == ["options and options-2"]
    assert found.options[0].combined.interval.low == pytest.approx(expected[0])

    one = study({"a": "a", "b": "b"}, with_options={"a": "options"})
    assert formats(one, contrasts(one, draws=0))[0].options == ()


def test_what_has_no_format_is_left_out() -> None:
    options = {"a": {"arm": "a", "protocol": "options"}, "b": {"arm": "b", "protocol": "options"}}
    plain = {"a": "a", "b": "b"}
    minus = {"a": "c", "b": "b"}
    declared = (plain, options, plain | {"minus": minus}, plain | {"checkpoint": "mean_last"})
    tables = study(
        *({**each, "name": str(i)} for i, each in enumerate(declared)),
        with_options={"a": "options", "b": "options"},
    )
    assert [each.contrast for each in formats(tables, contrasts(tables, draws=0))] == ["0"]


def test_the_tasks_share_the_questions() -> None:
    """The small study is lopsided: were it balanced, a mean of means would pass for a mean."""
    assert len({TASKS.count(task) for task in TASKS}) == 2


@pytest.mark.parametrize("exclusions", [[], ["failed_checks"]])
def test_the_runs_of_the_contrast_are_those_of_every_rule(exclusions: list[str]) -> None:
    tables = study({"a": "a", "b": "b", "exclusions": exclusions}, with_options={"a": "options", "b": "options"})
    failed = '{"answers": {"passed": false, "detail": "all the same"}}'
    tables = from_frames(
        tables.answers.drop(columns="position"),
        questions(),
        runs_of(LENIENT).assign(checks=lambda runs: runs["run"].map({"a/seed=1": failed})),
        tables.study,
    )
    results = contrasts(tables, draws=0)
    (found,) = formats(tables, results)
    expected = (2, 4) if exclusions else (3, 4)
    assert results[0].ns == expected
    assert [each.combined.ns for each in (*found.by_rule, *found.options)] == [expected] * 3
    parsed = [100 * of.count("ok") / SIZE for seed, of in LENIENT_STATUS["a"].items() if seed != 1 or not exclusions]
    assert found.by_rule[0].parsed[0] == pytest.approx(sum(parsed) / len(parsed))
    assert found.split.now_parsed.mean + found.split.now_right.mean == pytest.approx(results[0].interval.mean)


@pytest.mark.parametrize("pairing", ["none", "seed"])
def test_what_both_sides_could_be_read_on_and_what_guessing_gives(pairing: str) -> None:
    choices = [["1", "2", "3"] if task == "Count" else ["1", "2"] for task in TASKS]
    made = from_frames(rows_of(LENIENT, status=LENIENT_STATUS), questions(choices=choices), runs_of(LENIENT))
    tables = with_contrasts(made, {"a": "a", "b": "b", "pairing": pairing})
    split = formats(tables, contrasts(tables, draws=0))[0].split
    seeds = [(s, s) for s in range(3)] if pairing == "seed" else [(s, t) for s in range(3) for t in range(4)]
    both, luck = [], []
    for s, t in seeds:
        for place in range(SIZE):
            read_a = LENIENT_STATUS["a"][s][place] == "ok"
            read_b = LENIENT_STATUS["b"][t][place] == "ok"
            both.append(read_a and read_b)
            luck.append(((read_a and not read_b) - (read_b and not read_a)) / len(choices[place]))
    assert split.both_read == pytest.approx(100 * np.mean(both))
    assert split.guessing == pytest.approx(100 * np.mean(luck))
    assert split.told


def test_ability_is_not_told_where_one_side_hardly_answers() -> None:
    status = {"quiet": {None: ["no_answer"] * (SIZE - 1) + ["ok"]}, "loud": {None: ["ok"] * SIZE}}
    right = {"quiet": {None: [0] * SIZE}, "loud": {None: [1] * SIZE}}
    tables = with_contrasts(
        from_frames(rows_of(right, status=status), questions(), runs_of(right)), {"a": "loud", "b": "quiet"}
    )
    split = formats(tables, contrasts(tables, draws=0))[0].split
    assert split.both_read == pytest.approx(100 / SIZE)
    assert (split.told, split.share, split.guessing) == (False, None, None)
