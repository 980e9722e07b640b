"""Fetching against a hub made of functions: no network here."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from huggingface_hub import errors

from harness.models import fetch as module
from harness.models.fetch import FetchError, fetch
from harness.study.errors import StudyError
from harness.study.revisions import REVISIONS_FILE, unpinned
from harness.study.schema import Study

SHAS = {"Qwen/Qwen2-VL-2B": "a" * 40, "Qwen/Qwen2-VL-2B-Instruct": "b" * 40, "array/SAT": "c" * 40}
PINNED = "d" * 40


@pytest.fixture
def study() -> Study:
    return Study.model_validate(
        {
            "study": "s",
            "seeds": [0],
            "models": {
                "base": {"hub": {"id": "Qwen/Qwen2-VL-2B"}},
                "instruct": {"hub": {"id": "Qwen/Qwen2-VL-2B-Instruct", "revision": "v1"}},
                "small": {"tiny": {}},
            },
            "data": {
                "train": {"hub": {"id": "array/SAT", "files": ["data/SAT_train.parquet", "data/more.parquet"]}},
                "test": {"hub": {"id": "nyu-visionx/CV-Bench", "revision": PINNED, "files": ["test_2d.parquet"]}},
            },
            "protocols": {"p": {"prompt": "paper-base-think"}},
            "factors": {"start": ["base"]},
            "arms": [{}],
        }
    )


class Hub:
    """What the client's functions were asked, and where they say the files are."""

    def __init__(self, cache: Path):
        self.cache = cache
        self.asked: list[tuple[Any, ...]] = []

    def repo_info(self, id: str, *, revision: str, repo_type: str) -> SimpleNamespace:
        self.asked.append(("info", repo_type, id, revision))
        return SimpleNamespace(sha=SHAS[id])

    def snapshot(self, id: str, *, revision: str, allow_patterns: list[str]) -> str:
        assert "*.safetensors" in allow_patterns
        assert not any("bin" in each or each == "*" for each in allow_patterns)
        self.asked.append(("model", id, revision))
        return str(self.cache / id / revision)

    def file(self, id: str, name: str, *, repo_type: str, revision: str) -> str:
        assert repo_type == "dataset"
        self.asked.append(("file", id, name, revision))
        return str(self.cache / id / revision / name)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(tmp_path / "cache")
    monkeypatch.setattr(module, "HfApi", lambda: made)
    monkeypatch.setattr(module, "snapshot_download", made.snapshot)
    monkeypatch.setattr(module, "hf_hub_download", made.file)
    return made


def test_branches_are_pinned_and_everything_is_downloaded_at_its_commit(study: Study, hub: Hub, tmp_path: Path) -> None:
    lines: list[str] = []
    fetched = fetch(study, tmp_path, lines.append)
    assert [(each.where, each.id, each.revision, each.commit) for each in fetched] == [
        ("models.base.hub", "Qwen/Qwen2-VL-2B", "main", "a" * 40),
        ("models.instruct.hub", "Qwen/Qwen2-VL-2B-Instruct", "v1", "b" * 40),
        ("data.train.hub", "array/SAT", "main", "c" * 40),
        ("data.test.hub", "nyu-visionx/CV-Bench", PINNED, PINNED),
    ]
    assert fetched[0].path == hub.cache / "Qwen/Qwen2-VL-2B" / ("a" * 40)
    assert fetched[2].path == hub.cache / "array/SAT" / ("c" * 40)
    assert hub.asked == [
        ("info", "model", "Qwen/Qwen2-VL-2B", "main"),
        ("model", "Qwen/Qwen2-VL-2B", "a" * 40),
        ("info", "model", "Qwen/Qwen2-VL-2B-Instruct", "v1"),
        ("model", "Qwen/Qwen2-VL-2B-Instruct", "b" * 40),
        ("info", "dataset", "array/SAT", "main"),
        ("file", "array/SAT", "data/SAT_train.parquet", "c" * 40),
        ("file", "array/SAT", "data/more.parquet", "c" * 40),
        ("file", "nyu-visionx/CV-Bench", "test_2d.parquet", PINNED),
    ]
    assert yaml.safe_load((tmp_path / REVISIONS_FILE).read_text()) == {
        "Qwen/Qwen2-VL-2B@main": "a" * 40,
        "Qwen/Qwen2-VL-2B-Instruct@v1": "b" * 40,
        "datasets/array/SAT@main": "c" * 40,
    }
    assert lines[0] == f"models.base.hub: Qwen/Qwen2-VL-2B at {'a' * 40}"
    assert set(unpinned(study)) == {"Qwen/Qwen2-VL-2B@main", "Qwen/Qwen2-VL-2B-Instruct@v1", "datasets/array/SAT@main"}


def test_what_is_pinned_already_is_not_looked_up_and_what_others_pinned_stays(
    study: Study, hub: Hub, tmp_path: Path
) -> None:
    pins = {"Qwen/Qwen2-VL-2B@main": "e" * 40, "other/model@main": "f" * 40}
    (tmp_path / REVISIONS_FILE).write_text(yaml.safe_dump(pins))
    assert fetch(study, tmp_path)[0].commit == "e" * 40
    assert ("info", "model", "Qwen/Qwen2-VL-2B", "main") not in hub.asked
    assert pins.items() <= yaml.safe_load((tmp_path / REVISIONS_FILE).read_text()).items()
    asked = len([each for each in hub.asked if each[0] == "info"])
    fetch(study, tmp_path)
    assert len([each for each in hub.asked if each[0] == "info"]) == asked == 2


def _http(kind: type[Exception], status: int, text: str) -> Exception:
    # the client's errors want a response of the HTTP library that it was built with
    error = kind.__new__(kind)
    Exception.__init__(error, f"{status} Client Error. {text}\nmore")
    return error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            _http(errors.RevisionNotFoundError, 404, "no"),
            "has no revision 'main'; look at its branches, tags and commits",
        ),
        (
            _http(errors.RepositoryNotFoundError, 404, "no"),
            "the hub has no Qwen/Qwen2-VL-2B, or it is private; look for",
        ),
        (_http(errors.GatedRepoError, 403, "no"), "is gated; ask for access on its page, then set HF_TOKEN"),
        (_http(errors.HfHubHTTPError, 503, "busy"), r"the hub answers 503 Client Error\. busy$"),
        (errors.OfflineModeIsEnabled("offline"), "HF_HUB_OFFLINE is set; unset it"),
        (ConnectionError("Name or service not known"), "can't be fetched from http.*: Name or .*is there a network"),
        (OSError("[Errno 101] Network is unreachable"), "Network is unreachable; is there a network"),
    ],
)
def test_what_goes_wrong_is_told_with_the_setting_and_the_mend(
    error: Exception, message: str, study: Study, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(hub, "repo_info", fail)
    with pytest.raises(FetchError, match=rf"^models\.base\.hub: .*{message}") as seen:
        fetch(study, tmp_path)
    assert "\n" not in str(seen.value)
    assert not (tmp_path / REVISIONS_FILE).exists()


def test_a_file_that_the_data_set_lacks_is_named(
    study: Study, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def file(id: str, name: str, **_: Any) -> None:
        raise errors.EntryNotFoundError(f"404 Client Error: {name} does not exist")

    monkeypatch.setattr(module, "hf_hub_download", file)
    with pytest.raises(FetchError, match=r"data\.train\.hub: array/SAT at 'main' lacks a file: .*SAT_train\.parquet"):
        fetch(study, tmp_path)
    assert "datasets/array/SAT@main" in yaml.safe_load((tmp_path / REVISIONS_FILE).read_text())


def test_a_revisions_file_that_means_nothing_stops_it(study: Study, hub: Hub, tmp_path: Path) -> None:
    (tmp_path / REVISIONS_FILE).write_text("Qwen/Qwen2-VL-2B@main: latest\n")
    with pytest.raises(StudyError, match="'Qwen/Qwen2-VL-2B@main': 'latest' is no owner/name@revision with a commit"):
        fetch(study, tmp_path)
    assert hub.asked == []


def test_a_lookup_without_a_commit_is_an_error(
    study: Study, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "repo_info", lambda *_, **__: SimpleNamespace(sha=None))
    with pytest.raises(FetchError, match=r"models\.base\.hub: the hub gives None for Qwen/Qwen2-VL-2B@main"):
        fetch(study, tmp_path)
