"""The contrasts: verdicts, what they rest on, every pair of checkpoints, every task and source, interactions."""

from collections.abc import Sequence

from analysis.by_scope import ScopeResult
from analysis.collected import Tables
from analysis.combine import BOOTSTRAP_POPULATION, POPULATIONS
from analysis.contrast_result import ContrastResult
from analysis.metrics import METRICS
from analysis.sentences import verdict_text
from analysis.tables.common import difference, ends, levels_text
from analysis.tables.table import Cell, Column, Number, Table, count, p_value
from analysis.words import NONE

_MISSING = "planned runs of the sides that did not enter"


def contrasts(tables: Tables, results: Sequence[ContrastResult]) -> Table:
    """The declared contrasts with their verdicts."""
    alphas = [result.alpha for result in results]
    columns = (
        Column("contrast", "contrast", "name of the contrast"),
        Column("a", "a", "one side: the arm, and what differs between the sides"),
        Column("b", "b", "the side that is subtracted"),
        Column("estimate", "a − b", "difference, in percentage points of accuracy unless another unit stands there"),
        Column("", f"{levels_text(alphas)} interval"),
        Column("about", "about", "population that the interval speaks about"),
        Column("p", "p", "two-sided p-value against 0"),
        Column("p_adjusted", "adjusted p", "adjusted for the tests of its family"),
        Column("family", "adjusted by", "how p was adjusted, and over how many tests"),
        Column("margin", "margin", "differences within plus or minus this count as equivalent"),
        Column("verdict", "verdict on a against b", "what the intervals decide"),
        Column("standing", "declared", "confirmatory: registered before anything that it reads was evaluated"),
    )
    rows = [_verdict_row(result) for result in results]
    title = f"{tables.study['title']}: declared contrasts"
    return Table("contrasts", title, columns, tuple(rows), _contrast_footers(tables, results), keys=1)


def _verdict_row(result: ContrastResult) -> tuple[Cell, ...]:
    decimals = METRICS[result.metric].decimals
    interval = result.interval
    family = f"{result.adjustment}" + (f" ({result.family})" if result.family else "")
    return (
        result.name,
        *result.labels,
        _named(result, difference(interval, decimals, result.unit)),
        ends(interval, decimals),
        POPULATIONS[result.population] or NONE,
        p_value(result.p),
        p_value(result.p_adjusted),
        family,
        Number(result.margin, unit=result.unit, text=None if result.margin is None else f"{result.margin:g}"),
        verdict_text(result),
        result.standing.status,
    )


def _named(result: ContrastResult, cell: Number) -> Number:
    """A difference in another metric than accuracy says so."""
    if result.metric == "accuracy" or cell.value is None:
        return cell
    return Number(cell.value, cell.low, cell.high, cell.n, cell.unit, text=f"{cell} {result.metric}")


def _contrast_footers(tables: Tables, results: Sequence[ContrastResult]) -> tuple[str, ...]:
    others = dict.fromkeys(result.metric for result in results if result.metric != "accuracy")
    told = "; ".join(f"{name} in {METRICS[name].unit}s" for name in others)
    wide = levels_text([result.alpha for result in results])
    narrow = levels_text([result.alpha for result in results], inner=True)
    standings = dict.fromkeys(f"{result.name}: {result.standing.reason}" for result in results)
    reasons = dict.fromkeys(result.standing.reason for result in results)
    confirmed = sum(result.standing.status == "confirmatory" for result in results)
    withdrawn = tables.study["registration"].get("withdrawn", {})
    shown = [next(iter(reasons))] if len(reasons) == 1 else list(standings)
    return (
        f"a − b in percentage points of accuracy{f', or of what stands beside it ({told})' if told else ''}.",
        f"The {wide} interval decides the direction (higher, lower), the {narrow} one whether the difference lies"
        " within the margin; both may hold. Neither is inconclusive, which is not the same as no difference.",
        "p is two-sided against 0, adjusted by Holm within a declared family, by Benjamini-Hochberg over the contrasts"
        " outside of families; one seed of a method has no p-value about the method, and counts among the tests. The"
        " equivalence tests are adjusted in the same way, over those with a margin.",
        f"{confirmed} of {len(results)} contrasts are confirmatory: {'; '.join(shown)}."
        if results
        else "No contrast is declared.",
        *(
            [
                f"Registered once and not declared any more: {', '.join(withdrawn)}. A family that lost a test is"
                " adjusted for fewer."
            ]
            if withdrawn
            else []
        ),
    )


def evidence(tables: Tables, results: Sequence[ContrastResult]) -> Table:
    """What every verdict rests on: whom its interval speaks about, sensitivity, what could have been seen, losses."""
    alphas = [result.alpha for result in results]
    wide, narrow = levels_text(alphas), levels_text(alphas, inner=True)
    columns = (
        Column("contrast", "contrast", "name of the contrast"),
        Column("method", "interval", "how the interval was computed"),
        Column("runs", "runs", "runs of each side that entered"),
        Column("df", "df", "degrees of freedom"),
        Column("inner", f"{narrow} interval", "difference with the interval that decides equivalence"),
        Column("p_equivalence", "p, equivalence", "adjusted p-value of the two one-sided tests against the margin"),
        Column("bootstrap", f"two-level bootstrap {wide}", f"about {BOOTSTRAP_POPULATION}"),
        Column("prediction", "single further runs", "where a difference of single further runs falls"),
        Column("detectable", "detectable", "true difference that the design would have shown with the power asked for"),
        Column("missing", "missing", _MISSING),
        Column("planned", "planned", "runs planned on all sides"),
    )
    rows = [_evidence_row(result) for result in results]
    lost = {f"{run}: {why}" for result in results for run, why in result.lost.items()}
    unread = {f"{run}: {why}" for result in results for run, why in result.unread.items()}
    footers = (
        f"Two-level bootstrap: seeds drawn, then images, one draw of images for all seeds and tasks; about"
        f" {BOOTSTRAP_POPULATION}, as sensitivity. It is too wide where chance in single answers dominates, as in most"
        " simulated studies (results/coverage), and too narrow where few seeds differ much; narrower than the t"
        " interval means the latter.",
        "Single further runs: where the difference of one more run of each side falls (t s √(1 + 1/n)), constants"
        " staying what they are and no seed in common; a printed difference of single runs is held against it.",
        _power_footer(tables),
        f"Missing: {_MISSING}" + (f": {'; '.join(sorted(lost))}." if lost else "; none."),
        *(
            [
                "Step 0 is the one start model of all seeds, one planned run that misses nothing where any run has it;"
                f" it was not read from {'; '.join(sorted(unread))}."
            ]
            if unread
            else []
        ),
    )
    title = f"{tables.study['title']}: what the verdicts rest on"
    return Table("evidence", title, columns, tuple(rows), footers)


def _evidence_row(result: ContrastResult) -> tuple[Cell, ...]:
    decimals, unit, interval = METRICS[result.metric].decimals, result.unit, result.interval
    boot, predicted, inner = result.bootstrap, result.prediction, result.equivalence
    look = {"decimals": decimals, "unit": unit, "signed": True}
    return (
        result.name,
        result.method if interval is not None and interval.half_width is not None else f"none: {result.reason}",
        ", ".join(map(str, result.ns)) or "0",
        NONE if interval is None or interval.df is None else Number(interval.df, unit="degree of freedom"),
        NONE if inner is None else Number(inner.mean, inner.low, inner.high, inner.n, style="range", **look),
        NONE if result.p_equivalence is None else p_value(result.p_equivalence_adjusted),
        NONE if boot is None else Number(boot.estimate, boot.low, boot.high, style="range", **look),
        NONE
        if predicted is None or predicted.low is None
        else Number(predicted.mean, predicted.low, predicted.high, predicted.n, style="range", **look),
        NONE if result.detectable is None else Number(result.detectable, unit=unit, decimals=decimals),
        count(result.missing, "run"),
        count(result.planned, "run"),
    )


def _power_footer(tables: Tables) -> str:
    power = tables.study["power"]
    if not power:
        return "Detectable: no spread over seeds is declared."
    declared = "the contrast's own seed SD alone, as the study declares none of accuracy"
    if power.get("seed_sd") is not None:
        declared = f"a declared seed SD of {power['seed_sd']:g} points of accuracy"
    return (
        f"Detectable: the true difference that {100 * power['power']:g} % of such studies would find, by the test that"
        f" is made, at alpha over the family's size, from {declared}"
        f" (correlation of paired seeds {power['seed_correlation']:g}); of two single checkpoints from a discordance of"
        f" {100 * power['discordance']:g} %. As the study file declares, not computed from these runs."
    )


def pairs(tables: Tables, results: Sequence[ContrastResult]) -> Table:
    """Every pair of checkpoints that belong together, question by question."""
    columns = (
        Column("contrast", "contrast", "name of the contrast"),
        Column("pair", "pair", "seed of the runs, or the runs"),
        Column("estimate", "a − b", "question-paired difference of the checkpoints"),
        Column("", f"{levels_text([result.alpha for result in results])} interval"),
        Column("questions", "questions", "questions that all of them answered"),
        Column("images", "images", "clusters of questions"),
        Column("sign_flip", "p, sign flip", "sign-flip test over images"),
        Column("mcnemar", "p, McNemar", "exact McNemar test over questions"),
        Column("a_only", "a alone right", "questions that a alone has right"),
        Column("b_only", "b alone right", "questions that b alone has right"),
    )
    rows: list[tuple[Cell, ...]] = []
    for result in results:
        decimals = METRICS[result.metric].decimals
        for pair in result.checkpoints:
            mcnemar = pair.mcnemar
            rows.append(
                (
                    result.name,
                    pair.name,
                    difference(pair.interval, decimals, result.unit),
                    ends(pair.interval, decimals),
                    count(pair.interval.n, "question"),
                    count(pair.interval.clusters, "image"),
                    p_value(pair.sign_flip.p),
                    NONE if mcnemar is None else p_value(mcnemar.p),
                    NONE if mcnemar is None else count(mcnemar.a_only, "question"),
                    NONE if mcnemar is None else count(mcnemar.b_only, "question"),
                )
            )
    footers = (
        f"Each line speaks about {POPULATIONS['checkpoints']}: nothing here is about other seeds.",
        "Interval: t over questions, its standard error clustered by image, tasks at their shares. Sign flip: under no"
        " difference on any image the sign of its summed difference is a coin's toss, whatever its task; it may"
        " disagree with the interval where tasks differ. McNemar: exact, as if no two questions shared an image, and so"
        " too sure where they do; none where questions weigh differently. None of these p-values is adjusted.",
    )
    title = f"{tables.study['title']}: pairs of checkpoints"
    return Table("pairs", title, columns, tuple(rows), footers, keys=2)


def scopes(tables: Tables, results: Sequence[ScopeResult]) -> Table:
    """Every contrast by task and source; the lowest marked, which is the worst where more is better."""
    columns = (
        Column("contrast", "contrast", "name of the contrast"),
        Column("scope", "on", "task, source or suite"),
        Column("estimate", "a − b", "difference on it"),
        Column("", f"{levels_text([each.alpha for each in results])} interval"),
        Column("p", "p", "two-sided p-value against 0"),
        Column("p_adjusted", "adjusted p", "Benjamini-Hochberg over this table"),
        Column("bootstrap", "two-level bootstrap", f"about {BOOTSTRAP_POPULATION}"),
        Column("lowest", "", "lowest a − b of the contrast's tasks, sources or suites"),
    )
    rows: list[tuple[Cell, ...]] = []
    for each in results:
        interval, boot = each.combined.interval, each.bootstrap
        decimals, unit = METRICS[each.metric].decimals, METRICS[each.metric].unit
        look = {"decimals": decimals, "unit": unit, "signed": True, "style": "range"}
        rows.append(
            (
                each.contrast,
                each.scope,
                difference(interval, decimals, unit),
                ends(interval, decimals),
                p_value(each.p),
                p_value(each.p_adjusted),
                NONE if boot is None else Number(boot.estimate, boot.low, boot.high, **look),
                "lowest" if each.lowest else "",
            )
        )
    footers = (
        "Exploratory: p-values adjusted by Benjamini-Hochberg over all lines of this table. Intervals as in the"
        " contrast's own, on the same runs; the bootstrap's draws are the same for all lines of a contrast.",
    )
    title = f"{tables.study['title']}: contrasts by task and source"
    return Table("scopes", title, columns, tuple(rows), footers, keys=2)


def interactions(tables: Tables, declared: Sequence[ContrastResult], found: Sequence[ContrastResult]) -> Table:
    """Differences of differences: those declared, then those that the arms allow."""
    results = [*(result for result in declared if result.minus), *found]
    names = {result.name for result in declared}
    columns = (
        Column("interaction", "interaction", "name of the contrast, or factors with levels"),
        Column("first", "effect", "the difference that it starts from"),
        Column("second", "minus effect", "the difference that is subtracted"),
        Column("estimate", "difference of differences", "in the metric's unit"),
        Column("", f"{levels_text([result.alpha for result in results])} interval"),
        Column("p", "p", "two-sided p-value against 0"),
        Column("p_adjusted", "adjusted p", "adjusted for the tests of its family or of this table"),
        Column("standing", "declared", "declared in the study, confirmatory or exploratory; or found here"),
    )
    rows: list[tuple[Cell, ...]] = []
    for result in results:
        decimals, interval = METRICS[result.metric].decimals, result.interval
        rows.append(
            (
                result.name,
                *result.labels,
                _named(result, difference(interval, decimals, result.unit)),
                ends(interval, decimals),
                p_value(result.p),
                p_value(result.p_adjusted),
                result.standing.status if result.name in names else "not declared",
            )
        )
    footers = (
        "One test of the difference of two effects: that one effect is significant and another is not says nothing"
        " about their difference. Intervals by Welch and Satterthwaite over the arms that have seeds, or over seeds"
        " where paired.",
        "Those not declared are every two by two of factor levels against the factors' defaults, adjusted by"
        " Benjamini-Hochberg among themselves.",
    )
    title = f"{tables.study['title']}: interactions"
    return Table("interactions", title, columns, tuple(rows), footers)
