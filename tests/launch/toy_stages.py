"""Stages that take no time, imported by the jobs of the launch tests; what they do stands in their settings."""

import json
import os
import signal
import time

from harness.record.atomic import write_json
from harness.record.context import StageContext

FOLDER = os.environ.get("TOY_FOLDER", "")


def note(what: str, name: str) -> None:
    """One line of the log of all that happened, in one write."""
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    line = json.dumps({"what": what, "name": name, "time": time.time(), "pid": os.getpid(), "gpus": gpus}) + "\n"
    descriptor = os.open(os.path.join(FOLDER, "events.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def there(name: str) -> bool:
    """The test has put this file beside the log."""
    return os.path.exists(os.path.join(FOLDER, name))


def run(context: StageContext) -> None:
    """Read the inputs, write half an output, wait, write the rest."""
    name = context.settings["name"]
    print("this is", name)
    assert [path.name for path in context.folder.iterdir() if path.name.startswith("out")] == []
    total = sum(json.loads((path / "out.json").read_text())["value"] for path in context.inputs.values())
    note("start", name)
    if there(f"fail-{name}"):
        raise ValueError(f"{name} was told\nto fail")
    if there(f"die-{name}"):
        os.kill(os.getpid(), signal.SIGKILL)
    (context.folder / "out-half.txt").write_text("half")
    for step in context.cosmetic.get("checkpoints", []):
        write_json(context.folder / "checkpoints" / f"step-{step:06d}" / "model.json", step)
    steps = 10
    for step in range(1, steps + 1):
        time.sleep(context.settings.get("seconds", 0.0) / steps)
        context.progress(step, steps, reward=step / steps)
    while there(f"hold-{name}"):
        time.sleep(0.02)
        context.progress(1, 2, reward=float("nan"))
    write_json(context.folder / "out.json", {"value": total + 1})
    note("end", name)
