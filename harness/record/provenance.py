"""Where and with what something was computed; nothing is imported to find its version."""

import os
import platform
import socket
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.record.atomic import read_json

LIBRARIES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "accelerate",
    "tokenizers",
    "safetensors",
    "submitit",
    "numpy",
    "pandas",
    "pyarrow",
    "pillow",
    "pydantic",
)


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of those of `LIBRARIES` that are installed."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


CODE_RECORD = "code.json"
"""Beside the package in a copy that was made for jobs: where it was copied from."""


def code_root() -> Path:
    """Folder that the package ``harness`` lies in."""
    return Path(__file__).resolve().parents[2]


@cache
def commit() -> str | None:
    """Commit of this code, with ``+dirty`` when files differ from it; None outside a repository. A copy that was made
    for jobs knows the commit that it was made from."""
    folder = code_root()
    copied = read_json(folder / CODE_RECORD)
    if copied is not None:
        return copied["commit"]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        # a site-packages folder inside somebody else's repository says nothing about this code
        if Path(git("rev-parse", "--show-toplevel")).resolve() != folder:
            return None
        head = git("rev-parse", "HEAD")
        return head + ("+dirty" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def hardware() -> str:
    """Name of the processor, the number of cores that this process may use, and its GPUs."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return ", ".join([name, f"{available_cores()} cores", *(gpu for _, gpu in gpus())])


@cache
def gpus() -> tuple[tuple[str, str], ...]:
    """Index and name of the GPUs that this process may use: ``nvidia-smi``'s, cut to ``CUDA_VISIBLE_DEVICES``."""
    try:
        command = ["nvidia-smi", "--query-gpu=index,name,uuid", "--format=csv,noheader"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = [tuple(part.strip() for part in line.split(",")) for line in listed.splitlines() if line.count(",") == 2]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple((index, name) for index, name, _ in found)
    wanted = [each.strip() for each in visible.split(",")]
    return tuple((index, name) for each in wanted for index, name, uuid in found if each in (index, uuid))


def available_cores() -> int:
    """Cores that this process may use: its affinity, and the limit of its control group."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return cores


def provenance() -> dict[str, Any]:
    """Host, hardware, commit and versions, as an attempt records them."""
    return {
        "host": os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
        "hardware": hardware(),
        "commit": commit(),
        "versions": versions(),
    }
