"""The table of coverages and errors for readers: ``coverage.csv`` and ``coverage.md``."""

import argparse
import csv
import io
import os
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path

from tabulate import tabulate

from analysis.coverage.case import DRAWS
from analysis.coverage.run import DECIMALS, SEEDS, Row, coverage
from analysis.coverage.scenarios import CLOSE_SEEDS, SHARED_LUCK
from analysis.coverage.simulate import Model, make_layout


def csv_text(rows: Sequence[Row]) -> str:
    """All columns."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([field.name for field in fields(Row)])
    for row in rows:
        writer.writerow([f"{value:.{DECIMALS}f}" if isinstance(value, float) else value for value in astuple(row)])
    return out.getvalue()


TEXT = """# Coverage of the intervals, errors of the verdicts

Simulated studies with a known truth, put through the functions that make the tables (`make coverage`). "Coverage" is
how often the 95 % interval holds the truth beside it; "error" how often a test at 5 % claims what is not so, the
"family-wise error" how often any of five does. In percent, for 3, 5 and 10 seeds; 1 is two checkpoints.

{table}

**What is simulated.** {questions} questions of four tasks on {images} images, as many of each task in every study, the
same for all methods of a study. A run has a question right where a sum exceeds 0: its method's ability at the task,
the effects of seed (SD {seed_sd}), image ({image_sd}), question ({question_sd}), image on the method
({method_image_sd}) and image on the checkpoint ({checkpoint_image_sd}), and a residual (1). About 61 % are right, and
runs of one method spread by 2.8 points.

- *Independent seeds*, and wherever nothing else is said: seed effects don't correlate. *Paired*: they correlate at
  {correlation} at the same seed. *Closely paired*: at {close_correlation}, with an SD of {close_sd}.
- *Answers that can't be read*: about 9 % of the first arm's, 24 % of the second's; runs that are right more often are
  read more often too.
- *Twice the spread*: the first arm's runs spread by 5.5 points. *Collapse*: one run in ten of the first arm is 20
  points worse, and the truth is the mean with these.
- *One method, six names*: five contrasts against one arm, none of which differs; the verdict's error is the mean over
  the five. *At the margin*: all five differ from the first arm by the margin.

**Whom the truths are about.** *Method on these questions*: the mean over all seeds, the questions as they are. *Method
on questions like these*: over all seeds and all questions. *These checkpoints*: the two runs as they are, over all
questions, the tasks keeping their shares. *Further runs*: one more of each arm, with no seed in common. "Not its
claim": held against a truth that the interval doesn't speak about.

**What to make of it.**

- Welch's t estimates its degrees of freedom: with 3 seeds it errs less than allowed, and so does what is built on it.
- Rare collapses break the t intervals over seeds. A study that has seen none (73 % of those with 3 seeds, 35 % with 10)
  puts the mean too high, and more seeds make it surer of that. Look at the runs before the interval.
- Printed runs have no seed in common, so they are held against the arms' separate spreads, whatever our pairing; from
  the differences of our pairs the interval would be too narrow.
- The two-level bootstrap counts the chance in single answers at both levels, which is too wide; the percentiles of few
  seeds are too narrow. "Rows pooled" takes every answer of every run for an observation, "seeds drawn for each task"
  forgets that a run's tasks share its luck.
- Without adjustment five contrasts err together three to four times as often as one.

The standard error of a percentage, as so many simulations leave it open, is at most the last column; `coverage.csv`
has each. Bootstraps have {draws:,} draws, the sign-flip test 10,000.
"""


def markdown_text(rows: Sequence[Row]) -> str:
    """The table for readers, a line for each method with the numbers of seeds beside each other."""
    layout, model = make_layout(), Model()
    counts = (1, *SEEDS)
    titles = ["scenario", "method", "truth", "measure", *map(str, counts), "nominal", "simulations", "s.e."]
    lines: dict[tuple[str, ...], dict[int, Row]] = {}
    for row in rows:
        lines.setdefault((row.scenario, row.method, row.truth, row.measure), {})[row.seeds] = row
    cells, scenario = [], ""
    for key, found in lines.items():
        first = next(iter(found.values()))
        cells.append(
            [
                key[0] if key[0] != scenario else "",
                *key[1:],
                *(f"{found[n].share:.1f}" if n in found else "" for n in counts),
                f"{first.nominal:.0f}" if first.measure == "coverage" else f"≤ {first.nominal:.0f}",
                f"{first.simulations:,}",
                f"{max(row.standard_error for row in found.values()):.1f}",
            ]
        )
        scenario = key[0]
    align = ["left"] * 4 + ["right"] * (len(counts) + 3)
    return TEXT.format(
        **vars(model),
        questions=len(layout.images),
        images=int(layout.images.max()) + 1,
        correlation=SHARED_LUCK.seed_correlation,
        close_correlation=CLOSE_SEEDS.seed_correlation,
        close_sd=CLOSE_SEEDS.seed_sd,
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
        prog="python -m analysis.coverage",
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
