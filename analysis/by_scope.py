"""Every contrast by task, source and suite: what a total hides, above all where it is worst."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from analysis.collected import Tables
from analysis.combine import Combined
from analysis.contrast_result import ContrastResult
from analysis.contrasts import estimates_by_scope
from analysis.scopes import scopes
from analysis.statistics import BootstrapInterval, benjamini_hochberg


@dataclass(frozen=True)
class ScopeResult:
    """A contrast on one task, source or suite."""

    contrast: str
    scope: str
    kind: str
    """task, source or suite: what it is the worst among."""
    metric: str
    alpha: float
    combined: Combined
    bootstrap: BootstrapInterval | None
    lowest: bool = False
    """The lowest a minus b of its kind: where a does worst against b, if more is better."""
    p_adjusted: float | None = None

    @property
    def p(self) -> float | None:
        """Two-sided p-value against 0; None where an interval over questions is all that one seed allows."""
        interval = self.combined.interval
        lone = self.combined.population == "checkpoints" and any(p.values.random for p in self.combined.parts)
        return None if interval is None or lone else interval.p


def by_scope(tables: Tables, results: Sequence[ContrastResult], draws: int = 0) -> list[ScopeResult]:
    """Contrasts by every score but the one over all questions, p-values adjusted over all of them.

    Args:
        draws: of the two-level bootstrap, drawn jointly over a contrast's scores; 0 for none.
    """
    first = next(iter(scopes(tables.questions)))
    found: list[ScopeResult] = []
    for result in results:
        own = [
            ScopeResult(result.name, scope, _kind(tables, scope), result.metric, result.alpha, combined, boot)
            for scope, (combined, boot) in estimates_by_scope(tables, result, draws).items()
            if scope != first
        ]
        found += _lowest_marked(own)
    return [
        replace(each, p_adjusted=p)
        for each, p in zip(found, benjamini_hochberg([each.p for each in found]), strict=True)
    ]


def _kind(tables: Tables, scope: str) -> str:
    name = scope.split(": ")[-1]
    if scope in tables.suites:
        return "suite"
    return "task" if name in tables.tasks else "source" if name in tables.sources else "total"


def _lowest_marked(results: list[ScopeResult]) -> list[ScopeResult]:
    lowest: set[str] = set()
    for kind in {each.kind for each in results} - {"total"}:
        estimates = {
            each.scope: each.combined.interval.mean for each in results if each.kind == kind and each.combined.interval
        }
        if len(estimates) > 1:
            lowest.add(min(estimates, key=lambda scope: estimates[scope]))
    return [replace(each, lowest=each.scope in lowest) for each in results]
