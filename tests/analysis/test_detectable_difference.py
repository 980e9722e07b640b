"""What a design could have seen: from the declared spread, the runs that entered and the size of the family."""

import math

import pytest
from scipy import optimize, stats
from small_study import SIZE, draw, questions, rows_of, runs_of, small, with_contrasts

from analysis import claims, contrasts, from_frames
from analysis.statistics import checkpoint_detectable

VALUES = draw(3, a=(4, 0.62), b=(4, 0.55), c=(1, 0.6), base=(0, 0.3), tuned=(0, 0.55))
POWER = {"seed_sd": None, "seed_correlation": 0.4, "discordance": 0.3, "design_effect": 1.5, "power": 0.9}


def seen(*declared: dict, power: dict | None = None) -> list[float | None]:
    tables = small(VALUES, study={"power": POWER if power is None else power})
    return [result.detectable for result in contrasts(with_contrasts(tables, *declared), draws=0)]


def one_sample(sd: float, n: int, alpha: float, power: float) -> float:
    """Difference at which the t test of n values with spread sd has the power, by the noncentral t."""
    limit = stats.t.ppf(1 - alpha / 2, n - 1)

    def short(difference: float) -> float:
        # the tail on the other side is below what is looked at here
        return stats.nct.sf(limit, n - 1, difference * math.sqrt(n) / sd) - power

    return float(optimize.brentq(short, sd, 8 * sd))


def test_against_a_constant_and_paired_it_is_the_one_sample_t() -> None:
    constant, paired = seen(
        {"a": "a", "b": "base", "seed_sd": 2.0}, {"a": "a", "b": "b", "pairing": "seed", "seed_sd": 2.0}
    )
    assert constant == pytest.approx(one_sample(2.0, 4, 0.05, 0.9), rel=1e-4)
    # the spread of a difference of correlated runs
    assert paired == pytest.approx(one_sample(2.0 * math.sqrt(2 * (1 - 0.4)), 4, 0.05, 0.9), rel=1e-4)


def test_a_family_of_three_is_planned_at_a_third_of_alpha() -> None:
    declared = [{"a": "a", "b": "base", "seed_sd": 2.0, "family": "f", "name": str(i)} for i in range(3)]
    declared += [{"a": "a", "b": "base", "seed_sd": 2.0, "family": "g", "alpha": 0.01}]
    *found, other = seen(*declared)
    assert found == [pytest.approx(one_sample(2.0, 4, 0.05 / 3, 0.9), rel=1e-4)] * 3
    assert other == pytest.approx(one_sample(2.0, 4, 0.01, 0.9), rel=1e-4)


def test_it_knows_nothing_of_the_observed_spread() -> None:
    one = seen({"a": "a", "b": "b", "seed_sd": 2.0})
    tables = small({arm: dict.fromkeys(of, [1] * SIZE) for arm, of in VALUES.items()}, study={"power": POWER})
    (result,) = contrasts(with_contrasts(tables, {"a": "a", "b": "b", "seed_sd": 2.0}), draws=0)
    assert [result.detectable] == one
    assert one[0] is not None


def test_two_checkpoints_are_planned_from_discordance() -> None:
    (found,) = seen({"a": "tuned", "b": "base"}, power=POWER | {"design_effect": 0.5})
    assert found == checkpoint_detectable(SIZE, 0.3, 0.05, 0.9, 0.5)
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.9)
    assert found == pytest.approx(100 * z * math.sqrt(0.3 * 0.5 / SIZE), rel=0.25)
    # more than all discordant questions can't be shown
    assert seen({"a": "tuned", "b": "base"}, power=POWER | {"design_effect": 6.0}) == [None]


def test_without_a_declared_spread_or_with_one_seed_nothing_is_said() -> None:
    lone, none = seen({"a": "c", "b": "b", "seed_sd": 2.0}, {"a": "a", "b": "b"})
    assert (lone, none) == (None, None)


def test_a_claim_that_stays_open_tells_what_could_have_been_seen() -> None:
    values = {arm: VALUES[arm] for arm in "ab"}
    plain = {"statement": "s", "source": "", "note": "", "figure": None, "ran": None, "untestable": None}
    told = [
        plain | {"name": name, "contrast": name, "direction": "higher"} for name in ("declared", "undeclared", "family")
    ]
    tables = from_frames(rows_of(values), questions(), runs_of(values), {"power": POWER, "claims": told})
    tables = with_contrasts(
        tables,
        {"a": "a", "b": "b", "name": "declared", "seed_sd": 2.0},
        {"a": "a", "b": "b", "name": "undeclared"},
        {"a": "a", "b": "b", "name": "family", "seed_sd": 2.0, "family": "f"},
    )
    results = contrasts(tables, draws=0)
    assert results[0].verdict.name == "inconclusive"
    found = claims(tables, results)
    assert [each.verdict for each in found] == ["inconclusive"] * 3
    assert found[0].reason == (
        f"A true difference of {results[0].detectable:.1f} points would have been found in 90 % of such studies (at the"
        " level 0.05)"
    )
    assert "no spread over seeds is declared" in found[1].reason
    assert f"A true difference of {results[0].detectable:.1f} points would have been found" in results[0].sentence
    assert "seed_sd" in results[1].sentence


def test_a_claim_that_holds_alone_but_not_after_adjustment_says_so() -> None:
    values = draw(11, a=(3, 0.72), b=(3, 0.45))
    plain = {"statement": "s", "source": "", "note": "", "figure": None, "ran": None, "untestable": None}
    told = [plain | {"name": "c", "contrast": "0", "direction": "higher"}]
    tables = from_frames(rows_of(values), questions(), runs_of(values), {"claims": told})
    several = [{"a": "a", "b": "b", "family": "f", "name": str(i)} for i in range(9)]
    for declared, reason in ((several, "it does not hold after adjustment (Holm, 9 tests)"), (several[:1], "")):
        tables = with_contrasts(tables, *declared)
        (found,) = claims(tables, contrasts(tables, draws=0))
        assert (found.verdict, found.reason) == ("supported", reason)
