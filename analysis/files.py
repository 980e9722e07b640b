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


def write_csv(path: Path, frame: pd.DataFrame) -> Path:
    """CSV with `DECIMALS` digits after the point; what is missing is an empty cell."""
    rounded = frame.copy()
    for column in [name for name in rounded if pd.api.types.is_float_dtype(rounded[name])]:
        # Adding 0.0 turns a rounded -0.0 into 0.0.
        rounded[column] = rounded[column].round(DECIMALS) + 0.0
    return write_text(path, rounded.to_csv(index=False, lineterminator="\n"))
