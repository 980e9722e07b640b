"""From a study to its rehearsal: the same arms, made small, and a list of what was made small."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.small import write_small_cvbench, write_small_sat
from harness.record.atomic import read_json
from harness.rehearse.settings import (
    CURVE_QUESTIONS,
    QUESTIONS,
    TRAIN_ROWS,
    Values,
    small_grpo,
    small_protocol,
    small_sft,
)
from harness.study import ArmSettings, Study, plan_study
from harness.study.arms import NAMED_SETTINGS
from harness.study.messages import validated
from harness.study.schema import StartModel
from harness.study.sources import Family
from harness.study.stage import Stage

JITTER = 0.01
"""Weight of the random reward that a rehearsal adds."""
_DEFAULT_FAMILY: Family = "qwen2_vl"
_FAMILIES: dict[str, Family] = {"Qwen2-VL": "qwen2_vl", "Qwen2.5-VL": "qwen2_5_vl", "Qwen3-VL": "qwen3_vl"}
"""By what a hub id has in it."""


@dataclass(frozen=True)
class Rehearsal:
    """A study made small."""

    study: Study
    stands_for: dict[str, tuple[str, ...]]
    """Arm of the small study -> arms of the real one that are the same arm once made small, itself the first."""
    reductions: tuple[str, ...]
    """What was made small or left out, and so is not rehearsed; one line each."""


def reduced_study(study: Study, folder: Path, shipped: Collection[str] = (), jitter: float = JITTER) -> Rehearsal:
    """The rehearsal of a study.

    Args:
        folder: where the small data files are written.
        shipped: ids of stages that come with the harness; a miniature base model among them is used as it is.
        jitter: weight of the random reward that GRPO's rewards get on top; 0 for none.

    Raises:
        StudyError: the small study does not hold together.
        ValueError: the family of a start model can't be told.
    """
    notes: list[str] = []
    plan = plan_study(study)
    data: Values = {
        "study": study.study,
        "title": f"Rehearsal of {study.title or study.study}",
        "seeds": study.seeds[:1],
        "models": {name: _small_model(study, name, shipped, notes) for name in study.models},
        "protocols": {name: small_protocol(each.model_dump()) for name, each in study.protocols.items()},
        "scoring": study.scoring,
        "factors": {factor: _bare_levels(factor, levels) for factor, levels in study.factors.items()},
        **_small_data(study, folder, notes),
    }
    if len(study.seeds) > 1:
        notes.append(f"seeds: 1 of {len(study.seeds)}")
    if study.contrasts or study.claims:
        notes.append("contrasts and claims: left out")
    changes: dict[str, set[tuple[str, str]]] = {}
    for name, protocol in study.protocols.items():
        _note_changes(changes, "protocols", protocol.model_dump(), data["protocols"][name])
    entries: dict[str, Values] = {}
    stands_for: dict[str, tuple[str, ...]] = {}
    with_curve: set[Any] = set()
    for arm in plan.arms:
        given = arm.settings.model_dump()
        small = _small_arm(arm.settings, jitter, with_curve)
        for group in ("sft", "grpo"):
            if group == arm.settings.training:
                _note_changes(changes, group, given[group], small[group])
        key = json.dumps([_acting(small), sorted(small["protocols"])], sort_keys=True)
        if key in entries:
            first = entries[key]["name"]
            stands_for[first] = (*stands_for[first], arm.name)
        else:
            entries[key] = {**arm.levels, "name": arm.name, "set": small}
            stands_for[arm.name] = (arm.name,)
    data["arms"] = list(entries.values())
    notes += [f"{name}: the same arm as {names[0]} here" for names in stands_for.values() for name in names[1:]]
    notes += [_told(path, pairs) for path, pairs in sorted(changes.items())]
    return Rehearsal(validated(Study, data), stands_for, tuple(notes))


def _bare_levels(factor: str, levels: Mapping[str, Mapping[str, Any]]) -> Values:
    """The levels without their patches, which are in every arm's own settings; what a level's name sets stays right."""
    named = factor in NAMED_SETTINGS
    return {level: {factor: patch.get(factor, level)} if named else {} for level, patch in levels.items()}


def _small_arm(settings: ArmSettings, jitter: float, with_curve: set[Any]) -> Values:
    small = settings.model_dump()
    small["sft"] = small_sft(small["sft"])
    small["grpo"] = small_grpo(small["grpo"], jitter)
    # A curve is the same code for every arm: the first of each training, with adapters and without, has one.
    sort = (settings.training, settings.tuned == "lora")
    wanted = settings.curve.questions and settings.training != "none" and sort not in with_curve
    if wanted:
        with_curve.add(sort)
    small["curve"] = {"questions": CURVE_QUESTIONS if wanted else 0}
    return small


def _acting(small: Values) -> Values:
    """What of an arm's small settings has an effect."""
    training = small["training"]
    acting = {"start": small["start"], "training": training}
    if training != "none":
        acting |= {"tuned": small["tuned"], training: small[training]}
        if small["tuned"] == "lora":
            acting["lora"] = small["lora"]
    return acting


def _small_model(study: Study, name: str, shipped: Collection[str], notes: list[str]) -> Values:
    model = study.models[name]
    if model.instruct is not None:
        return {"instruct": small_sft(model.instruct.model_dump())}
    if model.tiny is not None:
        return {"tiny": model.tiny.model_dump()}
    if model.pretrain is not None and Stage("pretrain", model.pretrain.identity()).id in shipped:
        return {"pretrain": model.pretrain.model_dump()}
    family = _family(name, model)
    # By what the model is and not by its place in the study, so that sweeps share the stages of their rehearsals.
    source = json.dumps(model.model_dump(mode="json"), sort_keys=True)
    seed = int(hashlib.sha256(source.encode()).hexdigest()[:6], 16)
    notes.append(f"models.{name}: a random tiny {family}")
    return {"tiny": {"family": family, "seed": seed}}


def _family(name: str, model: StartModel) -> Family:
    if model.hub is not None:
        for part, family in _FAMILIES.items():
            if part in model.hub.id:
                return family
    if model.folder is not None:
        config = read_json(Path(model.folder.path) / "config.json") or {}
        found = config.get("model_type")
        for family in _FAMILIES.values():
            if found == family:
                return family
        allowed = ", ".join(_FAMILIES.values())
        raise ValueError(f"models.{name}: {model.folder.path} has model_type {found!r}. Allowed: {allowed}")
    return _DEFAULT_FAMILY


def _small_data(study: Study, folder: Path, notes: list[str]) -> Values:
    if study.data is None:
        notes.append(f"world: {TRAIN_ROWS} training and {QUESTIONS} test questions")
        return {"world": {"train_questions": TRAIN_ROWS, "test_questions": QUESTIONS}}
    train, test = folder / "train.parquet", folder / "test.parquet"
    write_small_sat(train, TRAIN_ROWS, seed=0)
    write_small_cvbench(test, QUESTIONS, seed=0)
    notes.append(f"data: made-up files of {TRAIN_ROWS} training and {QUESTIONS} test questions in the same columns")
    given = {"train": (study.data.train, train), "test": (study.data.test, test)}
    return {
        "data": {
            role: settings.model_dump() | {"hub": None, "files": [str(path)]}
            for role, (settings, path) in given.items()
        }
    }


def _note_changes(changes: dict[str, set[tuple[str, str]]], path: str, old: Values, new: Values) -> None:
    """Note every value that differs, by its path; of what was left out the whole group."""
    for name, value in new.items():
        before, here = old.get(name), f"{path}.{name}"
        if isinstance(value, dict) and isinstance(before, dict) and name != "rewards":
            _note_changes(changes, here, before, value)
        elif before != value:
            changes.setdefault(here, set()).add((_short(before), _short(value)))


def _short(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _told(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    return f"{path}: " + "; ".join(f"{before} -> {after}" for before, after in sorted(pairs))
