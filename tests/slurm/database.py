"""The database behind sacct: a MariaDB of the cluster's own, and SLURM's accounts in it."""

import subprocess
from pathlib import Path

from tests.slurm.configuration import CLUSTER_ACCOUNT
from tests.slurm.daemons import ClusterFailed, Daemon, run

_SMALL = "--innodb-log-file-size=32M"


def create_files(root: Path, environment: dict[str, str]) -> None:
    """Make the database's files, once."""
    if (root / "mysql" / "mysql").is_dir():
        return
    run(
        [
            *["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={root}/mysql"],
            *["--auth-root-authentication-method=normal", "--skip-test-db", _SMALL],
        ],
        environment,
        seconds=300,
    )


def mariadb(root: Path, port: int) -> Daemon:
    """The server. It may lose the last second in a power cut, which makes it much faster."""
    command = [
        *["setsid", "--fork", "mariadbd", "--no-defaults", "--user=root", f"--datadir={root}/mysql"],
        *[f"--socket={root}/mysql.sock", f"--pid-file={root}/mariadbd.pid", f"--log-error={root}/log/mariadbd.log"],
        *["--bind-address=127.0.0.1", f"--port={port}", "--skip-log-bin", "--skip-name-resolve"],
        *["--innodb-buffer-pool-size=64M", _SMALL, "--innodb-flush-log-at-trx-commit=0"],
        *["--innodb-lock-wait-timeout=900", "--max-allowed-packet=16M"],
    ]
    return Daemon("mariadbd", tuple(command), root, stop_seconds=20)


def let_slurmdbd_in(root: Path, environment: dict[str, str]) -> None:
    """An empty database and a user for slurmdbd."""
    statements = [
        "CREATE DATABASE IF NOT EXISTS slurm_acct_db",
        "CREATE USER IF NOT EXISTS slurm@'127.0.0.1' IDENTIFIED BY 'slurm'",
        "GRANT ALL ON slurm_acct_db.* TO slurm@'127.0.0.1'",
    ]
    run(["mariadb", "--no-defaults", "-uroot", "-S", f"{root}/mysql.sock", "-e", "; ".join(statements)], environment)


def create_accounts(cluster: str, environment: dict[str, str]) -> None:
    """The cluster, three QOS and an account for root, once."""
    account = CLUSTER_ACCOUNT
    show = ["sacctmgr", "-n", "-P", "show", "user", "root", "withassoc", "format=account"]
    if account in run(show, environment).split():
        return
    requeue = "preemptmode=requeue gracetime=15"
    for words in (
        f"add cluster {cluster}",
        "add qos low,high",
        f"modify qos normal,low set {requeue}",
        "modify qos high set priority=1000 preempt=low,normal",
        f"add account {account} cluster={cluster} qos=normal,low,high",
        f"add user root account={account} defaultaccount={account} qos=normal,low,high defaultqos=normal",
    ):
        # It fails where there is nothing left to do; whether all is there is seen at the end.
        subprocess.run(["sacctmgr", "-i", "-Q", *words.split()], env=environment, capture_output=True, check=False)
    if CLUSTER_ACCOUNT not in run(show, environment).split():
        raise ClusterFailed("sacctmgr made no account")
