"""Reading a folder of collected tables, checked against the schema version that this code understands."""

import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.collected import KEYS, OPTIONAL, CollectedError, Tables
from analysis.tidy import LARGE, assemble, sorted_rows

SCHEMA_VERSION = 4
"""Version of ``study.json`` and of every table that this code reads."""

MORE = ("suite", "declared", "completeness", "questions_stage", "schema_version")
"""What ``study.json`` has besides and frames do without."""


def load(folder: Path | str, text: bool = False) -> Tables:
    """Read ``study.json`` and all tables of a collected study.

    Args:
        text: read what the models wrote too (the column ``text`` of completions); nothing here needs it.

    Raises:
        CollectedError: a file is missing, cannot be read, is of another schema version, lacks a key column, holds a
            row twice or without a value that it needs, or speaks of an arm or question that the study does not have.
    """
    folder = Path(folder)
    study = _read_study(folder / "study.json")
    frames = {name: _read_frame(folder / f"{name}.parquet", name, text) for name in KEYS}
    return assemble(study, frames, lambda name: str(folder / f"{name}.parquet"))


def from_frames(
    answers: pd.DataFrame,
    questions: pd.DataFrame,
    runs: pd.DataFrame | None = None,
    study: Mapping[str, Any] | None = None,
    **others: pd.DataFrame,
) -> Tables:
    """Tables of frames at hand, as in a notebook.

    Args:
        answers: columns run, arm, question, correct; and, where there is more than one of each, seed, protocol, rule,
            phase, step, suite, status.
        questions: columns question, task, image; and source, suite, choices, answer, answer_letter where known.
        runs: columns run, arm, seed, state; by default the runs that have answers, all done.
        study: what ``study.json`` has: arms, protocols, rules, contrasts, claims; by default what the answers have.
            An arm's own protocol is by default the first, by name, that all arms were asked under, else its own first;
            the first rule by name decides.
        others: completions, traces, option_scores, training, stages, attempts.

    Raises:
        CollectedError: as `load`, or ``study`` has what ``study.json`` never has.
        TypeError: another table's name.
    """
    if strangers := sorted(set(others) - set(OPTIONAL)):
        raise TypeError(f"no table {strangers[0]!r}; there are answers, questions, runs, {', '.join(OPTIONAL)}")
    plain = {"seed": None, "protocol": "default", "rule": "default", "phase": "final", "step": 0, "suite": "default"}
    answers = _with_defaults(answers, plain | {"status": "ok", "study": "frames"})
    unknown = dict.fromkeys(("choices", "answer", "answer_letter"))
    questions = _with_defaults(questions, {"suite": "default", "source": ""} | unknown)
    if runs is None:
        runs = answers[["run", "arm", "seed"]].drop_duplicates()
    runs = _with_defaults(runs, {"seed": None, "state": "done", "reason": "", "checks": None})
    frames = {"answers": answers, "questions": questions, "runs": runs}
    for name in OPTIONAL:
        default = pd.DataFrame({column: pd.Series(dtype=object) for column in ("arm", "seed", *KEYS[name])})
        frames[name] = _with_defaults(others.get(name, default), {"suite": "default"} if name in LARGE else {})
    frames = {name: sorted_rows(frame, name, f"frame {name}") for name, frame in frames.items()}
    default = _default_study(frames)
    known = [*default, *MORE]
    if strangers := sorted(set(study or {}) - set(known)):
        near = dict.fromkeys(each for name in strangers for each in get_close_matches(str(name), known, n=1))
        hint = f"did you mean {', '.join(near)}? " if near else ""
        raise CollectedError(f"study: unknown {', '.join(strangers)}; {hint}There are {', '.join(known)}")
    return assemble(default | dict(study or {}), frames, lambda name: f"frame {name}")


def _default_study(frames: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    answers, runs = frames["answers"], frames["runs"]
    asked = {str(arm): set(of["protocol"].astype(str)) for arm, of in answers.groupby("arm", observed=True)}
    shared = set.intersection(*asked.values()) if asked else set()
    protocols = {arm: min(shared or of) for arm, of in asked.items()}
    names = list(dict.fromkeys(runs["arm"]))
    default = next(iter(protocols.values()), "default")
    # what any checkpoint of an arm was asked, all of its checkpoints should have been
    on_curve = answers.loc[answers["phase"] == "curve", ["arm", "suite", "question"]].drop_duplicates()
    curve = {str(arm): len(of) for arm, of in on_curve.groupby("arm", observed=True)}
    return {
        "study": "frames",
        "title": "frames",
        "arms": [
            {"name": arm, "levels": {}, "protocol": protocols.get(arm, default), "curve_questions": curve.get(arm, 0)}
            for arm in names
        ],
        "factors": {},
        "protocols": {str(name): {"method": "generate"} for name in sorted({default, *answers["protocol"]})},
        "rules": sorted(set(answers["rule"])) or ["default"],
        "seeds": sorted({int(seed) for seed in runs["seed"].dropna()}),
        "contrasts": [],
        "claims": [],
        "power": {},
        "registration": {"file": None, "contrasts": {}},
    }


def _with_defaults(frame: pd.DataFrame, defaults: Mapping[str, Any]) -> pd.DataFrame:
    return frame.assign(**{name: value for name, value in defaults.items() if name not in frame})


def _read_study(path: Path) -> dict[str, Any]:
    study = _reading(path, lambda: json.loads(path.read_text(encoding="utf-8")))
    _check_version(path, study.get("schema_version"))
    needed = ("study", "title", "arms", "protocols", "rules", "seeds", "contrasts", "claims", "power", "registration")
    if missing := [key for key in needed if key not in study]:
        raise CollectedError(f"{path}: lacks {', '.join(missing)}. Collect the study anew: ablate collect")
    arms = [arm["name"] for arm in study["arms"]]
    for contrast in study["contrasts"]:
        minus = contrast["minus"] or {}
        sides = {"a": contrast["a"], "b": contrast["b"], **{f"minus.{key}": side for key, side in minus.items()}}
        for name, side in sides.items():
            if (arm := side["arm"]) not in arms:
                raise CollectedError(
                    f"{path}: contrast {contrast['name']!r}, side {name}: no arm {arm!r}; there are {', '.join(arms)}"
                )
    for claim in study["claims"]:
        if claim["ran"] and (arm := claim["ran"]["arm"]) not in arms:
            raise CollectedError(f"{path}: claim {claim['name']!r}: no arm {arm!r}; there are {', '.join(arms)}")
    # every heading starts with the title, which a study may leave out
    return study | {"title": study["title"] or study["study"]}


def _read_frame(path: Path, name: str, text: bool) -> pd.DataFrame:
    schema: pa.Schema = _reading(path, lambda: pq.read_schema(path))
    _check_version(path, (schema.metadata or {}).get(b"schema_version", b"").decode() or None)
    wanted = [column for column in schema.names if text or (name, column) != ("completions", "text")]
    words = [each.name for each in schema if name in LARGE and pa.types.is_string(each.type) and each.name != "text"]
    table: pa.Table = _reading(path, lambda: pq.read_table(path, columns=wanted, read_dictionary=words))
    return sorted_rows(table.unify_dictionaries().to_pandas(), name, str(path))


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
