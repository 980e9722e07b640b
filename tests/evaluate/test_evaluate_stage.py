"""The stage as a whole: its files, its checkpoints, and going on after it was cut off."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from harness.data.files import read_cvbench
from harness.data.order import spread
from harness.evaluate import stage as evaluate
from harness.evaluate.generate import generate
from harness.evaluate.options import score_options
from harness.models.checkpoint import checkpoint_path, load_model
from harness.models.processor import load_processor
from harness.record.context import StageContext, StopRequested
from harness.study.evaluation import ProtocolSettings
from harness.study.sources import PretrainSettings
from harness.study.training import LoraSettings, SFTSettings
from harness.train import sft

BASE_STEP = PretrainSettings().steps
PROTOCOL = ProtocolSettings(prompt="micro-base-think", batch_size=4)
OPTIONS = ProtocolSettings(prompt="micro-instruct-direct", method="options", batch_size=4)


def settings(protocol: ProtocolSettings, steps: list[int], questions: int | None) -> dict[str, Any]:
    return protocol.identity() | {"questions": questions, "steps": steps}


@pytest.mark.parametrize(("protocol", "file"), [(PROTOCOL, "completions.parquet"), (OPTIONS, "options.parquet")])
@pytest.mark.parametrize("questions", [10, None])
def test_the_stage_writes_its_rows_in_the_order_of_the_questions(
    protocol: ProtocolSettings, file: str, questions: int | None, micro: Any, world: Path, run_stage: Callable
) -> None:
    folder = run_stage(evaluate.run, settings(protocol, [BASE_STEP], questions), [], model=micro.folder, data=world)
    table = pq.read_table(folder / file)
    assert table.schema == evaluate.METHODS[protocol.method].schema
    ask = generate if protocol.method == "generate" else score_options
    on_stage_device = "cuda" if torch.cuda.is_available() else "cpu"  # where float32 is rounded in the same order
    expected = ask(
        load_model(checkpoint_path(micro.folder)).to(on_stage_device).eval(),
        micro.processor,
        [micro.questions[place] for place in spread(len(micro.questions), questions)],
        protocol,
    )
    for row, other in zip(table.to_pylist(), expected, strict=True):
        near = {"logprob": pytest.approx(other["logprob"], abs=1e-5)} if "logprob" in other else {}
        assert row == {"step": BASE_STEP, **other, **near}
    assert {path.name for path in folder.iterdir()} == {file, "partial"}


@pytest.mark.parametrize("tuning", [{"kind": "full"}, {"kind": "lora", **LoraSettings(rank=4).identity()}])
def test_every_asked_checkpoint_is_evaluated_an_adapter_through_its_parent(
    tuning: dict[str, Any], base: Path, world: Path, run_stage: Callable[..., Path]
) -> None:
    recipe = SFTSettings(steps=4, batch_size=8, warmup_steps=0, learning_rate=5e-3).identity() | {"seed": 0}
    trained = run_stage(sft.run, recipe | {"tuning": tuning}, [2, 4], model=base, data=world)
    parent = {"parent": base} if tuning["kind"] == "lora" else {}
    direct = ProtocolSettings(prompt="micro-instruct-direct", batch_size=5)
    folder = run_stage(evaluate.run, settings(direct, [4, 2], 12), [], model=trained, data=world, **parent)
    rows = pq.read_table(folder / "completions.parquet").to_pylist()
    assert [(row["step"], row["question"]) for row in rows] == [(step, i) for step in (4, 2) for i in range(0, 24, 2)]
    questions = read_cvbench(world / "test.parquet", 12)
    processor = load_processor(checkpoint_path(base))
    texts = {}
    for step in (2, 4):
        model = load_model(checkpoint_path(trained, step), parent=checkpoint_path(base) if parent else None)
        texts[step] = [row["text"] for row in rows if row["step"] == step]
        assert texts[step] == [row["text"] for row in generate(model, processor, questions, direct)]
    before = generate(load_model(checkpoint_path(base)), processor, questions, direct)
    assert texts[4] != [row["text"] for row in before]
    assert texts[4] != texts[2]


class Counted:
    """Counts the batches that are asked, and may stop the stage during one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str):
        self.asked: list[tuple[int, ...]] = []
        self.stop_during: int | None = None
        self.context: StageContext | None = None
        self.models = 0
        real, load = evaluate.METHODS[method], evaluate.load_model

        def ask(model: Any, processor: Any, questions: Any, protocol: Any) -> list[dict[str, Any]]:
            if self.context is not None and len(self.asked) == self.stop_during:
                self.context.stop_requested = True
            self.asked.append(tuple(question.index for question in questions))
            return real.ask(model, processor, questions, protocol)

        def counted_load(*arguments: Any, **more: Any) -> Any:
            self.models += 1
            return load(*arguments, **more)

        monkeypatch.setitem(evaluate.METHODS, method, evaluate.Method(ask, real.file, real.schema))
        monkeypatch.setattr(evaluate, "load_model", counted_load)

    def run(self, folder: Path, asked: dict[str, Any], inputs: dict[str, Path], stop_during: int | None = None) -> None:
        self.asked, self.stop_during, self.models = [], stop_during, 0
        self.context = StageContext(folder, asked, inputs=inputs)
        evaluate.run(self.context)


@pytest.mark.parametrize("protocol", [PROTOCOL, OPTIONS], ids=lambda each: each.method)
def test_a_stage_interrupted_after_any_batch_goes_on_to_the_same_bytes(
    protocol: ProtocolSettings, micro: Any, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch, protocol.method)
    asked = settings(protocol.model_copy(update={"max_new_tokens": 6}), [BASE_STEP], 10)
    inputs = {"model": micro.folder, "data": world}
    counted.run(tmp_path / "whole", asked, inputs)
    file = evaluate.METHODS[protocol.method].file
    whole, batches = (tmp_path / "whole" / file).read_bytes(), counted.asked
    assert [len(batch) for batch in batches] == [4, 4, 2]
    for cut in range(3):
        folder = tmp_path / f"cut-{cut}"
        with pytest.raises(StopRequested):
            counted.run(folder, asked, inputs, stop_during=cut)
        assert counted.asked == batches[: cut + 1]
        assert not (folder / file).exists()
        counted.run(folder, asked, inputs)
        assert counted.asked == batches[cut + 1 :]
        assert counted.models == (0 if cut == 2 else 1)
        assert (folder / file).read_bytes() == whole


def test_a_kept_batch_of_other_questions_is_asked_anew(
    micro: Any, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch, "generate")
    asked = settings(PROTOCOL.model_copy(update={"max_new_tokens": 6}), [BASE_STEP], 10)
    inputs = {"model": micro.folder, "data": world}
    counted.run(tmp_path, asked, inputs)
    whole = (tmp_path / "completions.parquet").read_bytes()
    first, second, _ = sorted((tmp_path / "partial").iterdir())
    first.write_bytes(second.read_bytes())
    counted.run(tmp_path, asked, inputs)
    assert len(counted.asked) == 1
    assert (tmp_path / "completions.parquet").read_bytes() == whole


def test_progress_counts_the_questions_of_all_checkpoints(micro: Any, world: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    asked = settings(PROTOCOL.model_copy(update={"max_new_tokens": 2}), [BASE_STEP], 10)
    context = StageContext(tmp_path, asked, inputs={"model": micro.folder, "data": world}, report_every=0.0)
    context.report = lambda step, total, numbers: seen.append((step, total))
    evaluate.run(context)
    assert seen == [(4, 10), (8, 10), (10, 10)]
