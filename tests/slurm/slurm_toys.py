"""Stages for tests on a real cluster, imported by the jobs: they count to their number of steps, and go on where an
earlier attempt was cut off. What they do otherwise stands in files beside their log."""

import json
import os
import signal
import time
from pathlib import Path

from harness.record.atomic import read_json, write_json
from harness.record.context import StageContext

FOLDER = Path(os.environ.get("TOY_FOLDER", "."))


def run(context: StageContext) -> None:
    """Count, a step every so many seconds; after step ``hold`` wait there, at work, until the test lets it go on."""
    kind = context.folder.name.partition("-")[0]
    orders = read_json(FOLDER / "orders.json") or {}
    own = orders.get(kind, {})
    note("start", context)
    if own.get("fail"):
        raise ValueError(f"{kind} was told\nto fail")
    counted = context.folder / "partial" / "counted.json"
    history: list[int] = read_json(counted) or []
    if history:
        print(f"going on after step {len(history)}", flush=True)
    steps = own.get("steps", 1)
    memory = []
    while len(history) < steps:
        while own.get("hold") == len(history) and not (FOLDER / "go").exists():
            time.sleep(0.05)
            context.progress(len(history), steps, reward=len(history) / steps)
        time.sleep(own.get("seconds", 0.0))
        history.append(len(history) + 1)
        write_json(counted, history, sync=False)
        context.progress(len(history), steps, reward=len(history) / steps)
        if own.get("die") == len(history) and not (FOLDER / "died").exists():
            (FOLDER / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if own.get("eat"):
            memory.append(bytearray(own["eat"] * 2**20))
    for step in context.cosmetic.get("checkpoints", []):
        write_json(context.folder / "checkpoints" / f"step-{step:06d}" / "model.json", step, sync=False)
    write_json(context.folder / "out.json", {"history": history})
    note("end", context)


def note(what: str, context: StageContext) -> None:
    """One line of the log of all that happened, in one write."""
    line = {"what": what, "stage": context.folder.name, "node": os.environ.get("SLURMD_NODENAME"), "pid": os.getpid()}
    descriptor = os.open(FOLDER / "events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, (json.dumps(line) + "\n").encode())
    os.close(descriptor)
