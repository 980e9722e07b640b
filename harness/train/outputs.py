"""What a training stage writes beside its checkpoints: metrics and rollouts as parquet files of step ranges."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from harness.record.atomic import write_table

ROWS_PER_STEP_RANGE = 50


class StepLog:
    """Rows by optimiser step, written to ``<folder>/steps-<first>-<last>.parquet`` in ranges of 50 steps.

    A row's values are numbers, strings or None; ``step`` counts from 1.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        """Append a row; rows must come in order of their step."""
        if self._rows and row["step"] != self._rows[-1]["step"] and self._rows[-1]["step"] % ROWS_PER_STEP_RANGE == 0:
            self.flush()
        self._rows.append(row)

    def flush(self) -> None:
        """Write what has gathered."""
        if not self._rows:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"steps-{self._rows[0]['step']:06d}-{self._rows[-1]['step']:06d}.parquet"
        columns = list(dict.fromkeys(key for row in self._rows for key in row))
        table = pa.table({name: [row.get(name) for row in self._rows] for name in columns})
        write_table(self.folder / name, table)
        self._rows = []


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """All rows of a `StepLog`'s folder in order; empty where there is none."""
    import pyarrow.parquet as pq

    return [row for path in sorted(folder.glob("steps-*.parquet")) for row in pq.read_table(path).to_pylist()]
