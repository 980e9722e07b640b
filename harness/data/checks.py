"""What must hold of a data set's columns and of each of its rows before anything is trained or asked."""

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from PIL import Image, UnidentifiedImageError

from harness.data.files import CVBENCH_SCHEMA, SAT_SCHEMA, lettered_answer, missing_columns
from harness.data.question import LETTERS

Row = dict[str, Any]

MULTI_IMAGE = "more than one image"
"""Verdict on rows that are left out without being malformed."""
_UNREAD = {"filename", "source_dataset", "target_class", "target_size", "bbox"}
"""Columns of CV-Bench that nothing here reads: of another type they are left empty instead of refused."""
_MAX_ASPECT = 200
"""Qwen's image processors refuse images whose sides have a larger ratio."""


def column_problems(found: pa.Schema, schema: pa.Schema) -> list[str]:
    """What is wrong with a file's columns, one sentence each; empty when its rows can be read."""
    if problem := missing_columns(found.names, schema):
        return [problem]
    return [
        f"column {field.name} is {found.field(field.name).type}; it should be {field.type}"
        for field in schema
        if field.name not in _UNREAD and not _fits(found.field(field.name).type, field.type)
    ]


def ill_typed(found: pa.Schema, schema: pa.Schema) -> list[str]:
    """Columns that nothing reads and whose type is not the declared one."""
    return [
        name for name in schema.names if name in _UNREAD and not _fits(found.field(name).type, schema.field(name).type)
    ]


def _fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of one type can be written as another without a loss."""
    types = pa.types
    if types.is_dictionary(found):
        return _fits(found.value_type, wanted)
    if types.is_struct(wanted):  # images: a struct as `datasets` writes it, or the bytes alone
        names = [found.field(i).name for i in range(found.num_fields)] if types.is_struct(found) else []
        return _fits(found, pa.binary()) or ("bytes" in names and _fits(found.field("bytes").type, pa.binary()))
    if types.is_list(wanted):
        is_list = types.is_list(found) or types.is_large_list(found) or types.is_fixed_size_list(found)
        return types.is_null(found) or (is_list and _fits(found.value_type, wanted.value_type))
    if types.is_string(wanted):
        return types.is_string(found) or types.is_large_string(found) or types.is_string_view(found)
    if types.is_binary(wanted):
        return types.is_binary(found) or types.is_large_binary(found) or types.is_binary_view(found)
    if types.is_floating(wanted):
        return types.is_floating(found) or types.is_integer(found)
    return types.is_integer(found)


def sat_verdict(row: Row) -> str | None:
    """Why a SAT row is left out; None when it is in order.

    Returns:
        `MULTI_IMAGE`, or what is malformed about the row.
    """
    images = row["image_bytes"] or []
    if len(images) > 1:
        return MULTI_IMAGE
    if not images:
        return "no image"
    return (
        _text_problem(row, "question", "question_type", "correct_answer")
        or _options_problem(row["answers"], "answers")
        or _answer_problem(row)
        or image_problem(images[0])
    )


def cvbench_check() -> Callable[[Row], str | None]:
    """A function that says why a CV-Bench row is malformed; it remembers each row's ``idx``, which must be its own."""
    seen: set[int] = set()

    def verdict(row: Row) -> str | None:
        if row["idx"] is None or row["idx"] in seen:
            return "no idx" if row["idx"] is None else f"idx {row['idx']} was there before"
        seen.add(row["idx"])
        return (
            _text_problem(row, "question", "prompt", "task", "type", "source", "source_filename")
            or _options_problem(row["choices"], "choices")
            or _letter_problem(row)
            or image_problem(row["image"]["bytes"] if row["image"] else None)
        )

    return verdict


def _text_problem(row: Row, *names: str) -> str | None:
    empty = [name for name in names if not (row[name] or "").strip()]
    return f"{' and '.join(empty)} empty" if empty else None


def _options_problem(options: list[str | None] | None, name: str) -> str | None:
    options = options or []
    if not 2 <= len(options) <= len(LETTERS):
        return f"{len(options)} {name}; a question has 2 to {len(LETTERS)}"
    if not all((option or "").strip() for option in options):
        return f"an empty option in {name} {options}"
    return f"the same option twice in {name} {options}" if len(set(options)) < len(options) else None


def _answer_problem(row: Row) -> str | None:
    if row["correct_answer"] in row["answers"]:
        return None
    return f"correct_answer {row['correct_answer']!r} is not among answers {row['answers']}"


def _letter_problem(row: Row) -> str | None:
    if lettered_answer(row["answer"], row["choices"]) is not None:
        return None
    return f"answer {row['answer']!r} is no letter of its {len(row['choices'])} choices"


def image_problem(data: bytes | None) -> str | None:
    """Why an encoded image is of no use; None when it can be decoded to its last pixel and brought to size."""
    if not data:
        return "no image"
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.convert("RGB")
            width, height = image.size
    except UnidentifiedImageError:  # its own message holds an address in memory
        return "the image is in no format that PIL knows"
    except Exception as error:  # PIL raises whatever a broken file leads it to
        return f"the image can't be decoded: {error}"[:200]
    if max(width, height) > _MAX_ASPECT * min(width, height):
        return f"the image has {width} x {height} pixels, a ratio above {_MAX_ASPECT}, which image processors refuse"
    return None


SCHEMAS = {"sat": SAT_SCHEMA, "cvbench": CVBENCH_SCHEMA}
"""Columns by kind of stage."""
