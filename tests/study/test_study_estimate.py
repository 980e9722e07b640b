"""Estimates, the simulated schedule, and the plan as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.study import Measured, Stage, describe, estimate_seconds, format_seconds, wall_seconds
from harness.study.description import format_hours
from harness.study.estimate import Assumed, assume, estimate
from harness.study.stage import REVISIONS

REAL_DATA = (
    "world=null",
    "data={train: {hub: {id: a/b, files: [c]}, first_rows: 1000}, test: {hub: {id: a/c, files: [d]}}}",
)
REAL = (*REAL_DATA, "models.base={hub: {id: Qwen/Qwen2-VL-2B}}")
TINY = (*REAL_DATA, "models.base={tiny: {}}")


def assumed_seconds(stage: Stage) -> float:
    """Of a stage on a CPU."""
    assumed = assume(stage, {})
    assert assumed.low == assumed.high == assumed.typical
    return assumed.typical


@pytest.mark.parametrize("overrides", [(), REAL, TINY], ids=["micro", "real", "tiny"])
def test_every_stage_has_an_assumed_time(plan, overrides):
    stages = plan(*overrides).stages
    assert all(assume(stage, stages).typical > 0 for stage in stages.values())
    assert all(each.seconds > 0 for each in estimate(plan(*overrides)).values())


def test_every_kind_is_among_those_stages(plan):
    kinds = {stage.kind for overrides in ((), REAL, TINY) for stage in plan(*overrides).stages.values()}
    assert kinds == set(REVISIONS)


def test_gpu_time_of_grpo_by_hand(plan):
    compute = "grpo.compute={processes: 2, precision: bfloat16, gradient_checkpointing: true}"
    limits = ("grpo.max_new_tokens=128", "grpo.images.max_pixels=401408", "grpo.beta=0.1", "grpo.steps=10")
    made = plan(*REAL, compute, *limits)
    stage = next(stage for stage in made.stages.values() if stage.kind == "grpo")
    rollouts = 64  # 8 prompts x 8
    image = 2 * 631_183_360 * 2048 + 4 * 2048**2 * 1280 * 32 + 2 * 34_087_936 * 512  # 2,048 patches, 512 tokens
    token = 2 * (1_543_714_304 - 1536)  # all but the last norm
    prompt = image + token * (512 + 100)
    passed = rollouts * (prompt + (4 + 1) * (prompt + token * 128))  # backward 2, checkpoints 1, reference 1
    decoded = rollouts * token * 128
    peak = 989e12 * 2
    low = 10 * (passed / (0.40 * peak) + decoded / (0.02 * peak))
    high = 10 * (passed / (0.05 * peak) + decoded / (0.001 * peak))
    found = assume(stage, made.stages)
    assert (found.low, found.high, found.gpus) == (pytest.approx(low), pytest.approx(high), 2)
    told = estimate(made)[stage.id]
    assert told.gpu_hours == (pytest.approx(low * 2 / 3600), pytest.approx(high * 2 / 3600))
    assert told.low < told.seconds < told.high
    assert not told.measured


def test_gpu_time_of_an_evaluation_by_hand(plan):
    options = "protocols.direct={prompt: micro-instruct-direct, method: options, dtype: bfloat16}"
    made = plan(*REAL, "protocols.think.max_new_tokens=50", "protocols.think.dtype=bfloat16", options)
    token, questions = 2 * (1_543_714_304 - 1536), 2638
    tokens = 500_000 / 784  # of an image of assumed size
    image = 2 * 631_183_360 * 4 * tokens + 4 * (4 * tokens) ** 2 * 1280 * 32 + 2 * 34_087_936 * tokens
    prompt = image + token * (tokens + 100)
    for method, passed, decoded in (("generate", prompt, 50 * token), ("options", 3 * prompt, 0)):
        stage = next(
            stage
            for stage in made.stages.values()
            if stage.kind == "evaluate" and stage.settings["method"] == method and stage.settings["questions"] is None
        )
        found = assume(stage, made.stages)
        assert found.low == pytest.approx(questions * (passed / 0.40 + decoded / 0.02) / 989e12)
        assert found.high == pytest.approx(questions * (passed / 0.05 + decoded / 0.001) / 989e12)
        assert found.gpus == 1


def test_a_short_trial_on_gpus_makes_the_range_a_measured_number(plan):
    trial, made = plan(*REAL, "grpo.steps=4"), plan(*REAL)
    timed = [Measured(stage, 40.0 if stage.kind == "grpo" else 1.0) for stage in trial.stages.values()]
    grpo = next(stage_id for stage_id, stage in made.stages.items() if stage.kind == "grpo")
    lora = next(stage for stage in trial.stages.values() if stage.kind == "grpo")
    assert lora.id != grpo
    told = estimate(made, timed)[grpo]
    assert told.measured
    assert told.low == told.high == told.seconds == pytest.approx(40.0 / 4 * 300)


def test_a_time_measured_on_a_cpu_says_nothing_of_gpus(plan):
    micro = plan()
    timed = [Measured(stage, 1e6) for stage in micro.stages.values()]
    real = plan(*REAL)
    grpo = next(stage_id for stage_id, stage in real.stages.items() if stage.kind == "grpo")
    assert estimate(real, timed)[grpo] == estimate(real)[grpo]


def test_the_middle_of_a_range_is_its_geometric_mean():
    assert Assumed(low=2.0, high=8.0, units=4).typical == 4.0


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
    assert rows["grpo"].gpu_hours == (0, 0)
    assert told.costs()[0].startswith("disk: ")
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


def test_the_costs_of_a_study_on_gpus_are_told(plan):
    told = describe(plan(*REAL, "models.instruct={hub: {id: some/model}}"))
    low, high = told.gpu_hours
    assert 0 < low < high
    assert sum(row.gpu_hours[1] for row in told.kinds) == pytest.approx(high)
    hours, guessed, disk = told.costs()
    assert hours.endswith("GPU-hours to go (unmeasured: from operations and what GPUs reach of their peak)")
    assert guessed == "the shape of model some/model is not known; it is counted as Qwen2-VL-2B"
    assert disk.startswith("disk: ")
    assert not told.measured


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(12.3, 40.2, "12 to 40"), (0.21, 0.22, "0.21 to 0.22"), (3.0, 3.01, "3"), (900, 1200, "900 to 1,200")],
)
def test_hours_as_text(low, high, text):
    assert format_hours(low, high) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (89, "89 s"), (90, "2 min"), (7_140, "119 min"), (12_000, "3 h 20 min")]
)
def test_seconds_as_text(seconds, text):
    assert format_seconds(seconds) == text
