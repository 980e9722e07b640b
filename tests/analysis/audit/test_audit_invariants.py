"""What must not matter does not: the order of rows, and names. And honest tables have honest sums."""

from collections import Counter
from fractions import Fraction
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published_maker import BENCHMARKS, HEADING, PUBLISHED, folder, read, row, write

from analysis.audit import Finding, audit_published, check_aggregates, check_granularity, read_published, write_audit
from analysis.audit.report import audit_tables

REPEATED = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def text(count: int, n: int, decimals: int, cut: bool) -> str:
    """A count's percentage, rounded half up or cut, without floats."""
    scaled = Fraction(100 * count * 10**decimals, n) + (0 if cut else Fraction(1, 2))
    digits = str(scaled.numerator // scaled.denominator).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


@REPEATED
@given(data=st.data(), decimals=st.integers(1, 3), cut=st.booleans(), known=st.booleans())
def test_a_table_of_counts_has_no_faults_in_its_sums(
    tmp_path: Path, data: st.DataObject, decimals: int, cut: bool, known: bool
) -> None:
    sizes = data.draw(st.lists(st.integers(1, 900), min_size=2, max_size=5))
    benchmarks = [("B", "total", "", ";".join(f"t{i}" for i in range(len(sizes))), "questions")]
    benchmarks += [("B", f"t{i}", "", "", "") for i in range(len(sizes))]
    lines = []
    for condition in ("a", "b", "c"):
        counts = [data.draw(st.integers(0, size)) for size in sizes]
        for task, count, size in zip(
            ["total", *(f"t{i}" for i in range(len(sizes)))], [sum(counts), *counts], [sum(sizes), *sizes], strict=True
        ):
            lines.append(row(condition, task, text(count, size, decimals, cut), size if known else ""))
    published = read_published(folder(tmp_path, lines, benchmarks))
    assert check_aggregates(published.scores, published.benchmarks).findings == ()
    assert check_granularity(published.scores).findings == ()


@REPEATED
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(tmp_path: Path, random) -> None:
    for name in ("scores.csv", "claims.csv"):
        heading, *rows = read(name)
        random.shuffle(rows)
        write(tmp_path / name, heading, rows)
    (tmp_path / "benchmarks.csv").write_bytes((PUBLISHED / "benchmarks.csv").read_bytes())
    result = audit_published(tmp_path)
    for path in write_audit(result, tmp_path / "out"):
        assert path.read_bytes() == (PUBLISHED / path.name).read_bytes(), path.name


def essence(finding: Finding) -> tuple:
    numbers = tuple(sorted((name, round(value, 9)) for name, value in finding.numbers.items()))
    return (finding.check, finding.severity, len(finding.rows), numbers)


@REPEATED
@given(st.randoms(use_true_random=False))
def test_names_change_nothing_but_names(tmp_path: Path, random) -> None:
    """Sources, tables, conditions, benchmarks, tasks and settings renamed, one to one."""
    places = {name: place for place, name in enumerate(HEADING)}
    heading, *rows = read("scores.csv")
    renamed: dict[str, dict[str, str]] = {}
    for column in ("source", "table", "condition", "start", "prompt", "benchmark", "task"):
        names = sorted({line[places[column]] for line in rows})
        new = [f"{random.choice('axz ')}{number}".strip() for number in random.sample(range(1000), len(names))]
        renamed[column] = dict(zip(names, new, strict=True))
    write(
        tmp_path / "scores.csv",
        heading,
        [
            [renamed[name][cell] if name in renamed else cell for name, cell in zip(HEADING, line, strict=True)]
            for line in rows
        ],
    )
    (_, *described), (claim_heading, *claims) = read("benchmarks.csv"), read("claims.csv")
    new_tasks = [
        [
            *(renamed["benchmark"][line[0]], renamed["task"][line[1]], line[2]),
            *(";".join(renamed["task"][part] for part in line[3].split(";") if part), line[4]),
        ]
        for line in described
    ]
    write(tmp_path / "benchmarks.csv", BENCHMARKS, new_tasks)
    kinds = [next(kind for kind in (*renamed, "") if name.endswith(kind)) for name in claim_heading]
    write(
        tmp_path / "claims.csv",
        claim_heading,
        [[renamed[kind][cell] if kind else cell for kind, cell in zip(kinds, line, strict=True)] for line in claims],
    )
    before, after = audit_published(PUBLISHED), audit_published(tmp_path)
    assert Counter(map(essence, after.findings)) == Counter(map(essence, before.findings))
    assert [(check.examined, check.skipped) for check in after.checks] == [
        (check.examined, check.skipped) for check in before.checks
    ]
    for one, other in zip(audit_tables(before), audit_tables(after), strict=True):
        assert len(one.rows) == len(other.rows)


def test_any_row_can_be_taken_out(tmp_path: Path) -> None:
    """Claims apart, no row is needed for the others to be looked at."""
    heading, *rows = read("scores.csv")
    (tmp_path / "benchmarks.csv").write_bytes((PUBLISHED / "benchmarks.csv").read_bytes())
    for place in range(0, len(rows), 3):
        write(tmp_path / "scores.csv", heading, rows[:place] + rows[place + 1 :])
        result = audit_published(tmp_path)
        granularity = next(check for check in result.checks if check.check == "granularity")
        assert granularity.examined + sum(granularity.skipped.values()) == len(rows) - 1
