"""A runner in a process of its own: ``toy_runner.py REQUEST`` with a pickled (plan, store, options)."""

import pickle
import sys
from pathlib import Path

from harness.launch.local import run_local
from harness.launch.progress import Event, LocalRun, Watcher


class Printing(Watcher):
    def event(self, run: LocalRun, event: Event) -> None:
        name = run.plan.stages[event.stage].settings["name"] if event.stage else ""
        print(event.what, name, event.text, flush=True)


if __name__ == "__main__":
    plan, store, options = pickle.loads(Path(sys.argv[1]).read_bytes())
    sys.exit(run_local(plan, store, watcher=Printing(), **options).exit_code)
