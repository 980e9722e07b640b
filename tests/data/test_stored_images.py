import pickle
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pyarrow.parquet as pq
import pytest

from harness.data import images
from harness.data.files import read_cvbench, read_sat
from harness.data.fingerprint import fingerprint
from harness.data.images import ImageColumn
from harness.data.small import write_small_cvbench, write_small_sat


@pytest.fixture(scope="module")
def sat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 rows in groups of 7. Not to be written to."""
    path = tmp_path_factory.mktemp("images") / "sat.parquet"
    write_small_sat(path, 50, seed=4)
    table = pq.read_table(path)
    pq.write_table(table, path, row_group_size=7)
    return path


def test_every_image_is_its_rows_own_in_any_order(sat: Path) -> None:
    expected = [row[0] for row in pq.read_table(sat)["image_bytes"].to_pylist()]
    questions = read_sat(sat, 0)
    for position in [49, 0, 6, 7, 48, 13, 14, *range(50)]:
        assert questions[position].image_bytes == expected[position]


def test_opening_a_file_reads_no_image(sat: Path) -> None:
    with patch.object(ImageColumn, "_group", side_effect=AssertionError("an image was read")):
        questions = read_sat(sat, 0)
        assert questions[3].prompt.startswith(" Answer in natural language. ")
        with pytest.raises(AssertionError, match="an image was read"):
            questions[3].image()


def test_only_the_row_groups_used_last_stay_in_memory(sat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "CACHE_BYTES", 1)
    column = ImageColumn(sat, "image_bytes")
    reads: list[int] = []
    read = column._file.read_row_group

    def counted(group: int, **options: object):
        reads.append(group)
        return read(group, **options)

    with patch.object(column, "_file", wraps=column._file) as file:
        file.read_row_group.side_effect = counted
        for row in (0, 1, 6, 7, 8, 0):
            column.read(row)
        assert reads == [0, 1, 0]
        assert len(column._groups) == 1
        monkeypatch.setattr(images, "CACHE_BYTES", 2**30)
        for row in (0, 10, 20, 0, 10, 20):
            column.read(row)
        assert reads == [0, 1, 0, 1, 2]


def test_a_question_goes_to_another_process_without_its_file(sat: Path) -> None:
    question = read_sat(sat, 0)[20]
    data = question.image_bytes
    pickled = pickle.dumps(question)
    assert data not in pickled
    assert pickle.loads(pickled) == question
    assert pickle.loads(pickled).image_bytes == data


def test_an_image_without_bytes_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa

    path = tmp_path / "cvbench.parquet"
    write_small_cvbench(path, 3, seed=0)
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[1]["image"] = {"bytes": None, "path": "x.png"}
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    questions = read_cvbench(path)
    assert questions[0].image().mode == "RGB"
    with pytest.raises(ValueError, match=r"cvbench\.parquet: row 1: the image is empty"):
        questions[1].image()


def test_equal_images_are_equal_wherever_they_lie(sat: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(sat), tmp_path / "copy.parquet")
    here, there = read_sat(sat, 0), read_sat(tmp_path / "copy.parquet", 0)
    assert here == there
    assert here[0].stored_image != there[1].stored_image
    assert hash(here[5]) == hash(there[5])


def test_the_fingerprint_follows_order_and_content(sat: Path) -> None:
    questions = read_sat(sat, 0)
    order = [3, 1, 4, 1, 5]
    print_ = fingerprint(questions, order)
    assert len(print_) == 64
    assert fingerprint(read_sat(sat, 0), list(order)) == print_
    others = [
        fingerprint(questions, [1, 3, 4, 1, 5]),
        fingerprint(questions, order[:-1]),
        fingerprint(questions, [*order, 5]),
        fingerprint(read_sat(sat, 1), order),
    ]
    for change in (
        {"text": "another?"},
        {"answer": next(each for each in questions[1].choices if each != questions[1].answer)},
        {"choices": questions[1].choices[::-1]},
        {"stored_image": questions[2].image_bytes},
    ):
        others.append(fingerprint([questions[0], replace(questions[1], **change), *questions[2:]], order))
    assert print_ not in others
    assert len(set(others)) == len(others)
    assert fingerprint([*questions[:6], *questions[:44]], order) == print_  # what is not trained on has no say


def test_the_fingerprint_reads_each_image_once_and_in_the_files_order(sat: Path) -> None:
    questions = read_sat(sat, 0)
    rows: list[int] = []
    read = ImageColumn.read

    def counted(self: ImageColumn, row: int) -> bytes:
        rows.append(row)
        return read(self, row)

    with patch.object(ImageColumn, "read", counted):
        fingerprint(questions, [9, 3, 9, 20, 3, 9])
    assert rows == [3, 9, 20]
