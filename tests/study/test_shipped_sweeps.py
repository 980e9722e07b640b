"""The shipped sweeps: they load and plan, hold the paper's values, and share the stages of equal arms."""

from functools import cache
from pathlib import Path

import pytest

from harness.study import Plan, Run, Side, load_study, plan_study
from harness.study.resources import load_site

SWEEPS = Path(__file__).parents[2] / "sweeps"
PAPER = ("paper", "instruct", "freeze", "length", "lora", "controls", "protocols")


@cache
def plan_of(name: str) -> Plan:
    return plan_study(load_study(SWEEPS / f"{name}.yaml"))


def run_of(name: str, arm: str) -> Run:
    return next(run for run in plan_of(name).runs if run.arm == arm)


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_sweep_loads_and_plans_under_its_own_name(path):
    plan = plan_study(load_study(path))
    assert plan.study.study == path.stem
    assert plan.contrasts


@pytest.mark.parametrize("path", sorted(SWEEPS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_contrasts_of_a_shipped_sweep_have_a_family_and_seeds_that_are_planned(path):
    plan = plan_study(load_study(path))
    assert [contrast.name for contrast in plan.contrasts if contrast.family is None] == []
    trained = {arm.name for arm in plan.arms if arm.has_seeds}
    for contrast in plan.contrasts:
        if contrast.metric == "accuracy" and any(side.arm in trained for side in contrast.sides.values()):
            assert contrast.seed_sd == plan.study.power.seed_sd
            assert contrast.seed_sd is not None
    margins = {contrast.name: contrast.margin for contrast in plan.contrasts}
    equal = [claim for claim in plan.claims if claim.direction == "equal" and claim.contrast]
    assert all(margins[claim.contrast or ""] for claim in equal)


def test_the_interactions_of_the_shipped_sweeps():
    found = {path.stem: set[str]() for path in SWEEPS.glob("*.yaml")}
    for name, interactions in found.items():
        for contrast in plan_of(name).contrasts:
            if contrast.minus is not None:
                interactions.add(contrast.name)
                assert contrast.family in {other.family for other in plan_of(name).contrasts if other.minus is None}
    assert found == {
        "micro": {"grpo-by-start"},
        "paper": {"grpo-beyond-ability"},
        "instruct": {"instruct-grpo-beyond-ability", "gain-by-thinking"},
        "freeze": {"tower-by-language"},
        "controls": {"start-by-limits"},
        "protocols": {"prompt-by-start"},
        "length": set(),
        "lora": set(),
        "micro-lora": set(),
        "micro-replication": set(),
    }


def test_the_sweeps_of_the_paper_are_there():
    assert set(PAPER) <= {path.stem for path in SWEEPS.glob("*.yaml")}


@pytest.mark.parametrize("name", PAPER)
def test_a_sweep_of_the_paper_has_five_seeds_its_data_and_its_models(name):
    study = plan_of(name).study
    assert study.seeds == [0, 1, 2, 3, 4]
    assert study.scoring == ["authors", "strict", "lenient"]
    assert study.data is not None
    train, test = study.data.train, study.data.test
    assert (train.hub.id, train.hub.files, train.first_rows) == ("array/SAT", ["SAT_train.parquet"], 15_000)
    assert (test.hub.id, test.hub.files) == ("nyu-visionx/CV-Bench", ["test_2d.parquet", "test_3d.parquet"])
    assert test.hub.revision == "bc284db50d036958861cb60cdd7b77612052ce0d"
    models = {key: model.hub for key, model in study.models.items()}
    assert set(models) <= {"base", "instruct"}
    if "base" in models:
        assert models["base"].id == "Qwen/Qwen2-VL-2B"
    if "instruct" in models:
        found = models["instruct"]
        assert found.id == "Qwen/Qwen2-VL-2B-Instruct"
        assert found.revision == "895c3a49bc3fa70a340399125c650a463535e71c"


def test_grpo_on_the_base_model_has_the_papers_values():
    settings = run_of("paper", "base+grpo").settings
    grpo = settings.grpo
    assert settings.tuned == "full"
    assert (grpo.learning_rate, grpo.schedule, grpo.warmup_steps) == (1e-6, "linear", 0)
    assert (grpo.steps, grpo.decay_steps) == (1500, 3750)  # reported steps; two epochs of 15,000 at 8 a step
    assert grpo.decay_steps == 2 * 15_000 // grpo.prompts_per_step
    assert (grpo.adam_beta1, grpo.adam_beta2, grpo.weight_decay, grpo.max_grad_norm) == (0.9, 0.999, 0.0, 1.0)
    assert (grpo.beta, grpo.epsilon, grpo.loss, grpo.scale_rewards) == (0.04, 0.2, "grpo", "group")
    assert (grpo.completions_per_prompt, grpo.prompts_per_step) == (8, 8)
    assert (grpo.temperature, grpo.top_k, grpo.top_p, grpo.max_new_tokens) == (1.0, 50, 1.0, 700)
    assert (grpo.optimizer_steps_per_generation, grpo.iterations, grpo.mask_truncated) == (1, 1, False)
    assert (grpo.images.max_pixels, grpo.literal_image) == (401_408, True)
    assert {name: term.weight for name, term in grpo.terms().items()} == {"accuracy_authors": 1.0, "format": 1.0}
    assert (grpo.compute.processes, grpo.compute.accumulation) == (4, 2)
    assert (grpo.compute.precision, grpo.compute.attention) == ("bfloat16", "flash_attention_2")
    assert grpo.compute.gradient_checkpointing
    assert grpo.compute.deepspeed is not None
    assert grpo.compute.deepspeed.stage == 2
    assert grpo.vllm is None
    assert grpo.prompt == "paper-base-think"
    assert run_of("instruct", "instruct+grpo").settings.grpo == grpo.model_copy(
        update={"prompt": "paper-instruct-think"}
    )


def test_sft_has_the_papers_values():
    sft = run_of("paper", "base+sft").settings.sft
    assert (sft.learning_rate, sft.schedule, sft.warmup_steps) == (2e-5, "linear", 0)
    assert (sft.steps, sft.batch_size, sft.decay_steps) == (2 * 15_000 // 8, 8, None)
    assert (sft.adam_beta1, sft.adam_beta2, sft.weight_decay, sft.max_grad_norm) == (0.9, 0.999, 0.0, 1.0)
    assert (sft.max_length, sft.loss_on, sft.images.max_pixels) == (1024, "all", 401_408)
    assert [(each.prompt, each.reply) for each in sft.lessons] == [("paper-instruct-plain", "{answer}")]


@pytest.mark.parametrize(
    ("protocol", "prompt", "side", "pixels", "literal"),
    [
        ("published-base-plain", "paper-base-plain", "right", 12_845_056, True),
        ("published-base-think", "paper-base-think", "right", 401_408, True),
        ("published-instruct-plain", "paper-instruct-plain", "left", 12_845_056, False),
        ("published-instruct-think", "paper-instruct-think-eval", "left", 401_408, False),
        ("published-sft", "paper-instruct-plain", "left", 401_408, False),
    ],
)
def test_evaluation_as_published(protocol, prompt, side, pixels, literal):
    found = [plan_of(name).study.protocols.get(protocol) for name in PAPER]
    assert any(found)
    for each in filter(None, found):
        assert (each.prompt, each.padding_side, each.images.max_pixels) == (prompt, side, pixels)
        assert each.literal_image == literal
        assert (each.method, each.max_new_tokens, each.batch_size, each.batches) == ("generate", 1024, 8, "file")
        assert each.dtype == "bfloat16"


def test_evaluation_as_it_should_be_is_the_same_for_every_model():
    for name in PAPER:
        arms = [arm.settings.protocols for arm in plan_of(name).arms]
        for protocol in {arm[0] for arm in arms}:
            each = plan_of(name).study.protocols[protocol]
            same = {"prompt": "paper-base-plain", "method": "generate", "option_form": "text"}
            expected = {**same, "max_new_tokens": 1024, "batch_size": 32, "batches": "length", "padding_side": "left"}
            expected |= {"dtype": "bfloat16", "attention": "sdpa", "literal_image": False}
            images = {"backend": "pil", "min_pixels": None, "max_pixels": 401_408}
            assert each.model_dump() == expected | {"prompt": each.prompt, "images": images}


@pytest.mark.parametrize(
    ("arm", "sweeps"),
    [
        ("base", ("paper", "lora", "controls")),
        ("base+sft", ("paper", "controls")),
        ("base+grpo", ("paper", "instruct", "lora", "controls")),
        ("instruct+grpo", ("instruct", "freeze", "length", "controls")),
        ("instruct+grpo+no-think", ("instruct", "controls")),
    ],
)
def test_equal_arms_of_different_sweeps_are_equal_stages(arm, sweeps):
    assert len({frozenset(run_of(name, arm).stages) for name in sweeps}) == 1


def test_one_protocol_name_means_one_protocol_everywhere():
    found: dict[str, set[str]] = {}
    for name in PAPER:
        for protocol, settings in plan_of(name).study.protocols.items():
            found.setdefault(protocol, set()).add(settings.model_dump_json())
    assert [name for name, texts in found.items() if len(texts) > 1] == []


def test_arms_that_test_what_the_paper_hid():
    def grpo(name, arm):
        return run_of(name, arm).settings.grpo

    full = grpo("controls", "base+grpo")
    small = grpo("controls", "base+grpo+small-limits")
    assert (small.max_new_tokens, small.images.max_pixels) == (128, 156_800)
    instruct = grpo("controls", "instruct+grpo+small-limits")
    assert (instruct.max_new_tokens, instruct.images.max_pixels) == (128, 156_800)
    assert grpo("controls", "base+grpo+short") == full.model_copy(update={"max_new_tokens": 128})
    assert set(grpo("controls", "base+grpo+format-only").rewards) == {"format"}
    assert set(grpo("controls", "base+grpo+random").rewards) == {"random"}
    dr = grpo("controls", "base+grpo+dr-grpo")
    assert (dr.loss, dr.scale_rewards) == ("dr_grpo", "none")
    sft = run_of("controls", "base+sft+matched-samples").settings.sft
    assert sft.steps * sft.batch_size == full.steps * full.prompts_per_step == 12_000
    assert {arm.settings.tuned for arm in plan_of("freeze").arms} == {
        *("full", "vision-frozen", "tower-frozen", "language-frozen", "merger-only")
    }
    uncapped, capped = (grpo("length", f"instruct+grpo+{each}").terms()["length"] for each in ("uncapped", "capped"))
    assert (uncapped.weight * uncapped.per_token, uncapped.cap) == (0.001, None)
    assert (capped.per_token, capped.cap) == (0.001, 300)
    assert all(run.train is None for run in plan_of("protocols").runs)
    assert {each.prompt for each in plan_of("protocols").study.protocols.values()} == {
        *("paper-base-think", "paper-base-plain", "paper-instruct-think", "paper-instruct-think-eval"),
        *("paper-instruct-plain", "instruct-no-think"),
    }


def test_every_hypothesis_has_its_claim_with_the_printed_figure():
    claims = {claim.name: claim for name in PAPER for claim in plan_of(name).study.claims}
    hypotheses = {name.partition("-")[0] for name in claims if name.startswith("H")}
    assert hypotheses == {f"H{number}" for number in range(1, 14)}
    totals = {"base": 31.38, "base+sft": 57.84, "base+grpo": 59.47, "instruct": 55.64}  # tables 3 and 4
    figures = {name: claim.figure for name, claim in claims.items() if claim.figure is not None}
    assert figures == {
        "H1": pytest.approx(totals["base+grpo"] - totals["base"]),
        "H2": pytest.approx(totals["base+grpo"] - totals["base+sft"]),
        "H3": pytest.approx(totals["base+grpo"] - totals["instruct"]),
        "H4": pytest.approx(62.32 - 35.80, abs=0.05),  # VSR
        "H8-accuracy": pytest.approx(66.03 - totals["instruct"]),
        # printed scores of instruct+grpo, the arm that really ran
        "H8-score": 66.03,
        "H9-vision-as-published": 68.34,
        "H9-language-as-published": 65.35,
        "H9-full-as-published": 63.57,
        "H11-trained": pytest.approx(76.76 - 70.36),
        "issue-13": pytest.approx(61.6 - totals["instruct"]),
    }
    untestable = {name for name, claim in claims.items() if claim.untestable}
    assert untestable == {"H4", "H13"}
    ran = {name: claim.ran for name, claim in claims.items() if claim.ran}
    assert set(ran) == {"H8-score", "H9-vision-as-published", "H9-language-as-published", "H9-full-as-published"}
    as_published = Side(arm="instruct+grpo", protocol="published-instruct-think", rule="authors")
    assert all(side == as_published for side in ran.values())


@pytest.mark.parametrize("path", sorted((SWEEPS / "sites").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_site_file_loads(path: Path) -> None:
    assert load_site(path).resources["all"].minutes > 0
