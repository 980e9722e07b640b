"""What an audit finds: one sentence for a reader, the rows that it is about, and the numbers that it rests on."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding takes from the printed figures."""

    ERROR = "error"
    """The printed figures contradict each other, or arithmetic."""
    WARNING = "warning"
    """The figures may be right, but not for what a reader would take them for."""
    NOTE = "note"
    """Worth knowing when the figures are used."""


NUMBERS = (
    *("printed", "other", "implied", "implied_other", "difference", "standard_error", "z", "low", "high"),
    *("p", "p_adjusted", "chance", "sd", "seed_sd", "discordance", "n"),
)
"""Names of a finding's numbers, in the order of their columns. Percent and points, but for z, p and n:

``printed`` and ``other`` are the figure(s) in question, ``implied`` and ``implied_other`` what other printed figures
make of them, ``low`` and ``high`` a 95 % interval of ``difference``, ``sd`` a spread between printed figures,
``seed_sd`` the seed SD that hides a difference, ``discordance`` the critical one (see `analysis.audit.differences`).
"""


@dataclass(frozen=True)
class Finding:
    """One finding. Findings of one audit sort by severity, then by check, then by name."""

    check: str
    severity: Severity
    where: str
    """Source and table."""
    condition: str
    what: str
    """Benchmark and task."""
    rows: tuple[str, ...]
    """Labels of the rows that it is about."""
    numbers: Mapping[str, float]
    """Some of `NUMBERS`."""
    sentence: str

    def __post_init__(self) -> None:
        unknown = sorted(set(self.numbers) - set(NUMBERS))
        if unknown:
            raise ValueError(f"finding of {self.check}: no number is called {unknown}; there are {', '.join(NUMBERS)}")


@dataclass(frozen=True)
class Checked:
    """What one check did: its findings, and what it looked at, so that silence can be told from blindness."""

    check: str
    findings: tuple[Finding, ...]
    examined: int
    unit: str
    """What was examined, in the plural: scores, aggregates."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Reason -> how many could not be examined."""

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)


def made(
    check: str, unit: str, findings: Iterable[Finding], examined: int, skipped: Mapping[str, int] | None = None
) -> Checked:
    """A check's outcome in an order that does not depend on the order of rows."""
    order = list(Severity)
    findings = sorted(findings, key=lambda one: (order.index(one.severity), one.where, one.condition, one.what))
    kept = {reason: number for reason, number in sorted((skipped or {}).items()) if number}
    return Checked(check, tuple(findings), examined, unit, kept)


def tally() -> Counter[str]:
    """An empty count of reasons why something was not examined."""
    return Counter()


def plural(number: int, one: str, many: str | None = None) -> str:
    """``1 row``, ``2 rows``."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
