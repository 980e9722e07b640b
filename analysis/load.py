"""Reading a folder of collected tables, checked against the schema version that this code understands."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
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
    "answers": ("run", "phase", "step", "protocol", "rule", "suite", "question"),
    "completions": ("run", "phase", "step", "protocol", "suite", "question", "sample"),
    "option_scores": ("run", "phase", "step", "protocol", "suite", "question", "option"),
    "traces": ("run", "phase", "step", "protocol", "suite", "question", "sample"),
    "training": ("run", "step"),
    "stages": ("stage",),
    "attempts": ("stage", "attempt"),
}
"""Columns that tell the rows of each table apart, in the order that the rows are sorted by."""

OPTIONAL = ("completions", "option_scores", "traces", "training", "stages", "attempts")
"""Tables that `from_frames` can do without."""

# One question may be drawn twice within an optimiser step, so these two are sorted by their key but may
# repeat it.
_REPEATING = ("completions", "traces")

# Millions of rows with few different words: their text columns are held as categories, and what a model wrote is left
# on the disk, as no number is made of it here.
_LARGE = ("answers", "completions", "option_scores", "traces")

# An arm without randomness has no seed, a rollout neither protocol nor suite.
_MAY_LACK = ("seed", "protocol", "suite")


class CollectedError(Exception):
    """A collected folder cannot be read; the message names the file, what is wrong and the mend."""


@dataclass(frozen=True)
class Layout:
    """What questions share."""

    images: np.ndarray
    """Number of every question's image, its cluster, shape (questions,)."""
    tasks: np.ndarray
    """Number of every question's suite and task, shape (questions,)."""

    def cut(self, position: np.ndarray) -> "Layout":
        """Of some of the questions."""
        return Layout(self.images[position], self.tasks[position])


@dataclass(frozen=True)
class Tables:
    """A collected study: ``study.json`` and one frame for each table, rows sorted by the table's key.

    Text columns of the large tables (answers, completions, option_scores, traces) are categories; these tables also
    have ``position``, the row of ``questions`` that they are about (-1 for rollouts).
    """

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
        return list(dict.fromkeys(self.questions["task"]))

    @property
    def sources(self) -> list[str]:
        """Sources of the questions in the order in which the questions meet them."""
        return list(dict.fromkeys(self.questions["source"]))

    @property
    def suites(self) -> list[str]:
        """Benchmarks in alphabetical order."""
        return list(dict.fromkeys(self.questions["suite"]))

    @cached_property
    def layout(self) -> Layout:
        """Image and task of every question."""
        suite = self.questions["suite"].astype(str) + "/"
        of = (pd.factorize(suite + self.questions[name].astype(str))[0] for name in ("image", "task"))
        return Layout(*of)

    @cached_property
    def failed_checks(self) -> dict[str, str]:
        """Which manipulation checks failed, in words, by run; only runs in which one did."""
        if "checks" not in self.runs:
            return {}
        told = {run: _failed(checks) for run, checks in zip(self.runs["run"], self.runs["checks"], strict=True)}
        return {run: text for run, text in told.items() if text}

    def own_protocol(self, arm: str) -> str:
        """The protocol that an arm is judged by unless a contrast names another."""
        return self.arm(arm)["protocol"]

    def curve_questions(self, arm: str) -> int:
        """How many questions an arm's checkpoints were asked."""
        return min(self.arm(arm)["curve_questions"], len(self.questions))

    def arm(self, name: str) -> dict[str, Any]:
        """What ``study.json`` says of an arm.

        Raises:
            KeyError: there is no such arm; the message lists those that there are.
        """
        for each in self.study["arms"]:
            if each["name"] == name:
                return each
        raise KeyError(f"no arm {name!r}; there are {', '.join(self.arms)}")

    def random(self, arm: str) -> bool:
        """Whether an arm has randomness and so seeds; one without is a single run, a known constant."""
        return bool(self.runs.loc[self.runs["arm"] == arm, "seed"].notna().any())

    def rows(self, table: str, run: str, phase: str, step: int | None, protocol: str) -> pd.DataFrame:
        """Rows of one evaluation of one run; of all its checkpoints where ``step`` is None."""
        found = self._groups(table).get((run, phase, protocol))
        frame: pd.DataFrame = getattr(self, table)
        if found is None:
            return frame.iloc[:0]
        chosen = frame.iloc[found]
        return chosen if step is None else chosen[chosen["step"] == step]

    def has(self, table: str, run: str, phase: str, protocol: str) -> bool:
        """Whether a table has rows of an evaluation."""
        return (run, phase, protocol) in self._groups(table)

    def _groups(self, table: str) -> Mapping[Any, np.ndarray]:
        """Rows of a large table by run, phase and protocol."""
        cache = self.__dict__.setdefault("_group_cache", {})
        if table not in cache:
            frame = getattr(self, table)
            cache[table] = frame.groupby(["run", "phase", "protocol"], observed=True, sort=False).indices
        return cache[table]


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
    return _assemble(study, frames, lambda name: str(folder / f"{name}.parquet"))


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
        others: completions, traces, option_scores, training, stages, attempts.

    Raises:
        CollectedError: as `load`.
        TypeError: another table's name.
    """
    if strangers := sorted(set(others) - set(OPTIONAL)):
        raise TypeError(f"no table {strangers[0]!r}; there are answers, questions, runs, {', '.join(OPTIONAL)}")
    plain = {"seed": None, "protocol": "default", "rule": "default", "phase": "final", "step": 0, "suite": "default"}
    answers = _with_defaults(answers, plain | {"status": "ok", "study": "frames"})
    questions = _with_defaults(questions, {"suite": "default", "source": "", "choices": None, "answer": None})
    if runs is None:
        runs = answers[["run", "arm", "seed"]].drop_duplicates()
    runs = _with_defaults(runs, {"seed": None, "state": "done", "reason": "", "checks": None})
    frames = {"answers": answers, "questions": questions, "runs": runs}
    for name in OPTIONAL:
        default = pd.DataFrame({column: pd.Series(dtype=object) for column in ("arm", "seed", *KEYS[name])})
        frames[name] = _with_defaults(others.get(name, default), {"suite": "default"} if name in _LARGE else {})
    frames = {name: _sorted(frame, name, f"frame {name}") for name, frame in frames.items()}
    return _assemble(_default_study(frames) | dict(study or {}), frames, lambda name: f"frame {name}")


def _default_study(frames: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    answers, runs = frames["answers"], frames["runs"]
    protocols = {arm: str(of["protocol"].iloc[0]) for arm, of in answers.groupby("arm", observed=True)}
    names = list(dict.fromkeys(runs["arm"]))
    default = next(iter(protocols.values()), "default")
    return {
        "study": "frames",
        "title": "frames",
        "arms": [
            {"name": arm, "levels": {}, "protocol": protocols.get(arm, default), "curve_questions": 0} for arm in names
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


def _assemble(study: dict[str, Any], frames: dict[str, pd.DataFrame], where: Callable[[str], str]) -> Tables:
    arms, runs = {arm["name"] for arm in study["arms"]}, set(frames["runs"]["run"])
    for name, frame in frames.items():
        if "arm" in frame and (strangers := sorted(set(frame["arm"].unique()) - arms)):
            raise CollectedError(
                f"{where(name)}: unknown arm {strangers[0]!r}; study.json declares {', '.join(sorted(arms))}. The"
                " files come from different collections; collect the study anew: ablate collect"
            )
        # a run that isn't planned would enter nothing, and nobody would be told
        if "run" in frame and (strangers := sorted(set(frame["run"].unique()) - runs)):
            raise CollectedError(
                f"{where(name)}: run {strangers[0]!r} is not among the {len(runs)} of the table runs. The files come"
                " from different collections; collect the study anew: ablate collect"
            )
        if name in _LARGE:
            frames[name] = _with_position(frame, frames["questions"], where(name))
    _check_runs(frames, where)
    return Tables(study=study, **frames)


def _check_runs(frames: Mapping[str, pd.DataFrame], where: Callable[[str], str]) -> None:
    """Every run is of one arm, and an arm's runs have seeds of their own."""
    runs = frames["runs"]
    for arm, of in runs.groupby("arm", sort=False):
        if len(of) > 1 and (of["seed"].isna().any() or of["seed"].duplicated().any()):
            raise CollectedError(
                f"{where('runs')}: the {len(of)} runs of arm {arm!r} need a seed each, one of its own, in the column"
                " 'seed'; without seeds an arm is one run and a known constant"
            )
    arms = dict(zip(runs["run"], runs["arm"], strict=True))
    for name in _LARGE:
        frame = frames[name]
        for run, arm in zip(*_pairs_of(frame, "run", "arm"), strict=True) if "arm" in frame else ():
            if arms.get(run, arm) != arm:
                raise CollectedError(
                    f"{where(name)}: run {run!r} is of arm {arm!r}, but of {arms[run]!r} in the table runs. The files"
                    " come from different collections; collect the study anew: ablate collect"
                )


def _pairs_of(frame: pd.DataFrame, first: str, second: str) -> tuple[list[str], list[str]]:
    """Every combination of two columns that there is."""
    found = frame[[first, second]].drop_duplicates()
    return found[first].astype(str).tolist(), found[second].astype(str).tolist()


def _with_position(frame: pd.DataFrame, questions: pd.DataFrame, where: str) -> pd.DataFrame:
    """The frame with the row of ``questions`` that each row is about."""
    index = pd.MultiIndex.from_frame(questions[["suite", "question"]].astype({"suite": str}))
    position = np.full(len(frame), -1, dtype=np.int32)
    asked = (frame["phase"] != "rollout").to_numpy()
    for suite in frame["suite"].dropna().unique():
        chosen = asked & (frame["suite"] == suite).to_numpy()
        wanted = pd.MultiIndex.from_product([[str(suite)], frame.loc[chosen, "question"].unique()])
        places = pd.Series(index.get_indexer(wanted), index=wanted.get_level_values(1))
        position[chosen] = places.loc[frame.loc[chosen, "question"]].to_numpy()
    if (lost := asked & (position < 0)).any():
        row = frame.loc[lost, ["run", "suite", "question"]].iloc[0].to_dict()
        raise CollectedError(f"{where}: the row {row} is about a question that questions does not have")
    return frame.assign(position=position)


def _failed(checks: object) -> str:
    """Of the column ``checks`` of runs; empty when all passed."""
    if not isinstance(checks, str) or not checks:
        return ""
    found: dict[str, dict[str, Any]] = json.loads(checks)
    failed = [f"{name!r} ({each.get('detail', '')})" for name, each in sorted(found.items()) if not each["passed"]]
    return f"manipulation check {', '.join(failed)} failed" if failed else ""


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
    words = [each.name for each in schema if name in _LARGE and pa.types.is_string(each.type) and each.name != "text"]
    table: pa.Table = _reading(path, lambda: pq.read_table(path, columns=wanted, read_dictionary=words))
    return _sorted(table.unify_dictionaries().to_pandas(), name, str(path))


def _sorted(frame: pd.DataFrame, name: str, where: str) -> pd.DataFrame:
    """Rows in the order of the table's key; what must be there is, and nothing twice."""
    keys = KEYS[name]
    if missing := [key for key in keys if key not in frame]:
        raise CollectedError(f"{where}: lacks the column {missing[0]!r}. Collect the study anew: ablate collect")
    if "seed" in frame:
        # Missing seeds would make the column float64, and seed 1 be shown as 1.0.
        frame = frame.assign(seed=frame["seed"].astype("Int64"))
    for column in (*(key for key in keys if key not in _MAY_LACK), *(("correct",) if name == "answers" else ())):
        if column not in frame:
            raise CollectedError(f"{where}: lacks the column {column!r}. Collect the study anew: ablate collect")
        if (gap := frame[column].isna()).any():
            row = frame.loc[gap, list(keys)].iloc[0].to_dict()
            raise CollectedError(f"{where}: the row {row} has no {column!r}. Collect the study anew: ablate collect")
    if name == "answers" and (odd := ~frame["correct"].isin([True, False])).any():
        row = frame.loc[odd, list(keys)].iloc[0].to_dict()
        raise CollectedError(
            f"{where}: 'correct' is {frame.loc[odd, 'correct'].iloc[0]} in the row {row}; true or false"
        )
    if name in _LARGE:
        frame = frame.assign(**{str(name): _words(column) for name, column in frame.items() if _is_words(column)})
    # The order of rows in a file must change nothing, not even the last bit of a sum.
    more = [column for column in ("tokens", "reward") if column in frame and "sample" in keys]
    columns = [_sortable(frame[column]) for column in (*keys, *more)]
    order = np.lexsort(columns[::-1])
    if name not in _REPEATING and len(frame) > 1:
        same = np.ones(len(frame) - 1, dtype=bool)
        for column in columns[: len(keys)]:
            ordered = column[order]
            same &= ordered[1:] == ordered[:-1]
        if same.any():
            row = frame.iloc[order[int(same.argmax())]][list(keys)].to_dict()
            raise CollectedError(f"{where}: the row {row} stands there twice. Collect the study anew: ablate collect")
    return frame.iloc[order].reset_index(drop=True)


def _is_words(column: pd.Series) -> bool:
    kinds = (pd.CategoricalDtype, pd.StringDtype)
    return column.name != "text" and (isinstance(column.dtype, kinds) or column.dtype == object)


def _words(column: pd.Series) -> pd.Series:
    """Categories in alphabetical order, so that equal tables have equal codes."""
    categories = column.astype("category").cat
    return categories.set_categories(sorted(map(str, categories.categories)))


def _sortable(column: pd.Series) -> np.ndarray:
    """Numbers that sort as the column does; what is missing comes first."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy()
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=float, na_value=-np.inf)
    return pd.factorize(column, sort=True)[0]


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
