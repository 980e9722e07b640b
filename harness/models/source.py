"""The ``model`` stage: finds a published model, in the cache or in a folder, and makes sure that it can be loaded."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.models.checkpoint import check_family
from harness.models.fetch import MODEL_FILES
from harness.models.processor import load_processor
from harness.record.atomic import read_json, write_json
from harness.record.context import StageContext
from harness.record.outputs import MODEL_FILE
from harness.study.content import folder_digest
from harness.study.sources import HubSettings

_INDEX = "model.safetensors.index.json"
_PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
_IMAGE_TOKENS = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")


def run(context: StageContext) -> None:
    """Write `MODEL_FILE`: where the model lies and what it is; see `StageContext`.

    Raises:
        FileNotFoundError: the model is neither in its folder nor in the hub's cache, or a file of it is missing.
        ValueError: the revision is no commit, the folder's content has changed, or the model is of no use here.
    """
    settings = context.settings
    if settings.get("hub") is not None:
        hub = HubSettings(**settings["hub"])
        path, origin = snapshot(hub), hub.model_dump()
    else:
        path, origin = Path(context.cosmetic["path"]), {"content": settings["content"]}
        if not path.is_dir():
            raise FileNotFoundError(f"there is no folder {path}")
        if folder_digest(path) != settings["content"]:
            raise ValueError(f"{path} has changed since the study was planned; plan it anew to take it as it is")
    write_json(context.folder / MODEL_FILE, {"path": str(path)} | origin | describe(path))
    context.progress(1, 1)


def snapshot(hub: HubSettings) -> Path:
    """The folder of a model in the hub's cache.

    Raises:
        ValueError: the revision is no commit.
        FileNotFoundError: it isn't there, or only part of it.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if not hub.pinned:
        raise ValueError(
            f"{hub.id} has revision {hub.revision!r}, which is no commit of 40 hex digits; "
            "run `ablate fetch STUDY` to pin it"
        )
    try:
        found = snapshot_download(hub.id, revision=hub.revision, local_files_only=True, allow_patterns=MODEL_FILES)
    except LocalEntryNotFoundError:
        raise FileNotFoundError(
            f"{hub.id} at {hub.revision} is not in the hub's cache, or only part of it; "
            "run `ablate fetch STUDY` on a machine with a network"
        ) from None
    return Path(found)


def describe(path: Path) -> dict[str, Any]:
    """What a model's folder holds: ``model_type``, ``architecture``, ``parameters`` (number by module), ``images``
    (class, limits in pixels, patch), ``files`` (size in bytes by name).

    Raises:
        FileNotFoundError: configuration, weights, image processor or tokenizer are missing; the message says which.
        ValueError: the model takes no images or is of a kind that is not supported.
    """
    config = read_json(path / "config.json")
    if not isinstance(config, dict):
        raise FileNotFoundError(f"{path} holds no config.json; a model's folder has one (adapters are no start models)")
    check_family(config.get("model_type"), path)
    weights = weight_files(path)
    return {
        "model_type": config["model_type"],
        "architecture": (config.get("architectures") or [""])[0],
        "parameters": _parameters(weights),
        "images": _images(path),
        "files": {
            file.relative_to(path).as_posix(): file.stat().st_size for file in sorted(path.rglob("*")) if file.is_file()
        },
    }


def weight_files(path: Path) -> list[Path]:
    """The files with a model's weights.

    Raises:
        FileNotFoundError: there are none, or one that the index names is missing.
    """
    index = read_json(path / _INDEX)
    names = sorted(set(index["weight_map"].values())) if index else ["model.safetensors"]
    missing = [name for name in names if not (path / name).is_file()]
    if not missing:
        return [path / name for name in names]
    if index:
        raise FileNotFoundError(f"{path} lacks weights that {_INDEX} names: {', '.join(missing)}; fetch them again")
    pickled = " (pytorch_model.bin is not taken: convert it to safetensors)" if list(path.glob("*.bin")) else ""
    raise FileNotFoundError(f"{path} holds neither model.safetensors nor {_INDEX}{pickled}")


def _images(path: Path) -> dict[str, Any]:
    """The image processor as it was saved. Loading it, and the tokenizer, is the proof that both are whole."""
    if not any((path / name).is_file() for name in _PROCESSOR_FILES):
        raise FileNotFoundError(
            f"{path} holds no image processor ({' or '.join(_PROCESSOR_FILES)}); copy it from the published model"
        )
    if not (path / "tokenizer.json").is_file():
        raise FileNotFoundError(f"{path} holds no tokenizer.json; copy it from the published model")
    processor = load_processor(path)
    unknown = [token for token in _IMAGE_TOKENS if token not in processor.tokenizer.get_vocab()]
    if unknown:
        raise ValueError(f"the tokenizer in {path} doesn't know {', '.join(unknown)}; it belongs to another model")
    images = processor.image_processor
    return {
        "class": type(images).__name__,
        "min_pixels": images.size["shortest_edge"],
        "max_pixels": images.size["longest_edge"],
        "patch_size": images.patch_size,
        "merge_size": images.merge_size,
    }


def _parameters(weights: list[Path]) -> dict[str, int]:
    """Number of stored parameters by module, from the headers of safetensors files (tied weights count once)."""
    counts = {"language": 0, "merger": 0, "vision": 0}
    for file in weights:
        for name, shape in _shapes(file):
            module = "language" if "visual." not in name else "merger" if "merger" in name else "vision"
            counts[module] += math.prod(shape)
    return counts


def _shapes(file: Path) -> Iterator[tuple[str, list[int]]]:
    # The format: length of the header in 8 bytes, then the header in JSON.
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    yield from ((name, entry["shape"]) for name, entry in header.items() if name != "__metadata__")
