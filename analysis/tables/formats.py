"""Format told apart from ability, and what other choices would have made of each contrast."""

from collections.abc import Sequence

from analysis.formats import FormatResult, RuleResult
from analysis.load import Tables
from analysis.scores import arm_table
from analysis.sensitivity import Variation
from analysis.tables.common import difference, ends, levels_text, short_chance
from analysis.tables.table import Cell, Column, Number, Table, count
from analysis.verdicts import INCONCLUSIVE
from analysis.words import NONE


def formats(tables: Tables, results: Sequence[FormatResult]) -> Table:
    """Every contrast in accuracy under every rule on the same completions, and by option likelihood."""
    levels = levels_text([result.alpha for result in results])
    columns = (
        Column("contrast", "contrast", "name of the contrast"),
        Column("rule", "read by", "scoring rule, or option likelihood under a protocol"),
        Column("estimate", "a − b", "difference in accuracy"),
        Column("", f"{levels} interval"),
        Column("parsed_a", "a: parsed %", "completions of a that the rule could read an answer from"),
        Column("parsed_b", "b: parsed %", "completions of b that the rule could read an answer from"),
        Column("decides", "", "the rule that decides the contrast"),
    )
    rows = [_rule_row(result, each) for result in results for each in (*result.by_rule, *result.options)]
    footers = (
        "The same completions read by every rule; option likelihood asks for no format at all: the option that the"
        " model finds likeliest. A gain that a strict reading shows and option likelihood doesn't is one of format.",
        short_chance(arm_table(tables)),
    )
    title = f"{tables.study['title']}: contrasts by scoring rule and by option likelihood"
    return Table("formats", title, columns, tuple(rows), footers, keys=2)


def _rule_row(result: FormatResult, each: RuleResult) -> tuple[Cell, ...]:
    interval, likelihood = each.combined.interval, each.parsed == (None, None) and each in result.options
    return (
        result.contrast,
        f"option likelihood ({each.label})" if likelihood else each.label,
        difference(interval, 1, "percentage point") if interval else f"none: {each.combined.reason}",
        ends(interval, 1),
        *(NONE if parsed is None else Number(parsed) for parsed in each.parsed),
        "decides" if each.decides else "",
    )


def splits(tables: Tables, results: Sequence[FormatResult]) -> Table:
    """The gain of every contrast in accuracy: now parsed, now right."""
    levels = levels_text([result.alpha for result in results])
    columns = (
        Column("contrast", "contrast", "name of the contrast"),
        Column("total", "a − b", "difference in accuracy"),
        Column("now_parsed", "now parsed", "right answers where the other side's could not be read, minus the reverse"),
        Column("", f"{levels} interval"),
        Column("now_right", "now right", "difference where both sides' answers could be read"),
        Column("", f"{levels} interval"),
        Column("share", "parsed's share %", "share of the gain that goes with parse status"),
    )
    rows: list[tuple[Cell, ...]] = []
    for result in results:
        split = result.split
        if split is None:
            rows.append((result.contrast, NONE, NONE, NONE, NONE, NONE, NONE))
            continue
        total = Number(split.now_parsed.mean + split.now_right.mean, unit="percentage point", signed=True)
        parts: list[Cell] = []
        for part in (split.now_parsed, split.now_right):
            parts += [difference(part, 1, "percentage point"), ends(part, 1)]
        share: Cell = NONE if split.share is None else Number(split.share, decimals=0)
        rows.append((result.contrast, total, *parts, share))
    footers = (
        "a − b is the sum of the two parts, question by question: now parsed are right answers where the other side's"
        " could not be read (minus the reverse), now right the difference where both could be. The share has no number"
        " where the parts have opposite signs.",
        f"Whoever answers at all is right by chance: some of now parsed is luck. {short_chance(arm_table(tables))}",
    )
    title = f"{tables.study['title']}: now parsed, now right"
    return Table("splits", title, columns, tuple(rows), footers)


def sensitivity(tables: Tables, results: Sequence[Variation]) -> Table:
    """Every contrast in accuracy under other choices; which of them change its verdict."""
    columns = (
        Column("contrast", "contrast", "name of the contrast"),
        Column("kind", "choice of", "what is chosen otherwise"),
        Column("choice", "choice", "the choice"),
        Column("estimate", "a − b", "difference in accuracy"),
        Column("", "interval"),
        Column("questions", "questions", "questions that it is over"),
        Column("runs", "runs", "runs of each side"),
        Column("verdict", "verdict", "what the interval decides"),
        Column("changes", "", "the verdict differs from the declared one's"),
    )
    rows = [_variation_row(each) for each in results]
    changed = sum(each.changes for each in results)
    declared = sum(each.kind == "declared" for each in results)
    footers = (
        f"One choice changed at a time, all else as declared. {changed} of {len(results) - declared} other choices"
        " change a verdict. They are the declared tests made otherwise, and confirm nothing.",
        "Truncation: an answer cut off at the limit of new tokens. Checkpoints: on the questions that the curve's"
        " checkpoints were asked; the best is chosen on every other image's questions and scored on the rest.",
        short_chance(arm_table(tables)),
    )
    title = f"{tables.study['title']}: sensitivity of the contrasts"
    return Table("sensitivity", title, columns, tuple(rows), footers, keys=3)


def _variation_row(each: Variation) -> tuple[Cell, ...]:
    interval, verdict = each.combined.interval, each.verdict
    shown = f"{INCONCLUSIVE}: {verdict.reason}" if verdict.reason and not verdict.decided else verdict.name
    return (
        each.contrast,
        each.kind,
        each.choice,
        difference(interval, 1, "percentage point"),
        ends(interval, 1),
        count(len(each.combined.position), "question"),
        ", ".join(map(str, each.combined.ns)),
        shown,
        "changes" if each.changes else "",
    )
