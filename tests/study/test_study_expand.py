"""Arms, runs and the graph of stages."""

import pytest

from harness.study import StudyError, load_study, plan_study
from harness.study.arms import merge
from harness.study.schema import ArmSettings


def arms_of(plan, *entries):
    text = ", ".join(entries)
    return {arm.name: arm for arm in plan(f"arms=[{text}]", "contrasts=[]").arms}


def test_names_are_the_levels_without_later_defaults(plan):
    assert [arm.name for arm in plan().arms] == ["base", "base+sft", "base+grpo+lora", "instruct+grpo"]
    assert plan().arms[3].levels == {"start": "instruct", "training": "grpo", "tuned": "full"}


def test_a_product_with_include_exclude_a_fixed_level_and_set(plan):
    product = "{product: [start, training], exclude: [{start: instruct, training: sft}]}"
    assert list(arms_of(plan, product)) == ["base", "base+sft", "base+grpo", "instruct", "instruct+grpo"]
    product = "{product: all, include: [{training: [sft, grpo], start: base}], exclude: [{tuned: lora, training: sft}]}"
    assert list(arms_of(plan, product)) == ["base+sft", "base+grpo", "base+grpo+lora"]
    product = "{product: [training], tuned: lora, set: {sft: {steps: 7}}, exclude: [{training: none}]}"
    arms = arms_of(plan, product)
    assert list(arms) == ["base+sft+lora", "base+grpo+lora"]
    assert all(arm.settings.sft.steps == 7 for arm in arms.values())


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("{product: [start, trainin]}", "arms.0.product.1: unknown factor 'trainin'; did you mean 'training'?"),
        ("{product: [start, start]}", "arms.0.product.1: 'start' is in this entry already"),
        ("{product: [start], start: base}", "'start' is in this entry already"),
        ("{product: some}", "should be all, or a list of factors out of start, training, tuned"),
        ("{product: all, name: x}", "arms.0.name: unknown factor or key 'name'"),
        ("{product: all, exclude: [{training: stf}]}", "arms.0.exclude.0.training: unknown level of training"),
        ("{product: all, exclude: [{trainin: sft}]}", "arms.0.exclude.0.trainin: unknown factor"),
        ("{product: [start], exclude: [{training: sft}]}", "matches no combination"),
        ("{product: [start], exclude: [{training: none}]}", "no combination is left"),
        ("{product: all, include: {training: sft}}", "arms.0.include: "),
    ],
)
def test_a_wrong_product_is_refused(plan, entry, says):
    with pytest.raises(StudyError) as caught:
        arms_of(plan, entry)
    assert says in str(caught.value)


def test_settings_come_from_the_study_then_levels_then_the_arm(plan):
    overrides = [
        "grpo.learning_rate=1e-4",
        "grpo.top_k=5",
        "factors.tuned={full: {}, lora: {grpo: {learning_rate: 1e-3, beta: 0.5}}}",
        "arms.2.set={grpo: {beta: 0.25}}",
    ]
    arms = {arm.name: arm.settings.grpo for arm in plan(*overrides).arms}
    lora, full = arms["base+grpo+lora"], arms["instruct+grpo"]
    assert (lora.learning_rate, lora.beta, lora.top_k) == (1e-3, 0.25, 5)
    assert (full.learning_rate, full.beta, full.top_k) == (1e-4, 0.0, 5)


def test_a_level_may_set_another_value_than_its_name(plan):
    new = plan(
        "factors.start.warm={start: instruct, protocols: [direct], grpo: {beta: 0.1}}",
        "arms.3.start=warm",
        "contrasts=[]",
    )
    assert new.arms[3].levels["start"] == "warm"
    assert new.arms[3].settings.start == "instruct"


def test_merge_replaces_reward_weights_and_lists_as_a_whole():
    base = {"protocols": ["a", "b"], "grpo": {"rewards": {"accuracy": 1.0, "format": 1.0}, "steps": 3}}
    merged = merge(ArmSettings, base, {"protocols": ["c"], "grpo": {"rewards": {"accuracy": 2.0}}})
    assert merged == {"protocols": ["c"], "grpo": {"rewards": {"accuracy": 2.0}, "steps": 3}}
    assert base["grpo"] == {"rewards": {"accuracy": 1.0, "format": 1.0}, "steps": 3}


def test_an_arm_without_protocols_is_refused(plan):
    with pytest.raises(
        StudyError, match=r"'base' has no protocols; set it in a level or here\. Allowed: think, direct"
    ):
        plan("factors.start.base={}")


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ("{start: base, training: sft, name: again}", "no setting differs"),
        ("{start: base, training: sft, set: {grpo: {steps: 5}}, name: again}", "no effect here: grpo.steps"),
        ("{start: base, training: sft, set: {lora: {rank: 5}}, name: again}", "no effect here: lora.rank"),
        ("{start: base, training: sft, set: {sft: {checkpoint_every: 5}}, name: again}", "sft.checkpoint_every"),
    ],
)
def test_equal_arms_are_refused_with_both_shown(write, second, why):
    file = write(("training: sft}\n", f"training: sft}}\n  - {second}\n"))
    with pytest.raises(StudyError) as caught:
        load_study(file)
    first, other = str(caught.value).splitlines()
    assert first.startswith(f"{file}:23: arms.1: ")
    assert "'base+sft' (start: base, training: sft, tuned: full) and 'again' (start: base" in first
    assert why in first
    assert other.startswith(f"{file}:24: arms.2: ")


def test_lora_without_training_is_the_same_arm(plan):
    with pytest.raises(StudyError, match=r"'base'.* and 'base\+lora'.*no effect here: tuned"):
        plan("arms=[{start: base}, {start: base, tuned: lora}]", "contrasts=[]")


def test_one_name_for_two_arms_is_refused_with_both_lines(write):
    file = write(("training: sft}\n", "training: sft}\n  - {training: sft, set: {sft: {steps: 5}}}\n"))
    with pytest.raises(StudyError) as caught:
        load_study(file)
    first, other = str(caught.value).splitlines()
    assert first.startswith(f"{file}:23: arms.1: two arms are called 'base+sft'")
    assert other.startswith(f"{file}:24: arms.2: ")


def test_runs_are_arms_times_seeds_but_one_without_randomness(plan):
    assert [run.id for run in plan().runs] == [
        "base",
        "base+sft/seed=0",
        "base+sft/seed=1",
        "base+grpo+lora/seed=0",
        "base+grpo+lora/seed=1",
        "instruct+grpo/seed=0",
        "instruct+grpo/seed=1",
    ]
    base = plan().runs[0]
    assert (base.seed, base.train, base.final_step) == (None, None, 0)


def test_stages_hold_exactly_what_was_agreed(plan):
    made = plan("grpo.checkpoint_every=100", "world.test_questions=500")
    world = next(each for each in made.stages.values() if each.kind == "world")
    assert world.settings == {"train_questions": 16_000, "test_questions": 500}
    assert world.inputs == {}
    run = next(run for run in made.runs if run.id == "base+grpo+lora/seed=1")
    assert run.train
    train = made.stages[run.train]
    assert train.settings["seed"] == 1
    assert train.settings["tuning"] == {
        "kind": "lora",
        "rank": 16,
        "alpha": 32.0,
        "dropout": 0.0,
        "modules": ["language"],
        "layers": ["attention", "mlp"],
    }
    assert "checkpoint_every" not in train.settings
    assert train.cosmetic == {"checkpoints": [100, 200, 300], "resume_every": 100}
    assert train.inputs == {"model": run.start, "data": world.id}
    final, start, curve = run.evaluations
    assert [each.phase for each in run.evaluations] == ["final", "curve", "curve"]
    assert {each.protocol for each in run.evaluations} == {"think"}
    asked = [(made.stages[each.stage].inputs["model"], each.step_offset) for each in run.evaluations]
    assert asked == [(run.train, 0), (run.start, 3_300), (run.train, 0)]
    settings = [made.stages[each.stage].settings for each in (final, start, curve)]
    assert [(each["questions"], each["steps"]) for each in settings] == [
        (500, [300]),
        (200, [3_300]),
        (200, [100, 200]),
    ]
    assert made.stages[final.stage].inputs["data"] == world.id


def test_the_instruct_stage_has_its_own_seed_and_one_checkpoint(plan):
    (stage,) = (each for each in plan("models.instruct.instruct.seed=7").stages.values() if each.kind == "instruct")
    assert stage.settings["seed"] == 7
    assert stage.settings["tuning"] == {"kind": "full"}
    assert "of" not in stage.settings
    assert stage.cosmetic == {"checkpoints": [300], "resume_every": 100}


def test_an_untrained_arm_is_step_zero_and_has_no_curve(plan):
    base = plan().runs[0]
    assert [(each.phase, each.step_offset) for each in base.evaluations] == [("final", 3_300)]


def test_the_curve_can_be_left_out_and_never_asks_more_than_there_is(plan):
    assert all(each.phase == "final" for run in plan("curve.questions=0").runs for each in run.evaluations)
    asked = {
        each.settings["questions"]
        for each in plan("world.test_questions=50").stages.values()
        if each.kind == "evaluate"
    }
    assert asked == {50}
    few = plan("grpo.checkpoint_every=999")
    run = next(run for run in few.runs if run.arm == "instruct+grpo")
    assert [each.phase for each in run.evaluations] == ["final", "curve"]


def test_the_start_of_the_curve_is_one_stage_for_all_seeds(plan):
    made = plan()
    runs = [run for run in made.runs if run.arm == "instruct+grpo"]
    starts = {each.stage for run in runs for each in run.evaluations if each.step_offset}
    assert len(starts) == 1
    assert made.users(starts.pop()) == ("instruct+grpo/seed=0", "instruct+grpo/seed=1")


def test_inputs_come_first_and_runs_know_all_their_stages(plan):
    made = plan()
    order = list(made.stages)
    for stage_id, stage in made.stages.items():
        assert stage.id == stage_id
        assert all(order.index(each) < order.index(stage_id) for each in stage.inputs.values())
    for run in made.runs:
        assert list(run.stages) == sorted(run.stages, key=order.index)
        needed = {each for stage in run.stages for each in made.stages[stage].inputs.values()}
        assert needed | {run.start, *(each.stage for each in run.evaluations)} <= set(run.stages)
    assert {each for run in made.runs for each in run.stages} == set(order)


def test_equal_stages_with_other_checkpoints_are_one_that_keeps_all(plan):
    """Arms of other protocols may share their training."""
    arms = (
        "arms=[{start: base, training: sft, set: {sft: {checkpoint_every: 150}}},"
        "{start: base, training: sft, name: b, set: {protocols: [direct], sft: {checkpoint_every: 200}}}]"
    )
    made = plan(arms, "contrasts=[]", "seeds=[0]")
    (stage,) = (each for each in made.stages.values() if each.kind == "sft")
    assert stage.cosmetic == {"checkpoints": [150, 200, 300], "resume_every": 100}


def test_contrasts_are_filled_in(plan):
    (contrast,) = plan("scoring=[strict, lenient]").contrasts
    assert contrast.a.model_dump() == {"arm": "base+sft", "protocol": "think", "rule": "strict", "step": None}
    assert contrast.b.model_dump() == {"arm": "instruct+grpo", "protocol": "direct", "rule": "strict", "step": None}
    side = "contrasts.0.b={arm: base, protocol: think, rule: lenient}"
    assert plan(side).contrasts[0].b.model_dump() == {
        "arm": "base",
        "protocol": "think",
        "rule": "lenient",
        "step": None,
    }


def test_contrasts_with_one_name_are_refused(write):
    again = "\n  - {name: first, question: Q, a: base, b: base+sft}\n"
    with pytest.raises(StudyError, match=r"mini\.yaml:31: contrasts\.1\.name: two contrasts are called 'first'"):
        load_study(write(("    b: instruct+grpo\n", f"    b: instruct+grpo{again}")))


def test_a_study_built_in_code_is_checked_as_well(write):
    study = load_study(write())
    broken = study.model_copy(update={"arms": [{"start": "bse"}]})
    with pytest.raises(StudyError, match=r"^arms\.0\.start: unknown level of start 'bse'"):
        plan_study(broken)
