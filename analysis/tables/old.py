"""The tables as Markdown and CSV; their footers tell n, what is missing, chance. Equal input, equal bytes."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
from tabulate import tabulate

from analysis.load import Tables
from analysis.scopes import BENCHMARK, MICRO
from analysis.scores import ArmTable, Cell, all_rules, arm_table
from analysis.words import NONE, mean_text, number, protocol_label


@dataclass(frozen=True)
class Table:
    """One table for readers (text cells, footers) and for machines (numbers)."""

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footers: tuple[str, ...]
    frame: pd.DataFrame
    """The same numbers unrounded, one column each."""

    def markdown(self, heading: str = "##") -> str:
        """Heading, table and footers."""
        cells = [[cell.replace("|", "\\|") for cell in row] for row in self.rows]
        text = tabulate(cells, headers=list(self.header), tablefmt="pipe", disable_numparse=True)
        notes = "\n".join(f"- {footer}" for footer in self.footers)
        return f"{heading} {self.title}\n\n{text}\n\n{notes}\n"


def arms(tables: Tables, table: ArmTable) -> Table:
    """Arms x scopes, mean over seeds ± half width, references below."""
    rows = [
        (
            row.arm,
            protocol_label(row),
            *(mean_text(row.cells[scope]) for scope in table.scopes),
            f"{row.n}/{row.planned}",
            number(row.parsed),
            number(row.tokens),
        )
        for row in table.rows
    ]
    rows += [
        (ref.name, "", *(number(ref.cells.get(scope)) for scope in table.scopes), "", "", "")
        for ref in table.references
    ]
    header = ("arm", "protocol", *(f"{scope} %" for scope in table.scopes), "n", "parsed %", "tokens")
    title = f"{tables.study['title']}: accuracy by arm and task"
    return Table("arms", title, header, tuple(rows), tuple(_arm_footers(table)), _arm_frame(table))


def seeds(tables: Tables, table: ArmTable) -> Table:
    """Every run's own accuracy, under every protocol it was evaluated under."""
    rows, records = [], []
    for row in table.rows:
        for run in row.cells[table.scopes[0]].values:
            values = {scope: row.cells[scope].values[run] for scope in table.scopes}
            rows.append((run, protocol_label(row), *(number(value) for value in values.values())))
            records.append({"run": run, "arm": row.arm, "protocol": row.protocol, "rule": row.rule, **values})
        for run, why in row.lost.items():
            rows.append((run, protocol_label(row), why, *[NONE] * (len(table.scopes) - 1)))
    columns = ["run", "arm", "protocol", "rule", *table.scopes]
    header = ("run", "protocol", *(f"{scope} %" for scope in table.scopes))
    footers = (f"Percent correct on {table.questions} questions, rule {_rules(table)}. {chance_text(table)}",)
    title = f"{tables.study['title']}: accuracy of every run"
    return Table("seeds", title, header, tuple(rows), footers, pd.DataFrame(records, columns=columns))


def protocol_rule_table(tables: Tables) -> Table:
    """Accuracy over all questions of every arm under every protocol and every scoring rule that reads it."""
    by_rule = {rule: arm_table(tables, rule) for rule in all_rules(tables)}
    found = {(row.arm, row.protocol, rule): row for rule, table in by_rule.items() for row in table.rows}
    decisive = arm_table(tables)
    scope = decisive.scopes[0]
    rows, records = [], []
    for first in decisive.rows:
        own = {rule: found.get((first.arm, first.protocol, rule)) for rule in by_rule}
        texts = [
            text
            for row in own.values()
            for text in ((NONE, NONE) if row is None else (mean_text(row.cells[scope]), number(row.parsed)))
        ]
        rows.append((first.arm, protocol_label(first), *texts, f"{first.n}/{first.planned}"))
        records += [
            {
                "arm": row.arm,
                "protocol": row.protocol,
                "own": row.own,
                "rule": row.rule,
                **_cell_record("", row.cells[scope]),
            }
            | {"n": row.n, "planned": row.planned, "parsed": row.parsed}
            for row in own.values()
            if row is not None
        ]
    header = (
        "arm",
        "protocol",
        *(text for rule in by_rule for text in (f"{rule} %", f"{rule}: parsed %")),
        "n",
    )
    footers = [
        f"Percent correct on {decisive.questions} questions: mean over seeds ± half of the 95 % t interval.",
        "* the arm's own protocol. parsed %: completions from which the rule could read an answer.",
        f"n: runs with a score / planned. {_missing(decisive)} {chance_text(decisive)}",
    ]
    title = f"{tables.study['title']}: overall accuracy by protocol and scoring rule"
    return Table("protocols", title, header, tuple(rows), tuple(footers), pd.DataFrame(records))


def completeness_table(tables: Tables) -> Table:
    """Runs of every arm by state."""
    states = ("done", "failed", "blocked", "interrupted", "running", "missing")
    records = []
    for arm in tables.arms:
        found = tables.runs.loc[tables.runs["arm"] == arm, "state"]
        counts = {state: int((found == state).sum()) for state in states}
        records.append({"arm": arm, "planned": len(found), **counts})
    unfinished = tables.runs[tables.runs["state"] != "done"]
    footers = [
        f"{run}: {state}" + (f" ({reason})" if isinstance(reason, str) and reason else "")
        for run, state, reason in zip(unfinished["run"], unfinished["state"], unfinished["reason"], strict=True)
    ]
    frame = pd.DataFrame(records, columns=["arm", "planned", *states])
    rows = tuple(tuple(str(value) for value in record.values()) for record in records)
    title = f"{tables.study['title']}: completeness"
    return Table(
        "completeness",
        title,
        tuple(frame.columns),
        rows,
        tuple(footers or ["Every planned run is done."]),
        frame,
    )


def _arm_footers(table: ArmTable) -> Iterable[str]:
    first = table.scopes[0]
    yield (
        f"Percent correct on {table.questions} held-out questions, scoring rule {_rules(table)}; {first} counts"
        " every question the same."
    )
    if BENCHMARK in table.scopes:
        yield (
            f"{BENCHMARK}: CV-Bench's own total, 1/2 ((ADE20K + COCO) / 2 + Omni3D) of the accuracies by source;"
            f" {MICRO} is the one that most papers print."
        )
    yield (
        "Mean over seeds ± half width of the 95 % Student-t interval (which knows no bounds at 0 and 100); a"
        " single run has no interval."
    )
    single = list(dict.fromkeys(row.arm for row in table.rows if row.single))
    alone = f" Arms without randomness, one run each: {', '.join(single)}." if single else ""
    yield f"n: runs with a score / planned.{alone} {_missing(table)}"
    yield (
        "* the arm's own protocol, the one that it is judged by. parsed %: completions from which the rule"
        " could read an answer. tokens: mean length of a completion."
    )
    yield (
        f"{chance_text(table)} The {first} constant is one answer to all questions, a task's is one answer to that"
        " task."
    )


def _rules(table: ArmTable) -> str:
    """The rule of most protocols, and those of the others."""
    others = {row.protocol: row.rule for row in table.rows if row.rule != table.rule}
    told = [f"{protocol} {rule}" for protocol, rule in others.items()]
    return table.rule + (f" ({', '.join(told)})" if told else "")


def _missing(table: ArmTable) -> str:
    lost = {run: why for row in table.rows if row.own for run, why in row.lost.items()}
    others = sum(len(row.lost) for row in table.rows if not row.own)
    told = f"Missing: {'; '.join(f'{run} ({why})' for run, why in lost.items())}." if lost else "Missing: none."
    return told + (f" Under other protocols {others} run(s) are missing." if others else "")


def chance_text(table: ArmTable) -> str:
    """Chance, and what the best constant answers get, in sentences."""
    chance, constant = table.references
    first = table.scopes[0]
    if first not in chance.cells:
        return "Chance: unknown, no questions were collected."
    described = "; ".join(
        f"{scope} {number(constant.cells[scope])} ({constant.details[scope]})"
        for scope in table.scopes
        if scope in constant.cells
    )
    return f"Chance: {number(chance.cells[first])} % {first}. Best constant answer in %: {described}."


def _cell_record(prefix: str, cell: Cell) -> dict[str, float | None]:
    interval = cell.interval
    return {
        f"{prefix}mean": None if interval is None else interval.mean,
        f"{prefix}low": None if interval is None else interval.low,
        f"{prefix}high": None if interval is None else interval.high,
        f"{prefix}sd": None if interval is None else interval.sd,
    }


def _arm_frame(table: ArmTable) -> pd.DataFrame:
    records = []
    for row in table.rows:
        record = {"arm": row.arm, "protocol": row.protocol, "own": row.own, "rule": row.rule}
        record |= {"planned": row.planned, "done": row.done, "n": row.n, "missing": row.planned - row.n}
        for scope in table.scopes:
            record |= _cell_record(f"{scope}_", row.cells[scope])
        records.append(record | {"parsed": row.parsed, "tokens": row.tokens})
    records += [
        {
            "arm": ref.name,
            "rule": table.rule,
            **{f"{scope}_mean": value for scope, value in ref.cells.items()},
        }
        for ref in table.references
    ]
    frame = pd.DataFrame(records)
    return frame.astype({name: "Int64" for name in ("planned", "done", "n", "missing")})
