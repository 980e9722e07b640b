"""Readers of SAT's and CV-Bench's parquet files. Texts are read at once, images when they are looked at."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.images import ImageColumn, StoredImage
from harness.data.order import spread
from harness.data.question import LETTERS, Question, sat_prompt, shuffled_choices

SAT_SCHEMA = pa.schema(
    [
        ("image_bytes", pa.list_(pa.binary())),
        ("question", pa.string()),
        ("answers", pa.list_(pa.string())),
        ("question_type", pa.string()),
        ("correct_answer", pa.string()),
    ]
)
"""Columns of ``array/SAT``."""

CVBENCH_SCHEMA = pa.schema(
    [
        ("idx", pa.int64()),
        ("type", pa.string()),
        ("task", pa.string()),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("question", pa.string()),
        ("choices", pa.list_(pa.string())),
        ("answer", pa.string()),
        ("prompt", pa.string()),
        ("filename", pa.string()),
        ("source", pa.string()),
        ("source_dataset", pa.string()),
        ("source_filename", pa.string()),
        ("target_class", pa.list_(pa.string())),
        ("target_size", pa.list_(pa.int64())),
        ("bbox", pa.list_(pa.list_(pa.float64()))),
    ]
)
"""Columns of ``nyu-visionx/CV-Bench``."""

ROW = "row"
"""Column that the stages ``sat`` and ``cvbench`` add: a row's number in the source files, counted through."""


def read_sat(path: Path, option_seed: int) -> list[Question]:
    """Questions of a SAT file, options shuffled with the study's seed.

    A question's index, which the shuffling goes by too, is its row in the source files where the file says so.

    Raises:
        ValueError: a column is missing, or a row's correct answer is not among its options. That a row has not one
            image shows when its image is read.
    """
    images = ImageColumn(path, "image_bytes")
    questions = []
    for position, row in enumerate(_texts(path, SAT_SCHEMA, "image_bytes")):
        if row["correct_answer"] not in row["answers"]:
            raise ValueError(
                f"{path}: row {position}: correct_answer {row['correct_answer']!r} "
                f"is not among answers {row['answers']}"
            )
        index = row.get(ROW, position)
        choices = shuffled_choices(row["answers"], option_seed, index)
        questions.append(
            Question(
                index=index,
                text=row["question"],
                choices=choices,
                answer=row["correct_answer"],
                stored_image=StoredImage(images, position),
                task=row["question_type"],
                type="",
                source="SAT",
                image_id=str(index),
                prompt=sat_prompt(row["question"], choices),
            )
        )
    return questions


def read_cvbench(path: Path, limit: int | None = None) -> list[Question]:
    """Questions of a CV-Bench file in its order; with a ``limit`` so many, evenly spaced over the file.

    Raises:
        ValueError: a column is missing, or a row's answer is no letter of an option.
    """
    images = ImageColumn(path, "image")
    questions = []
    wanted = set(spread(images.row_count, limit))
    for position, row in enumerate(_texts(path, CVBENCH_SCHEMA, "image")):
        if position not in wanted:
            continue
        answer = lettered_answer(row["answer"], row["choices"])
        if answer is None:
            raise ValueError(
                f"{path}: idx {row['idx']}: answer {row['answer']!r} is no letter of its {len(row['choices'])} choices"
            )
        questions.append(
            Question(
                index=row["idx"],
                text=row["question"],
                choices=tuple(row["choices"]),
                answer=answer,
                stored_image=StoredImage(images, position),
                task=row["task"],
                type=row["type"],
                source=row["source"],
                image_id=row["source_filename"],
                prompt=row["prompt"],
            )
        )
    return questions


def lettered_answer(letter: str | None, choices: list[str]) -> str | None:
    """The choice that ``(B)`` or ``B`` stands for; None when there is none."""
    letter = (letter or "").strip("()")
    if len(letter) != 1 or letter not in LETTERS[: len(choices)]:
        return None
    return choices[LETTERS.index(letter)]


def missing_columns(found: list[str], schema: pa.Schema) -> str | None:
    """What is wrong with a file's columns; None when all of the schema are there."""
    missing = [name for name in schema.names if name not in found]
    return f"columns {missing} are missing; it has {found}" if missing else None


def _texts(path: Path, schema: pa.Schema, image_column: str) -> Iterator[dict[str, Any]]:
    """The file's rows without their images."""
    with pq.ParquetFile(path) as file:
        found = file.schema_arrow.names
        if problem := missing_columns(found, schema):
            raise ValueError(f"{path}: {problem}")
        columns = [name for name in (*schema.names, ROW) if name in found and name != image_column]
        for batch in file.iter_batches(batch_size=1024, columns=columns):
            yield from batch.to_pylist()
