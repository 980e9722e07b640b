"""From a collected folder to its comparison: tables, figures, all numbers as parquet, one page to read."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from analysis import tables as sheets
from analysis.claims import RanResult, claim_table, ran_results
from analysis.contrast_tables import contrast_table
from analysis.contrasts import ContrastResult, contrasts
from analysis.files import DECIMALS, write_bytes, write_csv, write_text
from analysis.load import Tables, load
from analysis.scores import ArmTable, all_rules, arm_table

ESTIMATES = pa.schema(
    [
        pa.field("table", pa.string(), metadata={"description": "table that shows the number"}),
        pa.field("row", pa.string(), metadata={"description": "arm and protocol, run, reference, contrast or claim"}),
        pa.field("column", pa.string(), metadata={"description": "what the number is of"}),
        pa.field("estimate", pa.float64(), metadata={"description": "the number; null when there is none"}),
        pa.field("low", pa.float64(), metadata={"description": "lower end of the 95 % interval; null without"}),
        pa.field("high", pa.float64(), metadata={"description": "upper end of the 95 % interval; null without"}),
        pa.field("n", pa.int32(), metadata={"description": "runs, pairs or questions in the interval"}),
        pa.field("unit", pa.string(), metadata={"description": "unit of estimate, low and high"}),
    ],
    metadata={"table": "estimates", "schema_version": "1"},
)


@dataclass(frozen=True)
class Comparison:
    """What `compare` found and wrote."""

    tables: Tables
    arms: ArmTable
    contrasts: tuple[ContrastResult, ...]
    page: Path
    estimates: Path
    table_paths: tuple[Path, ...]
    figure_paths: tuple[Path, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files written, the page first."""
        return (self.page, self.estimates, *self.table_paths, *self.figure_paths)


def compare(folder: Path, out: Path | None = None) -> Comparison:
    """Compare the arms of a collected study.

    Args:
        folder: the collected tables and ``study.json``.
        out: where ``tables/``, ``figures/``, ``estimates.parquet`` and ``comparison.md`` go; ``folder`` by
            default.

    Raises:
        CollectedError: the folder cannot be read. Missing runs are no error: they are counted in every table.
    """
    # Drawing takes seconds to import, and the tables alone don't need it.
    from analysis.figures import write_figures

    out = Path(folder if out is None else out)
    tables = load(folder)
    arms, results, ran = arm_table(tables), contrasts(tables), ran_results(tables)
    shown = {
        table.name: table
        for table in (
            sheets.arms(tables, arms),
            contrast_table(tables, results),
            claim_table(tables, results, ran),
            sheets.protocol_rule_table(tables),
            sheets.seeds(tables, arms),
            sheets.completeness_table(tables),
        )
        if table is not None
    }
    table_paths = []
    for name, table in shown.items():
        table_paths.append(write_text(out / "tables" / f"{name}.md", table.markdown()))
        table_paths.append(write_csv(out / "tables" / f"{name}.csv", table.frame))
    figures = write_figures(tables, arms, out / "figures")
    return Comparison(
        tables=tables,
        arms=arms,
        contrasts=tuple(results),
        page=write_text(out / "comparison.md", _page(tables, shown, results, figures)),
        estimates=write_bytes(out / "estimates.parquet", _parquet(_estimates(tables, arms, results, ran))),
        table_paths=tuple(table_paths),
        figure_paths=tuple(path for paths in figures.values() for path in paths),
    )


def _page(
    tables: Tables,
    shown: dict[str, sheets.Table],
    results: Sequence[ContrastResult],
    figures: dict[str, list[Path]],
) -> str:
    captions = {
        "arms": "Final accuracy under each arm's own protocol: every seed, the mean and its 95 % t interval.",
        "curves": "Accuracy and completion length over training, under each arm's own protocol; thin lines"
        " are seeds, thick ones their mean.",
        "rewards": "Reward of the training rollouts and its parts; thin lines are seeds, thick their mean.",
    }
    pictures = {name: f"![{captions[name]}](figures/{name}.png)\n\n{captions[name]}\n" for name in figures}
    no_curves = "No curve was collected: no training run has finished its evaluation.\n"
    sides = "\n".join(f"**{result.name}.** {result.question}\n{result.sentence}\n" for result in results)
    parts = [
        f"# {tables.study['title']}\n\nStudy `{tables.study['study']}`, seeds"
        f" {', '.join(str(seed) for seed in tables.study['seeds'])}. Written by `ablate compare` from"
        " the collected tables.\n",
        shown["arms"].markdown(),
        pictures.get("arms", ""),
        shown["contrasts"].markdown(),
        sides,
        shown["claims"].markdown() if "claims" in shown else "",
        "## Training\n",
        pictures.get("curves", no_curves),
        pictures.get("rewards", ""),
        shown["protocols"].markdown(),
        shown["seeds"].markdown(),
        shown["completeness"].markdown(),
        "Every number here stands to six decimals in `tables/*.csv` and `estimates.parquet`, and what a"
        " figure shows in the CSV beside it.\n",
    ]
    return "\n".join(part for part in parts if part)


def _estimates(
    tables: Tables, arms: ArmTable, results: Sequence[ContrastResult], ran: Sequence[RanResult]
) -> Iterable[tuple]:
    first = arms.scopes[0]
    for rule in all_rules(tables):
        for row in arm_table(tables, rule).rows:
            name = f"{row.arm} | {row.protocol} | {rule}"
            # The arm table shows the deciding rule; the other rules' overall numbers stand in the protocol
            # table.
            decides = rule == tables.rules_of(row.protocol)[0]
            places = [("arms", scope) for scope in arms.scopes] if decides else []
            for where, scope in [*places, ("protocols", first)]:
                interval = row.cells[scope].interval
                low, high = (None, None) if interval is None else (interval.low, interval.high)
                yield where, name, scope, interval and interval.mean, low, high, row.n, "percent"
            yield "protocols", name, "parsed", row.parsed, None, None, row.n, "percent"
            if not decides:
                continue
            yield "arms", name, "parsed", row.parsed, None, None, row.n, "percent"
            yield "arms", name, "tokens", row.tokens, None, None, row.n, "token"
            for column, count in (("planned", row.planned), ("missing", row.planned - row.n)):
                yield "arms", name, column, float(count), None, None, row.n, "run"
            for scope in arms.scopes:
                for run, value in row.cells[scope].values.items():
                    yield "seeds", f"{run} | {row.protocol} | {rule}", scope, value, None, None, 1, "percent"
    for reference in arms.references:
        for scope, value in reference.cells.items():
            yield "arms", reference.name, scope, value, None, None, 0, "percent"
    for result in results:
        interval = result.interval
        low, high, n = (None, None, 0) if interval is None else (interval.low, interval.high, interval.n)
        yield "contrasts", result.name, "a - b", interval and interval.mean, low, high, n, result.unit
        if interval is not None:
            yield "contrasts", result.name, "p", interval.p, None, None, n, "probability"
            yield "contrasts", result.name, "df", interval.df, None, None, n, "degree of freedom"
        yield "contrasts", result.name, "missing", float(result.missing), None, None, n, "run"
    units = {result.name: result.unit for result in results}
    for claim in tables.study["claims"]:
        if claim["figure"] is not None and claim["contrast"] is not None:
            yield "claims", claim["name"], "printed", claim["figure"], None, None, 0, units[claim["contrast"]]
    for result in ran:
        interval = result.interval
        low, high, n = (None, None, 0) if interval is None else (interval.low, interval.high, interval.n)
        yield "claims", result.claim, "printed", result.figure, None, None, 0, "percent"
        yield "claims", result.claim, f"a run of {result.side.arm}", interval and interval.mean, low, high, n, "percent"


def _parquet(rows: Iterable[tuple]) -> bytes:
    clean = [
        tuple(round(value, DECIMALS) + 0.0 if isinstance(value, float) else value for value in row) for row in rows
    ]
    table = pa.Table.from_pylist([dict(zip(ESTIMATES.names, row, strict=True)) for row in clean], schema=ESTIMATES)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()
