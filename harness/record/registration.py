"""Registration of contrasts: a file beside the study file, and since when git has held what stands in it.

The file says what the contrasts are; the commit that first held it proves that this was said before the results were
there.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.record.atomic import read_json, write_json
from harness.study.declaration import declaration, declaration_hash
from harness.study.expand import Plan

FORMAT = 1
UNSHALLOW = "git fetch --unshallow"
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Changes:
    """What a new registration does to the one before; names of contrasts."""

    new: list[str]
    changed: dict[str, list[str]]
    """What differs of what the contrast is made of."""
    unchanged: list[str]
    withdrawn: list[str]
    """No longer declared."""


@dataclass(frozen=True)
class Version:
    """A registration file as one commit holds it."""

    commit: str
    committed: str
    """UTC, ISO 8601."""
    hashes: dict[str, str]
    """Hash -> name of the contrast."""


class HistoryError(Exception):
    """Git can't tell; the message says why."""


def registration_file(study: Path) -> Path:
    """Where a study file's registration lies: ``paper.registered.json`` beside ``paper.yaml``."""
    return study.with_name(f"{study.stem}.registered.json")


def registration(plan: Plan, overrides: list[str]) -> dict[str, Any]:
    """Content of a registration: of each contrast the hash, what it is made of, and the claims that hang on it.

    Args:
        overrides: what the command line put on top of the study file.
    """
    contrasts = {}
    for contrast in plan.contrasts:
        made_of = declaration(plan, contrast)
        contrasts[contrast.name] = {
            "hash": declaration_hash(made_of),
            "question": contrast.question,
            "claims": {claim.name: claim.statement for claim in plan.claims if claim.contrast == contrast.name},
            "made_of": made_of,
        }
    return {"format": FORMAT, "study": plan.study.study, "overrides": overrides, "contrasts": contrasts}


def register(plan: Plan, study: Path, overrides: list[str]) -> Changes:
    """Write the registration of a plan's contrasts beside its study file, in place of an earlier one; git keeps that.

    Raises:
        ValueError: another study has its registration there.
    """
    file = registration_file(study)
    before, after = read_json(file), registration(plan, overrides)
    old, new = _entries(before), _entries(after)
    owner = before.get("study") if isinstance(before, dict) else None
    if owner not in (None, plan.study.study):
        raise ValueError(
            f"{file} is the registration of the study {owner!r}, not of {plan.study.study!r}; give one of the study"
            " files another name"
        )
    changed = {
        name: _differing(old[name].get("made_of"), entry["made_of"])
        for name, entry in new.items()
        if name in old and old[name].get("hash") != entry["hash"]
    }
    write_json(file, after)
    return Changes(
        new=[name for name in new if name not in old],
        changed=changed,
        unchanged=[name for name in new if name in old and name not in changed],
        withdrawn=[name for name in old if name not in new],
    )


def find_registrations(plan: Plan, study: Path) -> dict[str, Any]:
    """Since when each contrast of a plan is registered, as ``study.json`` has it.

    Returns:
        ``file``: name of the registration file, None when there is none, nor one in git that held a contrast of the
        plan; ``contrasts``: by name, the earliest ``commit`` that holds its hash and when it was ``committed`` (UTC,
        ISO 8601), both None when there is none, and the ``reason`` for that (or why it may be earlier);
        ``withdrawn``: by name, commit and time of what was registered and committed and is no longer declared.
    """
    file = registration_file(study)
    made_of = {contrast.name: declaration(plan, contrast) for contrast in plan.contrasts}
    hashes = {name: declaration_hash(each) for name, each in made_of.items()}
    trouble, versions, cut = "", [], set()
    try:
        versions = history(file)
        cut = _shallow_commits(file.parent) if versions else set()
    except HistoryError as error:
        trouble = str(error)
    now = read_json(file)
    nothing = f"no registration file {file.name}; ablate plan --register writes it"
    if not file.exists() and not versions:
        return {"file": None, "contrasts": {name: _absent(nothing) for name in hashes}, "withdrawn": {}}
    entries = _entries(now)
    found: dict[str, Any] = {}
    for name, digest in hashes.items():
        held = [version for version in versions if digest in version.hashes]
        if held:
            first = min(held, key=lambda version: version.committed)
            reason = f"perhaps earlier: the clone is shallow ({UNSHALLOW})" if first.commit in cut else ""
            found[name] = {"commit": first.commit, "committed": first.committed, "reason": reason}
        elif digest in _sound_hashes(now):
            found[name] = _absent(trouble or f"{file.name} holds this contrast, but that version is not committed")
        elif name in entries:
            differs = ", ".join(_differing(entries[name].get("made_of"), made_of[name]))
            found[name] = _absent(f"changed since it was registered: {differs or 'the file was edited by hand'}")
        else:
            found[name] = _absent(f"not in {file.name}: never registered" if file.exists() else nothing)
    withdrawn = {
        name: {"commit": version.commit, "committed": version.committed}
        for version in sorted(versions, key=lambda version: version.committed, reverse=True)
        for digest, name in version.hashes.items()
        if digest not in hashes.values() and name not in hashes
    }
    there = file.exists() or any(each["commit"] for each in found.values())
    return {"file": file.name if there else None, "contrasts": found, "withdrawn": withdrawn}


def in_repository(file: Path) -> bool:
    """Whether a registration file lies, or would lie, in a git repository that git can be asked about."""
    try:
        _git(file.parent, "rev-parse", "--git-dir")
    except HistoryError:
        return False
    return True


def history(file: Path) -> list[Version]:
    """Every committed version of a registration file, through renames, the latest first.

    In a shallow clone the oldest commit stands for all before it: a time may then be later than the true one, never
    earlier.

    Raises:
        HistoryError: there is no git, no repository, or git can't read it.
    """
    log = _git(file.parent, "log", "--follow", "-m", "--name-only", "--format=%x00%H %cI", "--", file.name)
    versions = []
    for entry in log.split("\0")[1:]:
        head, *names = entry.split("\n")
        commit, _, committed = head.partition(" ")
        for path in filter(None, names):
            versions.append(Version(commit, _utc(committed), _sound_hashes(_shown(file.parent, commit, path))))
    return versions


def _shown(folder: Path, commit: str, path: str) -> Any:
    """The data of a file as a commit holds it; None when the commit took it away, or there is no JSON in it."""
    try:
        return json.loads(_git(folder, "show", f"{commit}:{path}"))
    except (HistoryError, ValueError):
        return None


def _shallow_commits(folder: Path) -> set[str]:
    """Commits at which a shallow clone was cut off."""
    file = folder / _git(folder, "rev-parse", "--git-path", "shallow").strip()
    try:
        return set(file.read_text().split())
    except OSError:
        return set()


def _git(folder: Path, *arguments: str) -> str:
    settings = ("core.quotePath=false", "diff.relative=false", "log.showSignature=false")
    command = ["git", "--literal-pathspecs", *(part for each in settings for part in ("-c", each))]
    command += ["-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=_TIMEOUT_S,
            check=True, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except FileNotFoundError:
        raise HistoryError("git is not installed, so nothing says since when it is registered") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HistoryError(f"git can't be asked since when it is registered ({error})") from None
    except subprocess.CalledProcessError as error:
        if "not a git repository" in error.stderr:
            raise HistoryError("the registration file is in no git repository") from None
        if "does not have any commits" in error.stderr:
            return ""
        said = error.stderr.strip().splitlines() or [f"exit code {error.returncode}"]
        raise HistoryError(f"git can't read the history of the registration file: {said[0]}") from None
    return done.stdout


def _entries(data: Any) -> dict[str, dict[str, Any]]:
    """Contrasts of a registration by name; none of what is no registration."""
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("contrasts"), dict):
        return {}
    return {name: entry for name, entry in data["contrasts"].items() if isinstance(entry, dict)}


def _sound_hashes(data: Any) -> dict[str, str]:
    """Hash -> name of a registration's contrasts, those left out whose hash isn't that of what they are made of."""
    sound = {}
    for name, entry in _entries(data).items():
        try:
            digest = declaration_hash(entry["made_of"])
        except (KeyError, ValueError):  # edited by hand: nothing that was declared
            continue
        if entry.get("hash") == digest:
            sound[digest] = name
    return sound


def _differing(old: Any, new: Mapping[str, Any]) -> list[str]:
    """Keys of a declaration whose values differ."""
    if not isinstance(old, dict):
        return []
    return [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]


def _absent(reason: str) -> dict[str, Any]:
    return {"commit": None, "committed": None, "reason": reason}


def _utc(time: str) -> str:
    """A time as attempts have it."""
    return datetime.fromisoformat(time).astimezone(UTC).isoformat(timespec="milliseconds")
