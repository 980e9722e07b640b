from pathlib import Path

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
