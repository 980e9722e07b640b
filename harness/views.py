"""What the verbs print, as rich renderables and plain data."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.record.atomic import read_json
from harness.record.attempts import last_log, list_attempts
from harness.record.clean import Cleanable
from harness.record.outputs import CHECKS_FILE, FACTS_FILE
from harness.record.states import StageState, run_states, stage_labels, stage_states
from harness.record.status import STATES, State, Status
from harness.study.describe import ClaimRow, Description, format_hours, format_seconds
from harness.study.disk import format_bytes

if TYPE_CHECKING:
    from harness.launch.progress import LocalRun
    from harness.record.folders import StageFolder, Store
    from harness.study.expand import Plan, Run

STYLES: dict[str, str] = {
    "done": "green",
    "running": "cyan",
    "failed": "bold red",
    "blocked": "yellow",
    "interrupted": "yellow",
    "missing": "dim",
}

RunStates = Mapping[str, tuple[State, str]]


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _state(state: str) -> Text:
    return Text(state, STYLES.get(state, ""))


def _key_values(pairs: Mapping[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for name, value in pairs.items():
        grid.add_row(Text(name, "dim"), Text(str(value)))
    return grid


def _flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Settings by their dotted paths, as ``--set`` takes them."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {above + name: value}
    return flat


def plan_view(description: Description) -> RenderableType:
    """What `ablate plan` shows."""
    arms = _table("arm", "levels", "protocols", "runs", "done", right=("runs", "done"))
    for arm in description.arms:
        levels = ", ".join(f"{factor}={level}" for factor, level in arm.levels.items())
        arms.add_row(Text(arm.arm, "bold"), levels, ", ".join(arm.protocols), str(arm.runs), str(arm.done))
    columns = ("number", "shared", "done", "to do", "time to do", "GPU-hours", "disk")
    kinds = _table("stages", *columns, right=columns)
    for kind in description.kinds:
        time_to_do = format_seconds(kind.seconds_to_do) if kind.to_do else ""
        hours = format_hours(*kind.gpu_hours) + ("" if kind.measured else " ?") if kind.gpu_hours[1] else ""
        disk = format_bytes(kind.bytes_to_do) if kind.to_do else ""
        numbers = (kind.stages, kind.shared, kind.done, kind.to_do)
        kinds.add_row(kind.kind, *map(str, numbers), time_to_do, hours, disk)
    title = Text.assemble((description.study, "bold"), "  ", description.title)
    parts: list[RenderableType] = [title, arms, kinds]
    if description.claims:
        parts.append(_claims(description.claims))
    lines = [description.summary(), *description.costs()]
    return Group(*parts, *(Text(line) for line in lines))


def _claims(claims: Iterable[ClaimRow]) -> Table:
    table = _table("claim", "statement", "printed", "source", "decided by", right=("printed",))
    for claim in claims:
        decided = Text(claim.decided_by) if claim.decided_by else Text(f"untestable: {claim.untestable}", "yellow")
        figure = "" if claim.figure is None else f"{claim.figure:g}"
        table.add_row(Text(claim.claim, "bold"), claim.statement, figure, claim.source, decided)
    return table


def clean_view(found: Sequence[Cleanable], plan: "Plan", freed: bool) -> RenderableType:
    """What `ablate clean` shows: by stage what can go, or went."""
    labels = stage_labels(plan)
    table = _table("stage", "what", "checkpoints", "leftovers", "disk", right=("leftovers", "disk"))
    for stage_id in dict.fromkeys(each.stage for each in found):
        own = [each for each in found if each.stage == stage_id]
        steps = ", ".join(str(each.step) for each in own if each.step is not None)
        leftovers = sum(each.step is None for each in own)
        size = format_bytes(sum(each.bytes for each in own))
        table.add_row(stage_id, labels[stage_id], steps, str(leftovers or ""), size)
    total = format_bytes(sum(each.bytes for each in found))
    keep = plan.study.retention.checkpoints
    lines = [f"{total} freed" if freed else f"{total} can be freed" if found else "nothing can be freed"]
    if keep == "all":
        lines.append(
            "retention: {checkpoints: all} keeps all checkpoints; last or none would free those no longer needed"
        )
    if found and not freed:
        lines.append("Only this study was looked at: what others in the same store still need is not spared.")
        lines.append("Nothing was deleted; --yes deletes.")
    return Group(*([table] if found else []), *(Text(line) for line in lines))


def run_summary(run: "LocalRun", states: Mapping[str, StageState], store: "Store", log: Path) -> RenderableType:
    """What `ablate run` says at the end, before the comparison."""
    counts = Counter(run.phases.values())
    if run.interrupted:
        head = Text("interrupted; the same command goes on from here", "yellow")
    elif run.exit_code:
        parts = ", ".join(f"{counts[phase]} {phase}" for phase in ("failed", "blocked") if counts[phase])
        head = Text(f"{parts}; {counts['done']} of {len(run.phases)} stages done", "bold red")
    else:
        head = Text(f"{counts['done']} of {len(run.phases)} stages done", "green")
    lines: list[RenderableType] = [head]
    for stage_id, phase in run.phases.items():
        if phase == "failed":
            lines.append(Text(f"  {stage_id}: {run.reasons[stage_id]}"))
            lines.append(Text(f"    {states[stage_id].log or store.own_folder(stage_id).path}", "dim"))
    lines.append(Text(f"log {log}", "dim"))
    return Group(*lines)


def status_record(plan: "Plan", store: "Store", states: Mapping[str, StageState], runs: RunStates) -> dict[str, Any]:
    """What `ablate status --json` prints."""
    return {
        "study": plan.study.study,
        "runs": {run: {"state": state, "reason": reason} for run, (state, reason) in runs.items()},
        "stages": {
            stage_id: {
                "kind": plan.stages[stage_id].kind,
                "state": each.state,
                "reason": each.reason,
                "log": str(each.log) if each.log else None,
                "folder": str(store.folder(stage_id).path),
                "step": each.status.step if each.status else None,
                "total": each.status.total if each.status else None,
                "attempt": each.status.attempt if each.status else None,
                "shipped": each.shipped,
            }
            for stage_id, each in states.items()
        },
    }


def status_view(plan: "Plan", store: "Store", states: Mapping[str, StageState], runs: RunStates) -> RenderableType:
    """What `ablate status` shows: counts, runs, and the stages that are not simply done or missing."""
    parts: list[RenderableType] = []
    for what, found in (
        ("runs", [state for state, _ in runs.values()]),
        ("stages", [each.state for each in states.values()]),
    ):
        counts = Counter(found)
        line = Text(f"{what:8}")
        for state in STATES:
            if counts[state]:
                line.append(f"{counts[state]} {state}  ", STYLES[state])
        parts.append(line)
    table = _table("run", "state", "why")
    for run, (state, reason) in runs.items():
        table.add_row(run, _state(state), reason)
    parts.append(table)
    labels = stage_labels(plan)
    of_note = {key: each for key, each in states.items() if each.state in ("running", "failed", "interrupted")}
    for stage_id, each in of_note.items():
        done_so_far = _progress(each.status) if each.state == "running" else each.reason
        line = Text.assemble(_state(each.state), f" {labels[stage_id]}: {done_so_far}")
        parts += [line, Text(f"    {each.log or store.own_folder(stage_id).path}", "dim")]
    return Group(*parts)


def _progress(status: Status | None) -> str:
    if status is None or not status.total:
        return "starting"
    return f"step {status.step} of {status.total}, {format_seconds(time.time() - status.started)}"


def run_view(run: "Run", plan: "Plan", store: "Store") -> RenderableType:
    """What `ablate show` shows of one run."""
    states = stage_states(plan, store)
    state, reason = run_states(plan, states)[run.id]
    head = {
        "run": run.id,
        "state": f"{state}{f' ({reason})' if reason else ''}",
        "levels": ", ".join(f"{factor}={level}" for factor, level in run.levels.items()),
        "protocols": ", ".join(run.settings.protocols),
        "final step": run.final_step,
    }
    parts: list[RenderableType] = [_key_values(head)]
    for title, stage_id in (("training", run.train), ("start model", run.start)):
        if stage_id is not None:
            settings = plan.stages[stage_id].settings
            parts += [Text(f"\nsettings of the {title} ({stage_id})", "bold"), _key_values(_flat(settings))]

    stages = _table("stage", "state", "attempts", "seconds", "what", "folder", right=("attempts", "seconds"))
    attempts = _table(
        "stage", "attempt", "end", "start", "seconds", "cpu s", "host", "commit", "reason",
        right=("attempt", "seconds", "cpu s"),
    )  # fmt: skip
    labels = stage_labels(plan)
    for stage_id in run.stages:
        folder = store.folder(stage_id)
        seconds = (folder.done_record() or {}).get("seconds")
        tries = list_attempts(store.own_folder(stage_id))
        what = labels[stage_id] + (" (shipped)" if states[stage_id].shipped else "")
        stages.add_row(
            stage_id, _state(states[stage_id].state), str(len(tries)), _number(seconds), what, str(folder.path)
        )
        for each in tries:
            commit = (each.get("commit") or "")[:9] + ("+dirty" if "+dirty" in (each.get("commit") or "") else "")
            attempts.add_row(
                stage_id, str(each["attempt"]), each["exit"], each["start"][:19], _number(each["seconds"]),
                _number(each["cpu_seconds"]), each["host"], commit, each["reason"],
            )  # fmt: skip
    parts += [Text("\nstages", "bold"), stages, Text("attempts", "bold"), attempts]
    parts += [Text("checks", "bold"), _checks(run, store)]
    return Group(*parts)


def _checks(run: "Run", store: "Store") -> RenderableType:
    if run.train is None:
        return Text("no training, nothing to check")
    checks = read_json(store.folder(run.train).path / CHECKS_FILE)
    if not checks:
        return Text("none yet", "dim")
    table = _table("check", "", "what was seen")
    for name, check in checks.items():
        verdict = Text("passed", "green") if check["passed"] else Text("FAILED", "bold red")
        table.add_row(name, verdict, check["detail"])
    facts = read_json(store.folder(run.train).path / FACTS_FILE) or {}
    shown = {
        "data": f"SHA-256 {facts.get('data_fingerprint', 'unknown')} of all rows in order",
        "prompt": f"style {facts.get('prompt_hash', 'unknown')}",
        "processes": facts.get("processes", "unknown"),
    }
    return Group(table, Text("trained on", "bold"), _key_values(shown))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def stage_of_interest(name: str, plan: "Plan", store: "Store") -> str | None:
    """The stage that a name stands for; of a run the first that failed, is at work or was interrupted, else its
    training, else its last. None when the name is neither a stage's nor a run's."""
    if name in plan.stages:
        return name
    run = next((each for each in plan.runs if each.id == name), None)
    if run is None:
        return None
    states = stage_states(plan, store)
    for state in ("failed", "running", "interrupted"):
        for stage_id in run.stages:
            if states[stage_id].state == state:
                return stage_id
    return run.train or run.stages[-1]


def follow_log(folder: "StageFolder", follow: bool, heading: Callable[[Path], None]) -> None:
    """Print the latest attempt's log; with ``follow`` whatever comes, later attempts too, until the job ends."""
    path, place = None, 0
    while True:
        locked = folder.is_locked()
        newest = last_log(folder)
        if newest is not None and newest != path:
            heading(newest)
            path, place = newest, 0
        if path is not None:
            with path.open("rb") as file:
                file.seek(place)
                text = file.read()
            place += len(text)
            print(text.decode(errors="replace"), end="", flush=True)
        if not follow or (path is not None and not locked):
            return
        time.sleep(0.3)
