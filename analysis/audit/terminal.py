"""An audit in the terminal: findings by severity, then a sentence on each."""

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from analysis.audit.findings import Severity
from analysis.audit.report import TITLE, Audit
from analysis.tables.table import Number

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def render(result: Audit) -> RenderableType:
    """What `rich.console.Console.print` shows."""
    grid = RichTable(title=f"{TITLE}: {result.summary}", box=box.SIMPLE_HEAVY, caption="percent and points")
    grid.add_column("#", justify="right")
    for name in ("severity", "check"):
        grid.add_column(name, no_wrap=True)
    for name in ("source, table", "condition", "benchmark, task"):
        grid.add_column(name, overflow="fold")
    for name in ("printed", "against", "difference"):
        grid.add_column(name, justify="right", no_wrap=True)
    lines: list[RenderableType] = []
    before: Severity | None = None
    for place, finding in enumerate(result.findings, start=1):
        if before not in (None, finding.severity):
            grid.add_section()
        before = finding.severity
        style = STYLES[finding.severity]
        known = finding.numbers
        # a second printed figure, or what others make of the first
        against = known.get("other", known.get("implied"))
        numbers = (known.get("printed"), against, known.get("difference"))
        cells = (str(Number(value, decimals=2, signed=place == 2)) for place, value in enumerate(numbers))
        said = (Text(text) for text in (finding.check, finding.where, finding.condition, finding.what))
        grid.add_row(str(place), Text(finding.severity, style=style), *said, *cells)
        mark = Text(f"{place:>3} ", style=style)
        line = RichTable.grid()
        line.add_row(mark, Text(finding.sentence))
        lines.append(line)
    foot = [
        f"{check.check}: {check.unit}: {check.examined}"
        + "".join(f", {number} not examined ({reason})" for reason, number in check.skipped.items())
        for check in result.checks
    ]
    body = [grid, *lines] if lines else [Text(f"{TITLE}: nothing was found.")]
    return Group(
        *body,
        Text("\nExamined", style="bold"),
        *(Padding(Text(line), (0, 0, 0, 2)) for line in foot),
        *(Text(remark) for remark in result.remarks),
    )
