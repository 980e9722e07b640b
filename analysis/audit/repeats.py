"""One configuration printed more than once: within a source a contradiction, between sources a reproduction."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean, stdev

import pandas as pd

from analysis.audit.findings import Checked, Finding, Severity, made
from analysis.audit.rows import Score, Task, scores_of, settings_text, tasks_of

CHECK = "duplicate"
SPREAD = "reproductions"


@dataclass(frozen=True)
class Reproduction:
    """One configuration's score on one task as several sources print it."""

    settings: tuple[str, ...]
    benchmark: str
    task: str
    scores: tuple[Score, ...]

    @property
    def percents(self) -> list[float]:
        return [score.percent for score in self.scores]

    @property
    def range(self) -> float:
        """Points."""
        return max(self.percents) - min(self.percents)

    @property
    def sd(self) -> float:
        """Sample standard deviation of the printed scores, points."""
        return stdev(self.percents)

    @property
    def binomial_error(self) -> float | None:
        """Standard error of one score as a draw of questions, points: ``sqrt(p q / n)`` at the mean score; None if a
        number of questions is not known."""
        sizes = [score.n for score in self.scores if score.n is not None]
        if len(sizes) < len(self.scores):
            return None
        share = mean(self.percents) / 100.0
        return 100.0 * math.sqrt(share * (1.0 - share) * mean(1.0 / size for size in sizes))

    @property
    def trained(self) -> bool:
        return self.settings[1] != "none"


def reproductions(scores: pd.DataFrame) -> list[Reproduction]:
    """Configurations (start, training, frozen, prompt) that more than one source prints, by task.

    Args:
        scores: frame of `analysis.audit.read.Published`.
    """
    groups: dict[tuple[tuple[str, ...], str, str], list[Score]] = {}
    for score in scores_of(scores):
        groups.setdefault((score.settings, score.benchmark, score.task), []).append(score)
    return [
        Reproduction(*key, tuple(sorted(groups[key], key=lambda score: score.label)))
        for key in sorted(groups)
        if len({score.source for score in groups[key]}) > 1
    ]


def pooled_sd(found: Iterable[Reproduction]) -> tuple[float, int] | None:
    """Spread of one configuration between runs, pooled over configurations: the root of the mean variance, weighted by
    degrees of freedom; and these. None without any."""
    found = list(found)
    df = sum(len(one.scores) - 1 for one in found)
    if df == 0:
        return None
    return math.sqrt(sum(one.sd**2 * (len(one.scores) - 1) for one in found) / df), df


def check_repeats(scores: pd.DataFrame, benchmarks: pd.DataFrame) -> Checked:
    """Different scores of one configuration (start, training, frozen, prompt) within one source.

    One finding per pair of conditions and benchmark, with all its tasks.

    Args:
        scores, benchmarks: frames of `analysis.audit.read.Published`.
    """
    tasks = tasks_of(benchmarks)
    groups: dict[tuple[str, tuple[str, ...], str], dict[tuple[str, str], dict[str, Score]]] = {}
    for score in scores_of(scores):
        conditions = groups.setdefault((score.source, score.settings, score.benchmark), {})
        conditions.setdefault((score.table, score.condition), {})[score.task] = score
    findings: list[Finding] = []
    examined = 0
    for key in sorted(groups):
        conditions = sorted(groups[key])
        for place, first in enumerate(conditions):
            for second in conditions[place + 1 :]:
                one, other = groups[key][first], groups[key][second]
                # in the order of the benchmark's description, aggregates first
                order = [task for task in _order(tasks, key[2]) if task in one and task in other]
                examined += bool(order)
                unequal = [task for task in order if not _same(one[task], other[task])]
                if unequal:
                    findings.append(_repeated([(one[task], other[task]) for task in unequal]))
    return made(CHECK, "pairs of equal configurations within a source", findings, examined)


def _order(tasks: list[Task], benchmark: str) -> list[str]:
    mine = [task for task in tasks if task.benchmark == benchmark]
    return [task.name for task in sorted(mine, key=lambda task: not task.parts)]


def _same(one: Score, other: Score) -> bool:
    """Equal as far as both are printed: 61.6 and 61.60 are."""
    return one.percent == other.percent


def _repeated(pairs: list[tuple[Score, Score]]) -> Finding:
    head = pairs[0]
    if head[0].percent < head[1].percent:
        pairs = [(other, one) for one, other in pairs]
        head = pairs[0]
    first, second = head
    names = (_name(first), _name(second)) if first.table != second.table else (first.condition, second.condition)
    said = "; ".join(f"{a.task} {a.printed} and {b.printed} ({a.percent - b.percent:+.2f})" for a, b in pairs)
    error = _error(first, second)
    beside = (
        ""
        if error is None
        else f" As two draws of questions they would differ with a standard error of {error:.2f} points."
    )
    return Finding(
        CHECK,
        Severity.ERROR,
        *(first.source, f"{names[0]}; {names[1]}", first.benchmark),
        tuple(score.label for pair in pairs for score in pair),
        {
            **{"printed": first.percent, "other": second.percent, "difference": first.percent - second.percent},
            **({} if error is None else {"standard_error": error}),
        },
        f"{first.source}: {names[0]} and {names[1]} are the same configuration as far as is documented "
        f"({settings_text(first.settings)}), yet {first.benchmark} is printed as {said}.{beside} Either they are "
        "separate runs, and then their difference is a spread that every other difference has to exceed, or something "
        "that differs is not documented.",
    )


def _name(score: Score) -> str:
    return f"{score.table} {score.condition}".strip()


def _error(a: Score, b: Score) -> float | None:
    if a.n is None or b.n is None:
        return None
    return 100.0 * math.sqrt(a.share * (1 - a.share) / a.n + b.share * (1 - b.share) / b.n)


def check_reproductions(scores: pd.DataFrame) -> Checked:
    """How far apart sources are that print the same configuration: runs, recipes' details and evaluations together, of
    which nothing was meant to differ.

    Args:
        scores: frame of `analysis.audit.read.Published`.
    """
    found = reproductions(scores)
    return made(SPREAD, "configurations and tasks printed by several sources", map(_spread, found), len(found))


def _spread(one: Reproduction) -> Finding:
    said = ", ".join(f"{score.printed} ({_source(score)})" for score in one.scores)
    error = one.binomial_error
    beside = (
        "how many questions there were is not printed"
        if error is None
        else f"one score as a draw of questions has a binomial standard error of {error:.2f}"
    )
    tail = (
        "Between them lie the runs' own spread and whatever else differs between the sources."
        if one.trained
        else "Nothing was trained, so the evaluation alone makes the difference."
    )
    return Finding(
        SPREAD,
        Severity.NOTE,
        *("several", settings_text(one.settings), f"{one.benchmark} {one.task}"),
        tuple(score.label for score in one.scores),
        {
            **{"printed": max(one.percents), "other": min(one.percents), "difference": one.range, "sd": one.sd},
            **({} if error is None else {"standard_error": error}),
        },
        f"{one.benchmark} {one.task} of one configuration ({settings_text(one.settings)}) is printed as {said}: "
        f"{one.range:.2f} points between the highest and the lowest, SD {one.sd:.2f}; {beside}. {tail}",
    )


def _source(score: Score) -> str:
    return f"{score.where}, {score.condition}"
