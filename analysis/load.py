"""Reading a folder of collected tables, checked against the schema version that this code understands."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA_VERSION = 4
"""Version of ``study.json`` and of every table that this code reads."""

OPTION_RULES = ("likelihood_per_token", "likelihood")
"""Rules that read the answers of a protocol with ``method: options``; the first decides."""

KEYS: dict[str, tuple[str, ...]] = {
    "runs": ("run",),
    "questions": ("suite", "question"),
    "answers": ("run", "phase", "step", "suite", "question", "protocol", "rule"),
    "completions": ("run", "phase", "step", "suite", "protocol", "question", "sample"),
    "option_scores": ("run", "phase", "step", "suite", "protocol", "question", "option"),
    "traces": ("run", "phase", "step", "suite", "protocol", "question", "sample"),
    "training": ("run", "step"),
    "stages": ("stage",),
    "attempts": ("stage", "attempt"),
}
"""Columns that tell the rows of each table apart."""

# One question may be drawn twice within an optimiser step, so these two are sorted by their key but may
# repeat it.
_REPEATING = ("completions", "traces")


class CollectedError(Exception):
    """A collected folder cannot be read; the message names the file, what is wrong and the mend."""


@dataclass(frozen=True)
class Tables:
    """A collected study: ``study.json`` and one frame for each table, rows sorted by the table's key."""

    study: dict[str, Any]
    runs: pd.DataFrame
    questions: pd.DataFrame
    answers: pd.DataFrame
    completions: pd.DataFrame
    option_scores: pd.DataFrame
    traces: pd.DataFrame
    training: pd.DataFrame
    stages: pd.DataFrame
    attempts: pd.DataFrame

    @property
    def arms(self) -> list[str]:
        """Names of the arms in the order of the study file."""
        return [arm["name"] for arm in self.study["arms"]]

    @property
    def rules(self) -> list[str]:
        """Scoring rules that completions are read by; the first decides."""
        return list(self.study["rules"])

    def rules_of(self, protocol: str) -> list[str]:
        """Scoring rules that a protocol's answers are read by; the first decides."""
        return list(OPTION_RULES) if self.study["protocols"][protocol]["method"] == "options" else self.rules

    @property
    def tasks(self) -> list[str]:
        """Tasks in the order in which the questions meet them."""
        return list(dict.fromkeys(self.questions.sort_values("question", kind="stable")["task"]))

    @property
    def sources(self) -> list[str]:
        """Sources of the questions in the order in which the questions meet them."""
        return list(dict.fromkeys(self.questions.sort_values("question", kind="stable")["source"]))

    def own_protocol(self, arm: str) -> str:
        """The protocol that an arm is judged by unless a contrast names another."""
        return self._arm(arm)["protocol"]

    def curve_questions(self, arm: str) -> int:
        """How many questions an arm's checkpoints before the last were asked."""
        return min(self._arm(arm)["curve_questions"], len(self.questions))

    def _arm(self, name: str) -> dict[str, Any]:
        return next(each for each in self.study["arms"] if each["name"] == name)


def load(folder: Path | str) -> Tables:
    """Read ``study.json`` and all tables of a collected study.

    Raises:
        CollectedError: a file is missing, cannot be read, is of another schema version, lacks a key column,
            holds a
            row twice, or speaks of an arm that the study does not declare.
    """
    folder = Path(folder)
    study = _read_study(folder / "study.json")
    arms = {arm["name"] for arm in study["arms"]}
    frames: dict[str, pd.DataFrame] = {}
    for name, keys in KEYS.items():
        path = folder / f"{name}.parquet"
        frame = _read_frame(path, keys)
        if name not in _REPEATING and frame.duplicated(list(keys)).any():
            first = frame.loc[frame.duplicated(list(keys)), list(keys)].iloc[0].to_dict()
            raise CollectedError(f"{path}: the row {first} stands there twice. Collect the study anew: ablate collect")
        if "arm" in frame and (strangers := sorted(set(frame["arm"]) - arms)):
            raise CollectedError(
                f"{path}: unknown arm {strangers[0]!r}; study.json declares {', '.join(sorted(arms))}. The"
                " files come from different collections; collect the study anew: ablate collect"
            )
        frames[name] = frame
    return Tables(study=study, **frames)


def _read_study(path: Path) -> dict[str, Any]:
    study = _reading(path, lambda: json.loads(path.read_text(encoding="utf-8")))
    _check_version(path, study.get("schema_version"))
    needed = ("study", "title", "arms", "protocols", "rules", "seeds", "contrasts", "claims")
    if missing := [key for key in needed if key not in study]:
        raise CollectedError(f"{path}: lacks {', '.join(missing)}. Collect the study anew: ablate collect")
    arms = [arm["name"] for arm in study["arms"]]
    for contrast in study["contrasts"]:
        for side in ("a", "b"):
            if (arm := contrast[side]["arm"]) not in arms:
                raise CollectedError(
                    f"{path}: contrast {contrast['name']!r}, side {side}: no arm {arm!r}; there are {', '.join(arms)}"
                )
    for claim in study["claims"]:
        if claim["ran"] and (arm := claim["ran"]["arm"]) not in arms:
            raise CollectedError(f"{path}: claim {claim['name']!r}: no arm {arm!r}; there are {', '.join(arms)}")
    # every heading starts with the title, which a study may leave out
    return study | {"title": study["title"] or study["study"]}


def _read_frame(path: Path, keys: tuple[str, ...]) -> pd.DataFrame:
    table: pa.Table = _reading(path, lambda: pq.read_table(path))
    _check_version(path, (table.schema.metadata or {}).get(b"schema_version", b"").decode() or None)
    if missing := [key for key in keys if key not in table.column_names]:
        raise CollectedError(f"{path}: lacks the column {missing[0]!r}. Collect the study anew: ablate collect")
    frame = table.to_pandas()
    if "seed" in frame:
        # Missing seeds would make the column float64, and seed 1 be shown as 1.0.
        frame["seed"] = frame["seed"].astype("Int64")
    # The order of rows in a file must change nothing, not even the last bit of a sum.
    by = [*keys, *(column for column in ("text", "tokens", "reward") if column in frame and "sample" in keys)]
    return frame.sort_values(by, kind="stable", na_position="first").reset_index(drop=True)


def _reading(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except FileNotFoundError:
        raise CollectedError(
            f"{path}: no such file. A collected study has study.json and"
            f" {', '.join(f'{name}.parquet' for name in KEYS)}; write them with: ablate collect"
        ) from None
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CollectedError(f"{path}: cannot be read ({error}). Collect the study anew: ablate collect") from error


def _check_version(path: Path, found: object) -> None:
    if str(found) != str(SCHEMA_VERSION):
        raise CollectedError(
            f"{path}: schema version {found}, but this code reads version {SCHEMA_VERSION}. Collect the study"
            " anew with the harness of this code (ablate collect), or analyse it with the code that wrote it"
        )
