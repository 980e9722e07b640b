"""Runs a plan on this machine: at most so many jobs at once, each as soon as its inputs are done.

The folders are the truth. The runner holds no state that isn't there: killed and started again it finds what
is done, waits for what is still at work, and starts the rest.
"""

import signal
import threading
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.launch.kinds import kinds_in_force
from harness.launch.processes import (
    JobProcess,
    attempt_of,
    bury_orphans,
    end_job,
    record_failure,
    signal_job,
    start_job,
    waited_for,
)
from harness.launch.progress import Event, LocalRun, Phase, Watcher
from harness.record.folders import Store
from harness.record.lock import FileLock
from harness.record.provenance import available_cores
from harness.record.provenance import gpus as available_gpus
from harness.study.resources import processes_of
from harness.study.stage import MODEL_KINDS

if TYPE_CHECKING:
    from harness.study.expand import Plan
    from harness.study.stage import Stage

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_local(
    plan: "Plan",
    store: Store,
    workers: int | None = None,
    watcher: Watcher | None = None,
    *,
    kinds: Mapping[str, str] | None = None,
    only: Iterable[str] = (),
    stages: Collection[str] | None = None,
    seconds: Mapping[str, float] | None = None,
    gpus: Sequence[int] | None = None,
    max_starts: int = 2,
    grace: float = 20.0,
    poll: float = 0.1,
) -> LocalRun:
    """Compute all stages of a plan that are not done, and return when nothing more can be done.

    Args:
        workers: jobs at work at once, adopted ones counted; default: the cores that this process may use.
        kinds: code by kind of stage; default: `harness.launch.kinds.kinds_in_force`.
        only: kinds of stages to compute; default: all.
        stages: ids of the stages to compute; default: all.
        seconds: estimated time by stage id; what the longest chain waits for starts first.
        gpus: of this machine, by index; a stage that runs a model gets one per process to itself, and waits for it
            (default: all that this process may use; without any, stages run on the processor).
        max_starts: how often a stage whose job is killed from outside is started in all.
        grace: seconds between asking jobs to stop and killing them.
        poll: seconds between looks at the jobs.

    Raises:
        ValueError: less than one worker, an unknown kind in ``only``, or a stage that needs more GPUs than there are.
    """
    workers = available_cores() if workers is None else workers
    if workers < 1:
        raise ValueError(f"workers must be at least 1, not {workers}")
    kinds = kinds_in_force() if kinds is None else kinds
    unknown = sorted(set(only) - set(kinds))
    if unknown:
        raise ValueError(f"no stages of kind {', '.join(unknown)}; there are {', '.join(sorted(kinds))}")
    pool = [int(index) for index, _ in available_gpus()] if gpus is None else list(gpus)
    too_large = [stage for stage in plan.stages.values() if pool and gpus_needed(stage) > len(pool)]
    if too_large:
        needed = max(map(gpus_needed, too_large))
        text = f"a stage needs {needed} GPUs (compute.processes), and this machine has {len(pool)}"
        raise ValueError(f"{text}; lower it and raise compute.accumulation by as much, or go to a larger machine")
    run = LocalRun(plan, store, workers)
    urgency = _urgency(plan, seconds or {})
    chosen = {
        stage_id
        for stage_id, stage in plan.stages.items()
        if (not set(only) or stage.kind in only) and (stages is None or stage_id in stages)
    }
    scheduler = _Scheduler(run, watcher or Watcher(), kinds, chosen, urgency, max_starts, pool)
    with (
        FileLock(store.root / ".submitit" / f"runner-{uuid.uuid4().hex[:12]}.lock") as lock,
        _stop_flag() as stop,
    ):
        lock.acquire()
        scheduler.lock = lock
        scheduler.look_at_store()
        while not stop:
            scheduler.look_at_jobs()
            scheduler.start_ready()
            scheduler.watcher.tick(run)
            if not run.jobs and not run.adopted:
                break
            time.sleep(poll)
        if stop and (run.jobs or run.adopted or "waiting" in run.phases.values()):
            run.interrupted = True
            scheduler.stop_all(stop, grace)
    lock.path.unlink(missing_ok=True)  # its name is unique, so nobody else ever locks it
    return run


@contextmanager
def _stop_flag() -> Iterator[list[int]]:
    """A list that fills with the stop signals that arrive. Outside the main thread it stays empty."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    old: dict[int, Any] = {}
    for number in _SIGNALS:
        if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # nohup
        old[number] = signal.signal(number, lambda number, frame: received.append(number))
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def gpus_needed(stage: "Stage") -> int:
    """GPUs that a stage uses where there are any: one per process of a stage that runs a model."""
    return processes_of(stage) if stage.kind in MODEL_KINDS else 0


def _urgency(plan: "Plan", seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds of the longest chain of stages that begins with a stage, by stage id."""
    chain = {stage_id: 0.0 for stage_id in plan.stages}
    for stage_id, stage in reversed(list(plan.stages.items())):
        chain[stage_id] += seconds.get(stage_id, 1.0)
        for needed in stage.inputs.values():
            if needed in chain:
                chain[needed] = max(chain[needed], chain[stage_id])
    return chain


@dataclass
class _Scheduler:
    run: LocalRun
    watcher: Watcher
    kinds: Mapping[str, str]
    chosen: set[str]
    """Ids of the stages to compute."""
    urgency: Mapping[str, float]
    max_starts: int
    free_gpus: list[int]
    began: float = field(default_factory=time.time)
    lock: FileLock | None = None
    has_gpus: bool = field(init=False)

    def __post_init__(self) -> None:
        self.has_gpus = bool(self.free_gpus)

    def look_at_store(self) -> None:
        """Sort out what is done, what is at work and what is to do."""
        run = self.run
        for stage_id, stage in run.plan.stages.items():
            if run.store.own_folder(stage_id).is_locked():
                self._adopt(stage_id)
            elif run.store.is_done(stage):
                self._tell("found done", stage_id, "done")
            elif stage_id not in self.chosen:
                run.phases[stage_id] = "left out"
            else:
                run.phases[stage_id] = "waiting"

    def look_at_jobs(self) -> None:
        """Notice which jobs ended, and how."""
        run = self.run
        for stage_id, process in list(run.jobs.items()):
            if process.ended():
                del run.jobs[stage_id]
                self.free_gpus += process.gpus
                self._settle(stage_id, process)
        for stage_id in sorted(run.adopted):
            folder = run.store.own_folder(stage_id)
            bury_orphans(folder)
            if not folder.is_locked():
                run.adopted.discard(stage_id)
                self._settle(stage_id, None)

    def _settle(self, stage_id: str, process: JobProcess | None) -> None:
        """Decide what became of a stage whose job ended."""
        run, folder = self.run, self.run.store.own_folder(stage_id)
        if folder.is_locked():  # submitit's controller was killed, or another runner's job was faster
            return self._adopt(stage_id)
        if run.store.is_done(run.plan.stages[stage_id]):
            return self._tell("done", stage_id, "done")
        status = folder.status()
        attempt = attempt_of(process, run.store) if process else {}
        if process and not attempt and (error := self._error(process)) is not None:
            if not error:  # it found another job at work, whose end is no business of this one
                run.phases[stage_id] = "waiting"
                return None
            return self._fail(stage_id, record_failure(process, run.store))
        by_now = status is not None and status.state == "failed" and status.updated >= self.began
        if status is not None and (attempt.get("exit") == "failed" or (by_now and process is None)):
            return self._fail(stage_id, status.reason)
        if process and run.starts[stage_id] >= self.max_starts:
            reason = f"its job was ended from outside {run.starts[stage_id]} times (out of memory?)"
            return self._fail(stage_id, record_failure(process, run.store, reason))
        run.phases[stage_id] = "waiting"
        self._tell("lost", stage_id, "waiting", "its job was ended from outside; starting it again")

    @staticmethod
    def _error(process: JobProcess) -> bool | None:
        """The job ended with an error of Python (True), in peace (False), or was killed (None)."""
        if not process.job.paths.result_pickle.exists():
            return None
        return process.job.exception() is not None

    def start_ready(self) -> None:
        """Start the most urgent stages whose inputs are done, as many as there is room for."""
        run = self.run
        waiting = [stage_id for stage_id, phase in run.phases.items() if phase == "waiting"]
        for stage_id in sorted(waiting, key=lambda each: -self.urgency[each]):
            stage = run.plan.stages[stage_id]
            needs = [run.phases.get(needed, "done") for needed in stage.inputs.values()]
            if "left out" in needs:
                self._tell("blocked", stage_id, "blocked", "needs a stage that was left out")
            if any(need != "done" for need in needs) or len(run.jobs) + len(run.adopted) >= run.workers:
                continue
            if run.store.own_folder(stage_id).is_locked():
                self._adopt(stage_id)
            elif run.store.is_done(stage):  # another runner's work
                self._tell("found done", stage_id, "done")
            else:
                assert self.lock is not None
                needed = gpus_needed(stage) if self.has_gpus else 0
                if needed > len(self.free_gpus):
                    continue
                gpus = [self.free_gpus.pop(0) for _ in range(needed)]
                run.starts[stage_id] += 1
                run.jobs[stage_id] = start_job(stage, run.store, self.kinds, self.lock.path, gpus)
                again = f"start {run.starts[stage_id]}" if run.starts[stage_id] > 1 else ""
                self._tell("started", stage_id, "running", again)

    def _adopt(self, stage_id: str) -> None:
        self.run.adopted.add(stage_id)
        self._tell("adopted", stage_id, "running", "a job that another runner started is at work")

    def _fail(self, stage_id: str, reason: str) -> None:
        """Note a failure and block all that stands on it."""
        self._tell("failed", stage_id, "failed", reason)
        for other, stage in self.run.plan.stages.items():
            needs = {self.run.phases.get(needed) for needed in stage.inputs.values()}
            if self.run.phases[other] == "waiting" and needs & {"failed", "blocked"}:
                self._tell("blocked", other, "blocked", f"needs the failed {stage_id}")

    def _tell(self, what: Any, stage_id: str, phase: Phase, text: str = "") -> None:
        self.run.phases[stage_id] = phase
        self.run.reasons[stage_id] = text
        self.watcher.event(self.run, Event(what, stage_id, text))

    def stop_all(self, stop: list[int], grace: float) -> None:
        """Ask all jobs to stop, wait, kill what is left after the grace or at a second signal."""
        run = self.run
        assert self.lock is not None
        orphans = [
            stage_id
            for stage_id in run.adopted
            if not waited_for(run.store.own_folder(stage_id), other_than=self.lock.path)
        ]
        count = len(run.jobs) + len(orphans)
        text = f"stopping {count} jobs; once more to kill them at once" if count else "stopping"
        self.watcher.event(run, Event("note", "", text))
        deadline = time.monotonic() + grace
        asked = 0.0
        while True:
            for stage_id, process in list(run.jobs.items()):
                if process.ended() and not run.store.own_folder(stage_id).is_locked():
                    del run.jobs[stage_id]
                    done = run.store.is_done(run.plan.stages[stage_id])
                    self._tell("done" if done else "stopped", stage_id, "done" if done else "waiting")
            orphans = [each for each in orphans if run.store.own_folder(each).is_locked()]
            self.watcher.tick(run)
            if not run.jobs and not orphans:
                return
            now = time.monotonic()
            too_late = now > deadline or len(stop) > 1
            if too_late or now - asked > 1.0:  # repeated: a job that is still being started may not have heard
                asked = now
                number = signal.SIGKILL if too_late else signal.SIGTERM
                for process in run.jobs.values():
                    end_job(process, run.store, number)
                for stage_id in orphans:
                    signal_job(run.store.own_folder(stage_id), number)
            time.sleep(0.05)
