"""What every contrast of a study can see with the declared seeds, and the seeds that it needs."""

from collections.abc import Sequence

from analysis.metrics import METRICS
from analysis.planned import MOST_SEEDS
from analysis.power_report import ContrastPower, Costs
from analysis.statistics import checkpoint_detectable, checkpoint_half_width
from analysis.tables.table import Cell, Column, Number, Table
from analysis.words import NONE, percent


def power_table(
    title: str, rows: Sequence[ContrastPower], costs: Costs | None = None, notes: Sequence[str] = ()
) -> Table:
    """The report as a table.

    Args:
        costs: of one more seed of each arm; without them there is no column for it.
        notes: further footers.
    """
    target = rows[0].target if rows else 0.8
    shown = percent(target)
    columns = [
        Column("contrast", "contrast", "name of the contrast"),
        Column("test", "test", "the test that the analysis will make of it"),
        Column("runs", "runs", "planned runs of the sides, in their order; 1* is an arm without randomness"),
        Column("family", "family", "declared family and the number of its tests"),
        Column("alpha", "α", "declared level of the test"),
        Column("adjusted_alpha", "adjusted α", "strictest step of Holm's procedure: alpha by the tests of the family"),
        Column("spread", "spread", "SD of a run's value over seeds, or the share of discordant questions"),
        Column("spread_from", "from", "where the spread is from; r: correlation of runs of equal seeds"),
        Column("difference", "to see", "true difference that power and seeds are for"),
        Column("power", "power %", "probability that the planned runs show it at the adjusted level"),
        Column(
            "detectable", f"seen at {shown}", "smallest difference that the planned runs show with the power asked for"
        ),
        Column("seeds", f"seeds for {shown}", "runs of each side with seeds that show the difference with that power"),
    ]
    if costs is not None:
        what = f"estimated {costs.unit}s of that many seeds of its arms, from and to"
        columns.append(Column("hours", f"{costs.unit}s", what))
    cells = [_cells(row) + ((_hours(row, costs),) if costs is not None else ()) for row in rows]
    return Table("power", title, tuple(columns), tuple(cells), (*_footers(rows, costs), *notes))


def _cells(row: ContrastPower) -> tuple[Cell, ...]:
    spread, decimals = row.spread, METRICS[row.metric].decimals

    def amount(value: float | None) -> Number:
        text = (
            None if value is None or row.metric == "accuracy" else f"{value:.{decimals}f} {METRICS[row.metric].short}"
        )
        return Number(value, unit=row.unit, decimals=decimals, text=text)

    if row.test.kind == "questions" and not row.reason:
        share = 100.0 * spread.discordance
        width: Cell = Number(share, n=row.questions, unit="percent", text=f"{share:.3g} % discordant")
        source = spread.discordance_from
    elif row.reason or spread.sd is None:
        width, source = NONE, ""
    else:
        width = Number(spread.sd, unit=row.unit, text=f"SD {spread.sd:.3g}")
        source = spread.sd_from
        if row.test.paired:
            source += f", r {spread.correlation:.2g}"
    seeds: Cell = NONE
    if row.seeds is not None:
        seeds = Number(float(row.seeds), unit="run", decimals=0)
    elif row.test.coefficients and spread.sd is not None and row.difference is not None:
        seeds = f"over {MOST_SEEDS:,}"
    return (
        row.name,
        row.test.name,
        ", ".join("1*" if n is None else str(n) for n in row.runs),
        NONE if row.family is None else f"{row.family}, {row.family_size}",
        _level(row.alpha),
        _level(row.adjusted_alpha),
        width,
        row.reason or source,
        amount(row.difference),
        Number(
            None if row.power is None else 100.0 * row.power, unit="percent", decimals=0, text=_power_text(row.power)
        ),
        amount(row.detectable),
        seeds,
    )


def _level(alpha: float) -> Number:
    return Number(alpha, unit="probability", text=f"{alpha:.3g}")


def _power_text(power: float | None) -> str | None:
    """No power is shown as 0 or 100 that isn't."""
    if power is None or 0.005 <= power < 0.995:
        return None
    return "> 99" if power > 0.5 else "< 1"


def _hours(row: ContrastPower, costs: Costs | None) -> Number:
    found = None if costs is None else row.hours(costs)
    unit = "GPU-hour" if costs is None else costs.unit
    if found is None:
        return Number(None, unit=unit)
    low, high = found
    first, last = (f"{each:,.0f}" if each >= 10 else f"{each:.2g}" for each in found)
    return Number((low * high) ** 0.5, low, high, unit=unit, text=first if first == last else f"{first} to {last}")


def _footers(rows: Sequence[ContrastPower], costs: Costs | None) -> list[str]:
    told = [
        "Two-sided tests, noncentral t distributions. adjusted α: the strictest step of Holm's procedure, α by the"
        " number of tests in the family; outside of a family α as it is (Benjamini-Hochberg, which decides there,"
        " depends on the other p-values). Differences and SD in percentage points of accuracy, or in what stands beside"
        " them.",
        "runs: of the sides a, b (and of what is subtracted, a, b); 1*: an arm without randomness, a known constant."
        " SD: of one run's value over seeds on these questions, the same on all sides; no error over questions."
        " r: correlation of two sides' runs of equal seeds.",
    ]
    told += _welch(rows)
    told += _checkpoints(rows)
    lacking = [row for row in rows if row.difference is None]
    if lacking:
        told.append(
            f"No difference that matters is declared for {', '.join(row.name for row in lacking)}: give margin, in the"
            " metric's unit."
        )
    lonely = [row.name for row in rows if row.family is None]
    if lonely:
        told.append(f"Outside of any family: {', '.join(lonely)}.")
    if costs is not None:
        told.append(
            f"{costs.unit}s: of that many seeds of all arms of the contrast, those that are there included; contrasts"
            f" that share arms share them. {costs.basis}"
        )
    return told


def _welch(rows: Sequence[ContrastPower]) -> list[str]:
    """How far the textbook's power of Welch's test is from that of the test itself."""
    differing = {
        row.name: f"{row.name} {row.textbook:.{METRICS[row.metric].decimals}f}"
        + ("" if row.metric == "accuracy" else f" {METRICS[row.metric].short}")
        for row in rows
        if row.textbook is not None
    }
    if not differing:
        return []
    return [
        "Welch t: the power of the test itself, which estimates its degrees of freedom and so sees less with few seeds."
        f" If it knew that the spreads are equal, as power formulas take for granted, seen would be:"
        f" {', '.join(differing.values())}."
    ]


def _checkpoints(rows: Sequence[ContrastPower]) -> list[str]:
    """What two single checkpoints show, of every contrast that could come down to them."""
    pairs = list(
        dict.fromkeys(
            (row.questions, row.spread.discordance, row.spread.design_effect, row.spread.discordance_from)
            for row in rows
            if row.metric == "accuracy" and len(row.runs) == 2
        )
    )
    if not pairs:
        return []
    widths = [checkpoint_half_width(questions, share, 0.95, effect) for questions, share, effect, _ in pairs]
    seen = [checkpoint_detectable(n, share, rows[0].alpha, rows[0].target, effect) for n, share, effect, _ in pairs]
    known = [each for each in seen if each is not None]
    asked, shares = _range([pair[0] for pair in pairs], ",d"), _range([100 * pair[1] for pair in pairs], ".3g")
    source = ", ".join(dict.fromkeys(pair[3] for pair in pairs))
    return [
        f"Two single checkpoints on {asked} questions, of which only one of the two has {shares} % right ({source};"
        f" design effect {_range([pair[2] for pair in pairs], '.3g')}): the 95 % interval of their difference is"
        f" ± {_range(widths, '.1f')} points where they are equally good, and a difference of {_range(known, '.1f')}"
        f" points is seen at {percent(rows[0].target)} and α {rows[0].alpha:.3g}. That speaks of these checkpoints"
        " alone, not of other seeds."
    ]


def _range(values: Sequence[float], form: str) -> str:
    if not values:
        return NONE
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"
