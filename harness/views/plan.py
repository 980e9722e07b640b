"""What `ablate plan` and `ablate clean` show."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.record.clean import Cleanable
from harness.record.states import stage_labels
from harness.study.description import ClaimRow, Description, format_hours, format_seconds
from harness.study.disk import format_bytes
from harness.views.common import new_table

if TYPE_CHECKING:
    from harness.study.expand import Plan


def plan_view(description: Description) -> RenderableType:
    """What `ablate plan` shows."""
    arms = new_table("arm", "levels", "protocols", "runs", "done", right=("runs", "done"))
    for arm in description.arms:
        levels = ", ".join(f"{factor}={level}" for factor, level in arm.levels.items())
        arms.add_row(Text(arm.arm, "bold"), levels, ", ".join(arm.protocols), str(arm.runs), str(arm.done))
    columns = ("number", "shared", "done", "to do", "time to do", "GPU-hours", "disk")
    kinds = new_table("stages", *columns, right=columns)
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
    table = new_table("claim", "statement", "printed", "source", "decided by", right=("printed",))
    for claim in claims:
        decided = Text(claim.decided_by) if claim.decided_by else Text(f"untestable: {claim.untestable}", "yellow")
        figure = "" if claim.figure is None else f"{claim.figure:g}"
        table.add_row(Text(claim.claim, "bold"), claim.statement, figure, claim.source, decided)
    return table


def clean_view(found: Sequence[Cleanable], plan: "Plan", freed: bool) -> RenderableType:
    """What `ablate clean` shows: by stage what can go, or went."""
    labels = stage_labels(plan)
    table = new_table("stage", "what", "checkpoints", "leftovers", "disk", right=("leftovers", "disk"))
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
