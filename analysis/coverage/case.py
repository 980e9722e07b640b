"""One simulated study, and what the analysis makes of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.collected import Layout, Tables
from analysis.combine import Combined, Part, bootstrap, combine
from analysis.contrast_result import ContrastResult
from analysis.contrasts import contrast
from analysis.declared import declare
from analysis.formats import Split, formats
from analysis.load import from_frames
from analysis.pairs import PairResult, pair_results
from analysis.statistics import LEVEL, BootstrapInterval
from analysis.values import RunValues, SideValues
from analysis.verdicts import decide

ALPHA = 1.0 - LEVEL
DRAWS = 2000
"""Of each bootstrap."""
PERCENT = 100.0
STATUS = pd.CategoricalDtype(["no_answer", "ok"])
SIGNS = (1.0, -1.0, -1.0, 1.0)
"""Of the sides of a difference and of a difference of differences."""


class Setting:
    """What all studies of one simulation have in common."""

    def __init__(self, layout: Layout, methods: int, seeds: int) -> None:
        self.layout, self.methods, self.seeds = layout, methods, seeds
        self.position = np.arange(len(layout.images))
        self.weights = np.ones(len(layout.images))

    @cached_property
    def tables(self) -> Tables:
        """A study of arms m0, m1, ...; `fill` puts the answers in."""
        return self._tables()

    @cached_property
    def unread(self) -> Tables:
        """The same without scoring rules: for what is left of a format report when no rule is to be held against."""
        return self._tables({"rules": []})

    @cached_property
    def result(self) -> ContrastResult:
        """A contrast of the first two arms, of which only what was declared is of use."""
        return contrast(self.tables, declare(self.tables, "m0", "m1"), draws=0)

    def fill(self, tables: Tables, right: np.ndarray, read: np.ndarray | None = None) -> Tables:
        """Answers of one study in the place of those that are there.

        Args:
            right: shape (methods, seeds, questions).
            read: whether each could be read, of the same shape; all of them by default.
        """
        rows = tables.answers
        place = rows["arm"].str[1:].astype(int), rows["seed"].astype(int), rows["position"]
        place = tuple(np.asarray(each) for each in place)
        rows["correct"] = right[place]
        status = np.ones(len(rows), dtype=np.int8) if read is None else read[place].astype(np.int8)
        rows["status"] = pd.Categorical.from_codes(status.tolist(), dtype=STATUS)
        return tables

    def _tables(self, study: dict[str, Any] | None = None) -> Tables:
        layout, size = self.layout, len(self.layout.images)
        names = [(f"m{arm}", seed) for arm in range(self.methods) for seed in range(self.seeds)]
        rows = [
            pd.DataFrame({"run": f"{arm}/seed={seed}", "arm": arm, "seed": seed, "question": range(size)})
            for arm, seed in names
        ]
        asked = pd.DataFrame({"question": range(size), "task": layout.tasks, "image": layout.images})
        return from_frames(
            pd.concat(rows).assign(correct=False), asked.astype({"task": str, "image": str}), None, study
        )


@dataclass
class Case:
    """One simulated study, as in `simulate.Studies`; numbers in percent."""

    number: int
    answers: np.ndarray
    """Right or wrong, shape (methods, seeds, questions)."""
    on_these: np.ndarray
    checkpoints: np.ndarray
    like_these: np.ndarray
    setting: Setting
    n: int
    """Seeds that are observed; further ones may be there to be predicted."""
    read: np.ndarray | None = None
    """Whether each answer could be read; all where None."""
    now_parsed: float = 0.0
    now_right: float = 0.0
    """The truth about the two parts of the first method's gain over the second."""
    _found: dict[Any, Any] = field(default_factory=dict)

    @cached_property
    def accuracy(self) -> np.ndarray:
        """Of each run, shape (methods, seeds)."""
        return PERCENT * self.answers.mean(axis=-1)

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._found:
            self._found[key] = make()
        return self._found[key]

    def side(self, arm: int, runs: str = "", constant: bool = False) -> SideValues:
        """A method as a side.

        Args:
            runs: whose runs these are; the method's own by default.
            constant: its first run alone, as an arm without randomness.
        """
        name = runs or f"m{arm}"
        values = self.answers[arm, : 1 if constant else self.n].astype(float)
        position = self.setting.position
        found = tuple(
            RunValues(name if constant else f"{name}/seed={seed}", None if constant else seed, position, each)
            for seed, each in enumerate(values)
        )
        return SideValues(found, {}, {}, len(found), random=not constant)

    def combined(
        self, *arms: int, paired: bool = False, constants: tuple[int, ...] = (), within: bool = False
    ) -> Combined:
        """The difference of two methods, or a difference of differences.

        Args:
            paired: by seed.
            constants: methods without randomness.
            within: all sides are the same runs, at one step or another.
        """

        def make() -> Combined:
            parts = []
            for sign, arm in zip(SIGNS, arms, strict=False):
                label = "m" if within else f"m{arm}"
                parts.append(Part(sign, self.side(arm, label, arm in constants), label))
            return combine(parts, self.setting.weights, self.setting.layout, PERCENT, paired)

        return self._once((arms, paired, constants, within), make)

    def result(
        self, *arms: int, margin: float | None = None, family: str | None = None, paired: bool = False
    ) -> ContrastResult:
        """A contrast of two methods with its verdict."""
        return self._result(self.combined(*arms, paired=paired), margin, family)

    def checkpoint_result(self, margin: float | None = None) -> ContrastResult:
        """The same of the first two methods' first runs, as arms without randomness."""
        return self._result(self.combined(0, 1, constants=(0, 1)), margin, None)

    def _result(self, combined: Combined, margin: float | None, family: str | None) -> ContrastResult:
        seeds = any(part.values.random for part in combined.parts)
        verdict = decide(combined.interval, margin, ALPHA, combined.population, seeds, combined.reason)
        return replace(self.setting.result, combined=combined, margin=margin, family=family, verdict=verdict)

    def pair(self) -> PairResult:
        """The first two methods' first runs, question by question."""

        def make() -> PairResult:
            fixed = self.combined(0, 1, constants=(0, 1))
            return pair_results(fixed, self.setting.weights, self.setting.layout, "accuracy", LEVEL)[0]

        return self._once("pair", make)

    def bootstrap(self, paired: bool) -> BootstrapInterval:
        """The two-level bootstrap of the first two methods."""
        combined = self.combined(0, 1, paired=paired)
        found = bootstrap(combined, [self.setting.weights], self.setting.layout, PERCENT, DRAWS, LEVEL)
        assert found, "no interval over seeds"
        return found[0]

    def split(self, paired: bool) -> Split:
        """The two parts of the first method's gain over the second."""

        def make() -> Split:
            # Without rules, as reading every run again for each of them is most of the work and none of this.
            tables = self.setting.fill(self.setting.unread, self.answers, self.read)
            split = formats(tables, [self.result(0, 1, paired=paired)])[0].split
            assert split, "no estimate"
            return split

        return self._once(("split", paired), make)
