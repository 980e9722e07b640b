"""The study file: what may stand in it and what each part means."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    StringConstraints,
    model_validator,
)

from harness.study.settings import (
    CollectSettings,
    CurveSettings,
    GRPOSettings,
    InstructSettings,
    LoraSettings,
    PretrainSettings,
    ProtocolSettings,
    RuleName,
    Settings,
    SFTSettings,
    WorldSettings,
)

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""Names end up in file names, tables and ``--set`` paths, so they are letters, digits and ``. _ + -``."""


def _unique(values: list[Any]) -> list[Any]:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{', '.join(map(repr, twice))} given more than once; keep one")
    return values


def _levels(value: Any) -> Any:
    """Levels as a mapping from name to patch; a list of names is levels without patches."""
    if isinstance(value, list):
        if not all(isinstance(level, str) for level in value):
            raise ValueError(f"{value!r}: levels are names; put numbers and true/false in quotes")
        value = {level: {} for level in _unique(value)}
    if isinstance(value, dict):
        if not value:
            raise ValueError("a factor needs a level at least")
        return {level: {} if patch is None else patch for level, patch in value.items()}
    raise ValueError(f"{value!r} should be a list of level names, or a mapping from level to settings")


Levels = Annotated[dict[Name, dict[str, Any]], BeforeValidator(_levels)]


class StartModel(Settings):
    """Where a start model comes from: exactly one of the recipes."""

    pretrain: PretrainSettings | None = None
    instruct: InstructSettings | None = None

    @model_validator(mode="after")
    def _one_recipe(self) -> "StartModel":
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            there = " and ".join(given) or "nothing"
            raise ValueError(f"a start model is given by exactly one of pretrain, instruct; here is {there}")
        return self


class Side(Settings):
    """One side of a contrast: an arm, how it was evaluated and how that was scored."""

    arm: str
    protocol: str | None = None
    """One of the arm's protocols; the arm's own (its first) when left out."""
    rule: RuleName | None = None
    """One of the study's scoring rules; the first when left out."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"arm": value} if isinstance(value, str) else value


class Contrast(Settings):
    """A comparison that the study is there to decide: side ``a`` minus side ``b``."""

    name: Name
    question: str
    a: Side
    b: Side
    metric: Literal["accuracy"] = "accuracy"
    pairing: Literal["seed", "none"] = "none"
    """``seed``: runs of equal seeds are compared with each other; both arms must have seeds."""
    margin: PositiveFloat | None = None
    """Differences within plus or minus so many percentage points count as equivalent."""


class Study(Settings):
    """One study file, checked and with all defaults filled in."""

    study: Name
    """Name of the study, and of its folder of results."""
    title: str = ""
    seeds: Annotated[list[NonNegativeInt], Field(min_length=1), AfterValidator(_unique)]
    """Every arm with randomness is run once per seed."""
    world: WorldSettings = WorldSettings()
    models: dict[Name, StartModel] = Field(min_length=1)
    """Start models by name."""
    protocols: dict[Name, ProtocolSettings] = Field(min_length=1)
    """Ways of evaluating by name."""
    scoring: Annotated[list[RuleName], AfterValidator(_unique)] = Field(default=["lenient", "strict"], min_length=1)
    """Scoring rules that every completion is read by; the first is the one that decides."""
    sft: SFTSettings = SFTSettings()
    grpo: GRPOSettings = GRPOSettings()
    lora: LoraSettings = LoraSettings()
    curve: CurveSettings = CurveSettings()
    collect: CollectSettings = CollectSettings()
    factors: dict[Name, Levels] = Field(min_length=1)
    """What is varied: factor -> level -> patch onto the arm's settings. The first level is the default."""
    arms: list[dict[str, Any]] = Field(min_length=1)
    """Combinations of levels: explicit, or products of factors (see `harness.study.arms`)."""
    contrasts: list[Contrast] = Field(default=[])
