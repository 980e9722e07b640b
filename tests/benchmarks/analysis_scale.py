"""The analysis of a large study against the same made of scipy's bootstrap and pandas' groupby.

``python -m tests.benchmarks.analysis_scale`` makes up a collected study of 100 runs (20 arms, 5 seeds) with 11
checkpoints each on 2,638 questions, 2.9 million answers, and 20 contrasts; then, one after the other and each in a
process of its own:

``analysis``
    ``load`` and ``contrasts``: t intervals, question-paired tests of every pair of checkpoints, and 10,000 draws of the
    two-level bootstrap for each contrast.
``scipy``
    the bootstraps alone through ``scipy.stats.bootstrap``: its samples are the seeds of either side and the images, its
    statistic the difference of the mean accuracies of what was drawn. Both ways are there: the rows of the drawn images
    looked up (as one writes it), and sums by image prepared beforehand (as one writes it when that is too slow).
``pandas``
    the means of all checkpoints and tasks through one groupby over the answers, read by ``pandas.read_parquet``.

It prints seconds, peak memory, the ratios, and how far the intervals of the two bootstraps lie apart.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

QUESTIONS, IMAGES, ARMS, SEEDS, CHECKPOINTS, CONTRASTS = 2638, 1650, 20, 5, 11, 20
TASKS = (("Count", 788), ("Relation", 650), ("Depth", 600), ("Distance", 600))
DRAWS = 10_000


def make(folder: Path) -> None:
    """Write the made-up study as the collector would, with every table that `load` wants."""
    rng = np.random.default_rng(0)
    tasks = np.repeat([task for task, _ in TASKS], [size for _, size in TASKS])
    image = np.sort(rng.integers(0, IMAGES, QUESTIONS))
    questions = pd.DataFrame(
        {"study": "scale", "suite": "cv-bench", "question": np.arange(QUESTIONS, dtype=np.int32), "task": tasks}
        | {"type": "2D", "source": "made up", "image": [f"{number}.png" for number in image], "text": ""}
        | {"choices": [["a", "b"]] * QUESTIONS, "answer": "a", "answer_letter": "(A)"}
    )
    difficulty = rng.normal(0, 1.0, QUESTIONS) + rng.normal(0, 0.7, IMAGES)[image]
    runs, frames = [], []
    for arm in range(ARMS):
        for seed in range(SEEDS):
            run, luck = f"arm{arm}/seed={seed}", rng.normal(0, 0.05)
            runs.append({"study": "scale", "run": run, "arm": f"arm{arm}", "seed": seed, "state": "done", "reason": ""})
            for checkpoint in range(CHECKPOINTS):
                last = checkpoint == CHECKPOINTS - 1
                skill = 0.3 + 0.02 * arm + 0.03 * checkpoint + luck
                correct = skill + difficulty + rng.normal(0, 1.0, QUESTIONS) > 0
                frames.append(
                    pd.DataFrame(
                        {"study": "scale", "run": run, "arm": f"arm{arm}", "seed": np.int32(seed)}
                        | {"step": np.int32(150 * checkpoint), "phase": "final" if last else "curve"}
                        | {"suite": "cv-bench", "question": questions["question"], "task": tasks, "source": "made up"}
                        | {"image": questions["image"], "protocol": "think", "rule": "lenient", "extracted": "a"}
                        | {"status": "ok", "correct": correct}
                    )
                )
    run_table = pd.DataFrame(runs).assign(protocol="think", checks=None)
    _write(folder, "questions", questions)
    _write(folder, "runs", run_table)
    _write(folder, "answers", pd.concat(frames, ignore_index=True))
    text = ["study", "run", "arm", "phase", "suite", "protocol"]
    for name, more in (("completions", ["sample"]), ("traces", ["sample"]), ("option_scores", ["option"])):
        _write(folder, name, pd.DataFrame({column: [] for column in [*text, "seed", "step", "question", *more]}))
    for name, columns in (("training", ["run", "step"]), ("stages", ["stage"]), ("attempts", ["stage", "attempt"])):
        _write(folder, name, pd.DataFrame({column: [] for column in columns}))
    (folder / "study.json").write_text(json.dumps(_study()))


def _write(folder: Path, name: str, frame: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table.replace_schema_metadata({"schema_version": "4"}), folder / f"{name}.parquet")


def _study() -> dict[str, Any]:
    def side(arm: int) -> dict[str, Any]:
        return {"arm": f"arm{arm}", "protocol": "think", "rule": "lenient", "step": None}

    contrasts = [
        {"name": f"c{number}", "question": "", "a": side((number + 1) % ARMS), "b": side(number), "minus": None}
        | {"metric": "accuracy", "pairing": "none", "margin": 1.0, "family": None, "alpha": 0.05, "checkpoint": "last"}
        | {"last_k": 3, "exclusions": ["failed_checks"], "seed_sd": 1.0, "hash": "", "reads": []}
        for number in range(CONTRASTS)
    ]
    arms = [
        {"name": f"arm{arm}", "levels": {}, "protocol": "think", "curve_questions": QUESTIONS} for arm in range(ARMS)
    ]
    return {
        **{"schema_version": 4, "study": "scale", "title": "", "arms": arms, "factors": {}, "rules": ["lenient"]},
        **{"protocols": {"think": {"method": "generate"}}, "seeds": list(range(SEEDS)), "contrasts": contrasts},
        **{"claims": [], "power": {}, "registration": {"file": None, "contrasts": {}}},
    }


def ours(folder: Path) -> dict[str, Any]:
    """Load and compare, bootstraps included."""
    from analysis import contrasts, load

    began = time.perf_counter()
    tables = load(folder)
    loaded = time.perf_counter()
    results = contrasts(tables, draws=DRAWS)
    done = time.perf_counter()
    ends = [(each.bootstrap.low, each.bootstrap.high) for each in results if each.bootstrap]
    plain = time.perf_counter()
    contrasts(tables, draws=0)
    return {
        **{"load": loaded - began, "all": done - began, "contrasts": done - loaded, "intervals": ends},
        **{"bootstraps": done - loaded - (time.perf_counter() - plain)},
    }


def scipys(folder: Path, prepared: bool) -> dict[str, Any]:
    """The bootstraps alone, through scipy."""
    from scipy.stats import bootstrap

    answers = pd.read_parquet(folder / "answers.parquet", filters=[("phase", "==", "final")])
    image = pd.factorize(answers["image"][answers["run"] == "arm0/seed=0"])[0]
    right = {
        arm: np.stack([100.0 * of["correct"].to_numpy() for _, of in frame.groupby("run", observed=True)])
        for arm, frame in answers.groupby("arm", observed=True)
    }
    clusters = int(image.max()) + 1
    began = time.perf_counter()
    rows_of = [np.flatnonzero(image == each) for each in range(clusters)]
    sizes = np.array([len(rows) for rows in rows_of])
    sums = {arm: np.stack([of[:, rows].sum(axis=1) for rows in rows_of], axis=1) for arm, of in right.items()}
    intervals = []
    for number in range(CONTRASTS):
        a, b = f"arm{(number + 1) % ARMS}", f"arm{number}"

        def looked_up(seeds_a: Any, seeds_b: Any, images: Any, a: str = a, b: str = b) -> float:
            rows = np.concatenate([rows_of[each] for each in images])
            return right[a][np.ix_(seeds_a, rows)].mean() - right[b][np.ix_(seeds_b, rows)].mean()

        def from_sums(seeds_a: Any, seeds_b: Any, images: Any, a: str = a, b: str = b) -> float:
            difference = sums[a][np.ix_(seeds_a, images)].sum() - sums[b][np.ix_(seeds_b, images)].sum()
            return difference / SEEDS / sizes[images].sum()

        statistic: Callable[..., float] = from_sums if prepared else looked_up
        samples = (np.arange(SEEDS), np.arange(SEEDS), np.arange(clusters))
        found = bootstrap(samples, statistic, n_resamples=DRAWS, vectorized=False, method="percentile", rng=number)
        intervals.append((found.confidence_interval.low, found.confidence_interval.high))
    return {"all": time.perf_counter() - began, "intervals": intervals}


def pandas_means(folder: Path) -> dict[str, Any]:
    """The means of all checkpoints and tasks through one groupby."""
    began = time.perf_counter()
    answers = pd.read_parquet(folder / "answers.parquet")
    answers.groupby(["run", "phase", "step", "protocol", "rule", "task"])["correct"].mean()
    return {"all": time.perf_counter() - began}


WAYS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "analysis": ours,
    "pandas groupby": pandas_means,
    "scipy, sums prepared": lambda folder: scipys(folder, prepared=True),
    "scipy, rows looked up": lambda folder: scipys(folder, prepared=False),
}


def main() -> None:
    """Run every way in a process of its own, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        found = WAYS[given.way](given.folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found | {"peak_mib": peak}))
        return
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(
            [sys.executable, "-c", f"from {__spec__.name} import make, Path; make(Path({name!r}))"], check=True
        )
        found = {}
        for way in WAYS:
            command = [sys.executable, "-m", __spec__.name, "--way", way, "--folder", name]
            found[way] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"{way:22} {found[way]['all']:8.2f} s   {found[way]['peak_mib']:7.0f} MiB at most", flush=True)
    mine = found["analysis"]
    parts = ", ".join(f"{part} {mine[part]:.2f} s" for part in ("load", "contrasts", "bootstraps"))
    print(f"analysis: {parts} (a part of the contrasts)")
    for way in ("scipy, rows looked up", "scipy, sums prepared"):
        apart = np.abs(np.array(mine["intervals"]) - np.array(found[way]["intervals"])).max()
        print(
            f"{way}: {found[way]['all'] / mine['bootstraps']:.0f} times our bootstraps,"
            f" {found[way]['all'] / mine['all']:.0f} times all of ours, file and tests included; ends of intervals at"
            f" most {apart:.2f} points apart"
        )


if __name__ == "__main__":
    main()
