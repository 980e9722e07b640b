"""The tables as Markdown and CSV; their footers tell n, what is missing, chance. Equal input, equal bytes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
from tabulate import tabulate

from analysis.contrasts import ContrastResult
from analysis.load import Tables
from analysis.scores import OVERALL, ArmTable, Cell, arm_table
from analysis.words import NONE, interval_text, mean_text, number, p_text, points, protocol_label


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
    """The base-vs-SFT table: arms x tasks, mean over seeds ± half width, references below."""
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
        for run in row.cells[OVERALL].values:
            values = {scope: row.cells[scope].values[run] for scope in table.scopes}
            rows.append((run, protocol_label(row), *(number(value) for value in values.values())))
            records.append({"run": run, "arm": row.arm, "protocol": row.protocol, "rule": row.rule, **values})
        for run, why in row.lost.items():
            rows.append((run, protocol_label(row), why, *[NONE] * (len(table.scopes) - 1)))
    columns = ["run", "arm", "protocol", "rule", *table.scopes]
    header = ("run", "protocol", *(f"{scope} %" for scope in table.scopes))
    footers = (f"Percent correct on {table.questions} questions, rule {table.rule}. {_chance(table)}",)
    title = f"{tables.study['title']}: accuracy of every run"
    return Table("seeds", title, header, tuple(rows), footers, pd.DataFrame(records, columns=columns))


def contrast_table(tables: Tables, results: Sequence[ContrastResult]) -> Table:
    """The declared contrasts."""
    header = (
        "contrast",
        "a",
        "b",
        "a − b",
        "95 % interval",
        "runs a, b",
        "df",
        "p",
        "margin",
        "missing",
        "interval over",
    )
    rows, records = [], []
    for result in results:
        interval = result.interval
        rows.append(
            (
                result.name,
                *result.labels,
                NONE if interval is None else points(interval.mean),
                interval_text(interval),
                f"{result.n_a}, {result.n_b}",
                NONE if interval is None or interval.df is None else f"{interval.df:.4g}",
                p_text(interval),
                NONE if result.margin is None else f"{result.margin:g}",
                f"{result.missing} of {result.planned}",
                result.method if interval is not None else f"none: {result.reason}",
            )
        )
        records.append(_contrast_record(result))
    footers = (
        "a − b in percentage points of accuracy. p is two-sided against 0. A t interval knows no bounds.",
        f"Missing: planned runs of the two sides that did not enter. {_chance(arm_table(tables))}",
    )
    title = f"{tables.study['title']}: declared contrasts"
    return Table("contrasts", title, header, tuple(rows), footers, pd.DataFrame(records, columns=list(_CONTRAST)))


def protocol_rule_table(tables: Tables) -> Table:
    """Overall accuracy of every arm under every protocol and scoring rule."""
    by_rule = {rule: arm_table(tables, rule) for rule in tables.rules}
    rows, records = [], []
    for aligned in zip(*(table.rows for table in by_rule.values()), strict=True):
        first = aligned[0]
        texts = [text for row in aligned for text in (mean_text(row.cells[OVERALL]), number(row.parsed))]
        rows.append((first.arm, protocol_label(first), *texts, f"{first.n}/{first.planned}"))
        records += [
            {
                "arm": row.arm,
                "protocol": row.protocol,
                "own": row.own,
                "rule": row.rule,
                **_cell_record("", row.cells[OVERALL]),
            }
            | {"n": row.n, "planned": row.planned, "parsed": row.parsed}
            for row in aligned
        ]
    header = (
        "arm",
        "protocol",
        *(text for rule in by_rule for text in (f"{rule} %", f"{rule}: parsed %")),
        "n",
    )
    table = next(iter(by_rule.values()))
    footers = [
        f"Percent correct on {table.questions} questions: mean over seeds ± half of the 95 % t interval.",
        "* the arm's own protocol. parsed %: completions from which the rule could read an answer.",
        f"n: runs with a score / planned. {_missing(table)} {_chance(table)}",
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
    yield (
        f"Percent correct on {table.questions} held-out questions, scoring rule {table.rule}; overall counts"
        " every question the same."
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
        f"{_chance(table)} The overall constant is one answer to all questions, a task's is one answer to that task."
    )


def _missing(table: ArmTable) -> str:
    lost = {run: why for row in table.rows if row.own for run, why in row.lost.items()}
    others = sum(len(row.lost) for row in table.rows if not row.own)
    told = f"Missing: {'; '.join(f'{run} ({why})' for run, why in lost.items())}." if lost else "Missing: none."
    return told + (f" Under other protocols {others} run(s) are missing." if others else "")


def _chance(table: ArmTable) -> str:
    chance, constant = table.references
    if OVERALL not in chance.cells:
        return "Chance: unknown, no questions were collected."
    described = "; ".join(
        f"{scope} {number(constant.cells[scope])} ({constant.details[scope]})"
        for scope in table.scopes
        if scope in constant.cells
    )
    return f"Chance: {number(chance.cells[OVERALL])} % overall. Best constant answer in %: {described}."


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


_CONTRAST = (
    *(
        "contrast",
        "question",
        "arm_a",
        "protocol_a",
        "rule_a",
        "arm_b",
        "protocol_b",
        "rule_b",
        "metric",
        "pairing",
    ),
    *(
        "method",
        "estimate",
        "low",
        "high",
        "standard_error",
        "df",
        "p",
        "n_a",
        "n_b",
        "planned",
        "missing",
        "margin",
    ),
    *("unit", "per_seed", "reason", "sentence"),
)


def _contrast_record(result: ContrastResult) -> dict[str, object]:
    interval = result.interval
    values: dict[str, object] = {
        name: getattr(result, name)
        for name in ("question", "metric", "pairing", "method", "n_a", "n_b", "planned", "missing", "margin")
    }
    values |= {
        "unit": result.unit,
        "reason": result.reason,
        "sentence": result.sentence,
        "contrast": result.name,
    }
    for side, name in ((result.a, "a"), (result.b, "b")):
        values |= {f"arm_{name}": side.arm, f"protocol_{name}": side.protocol, f"rule_{name}": side.rule}
    values["estimate"] = None if interval is None else interval.mean
    for name in ("low", "high", "standard_error", "df", "p"):
        values[name] = None if interval is None else getattr(interval, name)
    values["per_seed"] = "; ".join(f"{name}: {value:.4f}" for name, value in result.per_seed.items())
    return values
