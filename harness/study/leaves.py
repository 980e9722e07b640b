"""The stages that a study's models and data come from."""

from pathlib import Path
from typing import Any

from harness.study.content import file_digest, folder_digest
from harness.study.errors import Problem, StudyError, Where, unknown
from harness.study.schema import Study
from harness.study.sources import CVBenchSettings, SatSettings, WorldSettings
from harness.study.stage import Stage

FULL = {"kind": "full"}

Stages = dict[str, Stage]


def add(stages: Stages, stage: Stage) -> str:
    """Put a stage into the graph; of one that is there already the kept checkpoints are joined. Returns its id."""
    same = stages.get(stage.id)
    cosmetic = dict(stage.cosmetic)
    kept = {*cosmetic.get("checkpoints", ()), *(same.cosmetic.get("checkpoints", ()) if same else ())}
    if kept:
        cosmetic["checkpoints"] = sorted(kept)
    stages[stage.id] = Stage(stage.kind, stage.settings, stage.inputs, cosmetic)
    return stage.id


def check_models(study: Study) -> None:
    """Every instruct model must go back to one that comes from elsewhere.

    Raises:
        StudyError: a model of a model that isn't there, or a circle.
    """
    problems = []
    for name, model in study.models.items():
        seen = [name]
        while model.instruct is not None and not problems:
            parent = model.instruct.of
            where = ("models", seen[-1], "instruct", "of")
            if parent not in study.models:
                others = [other for other in study.models if other != seen[-1]]
                problems.append(Problem(where, unknown("model", parent, others)))
            elif parent in seen:
                circle = " of ".join([*seen, parent])
                text = f"models go round in a circle ({circle}); one of them must be pretrained"
                problems.append(Problem(where, text))
            else:
                seen.append(parent)
                model = study.models[parent]
    if problems:
        raise StudyError(problems)


def add_training_data(study: Study, stages: Stages) -> str:
    """Stage id of the training questions."""
    if study.data is None:
        return _add_world(study, stages)
    return add(stages, _files("sat", study.data.train, ("data", "train")))


def add_test_data(study: Study, stages: Stages) -> str:
    """Stage id of the test questions; the miniature world is both."""
    if study.data is None:
        return _add_world(study, stages)
    return add(stages, _files("cvbench", study.data.test, ("data", "test")))


def _add_world(study: Study, stages: Stages) -> str:
    return add(stages, Stage("world", (study.world or WorldSettings()).identity()))


def _files(kind: str, settings: SatSettings | CVBenchSettings, where: Where) -> Stage:
    """The stage that takes over parquet files; local ones are identified by their content."""
    identity, cosmetic = settings.identity(), {}
    if settings.files is not None:
        digests = []
        for index, file in enumerate(settings.files):
            try:
                digests.append(file_digest(Path(file)))
            except OSError as error:
                problem = Problem((*where, "files", index), f"{file!r} can't be read: {error.strerror}")
                raise StudyError([problem]) from None
        identity["content"] = digests
        cosmetic["files"] = [str(Path(file).absolute()) for file in settings.files]
    return Stage(kind, identity, {}, cosmetic)


def add_start(study: Study, name: str, stages: Stages) -> tuple[str, int]:
    """Stage id and last step of a start model; the step is 0 where it comes from elsewhere."""
    model = study.models[name]
    if model.pretrain is not None:
        last = model.pretrain.steps
        stage = Stage("pretrain", model.pretrain.identity(), {}, {"checkpoints": [last]})
        return add(stages, stage), last
    if model.tiny is not None:
        return add(stages, Stage("tiny", model.tiny.identity())), 0
    if model.hub is not None:
        return add(stages, Stage("model", {"hub": model.hub.identity()})), 0
    if model.folder is not None:
        path = Path(model.folder.path)
        try:
            content = folder_digest(path)
        except (OSError, ValueError) as error:
            raise StudyError([Problem(("models", name, "folder", "path"), str(error))]) from None
        return add(stages, Stage("model", {"content": content}, {}, {"path": str(path.absolute())})), 0
    assert model.instruct is not None  # by the schema
    last = model.instruct.steps
    identity: dict[str, Any] = {key: value for key, value in model.instruct.identity().items() if key != "of"}
    inputs = {"model": add_start(study, model.instruct.of, stages)[0], "data": add_training_data(study, stages)}
    cosmetic = {"checkpoints": [last], "resume_every": model.instruct.resume_every}
    return add(stages, Stage("instruct", identity | {"tuning": FULL}, inputs, cosmetic)), last
