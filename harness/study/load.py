"""From a YAML file, and what the command line puts on top, to a checked study."""

from collections.abc import Sequence
from pathlib import Path

from harness.study.errors import StudyError
from harness.study.expand import plan_study
from harness.study.messages import validated
from harness.study.revisions import apply_revisions
from harness.study.schema import Study
from harness.study.source import read_source


def load_study(path: Path, overrides: Sequence[str] = ()) -> Study:
    """The study that a file declares, with overrides put on top.

    Args:
        path: the study's YAML file.
        overrides: ``path=value`` each, such as ``grpo.steps=20`` or ``seeds=[0, 1]``; values are YAML,
            numbers in a path are places in a list from 0 (``arms.0.name=x``), and later ones win. They change
            the file's settings, so a level or arm that sets the same setting itself still wins over them.

    Raises:
        StudyError: one line per problem with file and line (or the override), the setting, its value and what
            would be right. A study that loads can be planned.
    """
    source = read_source(Path(path), overrides)
    try:
        study = validated(Study, apply_revisions(source.data, Path(path).parent))
        plan_study(study)
    except StudyError as error:
        raise StudyError(error.problems, source.locate) from None
    return study
