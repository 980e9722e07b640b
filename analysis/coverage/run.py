"""The simulated studies of every scenario, and what came of each check.

The same numbers make the same rows, whatever the number of processes.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np

from analysis.collected import Layout
from analysis.coverage.case import Case, Setting
from analysis.coverage.reading import read
from analysis.coverage.scenarios import SCENARIOS, Scenario
from analysis.coverage.simulate import make_layout, simulate

SEEDS = (3, 5, 10)
BATCH = 50
"""Studies simulated at a time."""
DECIMALS = 6
"""Of shares: what the two files show is rounded from one number."""


@dataclass(frozen=True)
class Row:
    """One line of the table; shares in percent."""

    scenario: str
    method: str
    truth: str
    seeds: int
    simulations: int
    measure: str
    share: float
    standard_error: float
    """Of ``share``, as so many simulations leave it open (Monte Carlo)."""
    nominal: float


def coverage(simulations: int = 10_000, seed: int = 0, workers: int = 1) -> list[Row]:
    """The whole table, in the order of `scenarios.SCENARIOS`.

    Args:
        simulations: studies of each scenario and number of seeds; slow methods have a declared part of them.
        seed: of everything random.
        workers: processes; their number changes nothing in the table.
    """
    jobs = [
        (position, n, simulations, seed)
        for position, scenario in enumerate(SCENARIOS)
        for n in ((1,) if scenario.single else SEEDS)
    ]
    if workers == 1:
        found = [_job(job) for job in jobs]
    else:
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            found = list(pool.map(_job, jobs))
    rows = []
    for position in range(len(SCENARIOS)):
        own = [part for job, part in zip(jobs, found, strict=True) if job[0] == position]
        rows += [row for same_method in zip(*own, strict=True) for row in same_method]
    return rows


def _job(job: tuple[int, int, int, int]) -> list[Row]:
    position, n, simulations, seed = job
    return run_scenario(SCENARIOS[position], make_layout(), n, simulations, [seed, position, n])


def run_scenario(scenario: Scenario, layout: Layout, n: int, simulations: int, seed: Sequence[int]) -> list[Row]:
    """Every check of one scenario with n seeds; the first studies are those that slow checks see."""
    rng = np.random.default_rng(seed)
    allowed = [max(2, round(check.part * simulations)) for check in scenario.checks]
    hits: list[list[float]] = [[] for _ in scenario.checks]
    setting = Setting(layout, len(scenario.advantages), n)
    for start in range(0, max(allowed), BATCH):
        size = min(BATCH, max(allowed) - start)
        for i, case in enumerate(_cases(scenario, setting, size, start, rng)):
            for check, limit, own in zip(scenario.checks, allowed, hits, strict=True):
                if start + i < limit:
                    own.append(float(check.hit(case)))
    return [
        Row(
            scenario.name,
            check.method,
            check.truth,
            n,
            len(own),
            check.measure,
            round(100.0 * float(np.mean(own)), DECIMALS),
            round(100.0 * float(np.std(own, ddof=1)) / math.sqrt(len(own)), DECIMALS),
            check.nominal,
        )
        for check, own in zip(scenario.checks, hits, strict=True)
    ]


def _cases(scenario: Scenario, setting: Setting, size: int, start: int, rng: np.random.Generator) -> list[Case]:
    """So many simulated studies, numbered from ``start``."""
    seeds, model = setting.seeds + scenario.further, scenario.model
    found = simulate(setting.layout, model, scenario.advantages, seeds, size, rng, same_images=scenario.same_images)
    cases = [
        Case(
            start + i,
            found.answers[i],
            found.on_these[i],
            found.checkpoints[i],
            found.like_these,
            setting,
            setting.seeds,
        )
        for i in range(size)
    ]
    if scenario.reading is None:
        return cases
    status = read(found, model, scenario.reading, rng)
    return [
        replace(
            case,
            answers=case.answers & status.read[i],
            read=status.read[i],
            now_parsed=float(status.now_parsed[i]),
            now_right=float(status.now_right[i]),
        )
        for i, case in enumerate(cases)
    ]
