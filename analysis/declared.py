"""A contrast as declared: every field there, and every value one that means something."""

import math
from collections.abc import Mapping
from typing import Any

from analysis.checkpoints import CHECKPOINT_RULES
from analysis.collected import Tables
from analysis.metrics import METRICS
from analysis.values import FAILED_CHECKS, LAST

_DEFAULTS: dict[str, Any] = {
    **{"question": "", "metric": "accuracy", "pairing": "none", "margin": None, "minus": None, "family": None},
    **{"alpha": 0.05, "checkpoint": LAST, "last_k": 3, "exclusions": [FAILED_CHECKS], "seed_sd": None, "reads": []},
}
_OTHERS = ("name", "a", "b", "hash")
_SIDE = ("arm", "protocol", "rule", "step")


def declare(tables: Tables, a: str | Mapping[str, Any], b: str | Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """A contrast as ``study.json`` has it, to be looked at in a notebook.

    Args:
        a, b: an arm's name, or a mapping of arm, protocol, rule, step.
        fields: name, metric, pairing, margin, minus (a mapping of a and b), alpha, checkpoint, last_k, exclusions ...

    Raises:
        ValueError: a field or value that means nothing; the message lists those that do.
    """
    name = fields.pop("name", f"{_arm(a)}-vs-{_arm(b)}")
    return checked(tables, {"name": name, "a": a, "b": b} | fields)


def checked(tables: Tables, declared: Mapping[str, Any]) -> dict[str, Any]:
    """A contrast with every field that it leaves out, its sides with protocol and rule.

    Raises:
        ValueError: a field or value that means nothing; the message lists those that do.
    """
    name = declared.get("name", "")

    def fail(field: str, value: object, valid: object) -> ValueError:
        return ValueError(f"contrast {name!r}, {field}: {value!r}; {valid}")

    known = (*_OTHERS, *_DEFAULTS)
    for field in declared:
        if field not in known:
            raise fail(field, declared[field], f"no such field, there are {', '.join(known)}")
    found = {**_DEFAULTS, "name": name, **declared}
    for field, valid in (("metric", METRICS), ("pairing", ("none", "seed")), ("checkpoint", CHECKPOINT_RULES)):
        if found[field] not in valid:
            raise fail(field, found[field], f"one of {', '.join(valid)}")
    if isinstance(found["exclusions"], str):
        raise fail("exclusions", found["exclusions"], f"a list of {FAILED_CHECKS}")
    for exclusion in found["exclusions"]:
        if exclusion != FAILED_CHECKS:
            raise fail("exclusions", exclusion, f"one of {FAILED_CHECKS}")
    for field, kind in (("alpha", int | float), ("margin", int | float | None), ("seed_sd", int | float | None)):
        if not isinstance(found[field], kind):
            raise fail(field, found[field], "a number")
    if not isinstance(found["last_k"], int):
        raise fail("last_k", found["last_k"], "a whole number")
    if not 0.0 < found["alpha"] < 0.5:
        raise fail("alpha", found["alpha"], "above 0 and below 0.5")
    for field in ("margin", "seed_sd"):
        if found[field] is not None and not 0.0 < found[field] < math.inf:
            raise fail(field, found[field], "a number above 0, or None")
    if found["last_k"] < 1:
        raise fail("last_k", found["last_k"], "1 or more checkpoints")
    for key in ("a", "b"):
        if key not in found:
            raise fail(key, None, "an arm, or a mapping of arm, protocol, rule, step")
        found[key] = _side(tables, found, found[key], lambda field, *more, key=key: fail(f"{key}{field}", *more))
    if found["minus"] is not None:
        if set(found["minus"]) != {"a", "b"}:
            raise fail("minus", found["minus"], "a mapping of a and b")
        found["minus"] = {
            key: _side(tables, found, each, lambda field, *more, key=key: fail(f"minus.{key}{field}", *more))
            for key, each in found["minus"].items()
        }
    return found


def _arm(side: str | Mapping[str, Any]) -> str:
    return side if isinstance(side, str) else str(side.get("arm"))


def _side(tables: Tables, declared: Mapping[str, Any], side: Any, fail: Any) -> dict[str, Any]:
    given = {"arm": side} if isinstance(side, str) else dict(side)
    for field in given:
        if field not in _SIDE:
            raise fail("", side, f"no field {field!r}, there are {', '.join(_SIDE)}")
    if given.get("arm") not in tables.arms:
        raise fail(".arm", given.get("arm"), f"one of {', '.join(tables.arms)}")
    protocols = tables.study["protocols"]
    protocol = given.get("protocol") or tables.own_protocol(given["arm"])
    if protocol not in protocols:
        raise fail(".protocol", protocol, f"one of {', '.join(protocols)}")
    rule = given.get("rule")
    if declared["metric"] == "accuracy":
        rules = tables.rules_of(protocol)
        rule = rule or rules[0]
        if rule not in rules:
            raise fail(".rule", rule, f"one of {', '.join(rules)}, which read {protocol}")
    return {"arm": given["arm"], "protocol": protocol, "rule": rule, "step": given.get("step")}
