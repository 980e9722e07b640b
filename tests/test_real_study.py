"""A study of real kind end to end through the command line: a model folder in the Hugging Face layout and parquet files
in the data sets' own columns, of which some rows are malformed."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.data.small import write_small_cvbench, write_small_sat
from harness.record.context import StageContext

ROOT = Path(__file__).parents[1]
STUDY = """\
study: real
seeds: [0]
data:
  train: {{files: [{sat}], first_rows: 22, malformed_share: 0.1}}
  test: {{files: [{cvbench}]}}
models: {{start: {{folder: {{path: {model}}}}}}}
protocols:
  think: {{prompt: paper-base-think, max_new_tokens: 8, batch_size: 4, images: {{max_pixels: 6272}}}}
  published: {{prompt: paper-base-plain, max_new_tokens: 8, batch_size: 8, batches: file, padding_side: right,
    literal_image: true}}
  options: {{prompt: paper-base-plain, method: options, batch_size: 4}}
scoring: [authors, strict, lenient]
grpo:
  {{steps: 2, prompts_per_step: 2, completions_per_prompt: 2, max_new_tokens: 8, learning_rate: 1e-2, warmup_steps: 0,
   prompt: paper-base-think, literal_image: true, images: {{max_pixels: 6272}}, top_k: 50, beta: 0.04, loss: grpo,
   rewards: {{accuracy_authors: 1, format: 1, length: {{per_token: 0.01, cap: 6}}, random: {{probability: null}}}}}}
sft: {{steps: 2, batch_size: 2, warmup_steps: 0, learning_rate: 1e-2, loss_on: all, max_length: 1024,
  lessons: [{{prompt: paper-instruct-plain, reply: "{{answer}}"}}]}}
curve: {{questions: 6}}
factors:
  start: {{start: {{protocols: [think, published, options]}}}}
  training: [none, sft, grpo]
  tuned: [full, tower-frozen]
arms:
  - {{training: none}}
  - {{training: sft}}
  - {{training: grpo}}
  - {{training: grpo, tuned: tower-frozen}}
contrasts:
  - {{name: grpo-vs-start, question: "Does GRPO help?", a: start+grpo, b: start}}
  - {{name: ability, question: "Is the right option likelier?", a: {{arm: start+grpo, protocol: options}},
     b: {{arm: start, protocol: options}}}}
  - {{name: longer, question: "Does it write more?", a: start+grpo, b: {{arm: start+grpo, step: 0}}, metric: tokens}}
claims:
  - {{name: H1, statement: GRPO helps., source: "a paper, table 3", figure: 28.09, contrast: grpo-vs-start}}
  - {{name: H4, statement: It helps elsewhere., source: a paper, untestable: "no loader for that benchmark"}}
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model, data and study file."""
    from harness.models import tiny

    folder = tmp_path_factory.mktemp("real")
    tiny.run(StageContext(folder / "made", {"family": "qwen2_vl", "seed": 0}))
    (folder / "made" / "checkpoints" / "step-000000").rename(folder / "model")
    write_small_sat(folder / "sat.parquet", 24, seed=0)
    write_small_cvbench(folder / "cvbench.parquet", 12, seed=0)
    table = pq.read_table(folder / "sat.parquet")
    rows = table.to_pylist()
    rows[3]["image_bytes"] *= 2
    rows[5]["image_bytes"] = [b"no image"]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), folder / "sat.parquet")
    study = STUDY.format(sat=folder / "sat.parquet", cvbench=folder / "cvbench.parquet", model=folder / "model")
    (folder / "real.yaml").write_text(study)
    return folder


def ablate(files: Path, verb: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "harness.cli", verb, *arguments]
    environment = {**os.environ, "XDG_CACHE_HOME": str(files / "cache"), "ABLATE_STORE": str(files / "store")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=3600)


@pytest.fixture(scope="module")
def whole(files: Path) -> Path:
    done = ablate(files, "run", str(files / "real.yaml"), "--results", str(files / "results"), "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    return files


def rows(files: Path, table: str) -> list[dict[str, Any]]:
    return pq.read_table(files / "results" / f"{table}.parquet").to_pylist()


def test_the_study_runs_to_its_tables(whole: Path) -> None:
    runs = {row["run"]: row for row in rows(whole, "runs")}
    assert {row["state"] for row in runs.values()} == {"done"}
    for row in runs.values():
        if row["train_stage"]:
            assert all(check["passed"] for check in json.loads(row["checks"]).values())
            assert row["data_fingerprint"]
            assert row["prompt_hash"]
            assert row["pixel_range"]
    assert runs["start+grpo/seed=0"]["data_fingerprint"] == runs["start+grpo+tower-frozen/seed=0"]["data_fingerprint"]
    answers = Counter((row["protocol"], row["rule"]) for row in rows(whole, "answers") if row["phase"] == "final")
    rules = ("authors", "strict", "lenient")
    assert answers == {
        **{(protocol, rule): 4 * 12 for protocol in ("think", "published") for rule in rules},
        **{("options", rule): 4 * 12 for rule in ("likelihood", "likelihood_per_token")},
    }
    assert {row["suite"] for row in rows(whole, "questions")} == {"cv-bench"}
    assert {row["source"] for row in rows(whole, "questions")} == {"ADE20K", "COCO", "Omni3D"}
    scores = [row for row in rows(whole, "option_scores") if row["run"] == "start" and row["question"] == 0]
    assert all(row["logprob"] < 0 and row["tokens"] > 0 for row in scores)
    parts = {"reward_accuracy_authors", "reward_format", "reward_length", "reward_random"}
    assert parts <= set(pq.read_schema(whole / "results" / "training.parquet").names)


def test_malformed_rows_are_counted_and_listed(whole: Path) -> None:
    (path,) = (whole / "store").glob("sat-*/rows.json")
    report = json.loads(path.read_text())
    assert (report["rows"], report["kept"], report["multi_image"]) == (22, 20, 1)
    assert [row["row"] for row in report["malformed"]] == [5]


def test_the_comparison_names_scores_and_claims(whole: Path) -> None:
    page = (whole / "results" / "comparison.md").read_text()
    for text in ("micro", "benchmark", "ADE20K", "H1", "28.09", "no loader for that benchmark"):
        assert text in page


def test_stored_completions_are_scored_anew(whole: Path) -> None:
    before = (whole / "results" / "answers.parquet").read_bytes()
    results = str(whole / "results")
    study = str(whole / "real.yaml")
    one = ablate(whole, "rescore", study, "--results", results, "--rule", "authors", "--rule", "strict")
    assert one.returncode == 0, one.stderr
    assert {row["rule"] for row in rows(whole, "answers")} == {
        *("authors", "strict", "likelihood", "likelihood_per_token"),
    }
    again = ablate(whole, "rescore", study, "--results", results)
    assert again.returncode == 0, again.stderr
    assert (whole / "results" / "answers.parquet").read_bytes() == before
    wrong = ablate(whole, "rescore", study, "--results", results, "--rule", "lenint")
    assert wrong.returncode == 2
    assert "did you mean 'lenient'?" in wrong.stderr


def test_show_prints_the_manipulation_checks(whole: Path) -> None:
    shown = ablate(whole, "show", "start+grpo+tower-frozen/seed=0", str(whole / "real.yaml")).stdout
    for text in ("trainable", "moved", "vision 0.00e+00", "rewards", "pixels", "passed"):
        assert text in shown


def test_nothing_is_launched_on_files_of_another_schema(files: Path) -> None:
    table = pq.read_table(files / "sat.parquet").drop_columns(["answers"])
    pq.write_table(table, files / "wrong.parquet")
    change = f"data.train.files=[{files / 'wrong.parquet'}]"
    store = files / "elsewhere"
    refused = ablate(files, "run", str(files / "real.yaml"), "--set", change, "--store", str(store))
    assert refused.returncode == 2
    assert "wrong.parquet" in refused.stderr
    assert "answers" in refused.stderr
    assert not list(store.glob("*/attempts"))


def test_a_missing_model_folder_is_shown_with_its_line(files: Path) -> None:
    refused = ablate(files, "plan", str(files / "real.yaml"), "--set", "models.start.folder.path=/nowhere")
    assert refused.returncode == 2
    assert "there is no folder /nowhere" in refused.stderr
