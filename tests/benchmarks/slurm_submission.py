"""What submitting to SLURM costs: a study of ours against submitit's ``map_array`` and hydra's submitit launcher.

``python -m tests.benchmarks.slurm_submission`` brings a one-machine SLURM up, lets each submit about 200 trivial jobs
and wait for them, ``--rounds`` times in turn, and compares calls of the scheduler, CPU time and wall time (how they are
measured: ``slurm_peers/measure.py``). Then it asks how a study of a thousand stages stands of which half are queued,
once with ``ablate status`` and once with submitit job by job.

``map_array`` knows of independent jobs only. Like for like: as many stages that need nothing that isn't there. A
whole study's stages wait for each other, in one array for each sort of them; against it stands "map_array, chained",
arrays of the same sizes that wait for each other.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import submitit

from tests.benchmarks.slurm_peers import hydra_environment
from tests.benchmarks.slurm_peers.measure import Measured, Meter
from tests.benchmarks.slurm_peers.report import ALIKE, CHAINED, HYDRA, MAP_ARRAY, OURS, median, ratios, table, verdicts
from tests.benchmarks.slurm_peers.study import Study
from tests.slurm.conftest import running_cluster
from tests.slurm.onebox import Options
from tests.slurm.processes import wait_until

PEERS = Path(__file__).parent / "slurm_peers"
PEER_PATH = {"PYTHONPATH": str(PEERS)}
HYDRA_ENVIRONMENT = Path(__file__).parents[2] / "build" / "hydra-peer"


def say(text: str) -> None:
    print(text, flush=True)


def one_round(meter: Meter, folder: Path, jobs: int, python: Path | None) -> dict[str, Measured]:
    """Every launcher once, on an idle cluster."""
    options = ("--on", "slurm", "--allow-dirty", "--attach", "--no-compare")
    alike = Study(folder / "alike").write()
    first = alike.command("run", 1, "--only", "world", "--no-compare")
    meter.run(first, alike.folder, **alike.variables())
    command = alike.command("run", jobs, *options, "--only", "sft")
    found = {ALIKE: meter.run_with_jobs(command, alike.folder, lambda: sum(alike.arrays()), **alike.variables())}
    say(f"  {ALIKE}: {found[ALIKE].seconds:.1f} s, {found[ALIKE].jobs} stages in arrays of {alike.arrays()}")
    study = Study(folder / "study").write()
    command = study.command("run", (jobs - 3) // 3 + ((jobs - 3) % 3 > 1), *options)
    found[OURS] = meter.run_with_jobs(command, study.folder, lambda: sum(study.arrays()), **study.variables())
    say(f"  {OURS}: {found[OURS].seconds:.1f} s, {found[OURS].jobs} stages in arrays of {study.arrays()}")
    for name, sizes in ((MAP_ARRAY, [jobs]), (CHAINED, study.arrays())):
        target = folder / name.replace(", ", "-")
        target.mkdir()
        command = [sys.executable, str(PEERS / "map_array.py"), str(target), ",".join(map(str, sizes))]
        found[name] = meter.run_with_jobs(command, target, lambda sizes=sizes: sum(sizes), **PEER_PATH)
        check_numbers(target, sum(sizes))
        say(f"  {name}: {found[name].seconds:.1f} s")
    if python is not None:
        target = folder / "hydra"
        target.mkdir()
        command = hydra_environment.multirun(python, target, jobs)
        found[HYDRA] = meter.run_with_jobs(command, target, lambda: jobs, **PEER_PATH)
        check_numbers(target, jobs)
        say(f"  {HYDRA}: {found[HYDRA].seconds:.1f} s")
    return found


def check_numbers(folder: Path, count: int) -> None:
    """Every job did its work."""
    written = len(list(folder.glob("number-*.txt")))
    if written != count:
        raise RuntimeError(f"{folder}: {written} of {count} jobs wrote their number")


def status(meter: Meter, folder: Path, nodes: tuple[str, ...], stages: int, forced: int) -> dict[str, dict[str, float]]:
    """One look at a study of which half the stages are queued, on a cluster that starts nothing, in several ways."""
    meter.ask("scontrol", "update", f"NodeName={','.join(nodes)}", "State=DRAIN", "Reason=benchmark")
    study = Study(folder / "status").write()
    submit = study.command("run", stages // 6, "--on", "slurm", "--allow-dirty", "--no-compare")
    meter.run(submit, study.folder, **study.variables())
    queued = study.queued()
    if not wait_until(lambda: meter.knows(queued), 60, every=1):
        raise RuntimeError("accounting doesn't get to know all jobs")
    look = study.command("status", stages // 3, "--json")
    ours, said = meter.run(look, study.folder, codes=(0, 1), **study.variables())
    states = [each["state"] for each in json.loads(said)["stages"].values()]
    if states.count("queued") != len(queued):
        raise RuntimeError(f"ablate status: {states.count('queued')} queued, not {len(queued)}")
    found = {OURS: _look(ours, len(states), states.count("queued"))}
    for mode, ids in (("state", queued), ("force", queued[:forced]), ("together", queued)):
        command = [sys.executable, str(PEERS / "one_by_one.py"), str(study.folder), mode]
        theirs, said = meter.run(command, study.folder, " ".join(ids))
        if json.loads(said) != {"PENDING": len(ids)}:
            raise RuntimeError(f"submitit ({mode}): {said}")
        found[mode] = _look(theirs, len(ids), len(ids), len(queued) / len(ids))
    return found


def _look(measured: Measured, asked: int, pending: int, scale: float = 1.0) -> dict[str, float]:
    """Numbers of one look; calls and seconds of one at a part of the jobs only are scaled to all."""
    return {
        "asked about": asked,
        "pending": pending,
        "scaled by": scale,
        "calls": sum(measured.calls.values()) * scale,
        "wall s": measured.seconds * scale,
        "cpu s": measured.submitting_cpu * scale,
    }


def versions(meter: Meter, python: Path | None) -> dict[str, Any]:
    return {
        "slurm": meter.ask("sinfo", "--version").split()[-1],
        "submitit": submitit.__version__,
        "hydra": hydra_environment.versions(python) if python else None,
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
    }


def print_report(report: Mapping[str, Any]) -> None:
    """Everything as text."""
    medians = report["medians"]
    pairs = [(ALIKE, MAP_ARRAY), (OURS, CHAINED), (ALIKE, HYDRA)]
    against = {f"{a} / {b}": ratios(medians[a], medians[b]) for a, b in pairs if b in medians}
    say(f"\nmedian of {len(report['rounds'])} rounds; cores: {report['versions']['cores']}\n{table(medians)}\n")
    say(f"{table(against)}\n")
    say(f"status of a study, half of it queued\n{table(report['status'])}\n")
    for text, holds in report["holds"].items():
        say(f"{'holds' if holds else 'DOES NOT HOLD':13}  {text}")


def find_hydra() -> Path | None:
    """Python with hydra, or None with the reason on the terminal."""
    try:
        return hydra_environment.hydra_python(HYDRA_ENVIRONMENT)
    except RuntimeError as error:
        say(f"without hydra: {error}")
        return None


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All results as one record. The cluster is gone at the end, whatever happens."""
    python = None if arguments.no_hydra else find_hydra()
    with tempfile.TemporaryDirectory(prefix="submission-") as name, running_cluster(Options()) as box:
        folder = Path(name)
        meter = Meter(folder, box.environment())
        rounds = []
        for number in range(1, arguments.rounds + 1):
            say(f"round {number} of {arguments.rounds}")
            rounds.append(one_round(meter, folder / f"round-{number}", arguments.jobs, python))
        looks = status(meter, folder, box.nodes, arguments.stages, arguments.forced)
        medians = {name: median([each[name] for each in rounds]) for name in rounds[0]}
        return {
            "versions": versions(meter, python),
            "rounds": [{name: each.record() for name, each in found.items()} for found in rounds],
            "medians": medians,
            "status": looks,
            "holds": verdicts(medians, looks),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="of all launchers in turn")
    parser.add_argument("--jobs", type=int, default=200, help="of each launcher; ours takes the nearest it can have")
    parser.add_argument("--stages", type=int, default=1000, help="of the study that is asked about")
    parser.add_argument("--forced", type=int, default=100, help="jobs that are asked for by force; scaled to all")
    parser.add_argument("--no-hydra", action="store_true", help="without that peer, which is installed for it")
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    arguments = parser.parse_args()
    report = measure(arguments)
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    print_report(report)


if __name__ == "__main__":
    main()
