"""Jobs of several processes: the first one runs the stage and writes; the others compute along with it.

Every process is a task of the scheduler. The first takes the stage's lock and tells the others where to meet; these
leave when it does, however it does.
"""

import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.record.atomic import read_json, write_json
from harness.record.folders import StageFolder
from harness.record.lock import lock_holder

MEETING_PATIENCE_S = 900.0
"""How long the others wait for the first process to say where to meet."""

_SLURM_PLACE = {"SLURM_PROCID": 0, "SLURM_NTASKS": 1, "SLURM_LOCALID": 0}


@dataclass(frozen=True)
class Place:
    """Which of a job's processes this is."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """On its node."""


def own_place() -> Place:
    """This process among the tasks of its job; alone outside of one."""
    executor = os.environ.get("SUBMITIT_EXECUTOR")
    if executor is None:
        return Place()
    if executor == "slurm":  # submitit reads the same, but its import would be a third of a small job's time
        return Place(*(int(os.environ.get(name, given)) for name, given in _SLURM_PLACE.items()))
    from submitit import JobEnvironment

    environment = JobEnvironment()
    return Place(environment.global_rank, environment.num_tasks, environment.local_rank)


def _meeting_file(root: Path, submission: str) -> Path:
    return root / ".submitit" / f"{submission}.meeting.json"


def call_meeting(root: Path, submission: str, place: Place, token: str | None) -> None:
    """The first process tells the others where to meet, or that there is nothing to do.

    Args:
        token: what it noted in the stage's lock, new for every start; None when there is nothing to do.
    """
    if place.size == 1:
        return
    local = os.environ.get("SUBMITIT_EXECUTOR") == "local"
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    meeting = {"token": token, "address": "127.0.0.1" if local else socket.getfqdn(), "port": port}
    write_json(_meeting_file(root, submission), meeting)
    if token is not None:
        _set_environment(place, meeting["address"], port)


def join_meeting(root: Path, submission: str, place: Place, folder: StageFolder) -> bool:
    """Another process waits for the first one's word. Returns False when there is nothing to do.

    Raises:
        TimeoutError: no word came.
    """
    deadline = time.monotonic() + MEETING_PATIENCE_S
    while (meeting := _present_meeting(root, submission, folder)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the job's first process gave no sign in {MEETING_PATIENCE_S:.0f} s")
        time.sleep(0.1)
    if meeting["token"] is None:
        return False
    _set_environment(place, meeting["address"], meeting["port"])
    threading.Thread(target=_leave_with, args=(folder,), daemon=True).start()
    return True


def _present_meeting(root: Path, submission: str, folder: StageFolder) -> dict[str, Any] | None:
    """The meeting that was called by whoever holds the stage's lock now; None before it is.

    A job that the scheduler starts again has its old submission, and finds the meeting of its earlier start.
    """
    meeting = read_json(_meeting_file(root, submission))
    if meeting is None or meeting["token"] is None:
        return meeting
    held = folder.is_locked() and lock_holder(folder.lock_file).get("token") == meeting["token"]
    return meeting if held else None


def _leave_with(folder: StageFolder) -> None:
    """End this process soon after the first one lets go of the stage's lock."""
    while folder.is_locked():
        time.sleep(1.0)
    time.sleep(10.0)  # time to end in peace
    os._exit(1)


def _set_environment(place: Place, address: str, port: int) -> None:
    """What torch.distributed reads."""
    os.environ.update(
        MASTER_ADDR=address,
        MASTER_PORT=str(port),
        RANK=str(place.rank),
        WORLD_SIZE=str(place.size),
        LOCAL_RANK=str(place.local_rank),
    )
