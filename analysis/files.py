"""Writing a file whole or not at all, with the same bytes for the same content."""

import os
from pathlib import Path

import pandas as pd

DECIMALS = 6
"""Digits after the point of every number written to a file: below them, libraries and processors differ."""


def write_bytes(path: Path, data: bytes) -> Path:
    """Write to a temporary name in the same folder, then rename, so that no reader sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
    return path


def write_text(path: Path, text: str) -> Path:
    """`write_bytes` of UTF-8 with one newline at the end."""
    return write_bytes(path, (text.rstrip("\n") + "\n").encode())


def written(value: float, unit: str = "") -> float:
    """A number as it goes to a file: `DECIMALS` digits after the point, and three digits of a p-value below them."""
    if unit == "probability" and 0.0 < value < 1e-3:
        return float(f"{value:.3g}")
    return round(value, DECIMALS) + 0.0


def rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy with `DECIMALS` digits after the point, p-values (``attrs["units"]``) as `written`."""
    units = frame.attrs.get("units", {})
    frame = frame.copy()
    for column in [name for name in frame if pd.api.types.is_float_dtype(frame[name])]:
        unit = units.get(column, "")
        # Adding 0.0 turns a rounded -0.0 into 0.0.
        frame[column] = [written(value, unit) for value in frame[column].to_numpy(dtype=float)]
    return frame


def write_csv(path: Path, frame: pd.DataFrame) -> Path:
    """CSV with `DECIMALS` digits after the point; what is missing is an empty cell."""
    return write_text(path, rounded(frame).to_csv(index=False, lineterminator="\n"))
