"""What stages write, by name: the one place that those who write and those who read agree on."""

from pathlib import Path
from typing import Any

from harness.record.atomic import write_table

TRAIN_FILE = "train.parquet"
"""Of a data stage: training questions in SAT's columns."""
TEST_FILE = "test.parquet"
"""Of a data stage: held-out questions in CV-Bench's columns."""
ROWS_FILE = "rows.json"
"""Of a ``sat`` or ``cvbench`` stage: how many rows were taken over, and which were not and why."""
MODEL_FILE = "model.json"
"""Of a ``model`` stage: where the model lies and what it is."""
COMPLETIONS_FILE = "completions.parquet"
"""Of an evaluate stage: one row per checkpoint and question."""
OPTIONS_FILE = "options.parquet"
"""Of an evaluate stage that scores options: one row per checkpoint, question and option."""
RESUME = "resume"
"""Folder of a training that was cut off: the newest state to go on from, and `RESUME_POINTER`, written last."""
RESUME_POINTER = "resume.json"
PARTIAL = "partial"
"""Of an evaluate stage under way: folder with the rows of every finished batch; gone when the stage is done."""
FACTS_FILE = "facts.json"
"""Of a training stage: what was trained on and how far it moved (fingerprint of the data, prompt, pixels, ...)."""
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
    """Rows by optimiser step, written to ``<folder>/steps-<first>-<last>.parquet``, one file for every 50 steps.

    A row's values are numbers, strings, lists of them or None; ``step`` counts from 1.
    """

    def __init__(self, folder: Path, after: int | None = 0):
        """``after``: go on behind this step; rows of later ones, from an attempt that was cut off, are forgotten. None
        leaves the folder alone."""
        self.folder = folder
        self._rows: list[dict[str, Any]] = []
        self._file: Path | None = None
        """Where the rows gathered so far were last written."""
        if after is not None:
            self._take_up(after)

    def _take_up(self, after: int) -> None:
        """Forget what came after a step; rows of its file that came before are gathered anew."""
        current = _range_of(after + 1)
        leftover = [path for path in _files(self.folder) if _range_of(_steps_of(path)[0]) >= current]
        own = [path for path in leftover if _range_of(_steps_of(path)[0]) == current]
        if own:
            # A crash can leave two files of one range behind, both from its first step on.
            longest = max(own, key=lambda path: _steps_of(path)[1])
            self._rows = [row for row in _read(longest) if row["step"] <= after]
        self.flush()
        for path in leftover:
            if path != self._file:
                path.unlink()

    def add(self, row: dict[str, Any]) -> None:
        """Append a row; rows must come in order of their step."""
        if self._rows and _range_of(row["step"]) != _range_of(self._rows[-1]["step"]):
            self.flush()
            self._rows, self._file = [], None
        self._rows.append(row)

    def flush(self) -> None:
        """Write what has gathered since the last full file."""
        if not self._rows:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"steps-{self._rows[0]['step']:06d}-{self._rows[-1]['step']:06d}.parquet"
        import pyarrow as pa  # slow to import, and the verbs that only look need it not

        columns = list(dict.fromkeys(key for row in self._rows for key in row))
        table = pa.table({name: [row.get(name) for row in self._rows] for name in columns})
        write_table(path, table)
        if self._file is not None and self._file != path:
            self._file.unlink(missing_ok=True)
        self._file = path


def _range_of(step: int) -> int:
    """Number of the file that a step belongs to."""
    return (step - 1) // STEPS_PER_FILE


def _steps_of(path: Path) -> tuple[int, int]:
    """First and last step of a file."""
    _, first, last = path.stem.split("-")
    return int(first), int(last)


def _files(folder: Path) -> list[Path]:
    """Files of a `StepLog`'s folder in order of their steps."""
    return sorted(folder.glob("steps-*.parquet"))


def _read(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pylist()


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """All rows of a `StepLog`'s folder in order; empty where there is none."""
    return [row for path in _files(folder) for row in _read(path)]
