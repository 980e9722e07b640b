"""Clusters for the tests: a real SLURM for the session, and one without accounting; started when first used.

Where SLURM cannot be had, the tests that need it fail with the line that says why.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.slurm.onebox import OneBox, Options

_SESSION_ENVIRONMENT = pytest.StashKey[dict[str, str]]()
_SLURM_VARIABLES = ("SLURM_", "SBATCH_", "SRUN_", "SACCT_", "SQUEUE_", "SINFO_", "SCANCEL_")


@pytest.fixture(scope="session")
def slurm(request: pytest.FixtureRequest) -> Iterator[OneBox]:
    """A cluster with accounting; SLURM's commands use it (``os.environ``), except while ``plain_slurm`` is in use."""
    with pytest.MonkeyPatch.context() as patch, running_cluster(Options()) as box:
        for name in list(os.environ):  # of a job that the tests may run in
            if name.startswith(_SLURM_VARIABLES):
                patch.delenv(name)
        request.config.stash[_SESSION_ENVIRONMENT] = box.environment()
        for name, value in box.environment().items():
            patch.setenv(name, value)
        yield box
        del request.config.stash[_SESSION_ENVIRONMENT]


@pytest.fixture
def clean_slurm(slurm: OneBox) -> Iterator[OneBox]:
    """The cluster of the session; after the test its jobs are cancelled and its dead nodes revived."""
    yield slurm
    slurm.clear()


@pytest.fixture(scope="session")
def plain_cluster() -> Iterator[OneBox]:
    """A cluster without accounting and with short arrays, beside the other. ``os.environ`` doesn't lead to it."""
    with running_cluster(Options(nodes=2, accounting=False, max_array_size=100)) as box:
        yield box


@pytest.fixture(scope="module")
def plain_slurm(plain_cluster: OneBox, request: pytest.FixtureRequest) -> Iterator[OneBox]:
    """``plain_cluster``, used by SLURM's commands for the rest of the module."""
    os.environ.update(plain_cluster.environment())
    yield plain_cluster
    plain_cluster.clear()
    for name in plain_cluster.environment():
        del os.environ[name]
    os.environ.update(request.config.stash.get(_SESSION_ENVIRONMENT, {}))


@contextmanager
def running_cluster(options: Options) -> Iterator[OneBox]:
    """A cluster in a folder of its own that is gone at the end, even when this process is killed."""
    # Not pytest's own folders: their paths are too long for sockets, and closed to munge.
    parent = tempfile.gettempdir()
    root = Path(tempfile.mkdtemp(prefix="slurm-", dir=parent if len(parent) < 30 else "/tmp"))
    box = OneBox(root, options)
    with _undertaker(root):
        try:
            box.up()
            yield box
        finally:
            box.down()
            shutil.rmtree(root)


@contextmanager
def _undertaker(root: Path) -> Iterator[None]:
    """A process that brings the cluster down as soon as this one is gone: its standard input ends then."""
    script = 'read _; "$0" -m tests.slurm.onebox down --root "$1"; rm -rf "$1"'
    with subprocess.Popen(
        ["sh", "-c", script, sys.executable, str(root)],
        stdin=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        start_new_session=True,  # else a Ctrl-C would reach it
    ):
        yield
