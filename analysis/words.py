"""Numbers as text, the same in every table and sentence."""

from analysis.scores import Cell

NONE = "–"
"""Stands where there is no number."""


def points(value: float, decimals: int = 1) -> str:
    """``+3.2``; a rounded zero has no sign."""
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0.0 else text


def number(value: float | None, decimals: int = 1) -> str:
    """``93.1``; a dash for nothing."""
    return NONE if value is None else f"{value:.{decimals}f}"


def mean_text(cell: Cell) -> str:
    """``93.1 ± 4.2``, or the mean alone where there is no interval."""
    if cell.interval is None:
        return NONE
    if not cell.interval.half_width:
        return number(cell.interval.mean)
    return f"{cell.interval.mean:.1f} ± {cell.interval.half_width:.1f}"


def p_words(p: float) -> str:
    """``p = 0.031``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def percent(share: float) -> str:
    """``95 %``, ``98.75 %``."""
    return f"{100 * share:.6g} %"


def things(count: int, noun: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
