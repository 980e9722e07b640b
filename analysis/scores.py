"""Accuracy of every run, and the arm table: arms x tasks and sources, with the seed as the unit."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.collected import Tables
from analysis.scopes import Weights, scopes, weighted_mean
from analysis.statistics import MeanInterval, mean_interval
from analysis.values import Side, SideValues, side_values


@dataclass(frozen=True)
class Cell:
    """One arm on one scope (overall, a task, ...), in percent."""

    values: dict[str, float]
    """Accuracy of each run, by run id."""
    interval: MeanInterval | None
    """Over seeds; None without any run."""


@dataclass(frozen=True)
class ArmRow:
    """One arm under one protocol and rule."""

    arm: str
    protocol: str
    own: bool
    """The protocol is the arm's own, the one it is judged by."""
    rule: str
    cells: dict[str, Cell]
    planned: int
    done: int
    lost: dict[str, str]
    single: bool
    """The arm has no randomness: one run, and no interval over seeds."""
    parsed: float | None
    """Percent of completions with parse status ok, mean over runs."""
    tokens: float | None
    """Mean length of the completions, mean over runs."""

    @property
    def n(self) -> int:
        """Runs with a score."""
        return len(next(iter(self.cells.values())).values)


@dataclass(frozen=True)
class Reference:
    """A score that needs no model, in percent by scope."""

    name: str
    cells: dict[str, float]
    details: dict[str, str] = field(default_factory=dict)
    """What the answer is, by scope."""


@dataclass(frozen=True)
class ArmTable:
    """Arms x scopes, with chance and the best constant answer beside them."""

    rule: str
    """Scoring rule of the completions; a row tells its own."""
    scopes: tuple[str, ...]
    """Names as in `analysis.scopes`; the first is over all questions."""
    rows: tuple[ArmRow, ...]
    references: tuple[Reference, ...]
    questions: int


def finals(tables: Tables, arm: str, protocol: str, rule: str, column: str = "correct") -> SideValues:
    """Final answers of every planned run of an arm; a run that lacks any question counts as lost.

    Args:
        column: of the table answers.
    """
    side = Side(arm, protocol, rule, protocol == tables.own_protocol(arm))
    return side_values(tables, side, "accuracy", column=column)


def protocols_of(tables: Tables, arm: str) -> list[str]:
    """Protocols that an arm was evaluated under, its own first, the others in the order of the study."""
    own = tables.own_protocol(arm)
    runs = tables.runs.loc[tables.runs["arm"] == arm, "run"]
    seen = {name for name in tables.study["protocols"] for run in runs if tables.has("answers", run, "final", name)}
    return [own, *(name for name in tables.study["protocols"] if name in seen and name != own)]


def arm_table(tables: Tables, rule: str | None = None) -> ArmTable:
    """Score every arm under every protocol it was evaluated under.

    Args:
        rule: scoring rule, and only the protocols that it reads; by default all protocols, each by the rule that
            decides there.

    Raises:
        ValueError: the study has no such rule.
    """
    known = all_rules(tables)
    if rule is not None and rule not in known:
        raise ValueError(f"no scoring rule {rule!r} in this study; there are {', '.join(known)}")
    weights = scopes(tables.questions)
    rows = [
        _row(tables, arm, protocol, rule or tables.rules_of(protocol)[0], weights)
        for arm in tables.arms
        for protocol in protocols_of(tables, arm)
        if rule is None or rule in tables.rules_of(protocol)
    ]
    return ArmTable(
        rule or tables.rules[0],
        tuple(weights),
        tuple(rows),
        references(tables.questions, weights),
        len(tables.questions),
    )


def all_rules(tables: Tables) -> list[str]:
    """Rules of all protocols that arms were evaluated under, those of completions first."""
    used = [protocol for arm in tables.arms for protocol in protocols_of(tables, arm)]
    return list(dict.fromkeys([*tables.rules, *(rule for protocol in used for rule in tables.rules_of(protocol))]))


def run_scores(tables: Tables) -> pd.DataFrame:
    """Accuracy of every whole run.

    Returns:
        Columns run, arm, seed, protocol, rule, scope, accuracy (percent), questions.
    """
    weights = scopes(tables.questions)
    rows = []
    for arm in tables.arms:
        for protocol in protocols_of(tables, arm):
            for rule in tables.rules_of(protocol):
                for run in finals(tables, arm, protocol, rule).found:
                    for scope, each in weights.items():
                        accuracy = 100.0 * weighted_mean(run.values, each)
                        size = int(np.count_nonzero(each))
                        rows.append((run.run, arm, run.seed, protocol, rule, scope, accuracy, size))
    columns = ["run", "arm", "seed", "protocol", "rule", "scope", "accuracy", "questions"]
    return pd.DataFrame(rows, columns=columns).astype({"seed": "Int64"})


def references(questions: pd.DataFrame, weights: Weights) -> tuple[Reference, ...]:
    """Chance (1 / number of options) and the best constant answer, by scope.

    The best constant answer is the better of always giving one option's text and always giving one letter;
    the overall one is a single answer to all questions, that of a task one answer to that task.

    Args:
        weights: of the questions by scope, as `analysis.scopes.scopes` gives them.
    """
    chance: dict[str, float] = {}
    constant: dict[str, float] = {}
    details: dict[str, str] = {}
    for scope, each in weights.items():
        if not each.any() or questions["choices"].isna().any():
            continue
        chance[scope] = 100.0 * weighted_mean(1.0 / questions["choices"].map(len).to_numpy(), each)
        if (best := _best_constant(questions, each)) is not None:
            constant[scope], details[scope] = best
    return Reference("chance", chance), Reference("best constant answer", constant, details)


def _best_constant(questions: pd.DataFrame, weights: np.ndarray) -> tuple[float, str] | None:
    """Its score and what it is; None where the right answers aren't known."""
    candidates = []
    for column, described in (("answer", "the option {!r}"), ("answer_letter", "the letter {}")):
        if questions.loc[weights > 0, column].isna().any():
            continue  # of those known alone it would come out too low
        shares = pd.Series(weights).groupby(questions[column].to_numpy()).sum()
        for value, share in shares.items():
            # "(C)" or "C": the letter alone reads better.
            shown = str(value).strip("()") if column == "answer_letter" else str(value)
            # equal shares are equal whatever the order they were summed in, and the option goes first
            candidates.append((-round(float(share), 12), column != "answer", shown, described.format(shown)))
    if not candidates:
        return None
    share, _, _, detail = min(candidates)
    return -100.0 * share, f"always {detail}"


def _row(tables: Tables, arm: str, protocol: str, rule: str, weights: Weights) -> ArmRow:
    found = finals(tables, arm, protocol, rule)
    cells = {}
    for scope, each in weights.items():
        values = {run.run: 100.0 * weighted_mean(run.values, each) for run in found.found}
        cells[scope] = Cell(values, mean_interval(list(values.values())) if values else None)
    statuses = {run.run: run.values for run in finals(tables, arm, protocol, rule, "status").found}
    states = tables.runs.loc[tables.runs["arm"] == arm, "state"]
    lengths = [_tokens(tables, run.run, protocol) for run in found.found]
    return ArmRow(
        arm=arm,
        protocol=protocol,
        own=protocol == tables.own_protocol(arm),
        rule=rule,
        cells=cells,
        planned=found.planned,
        done=int((states == "done").sum()),
        lost=found.lost,
        single=not tables.random(arm),
        parsed=_mean([100.0 * float(np.mean(statuses[run.run] == "ok")) for run in found.found]),
        tokens=_mean([length for length in lengths if length is not None]),
    )


def _tokens(tables: Tables, run: str, protocol: str) -> float | None:
    """Mean length of a run's final completions; None where it wrote none."""
    rows = tables.rows("completions", run, "final", None, protocol)
    return None if rows.empty else float(rows["tokens"].mean())


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
