"""Shapes of models, and the disk that a study takes, by literal arithmetic."""

from pathlib import Path

import pytest

from harness.study.disk import disk_use, format_bytes
from harness.study.shapes import QWEN2_VL_2B, SHAPES, micro_shape
from harness.study.sources import PretrainSettings

REAL = (
    "world=null",
    "data={train: {hub: {id: a/b, files: [c]}, first_rows: 1000}, test: {hub: {id: a/c, files: [d]}}}",
    "models.base={hub: {id: Qwen/Qwen2-VL-2B}}",
)
WEIGHTS = 2_208_985_600


@pytest.mark.parametrize(("name", "parameters"), [("Qwen/Qwen2-VL-2B", WEIGHTS), ("Qwen/Qwen2-VL-7B", 8_291_375_616)])
def test_known_shapes_have_the_published_number_of_parameters(name, parameters):
    assert SHAPES[name].parameters == SHAPES[f"{name}-Instruct"].parameters == parameters


def test_parts_and_what_each_tuning_changes():
    shape = QWEN2_VL_2B
    language, vision, merger = 1_543_714_304, 631_183_360, 34_087_936
    assert (shape.language, shape.vision, shape.merger) == (language, vision, merger)
    found = {
        kind: shape.trained({"kind": kind})
        for kind in ("full", "vision-frozen", "tower-frozen", "language-frozen", "merger-only")
    }
    assert found == {
        "full": language + vision + merger,
        "vision-frozen": language,
        "tower-frozen": language + merger,
        "language-frozen": vision + merger,
        "merger-only": merger,
    }


def test_adapters_are_rank_times_inputs_and_outputs_of_every_layer():
    def adapters(*modules, layers=("attention", "mlp"), rank=16):
        return QWEN2_VL_2B.trained({"kind": "lora", "rank": rank, "modules": modules, "layers": layers})

    attention = (1536 + 1536) + 2 * (1536 + 256) + (1536 + 1536)
    mlp = 3 * (1536 + 8960)
    assert adapters("language") == 16 * 28 * (attention + mlp)
    assert adapters("language", layers=["attention"], rank=8) == 8 * 28 * attention
    assert adapters("vision") == 16 * 32 * ((1280 + 3840) + (1280 + 1280) + 2 * (1280 + 5120))
    assert adapters("merger") == 16 * ((5120 + 5120) + (5120 + 1536))
    assert adapters("merger", layers=["attention"]) == 0


def test_the_miniature_model_is_as_large_as_the_shipped_one():
    folder = Path(__file__).parents[2] / "harness" / "models" / "micro_base" / "checkpoints" / "step-003300"
    size = (folder / "model.safetensors").stat().st_size
    assert micro_shape(PretrainSettings().model_dump()).parameters * 4 == pytest.approx(size, rel=0.1)


def test_disk_of_a_real_training_by_hand(plan):
    sharded = "grpo.compute={precision: bfloat16, deepspeed: {stage: 2}}"
    made = plan(*REAL, sharded, "arms.2={start: base, training: grpo}", "retention.checkpoints=last", "grpo.steps=300")
    stage_id = next(each for each, stage in made.stages.items() if stage.kind == "grpo")
    rollouts = 300 * 64 * 28 * 5  # 28 tokens, 5 bytes each
    use = disk_use(made)[stage_id]
    assert use.outputs == 6 * WEIGHTS * 2 + rollouts  # a checkpoint every 50 steps
    assert use.kept == WEIGHTS * 2 + rollouts
    assert use.resume == WEIGHTS * (2 + 12)  # weights; two moments and a copy of the weights in float32
    assert stage_id not in disk_use(made, done=[stage_id])


def test_adapters_alone_are_kept_of_lora(plan):
    made = plan(*REAL, "retention.checkpoints=none")
    stage_id = next(each for each, stage in made.stages.items() if stage.kind == "grpo")  # the arm with LoRA
    adapters = 16 * 28 * ((1536 + 1536) + 2 * (1536 + 256) + (1536 + 1536) + 3 * (1536 + 8960))
    rollouts = 300 * 64 * 28 * 5
    use = disk_use(made)[stage_id]
    assert (use.outputs, use.kept) == (6 * adapters * 4 + rollouts, rollouts)
    assert use.resume == adapters * (4 + 8)


def test_everything_but_a_real_model_takes_disk(plan):
    for overrides in ((), REAL, (*REAL, "models.base={tiny: {}}")):
        made = plan(*overrides)
        use = disk_use(made)
        assert {made.stages[each].kind for each in use if use[each].outputs == 0} <= {"model"}


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (4.42e9, "4.4 GB"), (66e9, "66 GB"), (1.66e12, "1.7 TB")],
)
def test_bytes_as_text(number, text):
    assert format_bytes(number) == text
