"""SLURM's packages: installed when they are missing, with one readable line when they cannot be."""

import os
import shutil
import subprocess
from pathlib import Path

BASIC = ("slurmctld", "slurmd", "slurm-client", "munge")
ACCOUNTING = ("slurmdbd", "slurm-wlm-mysql-plugin", "mariadb-server")

_POLICY = Path("/usr/sbin/policy-rc.d")


class ClusterUnavailable(Exception):
    """A real SLURM cannot be had here; the message is one line that says what is missing."""


def require_packages(accounting: bool) -> None:
    """Install what is missing.

    Raises:
        ClusterUnavailable: not root, no apt, or the installation failed.
    """
    if os.geteuid() != 0:
        raise ClusterUnavailable("a real SLURM needs root: it starts daemons and makes device files")
    wanted = BASIC + (ACCOUNTING if accounting else ())
    if shutil.which("dpkg-query") is None or shutil.which("apt-get") is None:
        raise ClusterUnavailable("a real SLURM needs Debian's packages, and there is no apt-get here")
    missing = [each for each in wanted if not _is_installed(each)]
    if missing:
        _install(missing)


def _is_installed(package: str) -> bool:
    command = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout == "installed"


def _install(missing: list[str]) -> None:
    """Install without starting services: systems with systemd would start a SLURM of their own."""
    options = ["-qq", "-y", "-o", "DPkg::Lock::Timeout=120"]
    policy_is_ours = not _POLICY.exists()
    if policy_is_ours:
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    try:
        # The lists may be old but good enough, or missing altogether: only what was last tried decides.
        _apt(["update", *options])
        failure = _apt(["install", *options, "--no-install-recommends", *missing])
    finally:
        if policy_is_ours:
            _POLICY.unlink(missing_ok=True)
    if failure is not None:
        raise ClusterUnavailable(f"a real SLURM needs {', '.join(missing)}, and apt-get install failed: {failure}")


def _apt(arguments: list[str]) -> str | None:
    """Run apt-get; the line that says why it failed, or None."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    ran = subprocess.run(
        ["apt-get", *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ran.returncode == 0:
        return None
    lines = [line.strip() for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:")] or lines or [f"exit code {ran.returncode}"]
    return errors[0]
