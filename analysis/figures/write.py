"""All figures of a study: which there are, and their files (PNG, SVG, PDF, CSV)."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.collected import Tables
from analysis.figures import (
    dumbbells,
    dynamics,
    forest,
    formats,
    length_accuracy,
    power,
    rewards,
    rollouts,
    scopes,
    seeds,
)
from analysis.figures.style import styled
from analysis.files import rounded, write_bytes, write_csv
from analysis.scores import ArmTable

DPI = 300
FORMATS = ("png", "svg", "pdf", "csv")
# Dates and program versions would make equal figures differ.
_METADATA = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class Written:
    """A figure's files and what it shows."""

    paths: tuple[Path, ...]
    """PNG, SVG, PDF and the CSV of the data frame behind it."""
    caption: str
    """One sentence."""


@dataclass(frozen=True)
class OwnFigure:
    """A figure of the collected tables."""

    frame: Callable[[Tables, ArmTable], pd.DataFrame]
    draw: Callable[[pd.DataFrame, Sequence[str]], Figure]
    caption: Callable[[pd.DataFrame, Sequence[str]], str]


@dataclass(frozen=True)
class GivenFigure:
    """A figure of a frame that the analysis computed."""

    columns: tuple[str, ...]
    """That the frame must have."""
    value: str
    """The column of the numbers; where all are missing there is nothing to show."""
    draw: Callable[[pd.DataFrame], Figure]
    caption: Callable[[pd.DataFrame], str]


OWN: dict[str, OwnFigure] = {
    "seeds": OwnFigure(seeds.frame, seeds.draw, seeds.caption),
    "dumbbells": OwnFigure(dumbbells.frame, dumbbells.draw, dumbbells.caption),
    "dynamics": OwnFigure(dynamics.frame, dynamics.draw, dynamics.caption),
    "length_accuracy": OwnFigure(length_accuracy.frame, length_accuracy.draw, length_accuracy.caption),
    "rollouts": OwnFigure(rollouts.frame, rollouts.draw, rollouts.caption),
    "rewards": OwnFigure(rewards.frame, rewards.draw, rewards.caption),
}
"""Figures by name, in the order in which a page shows them."""

GIVEN: dict[str, GivenFigure] = {
    "forest": GivenFigure(forest.COLUMNS, "estimate", forest.draw, forest.caption),
    "scopes": GivenFigure(scopes.COLUMNS, "estimate", scopes.draw, scopes.caption),
    "formats": GivenFigure(formats.COLUMNS, "estimate", formats.draw, formats.caption),
    "power": GivenFigure(power.COLUMNS, "power", power.draw, power.caption),
}


def write_figures(
    tables: Tables, table: ArmTable, folder: Path, extra: Mapping[str, pd.DataFrame] | None = None
) -> dict[str, Written]:
    """Draw every figure that has data.

    Args:
        extra: frames of the figures `GIVEN`, by name; one without rows or numbers is no figure.

    Returns:
        By name, in the order of `OWN` and `GIVEN`. A figure without data is left out, and what an earlier call left of
        it is deleted.

    Raises:
        ValueError: ``extra`` has an unknown name, or a frame lacks a column.
    """
    extra = extra or {}
    if unknown := sorted(set(extra) - set(GIVEN)):
        raise ValueError(f"no figure {unknown[0]!r} is made of a frame; there are {', '.join(GIVEN)}")
    written: dict[str, Written] = {}
    for name, own in OWN.items():
        frame = rounded(own.frame(tables, table))
        if not frame.empty:
            caption = own.caption(frame, tables.arms)
            written[name] = Written(save(own.draw(frame, tables.arms), frame, folder / name), caption)
    for name, given in GIVEN.items():
        if name not in extra or extra[name].empty:
            continue
        # A picture shows what its CSV says: digits below would let the order of a sum's terms move it.
        frame = rounded(extra[name])
        if missing := [column for column in given.columns if column not in frame]:
            raise ValueError(f"the frame of figure {name!r} lacks the column {missing[0]!r}")
        if frame[given.value].isna().all():
            continue
        written[name] = Written(save(given.draw(frame), frame, folder / name), given.caption(frame))
    for name in {*OWN, *GIVEN} - set(written):
        for suffix in FORMATS:
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    return written


@styled
def save(figure: Figure, frame: pd.DataFrame, stem: Path) -> tuple[Path, ...]:
    """Write ``<stem>.png``, ``.svg``, ``.pdf`` and the frame as ``.csv``; the same bytes for the same figure."""
    paths = []
    for suffix, metadata in _METADATA.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, dpi=DPI, metadata=metadata)
        paths.append(write_bytes(stem.with_name(f"{stem.name}.{suffix}"), buffer.getvalue()))
    return (*paths, write_csv(stem.with_name(f"{stem.name}.csv"), frame))
