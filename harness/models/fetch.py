"""Brings what a study takes from a hub into the local cache, and writes down which commits its branches stood for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from harness.record.atomic import write_text
from harness.study.errors import StudyError, Where, dotted
from harness.study.revisions import REVISIONS_FILE, hubs, read_revisions, revision_key
from harness.study.schema import Study
from harness.study.sources import COMMIT, HubFiles, HubSettings

_HEADING = (
    "# Commits that the studies in this folder take from the hub. Written by `ablate fetch`; take a line out to\n"
)
_HEADING += "# have its branch looked up anew.\n"

MODEL_FILES = ["*.safetensors", "*.json", "merges.txt", "*.jinja"]
"""What is fetched of a model's repository: weights, configurations, tokenizer, chat templates."""


class FetchError(Exception):
    """Something can't be fetched; the message names the setting and the mend."""


@dataclass(frozen=True)
class Fetched:
    """One model or data set that is in the cache now."""

    where: str
    """The setting that asks for it, such as ``models.base.hub``."""
    id: str
    revision: str
    """As the study has it."""
    commit: str
    path: Path
    """Snapshot folder in the cache."""


def fetch(study: Study, folder: Path, progress: Callable[[str], None] = lambda line: None) -> list[Fetched]:
    """Fetch all hub models and data files of a study.

    A branch or tag that `REVISIONS_FILE` knows is taken at that commit, else looked up and added to the file.

    Args:
        study: what is to be fetched for.
        folder: of the study file; `REVISIONS_FILE` lies there.
        progress: receives a line before each download.

    Raises:
        FetchError: no network, no such repository, revision or file, or no right to it.
        StudyError: `REVISIONS_FILE` can't be understood.
    """
    fetched = []
    for where, hub in hubs(study):
        try:
            commit = _commit(where, hub, folder)
            progress(f"{dotted(where)}: {hub.id} at {commit}")
            path = _download(hub, commit)
        except StudyError:
            raise
        except Exception as error:  # httpx, hub and socket errors have no ancestor in common
            raise FetchError(f"{dotted(where)}: {_mend(error, hub)}") from error
        fetched.append(Fetched(dotted(where), hub.id, hub.revision, commit, path))
    return fetched


def _commit(where: Where, hub: HubSettings, folder: Path) -> str:
    """The commit that a revision stands for; written down when it was looked up."""
    if hub.pinned:
        return hub.revision
    pins = read_revisions(folder)
    key = revision_key(where, hub.id, hub.revision)
    if key not in pins:
        kind = "dataset" if isinstance(hub, HubFiles) else "model"
        sha = HfApi().repo_info(hub.id, revision=hub.revision, repo_type=kind).sha
        if sha is None or not COMMIT.fullmatch(sha):
            raise FetchError(f"the hub gives {sha!r} for {key}, which is no commit")
        pins[key] = sha
        write_text(folder / REVISIONS_FILE, _HEADING + yaml.safe_dump(pins, sort_keys=True))
    return pins[key]


def _download(hub: HubSettings, commit: str) -> Path:
    """Snapshot folder with all that is needed of a repository."""
    if not isinstance(hub, HubFiles):
        return Path(snapshot_download(hub.id, revision=commit, allow_patterns=MODEL_FILES))
    files = [Path(hf_hub_download(hub.id, name, repo_type="dataset", revision=commit)) for name in hub.files]
    return files[0].parents[len(Path(hub.files[0]).parts) - 1]


def _mend(error: Exception, hub: HubSettings) -> str:
    """What is wrong and what to do about it."""
    what = f"{hub.id} at {hub.revision!r}"
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    match error:
        case FetchError():
            return str(error)
        case OfflineModeIsEnabled():
            return f"{what} can't be fetched: HF_HUB_OFFLINE is set; unset it"
        case GatedRepoError():
            return f"{what} is gated; ask for access on its page, then set HF_TOKEN or run `hf auth login`"
        case RevisionNotFoundError():
            return f"{hub.id} has no revision {hub.revision!r}; look at its branches, tags and commits, or leave it out"
        case RepositoryNotFoundError():
            return f"the hub has no {hub.id}, or it is private; look for a slip in the id, or set HF_TOKEN"
        case EntryNotFoundError() if not isinstance(error, LocalEntryNotFoundError):
            return f"{what} lacks a file: {first_line}"
        case HfHubHTTPError():
            return f"{what}: the hub answers {first_line}"
        case _:
            text = f"{what} can't be fetched from {constants.ENDPOINT}: {first_line}"
            return f"{text}; is there a network? (jobs need none once this has run)"
