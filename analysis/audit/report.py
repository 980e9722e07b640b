"""All checks at once, and their tables."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.audit.aggregates import check_aggregates
from analysis.audit.chance import check_chance
from analysis.audit.claims import ClaimedDifference, check_claims, claimed
from analysis.audit.differences import Decision, Difference, Pair, pairs
from analysis.audit.findings import NUMBERS, Checked, Finding, Severity
from analysis.audit.granularity import check_granularity
from analysis.audit.noise import check_differences
from analysis.audit.read import Published, read_published
from analysis.audit.repeats import Reproduction, check_repeats, check_reproductions, reproductions
from analysis.audit.rows import settings_text
from analysis.files import write_csv, write_text
from analysis.tables.table import Cell, Column, Number, Table, count

TITLE = "Audit of published scores"
UNITS = {"z": "standard errors", "p": "probability", "p_adjusted": "probability", "n": "questions"}
"""Of the finding's numbers that are no percentages or points."""


@dataclass(frozen=True)
class Audit:
    """What was checked, what was found, and the numbers behind it."""

    checks: tuple[Checked, ...]
    pairs: tuple[Pair, ...]
    reproductions: tuple[Reproduction, ...]
    claims: tuple[ClaimedDifference, ...]
    remarks: tuple[str, ...]

    @property
    def findings(self) -> list[Finding]:
        """By severity, then by check."""
        every = [finding for check in self.checks for finding in check.findings]
        order = list(Severity)
        return sorted(every, key=lambda finding: order.index(finding.severity))

    def count(self, severity: Severity) -> int:
        return sum(check.count(severity) for check in self.checks)

    @property
    def summary(self) -> str:
        """``5 errors, 14 warnings, 11 notes``."""
        counts = [(severity, self.count(severity)) for severity in Severity]
        return ", ".join(f"{number} {severity}{'' if number == 1 else 's'}" for severity, number in counts)


def audit_published(published: Published | Path | str) -> Audit:
    """Check published tables against themselves.

    Args:
        published: what `read_published` gives, or the path that it takes.

    Raises:
        PublishedError, FileNotFoundError: as `read_published`.
    """
    if not isinstance(published, Published):
        published = read_published(published)
    scores, benchmarks, claims = published.scores, published.benchmarks, published.claims
    checks = (
        check_aggregates(scores, benchmarks),
        check_granularity(scores),
        check_repeats(scores, benchmarks),
        check_claims(scores, benchmarks, claims),
        check_chance(scores, benchmarks),
        check_differences(scores, benchmarks),
        check_reproductions(scores),
    )
    return Audit(
        checks,
        tuple(pairs(scores, benchmarks)),
        tuple(reproductions(scores)),
        tuple(claimed(scores, benchmarks, claims)),
        published.remarks,
    )


def write_audit(result: Audit, folder: Path | str) -> list[Path]:
    """``audit.md``, ``audit.tex`` and ``audit.html`` with all tables; ``audit.csv`` with every finding and all of its
    numbers, and ``audit_<table>.csv`` with the others. Equal audits give equal bytes."""
    folder = Path(folder)
    tables = audit_tables(result)
    title = f"<!DOCTYPE html>\n<html lang='en'>\n<head><meta charset='utf-8'><title>{TITLE}</title></head>\n<body>\n"
    page = "\n".join(table.html() for table in tables)
    paths = [
        write_text(folder / "audit.md", markdown(result, tables)),
        write_text(folder / "audit.tex", "\n".join(table.latex() for table in tables)),
        write_text(folder / "audit.html", f"{title}<h1>{TITLE}</h1>\n{page}</body>\n</html>"),
        write_csv(folder / "audit.csv", findings_frame(result)),
    ]
    more = [table for table in tables if table.name != "audit"]
    return paths + [write_csv(folder / f"{table.name}.csv", table.frame()) for table in more]


def markdown(result: Audit, tables: list[Table]) -> str:
    """The page."""
    remarks = "".join(f"- {remark}\n" for remark in result.remarks)
    intro = (
        "Computed from the printed figures alone. An error: they contradict each other, or arithmetic. A warning: they "
        "may be right, but not for what a reader would take them for. A note: worth knowing when they are used. "
        "Figures are in percent, differences in points."
    )
    head = f"# {TITLE}\n\n{result.summary}.\n\n{intro}\n"
    return "\n".join([head, *([remarks] if remarks else []), *(table.markdown() for table in tables)])


def audit_tables(result: Audit) -> list[Table]:
    """Those that have rows: findings, what was checked, differences, claims, reproductions."""
    made = [_findings(result), _checks(result), _differences(result), _claims(result), _reproductions(result)]
    return [table for table in made if table.rows or table.name in ("audit", "audit_checks")]


def _points(value: float | None, signed: bool = False, **look: object) -> Number:
    return Number(value, decimals=2, signed=signed, unit="points" if signed else "percent", **look)  # pyright: ignore[reportArgumentType]


def _findings(result: Audit) -> Table:
    names = (("printed", False), ("other", False), ("implied", False), ("difference", True), ("standard_error", False))
    columns = (
        *(Column("number", "#", "The sentence's number"), Column("severity", "severity"), Column("check", "check")),
        *(Column("where", "source, table"), Column("condition", "condition"), Column("what", "benchmark, task")),
        *(
            Column("printed", "printed", "The figure in question, percent"),
            Column("other", "other", "A second printed figure, percent"),
            Column("implied", "implied", "What other printed figures, or chance, make of it, percent"),
            Column("difference", "difference", "Points"),
            Column("standard_error", "SE", "Standard error from the draw of questions, points"),
        ),
    )
    rows: list[tuple[Cell, ...]] = []
    for place, finding in enumerate(result.findings, start=1):
        numbers = [_points(finding.numbers.get(name), signed) for name, signed in names]
        said = (finding.check, finding.where, finding.condition, finding.what)
        rows.append((str(place), str(finding.severity), *said, *numbers))
    sentences = tuple(f"({place}) {finding.sentence}" for place, finding in enumerate(result.findings, start=1))
    return Table("audit", f"Findings: {result.summary}", columns, tuple(rows), sentences or ("Nothing was found.",))


def findings_frame(result: Audit) -> pd.DataFrame:
    """Every finding with all of its numbers, its rows and its sentence."""
    texts = ("severity", "check", "where", "condition", "what")
    columns = (*(Column(name, name) for name in (*texts, *NUMBERS, "rows", "sentence")),)
    rows = []
    for finding in result.findings:
        said = tuple(str(getattr(finding, name)) for name in texts)
        numbers = (Number(finding.numbers.get(name), unit=UNITS.get(name, "percent")) for name in NUMBERS)
        rows.append((*said, *numbers, "; ".join(finding.rows), finding.sentence))
    frame = Table("audit", "Findings", columns, tuple(rows)).frame()
    frame["n"] = frame["n"].astype("Int64") if len(frame) else frame["n"]
    return frame


def _checks(result: Audit) -> Table:
    columns = (
        *(Column("check", "check"), Column("examined", "examined"), Column("unit", "of")),
        *(Column(f"{severity}s", f"{severity}s") for severity in Severity),
        Column("skipped", "not examined", "How many, and why"),
    )
    rows: list[tuple[Cell, ...]] = []
    for check in result.checks:
        skipped = ", ".join(f"{number}: {reason}" for reason, number in check.skipped.items())
        counts = [count(check.count(severity), "findings") for severity in Severity]
        rows.append((check.check, count(check.examined, check.unit), check.unit, *counts, skipped or "none"))
    return Table("audit_checks", "What was checked", columns, tuple(rows))


def _differences(result: Audit) -> Table:
    columns = (
        *(Column("where", "source, table"), Column("a", "a"), Column("b", "b"), Column("what", "benchmark, task")),
        *(
            Column("difference", "a - b", "Points, with the unpaired 95 % interval"),
            Column("standard_error", "SE", "Unpaired standard error, points"),
            Column("z", "z", "Difference by its standard error"),
            Column("critical", "D* %", "Critical discordance: below it, the question-paired interval leaves out zero"),
            Column("feasible", "possible D %", "Smallest and largest discordance that the two scores allow"),
            Column("checkpoints", "these checkpoints", "What the printed totals say of the two checkpoints"),
            Column("seed_sd", "hidden by a seed SD of", "Seed SD from which on single runs can't show it, points"),
        ),
    )
    rows = tuple(_difference(one) for pair in result.pairs for one in (*pair.headlines, *pair.parts))
    footers = (
        "a - b: difference of the printed scores ± half of the 95 % interval from the unpaired standard error "
        "sqrt(p1 q1 / n1 + p2 q2 / n2).",
        "D, the discordance: on how many of the n questions one is right and the other wrong. It is not printed. The "
        "interval of the question-paired test leaves out zero where D is below D* = d² (n / 1.96² + 1). Outside the "
        "noise: D* is above every possible D. Inside the noise: it is above none. Questions are taken for independent: "
        "printed totals don't tell which share an image, and where some do the noise is larger.",
        "Of methods, every difference is undecidable from one run each: no spread between seeds is printed. Hidden by "
        "a seed SD of: sqrt(((d / 1.96)² - SE²) / 2), from which on the difference of two single runs is within 1.96 "
        "of its standard errors sqrt(SE² + 2 SD²).",
    )
    return Table("audit_differences", "Differences between conditions of one table", columns, rows, footers, keys=4)


def _difference(one: Difference) -> tuple[Cell, ...]:
    critical = one.critical_discordance
    low, high = (100.0 * end for end in one.feasible)
    known = one.decision is not Decision.UNKNOWN
    return (
        *(one.a.where, one.a.condition, one.b.condition, one.a.what),
        Number(one.points, one.low, one.high, one.n, "points", decimals=2, signed=True),
        _points(one.standard_error),
        Number(one.z, unit="standard errors", decimals=2),
        # shares above 100 % are no discordance: whatever it is
        Number(None if critical is None else 100.0 * critical, text="> 100" if critical and critical > 1.0 else None),
        Number(low, low, high, style="range"),
        str(one.decision) if known else f"{one.decision}; {Decision.OUTSIDE} from {one.questions_to_be_outside} on",
        _points(one.hiding_seed_sd),
    )


def _claims(result: Audit) -> Table:
    columns = (
        *(Column("claim", "claim"), Column("source", "source"), Column("what", "benchmark, task")),
        *(Column("a", "a"), Column("b", "b"), Column("figure", "printed figure", "Points, as printed")),
        *(
            Column("totals", "by printed scores", "Points"),
            Column("parts", "by their parts", "Points, by the scores that the parts give"),
            Column("fits", "figure follows from", "Rounded or cut to its decimals"),
        ),
    )
    rows: list[tuple[Cell, ...]] = []
    for one in result.claims:
        fits = [name for name, fit in (("printed scores", one.fits_printed), ("parts", one.fits_parts)) if fit]
        a, b = one.difference.a, one.difference.b
        rows.append(
            (
                *(one.name, one.source, a.what, f"{a.where}: {a.condition}", f"{b.where}: {b.condition}"),
                *(one.figure, _points(one.difference.points, signed=True), _points(one.by_parts, signed=True)),
                " and ".join(fits) or "neither",
            )
        )
    return Table("audit_claims", "Claimed differences", columns, tuple(rows), keys=5)


def _reproductions(result: Audit) -> Table:
    columns = (
        *(Column("configuration", "configuration"), Column("what", "benchmark, task")),
        *(
            Column("printed", "printed scores", "Percent, one per source and table"),
            Column("range", "range", "Highest less lowest, points"),
            Column("sd", "SD", "Sample standard deviation, points"),
            Column("binomial_error", "binomial SE", "Of one score as a draw of questions, points"),
        ),
    )
    rows: list[tuple[Cell, ...]] = []
    for one in result.reproductions:
        said = ", ".join(f"{score.printed} ({score.where})" for score in one.scores)
        look = [_points(value) for value in (one.range, one.sd, one.binomial_error)]
        rows.append((settings_text(one.settings), f"{one.benchmark} {one.task}", said, *look))
    title = "One configuration in several sources: the spread between reproductions"
    return Table("audit_reproductions", title, columns, tuple(rows), keys=2)
