"""The comparison in the terminal: the arm table with the contrasts under it."""

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

from analysis.compare import Comparison, Results
from analysis.sentences import verdict_text
from analysis.words import mean_text, number


def render(comparison: Comparison | Results) -> RenderableType:
    """What `rich.console.Console.print` shows: arms (own protocol), references, contrasts in words."""
    results = comparison.results if isinstance(comparison, Comparison) else comparison
    table = results.arms
    scopes = [scope for scope in table.scopes if scope not in results.tables.sources]  # a line has to fit
    grid = RichTable(
        title=escape(str(results.tables.study["title"])),
        caption=(
            f"% correct on {table.questions} held-out questions, rule {table.rule}; mean over seeds ±"
            " half of the 95 % t interval; n: scored / planned runs"
        ),
        box=box.SIMPLE_HEAVY,
    )
    grid.add_column("arm", no_wrap=True)
    grid.add_column("protocol")
    for scope in scopes:
        grid.add_column(scope, justify="right", no_wrap=True)
    for name in ("n", "parsed %", "tokens"):
        grid.add_column(name, justify="right")
    for row in table.rows:
        if row.own:
            cells = [mean_text(row.cells[scope]) for scope in scopes]
            short = row.n < row.planned
            n = f"[yellow]{row.n}/{row.planned}[/]" if short else f"{row.n}/{row.planned}"
            grid.add_row(escape(row.arm), escape(row.protocol), *cells, n, number(row.parsed), number(row.tokens))
    grid.add_section()
    for ref in table.references:
        cells = [number(ref.cells.get(scope)) for scope in scopes]
        grid.add_row(f"[dim]{ref.name}[/]", "", *(f"[dim]{cell}[/]" for cell in cells), "", "", "")
    lines: list[RenderableType] = [grid]
    for result in results.contrasts:
        told = f"  [{verdict_text(result)}; {result.standing.status}]"
        lines.append(Text.assemble((f"{result.name}  ", "bold"), (result.question, "italic"), (told, "cyan")))
        lines.append(Text(f"  {result.sentence}"))
    for claim in results.claims:
        told = f"{claim.verdict}{f' ({claim.reason})' if claim.reason else ''}"
        lines.append(Text.assemble((f"{claim.name}  ", "bold"), (claim.statement, "italic"), (f"  {told}", "cyan")))
    return Group(*lines)
