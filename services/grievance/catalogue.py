"""Reads the categories file, and refuses a bad one with the line of the mistake."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import ValidationError

from services.grievance.domain.deadlines import Category

SHIPPED = Path(__file__).with_name("categories.yaml")


class BadCatalogue(Exception):
    """The file cannot be used; the message is `file:line: why`."""


def read_catalogue(path: Path = SHIPPED) -> Mapping[str, Category]:
    """The categories by code, in the file's order. Raises BadCatalogue, and OSError if there is no such file."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise BadCatalogue(f"{path}:{line}: {getattr(error, 'problem', None) or 'not YAML'}") from error
    categories: dict[str, Category] = {}
    for code, entry in _entries(path, _only_member(path, root)):
        if code.value in categories:
            raise _bad(path, code, f"category {code.value} stands twice")
        categories[code.value] = _category(path, code, entry)
    if not categories:
        raise BadCatalogue(f"{path}:1: there is no category")
    return categories


def _only_member(path: Path, root: yaml.Node | None) -> yaml.Node:
    if root is None:
        raise BadCatalogue(f"{path}:1: the file is empty")
    members = _entries(path, root)
    for name, _ in members:
        if name.value != "categories":
            raise _bad(path, name, f"unknown field {name.value}")
    return members[0][1]


def _entries(path: Path, node: yaml.Node) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode) or not all(isinstance(key, yaml.ScalarNode) for key, _ in node.value):
        raise _bad(path, node, "expected names, each with its value")
    return list(node.value)


def _category(path: Path, code: yaml.ScalarNode, entry: yaml.Node) -> Category:
    lines: dict[str, yaml.Node] = {"code": code}
    for name, value in _entries(path, entry):
        if name.value in lines:
            raise _bad(path, name, f"field {name.value} stands twice" if name.value != "code" else "unknown field code")
        lines[name.value] = value
    try:
        fields = yaml.constructor.SafeConstructor().construct_document(entry)
        return Category.model_validate(fields | {"code": code.value})
    except yaml.YAMLError as error:
        raise _bad(path, entry, str(getattr(error, "problem", error))) from error
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        first = min(found, key=lambda one: one["type"] != "extra_forbidden")
        where = lines.get(str(first["loc"][0]), code)
        if isinstance(where, yaml.SequenceNode) and len(first["loc"]) > 1 and isinstance(first["loc"][1], int):
            where = where.value[first["loc"][1]]
        field = ".".join(str(part) for part in first["loc"])
        raise _bad(path, where, f"{code.value}: {field}: {first['msg']}") from error


def _bad(path: Path, node: yaml.Node, why: str) -> BadCatalogue:
    return BadCatalogue(f"{path}:{node.start_mark.line + 1}: {why}")
