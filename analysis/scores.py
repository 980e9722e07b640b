"""Accuracy of every run, and the arm table: arms x tasks and sources, with the seed as the unit."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from analysis.load import Tables
from analysis.scopes import Weights, scopes, weighted_mean
from analysis.statistics import MeanInterval, mean_interval


@dataclass(frozen=True)
class Final:
    """Answers of one finished run's last checkpoint under one protocol and scoring rule."""

    run: str
    seed: int | None
    """None for an arm without randomness."""
    answers: pd.DataFrame
    """One row per question: question, status, correct."""

    def accuracy(self, weights: Weights) -> dict[str, float]:
        """Percent correct by scope."""
        correct = self.answers.set_index("question")["correct"]
        return {scope: 100.0 * weighted_mean(correct, each) for scope, each in weights.items()}

    def parsed(self) -> float:
        """Percent of the completions from which the rule could read an answer."""
        return 100.0 * float((self.answers["status"] == "ok").mean())


@dataclass(frozen=True)
class Finals:
    """What an arm has under one protocol and rule: whole runs, and every run that is lost with its reason."""

    found: tuple[Final, ...]
    lost: dict[str, str]
    """Why a planned run has no score, by run id."""
    planned: int
    done: int
    """Runs in state done; a run that failed after its final evaluation still has a score."""


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


@dataclass(frozen=True)
class WholeRuns:
    """Rows of an arm by run."""

    found: tuple[tuple[str, int | None, pd.DataFrame], ...]
    """Run id, seed (None for an arm without randomness) and rows of every run that has all its questions."""
    lost: dict[str, str]
    planned: int
    done: int


def whole_runs(tables: Tables, arm: str, rows: pd.DataFrame, expected: int, place: str) -> WholeRuns:
    """Rows of every planned run of an arm; a run that lacks any question counts as lost.

    Args:
        rows: one row for each run and question.
        expected: questions that each run should have.
        place: what the rows are of, for the reasons.
    """
    runs = tables.runs[tables.runs["arm"] == arm].sort_values(["seed", "run"], na_position="first")
    by_run = {str(run): frame for run, frame in rows.groupby("run", sort=False)}
    found: list[tuple[str, int | None, pd.DataFrame]] = []
    lost: dict[str, str] = {}
    for run, seed, state, reason in zip(runs["run"], runs["seed"], runs["state"], runs["reason"], strict=True):
        own = by_run.get(run)
        if own is None:
            told = f": {reason}" if isinstance(reason, str) and reason else ""
            lost[run] = f"no answers under {place}" if state == "done" else f"{state}{told}"
        elif len(own) < expected:
            lost[run] = f"{len(own)} of {expected} questions answered"
        else:
            found.append((run, None if pd.isna(seed) else int(seed), own))
    return WholeRuns(tuple(found), lost, planned=len(runs), done=int((runs["state"] == "done").sum()))


def finals(tables: Tables, arm: str, protocol: str, rule: str) -> Finals:
    """Final answers of every planned run of an arm; a run that lacks any question counts as lost."""
    chosen = tables.answers[
        (tables.answers["arm"] == arm)
        & (tables.answers["phase"] == "final")
        & (tables.answers["protocol"] == protocol)
        & (tables.answers["rule"] == rule)
    ]
    whole = whole_runs(tables, arm, chosen, len(tables.questions), f"{protocol}/{rule}")
    columns = ["question", "status", "correct"]
    found = tuple(Final(run, seed, rows[columns]) for run, seed, rows in whole.found)
    return Finals(found, whole.lost, whole.planned, whole.done)


def protocols_of(tables: Tables, arm: str) -> list[str]:
    """Protocols that an arm was evaluated under, its own first, the others in the order of the study."""
    own = tables.own_protocol(arm)
    chosen = tables.answers[(tables.answers["arm"] == arm) & (tables.answers["phase"] == "final")]
    seen = set(chosen["protocol"])
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
    lengths = _mean_tokens(tables)
    rows = [
        _row(tables, arm, protocol, rule or tables.rules_of(protocol)[0], weights, lengths)
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
                for final in finals(tables, arm, protocol, rule).found:
                    for scope, accuracy in final.accuracy(weights).items():
                        size = len(weights[scope])
                        rows.append((final.run, arm, final.seed, protocol, rule, scope, accuracy, size))
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
    by_question = questions.set_index("question")
    for scope, each in weights.items():
        if each.empty:
            continue
        chance[scope] = 100.0 * weighted_mean(1.0 / by_question["choices"].map(len), each)
        constant[scope], details[scope] = _best_constant(by_question, each)
    return Reference("chance", chance), Reference("best constant answer", constant, details)


def _best_constant(questions: pd.DataFrame, weights: pd.Series) -> tuple[float, str]:
    candidates = []
    for column, described in (("answer", "the option {!r}"), ("answer_letter", "the letter {}")):
        shares = weights.groupby(questions.loc[weights.index, column]).sum() / weights.sum()
        for value, share in shares.items():
            # "(C)" or "C": the letter alone reads better.
            shown = str(value).strip("()") if column == "answer_letter" else str(value)
            candidates.append((-float(share), column != "answer", shown, described.format(shown)))
    share, _, _, detail = min(candidates)
    return -100.0 * share, f"always {detail}"


def _mean_tokens(tables: Tables) -> Mapping[tuple[str, str], float]:
    final = tables.completions[tables.completions["phase"] == "final"]
    means = final.groupby(["run", "protocol"], sort=True)["tokens"].mean().reset_index()
    return {
        (str(run), str(protocol)): float(mean)
        for run, protocol, mean in zip(means["run"], means["protocol"], means["tokens"], strict=True)
    }


def _row(
    tables: Tables,
    arm: str,
    protocol: str,
    rule: str,
    weights: Weights,
    lengths: Mapping[tuple[str, str], float],
) -> ArmRow:
    found = finals(tables, arm, protocol, rule)
    accuracies = {final.run: final.accuracy(weights) for final in found.found}
    cells = {}
    for scope in weights:
        values = {run: accuracy[scope] for run, accuracy in accuracies.items()}
        cells[scope] = Cell(values, mean_interval(list(values.values())) if values else None)
    tokens = [lengths[final.run, protocol] for final in found.found if (final.run, protocol) in lengths]
    return ArmRow(
        arm=arm,
        protocol=protocol,
        own=protocol == tables.own_protocol(arm),
        rule=rule,
        cells=cells,
        planned=found.planned,
        done=found.done,
        lost=found.lost,
        single=bool(tables.runs.loc[tables.runs["arm"] == arm, "seed"].isna().all()),
        parsed=_mean([final.parsed() for final in found.found]),
        tokens=_mean(tokens),
    )


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
