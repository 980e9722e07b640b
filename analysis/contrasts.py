"""The declared comparisons, each with the interval that fits its sides, its adjusted p and its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from analysis.checkpoints import checkpoint_values
from analysis.collected import Tables
from analysis.combine import Combined, Part, bootstrap, combine
from analysis.contrast_result import ContrastResult
from analysis.declared import checked
from analysis.metrics import METRICS
from analysis.pairs import pair_results
from analysis.planned import detectable_effect
from analysis.registration import standing
from analysis.scopes import scopes
from analysis.statistics import BootstrapInterval, benjamini_hochberg, holm
from analysis.values import Side, declared_side
from analysis.verdicts import decide

DRAWS = 10_000
"""Draws of every two-level bootstrap."""


def contrasts(tables: Tables, draws: int = DRAWS) -> list[ContrastResult]:
    """Results of all declared contrasts in the order of the study; missing data give a reason.

    Args:
        draws: of every two-level bootstrap; 0 for none.
    """
    declared = tables.study["contrasts"]
    return adjusted([contrast(tables, each, draws) for each in declared])


def contrast(tables: Tables, declared: Mapping[str, Any], draws: int = DRAWS) -> ContrastResult:
    """Result of one declared contrast, its p-value not yet adjusted.

    Differences are paired by question within runs that belong together. The interval is over seeds: Welch's unless
    the pairing is ``seed``, then of the paired seeds' differences; an arm without randomness is a known constant.
    Where every side comes down to one run, it is over questions, clustered by image, and speaks about these
    checkpoints only.

    Args:
        declared: as in ``study.json``, or as `declare` makes it.
        draws: of the two-level bootstrap; 0 for none.

    Raises:
        ValueError: a field or value that means nothing.
    """
    declared = checked(tables, declared)
    minus = declared["minus"]
    parts = parts_of(tables, declared)
    combined = combine_declared(tables, declared, [part for _, part in parts])
    weights, factor = first_weights(tables), METRICS[declared["metric"]].factor
    level = 1.0 - declared["alpha"]
    seeds = any(part.values.random for _, part in parts)
    boot = bootstrap(combined, [weights], tables.layout, factor, draws, level) if draws else None
    found = [side for side, _ in parts]
    return ContrastResult(
        name=declared["name"],
        question=declared["question"],
        a=found[0],
        b=found[1],
        minus=(found[2], found[3]) if minus else None,
        metric=declared["metric"],
        pairing=declared["pairing"],
        margin=declared["margin"],
        alpha=declared["alpha"],
        family=declared["family"],
        checkpoint=declared["checkpoint"],
        exclusions=tuple(declared["exclusions"]),
        combined=combined,
        planned=sum(part.values.planned for _, part in parts),
        lost=_lost(parts, "lost") | combined.unpaired,
        excluded=_lost(parts, "excluded"),
        unread=_lost(parts, "unread"),
        standing=standing(tables, declared),
        verdict=decide(
            combined.interval, declared["margin"], declared["alpha"], combined.population, seeds, combined.reason
        ),
        bootstrap=boot[0] if boot else None,
        checkpoints=pair_results(combined, weights, tables.layout, declared["metric"], level),
        detectable=_detectable(tables, declared, combined),
        detected_at=(tables.study["power"].get("power", 0.8), declared["alpha"] / _family_size(tables, declared)),
        missing_sd=declared["seed_sd"] is None and seeds,
    )


def parts_of(tables: Tables, declared: Mapping[str, Any]) -> list[tuple[Side, Part]]:
    """The sides of a contrast (all fields given) with their values and their signs in the sum."""
    minus, metric = declared["minus"], declared["metric"]
    sides = [declared["a"], declared["b"], *((minus["a"], minus["b"]) if minus else ())]
    made = []
    for coefficient, each in zip((1.0, -1.0, -1.0, 1.0), sides, strict=False):
        side = declared_side(tables, each, metric)
        rule, last_k, exclusions = declared["checkpoint"], declared["last_k"], declared["exclusions"]
        values = checkpoint_values(tables, side, metric, rule, last_k, exclusions)
        label = side.arm if side.step != 0 or values.random else f"{side.arm} at step 0"
        made.append((side, Part(coefficient, values, label)))
    return made


def combine_declared(tables: Tables, declared: Mapping[str, Any], parts: Sequence[Part]) -> Combined:
    """Parts added up over all questions, as the contrast declares its metric, pairing and level."""
    factor, paired = METRICS[declared["metric"]].factor, declared["pairing"] == "seed"
    return combine(parts, first_weights(tables), tables.layout, factor, paired, 1.0 - declared["alpha"])


def first_weights(tables: Tables) -> np.ndarray:
    """Weights of the score that decides, shape (questions,)."""
    return next(iter(scopes(tables.questions).values()))


def adjusted(results: Sequence[ContrastResult]) -> list[ContrastResult]:
    """The results with their p-values adjusted: by Holm within each declared family, by Benjamini-Hochberg elsewhere.

    A contrast without a p-value counts among the tests all the same: it was to be one.
    """
    changed: dict[int, ContrastResult] = {}
    families = dict.fromkeys(result.family for result in results)
    for family in families:
        places = [place for place, result in enumerate(results) if result.family == family]
        adjust, how = (benjamini_hochberg, "Benjamini-Hochberg") if family is None else (holm, "Holm")
        new = adjust([results[place].p for place in places])
        bounded = [place for place in places if results[place].margin is not None]
        inner = dict(zip(bounded, adjust([results[place].p_equivalence for place in bounded]), strict=True))
        for place, p in zip(places, new, strict=True):
            changed[place] = replace(
                results[place],
                p_adjusted=p,
                p_equivalence_adjusted=inner.get(place),
                adjustment=f"{how}, {len(places)}",
            )
    return [changed[place] for place in range(len(results))]


def _detectable(tables: Tables, declared: Mapping[str, Any], combined: Combined) -> float | None:
    power = tables.study["power"]
    if not power or not len(combined.position):
        return None
    ns = [len(part.values.found) if part.values.random else None for part in combined.parts]
    return detectable_effect(declared, ns, power, _family_size(tables, declared), len(combined.position))


def _family_size(tables: Tables, declared: Mapping[str, Any]) -> int:
    """How many contrasts share the family, this one included; 1 outside of a family."""
    if declared["family"] is None:
        return 1
    names = {each["name"] for each in tables.study["contrasts"] if each.get("family") == declared["family"]}
    return len(names | {declared["name"]})


def _lost(parts: Sequence[tuple[Side, Part]], which: str) -> dict[str, str]:
    arms = [side.arm for side, _ in parts]
    told: dict[str, str] = {}
    for side, part in parts:
        for run, why in getattr(part.values, which).items():
            # One arm under two protocols, rules or steps: a run can be lost on either side or on both.
            told[run if arms.count(side.arm) == 1 else f"{run} under {side.place}"] = why
    return told


def estimates_by_scope(
    tables: Tables, result: ContrastResult, draws: int = 0
) -> dict[str, tuple[Combined, BootstrapInterval | None]]:
    """A contrast over every task, source and suite, on the runs that entered it.

    Args:
        draws: of the two-level bootstrap, drawn jointly over the scopes; 0 for none.
    """
    metric, weights = METRICS[result.metric], scopes(tables.questions)
    paired = result.pairing == "seed"
    position = result.combined.position
    usable = {name: each for name, each in weights.items() if np.any(each[position] > 0)} if len(position) else {}
    boot = None
    if draws:
        scores = list(usable.values())
        boot = bootstrap(result.combined, scores, tables.layout, metric.factor, draws, 1 - result.alpha)
    joint = dict(zip(usable, boot, strict=True)) if boot else {}
    return {
        name: (
            combine(result.combined.parts, each, tables.layout, metric.factor, paired, 1 - result.alpha),
            joint.get(name),
        )
        for name, each in usable.items()
    }
