"""What the cluster offers, and whether that is what the study and the site file ask for."""

import os
import re
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.launch.slurm.scheduler import Partition, Slurm
from harness.launch.slurm.script import layout
from harness.record.atomic import read_json, write_json
from harness.study.errors import choices
from harness.study.resources import Resources

CACHE_S = 3600.0
"""How long what a cluster offers is not asked for again. Whatever is found wrong is checked against a new answer."""


@dataclass(frozen=True)
class Cluster:
    """What there is."""

    name: str
    max_array_size: int
    """Indices of array tasks are smaller than this."""
    enforced: bool
    """Accounts and QOS are looked at by the scheduler."""
    partitions: tuple[Partition, ...]
    associations: Mapping[str, frozenset[str]] | None
    """QOS by account that this user may use; None where nothing is enforced or asked for."""


def ask_cluster(scheduler: Slurm, associations: bool) -> Cluster:
    """What the scheduler says of itself, in two calls, three with the associations."""
    configuration = scheduler.configuration()
    accounting = configuration.get("AccountingStorageType", "").endswith("slurmdbd")
    enforced = accounting and configuration.get("AccountingStorageEnforce", "none").lower() not in ("none", "0", "")
    return Cluster(
        configuration.get("ClusterName", ""),
        int(configuration.get("MaxArraySize", 1001)),
        enforced,
        tuple(scheduler.partitions()),
        scheduler.associations() if associations and enforced else None,
    )


def known_cluster(scheduler: Slurm, cache: Path, associations: bool, fresh: bool = False) -> tuple[Cluster, bool]:
    """What the cluster offers, from a file if that is not too old, and whether it was asked just now."""
    key = f"{socket.gethostname()} {os.environ.get('SLURM_CONF', '')}"
    record = None if fresh else read_json(cache)
    if record and record["key"] == key and time.time() - record["time"] < CACHE_S:
        cluster = _from_record(record["cluster"])
        if cluster.associations is not None or not (associations and cluster.enforced):
            return cluster, False
    cluster = ask_cluster(scheduler, associations)
    write_json(cache, {"key": key, "time": time.time(), "cluster": _record(cluster)})
    return cluster, True


def _record(cluster: Cluster) -> dict[str, Any]:
    partitions = []
    for each in cluster.partitions:
        minutes = None if each.minutes == float("inf") else each.minutes
        partitions.append({**asdict(each), "minutes": minutes, "features": sorted(each.features)})
    associations = cluster.associations and {name: sorted(qos) for name, qos in cluster.associations.items()}
    return {**asdict(cluster), "partitions": partitions, "associations": associations}


def _from_record(record: Mapping[str, Any]) -> Cluster:
    partitions = []
    for each in record["partitions"]:
        minutes = float("inf") if each["minutes"] is None else each["minutes"]
        partitions.append(Partition(**{**each, "minutes": minutes, "features": frozenset(each["features"])}))
    found = record["associations"]
    associations = None if found is None else {name: frozenset(qos) for name, qos in found.items()}
    return Cluster(**{**record, "partitions": tuple(partitions), "associations": associations})


def check_resources(asked: Iterable[tuple[str, Resources, int]], cluster: Cluster) -> list[str]:
    """One line for everything that the cluster can't give, with what it can.

    Args:
        asked: kind of stage, its resources and its number of processes.
    """
    kinds: dict[str, list[str]] = {}
    for kind, resources, processes in asked:
        for field, text in _problems(resources, processes, cluster):
            found = kinds.setdefault(f"{field}: {text}", [])
            if kind not in found:
                found.append(kind)
    return [f"resources of {', '.join(found)} stages: {problem}" for problem, found in kinds.items()]


def _problems(given: Resources, processes: int, cluster: Cluster) -> Iterable[tuple[str, str]]:
    names = sorted({each.name for each in cluster.partitions})
    wanted = given.partition or next((each.name for each in cluster.partitions if each.default), None)
    if wanted is None:  # the site sends jobs to partitions by rules of its own
        return
    nodes = [each for each in cluster.partitions if each.name in wanted.split(",")]
    unknown = [each for each in wanted.split(",") if each not in names]
    if unknown:
        yield "partition", f"{unknown[0]!r} is none that is up; {choices(unknown[0], names)}"
        return
    yield from _association_problems(given, cluster)
    number, per_node = layout(processes, given.processes_per_node or 1)
    where = f"a node of partition {wanted}" + (f" ({per_node} processes on each of {number})" if processes > 1 else "")
    longest = max(each.minutes for each in nodes)
    if given.minutes > longest:
        yield "time", f"{given.time} is longer than partition {wanted} allows; at most {longest:.0f} minutes"
    if (given.signal_before_s or 0) >= given.minutes * 60:
        text = f"{given.signal_before_s} s before a time limit of {given.minutes} min leaves no time to work"
        yield "signal_before_s", text
    for field, asked, most in (
        ("cpus", (given.cpus or 1) * per_node, max(each.cpus for each in nodes)),
        ("memory_gb", (given.memory_gb or 0) * per_node, max(each.memory_mb for each in nodes) / 1024),
    ):
        if asked > most:
            yield field, f"{asked:g} in all is more than {where} has; at most {most:g}"
    features = sorted(set().union(*(each.features for each in nodes)))
    for each in re.split(r"[&|,\[\]()*]", given.constraint or ""):  # SLURM's operators: a&b, a|b, [a*2]
        if each and not each.isdecimal() and each not in features:
            yield "constraint", f"no node of {wanted} has {each!r}; {choices(each, features)}"
    yield from _gpu_problems(given, per_node, nodes, where)


def _gpus_of(node: Partition, gpu_type: str | None) -> int:
    return sum(number for name, number in node.gpus.items() if gpu_type in (None, name))


def _gpu_problems(given: Resources, per_node: int, nodes: list[Partition], where: str) -> Iterable[tuple[str, str]]:
    asked = (given.gpus or 0) * per_node
    if not asked:
        return
    types = sorted({name for each in nodes for name in each.gpus if name})
    if given.gpu_type and given.gpu_type not in types:
        yield "gpu_type", f"there is no {given.gpu_type!r}; {choices(given.gpu_type, types)}"
        return
    counts = [_gpus_of(each, given.gpu_type) for each in nodes]
    if asked > max(counts):
        yield "gpus", f"{asked} in all is more than {where} has; at most {max(counts)}"


def _association_problems(given: Resources, cluster: Cluster) -> Iterable[tuple[str, str]]:
    known = cluster.associations
    if known is None:
        return
    if given.account and given.account not in known:
        yield "account", f"{given.account!r} is none of yours; {choices(given.account, sorted(known))}"
        return
    qos = sorted(known[given.account] if given.account else frozenset().union(*known.values()))
    if given.qos and given.qos not in qos:
        of = f" with account {given.account}" if given.account else ""
        yield "qos", f"{given.qos!r} is not open to you{of}; {choices(given.qos, qos)}"
