"""A stage: one piece of work with an identity of its own."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

HASH_VERSION = 1

REVISIONS: dict[str, int] = {
    "world": 1,
    "sat": 1,
    "cvbench": 1,
    "pretrain": 1,
    "model": 1,
    "tiny": 1,
    "instruct": 1,
    "sft": 1,
    "grpo": 1,
    "evaluate": 1,
}
"""Revision of each kind of stage: raised by hand when its code changes what comes out."""

TRAINING_KINDS = ("instruct", "sft", "grpo")
MODEL_KINDS = (*TRAINING_KINDS, "evaluate")
"""Kinds of stages that run a model, on a GPU where there is one."""


@dataclass(frozen=True)
class Stage:
    """One piece of work. Equal kinds, settings and inputs are one stage, computed once."""

    kind: str
    """A key of `REVISIONS`."""
    settings: dict[str, Any]
    """Fully resolved settings that can change the outcome (JSON data)."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Ids of the stages that this one reads, by role (``model``, ``data``)."""
    cosmetic: dict[str, Any] = field(default_factory=dict)
    """Settings that cannot change the outcome: ``checkpoints`` (to keep), ``resume_every``, ``path``, ``files``."""

    @cached_property
    def id(self) -> str:
        """``<kind>-<12 hex digits>``: SHA-256 of kind, revision, settings, inputs and hash version. Computed once."""
        identity = {
            "hash_version": HASH_VERSION,
            "kind": self.kind,
            "revision": REVISIONS[self.kind],
            "settings": self.settings,
            "inputs": self.inputs,
        }
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return f"{self.kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
