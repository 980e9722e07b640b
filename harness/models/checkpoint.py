"""Checkpoints: a stage's ``checkpoints/step-NNNNNN`` folders, full weights or an adapter with its parent."""

from pathlib import Path

import torch
from transformers import Qwen2VLForConditionalGeneration


def last_checkpoint(stage_folder: Path) -> Path:
    """The checkpoint with the highest step.

    Raises:
        FileNotFoundError: the stage kept none.
    """
    folders = sorted((stage_folder / "checkpoints").glob("step-*"))
    if not folders:
        raise FileNotFoundError(f"{stage_folder / 'checkpoints'} holds no step-NNNNNN folder")
    return folders[-1]


def load_model(
    checkpoint: Path, dtype: torch.dtype = torch.float32, parent: Path | None = None
) -> Qwen2VLForConditionalGeneration:
    """A checkpoint's model; an adapter is merged into its parent.

    Args:
        checkpoint: folder with full weights, or with an adapter.
        dtype: of the weights.
        parent: the adapter's parent checkpoint.

    Raises:
        ValueError: an adapter without a parent.
    """
    if not is_adapter(checkpoint):
        return Qwen2VLForConditionalGeneration.from_pretrained(checkpoint, dtype=dtype)
    if parent is None:
        raise ValueError(f"{checkpoint} holds an adapter: its parent checkpoint is needed")
    from peft import PeftModel  # seconds to import, and most checkpoints are full

    # Merged in float32: merging in a narrower type would round the adapter away.
    model = Qwen2VLForConditionalGeneration.from_pretrained(parent, dtype=torch.float32)
    merged = PeftModel.from_pretrained(model, str(checkpoint)).merge_and_unload()  # pyright: ignore[reportCallIssue]
    return merged.to(dtype)


def is_adapter(checkpoint: Path) -> bool:
    """Whether a checkpoint holds a LoRA adapter instead of full weights."""
    return (checkpoint / "adapter_config.json").exists()
