"""What the cluster offers, read off its commands, and every wish that it can't grant."""

import os
import subprocess
from pathlib import Path

import pytest

from harness.launch.slurm import site
from harness.launch.slurm.scheduler import QueuedTask, SchedulerError, Slurm
from harness.launch.slurm.script import layout
from harness.launch.slurm.site import Cluster, ask_cluster, check_resources, known_cluster
from harness.launch.slurm.submit import Refused
from harness.study.resources import DEFAULTS, Resources
from tests.launch.slurm_fake.conftest import Toy
from tests.launch.slurm_fake.fake_slurm import FakeSlurm

SINFO = """\
main*|1-00:00:00|64000|16|(null)|avx,ib|up
gpu|2-12:30:00|515000+|64+|gpu:a100:8(S:0-1),shard:16|a100,nvlink|up
gpu|2-12:30:00|257000|32|gpu:v100:4|v100|up
old|30:00|8000|2|gpu:2|(null)|up
gone|infinite|8000|2|(null)|(null)|down
"""
SACCTMGR = "vlm|normal,high\nother|normal\nvlm|long\n"


@pytest.fixture
def scheduler() -> FakeSlurm:
    return FakeSlurm(cluster={"sinfo": SINFO, "sacctmgr": SACCTMGR})


@pytest.fixture
def cluster(scheduler: FakeSlurm) -> Cluster:
    return ask_cluster(scheduler, associations=True)


def problems(cluster: Cluster, processes: int = 1, **given: object) -> list[str]:
    """What is wrong with these resources, without the words before it."""
    asked = DEFAULTS.model_copy(update={"gpus": 0, **given})
    found = check_resources([("sft", asked, processes)], cluster)
    assert all(each.startswith("resources of sft stages: ") for each in found)
    return [each.removeprefix("resources of sft stages: ") for each in found]


def test_partitions_as_sinfo_prints_them(cluster: Cluster) -> None:
    main, large, small, old = cluster.partitions
    assert (main.name, main.minutes, main.memory_mb, main.cpus, main.gpus) == ("main", 1440, 64000, 16, {})
    assert (main.features, main.default) == ({"avx", "ib"}, True)
    assert (large.name, large.minutes, large.memory_mb, large.cpus) == ("gpu", 3630, 515000, 64)
    assert (large.gpus, small.gpus, old.gpus) == ({"a100": 8}, {"v100": 4}, {"": 2})
    assert (old.minutes, old.features, old.default) == (30, set(), False)
    assert cluster.associations == {"vlm": {"normal", "high", "long"}, "other": {"normal"}}
    assert (cluster.name, cluster.max_array_size, cluster.enforced) == ("fake", 1001, True)


def test_no_time_limit_is_none(scheduler: FakeSlurm) -> None:
    (found,) = FakeSlurm().partitions()
    assert found.minutes == float("inf")
    assert problems(ask_cluster(FakeSlurm(), False), time="365-0") == []


def test_gpus_that_are_tied_to_some_sockets_are_all_counted() -> None:
    """The list of sockets may hold commas, as between resources."""
    line = "gpu*|infinite|515000|64|gpu:a100:4(S:1,3,5,7),gpu:h100:2(S:0)|(null)|up\n"
    (found,) = FakeSlurm(cluster={"sinfo": line}).partitions()
    assert found.gpus == {"a100": 4, "h100": 2}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"partition": "gpus"}, "partition: 'gpus' is none that is up; did you mean 'gpu'? Allowed: gpu, main, old"),
        ({"partition": "gone"}, "partition: 'gone' is none that is up; Allowed: gpu, main, old"),
        ({"partition": "gpu,x"}, "partition: 'x' is none that is up; Allowed: gpu, main, old"),
        ({"account": "vlms"}, "account: 'vlms' is none of yours; did you mean 'vlm'? Allowed: other, vlm"),
        (
            {"account": "other", "qos": "high"},
            "qos: 'high' is not open to you with account other; Allowed: normal",
        ),
        ({"qos": "higher"}, "qos: 'higher' is not open to you; did you mean 'high'? Allowed: high, long, normal"),
        ({"constraint": "ibb"}, "constraint: no node of main has 'ibb'; did you mean 'ib'? Allowed: avx, ib"),
        ({"constraint": "ib&a100"}, "constraint: no node of main has 'a100'; Allowed: avx, ib"),
        ({"time": "1-00:01:00"}, "time: 1-00:01:00 is longer than partition main allows; at most 1440 minutes"),
        ({"time": "2"}, "signal_before_s: 120 s before a time limit of 2 min leaves no time to work"),
        ({"memory_gb": 63.0}, "memory_gb: 63 in all is more than a node of partition main has; at most 62.5"),
        ({"cpus": 17}, "cpus: 17 in all is more than a node of partition main has; at most 16"),
        ({"gpus": 1}, "gpus: 1 in all is more than a node of partition main has; at most 0"),
        ({"partition": "gpu", "gpus": 9}, "gpus: 9 in all is more than a node of partition gpu has; at most 8"),
        (
            {"partition": "gpu", "gpus": 5, "gpu_type": "v100"},
            "gpus: 5 in all is more than a node of partition gpu has; at most 4",
        ),
        (
            {"partition": "gpu", "gpus": 1, "gpu_type": "a10"},
            "gpu_type: there is no 'a10'; did you mean 'a100'? Allowed: a100, v100",
        ),
        (
            {"partition": "old", "gpus": 1, "gpu_type": "a100", "time": "9", "memory_gb": 1.0},
            "gpu_type: there is no 'a100'; Allowed: nothing",
        ),
    ],
)
def test_a_wrong_wish_is_answered_with_what_there_is(cluster: Cluster, given: dict[str, object], told: str) -> None:
    assert problems(cluster, **given) == [told]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"partition": "gpu", "gpus": 8, "gpu_type": "a100", "cpus": 64, "memory_gb": 502.0, "time": "2-12:30"},
        {"partition": "main,gpu", "gpus": 4, "time": "2-12"},
        {"account": "vlm", "qos": "long"},
        {"qos": "long"},
        {"partition": "gpu", "constraint": "[a100*2|v100*1]"},
        {"constraint": "(avx&ib)"},
    ],
)
def test_what_can_be_had_is_no_problem(cluster: Cluster, given: dict[str, object]) -> None:
    assert problems(cluster, **given) == []


def test_all_that_is_wrong_is_told_at_once_and_each_once(cluster: Cluster) -> None:
    asked = DEFAULTS.model_copy(update={"gpus": 0, "cpus": 99, "memory_gb": 999.0, "time": "9-0"})
    found = check_resources([("sft", asked, 1), ("sft", asked, 1), ("grpo", asked, 1)], cluster)
    assert [each.split(": ")[:2] for each in found] == [
        ["resources of sft, grpo stages", field] for field in ("time", "cpus", "memory_gb")
    ]


def test_processes_of_a_stage_share_nodes(cluster: Cluster) -> None:
    given = {"partition": "gpu", "gpus": 2, "cpus": 8}
    assert problems(cluster, 4, **given) == []
    (told,) = problems(cluster, 8, **given)
    assert told == ("gpus: 16 in all is more than a node of partition gpu (8 processes on each of 1) has; at most 8")
    assert problems(cluster, 8, processes_per_node=4, **given) == []


@pytest.mark.parametrize(
    ("processes", "per_node", "expected"),
    [(1, 8, (1, 1)), (8, 8, (1, 8)), (16, 8, (2, 8)), (12, 8, (2, 6)), (7, 4, (7, 1)), (9, 4, (3, 3))],
)
def test_as_few_nodes_as_can_share_evenly(processes: int, per_node: int, expected: tuple[int, int]) -> None:
    assert layout(processes, per_node) == expected


def test_no_default_partition() -> None:
    cluster = ask_cluster(FakeSlurm(cluster={"sinfo": SINFO.replace("*", "")}), False)
    assert problems(cluster) == []  # the site may send jobs to partitions by rules of its own
    assert problems(cluster, partition="main") == []


def test_accounts_are_not_checked_without_accounting() -> None:
    cluster = ask_cluster(FakeSlurm(accounting=False, cluster={"sinfo": SINFO}), True)
    assert cluster.associations is None
    assert problems(cluster, account="anything", qos="any") == []


# ---- asked once an hour


def test_what_was_asked_is_kept_and_comes_back_as_it_was(tmp_path: Path, scheduler: FakeSlurm) -> None:
    cache = tmp_path / "cluster.json"
    asked, fresh = known_cluster(scheduler, cache, associations=True)
    assert fresh
    assert known_cluster(scheduler, cache, associations=True) == (asked, False)
    assert known_cluster(scheduler, cache, associations=False) == (asked, False)
    assert scheduler.calls == {"scontrol": 1, "sinfo": 1, "sacctmgr": 1}
    unlimited = FakeSlurm()
    assert (
        known_cluster(unlimited, tmp_path / "b.json", False)[0]
        == known_cluster(unlimited, tmp_path / "b.json", False)[0]
    )


def test_it_is_asked_again_when_old_elsewhere_or_lacking(
    tmp_path: Path, scheduler: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cluster.json"
    known_cluster(scheduler, cache, associations=False)
    assert known_cluster(scheduler, cache, associations=True)[1]
    assert not known_cluster(scheduler, cache, associations=True)[1]
    monkeypatch.setenv("SLURM_CONF", "/another/slurm.conf")
    assert known_cluster(scheduler, cache, associations=True)[1]
    monkeypatch.setattr(site, "CACHE_S", -1.0)
    assert known_cluster(scheduler, cache, associations=True)[1]


def test_what_is_found_wrong_is_checked_against_a_new_answer(toy: Toy) -> None:
    toy.add("a")
    toy.submit()
    toy.add("b")
    toy.resources = {"all": Resources(partition="fast")}
    with pytest.raises(Refused, match="'fast' is none that is up") as refused:
        toy.submit()
    assert str(refused.value).splitlines() == [
        "resources of sft stages: partition: 'fast' is none that is up; Allowed: main"
    ]
    assert toy.scheduler.calls["sinfo"] == 2
    assert toy.in_queue() == ["a"]
    toy.scheduler.cluster["sinfo"] = (
        "main*|infinite|64000|16|(null)|(null)|up\nfast|infinite|64000|16|(null)|(null)|up\n"
    )
    toy.submit()  # it was just set up
    assert toy.scheduler.calls["sinfo"] == 3
    assert toy.in_queue() == ["a", "b"]
    assert toy.task("b").array.options["partition"] == "fast"


# ---- commands


def scripted(folder: Path, monkeypatch: pytest.MonkeyPatch, **commands: str) -> None:
    """Commands by name, each the text of a shell script, and nothing else on the path."""
    for name, text in commands.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_the_queue_as_squeue_prints_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "echo '5_1|ablate-sft-0123456789ab|PENDING||Resources|x'; echo '7|other|RUNNING|n1|None'; echo oops"
    scripted(tmp_path, monkeypatch, squeue=f'echo "$@" > "{tmp_path}/asked"; {said}')
    slurm = Slurm()
    assert slurm.queue() == [
        QueuedTask("5_1", "ablate-sft-0123456789ab", "PENDING", "", "Resources|x"),
        QueuedTask("7", "other", "RUNNING", "n1", "None"),
    ]
    assert slurm.calls == {"squeue": 1}
    asked = (tmp_path / "asked").read_text()
    assert f"--user={os.getuid()}" in asked
    assert "--array" in asked


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'sbatch: error: no\n  more' >&2; exit 1", "sbatch --parsable x.sh: sbatch: error: no more"),
        ("exit 3", "sbatch --parsable x.sh: exit code 3"),
    ],
)
def test_a_command_that_fails_says_why_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    scripted(tmp_path, monkeypatch, sbatch=script)
    with pytest.raises(SchedulerError) as error:
        Slurm().submit("x.sh")
    assert (str(error.value), error.value.unknown) == (told, False)


@pytest.mark.parametrize(("said", "job_id"), [("17", "17"), ("17;cluster", "17"), ("warning: x\n18", "18")])
def test_the_job_id_of_sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, job_id: str) -> None:
    scripted(tmp_path, monkeypatch, sbatch=f"echo '{said}'")
    assert Slurm().submit("x.sh") == job_id


def test_an_answer_without_a_job_id_may_be_a_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(tmp_path, monkeypatch, sbatch="echo done")
    with pytest.raises(SchedulerError, match="no job id") as error:
        Slurm().submit("x.sh")
    assert error.value.unknown


def test_a_command_that_hangs_may_have_done_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], **options: object) -> None:
        raise subprocess.TimeoutExpired(command, 120)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(SchedulerError, match="gave no answer in 120 s") as error:
        Slurm().submit("x.sh")
    assert error.value.unknown


def test_a_machine_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SchedulerError, match="there is no squeue on this machine; is it a SLURM login node") as error:
        Slurm().queue()
    assert not error.value.unknown


@pytest.mark.parametrize(
    ("said", "unknown"),
    [
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", True),
        ("sbatch: error: Unable to contact slurm controller (connect failure)", True),
        ("sbatch: error: Batch job submission failed: Invalid partition name specified", False),
    ],
)
def test_a_command_without_an_answer_may_have_done_its_work(tmp_path: Path, said: str, unknown: bool) -> None:
    command = tmp_path / "sbatch"
    command.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    command.chmod(0o755)
    with pytest.raises(SchedulerError) as caught:
        Slurm().run([str(command)])
    assert caught.value.unknown is unknown


def test_variables_that_override_scripts_do_not_reach_sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "sbatch"
    command.write_text(f'#!/bin/sh\nenv > "{tmp_path}/seen"\necho 7\n')
    command.chmod(0o755)
    for name in ("SBATCH_TIMELIMIT", "SLURM_RESTART_COUNT", "SLURM_CONF", "OTHER"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert Slurm().submit("job.sh") == "7"
    seen = {line.partition("=")[0] for line in (tmp_path / "seen").read_text().splitlines()}
    assert {"SLURM_CONF", "OTHER"} <= seen
    assert not seen & {"SBATCH_TIMELIMIT", "SLURM_RESTART_COUNT"}
