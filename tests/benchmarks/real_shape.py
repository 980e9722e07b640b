"""Three GRPO steps and 64 evaluated questions at the paper's settings, with random weights of Qwen2-VL-2B's shape.

``python -m tests.benchmarks.real_shape`` on a GPU runs the real shape in bfloat16; ``--reduced`` runs a model of 9
million parameters with short completions, for machines without one. Random weights never end a reply, so every
completion has the full length: an upper bound of the time per step. Prints seconds and peak memory as JSON.
"""

import argparse
import io
import json
import resource
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
from harness.models.processor import ImageTextProcessor, save_processor
from harness.models.tiny import build_tiny_tokenizer
from harness.record.atomic import read_json, write_table
from harness.record.context import StageContext
from harness.record.outputs import TEST_FILE, TRAIN_FILE, checkpoint_folder, read_steps
from harness.study.evaluation import ProtocolSettings
from harness.study.training import GRPOSettings
from harness.train import grpo

STEPS, QUESTIONS = 3, 64
MAX_PIXELS = 401_408
REAL = {
    "text": dict(hidden_size=1536, intermediate_size=8960, num_hidden_layers=28, num_attention_heads=12),
    "vision": dict(depth=32, embed_dim=1280, num_heads=16, hidden_size=1536),
    "vocabulary": 151_936,
    "image_side": 640,
    "new_tokens": {"train": 700, "test": 1024},
}
REDUCED = {
    "text": dict(hidden_size=256, intermediate_size=1024, num_hidden_layers=6, num_attention_heads=4),
    "vision": dict(depth=6, embed_dim=160, num_heads=4, hidden_size=256),
    "vocabulary": 1_024,
    "image_side": 224,
    "new_tokens": {"train": 48, "test": 64},
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


def make_data(folder: Path, side: int) -> None:
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
        for row in range(STEPS * 8)
    ]
    write_table(folder / TRAIN_FILE, pa.Table.from_pylist(sat, SAT_SCHEMA))
    tests = []
    for row in range(QUESTIONS):
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


def settings(shape: dict[str, Any], on_gpu: bool) -> tuple[GRPOSettings, ProtocolSettings]:
    """The paper's settings, on one GPU: the four processes of one prompt become eight backward passes of one."""
    compute = {
        "accumulation": 8,
        "precision": "bfloat16" if on_gpu else "float32",
        "gradient_checkpointing": True,
    }
    recipe = GRPOSettings.model_validate(
        {
            "steps": STEPS,
            "learning_rate": 1e-6,
            "schedule": "linear",
            "warmup_steps": 0,
            "decay_steps": 3750,
            "adam_beta2": 0.999,
            "images": {"max_pixels": MAX_PIXELS},
            "literal_image": True,
            "compute": compute,
            "prompt": "paper-base-think",
            "max_new_tokens": shape["new_tokens"]["train"],
            "top_k": 50,
            "beta": 0.04,
            "loss": "grpo",
            # random weights earn nothing, and without any reward nothing would move
            "rewards": {"accuracy_authors": 1.0, "format": 1.0, "random": {"weight": 0.1, "probability": None}},
        }
    )
    protocol = ProtocolSettings.model_validate(
        {
            "prompt": "paper-base-think",
            "max_new_tokens": shape["new_tokens"]["test"],
            "batch_size": 8,
            "dtype": "bfloat16" if on_gpu else "float32",
            "images": {"max_pixels": MAX_PIXELS},
        }
    )
    return recipe, protocol


def peak_memory() -> dict[str, float]:
    found = {"host_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
    if torch.cuda.is_available():
        found["gpu_gib"] = torch.cuda.max_memory_allocated() / 2**30
        torch.cuda.reset_peak_memory_stats()
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reduced", action="store_true", help="a model of 9 million parameters")
    shape = REDUCED if parser.parse_args().reduced else REAL
    on_gpu = torch.cuda.is_available()
    recipe, protocol = settings(shape, on_gpu)
    with tempfile.TemporaryDirectory() as name:
        model, data, train, test = (Path(name) / each for each in ("model", "data", "train", "test"))
        for folder in (model, data, train, test):
            folder.mkdir()
        parameters = make_model(model, shape, torch.bfloat16 if on_gpu else torch.float32)
        make_data(data, shape["image_side"])
        inputs = {"model": model, "data": data}
        training = recipe.identity() | {"seed": 0, "tuning": {"kind": "full"}}
        started = time.perf_counter()
        grpo.run(StageContext(train, training, {"checkpoints": [STEPS]}, inputs))
        train_seconds = time.perf_counter() - started
        train_memory = peak_memory()
        tokens = sum(row["tokens"] for row in read_steps(train / "rollouts"))
        started = time.perf_counter()
        asked = protocol.identity() | {"questions": None, "steps": [0]}
        evaluate.run(StageContext(test, asked, {}, inputs))
        test_seconds = time.perf_counter() - started
        report = {
            "device": torch.cuda.get_device_name() if on_gpu else "CPU",
            "parameters": parameters,
            "grpo": {
                "seconds_by_step": [round(row["seconds"], 2) for row in read_steps(train / "metrics")],
                "seconds": round(train_seconds, 1),
                "rollout_tokens": tokens,
                "peak_memory": train_memory,
                "checks": {name: each["detail"] for name, each in (read_json(train / "checks.json") or {}).items()},
            },
            "evaluate": {
                "seconds": round(test_seconds, 1),
                "questions_per_second": round(QUESTIONS / test_seconds, 2),
                "peak_memory": peak_memory(),
            },
        }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
