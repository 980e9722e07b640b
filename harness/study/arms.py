"""Arms: what the entries of ``arms:`` stand for, each with its fully resolved settings.

An entry is explicit, ``{start: base, training: grpo, name?: ..., set?: patch}``, or a product,
``{product: all | [factors], include?: [...], exclude?: [...], set?: patch}``, of all levels of its factors.
Factors that an entry leaves out take their first level; a product may give some a level for all its arms. Of
a product's combinations those stay that match one of ``include`` (when given) and none of ``exclude``; a
pattern is ``{factor: level or [levels], ...}``.

An arm's settings are the study's own, patched by its levels in the order of the factors, then by ``set``.
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from harness.study.errors import Problem, StudyError, Where, shown, unknown
from harness.study.messages import validated
from harness.study.schema import NAME_PATTERN, ArmSettings, Study
from harness.study.settings import Settings

NAMED_SETTINGS = ("start", "training", "tuned")
"""A level of a factor with such a name also sets the setting to the level's name."""

_EXPLICIT_KEYS = ("name", "set")
_PRODUCT_KEYS = ("product", "include", "exclude", "set")
_STUDY_SETTINGS = ("sft", "grpo", "lora", "curve")


@dataclass(frozen=True)
class Arm:
    """One combination of levels."""

    name: str
    """Given, or the levels joined by ``+``: the first factor's always, the others' when not the default."""
    levels: dict[str, str]
    """Level of every factor."""
    settings: ArmSettings
    where: Where
    """Path of the entry in the study that declares it."""

    @property
    def protocol(self) -> str:
        """The arm's own protocol."""
        return self.settings.protocols[0]

    @property
    def has_seeds(self) -> bool:
        """Whether the arm has randomness, and so one run per seed."""
        return self.settings.training != "none"


def merge(model: type[BaseModel], base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``patch`` on top.

    Groups of settings are merged; all other values (lists, the reward weights) are replaced as a whole, so
    that a patch can leave out a reward.
    """
    merged = dict(base)
    for name, value in patch.items():
        field = model.model_fields.get(name)
        inner = field.annotation if field else None
        if isinstance(value, Mapping) and isinstance(inner, type) and issubclass(inner, Settings):
            merged[name] = merge(inner, merged.get(name, {}), value)
        else:
            merged[name] = value
    return merged


def resolve_arms(study: Study) -> tuple[Arm, ...]:
    """All arms of a study in the order of their declaration.

    Raises:
        StudyError: a patch, a level, a name or a pattern is wrong, or two arms have one name.
    """
    _check_factors(study)
    arms: list[Arm] = []
    problems: list[Problem] = []
    for index, entry in enumerate(study.arms):
        try:
            new = _arms_of_entry(study, entry, ("arms", index))
        except StudyError as error:
            problems += error.problems
            continue
        for arm in new:
            same = next((other for other in arms if other.name == arm.name), None)
            if same:
                text = f"two arms are called {arm.name!r} ({describe_levels(same)}; {describe_levels(arm)})"
                problems.append(Problem(same.where, f"{text}; drop one, or give one of them a name"))
                problems.append(Problem(arm.where, "the other of the two"))
            else:
                arms.append(arm)
    if problems:
        raise StudyError(problems)
    return tuple(arms)


def describe_levels(arm: Arm) -> str:
    """``start: base, training: grpo``."""
    return ", ".join(f"{factor}: {level}" for factor, level in arm.levels.items())


def _check_factors(study: Study) -> None:
    """Every level's patch must be right by itself, so that its mistakes are shown where they stand."""
    problems: list[Problem] = []
    reserved = {*_EXPLICIT_KEYS, *_PRODUCT_KEYS}
    start, protocol = next(iter(study.models)), next(iter(study.protocols))
    neutral = {"start": start, "training": "none", "protocols": [protocol]} | _own_settings(study)
    for factor, levels in study.factors.items():
        if factor in reserved:
            text = f"a factor can't be called that; arms use {', '.join(sorted(reserved))} for other things"
            problems.append(Problem(("factors", factor), text))
        for level, patch in levels.items():
            where = ("factors", factor, level)
            try:
                _patched(study, neutral, [(where, _level_patch(factor, level, patch))])
            except StudyError as error:
                # A level whose own name is the wrong value has no line below its own.
                named = factor in NAMED_SETTINGS and factor not in patch
                problems += [
                    Problem(where, each.text) if named and each.where == (*where, factor) else each
                    for each in error.problems
                ]
    if problems:
        raise StudyError(problems)


def _own_settings(study: Study) -> dict[str, Any]:
    """The study's own settings that arms start from."""
    return {name: getattr(study, name).model_dump() for name in _STUDY_SETTINGS}


def _level_patch(factor: str, level: str, patch: Mapping[str, Any]) -> dict[str, Any]:
    return {factor: level, **patch} if factor in NAMED_SETTINGS else dict(patch)


def _patched(study: Study, base: Mapping[str, Any], patches: Iterable[tuple[Where, Mapping[str, Any]]]) -> ArmSettings:
    """Arm settings from a base and patches; problems are shown at the path of the last patch."""
    data, where = dict(base), ()
    for where, patch in patches:  # noqa: B007 (the last one's path is used below)
        data = merge(ArmSettings, data, patch)
    settings = validated(ArmSettings, data, where)
    problems = []
    if settings.start not in study.models:
        problems.append(Problem((*where, "start"), unknown("model", settings.start, study.models)))
    for index, protocol in enumerate(settings.protocols):
        if protocol not in study.protocols:
            text = unknown("protocol", protocol, study.protocols)
            problems.append(Problem((*where, "protocols", index), text))
        elif protocol in settings.protocols[:index]:
            problems.append(Problem((*where, "protocols", index), f"{protocol!r} is given twice; keep one"))
    if problems:
        raise StudyError(problems)
    return settings


def _arms_of_entry(study: Study, entry: Mapping[str, Any], where: Where) -> list[Arm]:
    own_keys = _PRODUCT_KEYS if "product" in entry else _EXPLICIT_KEYS
    for key in entry:
        if key not in own_keys and key not in study.factors:
            known = [*study.factors, *own_keys, *([] if "product" in entry else ["product"])]
            raise StudyError([Problem((*where, key), unknown("factor or key", key, known))])
    fixed = {key: value for key, value in entry.items() if key in study.factors}
    for factor, level in fixed.items():
        _check_level(study, factor, level, (*where, factor))
    defaults = {factor: next(iter(levels)) for factor, levels in study.factors.items()}
    combinations = [defaults | fixed]
    if "product" in entry:
        combinations = _product(study, entry, defaults | fixed, fixed, where)
    patch = entry.get("set") or {}
    if not isinstance(patch, Mapping):
        text = f"{shown(patch)} should be a mapping of {', '.join(ArmSettings.model_fields)}"
        raise StudyError([Problem((*where, "set"), text)])
    name = entry.get("name")
    if name is not None and not (isinstance(name, str) and re.match(NAME_PATTERN, name)):
        text = f"{shown(name)} is no name; names are letters, digits and . _ + -, a letter or digit first"
        raise StudyError([Problem((*where, "name"), text)])
    return [_arm(study, levels, name, patch, where) for levels in combinations]


def _arm(study: Study, levels: dict[str, str], name: str | None, patch: Mapping[str, Any], where: Where) -> Arm:
    level_patches = [
        (("factors", factor, level), _level_patch(factor, level, study.factors[factor][level]))
        for factor, level in levels.items()
    ]
    if name is None:
        first, *others = levels
        parts = [levels[factor] for factor in others if levels[factor] != next(iter(study.factors[factor]))]
        name = "+".join([levels[first], *parts])
    base = _own_settings(study)
    given = {*base, *patch, *(key for _, each in level_patches for key in each)}
    allowed = {"start": study.models, "training": ("none", "sft", "grpo"), "protocols": study.protocols}
    problems = [
        Problem(where, f"arm {name!r} has no {setting}; set it in a level or here. Allowed: {', '.join(names)}")
        for setting, names in allowed.items()
        if setting not in given
    ]
    if problems:
        raise StudyError(problems)
    return Arm(name, levels, _patched(study, base, [*level_patches, ((*where, "set"), patch)]), where)


def _check_level(study: Study, factor: str, level: object, where: Where) -> None:
    if level not in study.factors[factor]:
        text = unknown(f"level of {factor}", level, study.factors[factor])
        if not isinstance(level, str) and str(level) in study.factors[factor]:
            text = f"{level!r} is not a name; put it in quotes: '{level}'"
        raise StudyError([Problem(where, text)])


def _product(
    study: Study, entry: Mapping[str, Any], base: dict[str, str], fixed: Mapping[str, str], where: Where
) -> list[dict[str, str]]:
    """Combinations of levels of a product entry, in the order of the factors and their levels."""
    factors = entry["product"]
    if factors == "all":
        factors = [factor for factor in study.factors if factor not in fixed]
    if not isinstance(factors, list) or not factors:
        text = f"{shown(factors)} should be all, or a list of factors out of {', '.join(study.factors)}"
        raise StudyError([Problem((*where, "product"), text)])
    for index, factor in enumerate(factors):
        if not isinstance(factor, str) or factor not in study.factors:
            problem = Problem((*where, "product", index), unknown("factor", factor, study.factors))
            raise StudyError([problem])
        if factor in fixed or factor in factors[:index]:
            text = f"{factor!r} is in this entry already; name it once"
            raise StudyError([Problem((*where, "product", index), text)])
    ordered = [factor for factor in study.factors if factor in factors]
    levels = itertools.product(*(study.factors[factor] for factor in ordered))
    combinations = [base | dict(zip(ordered, each, strict=True)) for each in levels]
    included = _matching(study, entry, "include", combinations, where)
    excluded = _matching(study, entry, "exclude", combinations, where)
    kept = [
        each
        for index, each in enumerate(combinations)
        if (index in included or not entry.get("include")) and index not in excluded
    ]
    if not kept:
        raise StudyError([Problem(where, "no combination is left; loosen include or exclude")])
    return kept


def _matching(
    study: Study, entry: Mapping[str, Any], key: str, combinations: list[dict[str, str]], where: Where
) -> set[int]:
    """Indices of the combinations that match one of the patterns at ``key``."""
    patterns = entry.get(key) or []
    if not isinstance(patterns, list) or not all(isinstance(each, Mapping) and each for each in patterns):
        text = f"{shown(patterns)} should be a list of patterns such as {{{next(iter(study.factors))}: ...}}"
        raise StudyError([Problem((*where, key), text)])
    found: set[int] = set()
    for index, pattern in enumerate(patterns):
        here = (*where, key, index)
        wanted: dict[str, list[str]] = {}
        for factor, levels in pattern.items():
            if factor not in study.factors:
                raise StudyError([Problem((*here, factor), unknown("factor", factor, study.factors))])
            wanted[factor] = levels if isinstance(levels, list) else [levels]
            for level in wanted[factor]:
                _check_level(study, factor, level, (*here, factor))
        matches = {
            number
            for number, levels in enumerate(combinations)
            if all(levels[factor] in each for factor, each in wanted.items())
        }
        if not matches:
            raise StudyError([Problem(here, f"{shown(dict(pattern))} matches no combination of this product")])
        found |= matches
    return found
