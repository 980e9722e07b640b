"""What several tables share: names for readers, and the footers that tell what is missing and what chance gives."""

from collections.abc import Iterable
from dataclasses import replace

from analysis.collected import Tables
from analysis.scores import ArmTable, Cell
from analysis.statistics import MeanInterval
from analysis.tables.table import Column, Number, Table, of_interval
from analysis.words import NONE, number, percent

STATES = ("done", "failed", "blocked", "interrupted", "running", "missing")
"""States that a run can be in."""


def state_counts(tables: Tables) -> dict[str, dict[str, int]]:
    """Runs of every arm: planned, by state, and excluded (failed a manipulation check; in their state too)."""
    counts = {}
    for arm in tables.arms:
        runs = tables.runs[tables.runs["arm"] == arm]
        states = {state: int((runs["state"] == state).sum()) for state in STATES}
        excluded = sum(run in tables.failed_checks for run in runs["run"])
        counts[arm] = {"planned": len(runs), **states, "excluded": excluded}
    return counts


def completeness_note(tables: Tables) -> str:
    """How much of the study a table stands on: one sentence for its foot."""
    counts = state_counts(tables)
    whole = [arm for arm, of in counts.items() if of["done"] == of["planned"] and not of["excluded"]]
    planned, done = (sum(of[key] for of in counts.values()) for key in ("planned", "done"))
    shown = ", ".join(f"{arm} {of['planned']}" for arm, of in counts.items())
    if len(whole) == len(counts):
        return f"Runs: {done} of {planned} planned are finished, none failed, blocked or excluded ({shown})."
    told = f"Runs: {done} of {planned} planned are finished ({shown} planned)."
    parts = []
    for arm, of in counts.items():
        if arm not in whole:
            named = ("failed", "blocked", "interrupted", "running", "missing", "excluded")
            others = [f"{of[key]} {key}" for key in named if of[key] or key in ("failed", "blocked", "excluded")]
            parts.append(f"{arm} {of['done']} of {of['planned']} finished, {', '.join(others)}")
    return f"{told} Not whole: {'; '.join(parts)}."


def with_completeness(tables: Tables, table: Table) -> Table:
    """The table with the study's completeness in its foot."""
    return replace(table, footers=(*table.footers, completeness_note(tables)))


def chance_text(table: ArmTable) -> str:
    """Chance, and what the best constant answers get, in sentences."""
    chance, constant = table.references
    first = table.scopes[0]
    if first not in chance.cells:
        return "Chance: unknown, as the questions' options are."
    described = "; ".join(
        f"{scope} {number(constant.cells[scope])} ({constant.details[scope]})"
        for scope in table.scopes
        if scope in constant.cells
    )
    constants = f"in %: {described}" if described else "is unknown, as the right answers are"
    return f"Chance: {number(chance.cells[first])} % {first}. Best constant answer {constants}."


def short_chance(table: ArmTable) -> str:
    """Chance overall, in a sentence."""
    chance, first = table.references[0], table.scopes[0]
    return f"Chance: {number(chance.cells[first])} % {first}." if first in chance.cells else ""


def accuracy(cell: Cell) -> Number:
    """A mean over runs in percent."""
    return of_interval(cell.interval)


def difference(interval: MeanInterval | None, decimals: int, unit: str) -> Number:
    """A difference without its interval, which `ends` shows."""
    return of_interval(interval, decimals=decimals, unit=unit, signed=True, style="none")


def ends(interval: MeanInterval | None, decimals: int) -> str:
    """The ends of an interval of differences: ``-1.0 to +7.4``."""
    if interval is None or interval.low is None:
        return NONE
    return str(of_interval(interval, decimals=decimals, signed=True, style="range"))


def levels_text(alphas: Iterable[float], inner: bool = False) -> str:
    """``95 %``, or ``95 % and 99 %`` where contrasts have different levels."""
    found = dict.fromkeys(percent(1 - (2 * alpha if inner else alpha)) for alpha in sorted(set(alphas)))
    return " and ".join(found) or percent(0.9 if inner else 0.95)


def scope_columns(scopes: Iterable[str], what: str) -> tuple[Column, ...]:
    """A column of percents for each score."""
    return tuple(Column(scope, f"{scope} %", f"{what}: {scope}") for scope in scopes)
