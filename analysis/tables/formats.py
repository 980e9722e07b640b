"""Format told apart from ability, and what other choices would have made of each contrast."""

from collections.abc import Sequence

from analysis.collected import Tables
from analysis.formats import LEAST_READ, FormatResult, RuleResult
from analysis.sensitivity import Variation
from analysis.tables.common import difference, ends, levels_text
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
    told = "The same completions read by every rule."
    if any(result.options for result in results):
        told += (
            " Option likelihood asks for no format at all: the option that the model finds likeliest, without thinking."
            " A gain that it doesn't show isn't shown to be more than format; one that is made by reasoning would not"
            " show there either."
        )
    footers = (told,)
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
        Column(
            "both_read", "both read %", "questions where both sides' answers could be read: what now right rests on"
        ),
        Column("guessing", "by guessing", "what guessing would give of now parsed"),
        Column("share", "parsed's share %", "share of the gain that goes with parse status"),
    )
    rows: list[tuple[Cell, ...]] = []
    for result in results:
        split = result.split
        if split is None:
            rows.append((result.contrast, *[NONE] * 8))
            continue
        total = Number(split.now_parsed.mean + split.now_right.mean, unit="percentage point", signed=True)
        parts: list[Cell] = []
        for part, told in ((split.now_parsed, True), (split.now_right, split.told)):
            parts += [difference(part, 1, "percentage point"), ends(part, 1) if told else "cannot be told"]
        read = Number(split.both_read, decimals=1)
        luck: Cell = NONE if split.guessing is None else Number(split.guessing, unit="percentage point", signed=True)
        share: Cell = NONE if split.share is None else Number(split.share, decimals=0)
        rows.append((result.contrast, total, *parts, read, luck, share))
    footers = (
        "a − b is the sum of the two parts, question by question: now parsed are right answers where the other side's"
        " could not be read (minus the reverse), now right the difference where both could be. The share has no number"
        " where the parts have opposite signs.",
        f"Where both could be read on fewer than {LEAST_READ:g} % of the questions, ability can't be told from format:"
        " what a side that doesn't answer knows is not seen here. By guessing: what answering at random would give"
        " where the other side's answer could not be read.",
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
        Column("", "interval at 1 − alpha"),
        Column("questions", "questions", "questions that it is over"),
        Column("runs", "runs", "runs of each side"),
        Column("verdict", "verdict", "what the interval decides"),
        Column(
            "effect",
            "differs in",
            "verdict, or estimate (outside of the other's interval), from what it is held against",
        ),
    )
    rows = [_variation_row(each) for each in results]
    others = [each for each in results if each.against]
    verdicts, estimates = (sum(each.effect == effect for each in others) for effect in ("verdict", "estimate"))
    footers = (
        f"One choice changed at a time, all else as declared. Of {len(others)} other choices {verdicts} change the"
        f" verdict and {estimates} more have an estimate outside of the interval of what they are held against. They"
        " are the declared tests made otherwise, and confirm nothing.",
        "Truncation: an answer cut off at the limit of new tokens. Checkpoints: on the questions that the curve's"
        " checkpoints were asked, held against the last checkpoint on the same questions; the best (never the start) is"
        " chosen on every other image's questions and scored on the rest.",
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
        each.effect,
    )
