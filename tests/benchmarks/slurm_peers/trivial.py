"""The work of every job of the benchmark, ours and the peers': a number goes into a file. It imports nothing that costs
time, so that what is measured is what a launcher adds."""

from pathlib import Path
from typing import Any


def write(number: int, folder: str) -> int:
    """Write a number to a file of its own."""
    (Path(folder) / f"number-{number}.txt").write_text(str(number))
    return number


def stage(context: Any) -> None:
    """The same as a stage of a study; with the checkpoints that its plan wants to be there."""
    for step in context.cosmetic.get("checkpoints", []):
        folder = context.folder / "checkpoints" / f"step-{step:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        write(step, folder)
    write(0, context.folder)
