"""Where a stage's weights lie, and how they are loaded: full weights, or an adapter with its parent."""

import warnings
from pathlib import Path
from typing import Any, get_args

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedModel

from harness.record.atomic import read_json
from harness.record.outputs import MODEL_FILE, checkpoint_folder
from harness.study.settings import Attention
from harness.study.sources import Family

FAMILIES: tuple[str, ...] = get_args(Family)


def checkpoint_path(stage_folder: Path, step: int | None = None) -> Path:
    """The folder with a stage's weights.

    Args:
        stage_folder: of a stage of any kind that makes a model. One of kind ``model`` has step 0 alone.
        step: optimiser step of the checkpoint; the last that there is when left out.

    Raises:
        FileNotFoundError: the stage kept no such checkpoint, or the folder that it points at is gone.
    """
    model = read_json(stage_folder / MODEL_FILE)
    if model is not None:
        path = Path(model["path"])
        if step:
            raise FileNotFoundError(f"{stage_folder} is a model as it was published: it has step 0 alone, not {step}")
        if not path.is_dir():
            raise FileNotFoundError(f"the model of {stage_folder} lay in {path}, which is gone; bring it back")
        return path
    steps = sorted(int(folder.name.removeprefix("step-")) for folder in (stage_folder / "checkpoints").glob("step-*"))
    if not steps:
        raise FileNotFoundError(f"{stage_folder / 'checkpoints'} holds no step-NNNNNN folder")
    if step is not None and step not in steps:
        raise FileNotFoundError(
            f"{stage_folder} kept no checkpoint of step {step}; it has {', '.join(map(str, steps))}"
        )
    return checkpoint_folder(stage_folder, steps[-1] if step is None else step)


def load_model(
    checkpoint: Path,
    *,
    dtype: torch.dtype = torch.float32,
    parent: Path | None = None,
    attention: Attention = "sdpa",
) -> PreTrainedModel:
    """A checkpoint's model, of any of the `Family` kinds; an adapter is merged into its parent.

    Args:
        checkpoint: folder with full weights, or with an adapter.
        dtype: of the weights.
        parent: the adapter's parent checkpoint.
        attention: implementation of attention, in the language model and the vision tower.

    Raises:
        ValueError: an adapter without a parent; a model that takes no images; weights that are missing, of another
            shape, or of no use to the model.
    """
    if not is_adapter(checkpoint):
        return _load_full(checkpoint, dtype, attention)
    if parent is None:
        raise ValueError(f"{checkpoint} holds an adapter: its parent checkpoint is needed")
    from peft import PeftModel  # seconds to import, and most checkpoints are full

    # Merged in float32: merging in a narrower type would round the adapter away.
    model = _load_full(parent, torch.float32, attention)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Found missing adapter keys")  # else they would stay untrained
        try:
            adapted = PeftModel.from_pretrained(model, str(checkpoint))  # pyright: ignore[reportArgumentType]
        except UserWarning as gap:
            raise ValueError(f"the adapter in {checkpoint} doesn't fit its configuration: {gap}"[:500]) from None
    return adapted.merge_and_unload().to(dtype)  # pyright: ignore[reportCallIssue]


def is_adapter(checkpoint: Path) -> bool:
    """Whether a checkpoint holds a LoRA adapter instead of full weights."""
    return (checkpoint / "adapter_config.json").exists()


def check_family(model_type: str | None, where: Path) -> None:
    """Refuse a model that the harness can't load.

    Raises:
        ValueError: its type is none of the `Family` kinds.
    """
    if model_type not in FAMILIES:
        raise ValueError(
            f"{where} holds a model of type {model_type!r}, which takes no images or is not supported; "
            f"supported: {', '.join(FAMILIES)}"
        )


def _load_full(checkpoint: Path, dtype: torch.dtype, attention: str) -> PreTrainedModel:
    check_family(AutoConfig.from_pretrained(checkpoint).model_type, checkpoint)
    loaded: Any = AutoModelForImageTextToText.from_pretrained(
        checkpoint, dtype=dtype, attn_implementation=attention, output_loading_info=True
    )
    model, seen = loaded
    # transformers fills gaps with random weights and only warns
    amiss = {what: sorted(map(str, seen[what])) for what in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    if any(amiss.values()):
        shown = "; ".join(f"{what}: {', '.join(names[:5])}" for what, names in amiss.items() if names)
        raise ValueError(f"the weights in {checkpoint} don't fit its configuration: {shown}")
    return model
