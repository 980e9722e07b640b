"""The files of a cluster's root folder: configuration, key, fake devices, and what must outlive a restart."""

import json
import os
import socket
import stat
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.slurm import configuration
from tests.slurm.configuration import Options

_PORTS = range(17000, 32000, 100)
"""Blocks of ports, below those that the kernel hands out."""
_JOB_IDS = 60_000_000
"""SLURM's job ids end at 67 million."""


def first_port(root: Path, wanted: int | None) -> int:
    """First port of the cluster, chosen once: names and running daemons depend on it."""
    return int(_once(root / "port", lambda: str(wanted or _free_ports(root))))


def differ(root: Path, options: Options) -> bool:
    """The configuration isn't what it would be with these options."""
    return any(_read(root / name) != text for name, text in _texts(root, options).items())


def write(root: Path, options: Options) -> None:
    """Write the configuration and what goes with it."""
    nodes = options.node_names(first_port(root, options.first_port))
    for name in ("state", "log", "dev", *(f"spool.{node}" for node in nodes)):
        (root / name).mkdir(exist_ok=True)
    root.chmod(0o755)
    for name, text in _texts(root, options).items():
        (root / name).unlink(missing_ok=True)
        if text is not None:
            # slurmdbd refuses a file that others can read.
            _write_new(root / name, text.encode(), 0o600 if "dbd" in name else 0o644)
    if not (root / "munge.key").exists():
        _write_new(root / "munge.key", os.urandom(1024), 0o600)
    for index in range(options.gpus):
        device = root / "dev" / f"gpu{index}"
        if not device.exists():
            os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # as /dev/null


def known_nodes(root: Path) -> list[str]:
    """Names of all nodes that the cluster ever had."""
    return sorted(each.name.removeprefix("spool.") for each in root.glob("spool.*"))


def _texts(root: Path, options: Options) -> dict[str, str | None]:
    """Configuration files with their texts, None for one that isn't to be there."""
    port = first_port(root, options.first_port)
    # From the clock: a cluster made anew must not repeat ids, or results of an earlier job look like a new one's.
    first_job_id = int(_once(root / "first_job_id", lambda: str(int(time.time()) % _JOB_IDS + 1)))
    return {
        "slurm.conf": configuration.slurm_conf(root, options, port, first_job_id),
        "cgroup.conf": configuration.cgroup_conf(options),
        "gres.conf": configuration.gres_conf(root, options),
        "slurmdbd.conf": configuration.slurmdbd_conf(root, port) if options.accounting else None,
        "options.json": json.dumps(asdict(options), indent=1),
    }


def _once(file: Path, make: Callable[[], str]) -> str:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(make())
    return file.read_text()


def _read(file: Path) -> str | None:
    return file.read_text() if file.exists() else None


def _write_new(file: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
        opened.write(content)


def _free_ports(root: Path) -> int:
    """A block of which no port is in use. Where to look first depends on the folder, so that clusters that start at
    the same time don't choose the same."""
    start = zlib.crc32(str(root).encode()) % len(_PORTS)
    for port in (*_PORTS[start:], *_PORTS[:start]):
        if all(_is_free(each) for each in range(port, port + 20)):
            return port
    raise OSError("no block of free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
