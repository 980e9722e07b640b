"""The verbs about a cluster, as a user types them, on commands of SLURM that are a line of shell each."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STUDY = """\
study: toy
seeds: [0, 1]
world: {}
models: {base: {pretrain: {}}}
protocols: {think: {prompt: micro-base-think}}
curve: {questions: 0}
resources: {all: {cpus: 1, memory_gb: 1.0, time: "30"}}
factors: {training: [none, sft]}
arms:
  - {training: none, set: {start: base, protocols: [think]}}
  - {training: sft, set: {start: base, protocols: [think]}}
"""
COMMANDS = {
    "scontrol": "printf 'ClusterName = toy\\nMaxArraySize = 1001\\nAccountingStorageType = (null)\\n'",
    "sinfo": "echo 'main*|1-00:00:00|64000|16|(null)|(null)|up'",
    "sacct": "echo 'Slurm accounting storage is disabled' >&2; exit 1",
    "squeue": 'cat "$FAKE/queue" 2>/dev/null || true',
    "scancel": ":",
    # what it takes is pending from then on, every task of it
    "sbatch": """\
for script; do :; done
number=$(($(cat "$FAKE/number" 2>/dev/null || echo 40) + 1))
test $number -le "${FAKE_MOST:-99}" || { echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2; exit 1; }
echo $number > "$FAKE/number"
name=$(sed -n 's/^#SBATCH --job-name=//p' "$script")
array=$(sed -n 's/^#SBATCH --array=//p' "$script")
case $array in *-*) tasks="0 1" ;; *) tasks=$array ;; esac
for task in $tasks; do echo "${number}_$task|$name|PENDING||Dependency" >> "$FAKE/queue"; done
echo $number""",
}


class Cli:
    def __init__(self, folder: Path) -> None:
        self.folder, self.fake = folder, folder / "slurm"
        self.fake.mkdir()
        (folder / "toy.yaml").write_text(STUDY)
        tools = folder / "bin"  # this machine may have a SLURM of its own
        tools.mkdir()
        for name in ("sh", "cat", "sed", "git"):
            (tools / name).symlink_to(str(shutil.which(name)))
        kinds = {kind: "cli_toys:run" for kind in ("world", "pretrain", "instruct", "sft", "grpo", "evaluate")}
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")} | {
            "TOY_FOLDER": str(folder),
            "ABLATE_KINDS": json.dumps(kinds),
            "ABLATE_STORE": str(folder / "store"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
            "FAKE": str(self.fake),
            "PATH": os.pathsep.join([str(self.fake), str(tools)]),
        }
        self.environment.pop("ABLATE_SITE", None)

    def has_slurm(self) -> None:
        for name, text in COMMANDS.items():
            path = self.fake / name
            path.write_text(f'#!/bin/sh\necho "{name} $@" >> "$FAKE/asked"\n{text}\n')
            path.chmod(0o755)

    def asked(self, command: str) -> list[str]:
        """Arguments of each call of a command so far."""
        path = self.fake / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.removeprefix(f"{command} ") for line in lines if line.startswith(f"{command} ")]

    def __call__(self, verb: str, *arguments: str, code: int = 0) -> str:
        """Run a verb; standard output and error together."""
        done = self.run(verb, *arguments)
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(self, verb: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "harness.cli", verb, *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=600
        )

    def submit(self, *arguments: str, code: int = 0) -> str:
        return self("run", "toy.yaml", "--on", "slurm", "--allow-dirty", *arguments, code=code)

    def status(self, code: int = 0) -> dict:
        done = self.run("status", "toy.yaml", "--json")
        assert (done.returncode, done.stderr) == (code, ""), (done.stdout, done.stderr)
        return json.loads(done.stdout)


@pytest.fixture
def bare(tmp_path: Path) -> Cli:
    """A machine without SLURM."""
    return Cli(tmp_path)


@pytest.fixture
def cli(bare: Cli) -> Cli:
    bare.has_slurm()
    return bare


def error(bare: Cli, verb: str, *arguments: str, code: int = 2) -> str:
    """The one line that a verb ends with."""
    done = bare.run(verb, *arguments)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    (line,) = done.stderr.splitlines()
    return line


# ---- no SLURM here


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_handing_over_where_there_is_no_slurm(bare: Cli, more: tuple[str, ...]) -> None:
    said = error(bare, "run", "toy.yaml", "--on", "slurm", "--allow-dirty", *more)
    assert said == "there is no scontrol on this machine; is it a SLURM login node?"


def test_status_of_jobs_where_there_is_no_slurm_is_what_the_folders_say(cli: Cli) -> None:
    cli.submit()
    for name in COMMANDS:
        (cli.fake / name).unlink()
    text = cli("status", "toy.yaml")
    assert "only what the folders say, for there is no squeue on this machine" in text
    found = cli.status()
    assert "no squeue" in found["scheduler"]
    assert {each["state"] for each in found["stages"].values()} == {"missing", "done"}
    assert error(cli, "cancel", "toy.yaml", code=1).startswith("there is no squeue on this machine")
    said = error(cli, "run", "toy.yaml", "--on", "slurm", "--allow-dirty")
    assert said.startswith("there is no squeue on this machine")


def test_verbs_about_a_queue_where_nothing_was_ever_submitted_need_no_slurm(bare: Cli) -> None:
    assert "nothing to start again" in bare("retry", "toy.yaml")
    assert "nothing of it is in SLURM's queue" in bare("cancel", "toy.yaml")
    found = bare.status()
    assert found["scheduler"] is None
    assert found["study"] == "toy"
    assert not (bare.folder / "store" / ".submitit").exists() or not list(
        (bare.folder / "store").glob(".submitit/slurm-*")
    )


# ---- wrong usage


def test_names_that_stand_for_nothing(bare: Cli) -> None:
    for verb in ("retry", "cancel"):
        text = bare(verb, "sft/seed=7", "toy.yaml", code=2)
        assert "no run 'sft/seed=7' in this study; did you mean sft/seed=" in text
        assert "\n  none" in text
        assert "at most one run and one study file" in error(bare, verb, "a", "b", "toy.yaml")
    assert "no stages of kind sfts" in error(bare, "run", "toy.yaml", "--on", "slurm", "--only", "sfts")
    assert "--dry-run and --attach go with --on slurm" in error(bare, "run", "toy.yaml", "--dry-run")
    text = bare("run", "toy.yaml", "--on", "slurmm", code=2)
    assert "'slurmm' is not one of 'local', 'slurm'" in " ".join(text.split())


def test_what_is_wrong_in_a_site_file(bare: Cli) -> None:
    (bare.folder / "here.yaml").write_text('resources:\n  sft: {time: "4h"}\n')
    for verb in (["plan"], ["status"], ["run", "--on", "slurm"], ["attach"]):
        said = error(bare, verb[0], "toy.yaml", *verb[1:], "--site", "here.yaml")
        assert said.startswith("here.yaml:2: resources.sft.time: '4h' is no time; write minutes (90)")
    bare.environment["ABLATE_SITE"] = str(bare.folder / "nowhere.yaml")
    assert "nowhere.yaml" in error(bare, "plan", "toy.yaml")


def test_what_the_cluster_cannot_give(cli: Cli) -> None:
    wrong = ("--set", "resources.sft={partition: mian}", "--set", "resources.evaluate={time: 2-0}")
    text = cli.submit(*wrong, code=2)
    assert sorted(text.splitlines()) == [
        "resources of evaluate stages: time: 2-0 is longer than partition main allows; at most 1440 minutes",
        "resources of sft stages: partition: 'mian' is none that is up; did you mean 'main'? Allowed: main",
    ]
    assert cli.asked("sbatch") == []


# ---- money


def test_a_budget_that_is_too_small(bare: Cli) -> None:
    gpu = ("--set", "resources.sft={gpus: 4}")  # two trainings of 72 s
    text = bare("plan", "toy.yaml", *gpu, "--budget", "0.1", code=2)
    told = r"the budget is 0\.1 GPU-hours, and .* used, .* to go.* which makes up to 0\.16; raise --budget"
    assert re.search(told, text), text
    assert "the budget" not in bare("plan", "toy.yaml", *gpu, "--budget", "0.2")
    for where in ("local", "slurm"):
        said = error(bare, "run", "toy.yaml", *gpu, "--on", where, "--budget", "0.1")
        assert said.startswith("the budget is 0.1 GPU-hours")
    assert not (bare.folder / "store").exists()
    assert "the budget" not in bare("plan", "toy.yaml", "--budget", "0")  # a study without GPUs
    (bare.folder / "here.yaml").write_text("resources: {sft: {gpus: 4}}\n")
    assert "the budget" in error(bare, "run", "toy.yaml", "--site", "here.yaml", "--budget", "0.1")


# ---- from a dry run to cancel


def test_a_dry_run_prints_the_scripts_and_hands_nothing_over(cli: Cli) -> None:
    text = cli.submit("--dry-run")
    assert text.count("#!/bin/bash") == 4
    assert "# ---- array <1>: world-" in text
    assert "#SBATCH --time=30" in text
    assert re.search(r"#SBATCH --dependency='afterok:<1>_0'", text)
    assert re.search(r"#SBATCH --dependency='aftercorr:<\d>'", text)
    assert text.count("-m harness.launch.slurm.task ") == 4
    assert "of 7 stages: 6 to submit, 1 done" in text
    assert cli.asked("sbatch") == []
    assert not list((cli.folder / "store").glob(".submitit/slurm-*"))
    assert not (cli.folder / "store" / ".code").exists()


def test_handed_over_looked_at_cancelled_and_brought_back(cli: Cli) -> None:
    text = cli.submit()
    assert "of 7 stages: 6 submitted, 1 done" in text
    found = cli.status()
    assert set(found) == {"study", "runs", "stages", "gpu_hours", "scheduler"}
    assert found["scheduler"] is None
    assert found["gpu_hours"] == {"used": 0.0, "to_go": [0.0, 0.0]}
    assert {each["state"] for each in found["runs"].values()} == {"queued"}
    assert set(next(iter(found["stages"].values()))) == {
        "attempt", "folder", "job", "kind", "log", "numbers", "reason", "shipped", "state", "step", "total",
    }  # fmt: skip
    jobs = {each["job"] for each in found["stages"].values() if each["state"] == "queued"}
    assert len(jobs) == 6
    assert all(re.fullmatch(r"4\d_[01]", job) for job in jobs)
    assert {each["reason"] for each in found["stages"].values()} == {"", "waits for what it needs"}
    assert "6 queued" in cli("status", "toy.yaml")

    again = cli.submit()
    assert "6 in the queue already" in again
    assert len(cli.asked("sbatch")) == 4
    said = error(cli, "run", "toy.yaml")  # they would be computed twice
    assert said.startswith("6 stages of the study are in SLURM's queue; `ablate attach` waits for them")
    assert "it is in the queue" in error(cli, "logs", "sft/seed=1", "toy.yaml", code=1)

    text = cli("cancel", "sft/seed=1", "toy.yaml")
    lines = [line for line in text.splitlines() if line.startswith("cancelled 4")]
    assert len(lines) == 2
    assert "sft/seed=1" in lines[0]
    (command,) = cli.asked("scancel")
    assert command.split()[1:] == [line.split()[1] for line in lines]
    queue = (cli.fake / "queue").read_text().splitlines()
    kept = [line for line in queue if line.split("|")[0] not in command.split()]
    (cli.fake / "queue").write_text("\n".join(kept) + "\n")
    found = cli.status()
    missing = [each["reason"] for each in found["stages"].values() if each["state"] == "missing"]
    assert missing == ["cancelled before it began"] * 2
    assert found["runs"]["sft/seed=0"]["state"] == "queued"
    assert found["runs"]["sft/seed=1"]["state"] == "queued"  # of what it shares with others
    assert "nothing to start again" in cli("retry", "toy.yaml", "--failed")
    text = cli("retry", "toy.yaml", "--allow-dirty")
    assert "2 submitted" in text
    assert len(set((cli.fake / "queue").read_text().splitlines())) == 6


def test_what_the_scheduler_does_not_take_is_said_and_comes_later(cli: Cli) -> None:
    cli.environment["FAKE_MOST"] = "42"
    text = cli.submit(code=1)
    assert "the scheduler did not take all: sbatch" in text
    assert "QOSMaxSubmitJobPerUserLimit" in text
    assert "not taken" in text
    taken = len((cli.fake / "queue").read_text().splitlines())
    cli.environment["FAKE_MOST"] = "99"
    text = cli.submit()
    assert f"{6 - taken} submitted" in text
    assert f"{taken} in the queue already" in text


def test_attach_ends_when_nothing_is_open_any_more(cli: Cli) -> None:
    cli.submit()
    (cli.fake / "queue").write_text("")  # all gone, and nobody knows why
    text = cli("attach", "toy.yaml", "--no-compare", code=1)
    assert "6 missing" in text
    assert len(cli.asked("squeue")) == 1  # there was nothing to ask at the first hand-over


def test_nothing_is_handed_over_to_be_collected_over_another_study(cli: Cli) -> None:
    cli("collect", "toy.yaml", "--set", "study=other", "--results", "results/toy")
    text = cli.submit("--attach", code=2)
    assert text.startswith("results/toy holds the study 'other' with 0 finished runs")
    assert cli.asked("sbatch") == []
    assert "6 submitted" in cli.submit()  # collects nothing


def test_the_site_file_gives_the_resources(cli: Cli) -> None:
    (cli.folder / "here.yaml").write_text(
        'resources:\n  all: {time: "1:30:00"}\n  sft: {cpus: 5, sbatch: {exclude: "n[3-4]"}}\n'
    )
    text = cli.submit("--dry-run", "--site", "here.yaml")
    assert text.count("#SBATCH --time=90") == 4
    assert text.count("#SBATCH --cpus-per-task=5") == 1
    assert text.count("#SBATCH --exclude='n[3-4]'") == 1
    cli.environment["ABLATE_SITE"] = "here.yaml"
    assert cli.submit("--dry-run").count("#SBATCH --time=90") == 4
