import shutil
from pathlib import Path

import pytest

from harness.record.outputs import StepLog, read_steps


def test_rows_go_to_files_of_fifty_steps(tmp_path: Path) -> None:
    log = StepLog(tmp_path / "metrics")
    rows = [{"step": step, "sample": sample, "text": "x"} for step in range(1, 121) for sample in range(2)]
    for row in rows:
        log.add(row)
    written = [path.name for path in sorted((tmp_path / "metrics").iterdir())]
    assert written == ["steps-000001-000050.parquet", "steps-000051-000100.parquet"]
    log.flush()
    assert (tmp_path / "metrics" / "steps-000101-000120.parquet").exists()
    assert read_steps(tmp_path / "metrics") == rows
    log.flush()
    assert read_steps(tmp_path / "metrics") == rows


def test_columns_that_come_late_are_empty_before(tmp_path: Path) -> None:
    log = StepLog(tmp_path)
    log.add({"step": 1, "loss": 0.5})
    log.add({"step": 2, "loss": None, "kl": 0.1})
    log.flush()
    assert read_steps(tmp_path) == [{"step": 1, "loss": 0.5, "kl": None}, {"step": 2, "loss": None, "kl": 0.1}]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert read_steps(tmp_path / "nowhere") == []
    StepLog(tmp_path / "nowhere").flush()
    assert not (tmp_path / "nowhere").exists()


def _log(folder: Path, steps: range, after: int | None = 0) -> StepLog:
    log = StepLog(folder, after)
    for step in steps:
        log.add({"step": step, "loss": float(step)})
    log.flush()
    return log


@pytest.mark.parametrize("done", [1, 30, 49, 50, 51, 70, 99, 100, 104])
@pytest.mark.parametrize("lost", [0, 1, 7, 60])
def test_a_log_that_is_gone_on_with_is_like_one_written_at_once(tmp_path: Path, done: int, lost: int) -> None:
    _log(tmp_path / "whole", range(1, 131))
    _log(tmp_path / "cut", range(1, done + lost + 1))
    _log(tmp_path / "cut", range(done + 1, 131), after=done)
    assert read_steps(tmp_path / "cut") == read_steps(tmp_path / "whole")
    assert _names(tmp_path / "cut") == _names(tmp_path / "whole")


def test_two_files_of_one_range_after_a_crash_are_one_again(tmp_path: Path) -> None:
    _log(tmp_path / "short", range(1, 11))
    _log(tmp_path / "long", range(1, 21))
    shutil.copy(next((tmp_path / "short").iterdir()), tmp_path / "long")
    StepLog(tmp_path / "long", after=15)
    assert _names(tmp_path / "long") == ["steps-000001-000015.parquet"]
    assert [row["step"] for row in read_steps(tmp_path / "long")] == list(range(1, 16))


def test_steps_may_be_missing_at_the_end_of_a_range(tmp_path: Path) -> None:
    """Rollouts that serve four steps are logged at the first of them."""
    _log(tmp_path, range(1, 100, 4))
    _log(tmp_path, range(101, 120, 4), after=100)
    assert [row["step"] for row in read_steps(tmp_path)] == list(range(1, 120, 4))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
