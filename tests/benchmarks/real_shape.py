"""Training and evaluation at the paper's settings, with random weights of Qwen2-VL-2B's shape, against `ablate plan`.

``python -m tests.benchmarks.real_shape`` on a GPU runs the real shape in bfloat16; ``--reduced`` runs a model of 9
million parameters with short completions, for machines without one. Random weights never end a reply, so every
completion is as long as it may be: by default as long as `ablate plan` assumes of completions on the average
(``--new-tokens 700`` is the limit of the paper's training). Prints, part by part, seconds, peak memory and manipulation
checks as JSON; of the real shape also the range of seconds that `ablate plan` assumes before anything was measured.
"""

import argparse
import gc
import io
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from transformers import AutoConfig, AutoModelForImageTextToText

from harness.data.files import CVBENCH_SCHEMA, SAT_SCHEMA
from harness.evaluate import stage as evaluate
from harness.models.checkpoint import load_model
from harness.models.processor import ImageTextProcessor, save_processor
from harness.models.tiny import build_tiny_tokenizer
from harness.record.atomic import read_json, write_table
from harness.record.context import StageContext
from harness.record.outputs import TEST_FILE, TRAIN_FILE, checkpoint_folder, read_steps
from harness.study.estimate import COMPLETION_TOKENS, assume
from harness.study.evaluation import ProtocolSettings
from harness.study.stage import Stage
from harness.study.training import GRPOSettings, LoraSettings, SFTSettings
from harness.train import grpo, sft

PARTS = ("sft", "grpo", "grpo+lora", "generate", "options")
SFT_BATCH = 8
MAX_PIXELS = 401_408
REAL = {
    "text": dict(hidden_size=1536, intermediate_size=8960, num_hidden_layers=28, num_attention_heads=12),
    "vision": dict(depth=32, embed_dim=1280, num_heads=16, hidden_size=1536),
    "vocabulary": 151_936,
    "image_side": 640,
    "new_tokens": COMPLETION_TOKENS,
}
REDUCED = {
    "text": dict(hidden_size=256, intermediate_size=1024, num_hidden_layers=6, num_attention_heads=4),
    "vision": dict(depth=6, embed_dim=160, num_heads=4, hidden_size=256),
    "vocabulary": 1_024,
    "image_side": 224,
    "new_tokens": 48,
}


def make_model(folder: Path, shape: dict[str, Any], dtype: torch.dtype) -> int:
    """Write random weights of a shape with a byte-level tokenizer. Returns the number of parameters."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    tokenizer = build_tiny_tokenizer()
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in ("image_pad", "video_pad", "vision_start")}
    head = shape["text"]["hidden_size"] // shape["text"]["num_attention_heads"]
    sections = [head // 2 - 2 * (3 * head // 16), 3 * head // 16, 3 * head // 16]
    config = AutoConfig.for_model(
        "qwen2_vl",
        text_config=dict(
            **shape["text"],
            vocab_size=shape["vocabulary"],
            num_key_value_heads=2,
            rope_parameters=dict(rope_type="default", rope_theta=1e6, mrope_section=sections),
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ),
        vision_config=dict(**shape["vision"], mlp_ratio=4),
        image_token_id=ids["image_pad"],
        video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config, dtype=dtype)
    checkpoint = checkpoint_folder(folder, 0)
    model.save_pretrained(checkpoint)
    images = Qwen2VLImageProcessorPil(size={"shortest_edge": 3136, "longest_edge": 12_845_056}, patch_size=14)
    save_processor(ImageTextProcessor(images, tokenizer), checkpoint)
    return sum(parameter.numel() for parameter in model.parameters())


def make_data(folder: Path, side: int, rows: int, questions: int) -> None:
    """Noise images with one question each, in the real columns."""
    rng = np.random.default_rng(0)

    def picture() -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (side, side, 3), dtype=np.uint8)).save(buffer, "JPEG")
        return buffer.getvalue()

    options = ["the chair", "the lamp"]
    sat = [
        {
            "image_bytes": [picture()],
            "question": f"Which object is closer to the camera, seen from place {row}?",
            "answers": options,
            "question_type": "depth",
            "correct_answer": options[row % 2],
        }
        for row in range(rows)
    ]
    write_table(folder / TRAIN_FILE, pa.Table.from_pylist(sat, SAT_SCHEMA))
    tests = []
    for row in range(questions):
        question = "Which object is closer to the camera?"
        known = {
            "idx": row,
            "type": "3D",
            "task": "Depth",
            "image": {"bytes": picture(), "path": None},
            "question": question,
            "choices": options,
            "answer": "(A)",
            "prompt": f"{question} Select from the following choices.\n(A) the chair\n(B) the lamp",
            "source": "Omni3D",
            "source_filename": f"{row}.jpg",
        }
        tests.append({name: known.get(name) for name in CVBENCH_SCHEMA.names})
    write_table(folder / TEST_FILE, pa.Table.from_pylist(tests, CVBENCH_SCHEMA))


def training(part: str, steps: int, new_tokens: int, on_gpu: bool) -> dict[str, Any]:
    """Settings of a training stage: the paper's, on one GPU. The four processes of one prompt become eight backward
    passes of one."""
    compute = {"accumulation": 8, "precision": "bfloat16" if on_gpu else "float32", "gradient_checkpointing": True}
    common = {
        "steps": steps,
        "learning_rate": 1e-6,
        "schedule": "linear",
        "warmup_steps": 0,
        "adam_beta2": 0.999,
        "images": {"max_pixels": MAX_PIXELS},
        "literal_image": True,
        "compute": compute,
    }
    if part == "sft":
        lesson = {"prompt": "paper-instruct-plain", "reply": "{answer}"}
        taught = common | {"batch_size": SFT_BATCH, "max_length": 2048, "lessons": [lesson]}
        return SFTSettings.model_validate(taught).identity() | {"seed": 0, "tuning": {"kind": "full"}}
    recipe = common | {
        "decay_steps": 3750,
        "prompt": "paper-base-think",
        "max_new_tokens": new_tokens,
        "top_k": 50,
        "beta": 0.04,
        "loss": "grpo",
        # random weights earn nothing, and without any reward nothing would move
        "rewards": {"accuracy_authors": 1.0, "format": 1.0, "random": {"weight": 0.1, "probability": None}},
    }
    adapters = LoraSettings().identity() | {"kind": "lora"}
    tuning = adapters if part == "grpo+lora" else {"kind": "full"}
    return GRPOSettings.model_validate(recipe).identity() | {"seed": 0, "tuning": tuning}


def asking(part: str, questions: int, new_tokens: int, on_gpu: bool) -> dict[str, Any]:
    """Settings of an evaluation stage with sweeps/paper.yaml's batches."""
    protocol = {
        "prompt": "paper-base-think" if part == "generate" else "paper-base-plain",
        "method": part,
        "max_new_tokens": new_tokens,
        "batch_size": 32,
        "dtype": "bfloat16" if on_gpu else "float32",
        "images": {"max_pixels": MAX_PIXELS},
    }
    return ProtocolSettings.model_validate(protocol).identity() | {"questions": questions, "steps": [0]}


def measure(part: str, folder: Path, inputs: dict[str, Path], settings: dict[str, Any]) -> dict[str, Any]:
    """Run one stage. Returns its seconds and peak memory, and of a training its steps and checks."""
    folder.mkdir()
    started = time.perf_counter()
    if part in ("generate", "options"):
        load_model(checkpoint_folder(inputs["model"], 0), dtype=getattr(torch, settings["dtype"])).to(device())
        loading = time.perf_counter() - started
        started = time.perf_counter()
        evaluate.run(StageContext(folder, settings, {}, inputs))
        seconds = time.perf_counter() - started - loading
        found = {
            "seconds_loading": loading,
            "seconds": seconds,
            "questions_per_second": settings["questions"] / seconds,
        }
    else:
        stage = sft if part == "sft" else grpo
        stage.run(StageContext(folder, settings, {"checkpoints": [settings["steps"]]}, inputs))
        found = {
            "seconds_by_step": [round(row["seconds"], 2) for row in read_steps(folder / "metrics")],
            "seconds_in_all": time.perf_counter() - started,
            "checks": {name: each["detail"] for name, each in (read_json(folder / "checks.json") or {}).items()},
        }
        found["seconds"] = statistics.median(found["seconds_by_step"]) * settings["steps"]  # the first one warms up
        if part != "sft":
            found["rollout_tokens"] = sum(row["tokens"] for row in read_steps(folder / "rollouts"))
    return {name: round(each, 2) if isinstance(each, float) else each for name, each in found.items()} | peak_memory()


def assumed(part: str, settings: dict[str, Any]) -> list[float]:
    """Seconds from and to, as `ablate plan` assumes of a stage with these settings."""
    leaf = Stage("model", {"hub": {"id": "Qwen/Qwen2-VL-2B"}})
    kind = {"sft": "sft", "grpo": "grpo", "grpo+lora": "grpo"}.get(part, "evaluate")
    found = assume(Stage(kind, settings, {"model": leaf.id}), {leaf.id: leaf})
    return [round(found.low, 1), round(found.high, 1)]


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def peak_memory() -> dict[str, float]:
    found = {"peak_host_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
    if torch.cuda.is_available():
        found["peak_gpu_gib"] = torch.cuda.max_memory_allocated() / 2**30
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--reduced", action="store_true", help="a model of 9 million parameters")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--steps", type=int, default=4, help="optimiser steps of each training")
    parser.add_argument("--questions", type=int, default=64, help="questions of each evaluation")
    parser.add_argument("--new-tokens", type=int, help="of every completion")
    given = parser.parse_args()
    shape, on_gpu = REDUCED if given.reduced else REAL, torch.cuda.is_available()
    new_tokens = given.new_tokens or shape["new_tokens"]
    with tempfile.TemporaryDirectory() as name:
        model, data = inputs = Path(name) / "model", Path(name) / "data"
        for folder in inputs:
            folder.mkdir()
        parameters = make_model(model, shape, torch.bfloat16 if on_gpu else torch.float32)
        make_data(data, shape["image_side"], given.steps * SFT_BATCH, given.questions)
        where = torch.cuda.get_device_name() if on_gpu else "CPU"
        print(json.dumps({"device": where, "parameters": parameters, "new_tokens": new_tokens}), flush=True)
        for part in given.parts:
            is_training = part not in ("generate", "options")
            length = (given.steps if is_training else given.questions, new_tokens, on_gpu)
            settings = training(part, *length) if is_training else asking(part, *length)
            found = measure(part, Path(name) / part, {"model": model, "data": data}, settings)
            if shape is REAL and new_tokens <= COMPLETION_TOKENS:
                found["seconds_assumed"] = assumed(part, settings)
            print(json.dumps({part: found}, indent=1), flush=True)
            gc.collect()


if __name__ == "__main__":
    main()
