"""Accuracy by arm, by run, and by protocol and scoring rule; how complete the study is."""

from collections.abc import Iterable

from analysis.collected import Tables
from analysis.scopes import BENCHMARK, MICRO, SUITES
from analysis.scores import ArmRow, ArmTable, all_rules, arm_table
from analysis.tables.common import STATES, accuracy, chance_text, scope_columns, short_chance, state_counts
from analysis.tables.table import Cell, Column, Number, Table, count
from analysis.words import NONE

_RUNS = "runs with a score"


def arms(tables: Tables, table: ArmTable) -> Table:
    """Arms x scores, mean over seeds ± half width, references below."""
    rows: list[tuple[Cell, ...]] = []
    for row in table.rows:
        scores = [accuracy(row.cells[scope]) for scope in table.scopes]
        runs = (count(row.n, "run"), count(row.planned, "run"))
        lengths = (Number(row.parsed, n=row.n), Number(row.tokens, n=row.n, unit="token"))
        rows.append((row.arm, row.protocol, row.rule, own(row), *scores, *runs, *lengths))
    for ref in table.references:
        scores = [Number(ref.cells.get(scope)) for scope in table.scopes]
        rows.append((ref.name, "", "", "", *scores, "", "", "", ""))
    columns = (
        Column("arm", "arm", "name of the arm, or of a reference that needs no model"),
        Column("protocol", "protocol", "how it was asked"),
        Column("rule", "rule", "scoring rule"),
        Column("own", "", "* marks the arm's own protocol"),
        *scope_columns(table.scopes, "accuracy, mean over runs"),
        Column("n", "n", _RUNS),
        Column("planned", "planned", "runs planned"),
        Column("parsed", "parsed %", "completions from which the rule could read an answer, mean over runs"),
        Column("tokens", "tokens", "length of a completion, mean over runs"),
    )
    title = f"{tables.study['title']}: accuracy by arm and task"
    return Table("arms", title, columns, tuple(rows), tuple(_arm_footers(table)), keys=3)


def seeds(tables: Tables, table: ArmTable) -> Table:
    """Every run's own accuracy, under every protocol it was evaluated under."""
    rows: list[tuple[Cell, ...]] = []
    for row in table.rows:
        for run in row.cells[table.scopes[0]].values:
            scores = [Number(row.cells[scope].values[run], n=1) for scope in table.scopes]
            rows.append((run, row.protocol, row.rule, own(row), *scores))
        for run, why in row.lost.items():
            rows.append((run, row.protocol, row.rule, own(row), why, *[NONE] * (len(table.scopes) - 1)))
    columns = (
        Column("run", "run", "arm and seed"),
        Column("protocol", "protocol", "how it was asked"),
        Column("rule", "rule", "scoring rule"),
        Column("own", "", "* marks the arm's own protocol"),
        *scope_columns(table.scopes, "accuracy of the run"),
    )
    footers = (f"Percent correct on {table.questions} questions. {short_chance(table)}",)
    title = f"{tables.study['title']}: accuracy of every run"
    return Table("seeds", title, columns, tuple(rows), footers, keys=3)


def protocols(tables: Tables) -> Table:
    """Accuracy over all questions of every arm under every protocol and every scoring rule that reads it."""
    by_rule = {rule: arm_table(tables, rule) for rule in all_rules(tables)}
    found = {(row.arm, row.protocol, rule): row for rule, table in by_rule.items() for row in table.rows}
    decisive = arm_table(tables)
    scope = decisive.scopes[0]
    rows: list[tuple[Cell, ...]] = []
    for first in decisive.rows:
        by = [found.get((first.arm, first.protocol, rule)) for rule in by_rule]
        cells = [cell for row in by for cell in _scored(row, scope)]
        runs = (count(first.n, "run"), count(first.planned, "run"))
        rows.append((first.arm, first.protocol, own(first), *cells, *runs))
    columns = (
        Column("arm", "arm", "name of the arm"),
        Column("protocol", "protocol", "how it was asked"),
        Column("own", "", "* marks the arm's own protocol"),
        *(
            column
            for rule in by_rule
            for column in (
                Column(rule, f"{rule} %", f"accuracy by rule {rule}, mean over runs"),
                Column(f"{rule}_parsed", f"{rule}: parsed %", f"completions that rule {rule} could read"),
            )
        ),
        Column("n", "n", _RUNS),
        Column("planned", "planned", "runs planned"),
    )
    footers = (
        f"Percent correct on {decisive.questions} questions: mean over seeds ± half of the 95 % t interval.",
        "* the arm's own protocol. parsed %: completions from which the rule could read an answer.",
        f"n: {_RUNS}. {_missing(decisive)} {short_chance(decisive)}",
    )
    title = f"{tables.study['title']}: overall accuracy by protocol and scoring rule"
    return Table("protocols", title, columns, tuple(rows), footers, keys=2)


def own(row: ArmRow) -> str:
    """A star where the protocol is the arm's own, the one that it is judged by."""
    return "*" if row.own else ""


def _scored(row: ArmRow | None, scope: str) -> tuple[Cell, Cell]:
    return (NONE, NONE) if row is None else (accuracy(row.cells[scope]), Number(row.parsed, n=row.n))


def completeness(tables: Tables) -> Table:
    """Runs of every arm by state, and those that are left out on purpose."""
    counts = state_counts(tables)
    rows = tuple((arm, *(count(number, "run") for number in of.values())) for arm, of in counts.items())
    told = {"planned": "runs planned", "excluded": "runs left out because a manipulation check failed"}
    columns = (
        Column("arm", "arm", "name of the arm"),
        *(Column(key, key, told.get(key, f"runs {key}")) for key in ("planned", *STATES, "excluded")),
    )
    unfinished = tables.runs[tables.runs["state"] != "done"]
    footers = [
        f"{run}: {state}" + (f" ({reason})" if isinstance(reason, str) and reason else "")
        for run, state, reason in zip(unfinished["run"], unfinished["state"], unfinished["reason"], strict=True)
    ]
    footers += [f"{run}: excluded, {why}" for run, why in tables.failed_checks.items()]
    title = f"{tables.study['title']}: completeness"
    return Table("completeness", title, columns, rows, tuple(footers or ["Every planned run is done."]))


def _arm_footers(table: ArmTable) -> Iterable[str]:
    first = table.scopes[0]
    counted = "is the mean of the suites' own" if first == SUITES else "counts every question the same"
    yield f"Percent correct on {table.questions} held-out questions; {first} {counted}."
    if BENCHMARK in table.scopes:
        yield (
            f"{BENCHMARK}: CV-Bench's own total, 1/2 ((ADE20K + COCO) / 2 + Omni3D) of the accuracies by source;"
            f" {MICRO} is the one that most papers print."
        )
    yield (
        "Mean over seeds ± half width of the 95 % Student-t interval (which knows no bounds at 0 and 100), about the"
        " method on these questions; a single run has no interval."
    )
    single = list(dict.fromkeys(row.arm for row in table.rows if row.single))
    alone = f" Arms without randomness, one run each: {', '.join(single)}." if single else ""
    yield f"n: {_RUNS}.{alone} {_missing(table)}"
    yield (
        "* the arm's own protocol, the one that it is judged by. parsed %: completions from which the rule"
        " could read an answer. tokens: mean length of a completion."
    )
    yield (
        f"{chance_text(table)} The {first} constant is one answer to all questions, a task's is one answer to that"
        " task."
    )


def _missing(table: ArmTable) -> str:
    lost = {run: why for row in table.rows if row.own for run, why in row.lost.items()}
    others = sum(len(row.lost) for row in table.rows if not row.own)
    told = f"Missing: {'; '.join(f'{run} ({why})' for run, why in lost.items())}." if lost else "Missing: none."
    return told + (f" Under other protocols {others} run(s) are missing." if others else "")
