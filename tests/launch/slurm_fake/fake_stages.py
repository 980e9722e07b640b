"""Stages that take no time, run in this process; what they do otherwise stands in `ORDERS`."""

import signal

from harness.record.atomic import read_json, write_json
from harness.record.context import StageContext, StopRequested

ORDERS: dict[str, list[str]] = {}
"""By name: what its next starts do: ``fail``, ``stop`` (told by SIGTERM), ``time`` (told by SIGUSR2), ``nothing``."""

STARTED: list[str] = []
"""Names of the stages whose work began, in this order."""


def run(context: StageContext) -> None:
    """Read the inputs, count to ten, write an output."""
    name = context.settings["name"]
    values = [read_json(path / "out.json")["value"] for path in context.inputs.values()]
    STARTED.append(name)
    order = ORDERS[name].pop(0) if ORDERS.get(name) else ""
    print("this is", name)
    if order == "fail":
        raise ValueError(f"{name} was told\nto fail")
    if order == "nothing":
        return
    context.progress(7, 10, reward=0.7)
    if order in ("stop", "time"):
        signal.raise_signal(signal.SIGTERM if order == "stop" else signal.SIGUSR2)
        raise StopRequested
    for step in context.cosmetic.get("checkpoints", []):
        write_json(context.folder / "checkpoints" / f"step-{step:06d}" / "model.json", step)
    write_json(context.folder / "out.json", {"value": sum(values) + 1})
    context.progress(10, 10, reward=1.0)
