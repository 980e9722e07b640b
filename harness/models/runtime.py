"""Settings of the process that torch runs in."""

import warnings

import torch
from transformers.utils import logging


def prepare_process() -> None:
    """One thread (results depend on the number of threads, and several jobs share a machine), float32 that is float32
    (cuDNN's convolutions, so the vision tower's first layer, round to TF32 unless told not to), no progress bars."""
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False
    # trl still speaks the old name of transformers' setting
    warnings.filterwarnings("ignore", message=".*gradient_checkpointing.* is deprecated", category=FutureWarning)
    logging.disable_progress_bar()
