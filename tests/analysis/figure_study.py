"""A study so small that all numbers of its figures are known, and what is read off drawn figures.

base is untrained, base+grpo has two seeds, and there are 4 questions.
"""

from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis import Tables, from_frames

ARMS = ("base", "base+grpo")
T = 12.706204736432095
"""97.5 % quantile of Student's t, one degree of freedom: two values' half-width is T times half their distance."""

QUESTIONS = pd.DataFrame(
    {
        "suite": "s", "question": range(4), "task": ["Count", "Depth"] * 2, "image": ["a", "b", "c", "d"],
        "source": "x", "choices": [["1", "2", "3", "4"], ["near", "far"]] * 2, "answer": ["1", "near", "2", "far"],
        "answer_letter": ["A", "A", "B", "B"],
    }
)  # fmt: skip

# Right or wrong by run, phase and step; the curve asks the first two questions.
RIGHT: dict[tuple[str, int | None, str, int], list[int]] = {
    ("base", None, "final", 0): [1, 0, 0, 0],
    ("base+grpo", 0, "final", 10): [1, 1, 1, 0],
    ("base+grpo", 1, "final", 10): [1, 1, 1, 1],
    ("base+grpo", 0, "curve", 0): [0, 0],
    ("base+grpo", 0, "curve", 10): [1, 0],
    ("base+grpo", 1, "curve", 0): [1, 0],
    ("base+grpo", 1, "curve", 10): [1, 1],
}
TOKENS: dict[tuple[str, int | None, str, int], list[int]] = {
    ("base+grpo", 0, "curve", 0): [10, 20],
    ("base+grpo", 0, "curve", 10): [4, 6],
    ("base+grpo", 1, "curve", 0): [20, 30],
    ("base+grpo", 1, "curve", 10): [5, 5],
}


def tables(shuffled: int | None = None, right: Any = None, failed: str = "", **others: pd.DataFrame | None) -> Tables:
    """The study.

    Args:
        shuffled: seeds another order of all rows.
        right: instead of `RIGHT`.
        failed: a run that failed a manipulation check.
        others: tables instead of its own; one that is None is not there.
    """
    answers = _rows(right or RIGHT, "correct").astype({"correct": bool}).assign(rule="lenient", status="ok")
    frames = {"completions": _rows(TOKENS, "tokens").assign(sample=0), "training": training()} | others
    frames = {name: frame for name, frame in frames.items() if frame is not None}
    questions = QUESTIONS
    if shuffled is not None:
        rng = np.random.default_rng(shuffled)
        answers, questions = (frame.iloc[rng.permutation(len(frame))] for frame in (answers, questions))
        frames = {name: frame.iloc[rng.permutation(len(frame))] for name, frame in frames.items()}
    arms = [
        {"name": arm, "levels": {"start": "base", "training": training}, "protocol": "think", "curve_questions": 2}
        for arm, training in zip(ARMS, ("none", "grpo"), strict=True)
    ]
    study: dict[str, Any] = {"arms": arms, "protocols": {"think": {"method": "generate"}}, "rules": ["lenient"]}
    runs = answers[["run", "arm", "seed"]].drop_duplicates().assign(state="done")
    failure = '{"frozen": {"passed": false, "detail": "it moved"}}'
    runs["checks"] = np.where(runs["run"] == failed, failure, "{}")
    return from_frames(answers, questions, runs, study | {"seeds": [0, 1]}, **frames)


def training() -> pd.DataFrame:
    """60 steps of seed 0 and 59 of seed 1; the reward is the step, and two more for seed 1."""
    rows = []
    for seed, last in ((0, 60), (1, 59)):
        for step in range(1, last + 1):
            reward = step + 2.0 * seed
            rows.append(
                {"run": f"base+grpo/seed={seed}", "arm": "base+grpo", "seed": seed, "step": step, "reward": reward}
                | {"reward_std": 9.0, "reward_format": reward / 2, "completion_length": 100.0 - step}
            )
    return pd.DataFrame(rows).astype({"seed": "Int64"})


def _rows(values: dict[tuple[str, int | None, str, int], list[int]], column: str) -> pd.DataFrame:
    rows = [
        {"run": arm if seed is None else f"{arm}/seed={seed}", "arm": arm, "seed": seed, "phase": phase, "step": step}
        | {"protocol": "think", "suite": "s", "question": question, column: value}
        for (arm, seed, phase, step), of in values.items()
        for question, value in enumerate(of)
    ]
    return pd.DataFrame(rows).astype({"seed": "Int64"})


def drawn_texts(figure: Figure) -> list[tuple[str, float, Any]]:
    """Every text that is really drawn: what it says, its size in points and its box."""
    found = []
    plain = Text.draw

    def draw(self: Text, renderer: Any, *args: Any, **kwargs: Any) -> None:
        if self.get_visible() and self.get_text().strip():
            found.append((self.get_text(), self.get_fontsize(), self.get_window_extent(renderer)))
        plain(self, renderer, *args, **kwargs)

    with patch.object(Text, "draw", draw):
        figure.canvas.draw()
    return found
