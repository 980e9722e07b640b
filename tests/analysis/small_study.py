"""A small lopsided study of frames, for tests against definitions written out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm

from analysis import Tables, declare, from_frames

IMAGES = (0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 5, 6, 7, 7, 8, 8, 8, 8, 8)
"""Image of each of the 23 questions."""
SIZE = len(IMAGES)
TASKS = tuple("Count" if i % 3 else "Depth" for i in range(SIZE))

Values = Mapping[str, Mapping[int | None, Sequence[int]]]
"""Right (1) or wrong (0) by arm and seed, SIZE answers each."""


def draw(seed: int = 0, **arms: tuple[int, float]) -> dict[str, dict[int | None, list[int]]]:
    """Random answers: ``draw(a=(4, 0.7), base=(0, 0.3))`` has four seeds of a and one run of base without seed."""
    rng = np.random.default_rng(seed)
    ease = rng.normal(0, 0.15, SIZE)
    made: dict[str, dict[int | None, list[int]]] = {}
    for arm, (seeds, level) in arms.items():
        of: dict[int | None, list[int]] = {}
        for number in range(seeds) if seeds else [None]:
            shift = rng.normal(0, 0.1)
            of[number] = [int(each) for each in rng.random(SIZE) < level + ease + shift]
        made[arm] = of
    return made


def run_name(arm: str, seed: int | None) -> str:
    return arm if seed is None else f"{arm}/seed={seed}"


def questions(**changes: Any) -> pd.DataFrame:
    rows = {"suite": "s", "question": range(SIZE), "task": TASKS, "image": [f"{i}.png" for i in IMAGES], "source": "x"}
    return pd.DataFrame(rows | changes)


def rows_of(values: Values, **place: Any) -> pd.DataFrame:
    """Rows of answers; ``status`` may be given as {arm: {seed: [...]}}, else it is ok."""
    status = place.pop("status", {})
    made = []
    for arm, by_seed in values.items():
        for seed, right in by_seed.items():
            told = status.get(arm, {}).get(seed, ["ok"] * len(right))
            made += [
                {"run": run_name(arm, seed), "arm": arm, "seed": seed, "suite": "s", "question": question}
                | {"correct": bool(each), "status": told[question], **place}
                for question, each in enumerate(right)
            ]
    return pd.DataFrame(made).astype({"seed": "Int64"})


def runs_of(values: Values) -> pd.DataFrame:
    rows = [(run_name(arm, seed), arm, seed) for arm, by_seed in values.items() for seed in by_seed]
    return pd.DataFrame(rows, columns=["run", "arm", "seed"]).astype({"seed": "Int64"})


def small(values: Values, asked: pd.DataFrame | None = None, study: Mapping[str, Any] | None = None) -> Tables:
    """The answers as a study, every arm under the protocol and rule ``default``."""
    return from_frames(rows_of(values), questions() if asked is None else asked, runs_of(values), study)


def with_contrasts(tables: Tables, *declared: dict[str, Any]) -> Tables:
    """The same study with contrasts, each as `declare` takes it."""
    tables.study["contrasts"] = [declare(tables, **each) for each in declared]
    return tables


def percent(values: Mapping[int | None, Sequence[float]]) -> list[float]:
    """Accuracy of every seed, in percent."""
    return [100.0 * sum(of) / len(of) for of in values.values()]


def clustered(values: Any, weights: Any = None, chosen: Sequence[int] | None = None) -> tuple[float, float]:
    """Mean over questions and its standard error by statsmodels: regression on the tasks, robust to clusters of images
    (CR1), the tasks at their shares of the weight.

    Args:
        values: one for each question.
        weights: of the questions; equal by default.
        chosen: which questions they are; all by default.
    """
    rows = list(range(SIZE)) if chosen is None else list(chosen)
    tasks, images = ([of[row] for row in rows] for of in (TASKS, IMAGES))
    weight = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=float)
    dummies = np.array([[float(task == each) for each in sorted(set(tasks))] for task in tasks])
    fitted = sm.WLS(np.asarray(values, dtype=float), dummies, weights=weight).fit(
        cov_type="cluster", cov_kwds={"groups": np.asarray(images), "use_correction": True}
    )
    shares = weight @ dummies / weight.sum()
    return float(shares @ fitted.params), float(np.sqrt(shares @ np.asarray(fitted.cov_params()) @ shares))
