"""Hydra's submitit launcher, in an environment of its own: its requirements don't go with the harness's."""

import subprocess
import sys
import venv
from pathlib import Path

from tests.benchmarks.slurm_peers import parameters

PACKAGES = ("hydra-core==1.3.8", "hydra-submitit-launcher==1.2.0", "omegaconf==2.3.1", "submitit==1.5.4")
"""That work together on Python 3.11. The launcher is of 2022, and none is newer."""


def hydra_python(folder: Path) -> Path:
    """Python of the environment, which is made if it isn't there.

    Raises:
        RuntimeError: it can't be made; the message has pip's last words.
    """
    python, ready = folder / "bin" / "python", folder / "ready.txt"
    if ready.exists() and ready.read_text().split() == list(PACKAGES):
        return python
    venv.create(folder, with_pip=True, clear=True)
    asked = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
    done = subprocess.run(asked, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"pip install {' '.join(PACKAGES)}: {done.stderr[-1000:]}")
    ready.write_text("\n".join(PACKAGES))
    return python


def multirun(python: Path, folder: Path, count: int) -> list[str]:
    """The command of a multirun over so many values."""
    values = ",".join(map(str, range(count)))
    app = Path(__file__).parent / "hydra_app.py"
    launcher = {
        "timeout_min": parameters.MINUTES,
        "nodes": 1,
        "tasks_per_node": 1,
        "cpus_per_task": parameters.CPUS,
        "signal_delay_s": parameters.SIGNAL_BEFORE_S,
        "array_parallelism": parameters.PARALLEL,
    }
    return [
        str(python),
        str(app),
        "--multirun",
        f"hydra.sweep.dir={folder}/multirun",
        "hydra/launcher=submitit_slurm",
        *(f"hydra.launcher.{name}={value}" for name, value in launcher.items()),
        f"+hydra.launcher.additional_parameters.mem={parameters.MEMORY_MB}MB",  # its own mem_gb is a whole number
        f"+folder={folder}",
        f"+number={values}",
    ]


def versions(python: Path) -> list[str]:
    """All packages of the environment."""
    asked = [str(python), "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()


if __name__ == "__main__":
    print(hydra_python(Path(sys.argv[1])))
