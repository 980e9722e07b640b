"""Daemons without a service manager: started, watched and stopped by their pid files."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.slurm.processes import all_pids, has_variable, is_alive, name_of, stop, wait_until

MARK = "ONEBOX"
"""Environment variable of all daemons and of what they start: the root folder of their cluster."""
NODE_MARK = "ONEBOX_NODE"
"""Environment variable of a node's slurmd and slurmstepd (not of jobs: they have their submitter's environment)."""


class ClusterFailed(Exception):
    """Something of the cluster doesn't work; with the end of the log that may say why."""

    def __init__(self, message: str, *logs: Path) -> None:
        super().__init__("\n".join([message, *(f"The end of {log}:\n{tail(log)}" for log in logs)]))


@dataclass(frozen=True)
class Daemon:
    """A daemon that puts itself into the background and writes a pid file."""

    name: str
    command: tuple[str, ...]
    root: Path
    """Of the cluster."""
    instance: str = ""
    """What tells it apart from others of its name."""
    stop_seconds: float = 10

    @property
    def pid_file(self) -> Path:
        """Where it says its process."""
        return self.root / f"{self.name}{self.instance}.pid"

    @property
    def log(self) -> Path:
        """Where it writes what it does."""
        return self.root / "log" / f"{self.name}{self.instance}.log"

    def pid(self) -> int | None:
        """Its process, or None where it doesn't run. A pid file may be older than the machine's last start."""
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return None
        return pid if is_alive(pid) and name_of(pid) == self.name and has_variable(pid, MARK, str(self.root)) else None

    def start(self, environment: dict[str, str]) -> bool:
        """Start it if it doesn't run; whether it didn't."""
        if self.pid() is not None:
            return False
        self.pid_file.unlink(missing_ok=True)
        # Into a file: of a pipe that the daemon keeps open one would never see the end.
        said = self.log.with_suffix(".start")
        with said.open("w") as output:
            ran = subprocess.run(
                self.command,
                env={**environment, MARK: str(self.root)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                check=False,
            )
        # A daemon forks twice, and might not be seen in between: for a while only its pid file counts.
        if ran.returncode == 0 and not wait_until(lambda: self.pid() is not None, 3):
            wait_until(lambda: self.pid() is not None or not self._exists(), 120)
        if self.pid() is None:
            raise ClusterFailed(f"{self.name}{self.instance} doesn't start", said, self.log)
        return True

    def stop(self) -> None:
        """Stop it if it runs."""
        pid = self.pid()
        if pid is not None:
            stop([pid], self.stop_seconds)
        self.pid_file.unlink(missing_ok=True)

    def _exists(self) -> bool:
        """It, or another daemon of the cluster with its name, is there, perhaps before it has written a pid file."""
        return any(name_of(pid) == self.name and has_variable(pid, MARK, str(self.root)) for pid in all_pids())


def run(command: list[str], environment: dict[str, str], seconds: float = 120) -> str:
    """What a command prints.

    Raises:
        ClusterFailed: it failed or took too long.
    """
    try:
        ran = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise ClusterFailed(f"{' '.join(command)} took longer than {seconds:.0f} s") from late
    if ran.returncode != 0:
        raise ClusterFailed(f"{' '.join(command)} failed: {ran.stderr.strip() or ran.stdout.strip()}")
    return ran.stdout


def tail(log: Path, lines: int = 20) -> str:
    """The end of a log."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"
