"""A real SLURM on one machine: several slurmds on one host, as root, without service manager or containers.

``python -m tests.slurm.onebox up`` starts one to work with by hand, ``eval "$(python -m tests.slurm.onebox env)"`` lets
a shell's commands use it, ``down`` stops it. Several can live side by side, each in a root folder of its own.
"""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from functools import cached_property
from pathlib import Path

from tests.slurm import cgroups, database, files
from tests.slurm.configuration import Options
from tests.slurm.daemons import MARK, NODE_MARK, ClusterFailed, Daemon, run
from tests.slurm.packages import ClusterUnavailable, require_packages
from tests.slurm.processes import all_pids, has_variable, is_alive, name_of, send, state_of, wait_until

__all__ = ["ClusterFailed", "ClusterUnavailable", "OneBox", "Options"]

_LONGEST_ROOT = 50
"""Addresses of Unix sockets have 107 characters, and slurmstepd's names are long."""
_USABLE = {"idle", "mix", "alloc"}


class OneBox:
    """A cluster in a root folder. What one process brought up another can use and bring down."""

    def __init__(self, root: Path, options: Options = Options()) -> None:  # noqa: B008 (it is frozen)
        self.root = root.absolute()
        self.options = options
        if len(str(self.root)) > _LONGEST_ROOT:
            raise ValueError(f"{self.root}: the root folder of a cluster may have {_LONGEST_ROOT} characters")

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes; no other cluster on this machine has them."""
        return self.options.node_names(files.first_port(self.root, self.options.first_port))

    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to use this cluster."""
        return {"SLURM_CONF": str(self.root / "slurm.conf")}

    def up(self) -> None:
        """Bring the cluster up, or what of it is down. Other options than before restart it.

        Raises:
            ClusterUnavailable: SLURM cannot be had on this machine.
            ClusterFailed: it can, but something doesn't work; nothing of the cluster is left running.
        """
        require_packages(self.options.accounting)
        if files.differ(self.root, self.options):
            self.down()
        try:
            files.write(self.root, self.options)
            if self._start():
                self._check_health()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Cancel all jobs and stop all daemons; no process is left."""
        nodes = files.known_nodes(self.root)
        self.cancel_jobs()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda node: self._slurmd(node).stop(), nodes))
        for daemon in (self._slurmctld(), self._slurmdbd(), database.mariadb(self.root, 0), self._munged()):
            daemon.stop()
        send(self.strays(), signal.SIGKILL)
        wait_until(lambda: not self.strays(), 30)
        for node in nodes:
            cgroups.remove(node)

    def cancel_jobs(self, seconds: float = 10) -> bool:
        """Cancel every job at once, without the time to end in good order; whether the queue is empty then."""
        if self._slurmctld().pid() is None:
            return True
        for state in ("PENDING", "RUNNING", "SUSPENDED"):  # what waits for a place first
            self._try(["scancel", "-Q", f"--state={state}"])

        dead = [node for node in files.known_nodes(self.root) if self._slurmd(node).pid() is None]
        for node in dead:  # else SLURM waits for it to say that its jobs have ended
            self._try(["scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=dead"])

        def none_left() -> bool:
            for node in files.known_nodes(self.root):
                # A slurmstepd that lives reports the end, and one of a dead node nobody would end.
                pids = self.processes_of(node)
                send([pid for pid in pids if node in dead or name_of(pid) != "slurmstepd"], signal.SIGKILL)
            return self._try(["squeue", "-h"]) == ""

        return wait_until(none_left, seconds, every=0.1)

    def strays(self) -> list[int]:
        """All processes of the cluster: its daemons, and all of its jobs."""
        of_jobs = {pid for node in files.known_nodes(self.root) for pid in self.processes_of(node)}
        return sorted(of_jobs.union(pid for pid in all_pids() if has_variable(pid, MARK, str(self.root))))

    def node_pid(self, node: str) -> int:
        """Process of a node's slurmd.

        Raises:
            ProcessLookupError: it doesn't run.
        """
        pid = self._slurmd(node).pid()
        if pid is None:
            raise ProcessLookupError(f"the slurmd of {node} doesn't run")
        return pid

    def processes_of(self, node: str) -> list[int]:
        """The slurmstepds and the processes of jobs on a node, among them those that left their process group."""
        found = cgroups.members(node)
        for pid in all_pids():
            if has_variable(pid, "SLURMD_NODENAME", node) or has_variable(pid, NODE_MARK, node):
                found.add(pid)
        return sorted(pid for pid in found if name_of(pid) != "slurmd" and is_alive(pid))

    def kill_node(self, node: str) -> None:
        """Make a node hang: no daemon answers, and its jobs stand still with whatever they hold (locks, open files).

        The slurmd alone wouldn't do: jobs outlive it, and would go on beside their requeued selves.
        """
        pid = self.node_pid(node)
        send([pid], signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), 30)
        while running := [pid for pid in self.processes_of(node) if state_of(pid) != "T"]:
            # Again, for what was started in between; and a signal sent to a process that runs hasn't stopped it yet.
            send(running, signal.SIGSTOP)
            if not wait_until(lambda: all(state_of(pid) == "T" or not is_alive(pid) for pid in running), 60):
                raise ClusterFailed(f"processes of {node} that don't stop: {running}", self._slurmd(node).log)

    def mark_down(self, node: str) -> None:
        """Tell SLURM that a node is down, so that its jobs are requeued now and not after the time-out."""
        run(["scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=marked"], self._own_environment())

    def revive_node(self, node: str) -> None:
        """Make a node that hung go on; returns when it takes jobs.

        What stood still runs again, until the node has registered and is told to end what was requeued meanwhile
        (about a second). Not so the sruns of lost jobs: this host's kernel has kept the news of the node's failure for
        them, which no node that hangs ever gets, and they would answer it by cancelling the step of their number, which
        by now is that of the job's next run.
        """
        running = (self._try(["squeue", "-h", "-w", node, "-t", "RUNNING", "-o", "%A"]) or "").split()
        still = [pid for pid in self.processes_of(node) if state_of(pid) == "T"]
        sruns = [pid for pid in still if name_of(pid) == "srun"]
        lost = [pid for pid in sruns if not any(has_variable(pid, "SLURM_JOB_ID", job) for job in running)]
        send(lost, signal.SIGKILL)
        send(still, signal.SIGCONT)
        self._start_slurmd(node)
        self._wait_for_nodes([node])

    def clear(self) -> None:
        """As it was at the start: no jobs, every node alive."""
        for node in self.nodes:
            if self._slurmd(node).pid() is None:
                self.revive_node(node)
        if not self.cancel_jobs(seconds=120):
            raise ClusterFailed(f"jobs that don't end: {self._try(['squeue', '-h'])}", self._slurmctld().log)
        self._wait_for_nodes(self.nodes)

    def _own_environment(self) -> dict[str, str]:
        """For daemons and our own commands: nothing of a surrounding job, except where to find programs."""
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"HOME": os.environ.get("HOME", "/root"), "LC_ALL": "C.UTF-8", "PATH": path, **self.environment()}

    def _start(self) -> bool:
        """Start what isn't running; whether there was anything."""
        environment = self._own_environment()
        started = self._munged().start(environment)
        if self.options.accounting:
            started |= self._start_accounting()
        started |= self._slurmctld().start(environment)
        with ThreadPoolExecutor(8) as pool:
            started |= any(list(pool.map(self._start_slurmd, self.nodes)))
        self._wait_for_nodes(self.nodes)
        return started

    def _munged(self) -> Daemon:
        options = {
            "key-file": "munge.key",
            "socket": "munge.sock",
            "pid-file": "munged.pid",
            "seed-file": "munged.seed",
        }
        command = ["munged", *(f"--{option}={self.root / name}" for option, name in options.items())]
        return Daemon("munged", (*command, f"--log-file={self.root}/log/munged.log"), self.root, stop_seconds=5)

    def _slurmdbd(self) -> Daemon:
        return Daemon("slurmdbd", ("slurmdbd",), self.root)

    def _slurmctld(self) -> Daemon:
        return Daemon("slurmctld", ("slurmctld",), self.root)

    def _slurmd(self, node: str) -> Daemon:
        return Daemon("slurmd", ("slurmd", "-N", node), self.root, instance=f".{node}", stop_seconds=5)

    def _start_slurmd(self, node: str) -> bool:
        return self._slurmd(node).start({**self._own_environment(), NODE_MARK: node})

    def _start_accounting(self) -> bool:
        environment = self._own_environment()
        port = files.first_port(self.root, None)
        database.create_files(self.root, environment)
        if database.mariadb(self.root, port + 2).start(environment):
            database.let_slurmdbd_in(self.root, environment)
        if not self._slurmdbd().start(environment):
            return False
        if not wait_until(lambda: self._try(["sacctmgr", "-n", "show", "cluster"]) is not None, 120):
            raise ClusterFailed("slurmdbd doesn't answer", self._slurmdbd().log)
        database.create_accounts(f"onebox{port}", environment)
        return True

    def _wait_for_nodes(self, nodes: Sequence[str]) -> None:
        """Until all take jobs; those that don't by themselves are told to."""

        def unusable() -> list[str]:
            said = self._try(["sinfo", "-h", "-N", "-p", "main", "-o", "%N %t"]) or ""
            states = dict(line.split() for line in said.splitlines())
            return [node for node in nodes if states.get(node) not in _USABLE]

        if wait_until(lambda: not unusable(), 5):
            return
        for node in unusable():
            self._try(["scontrol", "update", f"NodeName={node}", "State=RESUME"])
        if not wait_until(lambda: not unusable(), 120):
            node = unusable()[0]
            state = self._try(["scontrol", "show", "node", node]) or "slurmctld doesn't answer"
            logs = [self._slurmd(node).log, self._slurmctld().log]
            raise ClusterFailed(f"{node} takes no jobs: {state}", *logs)

    def _check_health(self) -> None:
        """One job over all nodes works, and is in the accounting."""
        count = str(len(self.nodes))
        script = 'echo "$SLURM_JOB_ID $SLURMD_NODENAME"'
        said = run(["srun", "-Q", "-N", count, "-n", count, "--mem=50", "sh", "-c", script], self._own_environment())
        job_id = said.split()[0]
        if sorted(said.splitlines()) != sorted(f"{job_id} {node}" for node in self.nodes):
            raise ClusterFailed(f"a job over all nodes said only {said!r}", self._slurmctld().log)
        show = ["sacct", "-n", "-X", "-P", "-o", "State", "-j", job_id]
        if self.options.accounting and not wait_until(lambda: "COMPLETED" in (self._try(show) or ""), 120, every=0.2):
            raise ClusterFailed(f"sacct doesn't know job {job_id}", self._slurmdbd().log)

    def _try(self, command: list[str]) -> str | None:
        """What a command prints, or None where it fails."""
        try:
            return run(command, self._own_environment(), seconds=60)
        except ClusterFailed:
            return None


def main(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.slurm.onebox", description=__doc__)
    parser.add_argument("action", choices=["up", "down", "env"])
    parser.add_argument("--root", type=Path, default=Path("/tmp/onebox"), help="default: /tmp/onebox")
    for field in fields(Options):
        option = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=field.default)
        elif field.name == "more":
            parser.add_argument(option, action="append", default=[], metavar="LINE", help="a line of slurm.conf")
        else:
            parser.add_argument(option, type=int, default=field.default)
    given = vars(parser.parse_args(arguments))
    action, root = given.pop("action"), given.pop("root")
    box = OneBox(root, Options(**{**given, "more": tuple(given["more"])}))
    try:
        if action == "up":
            box.up()
        elif action == "down":
            box.down()
    except (ClusterUnavailable, ClusterFailed) as failure:
        sys.exit(str(failure))
    if action != "down":
        print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in box.environment().items()))


if __name__ == "__main__":
    main(sys.argv[1:])
