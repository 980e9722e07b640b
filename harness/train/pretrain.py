"""Pretraining of the miniature base model.

First the vision tower learns to name what stands in each cell (supervised: a from-scratch vision tower grounds
nothing in reasonable time otherwise), then the whole model predicts the next token of the world's documents.

``python -m harness.train.pretrain --out FOLDER`` rebuilds the shipped checkpoint.
"""

import argparse
import hashlib
import math
import random
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional
from transformers import Qwen2VLForConditionalGeneration

from harness.data.documents import document, random_problem, random_scene_type
from harness.data.question import Question
from harness.data.world import COLORS, Problem, Scene, draw_scene, render, scene_rng
from harness.models.micro import IMAGE_TOKENS, build_model, build_processor
from harness.models.processor import ImageTextProcessor, save_processor
from harness.models.prompts import PROMPT_STYLES, VISION
from harness.models.runtime import prepare_process
from harness.record.context import StageContext
from harness.record.outputs import METRICS, StepLog, checkpoint_folder
from harness.study.sources import PretrainSettings

SCENES_PER_SEED = 10_000_000
_EDGE = round(IMAGE_TOKENS**0.5)


def run(context: StageContext) -> None:
    """The ``pretrain`` stage; see `StageContext`."""
    settings = PretrainSettings(**context.settings)
    prepare_process()
    processor = build_processor()
    model = build_model(settings, processor.tokenizer)
    numbers = iter(range(settings.seed * SCENES_PER_SEED, (settings.seed + 1) * SCENES_PER_SEED))

    def next_rng() -> random.Random:
        return scene_rng("pretrain", next(numbers))

    metrics = StepLog(context.folder / METRICS)
    total = settings.vision_steps + settings.steps
    train_vision(model, processor, settings, next_rng, lambda step: context.progress(step, total))
    train_documents(
        model,
        processor,
        settings,
        next_rng,
        lambda step, row: (
            metrics.add({"step": step, **row}),
            context.progress(settings.vision_steps + step, total),
        ),
    )
    metrics.flush()
    folder = checkpoint_folder(context.folder, settings.steps)
    model.save_pretrained(folder)
    save_processor(processor, folder)


def train_vision(
    model: Qwen2VLForConditionalGeneration,
    processor: ImageTextProcessor,
    settings: PretrainSettings,
    next_rng: Callable[[], random.Random],
    on_step: Callable[[int], object],
) -> None:
    """Train the vision tower to name colour (or none), row and column of each of the nine cells."""
    vision = model.model.visual
    head = torch.nn.Linear(settings.hidden_size, 1 + len(COLORS) + 2 * _EDGE)
    parameters = [*vision.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=settings.vision_learning_rate)
    cells = torch.arange(IMAGE_TOKENS).repeat(settings.vision_batch_size)
    names = list(COLORS)
    for step in range(1, settings.vision_steps + 1):
        scenes = []
        for _ in range(settings.vision_batch_size):
            rng = next_rng()
            scenes.append(draw_scene(rng, random_scene_type(rng)))
        labels = torch.zeros(len(scenes), IMAGE_TOKENS, dtype=torch.long)
        for i, scene in enumerate(scenes):
            for thing in scene.things:
                labels[i, thing.row * _EDGE + thing.column] = 1 + names.index(thing.color)
        pixels = processor.image_processor([render(scene) for scene in scenes], return_tensors="pt")
        features = vision(pixels["pixel_values"], grid_thw=pixels["image_grid_thw"]).pooler_output
        color, row, column = head(features).split([1 + len(COLORS), _EDGE, _EDGE], dim=1)
        loss = functional.cross_entropy(color, labels.flatten())
        loss = loss + 0.5 * functional.cross_entropy(row, cells // _EDGE)
        loss = loss + 0.5 * functional.cross_entropy(column, cells % _EDGE)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        on_step(step)


def train_documents(
    model: Qwen2VLForConditionalGeneration,
    processor: ImageTextProcessor,
    settings: PretrainSettings,
    next_rng: Callable[[], random.Random],
    on_step: Callable[[int, dict[str, float]], object],
) -> None:
    """Next-token prediction on documents, vision tokens and padding left out of the loss."""
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings.learning_rate,
        betas=(0.9, settings.adam_beta2),
        weight_decay=settings.weight_decay,
        fused=True,
    )
    tokenizer = processor.tokenizer
    no_loss = torch.tensor(
        tokenizer.convert_tokens_to_ids(["<|vision_start|>", "<|image_pad|>", "<|vision_end|>", tokenizer.pad_token])
    )
    model.train()
    for step in range(1, settings.steps + 1):
        started = time.perf_counter()
        progress = (step - 1) / settings.steps
        cosine = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress))
        rate = settings.learning_rate * min(1.0, step / settings.warmup_steps) * cosine
        for group in optimizer.param_groups:
            group["lr"] = rate
        texts, images = [], []
        for _ in range(settings.batch_size):
            rng = next_rng()
            scene, problem = random_problem(rng)
            texts.append(_document(rng, scene, problem, settings))
            images.append(render(scene))
        batch = processor.encode(images, texts, padding_side="right")
        labels = batch["input_ids"].masked_fill(torch.isin(batch["input_ids"], no_loss), -100)
        loss = model(**batch, labels=labels).loss
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds = time.perf_counter() - started
        on_step(step, {"loss": loss.item(), "grad_norm": norm.item(), "learning_rate": rate, "seconds": seconds})


def _document(rng: random.Random, scene: Scene, problem: Problem, settings: PretrainSettings) -> str:
    question = as_question(problem)
    style = PROMPT_STYLES["micro-base-think"]
    return document(
        rng,
        VISION,
        style.user_text(question),
        style.render(question),
        scene,
        problem,
        settings.well_formed_share,
        settings.empty_thought_share,
    )


def as_question(problem: Problem) -> Question:
    """A problem as the record that prompt styles take; without an image."""
    return Question(0, problem.question, problem.choices, problem.answer, b"", problem.task, "", "", "")


def main() -> None:
    """Rebuild the shipped base with the default recipe and compare it with the shipped file."""
    parser = argparse.ArgumentParser(description="Pretrain the miniature base model (about 20 CPU-minutes).")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    settings = PretrainSettings()
    started = time.process_time()

    def report(step: int, total: int, numbers: dict[str, float]) -> None:
        if step % 100 == 0 or step == total:
            print(f"step {step}/{total}, {time.process_time() - started:.0f} CPU-s", flush=True)

    run(StageContext(out, settings.identity(), report=report, report_every=0.0))
    weights = checkpoint_folder(Path(), settings.steps) / "model.safetensors"
    rebuilt = hashlib.sha256((out / weights).read_bytes()).hexdigest()
    print(f"{out / weights}: sha256 {rebuilt}")
    shipped = Path(__file__).parents[1] / "models" / "micro_base" / weights
    if shipped.exists():
        equal = hashlib.sha256(shipped.read_bytes()).hexdigest() == rebuilt
        print("equal to the shipped file" if equal else "differs from the shipped file (expected on another CPU)")


if __name__ == "__main__":
    main()
