"""What `ablate show` shows of one run."""

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from harness.record.atomic import read_json
from harness.record.attempts import list_attempts
from harness.record.outputs import CHECKS_FILE, FACTS_FILE
from harness.record.states import run_states, stage_labels, stage_states
from harness.views.common import flat, key_values, new_table, number_text, state_text

if TYPE_CHECKING:
    from harness.record.folders import Store
    from harness.study.expand import Plan, Run


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
    parts: list[RenderableType] = [key_values(head)]
    for title, stage_id in (("training", run.train), ("start model", run.start)):
        if stage_id is not None:
            settings = plan.stages[stage_id].settings
            parts += [Text(f"\nsettings of the {title} ({stage_id})", "bold"), key_values(flat(settings))]

    stages = new_table("stage", "state", "attempts", "seconds", "what", "folder", right=("attempts", "seconds"))
    attempts = new_table(
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
            stage_id, state_text(states[stage_id].state), str(len(tries)), number_text(seconds), what, str(folder.path)
        )
        for each in tries:
            commit = (each.get("commit") or "")[:9] + ("+dirty" if "+dirty" in (each.get("commit") or "") else "")
            attempts.add_row(
                stage_id, str(each["attempt"]), each["exit"], each["start"][:19], number_text(each["seconds"]),
                number_text(each["cpu_seconds"]), each["host"], commit, each["reason"],
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
    table = new_table("check", "", "what was seen")
    for name, check in checks.items():
        verdict = Text("passed", "green") if check["passed"] else Text("FAILED", "bold red")
        table.add_row(name, verdict, check["detail"])
    facts = read_json(store.folder(run.train).path / FACTS_FILE) or {}
    shown = {
        "data": f"SHA-256 {facts.get('data_fingerprint', 'unknown')} of all rows in order",
        "prompt": f"style {facts.get('prompt_hash', 'unknown')}",
        "processes": facts.get("processes", "unknown"),
    }
    return Group(table, Text("trained on", "bold"), key_values(shown))
