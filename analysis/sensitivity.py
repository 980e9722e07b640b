"""What each contrast would have been under other choices: scoring rule, prompt, truncation, checkpoint."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analysis.checkpoints import best_step, on_curve_questions
from analysis.collected import Tables
from analysis.combine import Combined, Part
from analysis.contrast_result import ContrastResult
from analysis.contrasts import combine_declared, parts_of
from analysis.declared import checked
from analysis.values import BEST_HALF, LAST, MEAN_LAST, RunValues, Side
from analysis.verdicts import Verdict, decide


@dataclass(frozen=True)
class Variation:
    """A contrast under one other choice."""

    contrast: str
    kind: str
    """declared, scoring rule, prompt, truncation or checkpoint."""
    choice: str
    combined: Combined
    verdict: Verdict
    effect: str
    """What differs from what it is held against: ``verdict``, ``estimate`` (it lies outside of the other's interval),
    or nothing."""
    against: str
    """The choice that it is held against: the declared one; of a checkpoint rule the last checkpoint on the same
    questions. Empty for those themselves."""


def sensitivity(tables: Tables, results: Sequence[ContrastResult]) -> list[Variation]:
    """Every declared difference in accuracy under every other choice that its data allow."""
    declared = {each["name"]: checked(tables, each) for each in tables.study["contrasts"]}
    return [
        variation
        for result in results
        if result.metric == "accuracy" and result.name in declared
        for variation in variations(tables, result, declared[result.name])
    ]


def variations(tables: Tables, result: ContrastResult, declared: Mapping[str, Any]) -> Iterator[Variation]:
    """The declared choice first, then one other at a time."""
    parts = [part for _, part in parts_of(tables, declared)]
    found: dict[str, Variation] = {}
    for kind, choice, against, changed, made in _choices(tables, result, declared, parts):
        combined = combine_declared(tables, changed, made)
        seeds = any(part.values.random for part in made)
        verdict = decide(combined.interval, result.margin, result.alpha, combined.population, seeds, combined.reason)
        other = found.get(against)
        effect = "" if other is None else _effect(combined, verdict, other)
        found[choice] = Variation(result.name, kind, choice, combined, verdict, effect, against)
        yield found[choice]


def _effect(combined: Combined, verdict: Verdict, other: Variation) -> str:
    if verdict.name != other.verdict.name:
        return "verdict"
    mine, theirs = combined.interval, other.combined.interval
    if mine is None or theirs is None or theirs.low is None or theirs.high is None:
        return ""
    return "" if theirs.low <= mine.mean <= theirs.high else "estimate"


Choice = tuple[str, str, str, Mapping[str, Any], list[Part]]
"""Kind, choice, what it is held against, the contrast so changed, its parts."""


def _choices(
    tables: Tables, result: ContrastResult, declared: Mapping[str, Any], parts: list[Part]
) -> Iterator[Choice]:
    own = _place(result)
    yield "declared", own, "", declared, parts
    for rule in _other_rules(tables, result):
        changed = _with_sides(declared, lambda side, rule=rule: side | {"rule": rule})
        yield "scoring rule", rule, own, changed, _parts(tables, changed)
    for label, changed in _other_prompts(tables, result, declared):
        yield "prompt", label, own, changed, _parts(tables, changed)
    truncated = [_truncated(tables, side, part) for side, part in zip(result.sides, parts, strict=True)]
    if all(each is not None for each in truncated):
        cut = [each for each in truncated if each is not None]
        if any(mask.any() for of_side in cut for mask in of_side.values()):
            wrong = [_wrong(part, of_side) for part, of_side in zip(parts, cut, strict=True)]
            yield "truncation", "a truncated answer is wrong", own, declared, wrong
            kept = [_whole(part, cut) for part in parts]
            yield "truncation", "questions with a truncated answer left out", own, declared, kept
    yield from _checkpoints(tables, result, declared)


def _place(result: ContrastResult) -> str:
    shown = list(dict.fromkeys(side.place for side in result.sides))
    return " against ".join(shown) + ("" if result.checkpoint == LAST else f", checkpoint {result.checkpoint}")


def _parts(tables: Tables, declared: Mapping[str, Any]) -> list[Part]:
    return [part for _, part in parts_of(tables, declared)]


def _with_sides(declared: Mapping[str, Any], change: Any) -> dict[str, Any]:
    """The contrast with every side changed."""
    minus = declared["minus"]
    return {
        **declared,
        "a": change(declared["a"]),
        "b": change(declared["b"]),
        "minus": minus and {key: change(side) for key, side in minus.items()},
    }


def _other_rules(tables: Tables, result: ContrastResult) -> list[str]:
    """Rules that read all sides and aren't the declared one."""
    read_all = set.intersection(*(set(tables.rules_of(side.protocol)) for side in result.sides))
    used = {side.rule for side in result.sides}
    ordered = tables.rules_of(result.a.protocol)
    return [rule for rule in ordered if rule in read_all and used != {rule}]


def _other_prompts(
    tables: Tables, result: ContrastResult, declared: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every protocol that all arms were asked under, and each arm's own, unless declared so."""
    if any(side.step is not None for side in result.sides) or result.checkpoint != LAST:
        return
    now = [side.protocol for side in result.sides]
    for name in tables.study["protocols"]:
        if set(now) != {name} and all(_asked(tables, side.arm, name) for side in result.sides):
            rule = _rule(tables, name, result)
            yield name, _with_sides(declared, lambda side, n=name, r=rule: side | {"protocol": n, "rule": r})
    own = [tables.own_protocol(side.arm) for side in result.sides]
    if own != now and len(set(own)) > 1:

        def to_own(side: dict[str, Any]) -> dict[str, Any]:
            protocol = tables.own_protocol(side["arm"])
            return side | {"protocol": protocol, "rule": _rule(tables, protocol, result)}

        yield "each arm's own", _with_sides(declared, to_own)


def _rule(tables: Tables, protocol: str, result: ContrastResult) -> str:
    """The declared rule where it reads the protocol, else the one that decides there."""
    rules = tables.rules_of(protocol)
    return result.a.rule if result.a.rule in rules else rules[0]


def _asked(tables: Tables, arm: str, protocol: str) -> bool:
    runs = tables.runs.loc[tables.runs["arm"] == arm, "run"]
    return any(tables.has("answers", run, "final", protocol) for run in runs)


def _truncated(tables: Tables, side: Side, part: Part) -> dict[str, np.ndarray] | None:
    """Which answers were cut off at the limit, by run; None where that isn't known (options, checkpoint rules)."""
    phase = "final" if side.step is None else "curve"
    found: dict[str, np.ndarray] = {}
    for run in part.values.found:
        rows = tables.rows("completions", run.run, phase, side.step, side.protocol)
        if len(rows) != len(run.position) or "finish" not in rows:
            return None
        order = np.argsort(rows["position"].to_numpy(), kind="stable")
        found[run.run] = (rows["finish"] == "length").to_numpy()[order]
    return found


def _wrong(part: Part, truncated: Mapping[str, np.ndarray]) -> Part:
    def change(run: RunValues) -> RunValues:
        return replace(run, values=np.where(truncated[run.run], 0.0, run.values.astype(float)))

    return replace(part, values=part.values.map(change))


def _whole(part: Part, truncated: Sequence[Mapping[str, np.ndarray]]) -> Part:
    """Without the questions that any run of any side left unfinished."""
    masks = [mask for of_side in truncated for mask in of_side.values()]
    size = part.values.found[0].position if part.values.found else np.arange(0)
    usable = [mask for mask in masks if len(mask) == len(size)]
    kept = size[~np.any(usable, axis=0)] if usable else size
    return replace(part, values=part.values.cut(kept))


def _checkpoints(tables: Tables, result: ContrastResult, declared: Mapping[str, Any]) -> Iterator[Choice]:
    """The three checkpoint rules; the last one on the questions of each other, so that only the rule differs."""
    curves = [side for side in result.sides if tables.curve_questions(side.arm)]
    if not curves or any(side.step is not None for side in result.sides):
        return
    if any(not side.own for side in curves):
        return  # the curve is under the arm's own protocol alone
    last = {**declared, "checkpoint": LAST}
    best = f"best on one half, scored on the other{_chosen(tables, result)}"
    rules = ((MEAN_LAST, f"mean of the last {declared['last_k']}", False), (BEST_HALF, best, True))
    if declared["checkpoint"] != LAST:
        rules = tuple(each for each in rules if each[0] != declared["checkpoint"])
    for rule, label, half in rules:
        reference = f"last, on {'the scored half' if half else 'the curve'}'s questions"
        same = [
            replace(part, values=on_curve_questions(tables, side, part.values, half))
            for side, part in parts_of(tables, last)
        ]
        yield "checkpoint", reference, "", last, same
        changed = {**declared, "checkpoint": rule}
        yield "checkpoint", label, reference, changed, _parts(tables, changed)


def _chosen(tables: Tables, result: ContrastResult) -> str:
    """``: after step 50 to 300``, over all runs that had a choice."""
    runs = [
        (side, run.run)
        for side, part in zip(result.sides, result.combined.parts, strict=False)
        if tables.curve_questions(side.arm)
        for run in part.values.found
    ]
    found = [best_step(tables, side, run) for side, run in runs if tables.has("answers", run, "curve", side.protocol)]
    steps = [step for step in found if step is not None]
    if not steps:
        return ""
    return f": after step {min(steps)}" + (f" to {max(steps)}" if max(steps) > min(steps) else "")
