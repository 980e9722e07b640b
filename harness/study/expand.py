"""From a study to its runs and the graph of stages that they are paths through."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.study.arms import Arm, describe_levels, resolve_arms
from harness.study.contrasts import resolve_claims, resolve_contrasts
from harness.study.errors import Problem, StudyError
from harness.study.leaves import FULL, add, add_start, add_test_data, add_training_data, check_models
from harness.study.schema import ArmSettings, Claim, Contrast, Study
from harness.study.stage import Stage


@dataclass(frozen=True)
class Evaluation:
    """What a run takes from one evaluate stage."""

    protocol: str
    """Name of the protocol in the study."""
    phase: Literal["final", "curve"]
    """``final``: the last checkpoint on all questions; ``curve``: earlier ones on some of them."""
    stage: str
    """Id of the evaluate stage."""
    step_offset: int = 0
    """Subtracted from the stage's checkpoint steps to give the run's: the start model is the run's step 0."""


@dataclass(frozen=True)
class Run:
    """One arm with one seed."""

    id: str
    """``base+grpo/seed=0``, or ``base`` for an arm without randomness."""
    arm: str
    seed: int | None
    levels: dict[str, str]
    settings: ArmSettings
    start: str
    """Stage id of the start model."""
    train: str | None
    """Stage id of the training."""
    final_step: int
    """Optimiser step of the final checkpoint; 0 without training."""
    evaluations: tuple[Evaluation, ...]
    stages: tuple[str, ...]
    """Ids of all stages that the run needs, inputs first."""


@dataclass(frozen=True)
class Plan:
    """A study expanded: what has to be computed, and what each run takes from it."""

    study: Study
    arms: tuple[Arm, ...]
    contrasts: tuple[Contrast, ...]
    """The declared contrasts, protocols and scoring rules filled in."""
    claims: tuple[Claim, ...]
    """The published claims, protocols and scoring rules of the arms that really ran filled in."""
    runs: tuple[Run, ...]
    stages: dict[str, Stage]
    """By id, inputs before what reads them."""

    def users(self, stage: str) -> tuple[str, ...]:
        """Ids of the runs that need a stage."""
        return tuple(run.id for run in self.runs if stage in run.stages)


def plan_study(study: Study) -> Plan:
    """Expand a study to runs and stages.

    Raises:
        StudyError: a name that stands for nothing, a wrong patch, two arms that are the same, ...
    """
    check_models(study)
    arms = resolve_arms(study)
    contrasts, claims = resolve_contrasts(study, arms), resolve_claims(study, arms)
    stages: dict[str, Stage] = {}
    runs = []
    for arm in arms:
        seeds = study.seeds if arm.has_seeds else [None]
        runs += [_run(study, arm, seed, stages) for seed in seeds]
    _refuse_equal_arms(arms, runs)
    return Plan(study, arms, contrasts, claims, tuple(runs), stages)


def _tuning(settings: ArmSettings) -> dict[str, Any]:
    """What a training stage is told to tune."""
    if settings.tuned == "full":
        return FULL
    return {"kind": settings.tuned, **(settings.lora.identity() if settings.tuned == "lora" else {})}


def _run(study: Study, arm: Arm, seed: int | None, stages: dict[str, Stage]) -> Run:
    """One run; its stages are added to the graph."""
    settings = arm.settings
    test_data = add_test_data(study, stages)
    start, start_step = add_start(study, settings.start, stages)
    train, final_step, intermediate = None, 0, []
    if settings.training != "none":
        recipe = settings.sft if settings.training == "sft" else settings.grpo
        *intermediate, final_step = recipe.checkpoint_steps()
        stage = Stage(
            settings.training,
            recipe.identity() | {"seed": seed, "tuning": _tuning(settings)},
            {"model": start, "data": add_training_data(study, stages)},
            {"checkpoints": [*intermediate, final_step], "resume_every": recipe.resume_every},
        )
        train = add(stages, stage)

    # The miniature world's number of questions is a setting; of real data all are asked.
    everything = None if study.data else stages[test_data].settings["test_questions"]

    def evaluate(model: str, protocol: str, questions: int | None, steps: list[int]) -> str:
        asked: dict[str, Any] = {"questions": questions, "steps": steps}
        identity = study.protocols[protocol].identity() | asked
        # an adapter is no model without the weights that it was trained on
        parent = {"parent": start} if model == train and settings.tuned == "lora" else {}
        return add(stages, Stage("evaluate", identity, {"model": model, "data": test_data, **parent}))

    offset = 0 if train else start_step
    evaluations = []
    for protocol in settings.protocols:
        stage_id = evaluate(train or start, protocol, everything, [final_step or start_step])
        evaluations.append(Evaluation(protocol, "final", stage_id, offset))
    questions = settings.curve.questions if everything is None else min(settings.curve.questions, everything)
    if train and questions:
        own = arm.protocol
        evaluations.append(Evaluation(own, "curve", evaluate(start, own, questions, [start_step]), start_step))
        if intermediate:
            stage_id = evaluate(train, own, questions, intermediate)
            evaluations.append(Evaluation(own, "curve", stage_id))

    return Run(
        id=arm.name if seed is None else f"{arm.name}/seed={seed}",
        arm=arm.name,
        seed=seed,
        levels=arm.levels,
        settings=settings,
        start=start,
        train=train,
        final_step=final_step,
        evaluations=tuple(evaluations),
        stages=_with_inputs(stages, [each.stage for each in evaluations]),
    )


def _with_inputs(stages: Mapping[str, Stage], wanted: Iterable[str]) -> tuple[str, ...]:
    """``wanted`` and all that they stand on, in the graph's order."""
    found: set[str] = set()
    todo = list(wanted)
    while todo:
        stage = todo.pop()
        if stage not in found:
            found.add(stage)
            todo += stages[stage].inputs.values()
    return tuple(stage for stage in stages if stage in found)


def _refuse_equal_arms(arms: Iterable[Arm], runs: Iterable[Run]) -> None:
    """Refuse arms that end in the same checkpoints under the same protocols: one would be counted twice."""
    finals: dict[str, set[str]] = {}
    for run in runs:
        found = {each.stage for each in run.evaluations if each.phase == "final"}
        finals.setdefault(run.arm, set()).update(found)
    problems = []
    seen: dict[frozenset[str], Arm] = {}
    for arm in arms:
        same = seen.setdefault(frozenset(finals[arm.name]), arm)
        if same is not arm:
            idle = _differing(same.settings.model_dump(), arm.settings.model_dump())
            why = f"what differs has no effect here: {', '.join(idle)}" if idle else "no setting differs"
            both = f"{same.name!r} ({describe_levels(same)}) and {arm.name!r} ({describe_levels(arm)})"
            problems.append(Problem(same.where, f"arms {both} are the same; {why}; drop or exclude one"))
            problems.append(Problem(arm.where, f"{arm.name!r}, the other of the two"))
    if problems:
        raise StudyError(problems)


def _differing(a: Mapping[str, Any], b: Mapping[str, Any], path: str = "") -> list[str]:
    """Dotted paths of the settings that differ."""
    found = []
    for name in a:
        if isinstance(a[name], dict) and isinstance(b.get(name), dict):
            found += _differing(a[name], b[name], f"{path}{name}.")
        elif a[name] != b.get(name):
            found.append(path + name)
    return found
