"""What a run shows, on a terminal and elsewhere."""

import io
import re
import time

from rich.console import Console

from harness.launch.display import Display, clock, numbers_text
from harness.launch.local import run_local
from harness.launch.progress import Event, LocalRun
from harness.record.status import Status, write_status


def test_one_line_per_event_when_it_is_no_terminal(toys):
    toys.add("a")
    toys.add("bad")
    toys.add("after", "bad", kind="evaluate")
    toys.touch("fail-bad")
    out, log = io.StringIO(), toys.folder / "toy.log"
    with Display(Console(file=out), log) as display:
        run_local(toys.plan, toys.store, 1, display)
    lines = [line.partition(" ")[2].split("  [")[0] for line in out.getvalue().splitlines()]
    assert lines[:1] == ["started sft"]
    assert any(re.fullmatch(r"done sft arm/seed=0  \d+:\d\d  reward 1", line) for line in lines), lines
    assert "failed sft: ValueError: bad was told to fail" in lines
    assert f"blocked evaluate: needs the failed {toys.stages['bad'].id}" in lines
    assert len(log.read_text().splitlines()) == len(lines)


def test_the_live_view_counts_and_shows_a_bar_with_numbers(toys, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    toys.add("a")
    toys.add("b")
    toys.add("c")
    a, b, c = (toys.stages[name].id for name in "abc")
    run = LocalRun(toys.plan, toys.store, 2, {a: "running", b: "done", c: "waiting"})
    out = io.StringIO()
    console = Console(file=out, width=110, force_terminal=True, color_system=None)
    path = toys.store.own_folder(a).status_file
    with Display(console, toys.folder / "toy.log", refresh=0) as display:
        for step in (10, 20):
            now = time.time()
            numbers = {"length": 12.25, "loss": 0.5, "reward": 1.25}
            write_status(path, Status("running", 1, step, 100, numbers, started=now - 65, updated=now - 20 + step))
            display.tick(run)
        display.event(run, Event("done", b))
        text = out.getvalue().replace("\r", "")
        console.print(display.view(run))
    view = out.getvalue()[len(text) :]
    assert "1 done  1 running  1 waiting" in text
    assert "20/100" in text
    assert "1:05" in text
    assert "left" in text
    assert "reward 1.25  loss 0.5  length 12.2" in text
    assert "✓ sft" in text
    assert "failed" not in view


def test_clock_and_numbers():
    assert [clock(seconds) for seconds in (7, 750, 3723)] == ["0:07", "12:30", "1:02:03"]
    assert numbers_text({"kl": 1.0, "loss": None, "accuracy": 0.5}) == "accuracy 0.5  loss nan  kl 1"
