"""Estimates, the simulated schedule, and the plan as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.study import Measured, Stage, describe, estimate_seconds, format_seconds, wall_seconds
from harness.study.estimate import assumed_seconds
from harness.study.stage import REVISIONS


def test_every_kind_has_an_assumed_time(plan):
    kinds = {stage.kind for stage in plan().stages.values()}
    assert kinds == set(REVISIONS)
    assert all(assumed_seconds(stage) > 0 for stage in plan().stages.values())


def test_time_grows_with_the_work(plan):
    def total(*overrides: str) -> float:
        return sum(estimate_seconds(plan(*overrides)).values())

    for more in (
        "grpo.steps=600",
        "grpo.prompts_per_step=9",
        "sft.batch_size=50",
        "curve.questions=300",
        "seeds=[0,1,2]",
    ):
        assert total(more) > total()


def test_measured_stages_of_the_same_size_beat_others_and_those_beat_the_constants(plan):
    made = plan()
    by_kind = {stage.kind: stage_id for stage_id, stage in made.stages.items()}
    grpo = made.stages[by_kind["grpo"]]
    longer = Stage("grpo", grpo.settings | {"steps": 600})
    assumed = assumed_seconds(grpo)
    assert estimate_seconds(made)[grpo.id] == assumed
    slow = Measured(longer, 3 * assumed_seconds(longer))
    assert estimate_seconds(made, [slow])[grpo.id] == pytest.approx(3 * assumed)
    same = [Measured(grpo, 100.0), Measured(grpo, 110.0), Measured(grpo, 999.0)]
    estimates = estimate_seconds(made, [slow, *same])
    assert estimates[grpo.id] == pytest.approx(110.0)
    assert estimates[by_kind["sft"]] == assumed_seconds(made.stages[by_kind["sft"]])


def diamond() -> dict[str, Stage]:
    a = Stage("world", {"n": 1})
    b = Stage("sft", {"n": 2}, {"data": a.id})
    c = Stage("sft", {"n": 3}, {"data": a.id})
    d = Stage("evaluate", {"n": 4}, {"model": b.id, "data": c.id})
    return {stage.id: stage for stage in (a, b, c, d)}


def test_wall_time_of_a_diamond_by_hand():
    stages = diamond()
    a, b, c, d = stages
    seconds = {a: 1.0, b: 5.0, c: 3.0, d: 2.0}
    assert wall_seconds(stages, seconds, 1) == 11.0
    assert wall_seconds(stages, seconds, 2) == 8.0
    assert wall_seconds(stages, seconds, 2, done={a, b}) == 5.0
    assert wall_seconds(stages, seconds, 2, done=set(stages)) == 0.0
    with pytest.raises(ValueError, match="workers is 0"):
        wall_seconds(stages, seconds, 0)


def test_the_longest_ready_stage_goes_first():
    stages = {stage.id: stage for stage in (Stage("sft", {"n": n}) for n in range(3))}
    seconds = dict(zip(stages, (1.0, 1.0, 2.0), strict=True))
    assert wall_seconds(stages, seconds, 2) == 2.0


@given(st.integers(1, 6), st.lists(st.floats(0.1, 100.0), min_size=2, max_size=12), st.data())
def test_wall_time_keeps_grahams_bounds(workers, times, data):
    """Critical path and work / workers <= wall <= work / workers + critical path (Graham 1966)."""
    stages: dict[str, Stage] = {}
    longest: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for number, time in enumerate(times):
        needed = data.draw(st.lists(st.sampled_from(list(stages)), unique=True)) if stages else []
        stage = Stage("sft", {"n": number}, {str(i): each for i, each in enumerate(needed)})
        stages[stage.id] = stage
        seconds[stage.id] = time
        longest[stage.id] = time + max((longest[each] for each in needed), default=0.0)
    wall, work, path = wall_seconds(stages, seconds, workers), sum(times), max(longest.values())
    assert max(path, work / workers) - 1e-9 <= wall <= work / workers + path + 1e-9


def test_a_plan_is_described_by_arms_and_kinds(plan):
    made = plan()
    first = next(run for run in made.runs if run.arm == "base")
    told = describe(made, done={*first.stages, "sft-of-another-study"}, workers=2)
    assert (told.runs, told.runs_done) == (7, 1)
    assert (told.stages, told.stages_done) == (len(made.stages), len(first.stages))
    assert [(row.arm, row.runs, row.done) for row in told.arms][:2] == [("base", 1, 1), ("base+sft", 2, 0)]
    assert told.arms[3].protocols == ("direct",)
    rows = {row.kind: row for row in told.kinds}
    assert list(rows) == ["world", "pretrain", "instruct", "sft", "grpo", "evaluate"]
    assert (rows["world"].stages, rows["world"].shared, rows["world"].done, rows["world"].to_do) == (1, 1, 1, 0)
    assert (rows["grpo"].stages, rows["grpo"].shared, rows["grpo"].done, rows["grpo"].to_do) == (4, 0, 0, 4)
    assert rows["instruct"].shared == 1
    assert rows["world"].seconds_to_do == 0
    assert sum(row.stages for row in told.kinds) == told.stages
    assert told.seconds_to_do == pytest.approx(sum(row.seconds_to_do for row in told.kinds))
    assert told.seconds_to_do / 2 <= told.wall_seconds <= told.seconds_to_do
    assert told.summary().startswith(f"7 runs in 4 arms; {told.stages} stages, {len(first.stages)} done; about ")
    assert told.summary().endswith(" to go with 2 workers")


def test_a_finished_plan_says_so(plan):
    made = plan()
    told = describe(made, done=set(made.stages))
    assert told.wall_seconds == 0
    assert told.runs_done == told.runs
    assert told.summary().endswith("nothing to do")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (89, "89 s"), (90, "2 min"), (7_140, "119 min"), (12_000, "3 h 20 min")]
)
def test_seconds_as_text(seconds, text):
    assert format_seconds(seconds) == text
