"""The text behind a study: YAML with the line of every setting, and the overrides put on top."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.study.errors import Problem, StudyError, Where, dotted


class _Loader(yaml.SafeLoader):
    """YAML 1.2's scalars: ``1e-3`` is a number and ``on`` is a word, unlike in PyYAML's YAML 1.1."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 (as in the parent class)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9_]*)", list("-+0123456789")),
    (
        "float",
        r"[-+]?([0-9][0-9_]*\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


@dataclass(frozen=True)
class Override:
    """A ``--set`` as it was typed, and the setting it changes."""

    text: str
    where: Where


@dataclass
class Source:
    """A study's settings as plain data, and where each of them was written."""

    file: str
    root: yaml.Node
    data: dict[str, Any]
    overrides: list[Override]

    def locate(self, where: Where) -> str:
        """``sweeps/x.yaml:12: grpo.steps``, or ``--set grpo.steps=3`` for what came from the command line."""
        line, known = _line(self.root, where)
        for each in reversed(self.overrides):
            inside = where[: len(each.where)] == each.where
            # An override's parents are its own making when the file doesn't have them.
            above = len(known) < len(where) and each.where[: len(where)] == where
            if inside or above:
                place = f"--set {each.text}"
                return place if where == each.where else f"{place}: {dotted(where)}"
        return f"{self.file}:{line}: {dotted(where)}" if where else f"{self.file}:{line}"


STUDY_FILE = "a study file is a mapping that starts with 'study: <name>'"


def read_source(path: Path, overrides: Sequence[str] = (), what: str = STUDY_FILE) -> Source:
    """Read a study file, or another whose form ``what`` says, and put overrides (``seeds=[0, 1]``) on top.

    Raises:
        StudyError: no such file, not YAML, a key given twice, or an override that has no place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        there = sorted(str(each) for each in path.parent.glob("*.yaml"))
        hint = f"; there are: {', '.join(there)}" if there else ""
        if path.is_dir():
            hint = "; a file such as sweeps/micro.yaml is wanted here"
            if (path / "study.json").exists():
                hint += ", and collected tables like these by --results where a verb has it"
        problem = Problem((), f"cannot read the study file ({error.strerror}){hint}")
        raise StudyError([problem], lambda _: str(path)) from None
    except UnicodeDecodeError as error:
        problem = Problem((), f"not UTF-8 text (byte {error.start}); save the file as UTF-8")
        raise StudyError([problem], lambda _: str(path)) from None
    root, data = _parse(text, str(path))
    if not isinstance(data, dict) or root is None:
        problem = Problem((), what)
        raise StudyError([problem], lambda _: f"{path}:1")
    source = Source(str(path), root, data, [])
    for each in overrides:
        _override(source, each)
    return source


def _parse(text: str, file: str) -> tuple[yaml.Node | None, Any]:
    """Node tree and plain data of a YAML text; ``file`` names it in errors."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        return root, None if root is None else _build(loader, root, (), file, frozenset())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{file}:{mark.line + 1}" if mark else file
        problem = Problem((), f"not YAML: {error.problem or error.context}")
        raise StudyError([problem], lambda _: place) from None
    except (yaml.YAMLError, ValueError) as error:
        raise StudyError([Problem((), f"not YAML: {error}")], lambda _: file) from None


def _build(loader: _Loader, node: yaml.Node, where: Where, file: str, parents: frozenset[int]) -> Any:
    """Plain data of a node; every visit makes new objects, so that an override can't change two places."""

    def refuse(at: yaml.Node, key: Where, text: str) -> StudyError:
        place = f"{file}:{at.start_mark.line + 1}: {dotted(key)}"
        return StudyError([Problem(key, text)], lambda _: place)

    if id(node) in parents:
        raise refuse(node, where, "an alias (*name) inside what it stands for; write the value out")
    parents = parents | {id(node)}
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, (*where, i), file, parents) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node)
    data: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise refuse(key, where, "a list or mapping as a key; keys are names")
        name = str(key.value)  # as written: the level 8 is called "8"
        if name == "<<":
            raise refuse(key, (*where, name), "YAML merge keys are not understood; write the settings out")
        if name in data:
            text = f"given twice, first in line {lines[name]}; keep one"
            raise refuse(key, (*where, name), text)
        lines[name] = key.start_mark.line + 1
        data[name] = _build(loader, value, (*where, name), file, parents)
    return data


def _line(root: yaml.Node, where: Where) -> tuple[int, Where]:
    """Line (from 1) of the deepest part of a path that the file has, and that part."""
    node, line = root, root.start_mark.line + 1
    for depth, step in enumerate(where):
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if getattr(key, "value", None) == step]
            if not found:
                return line, where[:depth]
            key, node = found[0]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            return line, where[:depth]
    return line, where


def _override(source: Source, text: str) -> None:
    """Put one ``path=value`` on top of the data; mappings on the way are made, lists are not."""
    path, equals, value_text = text.partition("=")
    parts = path.strip().split(".")

    def refuse(problem: str) -> StudyError:
        return StudyError([Problem((), problem)], lambda _: f"--set {text}")

    if not equals or not all(parts):
        raise refuse("an override is written path=value, for example grpo.steps=20")
    try:
        _, value = _parse(value_text, "--set")
    except StudyError as error:
        raise refuse(error.problems[0].text) from None
    node: Any = source.data
    where: list[str | int] = []
    while parts:
        if isinstance(node, dict):
            # Names may hold dots themselves, so the longest name that is there wins.
            sizes = range(len(parts), 0, -1)
            size = next((n for n in sizes if ".".join(parts[:n]) in node), 1)
            step: str | int = ".".join(parts[:size])
        elif isinstance(node, list):
            size = 1
            if not parts[0].isdecimal() or int(parts[0]) >= len(node):
                there = f"0 to {len(node) - 1}" if node else "nothing"
                raise refuse(f"{dotted(tuple(where))} is a list; {parts[0]!r} is not in it. Allowed: {there}")
            step = int(parts[0])
        else:
            raise refuse(f"{dotted(tuple(where))} is {node!r}, which has no {parts[0]!r} in it")
        parts = parts[size:]
        where.append(step)
        holder: Any = node  # a mapping or a list; both take items alike
        if not parts:
            holder[step] = value
        elif isinstance(node, dict) and node.get(step) is None:
            holder[step] = {}
        node = holder[step]
    source.overrides.append(Override(text, tuple(where)))
