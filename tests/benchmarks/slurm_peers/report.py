"""Results as tables, and whether what is claimed holds."""

import statistics
from collections.abc import Mapping, Sequence

from tests.benchmarks.slurm_peers.measure import COMMANDS, Measured

ALIKE, OURS = "ablate, independent", "ablate, a study"
MAP_ARRAY, CHAINED, HYDRA = "map_array", "map_array, chained", "hydra"
MOST_CALLS, MOST_CPU, FEWER_CALLS = 1.1, 0.5, 20.0


def median(measured: Sequence[Measured]) -> dict[str, float]:
    """The middle of several rounds, number by number."""
    rows = [
        {
            "jobs": each.jobs,
            **{name: each.calls.get(name, 0) for name in COMMANDS},
            "calls": sum(each.calls.values()),
            "in jobs": sum(each.calls_in_jobs.values()),
            "wall s": each.seconds,
            "submit cpu s": each.submitting_cpu,
            "script cpu/job": each.script_cpu / max(each.jobs, 1),
            "task cpu/job": each.task_cpu / max(each.jobs, 1),
            "cpu s/job": each.cpu_by_job,
        }
        for each in measured
    ]
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def ratios(ours: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float | None]:
    """Ours by theirs; None where they have nothing."""
    return {name: ours[name] / other[name] if other[name] else None for name in ours}


def verdicts(medians: Mapping[str, Mapping[str, float]], status: Mapping[str, Mapping[str, float]]) -> dict[str, bool]:
    """What is claimed, with the numbers, and whether it holds."""
    found = {}
    for ours, peer in ((ALIKE, MAP_ARRAY), (OURS, CHAINED)):
        calls, theirs, cpu = medians[ours]["calls"], medians[peer]["calls"], medians[ours]["cpu s/job"]
        found[f"scheduler calls of {ours}: {calls:g} <= {MOST_CALLS} x {theirs:g} of {peer}"] = (
            calls <= MOST_CALLS * theirs
        )
        found[f"CPU-seconds for each stage of {ours}: {cpu:.3f} <= {MOST_CPU}"] = cpu <= MOST_CPU
    one, many = status[OURS]["calls"], status["state"]["calls"]
    text = f"status: {one:g} calls, job by job {many:g}, {many / max(one, 1):.0f} >= {FEWER_CALLS:g} times as many"
    found[text] = many >= FEWER_CALLS * one
    return found


def table(rows: Mapping[str, Mapping[str, float | None]]) -> str:
    """One line for each name. Columns that are nothing everywhere are left out, but for the calls from inside jobs."""
    names = list(next(iter(rows.values())))
    names = [name for name in names if name == "in jobs" or any(row.get(name) for row in rows.values())]
    lines = [["", *names]]
    lines += [[label, *(_cell(row.get(name)) for name in names)] for label, row in rows.items()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines
    )


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if float(value).is_integer() else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
