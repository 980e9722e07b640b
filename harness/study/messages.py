"""Validation of data against a settings model, with messages for the author of a study file."""

import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import is_typeddict

from harness.study.errors import Problem, StudyError, Where, choices, shown, unknown

Model = TypeVar("Model", bound=BaseModel)

_MAPPING_ERRORS = ("model_type", "dict_type", "model_attributes_type")


def validated(model: type[Model], data: Mapping[str, Any], where: Where = ()) -> Model:
    """``data`` as ``model``, no value being converted but whole numbers to fractions.

    Args:
        where: path of ``data`` in the study, put before the paths of the problems.

    Raises:
        StudyError: with one problem for every setting that is unknown, missing or wrong.
    """
    try:
        return model.model_validate(data, strict=True)
    except ValidationError as error:
        problems = [_problem(model, each, where) for each in error.errors()]
        raise StudyError(problems) from None


def _problem(model: type[BaseModel], error: ErrorDetails, where: Where) -> Problem:
    path = tuple(step for step in error["loc"] if step != "[key]")
    return Problem((*where, *path), _text(model, error, path))


def _text(model: type[BaseModel], error: ErrorDetails, path: Where) -> str:
    value, kind = error["input"], error["type"]
    is_key = error["loc"][-1:] == ("[key]",)
    holder = _annotation(model, path[:-1])
    here = (get_args(holder) or (str,))[0] if is_key else _annotation(model, path)
    if kind == "extra_forbidden":
        return f"unknown setting; {choices(path[-1], _fields(holder))}"
    if kind == "missing":
        return "missing; a study must give it"
    if kind == "literal_error":
        allowed = [str(each) for each in get_args(_bare(here))]
        return unknown("name" if is_key else "value", value, allowed)
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        return f"{shown(value)} is no name; names are letters, digits and . _ + -, a letter or digit first"
    if kind in _MAPPING_ERRORS:
        fields = _fields(_bare(here))
        return f"{shown(value)} should be a mapping" + (f" of {', '.join(fields)}" if fields else "")
    if kind == "too_short":
        return f"{shown(value)} is empty; at least one is needed"
    text = f"{shown(value)} {error['msg'].replace('Input should', 'should')}"
    if kind == "string_type" and isinstance(value, int | float):
        text += f"; put it in quotes if that is its name: '{value}'"
    return text


def _fields(holder: Any) -> Iterable[str]:
    """Names of the settings of a group."""
    return get_type_hints(holder) if is_typeddict(holder) else getattr(holder, "model_fields", ())


def _annotation(annotation: Any, path: Where) -> Any:
    """The type at a path below a type; None when there is nothing."""
    for step in path:
        annotation = _bare(annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(str(step))
            annotation = field.annotation if field else None
        elif is_typeddict(annotation):
            annotation = get_type_hints(annotation).get(str(step))
        elif get_origin(annotation) in (dict, list):
            annotation = get_args(annotation)[-1]
        else:
            return None
    return _bare(annotation)


def _bare(annotation: Any) -> Any:
    """A type without ``Annotated`` and without ``| None``."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [each for each in get_args(annotation) if each is not type(None)]
        return _bare(rest[0])
    return annotation
