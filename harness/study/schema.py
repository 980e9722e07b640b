"""The study file: what may stand in it and what each part means."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    model_validator,
)

from harness.study.evaluation import CollectSettings, CurveSettings, ProtocolSettings, RetentionSettings
from harness.study.resources import ByKind
from harness.study.settings import RuleName, Settings, Share
from harness.study.sources import (
    DataSettings,
    FolderSettings,
    HubSettings,
    PretrainSettings,
    TinySettings,
    WorldSettings,
)
from harness.study.training import GRPOSettings, InstructSettings, LoraSettings, SFTSettings, Tuned

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


Metric = Literal["accuracy", "well_formed", "tokens", "reflection", "distinct_words"]
Checkpoint = Literal["last", "best_half", "mean_last"]
Exclusion = Literal["failed_checks"]
LAST_K = 3


class StartModel(Settings):
    """Where a start model comes from: exactly one of these."""

    hub: HubSettings | None = None
    folder: FolderSettings | None = None
    pretrain: PretrainSettings | None = None
    instruct: InstructSettings | None = None
    tiny: TinySettings | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "StartModel":
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            there = " and ".join(given) or "nothing"
            raise ValueError(
                f"a start model is given by exactly one of {', '.join(type(self).model_fields)}; here is {there}"
            )
        return self


class Side(Settings):
    """One side of a contrast: an arm, how it was evaluated and how that was scored."""

    arm: str
    protocol: str | None = None
    """One of the arm's protocols; the arm's own (its first) when left out."""
    rule: RuleName | None = None
    """One of the study's scoring rules; the first when left out. Under a protocol with ``method: options`` it is
    ``likelihood`` or ``likelihood_per_token`` (when left out)."""
    step: NonNegativeInt | None = None
    """A checkpoint of the curve, on the curve's questions; the last on all questions when left out."""

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"arm": value} if isinstance(value, str) else value


class Difference(Settings):
    """Side ``a`` minus side ``b``, the part of a contrast that is taken away."""

    a: Side
    b: Side


class Contrast(Settings):
    """A comparison that the study is there to decide: side ``a`` minus side ``b``."""

    name: Name
    question: str
    a: Side
    b: Side
    minus: Difference | None = None
    """Makes it a difference of differences, (a - b) - (minus.a - minus.b): whether one thing's effect depends on
    another (an interaction)."""
    metric: Metric = "accuracy"
    """accuracy, well_formed: percent of the questions; tokens: mean length of the completions; reflection: mean number
    of reflection markers in them; distinct_words: percent of the reasoning's words that are distinct, 100 without any
    (little of it is repetition)."""
    pairing: Literal["seed", "none"] = "none"
    """``seed``: runs of equal seeds are compared with each other. Both arms must have seeds; with ``minus`` two of the
    four sides at least, and the others are constants."""
    margin: PositiveFloat | None = None
    """Differences within plus or minus so much count as equivalent, in the metric's unit (of accuracy, percentage
    points)."""
    family: Name | None = None
    """Contrasts of one family answer one question together; their p-values are adjusted for how many they are."""
    alpha: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.05
    """How often, at most, a contrast without any difference is to be called one: level of the tests, and 1 - alpha of
    the intervals."""
    checkpoint: Checkpoint = "last"
    """Which checkpoint of a training counts. ``last``: the last, on all questions. ``best_half``: of the curve's
    checkpoints the one with the highest accuracy on one half of the curve's questions, scored on the other half, so
    that the choice doesn't flatter. ``mean_last``: the mean of the last ``last_k``, on the curve's questions."""
    last_k: PositiveInt = LAST_K
    """How many checkpoints ``mean_last`` takes."""
    exclusions: Annotated[list[Exclusion], AfterValidator(_unique)] = Field(default=["failed_checks"])
    """Runs that are left out. ``failed_checks``: those of which a manipulation check failed."""
    seed_sd: PositiveFloat | None = None
    """Expected standard deviation over seeds of one run's value, in the metric's unit, for planning the number of
    seeds; of accuracy ``power.seed_sd`` when left out."""

    @property
    def sides(self) -> dict[str, Side]:
        """The sides by their place in the study file: ``a``, ``b``, ``minus.a``, ``minus.b``."""
        found = {"a": self.a, "b": self.b}
        return found if self.minus is None else found | {"minus.a": self.minus.a, "minus.b": self.minus.b}

    @model_validator(mode="after")
    def _last_k_is_used(self) -> "Contrast":
        if self.last_k != LAST_K and self.checkpoint != "mean_last":
            raise ValueError(
                f"last_k {self.last_k} has no effect with checkpoint: {self.checkpoint}; leave it out, or use"
                " checkpoint: mean_last"
            )
        return self


class PowerSettings(Settings):
    """What the number of seeds is planned with, before anything is known."""

    seed_sd: PositiveFloat | None = None
    """Expected standard deviation of a run's accuracy over seeds, in percentage points."""
    seed_correlation: Annotated[float, Field(ge=-1.0, lt=1.0)] = 0.0
    """Expected correlation of two arms' runs of equal seeds; what pairing by seed lives on."""
    discordance: Annotated[Share, Field(gt=0.0)] = 0.2
    """Expected share of the questions that one of two checkpoints answers right and the other wrong."""
    design_effect: Annotated[float, Field(ge=1.0)] = 1.0
    """How many times larger than for independent questions the variance of a score is: several may share an image."""
    power: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.8
    """Wanted probability of finding a difference that is there."""
    difference: PositiveFloat = 2.0
    """The smallest difference in accuracy that matters, in percentage points."""


class Claim(Settings):
    """A published statement, tied to a contrast of the study or to the arm that really ran, or marked untestable."""

    name: Name
    statement: str
    source: str
    """Where it was published."""
    figure: float | None = None
    """The printed difference a minus b, in the contrast's unit; left out where none was printed. With ``ran``, a
    score."""
    runs: PositiveInt = 1
    """How many runs of each side ``figure`` is a mean over. Figures of so many further runs of ours are what it is held
    against."""
    contrast: str | None = None
    """Name of the contrast that decides it."""
    ran: Side | None = None
    """The arm that really ran where the published one was never applied; ``figure`` is then the printed score of one
    run of it, in percent."""
    direction: Literal["higher", "lower", "equal"] = "higher"
    """What the claim says of side a against side b."""
    untestable: str | None = None
    """Why this study can't decide it."""
    note: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> "Claim":
        ways = ("contrast", "ran", "untestable")
        given = [name for name in ways if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a claim has exactly one of {', '.join(ways)}; here is {' and '.join(given) or 'nothing'}"
            )
        if self.runs != 1 and self.figure is None:
            raise ValueError(f"runs {self.runs} without figure; give the printed mean, or leave runs out")
        if self.ran is not None:
            if self.figure is None:
                raise ValueError("ran without figure; give the printed score that a run of that arm is held against")
            if not 0 <= self.figure <= 100:
                raise ValueError(f"figure {self.figure:g} is no score in percent; with ran it is from 0 to 100")
        return self


class ArmSettings(Settings):
    """All settings of one arm, resolved from the study's own, its levels' and the arm's."""

    start: str
    """Name of the start model."""
    training: Literal["none", "sft", "grpo"]
    tuned: Tuned = "full"
    lora: LoraSettings = LoraSettings()
    sft: SFTSettings = SFTSettings()
    grpo: GRPOSettings = GRPOSettings()
    protocols: list[str] = Field(min_length=1)
    """Names of the protocols that the final checkpoint is evaluated under; the first is the arm's own."""
    curve: CurveSettings = CurveSettings()


class Study(Settings):
    """One study file, checked and with all defaults filled in."""

    study: Name
    """Name of the study, and of its folder of results."""
    title: str = ""
    seeds: Annotated[list[NonNegativeInt], Field(min_length=1), AfterValidator(_unique)]
    """Every arm with randomness is run once per seed."""
    world: WorldSettings | None = None
    """The miniature world, with its defaults when neither this nor ``data`` is given."""
    data: DataSettings | None = None
    """Real training and test questions."""
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
    retention: RetentionSettings = RetentionSettings()
    resources: ByKind = Field(default={})
    """What a cluster gives to each kind of stage, or to ``all``; no part of any stage's identity."""
    factors: dict[Name, Levels] = Field(min_length=1)
    """What is varied: factor -> level -> patch onto the arm's settings. The first level is the default."""
    arms: list[dict[str, Any]] = Field(min_length=1)
    """Combinations of levels: explicit, or products of factors (see `harness.study.arms`)."""
    power: PowerSettings = PowerSettings()
    """What the number of seeds is planned with."""
    contrasts: list[Contrast] = Field(default=[])
    claims: list[Claim] = Field(default=[])
    """Published statements that the study is held against."""

    @model_validator(mode="after")
    def _one_data(self) -> "Study":
        if self.world is not None and self.data is not None:
            raise ValueError("world and data exclude each other; keep one")
        return self

    @property
    def suite(self) -> str:
        """Name of the benchmark that checkpoints are evaluated on."""
        return "cv-bench" if self.data else "micro-cvbench"
