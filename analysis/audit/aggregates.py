"""Does a printed total follow from the printed parts?"""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

import pandas as pd

from analysis.audit.findings import Checked, Finding, Severity, made, plural, tally
from analysis.audit.printed import bounds, span
from analysis.audit.rows import Score, Task, by_configuration, scores_of, tasks_of

CHECK = "aggregate"
MEANS = {"questions": "mean weighted by questions", "tasks": "plain mean of the tasks"}


@dataclass(frozen=True)
class Implied:
    """What parts make of their aggregate."""

    ways: dict[str, tuple[Fraction, Fraction]]
    """``questions`` or ``tasks`` -> percentages that the aggregate may have, ends included."""
    counts: tuple[Fraction, Fraction] | None
    """Right answers of all parts; None if a number of questions is not known."""
    n: int | None
    plain: float
    """Plain mean of the parts as they are printed."""

    def percent(self, weights: str) -> float | None:
        """What the aggregate should be under a mean; weighted by questions, the middle of what the counts allow."""
        if weights == "tasks":
            return self.plain
        ends = self.ways.get(weights)
        return None if ends is None else float(sum(ends) / 2)


def implied(parts: list[Score]) -> Implied:
    """The aggregate of parts, by both means.

    The count of right answers that a part's percentage stands for is an interval; the parts' intervals are summed. For
    the plain mean, the parts' percentages are intervals likewise.
    """
    spans = [span(part.printed) for part in parts]
    plain = tuple(sum(ends, Fraction(0)) / len(parts) for ends in zip(*spans, strict=True))
    ways = {"tasks": (plain[0], plain[1])}
    mean = float(sum((Fraction(part.printed) for part in parts), Fraction(0)) / len(parts))
    sizes = [part.n for part in parts if part.n is not None]
    if len(sizes) < len(parts):
        return Implied(ways, None, None, mean)
    n = sum(sizes)
    each = [bounds(part.printed, size) for part, size in zip(parts, sizes, strict=True)]
    low, high = (sum(ends, Fraction(0)) for ends in zip(*each, strict=True))
    return Implied({"questions": (low * 100 / n, high * 100 / n), **ways}, (low, high), n, mean)


def implied_percent(score: Score, tasks: list[Task], row: dict[str, Score]) -> float | None:
    """What a score's parts make of it under the declared mean; None if it has no parts, or not all are printed.

    Args:
        row: task -> score of the same condition and benchmark.
    """
    task = next((one for one in tasks if (one.benchmark, one.name) == (score.benchmark, score.task)), None)
    if task is None or not task.parts or not all(part in row for part in task.parts):
        return None
    return implied([row[part] for part in task.parts]).percent(task.weights)


def follows(whole: Score, parts: list[Score], found: Implied) -> tuple[str, ...]:
    """By which means of the parts the aggregate can have been printed so.

    The mean of the parts as they are printed counts too: some average what they have rounded.
    """
    low, high = span(whole.printed)
    fits = [name for name, ends in found.ways.items() if ends[0] < high and ends[1] >= low]
    if "questions" not in fits and found.n is not None:
        mean = sum((Fraction(part.printed) * (part.n or 0) for part in parts), Fraction(0)) / found.n
        if low <= mean < high:
            fits.insert(0, "questions")
    return tuple(fits)


def check_aggregates(scores: pd.DataFrame, benchmarks: pd.DataFrame) -> Checked:
    """Aggregates that lie outside of what their parts allow, or follow another mean than the declared one.

    Args:
        scores, benchmarks: frames of `analysis.audit.read.Published`.
    """
    rows = by_configuration(scores_of(scores))
    findings: list[Finding] = []
    skipped = tally()
    examined = 0
    for task in (one for one in tasks_of(benchmarks) if one.parts):
        cases: list[tuple[Score, list[Score], Implied, tuple[str, ...]]] = []
        for row in (row for key, row in rows.items() if key[3] == task.benchmark and task.name in row):
            if not all(part in row for part in task.parts):
                skipped["parts not printed"] += 1
                continue
            parts = [row[part] for part in task.parts]
            found = implied(parts)
            cases.append((row[task.name], parts, found, follows(row[task.name], parts, found)))
        for case in cases:
            others = [follow for whole, _, _, follow in cases if whole is not case[0]]
            if task.weights == "questions" and case[2].n is None:
                finding, known = _between(*case[:2]), False
            else:
                finding, known = _judged(task, *case, others), True
            findings += [one for one in (finding, _sizes(*case[:3])) if one is not None]
            if known or finding is not None:
                examined += 1
            else:
                skipped["number of questions not known"] += 1
    return made(CHECK, "aggregates with all parts printed", findings, examined, skipped)


def _judged(
    task: Task, whole: Score, parts: list[Score], found: Implied, fits: tuple[str, ...], others: list[tuple[str, ...]]
) -> Finding | None:
    expected = found.percent(task.weights)
    if task.weights in fits or expected is None:
        return None
    numbers = {"printed": whole.percent, "implied": expected, "difference": whole.percent - expected}
    if whole.n is not None:
        numbers["n"] = float(whole.n)
    side = "above" if numbers["difference"] > 0 else "below"
    head = (
        f"{whole.label}: printed is {whole.printed}, {abs(numbers['difference']):.2f} points {side} the "
        f"{expected:.2f} that its parts give{_sum(found, task)}."
    )
    (other,) = set(MEANS) - {task.weights}
    value = found.percent(other)
    if other in fits:
        severity, tail = Severity.WARNING, f"It is the {MEANS[other]}, not the {MEANS[task.weights]}."
    else:
        severity = Severity.ERROR
        also = "" if value is None else f"; the {MEANS[other]} is {value:.2f}"
        tail = f"No mean of the parts gives the printed figure{also}."
    return Finding(
        CHECK,
        severity,
        *(whole.where, whole.condition, whole.what),
        tuple(score.label for score in (whole, *parts)),
        numbers,
        f"{head} {tail}{_others(others, whole.benchmark)}",
    )


def _sum(found: Implied, task: Task) -> str:
    if task.weights != "questions" or found.counts is None:
        return f" as {MEANS[task.weights]}"
    low, high = found.counts
    # a part that no count gives has ends that are no whole numbers
    said = f"{float(low):.6g}" if low == high else f"{float(low):.6g} to {float(high):.6g}"
    return f" ({said} right answers out of {found.n})"


def _others(others: list[tuple[str, ...]], benchmark: str) -> str:
    if not others:
        return ""
    kinds = Counter(
        "the " + " or the ".join(MEANS[name] for name in fits) if fits else "neither mean" for fits in others
    )
    verbs = ((number, "follows" if number == 1 else "follow", kind) for kind, number in kinds.items())
    said = ", ".join(f"{number} {verb} {kind}" for number, verb, kind in verbs)
    return f" Of {plural(len(others), 'other row')} of {benchmark} with parts, {said}."


def _between(whole: Score, parts: list[Score]) -> Finding | None:
    """Without numbers of questions: any mean lies between its parts."""
    spans = [span(part.printed) for part in parts]
    low, high = span(whole.printed)
    if high > min(ends[0] for ends in spans) and low < max(ends[1] for ends in spans):
        return None
    nearest = min((part.percent for part in parts), key=lambda percent: abs(percent - whole.percent))
    return Finding(
        CHECK,
        Severity.ERROR,
        *(whole.where, whole.condition, whole.what),
        tuple(score.label for score in (whole, *parts)),
        {"printed": whole.percent, "implied": nearest, "difference": whole.percent - nearest},
        f"{whole.label}: printed is {whole.printed}, which lies outside of all its parts (the nearest is "
        f"{nearest:.2f}), so no mean of them gives it, whatever their numbers of questions.",
    )


def _sizes(whole: Score, parts: list[Score], found: Implied) -> Finding | None:
    if whole.n is None or found.n is None or whole.n == found.n:
        return None
    return Finding(
        CHECK,
        Severity.ERROR,
        *(whole.where, whole.condition, whole.what),
        tuple(score.label for score in (whole, *parts)),
        {"printed": float(whole.n), "implied": float(found.n), "difference": float(whole.n - found.n)},
        f"{whole.label}: it is said to rest on {whole.n} questions, but its parts have {found.n} together.",
    )
