import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.study.errors import StudyError
from harness.study.revisions import REVISIONS_FILE, apply_revisions, unpinned
from harness.study.schema import Study

MAIN, TAG, DATA = "a" * 40, "b" * 40, "c" * 40


def _data() -> dict[str, Any]:
    return {
        "study": "s",
        "seeds": [0],
        "models": {
            "base": {"hub": {"id": "Qwen/Qwen2-VL-2B"}},
            "instruct": {"hub": {"id": "Qwen/Qwen2-VL-2B-Instruct", "revision": "v1"}},
            "again": {"hub": {"id": "Qwen/Qwen2-VL-2B", "revision": "main"}},
            "fixed": {"hub": {"id": "Qwen/Qwen2-VL-2B", "revision": "f" * 40}},
            "small": {"tiny": {}},
        },
        "data": {
            "train": {"hub": {"id": "array/SAT", "files": ["a.parquet"]}},
            "test": {"files": ["/data/test.parquet"]},
        },
        "protocols": {"p": {"prompt": "paper-base-think"}},
        "factors": {"start": ["base"]},
        "arms": [{}],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pins = {
        "Qwen/Qwen2-VL-2B@main": MAIN,
        "Qwen/Qwen2-VL-2B-Instruct@v1": TAG,
        "datasets/array/SAT@main": DATA,
        "array/SAT@main": "d" * 40,
    }
    (tmp_path / REVISIONS_FILE).write_text(yaml.safe_dump(pins))
    return tmp_path


def test_branches_and_tags_become_commits(folder: Path) -> None:
    data = _data()
    pinned = apply_revisions(data, folder)
    assert data == _data()
    models = pinned["models"]
    assert {name: model["hub"]["revision"] for name, model in models.items() if "hub" in model} == {
        "base": MAIN,
        "instruct": TAG,
        "again": MAIN,
        "fixed": "f" * 40,
    }
    assert pinned["data"]["train"]["hub"] == {"id": "array/SAT", "files": ["a.parquet"], "revision": DATA}
    assert pinned["data"]["test"] == data["data"]["test"]
    assert unpinned(Study.model_validate(pinned)) == []
    assert list(models) == list(data["models"])


def test_what_has_no_commit_yet_is_named_once(tmp_path: Path) -> None:
    study = Study.model_validate(apply_revisions(_data(), tmp_path))
    assert unpinned(study) == ["Qwen/Qwen2-VL-2B@main", "Qwen/Qwen2-VL-2B-Instruct@v1", "datasets/array/SAT@main"]


@pytest.mark.parametrize(
    "change",
    [
        {"models": None},
        {"models": ["base"]},
        {"models": {"base": None, "other": "hub", "third": {"hub": "Qwen/Qwen2-VL-2B"}, "fourth": {"hub": {"id": 3}}}},
        {"data": None},
        {"data": {"train": []}},
        {"models": {"base": {"hub": {"id": "Qwen/Qwen2-VL-2B", "revision": 3}}}},
    ],
)
def test_what_is_not_where_it_should_be_is_left_to_the_schema(change: dict[str, Any], folder: Path) -> None:
    data = {"study": "s"} | change
    assert apply_revisions(copy.deepcopy(data), folder) == data


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "can't be read"),
        ("- Qwen/Qwen2-VL-2B@main", "should be a mapping from owner/name@revision to commits"),
        ("Qwen/Qwen2-VL-2B@main: abc", "'Qwen/Qwen2-VL-2B@main': 'abc' is no owner/name@revision with a commit"),
        (f"Qwen2-VL-2B: {MAIN}", f"'Qwen2-VL-2B': '{MAIN}' is no owner/name@revision"),
        (f"Qwen/Qwen2-VL-2B@main: {'1' * 40}", "in quotes; take the line out and run `ablate fetch`"),
    ],
)
def test_a_file_that_means_nothing_is_an_error(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / REVISIONS_FILE).write_text(text)
    with pytest.raises(StudyError, match=message):
        apply_revisions(_data(), tmp_path)


def test_an_empty_file_pins_nothing(tmp_path: Path) -> None:
    (tmp_path / REVISIONS_FILE).write_text("# nothing yet\n")
    assert apply_revisions(_data(), tmp_path) == _data()
