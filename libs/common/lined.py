"""Reads a data file into a model, and refuses a bad one with the line of the mistake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from libs.common.misfit import Misfit

M = TypeVar("M", bound=BaseModel)


class BadFile(ValueError):
    """The file cannot be used; the message is `file:line: why`."""


def read(path: Path, model: type[M]) -> M:
    """Raises BadFile, and OSError if there is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise BadFile(f"{path}:1: not UTF-8") from None
    except yaml.YAMLError as error:
        raise _bad_yaml(path, error) from error
    if root is None:
        raise BadFile(f"{path}:1: the file is empty")
    try:
        _refuse_doubles(path, root)
        _refuse_impossible(path, root)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _bad_yaml(path, error) from error
    except RecursionError as error:
        raise BadFile(f"{path}:1: an alias stands within itself") from error
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        # A misspelt field is also a missing one; its own line says more.
        first = min(found, key=lambda one: one["type"] != "extra_forbidden")
        cause = first.get("ctx", {}).get("error")
        below = cause.place if isinstance(cause, Misfit) else ()
        place, line = _line(root, (*first["loc"], *below))
        said = first["msg"].removeprefix("Value error, ")
        raise BadFile(f"{path}:{line}: {f'{place}: ' if place else ''}{said}") from error


def files(folder: Path) -> list[Path]:
    """The data files of a folder by name, however their suffix is written; nothing where there is no such folder."""
    return sorted(path for suffix in ("yaml", "yml") for path in folder.glob(f"*.{suffix}"))


def line_of(path: Path, *place: str | int) -> int:
    """The line of a place in a file that was read before: for what is wrong only beside another file."""
    root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    return _line(root, place)[1] if root is not None else 1


def _bad_yaml(path: Path, error: yaml.YAMLError) -> BadFile:
    mark = getattr(error, "problem_mark", None)
    return BadFile(f"{path}:{mark.line + 1 if mark else 1}: {getattr(error, 'problem', None) or 'not YAML'}")


def _refuse_doubles(path: Path, node: yaml.Node) -> None:
    """YAML lets the last of two entries of one name win silently."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_doubles(path, item)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise BadFile(f"{path}:{name.start_mark.line + 1}: a name must be a word, not a list or an object")
            if name.value in seen:
                raise BadFile(f"{path}:{name.start_mark.line + 1}: {name.value} stands twice")
            seen.add(str(name.value))
            _refuse_doubles(path, value)


def _refuse_impossible(path: Path, node: yaml.Node) -> None:
    """A value that looks like one of YAML's own and is none, such as the date 2024-02-30."""
    if isinstance(node, yaml.ScalarNode):
        if node.tag.rpartition(":")[2] not in ("timestamp", "int", "float"):
            return
        try:
            yaml.SafeLoader("").construct_object(node)
        except ValueError as error:
            raise BadFile(f"{path}:{node.start_mark.line + 1}: {node.value}: {error}") from error
        except (AttributeError, TypeError) as error:
            kind = node.tag.rpartition(":")[2]
            raise BadFile(f"{path}:{node.start_mark.line + 1}: {node.value} is no {kind}") from error
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_impossible(path, item)
    elif isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            _refuse_impossible(path, name)
            _refuse_impossible(path, value)


def _line(node: yaml.Node, location: Sequence[str | int]) -> tuple[str, int]:
    """The place as written, and the line of its nearest part that is in the file."""
    line, place = node.start_mark.line, []
    for part in location:
        if isinstance(node, yaml.MappingNode):
            entry = next(((name, value) for name, value in node.value if str(name.value) == str(part)), None)
            if entry is None and part == 0:
                continue  # One may stand for a list of one.
            if entry is None:
                place.append(str(part))
                break
            line, node = entry[0].start_mark.line, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
        place.append(str(part))
    return ".".join(place), line + 1
