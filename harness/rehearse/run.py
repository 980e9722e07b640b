"""Runs a rehearsal and tells what became of every arm."""

import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.launch.local import run_local
from harness.launch.progress import Watcher
from harness.record.atomic import read_json
from harness.record.folders import Store
from harness.record.outputs import CHECKS_FILE
from harness.record.provenance import versions
from harness.record.states import StageState, stage_labels, stage_states
from harness.rehearse.reduce import Rehearsal
from harness.study import Plan, plan_study

_ROOM = "rehearsal"
_CODE_FOLDER = re.compile(r"code-[0-9a-f]{12}")


@dataclass(frozen=True)
class ArmOutcome:
    """What became of an arm."""

    arm: str
    rehearsed_as: str
    """Itself, or the arm that it is the same as once made small."""
    stages: dict[str, StageState]
    """By a short readable name."""
    checks: dict[str, dict[str, Any]]
    """Manipulation checks of its training: name -> {passed, detail}."""

    @property
    def passed(self) -> bool:
        """All stages done, all checks passed."""
        return all(each.state == "done" for each in self.stages.values()) and all(
            each["passed"] for each in self.checks.values()
        )


@dataclass(frozen=True)
class Outcome:
    """What became of a rehearsal."""

    plan: Plan
    """Of the small study."""
    arms: tuple[ArmOutcome, ...]
    """All arms of the real study, in its order as far as they differ."""
    interrupted: bool

    @property
    def exit_code(self) -> int:
        """0 all passed, 1 something did not, 130 interrupted."""
        if self.interrupted:
            return 130
        return int(not all(arm.passed for arm in self.arms))


def rehearsal_store(store: Store) -> Store:
    """The store of all rehearsals of the present code beside the real stages: studies share what they have in common.

    What was rehearsed with other code proves nothing of this one, so its stages are deleted unless a job is at work
    on them.
    """
    root = store.root / _ROOM
    current = root / f"code-{_code_digest()}"
    for other in root.glob("code-*"):
        at_work = any(Store(other).own_folder(path.parent.name).is_locked() for path in other.glob("*/lock"))
        if other != current and _CODE_FOLDER.fullmatch(other.name) and not at_work:
            shutil.rmtree(other, ignore_errors=True)
    return Store(current, store.shipped.values())


def rehearse(
    rehearsal: Rehearsal,
    store: Store,
    workers: int | None = None,
    watcher: Watcher | None = None,
    kinds: Mapping[str, str] | None = None,
) -> Outcome:
    """Compute every stage of a rehearsal that is not done in ``store`` and look at what came out.

    Args:
        workers, watcher, kinds: as in `run_local`.
    """
    plan = plan_study(rehearsal.study)
    run = run_local(plan, store, workers, watcher, kinds=kinds)
    states, labels = stage_states(plan, store), stage_labels(plan)
    arms = []
    for each in plan.runs:
        checks = {} if each.train is None else read_json(store.folder(each.train).path / CHECKS_FILE) or {}
        stages = {_label(stage_id, labels): states[stage_id] for stage_id in each.stages}
        arms += [ArmOutcome(name, each.arm, stages, checks) for name in rehearsal.stands_for[each.arm]]
    return Outcome(plan, tuple(arms), run.interrupted)


def _label(stage_id: str, labels: Mapping[str, str]) -> str:
    kind, _, number = stage_id.partition("-")
    return f"{labels[stage_id]} [{number}]" if labels[stage_id] != kind else stage_id


def _code_digest() -> str:
    """12 hex digits over the harness's code and the versions of the libraries."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256(repr(sorted(versions().items())).encode())
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
