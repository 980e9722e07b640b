import io
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from harness.data.checks import cvbench_check, sat_verdict
from harness.data.files import CVBENCH_SCHEMA, SAT_SCHEMA, read_cvbench, read_sat
from harness.data.small import write_small_cvbench, write_small_sat


def test_small_files_have_the_real_columns_and_sound_rows(tmp_path: Path) -> None:
    write_small_sat(tmp_path / "sat.parquet", 30, seed=0)
    write_small_cvbench(tmp_path / "cvbench.parquet", 30, seed=0)
    sat, cvbench = pq.read_table(tmp_path / "sat.parquet"), pq.read_table(tmp_path / "cvbench.parquet")
    assert sat.schema.equals(SAT_SCHEMA)
    assert cvbench.schema.equals(CVBENCH_SCHEMA)
    check = cvbench_check()
    assert [sat_verdict(row) for row in sat.to_pylist()] == [None] * 30
    assert [check(row) for row in cvbench.to_pylist()] == [None] * 30


def test_images_differ_in_size_and_format_and_questions_in_their_options(tmp_path: Path) -> None:
    write_small_sat(tmp_path / "sat.parquet", 60, seed=0)
    questions = read_sat(tmp_path / "sat.parquet", 0)
    images = [Image.open(io.BytesIO(each.image_bytes)) for each in questions]
    assert {image.format for image in images} == {"PNG", "JPEG"}
    assert len({image.size for image in images}) > 50
    assert all(60 <= side <= 200 for image in images for side in image.size)
    assert {len(each.choices) for each in questions} == {2, 3, 4}


def test_the_benchmark_has_all_tasks_and_sources_and_shared_images(tmp_path: Path) -> None:
    write_small_cvbench(tmp_path / "cvbench.parquet", 24, seed=3)
    questions = read_cvbench(tmp_path / "cvbench.parquet")
    assert Counter(each.task for each in questions) == {"Count": 6, "Relation": 6, "Depth": 6, "Distance": 6}
    assert {(each.type, each.source) for each in questions} == {("2D", "ADE20K"), ("2D", "COCO"), ("3D", "Omni3D")}
    assert {each.source for each in questions if each.task == "Count"} == {"ADE20K", "COCO"}
    by_image = defaultdict(list)
    for each in questions:
        by_image[each.image_id].append(each)
    shared = [group for group in by_image.values() if len(group) > 1]
    assert [len(group) for group in shared] == [2, 2, 2, 2]
    for a, b in shared:
        assert (a.image_bytes, a.source, a.type) == (b.image_bytes, b.source, b.type)
    assert len({each.image_bytes for each in questions}) == len(by_image)
    for each in questions:
        assert each.prompt.startswith(f"{each.text} Select from the following choices.\n(A) {each.choices[0]}\n(B) ")


def test_small_files_are_a_function_of_their_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_small_sat(tmp_path / f"{name}.sat", 8, seed)
        write_small_cvbench(tmp_path / f"{name}.cvb", 8, seed)
    for kind in ("sat", "cvb"):
        a, b, c = ((tmp_path / f"{name}.{kind}").read_bytes() for name in "abc")
        assert a == b != c
