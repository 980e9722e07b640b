"""Contrasts with both sides filled in and checked."""

from collections.abc import Sequence

from harness.study.arms import Arm
from harness.study.errors import Problem, StudyError, Where, unknown
from harness.study.schema import Contrast, Side, Study


def resolve_contrasts(study: Study, arms: Sequence[Arm]) -> tuple[Contrast, ...]:
    """The study's contrasts, each side with its protocol and scoring rule.

    Raises:
        StudyError: an arm, protocol or rule that isn't there, equal sides, a name used twice, or a pairing by
            seed with an arm that has no seeds.
    """
    by_name = {arm.name: arm for arm in arms}
    problems: list[Problem] = []
    resolved: list[Contrast] = []
    for index, contrast in enumerate(study.contrasts):
        where: Where = ("contrasts", index)
        if contrast.name in [other.name for other in study.contrasts[:index]]:
            problems.append(Problem((*where, "name"), f"two contrasts are called {contrast.name!r}; rename one"))
        found = [
            _side_problem(study, by_name, side, (*where, key)) for key, side in (("a", contrast.a), ("b", contrast.b))
        ]
        if any(found):
            problems += [each for each in found if each]
            continue
        a, b = (_filled(study, by_name[side.arm], side) for side in (contrast.a, contrast.b))
        if a == b:
            text = f"both sides are {a.arm!r} under {a.protocol!r}, scored {a.rule!r}; change one"
            problems.append(Problem(where, text))
        for key, side in (("a", a), ("b", b)):
            if contrast.pairing == "seed" and not by_name[side.arm].has_seeds:
                text = f"{side.arm!r} has no randomness and so no seeds to pair by; use pairing: none"
                problems.append(Problem((*where, key), text))
        resolved.append(contrast.model_copy(update={"a": a, "b": b}))
    if problems:
        raise StudyError(problems)
    return tuple(resolved)


def _side_problem(study: Study, arms: dict[str, Arm], side: Side, where: Where) -> Problem | None:
    arm = arms.get(side.arm)
    if arm is None:
        return Problem((*where, "arm"), unknown("arm", side.arm, arms))
    if side.protocol is not None and side.protocol not in arm.settings.protocols:
        text = unknown(f"protocol of arm {arm.name!r}", side.protocol, arm.settings.protocols)
        return Problem((*where, "protocol"), text)
    if side.rule is not None and side.rule not in study.scoring:
        return Problem((*where, "rule"), unknown("scoring rule of this study", side.rule, study.scoring))
    return None


def _filled(study: Study, arm: Arm, side: Side) -> Side:
    return Side(arm=arm.name, protocol=side.protocol or arm.protocol, rule=side.rule or study.scoring[0])
