"""A fabricated collected study: what the harness would write, from invented but lifelike learning."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TASKS = ("Count", "Relation", "Depth", "Distance")
CHOICES = {
    "Count": ["3", "0", "1", "2"],
    "Relation": ["left", "right"],
    "Depth": ["red ball", "blue box"],
    "Distance": ["red ball", "blue box"],
}
STEPS = (0, 50, 100, 150, 200, 250, 300)
# Final accuracy by seed, and completion length over the steps.
ARMS: dict[str, dict[str, Any]] = {
    "base": {"protocol": "base-think", "levels": ("base", "none"), "final": {None: 3.0}, "tokens": 31.0},
    "base+sft": {
        "protocol": "instruct-direct",
        "levels": ("base", "sft"),
        "final": {0: 92.0, 1: 91.0, 2: 93.0},
        "curve": (2, 38, 60, 76, 86, 90, 92),
        "lengths": (24, 4, 3, 3, 3, 3, 3),
    },
    "base+grpo": {
        "protocol": "base-think",
        "levels": ("base", "grpo"),
        "final": {0: 93.0, 1: 80.0, 2: 89.0},
        "curve": (3, 30, 52, 68, 80, 85, 88),
        "lengths": (31, 22, 15, 12, 14, 16, 18),
    },
    "instruct": {"protocol": "instruct-think", "levels": ("instruct", "none"), "final": {None: 80.0}, "tokens": 12.0},
    "instruct+grpo": {
        "protocol": "instruct-think",
        "levels": ("instruct", "grpo"),
        "final": {0: 88.0, 1: 90.0, 2: 87.0},
        "curve": (80, 82, 84, 86, 87, 88, 88),
        "lengths": (12, 11, 11, 12, 12, 13, 13),
    },
}
CONTRASTS: list[dict[str, Any]] = [
    {"name": "grpo-vs-base", "question": "Does GRPO help?", "a": "base+grpo", "b": "base"},
    {"name": "grpo-vs-sft", "question": "Is GRPO ahead?", "a": "base+grpo", "b": "base+sft"}
    | {"pairing": "seed", "margin": 2.0},
    {"name": "grpo-unpaired", "question": "Unpaired?", "a": "base+grpo", "b": "base+sft"},
    {"name": "instruct-vs-base", "question": "Two checkpoints?", "a": "instruct", "b": "base"},
    {"name": "start", "question": "Which start?", "a": "instruct+grpo", "b": "base+grpo", "pairing": "seed"},
]  # fmt: skip

POWER: dict[str, Any] = {"seed_sd": None, "seed_correlation": 0.0, "discordance": 0.2, "design_effect": 1.0}
POWER |= {"power": 0.8, "difference": 2.0}

RULES_OF = {"options": ("likelihood_per_token", "likelihood")}
"""Rules of the protocols that generate nothing."""

_RUN = {"study": pa.string(), "run": pa.string(), "arm": pa.string(), "seed": pa.int32()}
COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "runs": _RUN
    | {"factor_start": pa.string(), "factor_training": pa.string(), "state": pa.string(), "reason": pa.string()}
    | {"start_stage": pa.string(), "train_stage": pa.string(), "protocol": pa.string(), "final_step": pa.int32()}
    | {"checks": pa.string(), "data_fingerprint": pa.string(), "prompt_hash": pa.string(), "pixel_range": pa.string()},
    "questions": {"study": pa.string(), "suite": pa.string(), "question": pa.int32(), "task": pa.string()}
    | {"type": pa.string(), "source": pa.string(), "image": pa.string(), "text": pa.string()}
    | {"choices": pa.list_(pa.string()), "answer": pa.string(), "answer_letter": pa.string()},
    "answers": _RUN
    | {"step": pa.int32(), "phase": pa.string(), "suite": pa.string(), "question": pa.int32(), "task": pa.string()}
    | {"source": pa.string(), "image": pa.string(), "protocol": pa.string(), "rule": pa.string()}
    | {"extracted": pa.string(), "status": pa.string(), "correct": pa.bool_()},
    "completions": _RUN
    | {"phase": pa.string(), "step": pa.int32(), "suite": pa.string(), "protocol": pa.string()}
    | {"question": pa.int32(), "sample": pa.int32(), "text": pa.string(), "tokens": pa.int32(), "finish": pa.string()}
    | {"reward": pa.float64(), "reward_accuracy": pa.float64(), "reward_format": pa.float64()},
    "option_scores": _RUN
    | {"phase": pa.string(), "step": pa.int32(), "suite": pa.string(), "protocol": pa.string()}
    | {"question": pa.int32(), "option": pa.int32(), "logprob": pa.float64(), "tokens": pa.int32()},
    "traces": _RUN
    | {"phase": pa.string(), "step": pa.int32(), "suite": pa.string(), "protocol": pa.string()}
    | {"question": pa.int32(), "sample": pa.int32(), "well_formed": pa.bool_(), "thinking_words": pa.int32()}
    | {"reflection_markers": pa.int32(), "distinct_words_share": pa.float64()},
    "training": _RUN
    | {"stage": pa.string(), "step": pa.int32(), "loss": pa.float64(), "reward": pa.float64()}
    | {"reward_std": pa.float64(), "reward_accuracy": pa.float64(), "reward_format": pa.float64()},
    "stages": {"study": pa.string(), "stage": pa.string(), "kind": pa.string(), "state": pa.string()},
    "attempts": {"study": pa.string(), "stage": pa.string(), "attempt": pa.int32()} | {"start": pa.string()},
}


def write(folder: Path, table: str, rows: Iterable[dict[str, Any]], version: int = 4) -> None:
    """Write one table with the metadata that the collector writes."""
    schema = pa.schema(COLUMNS[table].items(), metadata={"table": table, "schema_version": str(version)})
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), folder / f"{table}.parquet")


def fabricate(
    folder: Path,
    seeds: tuple[int, ...] = (0, 1, 2),
    lost: dict[str, str] | None = None,
    contrasts: list[dict[str, Any]] | None = None,
    questions: int = 120,
    cvbench: bool = False,
    claims: list[dict[str, Any]] | None = None,
) -> None:
    """Write a whole collected folder.

    Args:
        lost: runs that failed before their evaluation, with the reason.
        cvbench: the questions come from CV-Bench's sources.
    """
    lost = {} if lost is None else lost
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
    rng = np.random.default_rng(7)
    rows["questions"] = [_question(i, rng, cvbench) for i in range(questions)]
    for arm, spec in ARMS.items():
        wanted = [None] if None in spec["final"] else list(seeds)
        for seed in wanted:
            run = arm if seed is None else f"{arm}/seed={seed}"
            head = {"study": "fake", "run": run, "arm": arm, "seed": seed}
            rows["runs"].append(
                head
                | dict(zip(("factor_start", "factor_training"), spec["levels"], strict=True))
                | {"state": "failed" if run in lost else "done", "reason": lost.get(run, ""), "start_stage": "p-1"}
                | {"protocol": spec["protocol"], "final_step": 300 if "curve" in spec else 0}
            )
            if run not in lost:
                _run(rows, head, spec, np.random.default_rng(_number(run)))
    rows["stages"] = [{"study": "fake", "stage": "p-1", "kind": "pretrain", "state": "done"}]
    for name, content in rows.items():
        write(folder, name, content)
    study = {
        "schema_version": 4,
        "study": "fake",
        "title": "A fabricated study",
        "declared": {},
        "arms": [
            {
                "name": arm,
                "levels": dict(zip(("start", "training"), spec["levels"], strict=True)),
                "protocol": spec["protocol"],
            }
            | {
                "curve_questions": questions // 2 if "curve" in spec else 0,
                "checkpoints": list(STEPS) if "curve" in spec else [],
            }
            for arm, spec in ARMS.items()
        ],
        "factors": {"start": ["base", "instruct"], "training": ["none", "sft", "grpo"]},
        "protocols": {
            **{name: {"method": "generate"} for name in ("base-think", "instruct-direct", "instruct-think")},
            "options": {"method": "options"},
        },
        "rules": ["lenient", "strict"],
        "seeds": list(seeds),
        "contrasts": [_resolved(each) for each in (CONTRASTS if contrasts is None else contrasts)],
        "claims": [] if claims is None else claims,
        "suite": "cv-bench" if cvbench else "micro-cvbench",
        "completeness": [],
        "power": POWER,
        "questions_stage": "world-1",
    }
    reason = "there is no registration file"
    study["registration"] = {
        "file": None,
        "contrasts": {
            each["name"]: {"commit": None, "committed": None, "reason": reason} for each in study["contrasts"]
        },
    }
    (folder / "study.json").write_text(json.dumps(study))


def _number(text: str) -> int:
    # Python's own hash differs between processes.
    return sum((i + 1) * byte for i, byte in enumerate(text.encode()))


def _resolved(contrast: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {"metric": "accuracy", "pairing": "none", "margin": None, "minus": None, "family": None}
    plain |= {"alpha": 0.05, "checkpoint": "last", "last_k": 3, "exclusions": ["failed_checks"], "seed_sd": None}
    plain |= {"hash": f"{_number(contrast['name']):016x}", "reads": []}
    resolved = plain | contrast | _sides(contrast)
    if resolved["minus"] is not None:
        resolved["minus"] = _sides(resolved["minus"])
    return resolved


def _sides(contrast: dict[str, Any]) -> dict[str, Any]:
    sides = {}
    for key in ("a", "b"):
        side = contrast[key] if isinstance(contrast[key], dict) else {"arm": contrast[key]}
        sides[key] = {"protocol": ARMS.get(side["arm"], {}).get("protocol"), "rule": "lenient", "step": None} | side
    return sides


def claim(name: str, **changes: Any) -> dict[str, Any]:
    """A claim as ``study.json`` has it."""
    plain: dict[str, Any] = {"name": name, "statement": f"Statement {name}.", "source": "a paper, table 1", "note": ""}
    plain |= {"figure": None, "runs": 1, "contrast": None, "ran": None, "direction": "higher", "untestable": None}
    return plain | changes


def _question(i: int, rng: np.random.Generator, cvbench: bool) -> dict[str, Any]:
    task = TASKS[i % 4]
    source = ("COCO", "ADE20K", "COCO", "COCO")[i // 4 % 4] if task in ("Count", "Relation") else "Omni3D"
    choices = CHOICES[task]
    place = int(rng.integers(len(choices)))
    return {
        "study": "fake", "suite": "micro-cvbench", "question": i, "task": task, "type": "2D",
        "source": source if cvbench else "micro",
        "image": f"{i // 2}.png", "text": f"question {i}", "choices": choices, "answer": choices[place],
        "answer_letter": f"({'ABCD'[place]})",
    }  # fmt: skip


def _run(rows: dict[str, list], head: dict[str, Any], spec: dict[str, Any], rng: np.random.Generator) -> None:
    final = spec["final"].get(head["seed"], 85.0)
    last = STEPS[-1] if "curve" in spec else 0
    others = {"base": ("instruct-direct", "instruct-think"), "instruct": ("options",)}.get(head["arm"], ())
    lengths = spec.get("lengths", (spec.get("tokens"),))
    _evaluation(rows, head, "final", last, spec["protocol"], final, lengths[-1], rng)
    for protocol in others:
        _evaluation(rows, head, "final", last, protocol, 70.0 if protocol == "options" else 2.0, 27.0, rng)
    if "curve" not in spec:
        return
    for step, accuracy, length in zip(STEPS, spec["curve"], spec["lengths"], strict=True):
        shift = (final - spec["curve"][-1]) * step / STEPS[-1]
        _evaluation(rows, head, "curve", step, spec["protocol"], accuracy + shift, length, rng)
    for step in range(1, STEPS[-1] + 1):
        grpo = spec["levels"][1] == "grpo"
        accuracy = min(1.0, 0.1 + 0.8 * step / 300 + rng.normal(0, 0.05)) if grpo else None
        well_formed = min(1.0, 0.2 + step / 60) if grpo else None
        total = accuracy + well_formed if accuracy is not None and well_formed is not None else None
        rows["training"].append(
            head | {"stage": f"t-{head['run']}", "step": step, "loss": 1.0 / step, "reward": total}
            | {"reward_std": 0.1, "reward_accuracy": accuracy, "reward_format": well_formed}
        )  # fmt: skip


def _evaluation(
    rows: dict[str, list],
    head: dict[str, Any],
    phase: str,
    step: int,
    protocol: str,
    accuracy: float,
    length: float,
    rng: np.random.Generator,
) -> None:
    traces = np.random.default_rng(_number(f"{head['run']} {phase} {step} {protocol}"))
    chosen = rows["questions"] if phase == "final" else rows["questions"][: len(rows["questions"]) // 2]
    for question in chosen:
        same = {key: question[key] for key in ("suite", "question", "task", "source", "image")}
        easier = 4.0 if question["task"] == "Relation" else -4.0 if question["task"] == "Depth" else 0.0
        correct = bool(rng.random() * 100 < accuracy + easier)
        tokens = max(1, int(rng.normal(length, 1.5)))
        place = {"phase": phase, "step": step, "protocol": protocol}
        for rule in RULES_OF.get(protocol, ("lenient", "strict")):
            right = correct and (rule == "lenient" or rng.random() < 0.95)
            status = "ok" if right or accuracy > 20 else "no_option"
            rows["answers"].append(
                head | same | place | {"rule": rule, "correct": right, "status": status, "extracted": None}
            )
        if protocol == "options":
            continue
        place |= {"suite": question["suite"], "question": question["question"], "sample": 0}
        rows["completions"].append(head | place | {"text": "x", "tokens": tokens, "finish": "stop"})
        counted = {
            "well_formed": bool(traces.random() * 100 < accuracy),
            "reflection_markers": int(traces.poisson(0.3)),
            # none where nothing was thought; else by the length, which differs from seed to seed
            "distinct_words_share": None if question["question"] % 7 == 0 else 1.0 / (1.0 + 0.01 * tokens),
        }
        rows["traces"].append(head | place | counted | {"thinking_words": 3})
