"""Accuracy of every run, and the arm table: arms x tasks, with the seed as the unit."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from analysis.load import Tables
from analysis.statistics import MeanInterval, mean_interval

OVERALL = "overall"


@dataclass(frozen=True)
class Final:
    """Answers of one finished run's last checkpoint under one protocol and scoring rule."""

    run: str
    seed: int | None
    """None for an arm without randomness."""
    answers: pd.DataFrame
    """One row per question: question, task, image, status, correct."""

    def accuracy(self) -> dict[str, float]:
        """Percent correct, overall (micro: every question counts the same) and by task."""
        by_task = self.answers.groupby("task", sort=False)["correct"].mean()
        return {OVERALL: 100.0 * float(self.answers["correct"].mean())} | {
            str(task): 100.0 * float(share) for task, share in by_task.items()
        }

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
    """One arm on one scope (overall or a task), in percent."""

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
        return len(self.cells[OVERALL].values)


@dataclass(frozen=True)
class Reference:
    """A score that needs no model, in percent by scope."""

    name: str
    cells: dict[str, float]
    details: dict[str, str] = field(default_factory=dict)
    """What the answer is, by scope."""


@dataclass(frozen=True)
class ArmTable:
    """Arms x (overall, tasks) under one rule, with chance and the best constant answer beside them."""

    rule: str
    scopes: tuple[str, ...]
    rows: tuple[ArmRow, ...]
    references: tuple[Reference, ...]
    questions: int


def finals(tables: Tables, arm: str, protocol: str, rule: str) -> Finals:
    """Final answers of every planned run of an arm; a run that lacks any question counts as lost."""
    runs = tables.runs[tables.runs["arm"] == arm].sort_values(["seed", "run"], na_position="first")
    chosen = tables.answers[
        (tables.answers["arm"] == arm)
        & (tables.answers["phase"] == "final")
        & (tables.answers["protocol"] == protocol)
        & (tables.answers["rule"] == rule)
    ]
    by_run = {str(run): frame for run, frame in chosen.groupby("run", sort=False)}
    expected = len(tables.questions)
    found: list[Final] = []
    lost: dict[str, str] = {}
    for run, seed, state, reason in zip(runs["run"], runs["seed"], runs["state"], runs["reason"], strict=True):
        answers = by_run.get(run)
        if answers is None:
            told = f": {reason}" if isinstance(reason, str) and reason else ""
            lost[run] = f"no answers under {protocol}/{rule}" if state == "done" else f"{state}{told}"
        elif len(answers) < expected:
            lost[run] = f"{len(answers)} of {expected} questions answered"
        else:
            columns = answers[["question", "task", "image", "status", "correct"]]
            found.append(Final(run, None if pd.isna(seed) else int(seed), columns))
    return Finals(tuple(found), lost, planned=len(runs), done=int((runs["state"] == "done").sum()))


def protocols_of(tables: Tables, arm: str) -> list[str]:
    """Protocols that an arm was evaluated under, its own first, the others in the order of the study."""
    own = tables.own_protocol(arm)
    chosen = tables.answers[(tables.answers["arm"] == arm) & (tables.answers["phase"] == "final")]
    seen = set(chosen["protocol"])
    return [own, *(name for name in tables.study["protocols"] if name in seen and name != own)]


def arm_table(tables: Tables, rule: str | None = None) -> ArmTable:
    """Score every arm under every protocol it was evaluated under.

    Args:
        rule: scoring rule; the study's first by default.

    Raises:
        ValueError: the study has no such rule.
    """
    rule = rule or tables.rules[0]
    if rule not in tables.rules:
        raise ValueError(f"no scoring rule {rule!r} in this study; there are {', '.join(tables.rules)}")
    scopes = (OVERALL, *tables.tasks)
    lengths = _mean_tokens(tables)
    rows = [
        _row(tables, arm, protocol, rule, scopes, lengths)
        for arm in tables.arms
        for protocol in protocols_of(tables, arm)
    ]
    return ArmTable(rule, scopes, tuple(rows), references(tables.questions, scopes), len(tables.questions))


def run_scores(tables: Tables) -> pd.DataFrame:
    """Accuracy of every whole run.

    Returns:
        Columns run, arm, seed, protocol, rule, scope, accuracy (percent), questions.
    """
    rows = []
    for arm in tables.arms:
        for protocol in protocols_of(tables, arm):
            for rule in tables.rules:
                for final in finals(tables, arm, protocol, rule).found:
                    sizes = {OVERALL: len(final.answers), **final.answers["task"].value_counts().to_dict()}
                    for scope, accuracy in final.accuracy().items():
                        rows.append((final.run, arm, final.seed, protocol, rule, scope, accuracy, sizes[scope]))
    columns = ["run", "arm", "seed", "protocol", "rule", "scope", "accuracy", "questions"]
    return pd.DataFrame(rows, columns=columns).astype({"seed": "Int64"})


def references(questions: pd.DataFrame, scopes: tuple[str, ...]) -> tuple[Reference, ...]:
    """Chance (mean over questions of 1 / number of options) and the best constant answer, by scope.

    The best constant answer is the better of always giving one option's text and always giving one letter;
    the overall one is a single answer to all questions, that of a task one answer to that task.
    """
    chance: dict[str, float] = {}
    constant: dict[str, float] = {}
    details: dict[str, str] = {}
    for scope in scopes:
        chosen = questions if scope == OVERALL else questions[questions["task"] == scope]
        if chosen.empty:
            continue
        chance[scope] = 100.0 * float((1.0 / chosen["choices"].map(len)).mean())
        constant[scope], details[scope] = _best_constant(chosen)
    return Reference("chance", chance), Reference("best constant answer", constant, details)


def _best_constant(questions: pd.DataFrame) -> tuple[float, str]:
    candidates = []
    for column, described in (("answer", "the option {!r}"), ("answer_letter", "the letter {}")):
        for value, share in questions[column].value_counts(normalize=True).items():
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
    scopes: tuple[str, ...],
    lengths: Mapping[tuple[str, str], float],
) -> ArmRow:
    found = finals(tables, arm, protocol, rule)
    accuracies = {final.run: final.accuracy() for final in found.found}
    cells = {}
    for scope in scopes:
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
