"""The smallest difference that a design could have seen, from the spread that was declared, not the one observed.

From the observed spread it would only say the p-value again (Hoenig & Heisey 2001, The American Statistician 55:19).
"""

from collections.abc import Mapping
from typing import Any

from analysis.combine import Combined
from analysis.statistics import Design, checkpoint_detectable, detectable


def detectable_difference(
    power: Mapping[str, Any], declared: Mapping[str, Any], combined: Combined, family_size: int
) -> float | None:
    """Smallest true difference that the runs which entered would have shown with the declared power.

    Args:
        power: the study's section ``power``.
        declared: the contrast; ``seed_sd`` is the spread over seeds of one run's value, in the metric's unit.
        family_size: tests in its family; the level is Holm's strictest, ``alpha / family_size``.

    Returns:
        In the metric's unit; None where no spread is declared or a side has one seed alone.
    """
    alpha, wanted = declared["alpha"] / family_size, power.get("power", 0.8)
    random = [part for part in combined.parts if part.values.random]
    if not random:
        if declared["metric"] != "accuracy" or not len(combined.position) or len(combined.parts) > 2:
            return None
        return checkpoint_detectable(
            len(combined.position), power.get("discordance", 0.2), alpha, wanted, power.get("design_effect", 1.0)
        )
    if declared["seed_sd"] is None or min(len(part.values.found) for part in random) < 2:
        return None
    design = Design(
        coefficients=tuple(part.coefficient for part in random),
        ns=tuple(len(part.values.found) for part in random),
        paired=combined.paired and len(random) > 1,
        correlation=power.get("seed_correlation", 0.0),
    )
    return detectable(design, declared["seed_sd"], alpha, wanted)
