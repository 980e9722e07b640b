"""How long stages take, from what was measured where possible, and the wall time with so many workers."""

import heapq
import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from harness.study.expand import Plan
from harness.study.stage import Stage


@dataclass(frozen=True)
class Measured:
    """A finished stage and the wall seconds that it took, of this study or another."""

    stage: Stage
    seconds: float


def assumed_seconds(stage: Stage) -> float:
    """Wall seconds of a stage in the miniature world on one core, from its amount of work alone.

    Raises:
        KeyError: there is no constant for this kind of stage.
    """
    settings = stage.settings
    match stage.kind:
        case "world":
            return 12.0 * (settings["train_questions"] + settings["test_questions"]) / 17_000
        case "pretrain":
            return 0.35 * settings["steps"] * settings["batch_size"] / 48
        case "sft" | "instruct":
            return 0.24 * settings["steps"] * settings["batch_size"] / 48
        case "grpo":
            rollouts = settings["prompts_per_step"] * settings["completions_per_prompt"]
            return 0.68 * settings["steps"] * rollouts / 64
        case "evaluate":
            return 6.0 + 0.0045 * settings["questions"] * len(settings["steps"])
        case kind:
            raise KeyError(f"no assumed time for stages of kind {kind!r}")


def estimate_seconds(plan: Plan, measured: Iterable[Measured] = ()) -> dict[str, float]:
    """Wall seconds of every stage of a plan, by stage id.

    The assumed time is scaled by the median of measured over assumed time: of finished stages of the same
    kind and amount of work where there are any, else of the same kind, else it stands as it is.
    """
    by_kind: dict[str, list[float]] = {}
    by_size: dict[tuple[str, float], list[float]] = {}
    for each in measured:
        assumed = assumed_seconds(each.stage)
        by_kind.setdefault(each.stage.kind, []).append(each.seconds / assumed)
        by_size.setdefault((each.stage.kind, assumed), []).append(each.seconds / assumed)
    estimates = {}
    for stage_id, stage in plan.stages.items():
        assumed = assumed_seconds(stage)
        ratios = by_size.get((stage.kind, assumed)) or by_kind.get(stage.kind) or [1.0]
        estimates[stage_id] = assumed * statistics.median(ratios)
    return estimates


def wall_seconds(
    stages: Mapping[str, Stage], seconds: Mapping[str, float], workers: int, done: Collection[str] = ()
) -> float:
    """Wall seconds until all stages are done: simulated workers take the longest ready stage first.

    Args:
        stages: by id.
        seconds: by stage id.
        workers: stages that run at a time.
        done: ids of stages that need not run.

    Raises:
        ValueError: fewer than one worker.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; at least 1 is needed")
    waiting = {
        stage_id: {each for each in stage.inputs.values() if each not in done}
        for stage_id, stage in stages.items()
        if stage_id not in done
    }
    now = 0.0
    running: list[tuple[float, str]] = []
    while waiting or running:
        ready = sorted((-seconds[each], each) for each, inputs in waiting.items() if not inputs)
        for _, stage_id in ready[: workers - len(running)]:
            heapq.heappush(running, (now + seconds[stage_id], stage_id))
            del waiting[stage_id]
        now, finished = heapq.heappop(running)
        for inputs in waiting.values():
            inputs.discard(finished)
    return now
