"""The code of each kind of stage, ``module:function``, called as ``function(context)`` inside the job."""

import importlib
import json
import os
from collections.abc import Callable, Mapping

from harness.record.context import StageContext

KINDS: dict[str, str] = {
    "world": "harness.data.world_stage:run",
    "sat": "harness.data.import_stage:run_sat",
    "cvbench": "harness.data.import_stage:run_cvbench",
    "pretrain": "harness.train.pretrain:run",
    "model": "harness.models.source:run",
    "tiny": "harness.models.tiny:run",
    "instruct": "harness.train.sft:run",
    "sft": "harness.train.sft:run",
    "grpo": "harness.train.grpo:run",
    "evaluate": "harness.evaluate.stage:run",
}

KINDS_VARIABLE = "ABLATE_KINDS"
"""Environment variable with other names as a JSON mapping, for tests and for trying out a kind of stage."""


def kinds_in_force() -> dict[str, str]:
    """`KINDS`, with those of ``$ABLATE_KINDS`` in their place."""
    return KINDS | json.loads(os.environ.get(KINDS_VARIABLE, "{}"))


def stage_function(kind: str, kinds: Mapping[str, str]) -> Callable[[StageContext], None]:
    """Import the function of a kind.

    Raises:
        KeyError: unknown kind; the message lists the known ones.
        ImportError, AttributeError, ...: whatever its module's import raises.
    """
    if kind not in kinds:
        raise KeyError(f"no code for stages of kind {kind!r}; there is some for {', '.join(sorted(kinds))}")
    module, _, name = kinds[kind].partition(":")
    return getattr(importlib.import_module(module), name)
