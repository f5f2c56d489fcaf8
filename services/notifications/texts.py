"""Texts to be checked, out of files of several forms, each with the line it stands in."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml


class Unreadable(Exception):
    """`<file>:<line>: why`."""


class Text(NamedTuple):
    """One text to be checked. `rendered` is a message that claims to be it."""

    line: int
    text: str
    template: str = ""
    language: str = ""
    header: str = ""
    rendered: str | None = None


FIELDS = frozenset({"text", "template", "name", "language", "header", "rendered", "subject", "version", "id", "script"})


def read(path: Path) -> list[Text]:
    """By suffix: .yaml, .yml and .json (one of our language files, or a list of texts), .jsonl, .csv (with a column
    `text`); anything else is plain text, one text a line. Raises Unreadable, with file and line."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}:1: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    try:
        found = list(_by_suffix(path.suffix.lower(), content))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise Unreadable(f"{path}:{line}: {error.problem}") from None
    except _Misfit as error:
        raise Unreadable(f"{path}:{error.line}: {error}") from None
    if not found:
        raise Unreadable(f"{path}:1: no text in it")
    return found


class _Misfit(Exception):
    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


def _by_suffix(suffix: str, content: str) -> Iterable[Text]:
    if suffix in (".yaml", ".yml", ".json"):
        root = yaml.compose(content, yaml.SafeLoader)
        return _of_node(root, {}) if root is not None else []
    if suffix == ".jsonl":
        return _lines(content)
    if suffix == ".csv":
        return _rows(content)
    return [Text(number, line.strip()) for number, line in enumerate(content.splitlines(), 1) if line.strip()]


def _lines(content: str) -> Iterator[Text]:
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise _Misfit(number, f"not JSON: {error}") from None
        yield _entry(number, {"text": value} if isinstance(value, str) else value)


def _rows(content: str) -> Iterator[Text]:
    reader = csv.DictReader(io.StringIO(content))
    if "text" not in (reader.fieldnames or ()):
        raise _Misfit(1, "no column text")
    for row in reader:
        yield _entry(reader.line_num, {name: value for name, value in row.items() if name and value})


def _entry(line: int, value: Any) -> Text:
    if not isinstance(value, Mapping):
        raise _Misfit(line, "neither a text nor a mapping with one")
    unknown = {str(name) for name in value} - FIELDS
    if unknown:
        raise _Misfit(line, f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(sorted(FIELDS))}")
    if not isinstance(text := value.get("text"), str):
        raise _Misfit(line, "no text")
    said = {name: str(value.get(name) or "") for name in ("language", "header")}
    name = str(value.get("template") or value.get("name") or "")
    rendered = value.get("rendered")
    return Text(line, text, name, said["language"], said["header"], None if rendered is None else str(rendered))


def _of_node(node: yaml.Node, above: Mapping[str, str]) -> Iterator[Text]:
    """A language file, a list of texts, a mapping with `text`, or a mapping of names to either."""
    line = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _of_node(item, above)
    elif isinstance(node, yaml.MappingNode):
        fields = {str(key.value): value for key, value in node.value}
        plain = {name: value.value for name, value in fields.items() if isinstance(value, yaml.ScalarNode)}
        inherited = dict(above) | {name: plain[name] for name in ("language", "header") if name in plain}
        if "text" in fields and isinstance(fields["text"], yaml.ScalarNode):
            yield _entry(fields["text"].start_mark.line + 1, inherited | plain)
        elif "templates" in fields:
            yield from _of_node(fields["templates"], inherited)
        else:
            for name, value in fields.items():
                yield from _of_node(value, inherited | {"template": name})
    elif isinstance(node, yaml.ScalarNode) and isinstance(node.value, str) and node.tag == "tag:yaml.org,2002:str":
        yield _entry(line, dict(above) | {"text": node.value})
    else:
        raise _Misfit(line, "neither a text nor a mapping with one")
