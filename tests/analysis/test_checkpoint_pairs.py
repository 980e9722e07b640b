"""Pairs of checkpoints: the sign-flip test by looking at every pattern, McNemar by the binomial, errors by image."""

import itertools

import numpy as np
import pytest
from scipy import stats
from small_study import IMAGES, SIZE, clustered, draw, questions, rows_of, runs_of, small

from analysis import contrast, declare, formats, from_frames

VALUES = draw(5, a=(3, 0.75), b=(3, 0.5), c=(3, 0.6), d=(3, 0.5), base=(0, 0.3), tuned=(0, 0.6))
TABLES = small(VALUES)


def by_image(differences: np.ndarray) -> list[float]:
    return [float(differences[np.array(IMAGES) == image].sum()) for image in sorted(set(IMAGES))]


def flipped(sums: list[float]) -> float:
    """Share of the sign patterns of whole images with a sum at least as far from 0."""
    observed = abs(sum(sums))
    patterns = list(itertools.product((1, -1), repeat=len(sums)))
    hits = sum(abs(sum(s * x for s, x in zip(signs, sums, strict=True))) >= observed - 1e-9 for signs in patterns)
    return hits / len(patterns)


def test_every_pair_of_seeds_is_compared_question_by_question() -> None:
    result = contrast(TABLES, declare(TABLES, "a", "b", pairing="seed"), draws=0)
    assert [pair.name for pair in result.checkpoints] == ["seed=0", "seed=1", "seed=2"]
    for seed, pair in enumerate(result.checkpoints):
        a, b = np.array(VALUES["a"][seed]), np.array(VALUES["b"][seed])
        assert pair.runs == (f"a/seed={seed}", f"b/seed={seed}")
        assert pair.interval.mean == pytest.approx(100 * (a - b).mean())
        assert (pair.interval.n, pair.interval.clusters, pair.interval.df) == (23, 9, 8)
        assert pair.interval.standard_error == pytest.approx(clustered(100.0 * (a - b))[1])
        assert pair.sign_flip.exact
        assert pair.sign_flip.p == pytest.approx(flipped(by_image(a - b)))
        a_only, b_only = int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())
        assert (pair.mcnemar.a_only, pair.mcnemar.b_only) == (a_only, b_only)
        assert pair.mcnemar.p == pytest.approx(stats.binomtest(a_only, a_only + b_only).pvalue)
        assert result.per_seed[pair.name] == pytest.approx(pair.interval.mean)


def test_clusters_are_images_of_a_suite() -> None:
    """The same image name in two suites is two images; without images in common every question is its own."""
    suites = ["s"] * 12 + ["t"] * 11
    asked = questions(suite=suites, question=[*range(12), *range(11)], image=["one.png"] * 23)
    two = {"tuned": VALUES["tuned"], "base": VALUES["base"]}
    answers = rows_of(two)
    place = answers["question"]
    answers = answers.assign(suite=np.where(place < 12, "s", "t"), question=np.where(place < 12, place, place - 12))
    tables = from_frames(answers, asked, runs_of(two))
    (pair,) = contrast(tables, declare(tables, "tuned", "base"), draws=0).checkpoints
    assert pair.interval.clusters == 2
    assert pair.sign_flip.clusters == 2


def test_seeds_against_a_constant_are_pairs_too_and_unpaired_seeds_are_none() -> None:
    against = contrast(TABLES, declare(TABLES, "a", "base"), draws=0)
    assert [pair.runs for pair in against.checkpoints] == [(f"a/seed={s}", "base") for s in range(3)]
    turned = contrast(TABLES, declare(TABLES, "base", "a"), draws=0)
    assert [pair.runs for pair in turned.checkpoints] == [("base", f"a/seed={s}") for s in range(3)]
    assert contrast(TABLES, declare(TABLES, "a", "b"), draws=0).checkpoints == ()
    (one,) = contrast(TABLES, declare(TABLES, "tuned", "base"), draws=0).checkpoints
    assert (one.name, one.runs) == ("checkpoints", ("tuned", "base"))


def test_a_difference_of_differences_of_one_seed_has_signs_and_no_mcnemar() -> None:
    declared = declare(TABLES, "a", "b", minus={"a": "c", "b": "d"}, pairing="seed")
    for seed, pair in enumerate(contrast(TABLES, declared, draws=0).checkpoints):
        a, b, c, d = (np.array(VALUES[arm][seed]) for arm in "abcd")
        values = a - b - c + d
        assert pair.runs == tuple(f"{arm}/seed={seed}" for arm in "abcd")
        assert pair.interval.mean == pytest.approx(100 * values.mean())
        assert pair.sign_flip.p == pytest.approx(flipped(by_image(values)))
        assert pair.mcnemar is None


def test_checkpoints_that_answer_alike_differ_by_nothing() -> None:
    tables = small({"x": VALUES["tuned"], "y": VALUES["tuned"]})
    (pair,) = contrast(tables, declare(tables, "x", "y"), draws=0).checkpoints
    assert (pair.interval.mean, pair.sign_flip.p, pair.mcnemar.p) == (0.0, 1.0, 1.0)


def test_one_image_alone_has_no_interval() -> None:
    tables = small({"x": VALUES["tuned"], "y": VALUES["base"]}, questions(image=["one.png"] * 23))
    result = contrast(tables, declare(tables, "x", "y"), draws=0)
    assert result.interval.half_width is None
    assert result.reason == "all questions of a task share one image"
    assert result.verdict.reason == "all questions of a task share one image"
    assert result.checkpoints[0].sign_flip.p == 1.0


def test_of_several_suites_a_question_weighs_by_its_suite() -> None:
    """15 and 8 questions: estimate, error and the sums that are flipped go by the mean of the two suites."""
    first = 15
    asked = questions(suite=["s"] * first + ["t"] * (SIZE - first), question=[*range(first), *range(SIZE - first)])
    two = {"tuned": VALUES["tuned"], "base": VALUES["base"]}
    status = {
        arm: {None: ["ok" if each or i % 3 else "bad" for i, each in enumerate(of[None])]} for arm, of in two.items()
    }
    answers = rows_of(two, status=status)
    place = answers["question"]
    moved = np.where(place < first, place, place - first)
    answers = answers.assign(suite=np.where(place < first, "s", "t"), question=moved)
    tables = from_frames(answers, asked, runs_of(two))
    weights = np.array([1 / (2 * first)] * first + [1 / (2 * (SIZE - first))] * (SIZE - first))
    a, b = np.array(two["tuned"][None]), np.array(two["base"][None])
    read_a, read_b = (np.array([each == "ok" for each in status[arm][None]]) for arm in ("tuned", "base"))

    result = contrast(tables, declare(tables, "tuned", "base"), draws=0)
    (pair,) = result.checkpoints
    mean = 100 * float(weights @ (a - b))
    assert pair.interval.mean == pytest.approx(mean)
    assert pair.interval.mean == pytest.approx(result.interval.mean)
    assert mean != pytest.approx(100 * (a - b).mean(), abs=0.5)
    assert pair.sign_flip.p == pytest.approx(flipped(by_image(weights * (a - b))))
    (found,) = formats(tables, [result])
    for part, values in (("now_parsed", a * ~read_b - b * ~read_a), ("now_right", a * read_b - b * read_a)):
        assert getattr(found.split, part).mean == pytest.approx(100 * float(weights @ values))
