"""What the views share."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from harness.record.status import State

STYLES: dict[str, str] = {
    "done": "green",
    "running": "cyan",
    "queued": "blue",
    "failed": "bold red",
    "blocked": "yellow",
    "interrupted": "yellow",
    "missing": "dim",
}

RunStates = Mapping[str, tuple[State, str]]


def new_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def state_text(state: str) -> Text:
    return Text(state, STYLES.get(state, ""))


def key_values(pairs: Mapping[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for name, value in pairs.items():
        grid.add_row(Text(name, "dim"), Text(str(value)))
    return grid


def flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Settings by their dotted paths, as ``--set`` takes them."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {above + name: value}
    return found


def number_text(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
