"""What `ablate plan` says of the registration of contrasts."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.record.registration import Changes


def registration_line(found: Mapping[str, Any]) -> str:
    """One line on how many contrasts are registered and committed, and why the others are not.

    Args:
        found: of `harness.record.registration.find_registrations`.
    """
    contrasts: Mapping[str, Mapping[str, Any]] = found["contrasts"]
    by_reason: dict[str, list[str]] = {}
    for name, entry in contrasts.items():
        if entry["committed"] is None:
            by_reason.setdefault(entry["reason"], []).append(name)
    held = len(contrasts) - sum(map(len, by_reason.values()))
    line = f"contrasts: {held} of {len(contrasts)} registered and committed"
    if held == 0 and len(by_reason) == 1:
        return f"{line}; {next(iter(by_reason))}"
    return "; ".join([line, *(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())])


def registered_lines(
    file: Path, study: str, changes: Changes, found: Mapping[str, Any], started: Iterable[str], repository: bool
) -> list[str]:
    """What `ablate plan --register` did, and what is to be done next.

    Args:
        file: the registration file.
        study: name of the study.
        changes: against the registration before.
        found: of `harness.record.registration.find_registrations`, after it was written.
        started: names of the contrasts of which evaluations were started already.
        repository: whether the file is in a git repository.
    """
    kept = len(changes.unchanged)
    lines = [f"{file}: {len(changes.new)} new, {len(changes.changed)} changed, {kept} unchanged"]
    if changes.new:
        lines.append(f"  new: {', '.join(changes.new)}")
    for name, differs in changes.changed.items():
        lines.append(f"  changed: {name} ({', '.join(differs) or 'its hash'})")
    if changes.withdrawn:
        lines.append(f"  no longer declared: {', '.join(changes.withdrawn)}")
    lines.append(registration_line(found))
    if not repository:
        lines.append(
            "Only a commit in a git repository tells others when they were registered: make one (git init), and commit"
            f" {file} before the first evaluation; until then the contrasts count as exploratory."
        )
    elif any(entry["committed"] is None for entry in found["contrasts"].values()):
        lines.append(
            "Commit it before the first evaluation; a contrast that is registered later counts as exploratory:"
        )
        lines.append(f'  git add {shlex.quote(str(file))} && git commit -m "Register the contrasts of {study}"')
    if late := list(started):
        lines.append(f"Evaluated in part already, so exploratory unless registered before: {', '.join(late)}")
    return lines
