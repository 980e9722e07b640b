"""Images that stay in their parquet file until somebody looks at one."""

import bisect
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

CACHE_BYTES = 64 * 2**20
"""Row groups kept in memory per file, the last one read whatever its size."""


class ImageColumn:
    """The column of encoded images of a parquet file, read by row group, the last used ones kept.

    Values are bytes, structs with a field ``bytes``, or lists of one image.
    """

    def __init__(self, path: Path, column: str):
        self.path = path
        self.column = column
        self._file = pq.ParquetFile(path, pre_buffer=False)
        metadata = self._file.metadata
        self._ends: list[int] = []
        for group in range(metadata.num_row_groups):
            self._ends.append((self._ends[-1] if self._ends else 0) + metadata.row_group(group).num_rows)
        self._groups: OrderedDict[int, pa.ChunkedArray] = OrderedDict()
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageColumn, (self.path, self.column)  # neither open file nor cache goes to another process

    @property
    def row_count(self) -> int:
        """Rows of the file."""
        return self._ends[-1] if self._ends else 0

    def read(self, row: int) -> bytes:
        """The encoded image of a row.

        Raises:
            ValueError: the row has not exactly one image.
        """
        group = bisect.bisect_right(self._ends, row)
        value = self._group(group)[row - (self._ends[group - 1] if group else 0)].as_py()
        if isinstance(value, list):
            if len(value) != 1:
                raise ValueError(f"{self.path}: row {row}: {len(value)} images; a question is about one here")
            (value,) = value
        data = value["bytes"] if isinstance(value, dict) else value
        if not data:
            raise ValueError(f"{self.path}: row {row}: the image is empty")
        return data

    def _group(self, group: int) -> pa.ChunkedArray:
        with self._lock:
            if group not in self._groups:
                self._groups[group] = self._file.read_row_group(group, columns=[self.column])[self.column]
                while len(self._groups) > 1 and sum(each.nbytes for each in self._groups.values()) > CACHE_BYTES:
                    self._groups.popitem(last=False)
            self._groups.move_to_end(group)
            return self._groups[group]


@dataclass(frozen=True, eq=False)
class StoredImage:
    """One row of an `ImageColumn`. Equal images are equal, wherever they are stored."""

    column: ImageColumn
    row: int

    def read(self) -> bytes:
        """The encoded image; see `ImageColumn.read`."""
        return self.column.read(self.row)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredImage) and self.read() == other.read()

    def __hash__(self) -> int:
        return hash(self.read())
