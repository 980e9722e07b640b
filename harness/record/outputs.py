"""What stages write, by name: the one place that those who write and those who read agree on."""

from pathlib import Path
from typing import Any

from harness.record.atomic import write_table

TRAIN_FILE = "train.parquet"
"""Of a data stage: training questions in SAT's columns."""
TEST_FILE = "test.parquet"
"""Of a data stage: held-out questions in CV-Bench's columns."""
COMPLETIONS_FILE = "completions.parquet"
"""Of an evaluate stage: one row per checkpoint and question."""
CHECKS_FILE = "checks.json"
"""Of a training stage: manipulation checks, name -> {passed, detail}."""
METRICS = "metrics"
"""Of a training stage: folder of a `StepLog`, one row per optimiser step."""
ROLLOUTS = "rollouts"
"""Of a GRPO stage: folder of a `StepLog`, one row per sampled completion."""
STEPS_PER_FILE = 50


def checkpoint_folder(stage_folder: Path, step: int) -> Path:
    """Where a stage keeps the checkpoint after an optimiser step."""
    return stage_folder / "checkpoints" / f"step-{step:06d}"


class StepLog:
    """Rows by optimiser step, written to ``<folder>/steps-<first>-<last>.parquet`` in ranges of 50 steps.

    A row's values are numbers, strings or None; ``step`` counts from 1.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        """Append a row; rows must come in order of their step."""
        if self._rows and row["step"] != self._rows[-1]["step"] and self._rows[-1]["step"] % STEPS_PER_FILE == 0:
            self.flush()
        self._rows.append(row)

    def flush(self) -> None:
        """Write what has gathered."""
        if not self._rows:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"steps-{self._rows[0]['step']:06d}-{self._rows[-1]['step']:06d}.parquet"
        import pyarrow as pa  # slow to import, and the verbs that only look need it not

        columns = list(dict.fromkeys(key for row in self._rows for key in row))
        table = pa.table({name: [row.get(name) for row in self._rows] for name in columns})
        write_table(self.folder / name, table)
        self._rows = []


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """All rows of a `StepLog`'s folder in order; empty where there is none."""
    import pyarrow.parquet as pq

    return [row for path in sorted(folder.glob("steps-*.parquet")) for row in pq.read_table(path).to_pylist()]
