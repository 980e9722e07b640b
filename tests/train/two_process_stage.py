"""Runs a stage as one process of several, as a job does: ``python two_process_stage.py <json>``."""

import importlib
import json
import sys
from pathlib import Path

from harness.record.context import StageContext, StopRequested


def main() -> None:
    given = json.loads(sys.argv[1])
    context = StageContext(
        Path(given["folder"]),
        given["settings"],
        given["cosmetic"],
        {role: Path(path) for role, path in given["inputs"].items()},
        rank=given["rank"],
        report_every=0.0,
    )
    if given["stop_after"] and given["rank"] == 1:  # one process alone hears of it
        steps = 0

        def count_steps() -> None:
            nonlocal steps
            steps += 1
            context.stop_requested = steps == given["stop_after"]

        from harness.train.common import StageCallback

        end = StageCallback.on_step_end

        def on_step_end(self, *arguments, **named):
            count_steps()
            return end(self, *arguments, **named)

        StageCallback.on_step_end = on_step_end
    try:
        importlib.import_module(f"harness.train.{given['kind']}").run(context)
    except StopRequested:
        sys.exit(3)


if __name__ == "__main__":
    main()
