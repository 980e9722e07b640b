"""Can a count out of n have been printed so? (GRIM, Brown & Heathers 2017.) And was it rounded, or cut?"""

from fractions import Fraction

import pandas as pd

from analysis.audit.findings import Checked, Finding, Severity, made, tally
from analysis.audit.printed import WAYS, can_tell, counts, ways
from analysis.audit.rows import Score, scores_of

CHECK = "granularity"


def check_granularity(scores: pd.DataFrame) -> Checked:
    """Percentages that no count of right answers gives; and a source that rounds some figures and cuts others.

    Args:
        scores: frame of `analysis.audit.read.Published`.
    """
    findings: list[Finding] = []
    skipped = tally()
    one_way: dict[str, dict[str, list[Score]]] = {}
    examined = 0
    for score in scores_of(scores):
        if score.n is None:
            skipped["number of questions not known"] += 1
            continue
        if not can_tell(score.printed, score.n):
            skipped["too many questions for the printed decimals"] += 1
            continue
        examined += 1
        possible = ways(score.printed, score.n)
        if not possible:
            findings.append(_impossible(score, score.n))
        elif len(possible) == 1:
            one_way.setdefault(score.source, {}).setdefault(possible[0], []).append(score)
    findings += [_mixed(source, found) for source, found in one_way.items() if len(found) == len(WAYS)]
    return made(CHECK, "scores", findings, examined, skipped)


def _impossible(score: Score, n: int) -> Finding:
    value = Fraction(score.printed)
    below = int(value * n / 100)
    # 100 % is possible, so there is a count above
    near = [100.0 * count / n for count in (below, below + 1)]
    nearest = min(near, key=lambda percent: abs(percent - score.percent))
    assert counts(score.printed, n) is None
    return Finding(
        CHECK,
        Severity.ERROR,
        *(score.where, score.condition, score.what),
        (score.label,),
        {"printed": score.percent, "implied": nearest, "difference": score.percent - nearest, "n": float(n)},
        f"{score.label}: no count of right answers out of {n} is {score.printed} %, neither rounded nor cut: {below} "
        f"are {near[0]:.3f} % and {below + 1} are {near[1]:.3f} %. The figure, or the number of questions, is wrong.",
    )


def _mixed(source: str, found: dict[str, list[Score]]) -> Finding:
    said = []
    for way in WAYS:
        tables: dict[str, int] = {}
        for score in found[way]:
            tables[score.table] = tables.get(score.table, 0) + 1
        parts = ", ".join(
            f"{number} in {table or 'a table without a name'}" for table, number in sorted(tables.items())
        )
        said.append(f"{sum(tables.values())} can only have been {way} ({parts})")
    return Finding(
        CHECK,
        Severity.NOTE,
        *(source, "several", "several"),
        tuple(sorted(score.label for way in WAYS for score in found[way])),
        {},
        f"{source}: of the printed figures {' and '.join(said)}: they were not all printed by the same code.",
    )
