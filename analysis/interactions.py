"""Whether an effect depends on another factor: one difference of differences, never two p-values side by side.

That one effect is significant and the other is not says nothing about whether they differ (Gelman & Stern 2006, The
American Statistician 60:328).
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from analysis.collected import Tables
from analysis.contrast_result import ContrastResult
from analysis.contrasts import adjusted, contrast
from analysis.declared import declare


def interactions(tables: Tables) -> list[ContrastResult]:
    """Every two-by-two of factor levels that the arms allow, each against the factors' defaults, but for those that
    the study declared.

    Each arm under its own protocol. Exploratory: nobody asked for them beforehand; p-values are adjusted together.
    """
    declared = {
        _arms(each)
        for each in tables.study["contrasts"]
        if each.get("minus") and each.get("metric", "accuracy") == "accuracy"
    }
    found = [each for each in _two_by_twos(tables) if _arms(each) not in declared]
    return adjusted([contrast(tables, each, draws=0) for each in found])


def _arms(contrast: dict[str, Any]) -> frozenset[str]:
    minus = contrast["minus"]
    return frozenset(side["arm"] for side in (contrast["a"], contrast["b"], minus["a"], minus["b"]))


def _two_by_twos(tables: Tables) -> Iterator[dict[str, Any]]:
    factors: dict[str, list[str]] = tables.study["factors"]
    by_levels = {tuple(sorted(arm["levels"].items())): arm["name"] for arm in tables.study["arms"]}
    seen: set[frozenset[str]] = set()
    for first, second in combinations(factors, 2):
        for arm in tables.study["arms"]:
            levels: dict[str, str] = arm["levels"]
            if first not in levels or second not in levels:
                continue
            defaults = factors[first][0], factors[second][0]
            if levels[first] == defaults[0] or levels[second] == defaults[1]:
                continue
            corners = [
                by_levels.get(tuple(sorted((levels | {first: one, second: other}).items())))
                for one in (levels[first], defaults[0])
                for other in (levels[second], defaults[1])
            ]
            if None in corners or frozenset(corners) in seen:
                continue
            seen.add(frozenset(str(corner) for corner in corners))
            both, only_first, only_second, neither = corners
            yield declare(
                tables,
                str(both),
                str(only_first),
                minus={"a": str(only_second), "b": str(neither)},
                name=f"{first}={levels[first]} x {second}={levels[second]}" + _rest(levels, factors, first, second),
                question=f"Does {second} {levels[second]} do more with {first} {levels[first]} than {defaults[0]}?",
            )


def _rest(levels: dict[str, str], factors: dict[str, list[str]], *named: str) -> str:
    """Levels of the other factors where they aren't the default."""
    others = {name: level for name, level in levels.items() if name not in named and level != factors[name][0]}
    return f" ({', '.join(f'{name}={level}' for name, level in others.items())})" if others else ""
