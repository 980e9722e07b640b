"""What of a model is tuned: parts frozen for good, or adapters."""

from typing import Any, get_args

from peft import LoraConfig
from torch import nn

from harness.study.training import LoraSettings, Module

MODULES: tuple[Module, ...] = get_args(Module)

TRAINABLE: dict[str, frozenset[Module]] = {
    "full": frozenset(MODULES),
    "vision-frozen": frozenset({"language"}),
    "tower-frozen": frozenset({"merger", "language"}),
    "language-frozen": frozenset({"vision", "merger"}),
    "merger-only": frozenset({"merger"}),
}
"""Parts that each kind of tuning without adapters changes."""

_LANGUAGE = {
    "attention": r"self_attn\.(q|k|v|o)_proj",
    "mlp": r"mlp\.(gate|up|down)_proj",
}
_VISION = {
    "attention": r"attn\.(qkv|proj)",
    "mlp": r"mlp\.(fc1|fc2|gate_proj|up_proj|down_proj|linear_fc1|linear_fc2)",
}
_MERGER = r".*visual\.(merger|deepstack_merger_list\.\d+)\.(mlp\.(0|2)|linear_fc1|linear_fc2)"


def module_of(parameter: str) -> Module:
    """Part of the model that a parameter belongs to, by its name in memory.

    Adapters count with the part that they adapt; tied output weights with the language model.
    """
    if "visual.merger." in parameter or "visual.deepstack_merger_list." in parameter:
        return "merger"
    return "vision" if "visual." in parameter else "language"


def trainable_modules(tuning: dict[str, Any]) -> frozenset[Module]:
    """Parts that a stage's ``tuning`` setting is to change."""
    return frozenset(tuning["modules"]) if tuning["kind"] == "lora" else TRAINABLE[tuning["kind"]]


def freeze(model: nn.Module, tuning: dict[str, Any]) -> None:
    """Switch gradients off for all that is not to be tuned. Under LoRA peft does so itself."""
    if tuning["kind"] == "lora":
        return
    tuned = trainable_modules(tuning)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(module_of(name) in tuned)


def lora_config(tuning: dict[str, Any]) -> LoraConfig | None:
    """peft's configuration for a stage's ``tuning`` setting; None when no adapters are asked for.

    Targets are a pattern on names in memory: a list of plain names would also hit layers of the vision tower.
    """
    if tuning["kind"] != "lora":
        return None
    settings = LoraSettings(**{name: value for name, value in tuning.items() if name != "kind"})
    patterns = []
    if "language" in settings.modules:
        patterns += [rf".*language_model\.layers\.\d+\.{_LANGUAGE[each]}" for each in settings.layers]
    if "vision" in settings.modules:
        patterns += [rf".*visual\.blocks\.\d+\.{_VISION[each]}" for each in settings.layers]
    if "merger" in settings.modules and "mlp" in settings.layers:
        patterns.append(_MERGER)
    return LoraConfig(
        r=settings.rank,
        # peft's annotation says int; any number scales
        lora_alpha=settings.alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=settings.dropout,
        target_modules="|".join(f"({pattern})" for pattern in patterns),
        task_type="CAUSAL_LM",
    )
