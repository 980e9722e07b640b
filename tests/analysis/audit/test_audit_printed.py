"""What a printed percentage can stand for, against counting all counts."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.audit.printed import bounds, can_tell, counts, span, unit, ways


def printed(count: int, n: int, decimals: int, rounding: str) -> str:
    """A count's percentage as a paper prints it; exact, so that halves are halves."""
    scaled = Fraction(100 * count * 10**decimals, n)
    whole = scaled.numerator // scaled.denominator
    rest = scaled - whole
    if rounding != ROUND_DOWN and (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and rounding == ROUND_HALF_UP)):
        whole += 1
    if rounding == ROUND_HALF_EVEN and rest == Fraction(1, 2) and whole % 2:
        whole += 1
    return f"{Decimal(whole).scaleb(-decimals):.{decimals}f}"


@pytest.mark.parametrize(
    ("text", "n", "expected"),
    [
        ("54.16", 600, (325, 325, ("cut",))),  # 325 / 600 = 54.1667
        ("65.67", 600, (394, 394, ("rounded",))),  # 394 / 600 = 65.6667
        ("45.83", 600, (275, 275, ("rounded", "cut"))),
        ("0.16", 600, (1, 1, ("cut",))),
        ("0.0", 10, (0, 0, ("rounded", "cut"))),
        ("100.00", 7, (7, 7, ("rounded", "cut"))),
        ("12.5", 16, (2, 2, ("rounded", "cut"))),
        ("50", 1000, (495, 509, ("rounded", "cut"))),  # no decimals: 49.5 to just under 51
    ],
)
def test_counts_of_known_cases(text: str, n: int, expected: tuple) -> None:
    found = counts(text, n)
    assert found is not None
    assert (found.low, found.high, ways(text, n)) == expected


def test_a_percentage_that_no_count_gives() -> None:
    # 13 / 30 = 43.33, 14 / 30 = 46.67
    assert counts("45.10", 30) is None
    assert ways("45.10", 30) == ()
    assert bounds("45.10", 30) == (Fraction("45.095") * 30 / 100, Fraction("45.11") * 30 / 100)


@given(
    n=st.integers(1, 400),
    decimals=st.integers(0, 3),
    data=st.data(),
    rounding=st.sampled_from([ROUND_DOWN, ROUND_HALF_UP, ROUND_HALF_EVEN]),
)
def test_what_was_printed_is_found_again(n: int, decimals: int, data: st.DataObject, rounding: str) -> None:
    text = printed(data.draw(st.integers(0, n)), n, decimals, rounding)
    found = counts(text, n)
    assert found is not None
    # the definition: every count that some way of printing gives this text
    every = [
        count
        for count in range(n + 1)
        if text in {printed(count, n, decimals, way) for way in (ROUND_DOWN, ROUND_HALF_UP, ROUND_HALF_EVEN)}
    ]
    # a half may be rounded down to even or up, so the ends may hold one that only the other rounding gives
    assert set(every) <= set(range(found.low, found.high + 1))
    low, high = span(text)
    assert all(low <= Fraction(100 * count, n) < high for count in range(found.low, found.high + 1))
    assert ("cut" if rounding == ROUND_DOWN else "rounded") in ways(text, n)


@given(n=st.integers(1, 300), hundredths=st.integers(0, 10_000))
def test_none_is_found_just_where_there_is_none(n: int, hundredths: int) -> None:
    text = f"{hundredths // 100}.{hundredths % 100:02}"
    low, high = span(text)
    there = any(low <= Fraction(100 * count, n) < high for count in range(n + 1))
    assert (counts(text, n) is not None) == there


def test_granularity_is_blind_where_every_percentage_has_a_count() -> None:
    assert can_tell("61.60", 2638)
    assert not can_tell("61.6", 2638)
    assert all(counts(f"{tenths / 10:.1f}", 700) for tenths in range(1001))
    assert can_tell("61.6", 600)
    assert unit("62") == 1
