"""What `ablate rehearse` prints."""

from collections import Counter

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.rehearse.reduce import Rehearsal
from harness.rehearse.run import ArmOutcome, Outcome


def outcome_view(rehearsal: Rehearsal, outcome: Outcome, seconds: float) -> RenderableType:
    """What was not rehearsed, then every arm with its stages and manipulation checks, then a summary."""
    notes = [Text("a rehearsal is not the study; made small or left out:", "bold")]
    notes += [Text(f"  {line}", "dim") for line in rehearsal.reductions]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("arm", "stage or check", "", "what was seen"):
        table.add_column(column, overflow="fold")
    for arm in outcome.arms:
        _add(table, arm)
    counts = Counter(arm.passed for arm in outcome.arms)
    checks = [check["passed"] for arm in outcome.arms for check in arm.checks.values()]
    stages = len({stage for arm in outcome.arms for stage in arm.stages})
    text = f"{counts[True]} of {counts.total()} arms passed; {stages} stages, {sum(checks)} of {len(checks)} checks "
    text += f"passed; {seconds:.0f} s"
    if outcome.interrupted:
        return Group(*notes, table, Text("interrupted; the same command goes on from here", "yellow"))
    return Group(*notes, table, Text(text, "bold red" if outcome.exit_code else "green"))


def _add(table: Table, arm: ArmOutcome) -> None:
    name = Text(arm.arm, "bold")
    if arm.rehearsed_as != arm.arm:
        passed = Text("passed", "green") if arm.passed else Text("FAILED", "bold red")
        table.add_row(name, "all", passed, f"as {arm.rehearsed_as}, which is the same once made small")
        return
    for label, state in arm.stages.items():
        done = state.state == "done"
        seen = "" if done else f"{state.reason} {state.log or ''}"
        table.add_row(name, label, Text(state.state, "green" if done else "bold red"), Text(seen, "dim"))
        name = Text()
    for check, found in arm.checks.items():
        verdict = Text("passed", "green") if found["passed"] else Text("FAILED", "bold red")
        table.add_row(name, f"check {check}", verdict, Text(found["detail"], "dim"))
    table.add_section()
