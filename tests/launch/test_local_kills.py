"""What is killed, stopped, cut or doubled ends in the same finished store, with nothing done twice."""

import os
import signal
import time
from pathlib import Path

from harness.launch.local import run_local
from harness.record.attempts import list_attempts
from harness.record.lock import lock_holder
from harness.record.states import stage_states


def exits(toys, name):
    return [each["exit"] for each in list_attempts(toys.store.own_folder(toys.stages[name].id))]


def state(toys, name):
    return stage_states(toys.plan, toys.store)[toys.stages[name].id]


def job_pid(toys, name):
    return lock_holder(toys.path(name) / "lock")["pid"]


def test_a_killed_job_is_started_again_from_nothing(toys):
    toys.add("a", seconds=0.3)
    toys.add("b", "a")
    hold = toys.touch("hold-a")
    runner = toys.runner()
    toys.wait_for(lambda: (toys.path("a") / "out-half.txt").exists())
    os.kill(job_pid(toys, "a"), signal.SIGKILL)
    toys.wait_for(lambda: len(toys.events("start")) == 2)
    hold.unlink()
    assert toys.finish(runner) == 0
    assert exits(toys, "a") == ["lost", "completed"]
    assert toys.names("end") == ["a", "b"]


def test_a_job_that_is_killed_again_and_again_fails(toys):
    toys.add("a")
    toys.add("b", "a")
    toys.touch("die-a")
    run = run_local(toys.plan, toys.store)
    assert run.exit_code == 1
    assert len(toys.events("start")) == 2
    assert state(toys, "a").state == "failed"
    assert "ended from outside 2 times" in state(toys, "a").reason
    assert state(toys, "b").state == "blocked"


def test_a_killed_job_alone_counts_as_interrupted(toys):
    toys.add("a")
    toys.touch("hold-a")
    runner = toys.runner()
    toys.wait_for(lambda: (toys.path("a") / "out-half.txt").exists())
    runner.kill()
    runner.wait()
    assert state(toys, "a").state == "running"
    os.kill(job_pid(toys, "a"), signal.SIGKILL)
    toys.wait_for(lambda: not toys.store.own_folder(toys.stages["a"].id).is_locked())
    assert state(toys, "a").state == "interrupted"
    assert "killed?" in state(toys, "a").reason


def test_after_a_killed_runner_the_next_adopts_its_jobs(toys):
    for name in "abc":
        toys.add(name, seconds=0.2)
    toys.add("last", "a", "b", "c")
    hold = toys.touch("hold-b")
    runner = toys.runner(workers=2)
    toys.started("a", "b")
    runner.kill()
    runner.wait()
    second = toys.runner(workers=2)
    toys.adopted("b", runner=1)
    toys.wait_for(lambda: "c" in toys.names("end"))
    hold.unlink()
    assert toys.finish(second) == 0
    assert toys.names("start") == toys.names("end") == ["a", "b", "c", "last"]


def test_an_adopted_job_keeps_its_place_among_the_workers(toys):
    toys.add("a")
    toys.add("b")
    hold = toys.touch("hold-a")
    runner = toys.runner(workers=1)
    toys.started("a")
    runner.kill()
    runner.wait()
    second = toys.runner(workers=1)
    toys.adopted("a", runner=1)
    time.sleep(1.5)
    assert toys.names("start") == ["a"]
    hold.unlink()
    assert toys.finish(second) == 0
    assert [(event["what"], event["name"]) for event in toys.events()] == [
        ("start", "a"),
        ("end", "a"),
        ("start", "b"),
        ("end", "b"),
    ]


def test_ctrl_c_ends_the_children_and_leaves_all_resumable(toys):
    toys.add("a")
    toys.add("b")
    toys.add("c", "a", "b")
    holds = [toys.touch("hold-a"), toys.touch("hold-b")]
    runner = toys.runner(workers=2)
    toys.started("a", "b")
    pids = [job_pid(toys, name) for name in "ab"]
    os.killpg(runner.pid, signal.SIGINT)  # as the terminal does: to the whole process group
    assert toys.finish(runner) == 130
    for pid in pids:
        assert not os.path.exists(f"/proc/{pid}") or toys.wait_for(lambda pid=pid: not os.path.exists(f"/proc/{pid}"))
    assert {state(toys, name).state for name in "ab"} == {"interrupted"}
    assert state(toys, "a").reason == "stopped by SIGTERM"
    assert exits(toys, "a") == exits(toys, "b") == ["interrupted"]
    assert state(toys, "c").state == "missing"
    for hold in holds:
        hold.unlink()
    assert run_local(toys.plan, toys.store).exit_code == 0
    assert toys.names("end") == ["a", "b", "c"]


def test_sigint_to_the_runner_alone_while_a_job_is_starting(toys):
    toys.add("a")
    toys.touch("hold-a")
    runner = toys.runner()
    toys.wait_for(lambda: list(toys.folder.glob("store/.submitit/sft-*")))
    runner.send_signal(signal.SIGINT)
    assert toys.finish(runner) == 130
    time.sleep(1.0)
    assert not toys.store.own_folder(toys.stages["a"].id).is_locked()
    assert state(toys, "a").state in ("missing", "interrupted")


def test_ctrl_c_also_ends_the_orphans_of_a_killed_runner(toys):
    toys.add("a")
    toys.touch("hold-a")
    first = toys.runner()
    toys.started("a")
    first.kill()
    first.wait()
    second = toys.runner()
    toys.adopted("a", runner=1)
    second.send_signal(signal.SIGINT)
    assert toys.finish(second) == 130
    assert state(toys, "a").state == "interrupted"


def test_ctrl_c_leaves_another_runners_jobs_alone(toys):
    toys.add("a")
    hold = toys.touch("hold-a")
    first = toys.runner()
    toys.started("a")
    second = toys.runner()
    toys.adopted("a", runner=1)
    second.send_signal(signal.SIGINT)
    assert toys.finish(second) == 130
    assert state(toys, "a").state == "running"
    hold.unlink()
    assert toys.finish(first) == 0
    assert toys.names("start") == ["a"]


def test_a_job_that_does_not_listen_is_killed_after_the_grace(toys):
    (toys.folder / "deaf.py").write_text(
        "import time\nfrom toy_stages import note\n\n\n"
        "def run(context):\n    note('start', context.settings['name'])\n    time.sleep(600)\n"
    )
    os.environ["PYTHONPATH"] += os.pathsep + str(toys.folder)
    toys.add("a")
    runner = toys.runner(kinds={"sft": "deaf:run"}, grace=0.5)
    toys.started("a")
    pid = job_pid(toys, "a")
    began = time.monotonic()
    runner.send_signal(signal.SIGTERM)
    assert toys.finish(runner) == 130
    assert time.monotonic() - began < 15  # the usual grace is 20 s
    toys.wait_for(lambda: not os.path.exists(f"/proc/{pid}"))
    assert state(toys, "a").state == "interrupted"


def test_two_runners_at_once_do_nothing_twice(toys):
    for name in "abcd":
        toys.add(name, seconds=0.3)
    toys.add("last", *"abcd")
    runners = [toys.runner(workers=2), toys.runner(workers=2)]
    assert [toys.finish(runner) for runner in runners] == [0, 0]
    assert toys.names("start") == ["a", "b", "c", "d", "last"]


def test_a_truncated_output_is_not_done(toys):
    toys.add("a")
    toys.add("b", "a")
    assert run_local(toys.plan, toys.store).exit_code == 0
    output = toys.path("a") / "out.json"
    whole = output.read_bytes()
    output.write_bytes(whole[:5])
    assert state(toys, "a").state == "missing"
    assert "incomplete" in state(toys, "a").reason
    assert run_local(toys.plan, toys.store).exit_code == 0
    assert output.read_bytes() == whole
    assert toys.names("end") == ["a", "a", "b"]


def test_a_missing_checkpoint_runs_the_stage_again_with_all_that_was_ever_wanted(toys):
    toys.add("a", checkpoints=[5, 10])
    assert run_local(toys.plan, toys.store).exit_code == 0
    toys.add("a", checkpoints=[7])
    assert state(toys, "a").state == "missing"
    assert run_local(toys.plan, toys.store).exit_code == 0
    assert toys.store.own_folder(toys.stages["a"].id).checkpoints() == [5, 7, 10]
    assert len(toys.events("start")) == 2
    toys.add("a", checkpoints=[5])
    assert run_local(toys.plan, toys.store).exit_code == 0
    assert len(toys.events("start")) == 2


def test_a_job_outlives_its_killed_controller(toys):
    toys.add("a")
    hold = toys.touch("hold-a")
    runner = toys.runner()
    toys.started("a")
    stat = Path(f"/proc/{job_pid(toys, 'a')}/stat").read_text()
    os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)
    toys.adopted("a", runner=0)
    hold.unlink()
    assert toys.finish(runner) == 0
    assert toys.names("start") == ["a"]


def test_preemption_requeues_the_job(toys):
    toys.add("a")
    hold = toys.touch("hold-a")
    runner = toys.runner()
    toys.started("a")
    os.kill(job_pid(toys, "a"), signal.SIGUSR2)
    toys.wait_for(lambda: len(toys.events("start")) == 2)
    hold.unlink()
    assert toys.finish(runner) == 0
    assert exits(toys, "a") == ["interrupted", "completed"]
    assert "lost" not in (toys.folder / "runner-0.log").read_text()


def test_a_stage_that_returns_early_when_stopped_is_not_done(toys):
    (toys.folder / "early.py").write_text(
        "import time\nfrom toy_stages import note\n\n\n"
        "def run(context):\n"
        "    (context.folder / 'out.json').write_text('{}')\n"
        "    note('start', 'a')\n"
        "    while not context.stop_requested:\n"
        "        time.sleep(0.01)\n"
    )
    os.environ["PYTHONPATH"] += os.pathsep + str(toys.folder)
    toys.add("a")
    runner = toys.runner(kinds={"sft": "early:run"})
    toys.started("a")
    runner.send_signal(signal.SIGINT)
    assert toys.finish(runner) == 130
    assert state(toys, "a").state == "interrupted"


def test_workers_that_a_killed_job_left_behind_are_buried(toys):
    (toys.folder / "forking.py").write_text(
        "import os, time\nfrom pathlib import Path\nfrom toy_stages import FOLDER, note, there\n\n\n"
        "def run(context):\n"
        "    note('start', 'a')\n"
        "    if there('fork'):\n"
        "        os.fork() or time.sleep(600)\n"
        "        Path(FOLDER, 'forked').touch()\n"
        "        time.sleep(600)\n"
        "    (context.folder / 'out.json').write_text('{}')\n"
    )
    os.environ["PYTHONPATH"] += os.pathsep + str(toys.folder)
    toys.add("a")
    fork = toys.touch("fork")
    runner = toys.runner(kinds={"sft": "forking:run"})
    toys.wait_for(lambda: (toys.folder / "forked").exists())
    fork.unlink()
    os.kill(job_pid(toys, "a"), signal.SIGKILL)
    assert toys.finish(runner) == 0
    assert exits(toys, "a") == ["lost", "completed"]
