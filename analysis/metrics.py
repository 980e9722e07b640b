"""What contrasts can be about: a number for every question, its unit and its words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One metric of a contrast."""

    table: str
    """Collected table that holds it."""
    column: str
    factor: float
    """From the column's values to the unit."""
    unit: str
    short: str
    """The unit in sentences, in the plural."""
    decimals: int
    """Digits after the point in texts."""
    higher: str
    """Sentence for a difference above zero, with ``{a}``, ``{b}`` and ``{size}``."""
    lower: str
    same: str
    """Sentence for a difference that is rounded to zero."""
    ahead: str
    """What the side with more is."""
    empty: float | None = None
    """Value where the column has none."""


METRICS: dict[str, Metric] = {
    "accuracy": Metric(
        "answers",
        "correct",
        factor=100.0,
        unit="percentage point",
        short="points",
        decimals=1,
        higher="{a} scores {size} percentage points higher than {b}",
        lower="{a} scores {size} percentage points lower than {b}",
        same="{a} and {b} score the same to a tenth of a point",
        ahead="ahead",
    ),
    "well_formed": Metric(
        "traces",
        "well_formed",
        factor=100.0,
        unit="percentage point",
        short="points",
        decimals=1,
        higher="{a} writes well-formed replies {size} percentage points more often than {b}",
        lower="{a} writes well-formed replies {size} percentage points less often than {b}",
        same="{a} and {b} write well-formed replies equally often to a tenth of a point",
        ahead="above",
    ),
    "tokens": Metric(
        "completions",
        "tokens",
        factor=1.0,
        unit="token",
        short="tokens",
        decimals=1,
        higher="{a} writes {size} tokens more per completion than {b}",
        lower="{a} writes {size} tokens fewer per completion than {b}",
        same="{a} and {b} write the same number of tokens per completion to a tenth of a token",
        ahead="above",
    ),
    "reflection": Metric(
        "traces",
        "reflection_markers",
        factor=1.0,
        unit="marker",
        short="markers",
        decimals=2,
        higher="{a} writes {size} reflection markers more per completion than {b}",
        lower="{a} writes {size} reflection markers fewer per completion than {b}",
        same="{a} and {b} write equally many reflection markers per completion to a hundredth",
        ahead="above",
    ),
    "distinct_words": Metric(
        "traces",
        "distinct_words_share",
        factor=100.0,
        unit="percentage point",
        short="points",
        decimals=1,
        higher="{a} repeats itself less than {b}: the share of distinct words in the reasoning is {size} points higher",
        lower="{a} repeats itself more than {b}: the share of distinct words in the reasoning is {size} points lower",
        same="{a} and {b} have the same share of distinct words to a tenth of a point",
        ahead="above",
        empty=1.0,  # no reasoning repeats nothing
    ),
}
