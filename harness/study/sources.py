"""Where models and data come from: a hub with a pinned revision, folders and files, or recipes of the harness's own."""

import re
from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    model_validator,
)

from harness.study.settings import Cosmetic, Settings, Share

COMMIT = re.compile(r"[0-9a-f]{40}")
HubId = Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")]
Family = Literal["qwen2_vl", "qwen2_5_vl", "qwen3_vl"]
"""Model families that load through one path, by their ``model_type``."""


class HubSettings(Settings):
    """A repository of a hub at a revision."""

    id: HubId
    """``owner/name``."""
    revision: str = "main"
    """A commit (40 hex digits). A branch or tag is looked up in ``revisions.yaml`` beside the study file, which
    ``ablate fetch`` writes; what stands in neither form can be planned and rehearsed but not run."""

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit and so will always mean the same."""
        return COMMIT.fullmatch(self.revision) is not None


class HubFiles(HubSettings):
    """Some files of a data set's repository."""

    files: list[str] = Field(min_length=1)
    """Paths in the repository, read one after the other."""


class FolderSettings(Settings):
    """A model in a folder: weights, configuration, image processor and tokenizer in the Hugging Face layout."""

    path: Annotated[str, Cosmetic]
    """Where it lies; its identity is its content."""


class WorldSettings(Settings):
    """The miniature world's data sets: SAT-like training questions, CV-Bench-like test questions."""

    train_questions: PositiveInt = 16_000
    """Rows of the training file (SAT's columns)."""
    test_questions: PositiveInt = 1_000
    """Rows of the held-out file (CV-Bench's columns), the four tasks in turn."""


class _FileSettings(Settings):
    """Parquet files, from a hub or from disk, and how bad they may be."""

    hub: HubFiles | None = None
    files: Annotated[list[str] | None, Cosmetic] = None
    """Parquet files read one after the other; their identity is their content."""
    malformed_share: Share = 0.0
    """Largest share of rows that may be malformed (undecodable image, answer that is no option, ...). They are left
    out, counted and listed; when there are more the stage fails."""

    @model_validator(mode="after")
    def _one_place(self) -> "_FileSettings":
        if (self.hub is None) == (self.files is None):
            raise ValueError("data are given by exactly one of hub, files")
        if self.files is not None and not self.files:
            raise ValueError("files is empty; name a parquet file at least")
        return self


class SatSettings(_FileSettings):
    """The training questions, in the columns of SAT (``array/SAT``)."""

    first_rows: PositiveInt | None = None
    """Only so many rows from the start of the files (the paper: 15,000); all when left out. Rows with more than
    one image are always left out, counted apart from the malformed ones."""


class CVBenchSettings(_FileSettings):
    """The test questions, in the columns of CV-Bench (``nyu-visionx/CV-Bench``)."""


class DataSettings(Settings):
    """Real data in place of the miniature world."""

    train: SatSettings
    test: CVBenchSettings


class PretrainSettings(Settings):
    """Recipe of the miniature base model: shape, then a supervised vision stage, then documents."""

    seed: NonNegativeInt = 0
    hidden_size: PositiveInt = 128
    layers: PositiveInt = 3
    heads: PositiveInt = 4
    intermediate_size: PositiveInt = 320
    vision_width: PositiveInt = 64
    vision_layers: PositiveInt = 2
    initializer_std: PositiveFloat = 0.06
    vision_steps: PositiveInt = 200
    """Steps of the vision tower on dense cell labels (colour, row, column)."""
    vision_batch_size: PositiveInt = 64
    vision_learning_rate: PositiveFloat = 2e-3
    steps: PositiveInt = 3_300
    """Steps of next-token prediction on the world's documents."""
    batch_size: PositiveInt = 48
    learning_rate: PositiveFloat = 2e-3
    warmup_steps: PositiveInt = 60
    adam_beta2: PositiveFloat = 0.98
    weight_decay: NonNegativeFloat = 0.01
    well_formed_share: Share = 0.10
    """Share of the think-prompt documents that end in ``</think> <answer> X </answer>`` after a fact."""
    empty_thought_share: Share = 0.03
    """Share of the think-prompt documents with a well-formed but empty thought and a random answer; from
    about 0.07 on, GRPO collapses to that sentence."""


class TinySettings(Settings):
    """A random model of a few thousand parameters made from a family's own configuration: for rehearsals and tests."""

    family: Family = "qwen2_vl"
    seed: NonNegativeInt = 0
