"""Contrasts and claims of a study, checked, their sides filled in."""

from collections.abc import Mapping, Sequence
from typing import get_args

from harness.study.arms import Arm
from harness.study.checkpoints import checkpoint_problems, step_problem
from harness.study.errors import Problem, StudyError, Where, unknown
from harness.study.schema import Claim, Contrast, Difference, Metric, Side, Study
from harness.study.settings import GenerationRule, OptionRule, RuleName

OPTION_RULES: tuple[OptionRule, ...] = get_args(OptionRule)
DEFAULT_OPTION_RULE: OptionRule = "likelihood_per_token"


def resolve_contrasts(study: Study, arms: Sequence[Arm]) -> tuple[Contrast, ...]:
    """The study's contrasts, each side with its protocol and, where the metric is accuracy, its scoring rule; where it
    is accuracy, the expected spread over seeds as well.

    Raises:
        StudyError: an arm, protocol, rule or step that isn't there, a metric that a protocol can't give, equal
            sides, a name used twice, a pairing by seed of arms without seeds or none where runs belong together, or
            a rule for checkpoints that a side's curve can't answer.
    """
    by_name = {arm.name: arm for arm in arms}
    problems: list[Problem] = []
    resolved: list[Contrast] = []
    for index, contrast in enumerate(study.contrasts):
        where: Where = ("contrasts", index)
        if contrast.name in [other.name for other in study.contrasts[:index]]:
            problems.append(Problem((*where, "name"), f"two contrasts are called {contrast.name!r}; rename one"))
        found = [
            _side_problem(study, by_name, contrast.metric, side, (*where, *key.split(".")))
            for key, side in contrast.sides.items()
        ]
        if any(found):
            problems += [each for each in found if each]
            continue
        filled = {key: _filled(study, by_name[side.arm], contrast.metric, side) for key, side in contrast.sides.items()}
        changed = {"a": filled["a"], "b": filled["b"], "seed_sd": contrast.seed_sd}
        if contrast.minus is not None:
            changed["minus"] = Difference(a=filled["minus.a"], b=filled["minus.b"])
        if contrast.seed_sd is None and contrast.metric == "accuracy":
            changed["seed_sd"] = study.power.seed_sd
        contrast = contrast.model_copy(update=changed)
        problems += _equal_sides(contrast, where)
        problems += _pairing_problems(contrast, by_name, where)
        problems += checkpoint_problems(contrast, by_name, where)
        resolved.append(contrast)
    if problems:
        raise StudyError(problems)
    return tuple(resolved)


def _pairing_problems(contrast: Contrast, arms: Mapping[str, Arm], where: Where) -> list[Problem]:
    """Sides whose runs can't be paired, or have to be. In a difference of differences an arm without randomness is a
    constant that pairs with every seed."""
    seeded = {key: side.arm for key, side in contrast.sides.items() if arms[side.arm].has_seeds}
    if contrast.minus is None and contrast.pairing == "seed":
        lacking = [(key, side) for key, side in contrast.sides.items() if key not in seeded]
        text = "has no randomness and so no seeds to pair by; use pairing: none"
        return [Problem((*where, key), f"{side.arm!r} {text}") for key, side in lacking]
    if contrast.pairing == "seed" and len(seeded) < 2:
        text = "'seed': fewer than two of the four sides have seeds, so there is nothing to pair; use pairing: none"
        return [Problem((*where, "pairing"), text)]
    # step 0 is the start model, the same for all seeds
    varied = [side.arm for side in contrast.sides.values() if side.arm in seeded.values() and side.step != 0]
    twice = sorted({arm for arm in varied if varied.count(arm) > 1})
    if contrast.pairing == "none" and twice:
        text = f"'none': the runs of {twice[0]!r} stand on two sides and are not independent; use pairing: seed"
        return [Problem((*where, "pairing"), text)]
    return []


def _equal_sides(contrast: Contrast, where: Where) -> list[Problem]:
    """Sides that cancel out or stand there twice."""
    a, b = contrast.a, contrast.b
    if a == b:
        scored = f", scored {a.rule!r}" if a.rule else ""
        return [Problem(where, f"both sides are {a.arm!r} under {a.protocol!r}{scored}; change one")]
    sides: list[tuple[str, Side]] = []
    for key, side in contrast.sides.items():
        same = next((other for other, found in sides if found == side), None)
        if same:
            text = f"the same as side {same}: {side.arm!r} under {side.protocol!r}"
            mend = "the four sides of a difference of differences are four; change one, or leave minus out"
            return [Problem((*where, *key.split(".")), f"{text}; {mend}")]
        sides.append((key, side))
    return []


def resolve_claims(study: Study, arms: Sequence[Arm]) -> tuple[Claim, ...]:
    """The study's claims; the arm that really ran with its protocol and scoring rule.

    Raises:
        StudyError: a contrast, arm, protocol or rule that isn't there, a step, or a name used twice.
    """
    by_name = {arm.name: arm for arm in arms}
    contrasts = [contrast.name for contrast in study.contrasts]
    problems: list[Problem] = []
    resolved: list[Claim] = []
    for index, claim in enumerate(study.claims):
        where: Where = ("claims", index)
        if claim.name in [other.name for other in study.claims[:index]]:
            problems.append(Problem((*where, "name"), f"two claims are called {claim.name!r}; rename one"))
        if claim.contrast is not None and claim.contrast not in contrasts:
            problems.append(Problem((*where, "contrast"), unknown("contrast", claim.contrast, contrasts)))
        if claim.ran is not None:
            if problem := _ran_problem(study, by_name, claim.ran, (*where, "ran")):
                problems.append(problem)
                continue
            claim = claim.model_copy(update={"ran": _filled(study, by_name[claim.ran.arm], "accuracy", claim.ran)})
        resolved.append(claim)
    if problems:
        raise StudyError(problems)
    return tuple(resolved)


def completion_rules(study: Study) -> list[GenerationRule]:
    """The study's scoring rules that read completions; options are read by `OPTION_RULES` without being named."""
    rules: tuple[GenerationRule, ...] = get_args(GenerationRule)
    return sorted((rule for rule in rules if rule in study.scoring), key=study.scoring.index)


def _rules(study: Study, protocol: str) -> list[RuleName]:
    """Rules that a protocol's answers are read by, the one that decides first."""
    if study.protocols[protocol].method == "options":
        return [DEFAULT_OPTION_RULE, *(rule for rule in OPTION_RULES if rule != DEFAULT_OPTION_RULE)]
    return [*completion_rules(study)]


def _ran_problem(study: Study, arms: dict[str, Arm], ran: Side, where: Where) -> Problem | None:
    if ran.step is not None:
        return Problem((*where, "step"), f"{ran.step}: a printed score is of a run's last checkpoint; leave step out")
    return _side_problem(study, arms, "accuracy", ran, where)


def _side_problem(study: Study, arms: dict[str, Arm], metric: Metric, side: Side, where: Where) -> Problem | None:
    arm = arms.get(side.arm)
    if arm is None:
        return Problem((*where, "arm"), unknown("arm", side.arm, arms))
    if side.protocol is not None and side.protocol not in arm.settings.protocols:
        text = unknown(f"protocol of arm {arm.name!r}", side.protocol, arm.settings.protocols)
        return Problem((*where, "protocol"), text)
    protocol = side.protocol or arm.protocol
    if problem := _reading_problem(study, metric, side, protocol, where):
        return problem
    return None if side.step is None else step_problem(arm, side.step, protocol, (*where, "step"))


def _reading_problem(study: Study, metric: Metric, side: Side, protocol: str, where: Where) -> Problem | None:
    """Whether the protocol gives what the metric is of, and the rule reads it."""
    if metric != "accuracy":
        if study.protocols[protocol].method == "options":
            text = f"metric {metric!r} is of completions, and {protocol!r} (method: options) writes none"
            return Problem(where, f"{text}; name a protocol that generates, or use metric: accuracy")
        if side.rule is not None:
            text = f"{side.rule!r} has no effect, as metric {metric!r} needs no scoring rule; leave it out"
            return Problem((*where, "rule"), text)
        return None
    rules = _rules(study, protocol)
    if not rules:
        return Problem(("scoring",), f"no rule that reads completions; name one: {', '.join(get_args(GenerationRule))}")
    if side.rule is not None and side.rule not in rules:
        options = study.protocols[protocol].method == "options"
        what = f"scoring rule of protocol {protocol!r}" if options else "scoring rule of this study"
        return Problem((*where, "rule"), unknown(what, side.rule, rules))
    return None


def _filled(study: Study, arm: Arm, metric: Metric, side: Side) -> Side:
    protocol = side.protocol or arm.protocol
    rule = (side.rule or _rules(study, protocol)[0]) if metric == "accuracy" else None
    return Side(arm=arm.name, protocol=protocol, rule=rule, step=side.step)
