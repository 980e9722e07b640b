"""Confirmatory or exploratory: committed before the first attempt of anything that the contrast reads, or not."""

from typing import Any

import pandas as pd
import pytest
from small_study import draw, questions, rows_of, runs_of

from analysis import contrast, declare, from_frames
from analysis.registration import standing

VALUES = draw(3, a=(2, 0.8), b=(2, 0.45))
ATTEMPTS = [
    ("evaluate-1", 1, "2026-03-02T10:00:00+00:00", "failed"),
    ("evaluate-1", 2, "2026-03-05T10:00:00+00:00", "done"),
    ("evaluate-2", 1, "2026-03-03T10:00:00+00:00", "done"),
    ("train-1", 1, "2026-03-01T10:00:00+00:00", "done"),  # trained before anything: not read
    ("evaluate-9", 1, "2026-02-01T10:00:00+00:00", "done"),  # of another contrast
]


def judged(committed: str | None, attempts=ATTEMPTS, reads=("evaluate-1", "evaluate-2"), **registered: Any):
    frame = pd.DataFrame(attempts, columns=["stage", "attempt", "start", "state"])
    entry = {"commit": committed and "abc", "committed": committed, "reason": ""} | registered
    study = {"registration": {"file": "r.json", "contrasts": {"m": entry}}}
    tables = from_frames(rows_of(VALUES), questions(), runs_of(VALUES), study, attempts=frame)
    return standing(tables, declare(tables, "a", "b", name="m", reads=list(reads)))


@pytest.mark.parametrize(
    ("committed", "status"),
    [
        ("2026-03-02T09:59:59+00:00", "confirmatory"),
        ("2026-03-02T10:00:00+00:00", "exploratory"),  # not before
        ("2026-03-02T10:00:01+00:00", "exploratory"),  # the failed attempt was an attempt
        ("2026-03-04T10:00:00+00:00", "exploratory"),
        ("2026-03-02T11:30:00+02:00", "confirmatory"),  # 09:30 UTC
        ("2026-03-02T09:30:00-02:00", "exploratory"),  # 11:30 UTC
    ],
)
def test_the_commit_is_held_against_the_first_attempt_that_it_reads(committed: str, status: str) -> None:
    found = judged(committed)
    assert found.status == status
    assert "registered 2026-03-02" in found.reason or status == "exploratory"
    assert found.reason.endswith("too late") == (status == "exploratory")


def test_only_what_the_contrast_reads_counts() -> None:
    assert judged("2026-03-02T12:00:00+00:00", reads=("evaluate-2",)).status == "confirmatory"
    assert judged("2026-03-02T12:00:00+00:00", reads=("evaluate-2", "evaluate-9")).status == "exploratory"


@pytest.mark.parametrize("attempts", [[], ATTEMPTS[3:], [("evaluate-1", 1, None, "queued")]])
def test_evaluations_that_were_never_started_confirm_nothing_yet(attempts) -> None:
    found = judged("2026-01-01T00:00:00+00:00", attempts)
    assert (found.status, found.reason) == ("exploratory", "nothing tells when its evaluations were started")


def test_an_uncommitted_registration_says_why() -> None:
    found = judged(None, reason="the file has other content than the commit")
    assert (found.status, found.reason) == ("exploratory", "the file has other content than the commit")


def test_another_contrast_under_a_registered_name_is_exploratory() -> None:
    """The name and what it reads are taken over, the metric or the pairing is changed after the fact."""
    frame = pd.DataFrame(ATTEMPTS, columns=["stage", "attempt", "start", "state"])
    entry = {"commit": "abc", "committed": "2026-01-01T00:00:00+00:00", "reason": ""}
    study = {"registration": {"file": "r.json", "contrasts": {"m": entry}}}
    tables = from_frames(rows_of(VALUES), questions(), runs_of(VALUES), study, attempts=frame)
    registered = {"name": "m", "a": "a", "b": "b", "reads": ["evaluate-1"]}
    tables.study["contrasts"] = [registered]
    assert contrast(tables, registered, draws=0).standing.status == "confirmatory"
    for change in ({"pairing": "seed"}, {"alpha": 0.1}, {"b": "a", "a": "b"}, {"margin": 3.0}):
        found = contrast(tables, registered | change, draws=0).standing
        assert (found.status, found.reason) == ("exploratory", "it is not what the study declares under its name")


def test_without_any_registration_it_is_exploratory() -> None:
    tables = from_frames(rows_of(VALUES), questions(), runs_of(VALUES))
    result = contrast(tables, declare(tables, "a", "b"), draws=0)
    assert (result.standing.status, result.standing.reason) == ("exploratory", "no registration was collected")


def test_a_folder_tells_its_contrasts_standing(fabricate) -> None:
    """Attempts as the collector writes them, with the schema of the parquet file."""
    import json

    import fabricated_study

    from analysis import contrasts, load

    declared = [{"name": name, "question": "", "a": "base+grpo", "b": "base", "reads": ["e-1"]} for name in ("x", "y")]
    folder = fabricate(contrasts=declared)
    start = "2026-03-02T10:00:00+00:00"
    row = {"study": "fake", "stage": "e-1", "attempt": 1, "start": start}
    fabricated_study.write(folder, "attempts", [row, row | {"attempt": 2, "start": "2026-03-01T10:00:00+00:00"}])
    study = json.loads((folder / "study.json").read_text())
    for name, day in (("x", "02-28"), ("y", "03-02")):
        study["registration"]["contrasts"][name] |= {"commit": "a", "committed": f"2026-{day}T00:00:00+00:00"}
    (folder / "study.json").write_text(json.dumps(study))
    found = {result.name: result.standing.status for result in contrasts(load(folder), draws=0)}
    assert found == {"x": "confirmatory", "y": "exploratory"}
