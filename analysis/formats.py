"""Format told apart from ability: each contrast under every scoring rule, its gain split, option likelihood beside it.

Two checkpoints answer question q; P says whether an answer could be read, c whether it is right (which needs it to be
read). The gain splits exactly, question by question, into

    c_a - c_b = [c_a (1 - P_b) - c_b (1 - P_a)] + [c_a P_b - c_b P_a]

The first bracket are right answers where the other side's could not be read ("now parsed"), the second the difference
where both could ("now right"). A side that can only be read more often gains the first without knowing more; some of it
is luck, as whoever answers at all is right by chance.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.collected import OPTION_RULES, Tables
from analysis.combine import Combined, Part, question_interval
from analysis.contrast_result import ContrastResult
from analysis.contrasts import combine_declared, first_weights, parts_of
from analysis.declared import declare
from analysis.scopes import shares_on
from analysis.statistics import MeanInterval, Term, linear_interval
from analysis.values import Side, side_values

LEAST_READ = 5.0
"""Percent of the questions that both sides must have readable answers to, for ``now right`` to be worth anything."""


@dataclass(frozen=True)
class RuleResult:
    """A contrast read by one rule."""

    rule: str
    label: str
    """Rule, or the protocols of options."""
    combined: Combined
    parsed: tuple[float | None, float | None]
    """Percent of a's and b's completions that the rule could read, mean over runs."""
    decides: bool
    """The contrast was declared so."""


@dataclass(frozen=True)
class Split:
    """The gain a minus b in percentage points, in two parts that add up to it."""

    now_parsed: MeanInterval
    """Right answers where the other side's answer could not be read, minus the reverse."""
    now_right: MeanInterval
    """Difference where both could be read."""
    both_read: float
    """Percent of the questions where both could be read, mean over runs: what ``now_right`` rests on."""
    guessing: float | None
    """What guessing would give where one side alone could be read, a minus b, in percentage points; None where the
    options are unknown. What is left of ``now_parsed`` above it, luck doesn't explain."""

    @property
    def told(self) -> bool:
        """Whether both could be read often enough to tell ability apart from format."""
        return self.both_read >= LEAST_READ

    @property
    def share(self) -> float | None:
        """Percent of the gain that goes with parse status; None where the parts have different signs or are 0."""
        total = self.now_parsed.mean + self.now_right.mean
        if total == 0.0 or self.now_parsed.mean * self.now_right.mean < 0.0 or not self.told:
            return None
        return 100.0 * self.now_parsed.mean / total


@dataclass(frozen=True)
class FormatResult:
    """One contrast in accuracy: by rule, by option likelihood, and its gain split under the rule that decides."""

    contrast: str
    labels: tuple[str, str]
    alpha: float
    """1 - level of every interval."""
    by_rule: tuple[RuleResult, ...]
    options: tuple[RuleResult, ...]
    """By the likelihood of the options, where both arms were asked so."""
    split: Split | None


def formats(tables: Tables, results: list[ContrastResult]) -> list[FormatResult]:
    """Every declared difference in accuracy of generated answers; others have no format."""
    return [_format(tables, each) for each in results if _has_format(tables, each)]


def _has_format(tables: Tables, result: ContrastResult) -> bool:
    generated = all(tables.study["protocols"][side.protocol]["method"] != "options" for side in result.sides)
    return result.metric == "accuracy" and result.minus is None and result.checkpoint == "last" and generated


def _format(tables: Tables, result: ContrastResult) -> FormatResult:
    by_rule = []
    for rule in tables.rules:
        combined = _read_by(tables, result, rule, result.a.protocol, result.b.protocol)
        parsed = (_parsed(tables, result, result.a, rule), _parsed(tables, result, result.b, rule))
        decides = result.a.rule == result.b.rule == rule
        by_rule.append(RuleResult(rule, rule, combined, parsed, decides))
    options = tuple(_options(tables, result)) if result.a.step is None and result.b.step is None else ()
    return FormatResult(result.name, result.labels, result.alpha, tuple(by_rule), options, _split(tables, result))


def _read_by(tables: Tables, result: ContrastResult, rule: str, protocol_a: str, protocol_b: str) -> Combined:
    sides: Mapping[str, Any] = {
        "a": {"arm": result.a.arm, "protocol": protocol_a, "rule": rule, "step": result.a.step},
        "b": {"arm": result.b.arm, "protocol": protocol_b, "rule": rule, "step": result.b.step},
    }
    fields = {"pairing": result.pairing, "alpha": result.alpha, "exclusions": list(result.exclusions)}
    declared = declare(tables, sides["a"], sides["b"], **fields)
    return combine_declared(tables, declared, [part for _, part in parts_of(tables, declared)])


def _options(tables: Tables, result: ContrastResult) -> Iterator[RuleResult]:
    """By the likelihood of the options: under the protocol that both arms have, else under each arm's own."""
    asked = [_option_protocols(tables, side.arm) for side in (result.a, result.b)]
    shared = [protocol for protocol in asked[0] if protocol in asked[1]]
    pairs = [(protocol, protocol) for protocol in shared]
    if not pairs and all(asked):
        pairs = [(asked[0][0], asked[1][0])]
    rule = OPTION_RULES[0]
    for first, second in pairs:
        label = first if first == second else f"{first} and {second}"
        yield RuleResult(rule, label, _read_by(tables, result, rule, first, second), (None, None), False)


def _option_protocols(tables: Tables, arm: str) -> list[str]:
    runs = tables.runs.loc[tables.runs["arm"] == arm, "run"]
    return [
        name
        for name, protocol in tables.study["protocols"].items()
        if protocol["method"] == "options" and any(tables.has("answers", run, "final", name) for run in runs)
    ]


def _parsed(tables: Tables, result: ContrastResult, side: Side, rule: str) -> float | None:
    read = Side(side.arm, side.protocol, rule, side.own, side.step)
    found = side_values(tables, read, "accuracy", result.exclusions, "status")
    shares = [float(np.mean(run.values == "ok")) for run in found.found]
    return 100.0 * sum(shares) / len(shares) if shares else None


def _split(tables: Tables, result: ContrastResult) -> Split | None:
    combined = result.combined
    if combined.interval is None:
        return None
    share = 100.0 * shares_on(first_weights(tables), combined.position, tables.layout)
    read = [
        _read(tables, side, part, combined.position) for side, part in zip(result.sides, combined.parts, strict=True)
    ]
    right = [part.values.matrix().astype(float) for part in combined.parts]
    (right_a, right_b), (read_a, read_b) = right, read
    level = 1.0 - result.alpha
    both = (read_a * share) @ read_b.T
    both_read = float((np.diag(both) if combined.together(0, 1) else both).mean())
    guessing = _guessing(tables, combined, share, read_a, read_b)

    def parts(of: str) -> np.ndarray:
        """The part of every pair of runs, shape (runs of a, runs of b)."""
        other_b, other_a = (1.0 - read_b, 1.0 - read_a) if of == "parsed" else (read_b, read_a)
        return (right_a * share) @ other_b.T - ((right_b * share) @ other_a.T).T

    if combined.population == "checkpoints":
        c_a, c_b, p_a, p_b = (each[0] for each in (right_a, right_b, read_a, read_b))
        by_question = (c_a * (1 - p_b) - c_b * (1 - p_a), c_a * p_b - c_b * p_a)
        layout = tables.layout.cut(combined.position)
        found = [question_interval(100.0 * each, share / 100.0, layout, level) for each in by_question]
    else:
        found = [_interval(combined, parts(of), level) for of in ("parsed", "right")]
    return Split(found[0], found[1], both_read, guessing)


def _guessing(
    tables: Tables, combined: Combined, share: np.ndarray, read_a: np.ndarray, read_b: np.ndarray
) -> float | None:
    choices = tables.questions["choices"].iloc[combined.position]
    if choices.isna().any():
        return None
    chance = share / choices.map(len).to_numpy()
    newly = (read_a * chance) @ (1.0 - read_b).T - ((read_b * chance) @ (1.0 - read_a).T).T
    return float((np.diag(newly) if combined.together(0, 1) else newly).mean())


def _interval(combined: Combined, pairs: np.ndarray, level: float) -> MeanInterval:
    """Interval over seeds of the mean over pairs of runs.

    Unpaired runs: a two-sample U-statistic, whose variance is that of its projections onto the runs of either side
    (Hoeffding 1948, Ann. Math. Statist. 19:293).
    """
    a, b = combined.parts
    if combined.together(0, 1):
        return linear_interval([Term(1.0, np.round(np.diag(pairs), 9))], level)
    by_a, by_b = np.round(pairs.mean(axis=1), 9), np.round(pairs.mean(axis=0), 9)
    terms = [
        Term(1.0, by_a, constant=not a.values.random),
        Term(1.0, by_b - by_b.mean(), constant=not b.values.random),
    ]
    return linear_interval(terms, level)


def _read(tables: Tables, side: Side, part: Part, position: np.ndarray) -> np.ndarray:
    """Whether each answer of the runs that entered could be read, shape (runs, questions)."""
    status = {run.run: run for run in side_values(tables, side, "accuracy", (), "status").found}
    return np.stack([status[run.run].cut(position).values == "ok" for run in part.values.found]).astype(float)
