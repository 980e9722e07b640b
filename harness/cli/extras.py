"""What the light installation lacks: which verbs and stages need the extra ``train``, and how they say so."""

import importlib.util
from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.cli.app import refuse

if TYPE_CHECKING:
    from harness.study import Stage

TRAIN = (
    "accelerate",
    "datasets",
    "huggingface_hub",
    "peft",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
    "trl",
)
"""Packages of the extra ``train`` (each is imported by its own name)."""

_ROOMS = ("harness.train", "harness.models", "harness.evaluate")
"""Where the code of the kinds lies that need them."""


def missing(names: Iterable[str] = TRAIN) -> list[str]:
    """Those that aren't installed; nothing is imported to find out."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def mend(what: str, lacking: Iterable[str]) -> str:
    """One line: what can't be done, what is missing for it, and how to get that."""
    return f"{what} needs {', '.join(lacking)}, not installed here: pip install 'ablate[train]'"


def refuse_without(what: str, names: Iterable[str] = TRAIN) -> None:
    """Leave if packages are missing that something needs."""
    if lacking := missing(names):
        refuse(mend(what, lacking))


def refuse_light(stages: Iterable["Stage"]) -> None:
    """Leave if stages are to be computed whose code isn't installed."""
    from harness.launch.kinds import kinds_in_force

    code = kinds_in_force()
    needing = sorted({each.kind for each in stages if each.settings.get("hub") or code[each.kind].startswith(_ROOMS)})
    if needing:
        refuse_without(f"computing stages of kind {', '.join(needing)}")
