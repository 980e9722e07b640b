"""A claim's verdict is qualified by the tests that it rests on, and by no others."""

from dataclasses import replace

import pytest
from fabricated_study import claim
from small_study import draw, small, with_contrasts

from analysis import claims, contrasts
from analysis.claims import ClaimResult
from analysis.statistics import MeanInterval
from analysis.verdicts import Verdict

VALUES = draw(2, a=(5, 0.6), b=(5, 0.5))
HIGHER_BELOW, EQUIVALENT, HIGHER = Verdict("higher", True), Verdict(None, True), Verdict("higher", False)


def judged(
    direction: str, verdict: Verdict, p: float, equivalence: float | None, half_width: float = 0.5
) -> ClaimResult:
    """The claim's result where the contrast came to this verdict with these adjusted p-values; margin 2, mean 3."""
    tables = with_contrasts(small(VALUES), {"name": "c", "a": "a", "b": "b", "margin": 2.0, "family": "F"})
    (found,) = contrasts(tables, draws=0)
    interval = MeanInterval(3.0, 5, 1.0, half_width / 2.0, 4.0, half_width, 0.001)
    result = replace(
        found,
        verdict=verdict,
        combined=replace(found.combined, interval=interval),
        p_adjusted=p,
        p_equivalence_adjusted=equivalence,
        detected_at=(0.8, 0.01),
    )
    tables.study["claims"] = [claim("H", contrast="c", direction=direction)]
    return claims(tables, [result])[0]


@pytest.mark.parametrize(
    ("direction", "verdict", "p", "equivalence", "label"),
    [
        ("higher", HIGHER, 0.01, None, "supported"),
        ("higher", HIGHER, 0.06, None, "supported, unadjusted only"),
        ("lower", HIGHER, 0.06, None, "contradicted, unadjusted only"),
        ("higher", HIGHER_BELOW, 0.01, 0.01, "supported, below the margin"),
        ("higher", HIGHER_BELOW, 0.01, 0.06, "supported, below the margin, unadjusted only"),
        ("higher", HIGHER_BELOW, 0.06, 0.01, "supported, below the margin, unadjusted only"),
        ("higher", EQUIVALENT, 0.5, 0.01, "equivalent within the margin"),
        ("higher", EQUIVALENT, 0.5, 0.06, "equivalent within the margin, unadjusted only"),
        # equality rests on the equivalence alone
        ("equal", EQUIVALENT, 0.5, 0.06, "supported, unadjusted only"),
        ("equal", HIGHER_BELOW, 0.0001, 0.06, "supported, below the margin, unadjusted only"),
        ("equal", HIGHER_BELOW, 0.06, 1e-9, "supported, below the margin"),
    ],
)
def test_the_label(direction: str, verdict: Verdict, p: float, equivalence: float | None, label: str) -> None:
    found = judged(direction, verdict, p, equivalence)
    assert found.label == label
    assert ("after adjustment" in found.reason) == label.endswith("unadjusted only")


def test_equality_is_contradicted_beyond_the_margin_and_not_beyond_0() -> None:
    # 3.0 with the margin 2: t = 1 / 0.25 = 4, p = 0.016 with 4 degrees of freedom, at Holm's strictest level of 0.01
    near = judged("equal", HIGHER, 0.0005, 1.0, half_width=0.5)
    assert near.contrast.p_beyond == pytest.approx(0.01613, abs=1e-4)
    assert near.label == "contradicted, unadjusted only"
    far = judged("equal", HIGHER, 0.0005, 1.0, half_width=0.2)
    assert far.contrast.p_beyond < 0.01
    assert far.label == "contradicted"
