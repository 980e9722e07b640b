"""What a one-machine SLURM is to be like, as its configuration files say it."""

import socket
from dataclasses import dataclass
from pathlib import Path

from tests.slurm import cgroups

CLUSTER_ACCOUNT = "ci"
NODE_PORTS = 10
"""The first node's port, counted from the cluster's first; below are those of the central daemons."""


@dataclass(frozen=True)
class Options:
    """Size and habits of the cluster. Nodes are simulated: they may offer more than the machine has."""

    nodes: int = 4
    cpus: int = 64
    """Of each node."""
    gpus: int = 4
    """Of each node; null devices, which is enough for SLURM to hand them out."""
    memory_mb: int = 64000
    """Of each node. A job that asks for none gets its share by CPUs."""
    accounting: bool = True
    """With a database, so that sacct, QOS and accounts work; else sacct fails, as on clusters that have none."""
    max_array_size: int = 1001
    """SLURM's MaxArraySize: the largest array index is one smaller."""
    enforce_memory: bool = True
    """Kill what uses more memory than it asked for: by the kernel where it can be told to, else by polling."""
    grace_seconds: int = 15
    """From the signal that announces a preemption to the kill."""
    requeue_seconds: int = 5
    """How long a requeued job waits before it can start again."""
    kill_wait_seconds: int = 5
    """From SIGTERM to SIGKILL at a job's time limit or when it is cancelled."""
    node_timeout_seconds: int = 10
    """SlurmdTimeout: with 10, a node that is silent is taken to be down after about 26 seconds."""
    first_port: int | None = None
    """First of 100 ports; None: some that are free."""
    more: tuple[str, ...] = ()
    """Further lines of slurm.conf."""

    def node_names(self, first_port: int) -> tuple[str, ...]:
        """Named after the ports: kernel groups and kill_node() tell nodes of several clusters apart by their names."""
        return tuple(f"p{first_port}n{index}" for index in range(self.nodes))


def slurm_conf(root: Path, options: Options, first_port: int, first_job_id: int) -> str:
    """Text of ``slurm.conf``."""
    lines = [
        f"ClusterName=onebox{first_port}",
        f"SlurmctldHost={_hostname()}(127.0.0.1)",
        f"SlurmctldPort={first_port}",
        "SlurmUser=root",
        "SlurmdUser=root",
        "AuthType=auth/munge",
        "CredType=cred/munge",
        # The life of a credential is also the delay before a requeued job may start: an old one could launch it twice.
        f"AuthInfo=socket={root}/munge.sock,cred_expire={options.requeue_seconds}",
        f"StateSaveLocation={root}/state",
        f"SlurmdSpoolDir={root}/spool.%n",
        f"SlurmctldPidFile={root}/slurmctld.pid",
        f"SlurmdPidFile={root}/slurmd.%n.pid",
        f"SlurmctldLogFile={root}/log/slurmctld.log",
        f"SlurmdLogFile={root}/log/slurmd.%n.log",
        "MailProg=/bin/true",
        "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny",
        # Groups lose no process of a job; process groups lose those that start a session of their own.
        f"ProctrackType=proctrack/{'cgroup' if cgroups.can_track() else 'pgid'}",
        *_memory_lines(options),
        "MpiDefault=none",
        "SwitchType=switch/none",
        "JobAcctGatherType=jobacct_gather/linux",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        f"DefMemPerCPU={options.memory_mb // options.cpus}",
        # Nodes offer what is written here, not what slurmd finds.
        "SlurmdParameters=config_overrides",
        "SlurmctldParameters=preempt_send_user_signal",
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        "JobRequeue=1",
        "ReturnToService=2",
        f"KillWait={options.kill_wait_seconds}",
        f"SlurmdTimeout={options.node_timeout_seconds}",
        f"SlurmctldTimeout={options.node_timeout_seconds}",
        "MinJobAge=300",
        f"FirstJobId={first_job_id}",
        f"MaxArraySize={options.max_array_size}",
        "MaxJobCount=50000",
        "SchedulerType=sched/backfill",
        "SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2,sched_min_interval=100000",
        *(["GresTypes=gpu"] if options.gpus else []),
        *_node_lines(options, first_port),
        "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=REQUEUE "
        f"GraceTime={options.grace_seconds}",
        "PartitionName=high Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=100 PreemptMode=OFF",
    ]
    if options.accounting:
        lines += [
            "AccountingStorageType=accounting_storage/slurmdbd",
            "AccountingStorageHost=127.0.0.1",
            f"AccountingStoragePort={first_port + 1}",
            f"AccountingStoragePass={root}/munge.sock",
            "AccountingStorageEnforce=associations,limits,qos",
            *(["AccountingStorageTRES=gres/gpu"] if options.gpus else []),
        ]
    return "\n".join([*lines, *options.more]) + "\n"


def slurmdbd_conf(root: Path, first_port: int) -> str:
    """Text of ``slurmdbd.conf``."""
    return f"""CommunicationParameters=NoInAddrAny
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={first_port + 1}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.sock
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={first_port + 2}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
PidFile={root}/slurmdbd.pid
LogFile={root}/log/slurmdbd.log
"""


def cgroup_conf(options: Options) -> str:
    """Text of ``cgroup.conf``. With the version: slurmd ends where it cannot find out, even if it needs none."""
    limit = options.enforce_memory and cgroups.can_track() and cgroups.can_limit_memory()
    return f"CgroupPlugin=cgroup/v1\nConstrainRAMSpace={'yes' if limit else 'no'}\n"


def gres_conf(root: Path, options: Options) -> str:
    """Text of ``gres.conf``: a node is only valid with a character device for each GPU."""
    return f"Name=gpu File={root}/dev/gpu[0-{options.gpus - 1}]\n" if options.gpus else ""


def _hostname() -> str:
    return socket.gethostname().split(".")[0]


def _memory_lines(options: Options) -> list[str]:
    if not options.enforce_memory:
        return ["TaskPlugin=task/none", "JobAcctGatherFrequency=30"]
    if cgroups.can_track() and cgroups.can_limit_memory():
        return ["TaskPlugin=task/cgroup", "JobAcctGatherFrequency=30"]
    return ["TaskPlugin=task/none", "JobAcctGatherFrequency=1", "JobAcctGatherParams=OverMemoryKill"]


def _node_lines(options: Options, first_port: int) -> list[str]:
    """The first half of the nodes has one feature, the rest another."""
    port = first_port + NODE_PORTS
    gres = f" Gres=gpu:{options.gpus}" if options.gpus else ""
    return [
        f"NodeName={name} NodeHostname={_hostname()} NodeAddr=127.0.0.1 Port={port + index} CPUs={options.cpus} "
        f"Boards=1 SocketsPerBoard=1 CoresPerSocket={options.cpus} ThreadsPerCore=1 "
        f"RealMemory={options.memory_mb}{gres} Feature={'a100' if 2 * index < options.nodes else 'h100'} State=UNKNOWN"
        for index, name in enumerate(options.node_names(first_port))
    ]
