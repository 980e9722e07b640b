"""The stages ``sat`` and ``cvbench``: real questions, checked row by row, taken over into files that the trainings and
evaluations read by chance access."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from harness.data.checks import MULTI_IMAGE, SCHEMAS, Row, column_problems, cvbench_check, ill_typed, sat_verdict
from harness.data.files import ROW
from harness.record.atomic import replacing, write_json
from harness.record.context import StageContext
from harness.record.outputs import ROWS_FILE, TEST_FILE, TRAIN_FILE
from harness.study.content import file_digest
from harness.study.sources import CVBenchSettings, HubFiles, SatSettings

GROUP_ROWS = 16
"""Rows per row group of the files written: what is read at least to look at one image."""
_BUFFER = 2**20
"""Bytes that are read ahead of a column. Without it, and without ``pre_buffer=False``, pyarrow reads ahead row groups
that may hold gigabytes."""
_SHOWN = 5

Kind = Literal["sat", "cvbench"]


def run_sat(context: StageContext) -> None:
    """Write the training file; see `StageContext` and `take_over`."""
    take_over(context, "sat", sat_verdict, TRAIN_FILE)


def run_cvbench(context: StageContext) -> None:
    """Write the test file; see `StageContext` and `take_over`."""
    take_over(context, "cvbench", cvbench_check(), TEST_FILE)


def take_over(context: StageContext, kind: Kind, verdict: Callable[[Row], str | None], name: str) -> None:
    """Write the rows that are in order, with their number in the source files, and `ROWS_FILE` with what became of all:
    ``rows`` looked at, ``kept``, ``multi_image``, ``malformed`` (``row`` and ``reason`` each), ``columns_left_empty``.

    Raises:
        ValueError: a column is missing or of another type, a file is not what it was when the study was planned, more
            rows are malformed than were declared, or none is left.
        FileNotFoundError: a file is neither on disk nor in the hub's cache.
    """
    files = source_files(context)
    schema = SCHEMAS[kind]
    problems = _schema_problems(files, schema)
    if problems:
        raise ValueError("\n".join(problems))
    left_empty = sorted({each for file in files for each in ill_typed(pq.read_schema(file), schema)})
    total = sum(pq.read_metadata(file).num_rows for file in files)
    wanted = min(total, context.settings.get("first_rows") or total)
    kept = multi_image = 0
    malformed: list[dict[str, Any]] = []
    group: list[Row] = []
    written = schema.append(pa.field(ROW, pa.int64()))
    with replacing(context.folder / name) as path:
        with pq.ParquetWriter(path, written, compression="zstd") as writer:
            for number, row in enumerate(_rows(files, schema, left_empty, wanted)):
                reason = verdict(row)
                if reason is None:
                    kept += 1
                    group.append({**row, ROW: number})
                elif reason == MULTI_IMAGE:
                    multi_image += 1
                else:
                    malformed.append({"row": number, "reason": reason})
                if len(group) == GROUP_ROWS or (group and number + 1 == wanted):
                    writer.write_table(pa.Table.from_pylist(group, written))
                    group = []
                context.progress(number + 1, wanted)
        report = {"rows": wanted, "kept": kept, "multi_image": multi_image, "malformed": malformed}
        write_json(context.folder / ROWS_FILE, report | {"columns_left_empty": left_empty})
        _judge(malformed, wanted, kept, context.settings["malformed_share"])


def _judge(malformed: list[dict[str, Any]], rows: int, kept: int, allowed: float) -> None:
    if len(malformed) > allowed * rows:
        first = "".join(f"\n  row {each['row']}: {each['reason']}" for each in malformed[:_SHOWN])
        more = f"\n  ... and {len(malformed) - _SHOWN} more in {ROWS_FILE}" if len(malformed) > _SHOWN else ""
        raise ValueError(
            f"{len(malformed)} of {rows} rows are malformed, more than malformed_share ({allowed}) allows:{first}{more}"
        )
    if not kept:
        raise ValueError(f"none of the {rows} rows is a question about one image; is this the right file?")


def _rows(files: Sequence[Path], schema: pa.Schema, left_empty: list[str], wanted: int) -> Iterator[Row]:
    """The first ``wanted`` rows of the files one after the other, in the columns of the schema."""
    columns = [name for name in schema.names if name not in left_empty]
    for path in files:
        with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=GROUP_ROWS, columns=columns):
                for row in batch.to_pylist():
                    if not wanted:
                        return
                    wanted -= 1
                    if isinstance(row.get("image"), bytes):
                        row["image"] = {"bytes": row["image"], "path": None}
                    yield row


def source_files(context: StageContext) -> list[Path]:
    """The files that a stage takes over, in the declared order.

    Raises:
        FileNotFoundError: one is not there.
        ValueError: one has changed since the study was planned, or the revision is none.
    """
    settings = context.settings
    if settings.get("hub") is not None:
        return [_cached(HubFiles(**settings["hub"]), name) for name in settings["hub"]["files"]]
    files = [Path(file) for file in context.cosmetic["files"]]
    for file, digest in zip(files, settings["content"], strict=True):
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {file}")
        if file_digest(file) != digest:
            raise ValueError(f"{file} has changed since the study was planned; plan it anew to take the file as it is")
    return files


def _cached(hub: HubFiles, name: str) -> Path:
    from huggingface_hub import hf_hub_download  # a second to import, and local files don't need it
    from huggingface_hub.errors import LocalEntryNotFoundError

    if not hub.pinned:
        raise ValueError(
            f"{hub.id} has revision {hub.revision!r}, which is no commit; run `ablate fetch STUDY` to pin it"
        )
    try:
        found = hf_hub_download(hub.id, name, repo_type="dataset", revision=hub.revision, local_files_only=True)
    except LocalEntryNotFoundError:
        text = f"{name} of {hub.id} at {hub.revision} is not in the hub's cache"
        raise FileNotFoundError(f"{text}; run `ablate fetch STUDY` on a machine with a network") from None
    return Path(found)


def check_files(settings: SatSettings | CVBenchSettings) -> list[str]:
    """What is wrong with the files' columns, by their footers alone, or that they are not at hand; empty when a stage
    can take them over."""
    kind: Kind = "sat" if isinstance(settings, SatSettings) else "cvbench"
    try:
        files = [_cached(settings.hub, name) for name in settings.hub.files] if settings.hub else settings.files
    except (ValueError, FileNotFoundError) as error:
        return [str(error)]
    return _schema_problems([Path(file) for file in files or ()], SCHEMAS[kind])


def _schema_problems(files: Sequence[Path], schema: pa.Schema) -> list[str]:
    problems = []
    for path in files:
        try:
            found = pq.read_schema(path)
        except (OSError, pa.ArrowException) as error:
            problems.append(f"{path}: no parquet file that can be read: {error}")
        else:
            problems += [f"{path}: {problem}" for problem in column_problems(found, schema)]
    return problems
