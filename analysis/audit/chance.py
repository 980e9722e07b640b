"""Scores below what guessing gives."""

import numpy as np
import pandas as pd
from scipy.special import bdtr

from analysis.audit.findings import Checked, Finding, Severity, made, tally
from analysis.audit.printed import bounds
from analysis.audit.rows import Score, scores_of, tasks_of
from analysis.statistics import holm
from analysis.tables.table import p_value

CHECK = "chance"
ALPHA = 0.05
LARGEST = 20_000
"""The largest unknown number of questions that is looked at."""

READING = "guessing does better, so it is not a measure of ability alone; outputs that can't be parsed would do this"


def below_chance_p(count: int, n: int, chance: float) -> float:
    """Exact one-sided binomial p: ``P(X <= count)`` for X of n questions, each right with probability ``chance``."""
    return float(bdtr(count, n, chance))


def questions_for_below_chance(percent: float, chance: float, alpha: float = ALPHA) -> int | None:
    """From how many questions on a score is below chance for certain, by the exact test at every number from there.

    Args:
        percent: the score. The count is ``percent`` of n, rounded.
        chance: probability of a right guess.

    Returns:
        The number of questions; None if there is none up to `LARGEST`.
    """
    n = np.arange(1, LARGEST + 1)
    within = bdtr(np.floor(percent * n / 100.0 + 0.5), n, chance) >= alpha
    last = int(n[within][-1]) if within.any() else 0
    return last + 1 if last < LARGEST else None


def check_chance(scores: pd.DataFrame, benchmarks: pd.DataFrame) -> Checked:
    """Scores below chance by more than their binomial error.

    The p-values of all scores that are tested are adjusted by Holm's method, as every score is tested: among forty
    honest guessers two lie below a 5 % limit. A score below chance with an unknown number of questions is a finding
    that says from how many questions on it would be one.

    Args:
        scores, benchmarks: frames of `analysis.audit.read.Published`.
    """
    chances = {(task.benchmark, task.name): task.chance for task in tasks_of(benchmarks)}
    skipped = tally()
    tested: list[tuple[Score, int, float, float]] = []
    findings: list[Finding] = []
    unknown = 0
    for score in scores_of(scores):
        chance = chances[score.benchmark, score.task]
        if chance is None:
            skipped["chance not known"] += 1
        elif score.n is not None:
            # the most that the printed figure can stand for
            count = int(bounds(score.printed, score.n)[1])
            tested.append((score, score.n, chance, below_chance_p(count, score.n, chance / 100.0)))
        elif score.percent < chance:
            unknown += 1
            findings.append(_unknown(score, chance))
        else:
            skipped["number of questions not known, not below chance"] += 1
    adjusted = holm([p for *_, p in tested])
    for (score, n, chance, p), p_adjusted in zip(tested, adjusted, strict=True):
        if p_adjusted is not None and p_adjusted < ALPHA:
            findings.append(_below(score, n, chance, p, p_adjusted))
    return made(CHECK, "scores with a known chance level", findings, len(tested) + unknown, skipped)


def _below(score: Score, n: int, chance: float, p: float, p_adjusted: float) -> Finding:
    shown = str(p_value(p_adjusted))
    return Finding(
        CHECK,
        Severity.WARNING,
        *(score.where, score.condition, score.what),
        (score.label,),
        {
            **{"printed": score.percent, "implied": chance, "chance": chance, "difference": score.percent - chance},
            **{"p": p, "p_adjusted": p_adjusted, "n": float(n)},
        },
        f"{score.label}: {score.printed} % of {n} is below the {chance:g} % of guessing (exact one-sided binomial "
        f"test, adjusted p {shown if shown.startswith('<') else f'= {shown}'}): {READING}.",
    )


def _unknown(score: Score, chance: float) -> Finding:
    least = questions_for_below_chance(score.percent, chance / 100.0)
    enough = (
        f"it is no accident if there were at least {least}: {READING}."
        if least is not None
        else f"with fewer than {LARGEST} it may be an accident."
    )
    return Finding(
        CHECK,
        Severity.WARNING if least is not None else Severity.NOTE,
        *(score.where, score.condition, score.what),
        (score.label,),
        {"printed": score.percent, "implied": chance, "chance": chance, "difference": score.percent - chance},
        f"{score.label}: {score.printed} % is below the {chance:g} % of guessing. How many questions there were is not "
        f"printed; {enough}",
    )
