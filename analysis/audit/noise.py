"""Which differences do printed totals lift out of the noise? `analysis.audit.differences` in sentences."""

import math

import pandas as pd
from scipy.special import chdtri

from analysis.audit.differences import Decision, Difference, Pair, pairs
from analysis.audit.findings import Checked, Finding, Severity, made, plural, tally
from analysis.audit.repeats import Reproduction, pooled_sd, reproductions

CHECK = "difference"


def check_differences(scores: pd.DataFrame, benchmarks: pd.DataFrame) -> Checked:
    """Differences between conditions of one table that printed totals do not lift out of the noise of their questions.

    One finding per pair of conditions and headline score, or per pair whose tasks alone are not lifted out; and one
    about what single runs can tell of methods.

    Args:
        scores, benchmarks: frames of `analysis.audit.read.Published`.
    """
    found = pairs(scores, benchmarks)
    findings: list[Finding] = []
    skipped = tally()
    for pair in found:
        for difference in (*pair.headlines, *pair.parts):
            skipped["number of questions not known"] += difference.decision is Decision.UNKNOWN
        findings += _of_pair(pair)
    every = [difference for pair in found for difference in (*pair.headlines, *pair.parts)]
    if every:
        findings.append(_single_runs(every, found, reproductions(scores)))
    return made(CHECK, "differences", findings, len(every) - sum(skipped.values()), skipped)


def _of_pair(pair: Pair) -> list[Finding]:
    lost = [part for part in pair.parts if part.decision in (Decision.INSIDE, Decision.UNDECIDABLE)]
    weak = [one for one in pair.headlines if one.decision is not Decision.OUTSIDE]
    tail = ""
    if pair.parts:
        tail = (
            " By task, not told from noise: " + ", ".join(f"{one.a.task} {one.points:+.2f}" for one in lost) + "."
            if lost
            else ""
        )
        clear = [part for part in pair.parts if part.decision is Decision.OUTSIDE]
        if clear:
            tail += " Outside of it: " + ", ".join(f"{one.a.task} {one.points:+.2f}" for one in clear) + "."
    made = [_headline(one, tail if place == 0 else "") for place, one in enumerate(weak)]
    if lost and not weak:
        made.append(_tasks(pair, lost))
    return made


def _headline(one: Difference, tail: str) -> Finding:
    if one.decision is Decision.UNKNOWN:
        return _finding(one, Severity.NOTE, f"{_said(one)}. {_unknown(one)}{tail}")
    middle = (
        f"{_said(one)} (unpaired standard error {one.standard_error:.2f}"
        + (f", z = {one.z:.2f}" if one.z is not None else "")
        + f", 95 % interval {one.low:+.2f} to {one.high:+.2f})"
    )
    return _finding(one, Severity.WARNING, f"{middle}: {_why(one)}{tail}")


def _why(one: Difference) -> str:
    critical = one.critical_discordance
    if critical is None:
        return f"{Decision.INSIDE} of {one.a.n} and {one.b.n} questions (the numbers differ, so they can't be paired)."
    low, high = (100.0 * end for end in one.feasible)
    if one.decision is Decision.INSIDE:
        fewest = f"even if the two disagree on as few of them as they can ({low:.1f} %)"
        return f"{Decision.INSIDE} of {one.n} questions {fewest}."
    return (
        f"{Decision.UNDECIDABLE}: paired by question it would leave the noise only if one is right where the other is "
        f"wrong on fewer than {100.0 * critical:.1f} % of the {one.n} questions; anything from {low:.1f} to "
        f"{high:.1f} % is possible."
    )


def _unknown(one: Difference) -> str:
    least = one.questions_to_be_outside
    if least == 0:
        return "That is no difference, whatever the number of questions."
    return (
        f"How many questions there were is not printed: with at least {least} the difference is {Decision.OUTSIDE} "
        "whatever the discordance."
    )


def _tasks(pair: Pair, lost: list[Difference]) -> Finding:
    head = pair.headlines[0]
    said = ", ".join(
        f"{one.a.task} {one.points:+.2f} ({'inside' if one.decision is Decision.INSIDE else 'undecidable'})"
        for one in lost
    )
    return _finding(
        head,
        Severity.NOTE,
        f"{_said(head)}, which is {Decision.OUTSIDE} of its questions, but not on each task: {said}.",
    )


def _single_runs(every: list[Difference], found: list[Pair], repeated: list[Reproduction]) -> Finding:
    """About all differences at once: what single runs can tell of methods."""
    outside = [one for one in every if one.decision is Decision.OUTSIDE]
    hidden = [one.hiding_seed_sd or 0.0 for one in outside]
    sentence = (
        f"Each of the {len(every)} differences is between two printed figures, and no spread between seeds is printed "
        "with them: as a claim about methods every one is undecidable from one run each. "
        f"{plural(len(outside), 'is', 'are')} {Decision.OUTSIDE} of their questions, which speaks of these checkpoints "
        "alone"
    )
    if hidden:
        sentence += (
            f"; a seed SD of {min(hidden):.2f} points would hide the smallest of them, {max(hidden):.2f} the largest"
        )
    numbers = {} if not hidden else {"low": min(hidden), "high": max(hidden)}
    beside, sd = _beside_reproductions(found, repeated)
    if sd is not None:
        numbers["sd"] = sd
    return Finding(
        CHECK,
        Severity.NOTE,
        *("all tables", "all pairs", "all tasks"),
        tuple(sorted({score.label for one in every for score in (one.a, one.b)})),
        numbers,
        f"{sentence}.{beside}",
    )


def _beside_reproductions(found: list[Pair], repeated: list[Reproduction]) -> tuple[str, float | None]:
    """How many headline differences the spread between reproductions hides; and the largest spread."""
    said, largest = "", None
    for benchmark, task in sorted({(one.benchmark, one.task) for one in repeated if one.trained}):
        pooled = pooled_sd(one for one in repeated if one.trained and (one.benchmark, one.task) == (benchmark, task))
        mine = [one for pair in found for one in pair.headlines if (one.a.benchmark, one.a.task) == (benchmark, task)]
        known = [one.hiding_seed_sd for one in mine if one.hiding_seed_sd is not None]
        if pooled is None or not known:
            continue
        sd, df = pooled
        hidden = sum(value < sd for value in known)
        # of a normal sample: df s² / σ² is chi-squared
        low, high = (sd * math.sqrt(df / float(chdtri(df, tail))) for tail in (0.025, 0.975))
        freedom = f"{plural(df, 'degree')} of freedom, 95 % interval {low:.1f} to {high:.1f}"
        said += (
            f" Reproductions of one trained configuration spread by an SD of {sd:.2f} points on {benchmark} {task} "
            f"({freedom}), whatever else differs between their sources included; a seed SD of that size hides {hidden} "
            f"of the {len(known)} differences on it."
        )
        largest = sd if largest is None else max(largest, sd)
    return said, largest


def _said(one: Difference) -> str:
    return f"{one.a.where}: {one.a.condition} against {one.b.condition} on {one.a.what}: {one.points:+.2f} points"


def _finding(one: Difference, severity: Severity, sentence: str) -> Finding:
    critical = one.critical_discordance
    numbers = {
        **{"printed": one.a.percent, "other": one.b.percent, "difference": one.points},
        **{
            "standard_error": one.standard_error,
            "z": one.z,
            "low": one.low,
            "high": one.high,
            "seed_sd": one.hiding_seed_sd,
            "n": one.n,
        },
        "discordance": None if critical is None else 100.0 * critical,
    }
    return Finding(
        CHECK,
        severity,
        *(one.a.where, f"{one.a.condition} - {one.b.condition}", one.a.what),
        (one.a.label, one.b.label),
        {name: float(value) for name, value in numbers.items() if value is not None},
        sentence,
    )
