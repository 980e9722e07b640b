import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from harness.data import import_stage
from harness.data.checks import image_problem
from harness.data.files import CVBENCH_SCHEMA, SAT_SCHEMA, read_cvbench, read_sat
from harness.data.import_stage import GROUP_ROWS, check_files, run_cvbench, run_sat
from harness.data.small import write_small_cvbench, write_small_sat
from harness.record.context import StageContext, StopRequested
from harness.study.content import file_digest
from harness.study.sources import CVBenchSettings, SatSettings

Row = dict[str, Any]


@pytest.fixture(scope="module")
def sat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 sound rows. Not to be written to."""
    path = tmp_path_factory.mktemp("sat") / "train.parquet"
    write_small_sat(path, 40, seed=1)
    return path


@pytest.fixture(scope="module")
def cvbench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 sound rows. Not to be written to."""
    path = tmp_path_factory.mktemp("cvbench") / "test.parquet"
    write_small_cvbench(path, 24, seed=1)
    return path


def _context(folder: Path, *files: Path, share: float = 0.0, **settings: Any) -> StageContext:
    content = [file_digest(file) for file in files]
    folder.mkdir(exist_ok=True)
    identity = {"hub": None, "malformed_share": share, "content": content, **settings}
    return StageContext(folder, identity, {"files": [str(file) for file in files]})


def _report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "rows.json").read_text())


def _changed(source: Path, target: Path, change: dict[int, Row], schema: pa.Schema | None = None) -> Path:
    """A copy of a file with some values of some rows replaced."""
    table = pq.read_table(source)
    rows = table.to_pylist()
    for row, values in change.items():
        rows[row] |= values
    pq.write_table(pa.Table.from_pylist(rows, schema or table.schema), target)
    return target


def _picture(size: tuple[int, int] = (90, 70), kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 90).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


PICTURE = _picture()
TRUNCATED = PICTURE[: len(PICTURE) // 2]


def test_sound_rows_are_taken_over_unchanged_in_small_groups(sat: Path, tmp_path: Path) -> None:
    run_sat(_context(tmp_path / "out", sat))
    written = pq.ParquetFile(tmp_path / "out" / "train.parquet")
    assert written.schema_arrow.names == [*SAT_SCHEMA.names, "row"]
    assert [written.metadata.row_group(i).num_rows for i in range(3)] == [GROUP_ROWS, GROUP_ROWS, 8]
    table = written.read()
    assert table["row"].to_pylist() == list(range(40))
    assert table.drop_columns(["row"]).to_pylist() == pq.read_table(sat).to_pylist()
    assert _report(tmp_path / "out") == {
        "rows": 40,
        "kept": 40,
        "multi_image": 0,
        "malformed": [],
        "columns_left_empty": [],
    }
    assert read_sat(tmp_path / "out" / "train.parquet", 7) == read_sat(sat, 7)


def test_files_are_read_in_their_order_and_first_rows_counts_before_anything_is_left_out(
    sat: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.parquet"
    write_small_sat(other, 10, seed=2)
    many = _changed(other, tmp_path / "many.parquet", {2: {"image_bytes": [PICTURE, PICTURE]}, 3: {"question": " "}})
    run_sat(_context(tmp_path / "out", many, sat, share=0.1, first_rows=15))
    report = _report(tmp_path / "out")
    assert report == {
        "rows": 15,
        "kept": 13,
        "multi_image": 1,
        "malformed": [{"row": 3, "reason": "question empty"}],
        "columns_left_empty": [],
    }
    table = pq.read_table(tmp_path / "out" / "train.parquet")
    assert table["row"].to_pylist() == [0, 1, *range(4, 15)]
    expected = [row["question"] for row in pq.read_table(many).to_pylist() + pq.read_table(sat).to_pylist()]
    assert table["question"].to_pylist() == [expected[row] for row in table["row"].to_pylist()]


def test_a_question_is_named_and_its_options_are_shuffled_by_its_row_in_the_source(sat: Path, tmp_path: Path) -> None:
    broken = _changed(sat, tmp_path / "broken.parquet", {1: {"image_bytes": [PICTURE] * 3}, 4: {"image_bytes": [b"x"]}})
    run_sat(_context(tmp_path / "out", broken, share=0.05))
    whole = {each.index: each for each in read_sat(sat, 3)}
    kept = read_sat(tmp_path / "out" / "train.parquet", 3)
    assert [each.index for each in kept] == [0, 2, 3, *range(5, 40)]
    assert all(each == whole[each.index] for each in kept)


SAT_FAULTS: list[tuple[Row, str]] = [
    ({"image_bytes": []}, "no image"),
    ({"image_bytes": None}, "no image"),
    ({"image_bytes": [None]}, "no image"),
    ({"image_bytes": [b"not an image"]}, "the image is in no format that PIL knows"),
    ({"image_bytes": [TRUNCATED]}, "the image can't be decoded: image file is truncated"),
    ({"image_bytes": [_picture((402, 2), "PNG")]}, "the image has 402 x 2 pixels, a ratio above 200"),
    ({"question": ""}, "question empty"),
    ({"question": None, "question_type": None}, "question and question_type empty"),
    ({"answers": ["one"], "correct_answer": "one"}, "1 answers; a question has 2 to 8"),
    ({"answers": None}, "0 answers; a question has 2 to 8"),
    ({"answers": list("abcdefghi"), "correct_answer": "a"}, "9 answers; a question has 2 to 8"),
    ({"answers": ["a", "a"], "correct_answer": "a"}, "the same option twice in answers ['a', 'a']"),
    ({"answers": ["a", None], "correct_answer": "a"}, "an empty option in answers ['a', None]"),
    ({"answers": ["a", "b"], "correct_answer": "A"}, "correct_answer 'A' is not among answers ['a', 'b']"),
]


@pytest.mark.parametrize(("change", "reason"), SAT_FAULTS)
def test_a_malformed_training_row_is_listed_and_left_out_or_stops_the_stage(
    change: Row, reason: str, sat: Path, tmp_path: Path
) -> None:
    broken = _changed(sat, tmp_path / "broken.parquet", {11: change})
    run_sat(_context(tmp_path / "out", broken, share=0.025))
    ((fault,), kept) = _report(tmp_path / "out")["malformed"], _report(tmp_path / "out")["kept"]
    assert (fault["row"], kept) == (11, 39)
    assert fault["reason"].startswith(reason)
    assert 11 not in pq.read_table(tmp_path / "out" / "train.parquet")["row"].to_pylist()
    with pytest.raises(ValueError, match="1 of 40 rows are malformed, more than malformed_share") as seen:
        run_sat(_context(tmp_path / "none", broken))
    assert f"row 11: {reason}" in str(seen.value)
    assert len(_report(tmp_path / "none")["malformed"]) == 1
    assert not (tmp_path / "none" / "train.parquet").exists()


CVBENCH_FAULTS: list[tuple[Row, str]] = [
    ({"answer": "(E)"}, "answer '(E)' is no letter of its"),
    ({"answer": None}, "answer None is no letter of its"),
    ({"image": None}, "no image"),
    ({"image": {"bytes": None, "path": "gone.png"}}, "no image"),
    ({"image": {"bytes": TRUNCATED, "path": None}}, "the image can't be decoded"),
    ({"prompt": "", "source_filename": None}, "prompt and source_filename empty"),
    ({"choices": list("abcdefghi")}, "9 choices; a question has 2 to 8"),
    ({"idx": 3}, "idx 3 was there before"),
    ({"idx": None}, "no idx"),
]


@pytest.mark.parametrize(("change", "reason"), CVBENCH_FAULTS)
def test_a_malformed_test_row_is_listed_and_left_out_or_stops_the_stage(
    change: Row, reason: str, cvbench: Path, tmp_path: Path
) -> None:
    broken = _changed(cvbench, tmp_path / "broken.parquet", {7: change})
    run_cvbench(_context(tmp_path / "out", broken, share=0.05))
    (fault,) = _report(tmp_path / "out")["malformed"]
    assert fault["row"] == 7
    assert fault["reason"].startswith(reason)
    assert [each.index for each in read_cvbench(tmp_path / "out" / "test.parquet")] == [*range(7), *range(8, 24)]
    with pytest.raises(ValueError, match="more than malformed_share"):
        run_cvbench(_context(tmp_path / "none", broken))


def test_the_message_shows_the_first_few_and_the_file_all(sat: Path, tmp_path: Path) -> None:
    broken = _changed(sat, tmp_path / "broken.parquet", {row: {"question": ""} for row in range(20, 30)})
    with pytest.raises(ValueError, match="10 of 40 rows are malformed") as seen:
        run_sat(_context(tmp_path / "out", broken, share=0.2))
    assert str(seen.value).count("question empty") == 5
    assert str(seen.value).endswith("... and 5 more in rows.json")
    assert [each["row"] for each in _report(tmp_path / "out")["malformed"]] == list(range(20, 30))


def test_a_file_without_a_single_question_is_refused(sat: Path, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(sat).slice(0, 0), tmp_path / "empty.parquet")
    with pytest.raises(ValueError, match="none of the 0 rows is a question about one image"):
        run_sat(_context(tmp_path / "out", tmp_path / "empty.parquet"))


def test_the_test_file_keeps_its_columns(cvbench: Path, tmp_path: Path) -> None:
    run_cvbench(_context(tmp_path / "out", cvbench))
    table = pq.read_table(tmp_path / "out" / "test.parquet")
    assert table.column_names == [*CVBENCH_SCHEMA.names, "row"]
    assert table.drop_columns(["row"]).to_pylist() == pq.read_table(cvbench).to_pylist()
    assert read_cvbench(tmp_path / "out" / "test.parquet") == read_cvbench(cvbench)


def test_other_layouts_of_the_same_columns_are_read_too(cvbench: Path, tmp_path: Path) -> None:
    """Large strings, categories, narrow integers, images as bare bytes, and columns that nothing reads."""
    table = pq.read_table(cvbench)
    images = pa.array([each["bytes"] for each in table["image"].to_pylist()], pa.large_binary())
    table = (
        table.set_column(table.column_names.index("image"), "image", images)
        .set_column(0, "idx", table["idx"].cast(pa.int32()))
        .set_column(1, "type", table["type"].dictionary_encode())
        .set_column(4, "question", table["question"].cast(pa.large_string()))
        .set_column(5, "choices", table["choices"].cast(pa.large_list(pa.large_string())))
    )
    position = table.column_names.index("bbox")
    table = table.set_column(position, "bbox", pa.array(["[1, 2]"] * 24)).append_column("more", pa.array(range(24)))
    pq.write_table(table, tmp_path / "other.parquet")
    run_cvbench(_context(tmp_path / "out", tmp_path / "other.parquet"))
    assert read_cvbench(tmp_path / "out" / "test.parquet") == read_cvbench(cvbench)
    assert _report(tmp_path / "out")["columns_left_empty"] == ["bbox"]


def test_columns_are_checked_before_anything_is_read(sat: Path, tmp_path: Path) -> None:
    table = pq.read_table(sat)
    pq.write_table(table.drop_columns(["answers", "question"]), tmp_path / "missing.parquet")
    texts = pa.array([str(each) for each in table["answers"].to_pylist()])
    pq.write_table(table.set_column(2, "answers", texts), tmp_path / "text.parquet")
    (tmp_path / "no.parquet").write_bytes(b"nothing of the kind")
    files = [sat, *(tmp_path / name for name in ("missing.parquet", "text.parquet", "no.parquet", "absent.parquet"))]
    found = check_files(SatSettings(files=[str(file) for file in files]))
    assert len(found) == 4
    assert "missing.parquet: columns ['question', 'answers'] are missing; it has ['image_bytes'," in found[0]
    assert found[1].endswith("text.parquet: column answers is string; it should be list<item: string>")
    assert "no.parquet: no parquet file that can be read" in found[2]
    assert "absent.parquet: no parquet file that can be read" in found[3]
    with pytest.raises(ValueError, match=r"missing\.parquet: columns \['question', 'answers'\] are missing"):
        run_sat(_context(tmp_path / "out", sat, tmp_path / "missing.parquet"))
    assert list((tmp_path / "out").iterdir()) == []


def test_each_kind_is_checked_against_its_own_columns(sat: Path, cvbench: Path) -> None:
    assert check_files(SatSettings(files=[str(sat)])) == check_files(CVBenchSettings(files=[str(cvbench)])) == []
    assert "'idx'" in check_files(CVBenchSettings(files=[str(sat)]))[0]


def test_files_of_a_hub_that_are_not_at_hand_are_known_before_anything_is_launched() -> None:
    hub: Any = {"id": "array/SAT", "revision": "a" * 40, "files": ["x.parquet"]}
    (problem,) = check_files(SatSettings(hub=hub))
    assert "x.parquet of array/SAT" in problem
    assert "ablate fetch" in problem
    (problem,) = check_files(SatSettings(hub=hub | {"revision": "main"}))
    assert "no commit" in problem


def test_a_file_that_changed_since_planning_is_refused(sat: Path, tmp_path: Path) -> None:
    copy = _changed(sat, tmp_path / "copy.parquet", {})
    context = _context(tmp_path / "out", copy)
    _changed(sat, copy, {0: {"question": "another?"}})
    with pytest.raises(ValueError, match=r"copy\.parquet has changed since the study was planned; plan it anew"):
        run_sat(context)
    copy.unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no file .*copy\.parquet"):
        run_sat(context)


def test_a_stage_that_is_stopped_leaves_nothing_behind(sat: Path, tmp_path: Path) -> None:
    context = _context(tmp_path / "out", sat)

    def stop(step: int, total: int, numbers: dict[str, float]) -> None:
        context.stop_requested = step >= 20
        assert total == 40

    context.report, context.report_every = stop, 0.0
    with pytest.raises(StopRequested):
        run_sat(context)
    assert list((tmp_path / "out").iterdir()) == []


SHA = "bc284db50d036958861cb60cdd7b77612052ce0d"


@pytest.fixture
def cached(cvbench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str], str], StageContext]:
    """A stage on two files of a hub's cache, laid out as the client does it."""
    repository = tmp_path / "hub" / "datasets--nyu-visionx--CV-Bench"
    snapshot = repository / "snapshots" / SHA
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    table = pq.read_table(cvbench)
    for name, part in (("test_2d.parquet", table.slice(0, 14)), ("test_3d.parquet", table.slice(14))):
        pq.write_table(part, repository / "blobs" / name)
        (snapshot / name).symlink_to(Path("../../blobs") / name)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def stage(files: list[str], revision: str = SHA) -> StageContext:
        hub = {"id": "nyu-visionx/CV-Bench", "revision": revision, "files": files}
        (tmp_path / "out").mkdir(exist_ok=True)
        return StageContext(tmp_path / "out", {"hub": hub, "malformed_share": 0.0})

    return stage


def test_files_of_the_hub_are_read_from_the_cache(cached, cvbench: Path, tmp_path: Path) -> None:
    run_cvbench(cached(["test_2d.parquet", "test_3d.parquet"]))
    assert read_cvbench(tmp_path / "out" / "test.parquet") == read_cvbench(cvbench)


def test_files_that_were_not_fetched_are_named_with_the_mend(cached) -> None:
    with pytest.raises(FileNotFoundError, match=rf"more\.parquet of .* at {SHA} is not .* run `ablate fetch STUDY`"):
        run_cvbench(cached(["test_2d.parquet", "more.parquet"]))
    with pytest.raises(ValueError, match="revision 'main', which is no commit; run `ablate fetch STUDY` to pin it"):
        run_cvbench(cached(["test_2d.parquet"], "main"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "CMYK", "1", "I;16"])
def test_every_kind_of_pixel_is_an_image(mode: str) -> None:
    buffer = io.BytesIO()
    Image.new("L", (64, 48), 99).convert(mode).save(buffer, "JPEG" if mode == "CMYK" else "PNG")
    assert image_problem(buffer.getvalue()) is None


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_cut_image_is_found_wherever_it_was_cut(kind: str, share: float) -> None:
    data = _picture((120, 100), kind)
    assert image_problem(data) is None
    assert image_problem(data[: int(share * len(data))]) is not None


def test_a_source_file_is_not_taken_into_memory_at_once(tmp_path: Path) -> None:
    """Of 48 MB of images no more than a few row groups of 4 MB lie in memory."""
    rows = [
        {
            "image_bytes": [bytes([i]) * 2**18],
            "question": "?",
            "answers": ["a", "b"],
            "question_type": "t",
            "correct_answer": "a",
        }
        for i in range(192)
    ]
    path = tmp_path / "large.parquet"
    table = pa.Table.from_pylist(rows, SAT_SCHEMA)
    pq.write_table(table, path, compression="none", use_dictionary=False, row_group_size=16)
    del rows, table
    pool = pa.default_memory_pool()
    pool.release_unused()
    before, most, seen = pool.bytes_allocated(), 0, 0
    for _ in import_stage._rows([path], SAT_SCHEMA, [], 192):
        most = max(most, pool.bytes_allocated() - before)
        seen += 1
    assert seen == 192
    assert most < 32 * 2**20
