"""The ``world`` stage: writes the miniature world's training and test files in SAT's and CV-Bench's columns."""

import hashlib
import io
import itertools

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from harness.data.files import CVBENCH_SCHEMA, SAT_SCHEMA
from harness.data.question import LETTERS
from harness.data.world import TASKS, Problem, Scene, render, sample, scene_rng
from harness.record.context import StageContext
from harness.record.outputs import TEST_FILE, TRAIN_FILE

_TEST_CYCLE = (("Count", 1), ("Count", 1), ("Relation", 2), ("Depth", 2), ("Distance", 2))
"""Task and number of questions of each test scene in turn: as in CV-Bench some images are asked about twice. Not
for Count, where a second colour in the scene would make nearly every count a one."""


def run(context: StageContext) -> None:
    """Write both files; see `StageContext`.

    Raises:
        ValueError: an image of the test file is in the training file too.
    """
    n_train, n_test = context.settings["train_questions"], context.settings["test_questions"]
    total = n_train + n_test
    digests: set[bytes] = set()
    rows = []
    for index in range(n_train):
        scene, (problem,) = sample(scene_rng("train", index), TASKS[index % len(TASKS)])
        png = _png(render(scene))
        digests.add(hashlib.sha256(png).digest())
        rows.append(_sat_row(png, problem))
        context.progress(index + 1, total)
    pq.write_table(pa.Table.from_pylist(rows, SAT_SCHEMA), context.folder / TRAIN_FILE, row_group_size=1000)

    rows = []
    for index, (task, questions) in enumerate(itertools.cycle(_TEST_CYCLE)):
        if len(rows) >= n_test:
            break
        scene, problems = sample(scene_rng("test", index), task, questions)
        png = _png(render(scene))
        if hashlib.sha256(png).digest() in digests:
            raise ValueError(f"test scene {index} shows the same image as a training scene")
        first = len(rows)
        rows += [_cvbench_row(first + i, index, png, scene, problem) for i, problem in enumerate(problems)]
        context.progress(n_train + len(rows), total)
    pq.write_table(pa.Table.from_pylist(rows[:n_test], CVBENCH_SCHEMA), context.folder / TEST_FILE, row_group_size=500)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _sat_row(png: bytes, problem: Problem) -> dict[str, object]:
    return {
        "image_bytes": [png],
        "question": problem.question,
        "answers": list(problem.choices),
        "question_type": problem.task,
        "correct_answer": problem.answer,
    }


def _cvbench_row(idx: int, scene_index: int, png: bytes, scene: Scene, problem: Problem) -> dict[str, object]:
    letter = LETTERS[problem.choices.index(problem.answer)]
    lettered = [f"({LETTERS[i]}) {choice}" for i, choice in enumerate(problem.choices)]
    named = [thing for thing in scene.things if thing.color in problem.question.split() + list(problem.choices)]
    return {
        "idx": idx,
        "type": scene.type,
        "task": problem.task,
        "image": {"bytes": png, "path": None},
        "question": problem.question,
        "choices": list(problem.choices),
        "answer": f"({letter})",
        "prompt": "\n".join([f"{problem.question} Select from the following choices.", *lettered]),
        "filename": f"img/{scene.type}/{problem.task.lower()}/{idx:06d}.png",
        "source": f"Micro{scene.type}",
        "source_dataset": "miniature world",
        "source_filename": f"scene-{scene_index:06d}.png",
        "target_class": [thing.color for thing in named],
        "target_size": None,
        "bbox": [[t.x - t.radius, t.y - t.radius, t.x + t.radius, t.y + t.radius] for t in named],
    }
