"""How often each interval holds the truth it speaks about, and how often each test errs: ``coverage.csv`` and ``.md``.

    python -m analysis.statistics.coverage [--simulations 10000] [--out results/coverage]

Simulated studies of the design that is analysed here (see `simulate`), the package's own functions called on each, with
3, 5 and 10 seeds. The same numbers make the same files, byte for byte.
"""

import argparse
import csv
import io
import math
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass, fields
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tabulate import tabulate

from analysis.statistics.checks import DRAWS, Case
from analysis.statistics.scenarios import SCENARIOS, SHARED_LUCK, Scenario
from analysis.statistics.simulate import Layout, Model, make_layout, simulate

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
    for start in range(0, simulations, BATCH):
        size = min(BATCH, simulations - start)
        found = simulate(
            layout,
            scenario.model,
            scenario.advantages,
            n + scenario.further,
            size,
            rng,
            same_images=scenario.same_images,
        )
        for i in range(size):
            case = Case(
                start + i, found.answers[i], found.on_these[i], found.checkpoints[i], found.like_these, layout, n
            )
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


def csv_text(rows: Sequence[Row]) -> str:
    """All columns."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([field.name for field in fields(Row)])
    for row in rows:
        writer.writerow([f"{value:.{DECIMALS}f}" if isinstance(value, float) else value for value in astuple(row)])
    return out.getvalue()


TEXT = """# Coverage of the intervals, errors of the tests

Made by `python -m analysis.statistics.coverage`. Simulated studies with a known truth: {questions} questions of four
tasks on {images} images. A run has a question right where the sum of its method's ability at the task, the effects of
seed (SD {seed_sd}), image ({image_sd}), question ({question_sd}), image on the method ({method_image_sd}) and image on
the checkpoint ({checkpoint_image_sd}), and a residual (1) exceeds 0. Seed effects of paired methods correlate at
{correlation}, of others not at all. All methods of a study answer the same questions. "Coverage" is how often the 95 %
interval holds the truth beside it, "error" how often a test at 5 % rejects what is true; "s.e." is the standard error
that so many simulations leave. Bootstraps have {draws:,} draws.

{table}

- *Method on these questions*: its mean over all seeds, the questions as they are. *Method on questions like these*:
  its mean over all seeds and all questions. *These checkpoints*: the two runs as they are, over all questions.
- "Not its claim": the interval of the line above, held against a truth that it doesn't speak about.
- "Rows pooled": every answer of every run taken for an observation. "Seeds drawn for each task": as if a run's tasks
  didn't share its luck.
- Welch's t estimates its degrees of freedom and errs less than allowed with few seeds. The two-level bootstrap counts
  the chance in single answers at both levels, which is too wide; the percentiles of few seeds are too narrow.
- Intervals speak about a difference of two methods, unless the line says otherwise.
"""


def markdown_text(rows: Sequence[Row]) -> str:
    """The table for readers, with what was simulated."""
    layout, model = make_layout(), Model()
    titles = ["method", "truth", "seeds", "simulations", "measure", "%", "s.e.", "nominal"]
    cells = [
        [
            row.method,
            row.truth,
            str(row.seeds),
            f"{row.simulations:,}",
            row.measure,
            f"{row.share:.1f}",
            f"{row.standard_error:.1f}",
            f"{row.nominal:.0f}" if row.measure == "coverage" else f"≤ {row.nominal:.0f}",
        ]
        for row in rows
    ]
    align = ["left", "left", "right", "right", "left", "right", "right", "right"]
    return TEXT.format(
        **vars(model),
        questions=len(layout.images),
        images=int(layout.images.max()) + 1,
        correlation=SHARED_LUCK.seed_correlation,
        draws=DRAWS,
        table=tabulate(cells, headers=titles, tablefmt="pipe", disable_numparse=True, colalign=align),
    )


def write(rows: Sequence[Row], out: Path) -> None:
    """``coverage.csv`` and ``coverage.md`` into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "coverage.csv").write_text(csv_text(rows))
    (out / "coverage.md").write_text(markdown_text(rows))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.statistics.coverage",
        description="How often intervals hold the truth and tests err, by simulation.",
    )
    parser.add_argument("--simulations", type=int, default=10_000, help="studies of each kind (default 10000)")
    parser.add_argument("--out", type=Path, default=Path("results/coverage"), help="folder for the two files")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    given = parser.parse_args(arguments)
    if given.simulations < 2 or given.workers < 1:
        parser.error("--simulations must be at least 2, --workers at least 1")
    # Each process computes on one core; more threads would be in each other's way.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    write(coverage(given.simulations, workers=given.workers), given.out)
    print(f"{given.out / 'coverage.md'}")


if __name__ == "__main__":
    main()
