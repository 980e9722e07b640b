"""The cluster that the tests of real SLURM run on is what they take it for."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slurm.conftest import running_cluster
from tests.slurm.onebox import ClusterFailed, ClusterUnavailable, OneBox, Options
from tests.slurm.processes import is_alive, name_of, state_of, wait_until

SOON = 120
"""Seconds to wait at most for what a quiet machine does in one or a few."""


def ask(box: OneBox, *command: str) -> str:
    """What one of SLURM's commands prints."""
    ran = subprocess.run(command, env={**os.environ, **box.environment()}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def submit(box: OneBox, folder: Path, script: str, *options: str) -> str:
    """Job id of a batch script whose output goes to ``<folder>/out``, appended."""
    out = [f"--output={folder}/out", "--open-mode=append", f"--chdir={folder}"]
    return ask(box, "sbatch", "--parsable", *out, *options, f"--wrap={script}")


def output(folder: Path) -> list[str]:
    return (folder / "out").read_text().splitlines() if (folder / "out").exists() else []


def states(box: OneBox, job_id: str, *options: str) -> list[str]:
    """What sacct says of a job, earlier runs with ``-D``."""
    return ask(box, "sacct", "-n", "-X", "-P", "-o", "State", "-j", job_id, *options).split("\n")


def test_up_again_leaves_everything_as_it_is(slurm: OneBox) -> None:
    # The last step of the job that the cluster was tried with may just be ending.
    assert wait_until(lambda: all(name_of(pid) != "slurmstepd" for pid in slurm.strays()), SOON)
    before = slurm.strays()
    slurm.up()
    OneBox(slurm.root, slurm.options).up()
    assert slurm.strays() == before


def test_nodes_give_out_gpus_and_know_their_features(clean_slurm: OneBox) -> None:
    count = str(len(clean_slurm.nodes))
    script = 'echo "$SLURMD_NODENAME $CUDA_VISIBLE_DEVICES"'
    said = ask(clean_slurm, "srun", "-N", count, "-n", count, "--gpus-per-node=2", "--mem=50", "sh", "-c", script)
    assert sorted(said.splitlines()) == [f"{node} 0,1" for node in clean_slurm.nodes]
    chosen = ask(clean_slurm, "srun", "-C", "h100", "--mem=50", "sh", "-c", script)
    assert chosen.split()[0] in clean_slurm.nodes[2:]


def test_what_takes_too_much_memory_is_killed(clean_slurm: OneBox, tmp_path: Path) -> None:
    greedy = shlex.quote("import time; x = bytearray(300_000_000); time.sleep(60)")
    job_id = submit(
        clean_slurm, tmp_path, f"srun {shlex.quote(sys.executable)} -c {greedy}; echo srun: $?", "--mem=100"
    )
    assert wait_until(lambda: output(tmp_path)[-1:] not in ([], ["srun: 0"]), SOON)
    assert wait_until(lambda: states(clean_slurm, job_id) == ["COMPLETED"], SOON), "the script goes on"
    step = ask(clean_slurm, "sacct", "-n", "-P", "-o", "State", "-j", f"{job_id}.0")
    assert step == "OUT_OF_MEMORY" or step.startswith("CANCELLED")  # by the kernel, or by polling


def test_a_job_is_told_of_its_preemption(clean_slurm: OneBox, tmp_path: Path) -> None:
    script = "trap 'echo told; exit 3' USR2; echo start; sleep 100 & wait"
    everything = [f"-N{len(clean_slurm.nodes)}", "--exclusive", "--mem=50"]
    submit(clean_slurm, tmp_path, script, *everything, "--signal=B:USR2@90", "--requeue")
    assert wait_until(lambda: output(tmp_path) == ["start"], SOON)
    ask(clean_slurm, "srun", "-p", "high", *everything, "true")
    assert output(tmp_path)[1] == "told"


STEP = "srun sh -c 'echo step; until [ -e go ]; do sleep 0.2; done'"


def submit_waiting(box: OneBox, folder: Path) -> tuple[str, str]:
    """Id and node of a job whose step runs until there is a file ``go``, beside a child that left its group."""
    script = f"echo $SLURMD_NODENAME; setsid sleep 1000 & {STEP}; echo srun: $?"
    job_id = submit(box, folder, script, "--mem=100", "--requeue")
    assert wait_until(lambda: len(output(folder)) == 2, SOON)
    return job_id, output(folder)[0]


def test_a_node_that_hangs_and_comes_back(clean_slurm: OneBox, tmp_path: Path) -> None:
    job_id, node = submit_waiting(clean_slurm, tmp_path)
    clean_slurm.kill_node(node)
    frozen = clean_slurm.processes_of(node)
    assert len(frozen) >= 6, "two slurmstepds, the script, its child that left its group, srun and the step"
    assert {state_of(pid) for pid in frozen} == {"T"}
    with pytest.raises(ProcessLookupError):
        clean_slurm.node_pid(node)

    clean_slurm.mark_down(node)
    assert wait_until(lambda: len(output(tmp_path)) == 4, SOON)
    assert output(tmp_path)[2] != node
    assert wait_until(lambda: states(clean_slurm, job_id, "-D") == ["NODE_FAIL", "RUNNING"], SOON)
    assert all(map(is_alive, frozen))

    clean_slurm.revive_node(node)
    assert wait_until(lambda: not any(map(is_alive, frozen)), SOON), "what was requeued is ended on the old node"
    assert ask(clean_slurm, "srun", "-w", node, "--mem=50", "echo", "back") == "back"
    (tmp_path / "go").touch()
    assert wait_until(lambda: states(clean_slurm, job_id) == ["COMPLETED"], SOON), "the next run isn't disturbed"
    assert output(tmp_path)[-1] == "srun: 0"


def test_a_node_that_hangs_for_a_moment_loses_nothing(clean_slurm: OneBox, tmp_path: Path) -> None:
    job_id, node = submit_waiting(clean_slurm, tmp_path)
    clean_slurm.kill_node(node)
    clean_slurm.revive_node(node)
    (tmp_path / "go").touch()
    assert wait_until(lambda: states(clean_slurm, job_id, "-D") == ["COMPLETED"], SOON)
    assert [line for line in output(tmp_path) if line != "srun: got SIGCONT"] == [node, "step", "srun: 0"]


def test_a_cluster_without_accounting_beside(slurm: OneBox, plain_cluster: OneBox, tmp_path: Path) -> None:
    assert not set(slurm.nodes) & set(plain_cluster.nodes)
    with pytest.raises(AssertionError, match="accounting storage is disabled"):
        ask(plain_cluster, "sacct")
    submit(plain_cluster, tmp_path, "true", "--array=0-99", "--hold")
    with pytest.raises(AssertionError, match="Invalid job array specification"):
        submit(plain_cluster, tmp_path, "true", "--array=0-100", "--hold")
    assert ask(slurm, "squeue", "-h") == ""
    plain_cluster.clear()
    assert ask(plain_cluster, "squeue", "-h") == ""


def test_down_leaves_nothing(tmp_path: Path) -> None:
    with running_cluster(Options(nodes=2, accounting=False)) as box:
        for node in box.nodes:
            submit(
                box, tmp_path, "trap '' TERM; setsid sleep 100 & echo started; srun sleep 100", "--mem=100", "-w", node
            )
        assert wait_until(lambda: len(output(tmp_path)) == 2, SOON)
        box.kill_node(box.nodes[0])
        there = box.strays()
        box.down()
        assert [pid for pid in there if is_alive(pid)] == []
        assert list(Path("/sys/fs/cgroup").glob(f"*/slurm_{box.nodes[0]}")) == []
        box.down()


def test_a_killed_test_run_leaves_nothing() -> None:
    script = """
import time
from tests.slurm.conftest import Options, running_cluster
with running_cluster(Options(nodes=1, accounting=False)) as box:
    print(box.root, *box.strays(), flush=True)
    time.sleep(100)
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        root, *pids = process.stdout.readline().split()
        process.kill()
    assert len(pids) >= 3
    assert wait_until(lambda: not any(is_alive(int(pid)) for pid in pids) and not Path(root).exists(), SOON)


def test_a_daemon_that_ends_says_why_and_leaves_nothing() -> None:
    with (
        pytest.raises(ClusterFailed, match=r"(?s)slurmctld doesn't start.*SelectTypeParameters"),
        running_cluster(Options(nodes=1, accounting=False, more=("SelectTypeParameters=nonsense",))),
    ):
        pass


def test_without_root_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ClusterUnavailable, match="needs root"):
        OneBox(Path("/tmp/onebox-none")).up()
