"""The published claims: what was printed, what is measured, the verdict."""

from collections.abc import Sequence

from analysis.claims import ClaimResult
from analysis.collected import Tables
from analysis.tables.common import difference, ends
from analysis.tables.table import Cell, Column, Number, Table, of_interval
from analysis.words import NONE


def claims(tables: Tables, results: Sequence[ClaimResult]) -> Table | None:
    """The published claims with their verdicts; None when none are declared."""
    if not results:
        return None
    columns = (
        Column("claim", "claim", "name of the claim"),
        Column("statement", "statement", "what was published"),
        Column("source", "source", "where"),
        Column("printed", "printed", "the printed figure; of a claim without one its direction"),
        Column("against", "held against", "the contrast that decides it, or the arm that really ran"),
        Column("measured", "measured", "mean over our runs"),
        Column("", "interval"),
        Column("verdict", "verdict", "what this study says of it"),
        Column("standing", "declared", "whether the contrast was registered before anything it reads was evaluated"),
        Column("reason", "because", "what qualifies the verdict, or why there is none"),
        Column("runs", "of runs", "how many runs of each side the printed figure is a mean over"),
        Column("single", "so many fall in", "interval of the mean of so many further runs of ours, or of a difference"),
        Column("within", "printed lies", "the printed figure against that interval"),
    )
    title = f"{tables.study['title']}: published claims"
    return Table("claims", title, columns, tuple(map(_row, results)), tuple(_footers(results)))


def _row(result: ClaimResult) -> tuple[Cell, ...]:
    contrast, interval = result.contrast, None if result.contrast is None else result.contrast.interval
    decimals, unit = result.decimals, result.unit
    printed: Cell = result.direction
    if result.figure is not None:
        printed = Number(result.figure, unit=unit, decimals=max(2, decimals), signed=result.ran is None)
    measured: Cell = NONE
    bounds = NONE
    if contrast is not None:
        against = contrast.name
        measured = difference(interval, decimals, unit) if interval else f"none: {contrast.reason}"
        bounds = ends(interval, decimals)
    elif result.ran is not None:
        against = f"a run of {result.ran.arm} ({result.ran.place})"
        measured = of_interval(result.prediction, unit=unit, style="none") if result.prediction else NONE
    else:
        against = NONE
    single: Cell = NONE
    if result.prediction is not None and result.prediction.standard_error:
        signed = result.ran is None
        single = of_interval(result.prediction, unit=unit, decimals=decimals, signed=signed, style="range")
    within = NONE if result.within is None else "within" if result.within else "outside"
    return (
        *(result.name, result.statement, result.source),
        *(printed, against, measured, bounds, result.label),
        *(NONE if contrast is None else contrast.standing.status, result.reason),
        *(NONE if result.figure is None else str(result.runs), single, within),
    )


def _footers(results: Sequence[ClaimResult]) -> list[str]:
    """What the numbers are, for the kinds of claims that there are, and the claims' notes."""
    told = []
    if any(result.contrast for result in results):
        told.append(
            "Held against a contrast: printed and measured are differences a − b. The contrast's intervals decide the"
            " verdict; the printed figure, a difference of single runs or of means over m runs, is held against where"
            " such a difference of further runs of ours falls (t s √(1/m + 1/n), no seed in common). Whether printed"
            " totals alone could have decided it: ablate audit."
        )
    if any(result.ran for result in results):
        told.append(
            "Held against a run: printed is one run's accuracy in percent (or a mean over runs), measured the mean over"
            " runs of the arm that really ran. A printed score within is one that a run of that arm may well have."
        )
    told.append(
        "Supported and contradicted: the interval leaves out 0 (for a claim of equality: lies within the margin, or"
        " wholly outside of it). Below the margin: the difference is real and too small to matter by what is declared."
        " Unadjusted only: not after adjustment. Inconclusive is not evidence of no difference."
    )
    return told + [f"{result.name}: {result.note}" for result in results if result.note]
