"""Commits that stand for the branches and tags of a study's hub models and data, kept in a file beside the study."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.study.errors import Problem, StudyError, Where
from harness.study.schema import Study
from harness.study.sources import COMMIT, HubSettings

REVISIONS_FILE = "revisions.yaml"
_KEY = re.compile(r"(datasets/)?[\w.-]+/[\w.-]+@.+")


def revision_key(where: Where, id: str, revision: str) -> str:
    """``owner/name@revision``, with ``datasets/`` before a data set."""
    return f"{'datasets/' if where[0] == 'data' else ''}{id}@{revision}"


def read_revisions(folder: Path) -> dict[str, str]:
    """The commits in a folder's `REVISIONS_FILE` by `revision_key`; empty when there is no such file.

    Raises:
        StudyError: it holds something else.
    """
    path = folder / REVISIONS_FILE
    try:
        found = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StudyError([Problem((), f"{path} can't be read: {error}")]) from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise StudyError([Problem((), f"{path} should be a mapping from owner/name@revision to commits")])
    wrong = [
        f"{key!r}: {commit!r}"
        for key, commit in found.items()
        # without quotes YAML takes a commit of digits for a number
        if not (_KEY.fullmatch(str(key)) and isinstance(commit, str) and COMMIT.fullmatch(commit))
    ]
    if wrong:
        text = f"{path}: {wrong[0]} is no owner/name@revision with a commit of 40 hex digits in quotes"
        raise StudyError([Problem((), f"{text}; take the line out and run `ablate fetch`")])
    return found


def apply_revisions(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A study's raw data with the known commits in place of branches and tags.

    Args:
        data: as it stands in the file, not yet checked: what is not where it should be is left alone.
        folder: of the study file, where `REVISIONS_FILE` lies.

    Returns:
        A copy where anything changed.

    Raises:
        StudyError: `REVISIONS_FILE` can't be understood.
    """
    pins = read_revisions(folder)
    paths: list[Where] = [("data", "train", "hub"), ("data", "test", "hub")]
    models = data.get("models")
    if isinstance(models, dict):
        paths += [("models", name, "hub") for name in models]
    for where in paths if pins else ():
        hub = _at(data, where)
        if isinstance(hub, dict) and isinstance(hub.get("id"), str):
            revision = hub.get("revision", HubSettings.model_fields["revision"].default)
            commit = pins.get(revision_key(where, hub["id"], str(revision)))
            if commit:
                data = _with(data, where, {**hub, "revision": commit})
    return data


def hubs(study: Study) -> Iterator[tuple[Where, HubSettings]]:
    """All that a study takes from a hub, and where the study says so."""
    for name, model in study.models.items():
        if model.hub is not None:
            yield ("models", name, "hub"), model.hub
    if study.data is not None:
        for name in ("train", "test"):
            hub = getattr(study.data, name).hub
            if hub is not None:
                yield ("data", name, "hub"), hub


def unpinned(study: Study) -> list[str]:
    """``owner/name@revision`` of what the study takes from a hub without naming a commit; it can't be run yet."""
    return list(
        dict.fromkeys(revision_key(where, hub.id, hub.revision) for where, hub in hubs(study) if not hub.pinned)
    )


def _at(data: Any, where: Where) -> Any:
    for step in where:
        if not isinstance(data, Mapping):
            return None
        data = data.get(step)
    return data


def _with(data: dict[Any, Any], where: Where, value: Any) -> dict[Any, Any]:
    """A copy with another value at a path."""
    first, *rest = where
    return {**data, first: _with(data[first], tuple(rest), value) if rest else value}
