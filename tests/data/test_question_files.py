import hashlib
from collections import Counter, defaultdict
from pathlib import Path

import grid_oracle
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data import world_stage
from harness.data.files import read_cvbench, read_sat
from harness.data.order import row_order
from harness.data.question import shuffled_choices
from harness.data.world import TASKS, scene_rng
from harness.record.context import StageContext

SAT_COLUMNS = ["image_bytes", "question", "answers", "question_type", "correct_answer"]
CVBENCH_COLUMNS = [
    *("idx", "type", "task", "image", "question", "choices", "answer", "prompt", "filename", "source"),
    *("source_dataset", "source_filename", "target_class", "target_size", "bbox"),
]


def test_files_have_the_columns_of_the_real_data_sets(world: Path) -> None:
    train, test = pq.read_schema(world / "train.parquet"), pq.read_schema(world / "test.parquet")
    assert train.names == SAT_COLUMNS
    assert train.field("image_bytes").type == pa.list_(pa.binary())
    assert train.field("answers").type == pa.list_(pa.string())
    assert test.names == CVBENCH_COLUMNS
    assert test.field("image").type == pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    assert test.field("choices").type == pa.list_(pa.string())


def test_training_answers_are_what_the_pictures_show(world: Path) -> None:
    questions = read_sat(world / "train.parquet", option_seed=0)
    assert [question.index for question in questions] == list(range(40))
    assert Counter(question.task for question in questions) == dict.fromkeys(TASKS, 10)
    for question in questions:
        assert question.answer == grid_oracle.answer(
            grid_oracle.read_grid(question.image()), question.text, question.choices
        )
        assert question.source == "SAT"


def test_test_answers_are_what_the_pictures_show(world: Path) -> None:
    questions = read_cvbench(world / "test.parquet")
    rows = pq.read_table(world / "test.parquet").to_pylist()
    assert [question.index for question in questions] == list(range(24))
    assert set(Counter(question.task for question in questions)) == set(TASKS)
    for question, row in zip(questions, rows, strict=True):
        grid = grid_oracle.read_grid(question.image())
        assert question.answer == grid_oracle.answer(grid, question.text, question.choices)
        assert row["answer"] == f"({question.answer_letter})"
        assert row["prompt"].splitlines()[1:] == [
            f"({letter}) {choice}" for letter, choice in zip("ABC", question.choices, strict=False)
        ]
        assert question.type == ("2D" if question.task in ("Count", "Relation") else "3D")


def test_pairs_share_an_image_and_nothing_else_does(world: Path) -> None:
    by_image = defaultdict(list)
    questions = read_cvbench(world / "test.parquet")
    for question in questions:
        by_image[question.image_id].append(question)
    for same in by_image.values():
        assert len({each.image_bytes for each in same}) == 1
        assert len({(each.text, frozenset(each.choices)) for each in same}) == len(same) <= 2
        assert len({each.task for each in same}) == 1
    assert any(len(same) == 2 for same in by_image.values())
    test_images = {each.image_bytes for each in questions}
    assert len(test_images) == len(by_image)
    train_images = {each.image_bytes for each in read_sat(world / "train.parquet", 0)}
    assert not test_images & train_images


def test_a_limit_takes_questions_from_all_over_the_file(world: Path) -> None:
    """The first ones would be of one source: benchmarks are sorted."""
    everything = read_cvbench(world / "test.parquet")
    assert read_cvbench(world / "test.parquet", 7) == [everything[place] for place in (0, 3, 6, 10, 13, 17, 20)]
    assert read_cvbench(world / "test.parquet", 24) == read_cvbench(world / "test.parquet", 99) == everything


def test_a_world_is_written_the_same_again(world: Path, tmp_path: Path) -> None:
    seen = []
    context = StageContext(tmp_path, {"train_questions": 40, "test_questions": 24})
    context.report, context.report_every = lambda step, total, numbers: seen.append((step, total)), 0.0
    world_stage.run(context)
    for name in ("train.parquet", "test.parquet"):
        digests = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for folder in (world, tmp_path)]
        assert digests[0] == digests[1]
    assert seen[-1][0] >= seen[-1][1] == 64


def test_a_larger_world_begins_with_the_smaller(world: Path, tmp_path: Path) -> None:
    world_stage.run(StageContext(tmp_path, {"train_questions": 43, "test_questions": 25}))
    assert read_sat(tmp_path / "train.parquet", 0)[:40] == read_sat(world / "train.parquet", 0)
    assert read_cvbench(tmp_path / "test.parquet", 24) == read_cvbench(world / "test.parquet")


def test_a_training_image_in_the_test_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_stage, "scene_rng", lambda split, index: scene_rng("train", index))
    with pytest.raises(ValueError, match="test scene 0 shows the same image as a training scene"):
        world_stage.run(StageContext(tmp_path, {"train_questions": 4, "test_questions": 4}))


@pytest.mark.parametrize(("reader", "name"), [(lambda p: read_sat(p, 0), "train"), (read_cvbench, "test")])
def test_a_missing_column_is_named(reader, name: str, world: Path, tmp_path: Path) -> None:
    table = pq.read_table(world / f"{name}.parquet").drop_columns(["question"])
    pq.write_table(table, tmp_path / "broken.parquet")
    with pytest.raises(ValueError, match=r"broken\.parquet: columns \['question'\] are missing; it has \["):
        reader(tmp_path / "broken.parquet")


def _with(table: pa.Table, column: str, row: int, value: object) -> pa.Table:
    rows = table.to_pylist()
    rows[row][column] = value
    return pa.Table.from_pylist(rows, table.schema)


def test_a_correct_answer_that_is_no_option_is_refused(world: Path, tmp_path: Path) -> None:
    table = _with(pq.read_table(world / "train.parquet"), "correct_answer", 3, "pink")
    pq.write_table(table, tmp_path / "bad.parquet")
    with pytest.raises(ValueError, match="row 3: correct_answer 'pink' is not among answers"):
        read_sat(tmp_path / "bad.parquet", 0)


@pytest.mark.parametrize("images", [0, 2])
def test_a_row_without_exactly_one_image_is_refused(images: int, world: Path, tmp_path: Path) -> None:
    table = pq.read_table(world / "train.parquet")
    png = table["image_bytes"][2].as_py()[0]
    pq.write_table(_with(table, "image_bytes", 2, [png] * images), tmp_path / "bad.parquet")
    questions = read_sat(tmp_path / "bad.parquet", 0)
    assert questions[3].image().size == (84, 84)
    with pytest.raises(ValueError, match=f"row 2: {images} images; a question is about one"):
        questions[2].image()


@pytest.mark.parametrize("letter", ["(D)", "", "(AB)", "(é)", "()", None])
def test_a_letter_that_names_no_option_is_refused(letter: str | None, world: Path, tmp_path: Path) -> None:
    table = _with(pq.read_table(world / "test.parquet"), "answer", 5, letter)
    pq.write_table(table, tmp_path / "bad.parquet")
    with pytest.raises(ValueError, match=r"idx 5: answer .* is no letter of its \d choices"):
        read_cvbench(tmp_path / "bad.parquet")


def test_more_columns_and_another_order_do_no_harm(world: Path, tmp_path: Path) -> None:
    table = pq.read_table(world / "test.parquet").append_column("extra", pa.array(range(24)))
    pq.write_table(table.select(table.column_names[::-1]), tmp_path / "more.parquet")
    assert read_cvbench(tmp_path / "more.parquet") == read_cvbench(world / "test.parquet")


@given(
    st.lists(st.text(max_size=5), min_size=1, max_size=8, unique=True),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
def test_the_order_of_options_depends_on_seed_and_row_alone(choices: list[str], seed: int, row: int) -> None:
    order = shuffled_choices(choices, seed, row)
    assert sorted(order) == sorted(choices)
    assert shuffled_choices(list(choices), seed, row) == order
    # The same permutation whatever the texts are: neither they nor earlier draws have a say.
    assert order == tuple(choices[int(i)] for i in shuffled_choices(list(map(str, range(len(choices)))), seed, row))


def test_seeds_and_rows_shuffle_differently() -> None:
    choices = list("abcdefgh")
    assert len({shuffled_choices(choices, seed, 0) for seed in range(50)}) > 45
    assert len({shuffled_choices(choices, 0, row) for row in range(50)}) > 45
    firsts = Counter(shuffled_choices(["a", "b"], 0, row)[0] for row in range(1000))
    assert abs(firsts["a"] - 500) < 72


@given(st.integers(1, 60), st.integers(0, 300), st.integers(0, 2**31))
def test_every_epoch_is_a_permutation(rows: int, wanted: int, seed: int) -> None:
    order = row_order(rows, wanted, seed)
    assert len(order) == wanted
    for start in range(0, wanted, rows):
        epoch = order[start : start + rows]
        assert len(set(epoch)) == len(epoch)
        assert set(epoch) <= set(range(rows))


@given(st.integers(1, 60), st.integers(0, 100), st.integers(0, 100), st.integers(0, 2**31))
def test_a_shorter_training_sees_the_first_of_the_same_rows(rows: int, a: int, b: int, seed: int) -> None:
    assert row_order(rows, min(a, b), seed) == row_order(rows, max(a, b), seed)[: min(a, b)]


def test_seeds_and_epochs_order_rows_differently() -> None:
    assert row_order(100, 100, 0) != row_order(100, 100, 1)
    both = row_order(100, 200, 0)
    assert both[:100] != both[100:]


def test_no_rows_to_order_is_an_error() -> None:
    with pytest.raises(ValueError, match="no rows"):
        row_order(0, 3, 0)
