"""Small files with the real data sets' columns and made-up content, for rehearsals and tests."""

import io
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image, ImageDraw

from harness.data.files import CVBENCH_SCHEMA, SAT_SCHEMA
from harness.data.question import LETTERS
from harness.record.atomic import write_table

_THINGS = ("chair", "table", "lamp", "dog", "truck", "desk", "bottle", "traffic cone")
_COLORS = ("red", "green", "blue", "orange", "purple", "white")
_KINDS = (
    ("Count", "2D", "ADE20K"),
    ("Relation", "2D", "COCO"),
    ("Depth", "3D", "Omni3D"),
    ("Distance", "3D", "Omni3D"),
)
"""Task, type and source of the test questions in turn."""


def write_small_sat(path: Path, rows: int, seed: int) -> None:
    """Write ``rows`` questions in SAT's columns, about images of 60 to 200 pixels a side; a function of the seed."""
    rng = random.Random(f"small sat/{seed}")
    made: list[dict[str, Any]] = []
    for index in range(rows):
        question, options, answer = _question(rng, _KINDS[index % len(_KINDS)][0])
        made.append(
            {
                "image_bytes": [_image(rng)],
                "question": question,
                "answers": options,
                "question_type": _KINDS[index % len(_KINDS)][0].lower(),
                "correct_answer": answer,
            }
        )
    write_table(path, pa.Table.from_pylist(made, SAT_SCHEMA))


def write_small_cvbench(path: Path, rows: int, seed: int) -> None:
    """Write ``rows`` questions in CV-Bench's columns, tasks and sources in turn; the last of every six is about
    the same image as the second. A function of the seed."""
    rng = random.Random(f"small cv-bench/{seed}")
    made: list[dict[str, Any]] = []
    for index in range(rows):
        task, kind, source = _KINDS[index % len(_KINDS)]
        if task == "Count" and index // len(_KINDS) % 2:
            source = "COCO"
        shared = made[index - 4] if index % 6 == 5 else None
        source = shared["source"] if shared else source
        question, options, answer = _question(rng, task)
        lettered = [f"({LETTERS[i]}) {option}" for i, option in enumerate(options)]
        made.append(
            {
                "idx": index,
                "type": kind,
                "task": task,
                "image": shared["image"] if shared else {"bytes": _image(rng), "path": None},
                "question": question,
                "choices": options,
                "answer": f"({LETTERS[options.index(answer)]})",
                "prompt": "\n".join([f"{question} Select from the following choices.", *lettered]),
                "filename": f"img/{kind}/{task.lower()}/{index:06d}.png",
                "source": source,
                "source_dataset": source,
                "source_filename": shared["source_filename"] if shared else f"{index:06d}.jpg",
                "target_class": None,
                "target_size": None,
                "bbox": None,
            }
        )
    write_table(path, pa.Table.from_pylist(made, CVBENCH_SCHEMA))


def _question(rng: random.Random, task: str) -> tuple[str, list[str], str]:
    """A question that has nothing to do with any image, its options and one of them as the answer."""
    a, b, c = rng.sample(_THINGS, 3)
    if task == "Count":
        options = [str(number) for number in rng.sample(range(9), 4)]
        question = f"How many {a}s are in the image?"
    elif task == "Relation":
        options = ["left", "right"]
        question = f"Where is the {a} with respect to the {b}?"
    elif task == "Depth":
        options = [a, b]
        question = "Which object is closer to the camera taking this photo?"
    else:
        options = [a, b, c][: rng.choice([2, 3])]
        question = f"Which object is closer to the {rng.choice(_COLORS)} box?"
    return question, options, rng.choice(options)


def _image(rng: random.Random) -> bytes:
    width, height = rng.randint(60, 200), rng.randint(60, 200)
    image = Image.new("RGB", (width, height), rng.choice(_COLORS))
    pen = ImageDraw.Draw(image)
    for _ in range(4):
        x, y = rng.randrange(width), rng.randrange(height)
        pen.ellipse([x, y, x + rng.randint(10, 60), y + rng.randint(10, 60)], fill=rng.choice(_COLORS))
    buffer = io.BytesIO()
    image.save(buffer, rng.choice(["PNG", "JPEG"]))
    return buffer.getvalue()
