"""Tables put in order and checked: rows sorted by their key, every one there once, none about anything unknown."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.collected import KEYS, CollectedError, Tables, mend
from analysis.scopes import name_twice

# One question may be drawn twice within an optimiser step, so these two are sorted by their key but may
# repeat it.
_REPEATING = ("completions", "traces")

# Millions of rows with few different words: their text columns are held as categories, and what a model wrote is left
# on the disk, as no number is made of it here.
LARGE = ("answers", "completions", "option_scores", "traces")

_NEEDED = {"answers": ("correct", "protocol", "suite"), "questions": ("task", "image")}
_PHASES = ("final", "curve", "rollout")

# An arm without randomness has no seed, a rollout neither protocol nor suite.
_MAY_LACK = ("seed", "protocol", "suite")


def assemble(study: dict[str, Any], frames: dict[str, pd.DataFrame], where: Callable[[str], str]) -> Tables:
    """A study of sorted tables, checked against each other.

    Args:
        where: what a table is called in errors.

    Raises:
        CollectedError: a row of an arm, run or question that there isn't, runs that can't be told apart, or a task
            that is called as a total.
    """
    if task := name_twice(frames["questions"]):
        # it would be shown, and decided on, in place of that score
        raise CollectedError(
            f"{where('questions')}: the task {task!r} has the name of a score over several tasks; give the task another"
            " name"
        )
    arms, runs = {arm["name"] for arm in study["arms"]}, set(frames["runs"]["run"])
    for name, frame in frames.items():
        if "arm" in frame and (strangers := sorted(set(frame["arm"].unique()) - arms)):
            raise CollectedError(
                f"{where(name)}: unknown arm {strangers[0]!r}; study.json declares {', '.join(sorted(arms))}. The"
                f" files come from different collections; {mend(where(name))}"
            )
        # a run that isn't planned would enter nothing, and nobody would be told
        if "run" in frame and (strangers := sorted(set(frame["run"].unique()) - runs)):
            raise CollectedError(
                f"{where(name)}: run {strangers[0]!r} is not among the {len(runs)} of the table runs. The files come"
                f" from different collections; {mend(where(name))}"
            )
        if name in LARGE:
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
    for name in LARGE:
        frame = frames[name]
        for run, arm in zip(*_pairs_of(frame, "run", "arm"), strict=True) if "arm" in frame else ():
            if arms.get(run, arm) != arm:
                raise CollectedError(
                    f"{where(name)}: run {run!r} is of arm {arm!r}, but of {arms[run]!r} in the table runs. The files"
                    f" come from different collections; {mend(where(name))}"
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


def sorted_rows(frame: pd.DataFrame, name: str, where: str) -> pd.DataFrame:
    """Rows in the order of the table's key; what must be there is, and nothing twice."""
    keys = KEYS[name]
    if missing := [key for key in keys if key not in frame]:
        raise CollectedError(f"{where}: lacks the column {missing[0]!r}. {mend(where).capitalize()}")
    if "seed" in frame:
        # Missing seeds would make the column float64, and seed 1 be shown as 1.0.
        frame = frame.assign(seed=frame["seed"].astype("Int64"))
    for column in (*(key for key in keys if key not in _MAY_LACK), *_NEEDED.get(name, ())):
        if column not in frame:
            raise CollectedError(f"{where}: lacks the column {column!r}. {mend(where).capitalize()}")
        if (gap := frame[column].isna()).any():
            row = frame.loc[gap, list(keys)].iloc[0].to_dict()
            raise CollectedError(f"{where}: the row {row} has no {column!r}. {mend(where).capitalize()}")
    if "phase" in keys and (odd := sorted(set(frame["phase"].unique()) - set(_PHASES))):
        raise CollectedError(
            f"{where}: no phase {odd[0]!r}; there are {', '.join(_PHASES)}. {mend(where).capitalize()}"
        )
    if name == "answers" and (odd := ~frame["correct"].isin([True, False])).any():
        row = frame.loc[odd, list(keys)].iloc[0].to_dict()
        raise CollectedError(
            f"{where}: 'correct' is {frame.loc[odd, 'correct'].iloc[0]} in the row {row}; true or false"
        )
    if name == "answers":
        frame = frame.assign(correct=frame["correct"].astype(bool))
    if "choices" in frame and (odd := frame["choices"].dropna().map(len) == 0).any():
        row = frame.loc[odd.index[odd], list(keys)].iloc[0].to_dict()
        raise CollectedError(f"{where}: 'choices' is empty in the row {row}; leave it out where it isn't known")
    if name in LARGE:
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
            raise CollectedError(f"{where}: the row {row} stands there twice. {mend(where).capitalize()}")
    return frame.iloc[order].reset_index(drop=True)


def _is_words(column: pd.Series) -> bool:
    kinds = (pd.CategoricalDtype, pd.StringDtype)
    return column.name != "text" and (isinstance(column.dtype, kinds) or column.dtype == object)


def _words(column: pd.Series) -> pd.Series:
    """Categories in alphabetical order, so that equal tables have equal codes; numbers held as objects are numbers."""
    categories = column.astype("category").cat
    if not all(isinstance(each, str) for each in categories.categories):
        return column.infer_objects()
    return categories.set_categories(sorted(categories.categories))


def _sortable(column: pd.Series) -> np.ndarray:
    """Numbers that sort as the column does; what is missing comes first."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy()
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=float, na_value=-np.inf)
    return pd.factorize(column, sort=True)[0]
