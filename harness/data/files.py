"""Readers of SAT's and CV-Bench's parquet files."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.question import LETTERS, Question, shuffled_choices

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


def read_sat(path: Path, option_seed: int) -> list[Question]:
    """Questions of a SAT file, options shuffled with the study's seed.

    Raises:
        ValueError: a column is missing, a row's correct answer is not among its options, or it has not one image.
    """
    table = _read(path, SAT_SCHEMA)
    questions = []
    for index, row in enumerate(table.to_pylist()):
        if row["correct_answer"] not in row["answers"]:
            raise ValueError(
                f"{path}: row {index}: correct_answer {row['correct_answer']!r} is not among answers {row['answers']}"
            )
        if len(row["image_bytes"]) != 1:
            raise ValueError(f"{path}: row {index}: {len(row['image_bytes'])} images; a question is about one here")
        questions.append(
            Question(
                index=index,
                text=row["question"],
                choices=shuffled_choices(row["answers"], option_seed, index),
                answer=row["correct_answer"],
                image_bytes=row["image_bytes"][0],
                task=row["question_type"],
                type="",
                source="SAT",
                image_id=str(index),
            )
        )
    return questions


def read_cvbench(path: Path, limit: int | None = None) -> list[Question]:
    """Questions of a CV-Bench file in its order, at most ``limit`` of them.

    Raises:
        ValueError: a column is missing, or a row's answer is no letter of an option.
    """
    questions = []
    for row in _read(path, CVBENCH_SCHEMA).slice(0, limit).to_pylist():
        letter = (row["answer"] or "").strip("()")
        if len(letter) != 1 or letter not in LETTERS[: len(row["choices"])]:
            raise ValueError(
                f"{path}: idx {row['idx']}: answer {row['answer']!r} is no letter of its {len(row['choices'])} choices"
            )
        questions.append(
            Question(
                index=row["idx"],
                text=row["question"],
                choices=tuple(row["choices"]),
                answer=row["choices"][LETTERS.index(letter)],
                image_bytes=row["image"]["bytes"],
                task=row["task"],
                type=row["type"],
                source=row["source"],
                image_id=row["source_filename"],
            )
        )
    return questions


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    file = pq.ParquetFile(path)
    missing = [name for name in schema.names if name not in file.schema_arrow.names]
    if missing:
        raise ValueError(f"{path}: columns {missing} are missing; it has {file.schema_arrow.names}")
    return file.read(columns=schema.names)
