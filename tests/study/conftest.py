"""A small study that the tests of this room change in one place or another."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.study import Plan, load_study, plan_study

MINI = """\
study: mini
seeds: [0, 1]
world: {}
models:
  base: {pretrain: {}}
  instruct:
    instruct: {of: base}
protocols:
  think: {prompt: micro-base-think}
  direct: {prompt: micro-instruct-direct}
sft: {}
grpo:
  steps: 300
lora: {}
factors:
  start:
    base: {protocols: [think]}
    instruct: {protocols: [direct]}
  training: [none, sft, grpo]
  tuned: [full, lora]
arms:
  - {start: base}
  - {start: base, training: sft}
  - {start: base, training: grpo, tuned: lora}
  - {start: instruct, training: grpo}
contrasts:
  - name: first
    question: Which is ahead?
    a: base+sft
    b: instruct+grpo
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes the small study, each (old, new) pair of texts replaced, and gives its path."""

    def write(*changes: tuple[str, str]) -> Path:
        text = MINI
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} is not once in the small study"
            text = text.replace(old, new)
        path = tmp_path / "mini.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def plan(write: Callable[..., Path]) -> Callable[..., Plan]:
    """Plans the small study with overrides on top."""
    return lambda *overrides: plan_study(load_study(write(), overrides))
