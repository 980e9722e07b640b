"""The published claims: each with its verdict, beside the contrast that decides it or runs of the arm that really ran.

A printed figure is a single run's (or a difference of two), or a mean over as many runs as the claim says; ours is a
mean over seeds. It is held against where so many further runs fall, not against the interval of our mean, which narrows
to nothing with enough seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.collected import Tables
from analysis.contrast_result import ContrastResult
from analysis.metrics import METRICS
from analysis.scopes import scopes, weighted_mean
from analysis.sentences import seen
from analysis.statistics import PredictionInterval, prediction_interval
from analysis.values import Side, declared_side, side_values
from analysis.verdicts import ClaimVerdict, judge, lies_beyond
from analysis.words import things


@dataclass(frozen=True)
class ClaimResult:
    """A published claim and what this study says of it."""

    name: str
    statement: str
    source: str
    direction: str
    figure: float | None
    """As printed: a difference a minus b in the contrast's unit, or a score in percent where an arm really ran."""
    runs: int
    """How many runs (of each side) the printed figure is a mean over."""
    contrast: ContrastResult | None
    ran: Side | None
    """The arm that really ran where the published one was never applied."""
    prediction: PredictionInterval | None
    """Where the mean (or difference of means) of ``runs`` further runs of ours falls; None without several seeds."""
    planned: int
    verdict: ClaimVerdict
    alone: bool
    """The verdict holds alone, but not after adjustment for the tests of the contrast's family."""
    reason: str
    """What qualifies the verdict, or why there is none."""
    note: str

    @property
    def label(self) -> str:
        """The verdict, with what qualifies it."""
        return f"{self.verdict}, unadjusted only" if self.alone else self.verdict

    @property
    def within(self) -> bool | None:
        """Whether the printed figure lies where ours would fall; None where nothing can tell."""
        if self.prediction is None or self.figure is None or self.prediction.standard_error == 0.0:
            return None
        return self.prediction.contains(self.figure)

    @property
    def unit(self) -> str:
        return self.contrast.unit if self.contrast else "percent"

    @property
    def decimals(self) -> int:
        return METRICS[self.contrast.metric].decimals if self.contrast else 1


def claims(tables: Tables, results: Sequence[ContrastResult]) -> list[ClaimResult]:
    """Verdicts on all published claims, in the order of the study."""
    by_name = {result.name: result for result in results}
    return [_claim(tables, claim, by_name) for claim in tables.study["claims"]]


def _claim(tables: Tables, claim: Mapping[str, Any], results: Mapping[str, ContrastResult]) -> ClaimResult:
    if claim["ran"]:
        return _ran(tables, claim)
    result = results[claim["contrast"]] if claim["contrast"] else None
    if result is None:
        return _made(claim, verdict="untestable", reason=claim["untestable"])
    verdict = judge(claim["direction"], result.verdict, lies_beyond(result.interval, result.margin))
    alone = verdict != "inconclusive" and not _survives(claim["direction"], verdict, result)
    if verdict == "inconclusive":
        reason = result.verdict.reason or _could_have_seen(result)
    elif alone:
        reason = f"it does not hold after adjustment ({result.adjustment} tests)"
    else:
        reason = ""
    return _made(
        claim,
        verdict=verdict,
        alone=alone,
        reason=reason,
        contrast=result,
        prediction=result.combined.prediction(_runs(claim)),
        planned=result.planned,
    )


def _survives(direction: str, verdict: str, result: ContrastResult) -> bool:
    """Whether the tests that the verdict on a claim rests on hold after adjustment too."""
    if direction == "equal":
        if verdict == "contradicted":  # the whole interval outside of the margin, at Holm's strictest level
            return result.p_beyond is not None and result.p_beyond <= result.detected_at[1]
        return result.equivalence_survives
    return result.survives


def _could_have_seen(result: ContrastResult) -> str:
    unknown = "no spread over seeds is declared, so what this design would have shown is unknown"
    return seen(result).removesuffix(".") or unknown


def _ran(tables: Tables, claim: Mapping[str, Any]) -> ClaimResult:
    """A printed score against runs of the arm that it is really of.

    Within: any such run may score that, and nothing needs explaining by what was never applied. Outside: what was
    printed stays unexplained. Neither decides the claim, whose arm this study's runs aren't.
    """
    side = declared_side(tables, claim["ran"], "accuracy")
    found = side_values(tables, side, "accuracy")
    weights = next(iter(scopes(tables.questions).values()))
    scores = [100.0 * weighted_mean(run.values, weights) for run in found.found]
    prediction = prediction_interval(scores, further=_runs(claim)) if scores else None
    would = "what one run" if _runs(claim) == 1 else f"what the mean of {_runs(claim)} runs"
    if prediction is None:
        verdict, reason = "inconclusive", f"{side.arm} has no finished run under {side.place}"
    elif not prediction.standard_error:
        verdict, reason = (
            "inconclusive",
            f"{things(prediction.n, 'run')} of {side.arm} show{'s' if prediction.n == 1 else ''} no spread",
        )
    elif prediction.contains(claim["figure"]):
        verdict, reason = "inconclusive", f"{claim['figure']:.2f} lies within {would} of {side.arm} scores"
    else:
        verdict, reason = "inconclusive", f"{claim['figure']:.2f} lies outside {would} of {side.arm} scores"
    return _made(claim, verdict=verdict, reason=reason, ran=side, prediction=prediction, planned=found.planned)


def _runs(claim: Mapping[str, Any]) -> int:
    """Of a single run unless said otherwise."""
    return claim.get("runs", 1)


def _made(
    claim: Mapping[str, Any],
    verdict: ClaimVerdict,
    reason: str,
    alone: bool = False,
    contrast: ContrastResult | None = None,
    ran: Side | None = None,
    prediction: PredictionInterval | None = None,
    planned: int = 0,
) -> ClaimResult:
    fields = ("name", "statement", "source", "direction", "figure", "note")
    return ClaimResult(
        **{name: claim[name] for name in fields},
        runs=_runs(claim),
        contrast=contrast,
        ran=ran,
        prediction=prediction,
        planned=planned,
        verdict=verdict,
        alone=alone,
        reason=reason,
    )
