"""A day file: JSON Lines as tools/make_day.py writes them, read whole and refused whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

CREATING = {"patient.register", "opd.share", "referral.request", "grievance.file"}
MOVES = {
    "referral": {
        "accept", "decline", "cancel", "no-show", "depart", "hold", "arrive", "outcome", "back-refer", "acknowledge",
    },
    "grievance": {"assign", "resolve", "confirm", "reopen"},
}  # fmt: skip
ACTING = {"opd.token", "referral.request"} | {f"{kind}.{move}" for kind, moves in MOVES.items() for move in moves}
"""Verbs that need `on`."""
VERBS = CREATING | ACTING


class Actor(BaseModel):
    role: str = Field(min_length=1)
    facility: str
    id: str = Field(min_length=1)


class Line(BaseModel):
    """One thing a person does. `at` and `occurred_at` have an offset; see tools/make_day.py for every field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int = Field(ge=1)
    at: AwareDatetime
    occurred_at: AwareDatetime | None = None
    actor: Actor
    verb: str
    key: str = Field(min_length=1, max_length=255)
    label: str | None = None
    on: str | None = None
    body: dict[str, Any]
    expect: Literal["ok", "same", "rejected"]


@dataclass(frozen=True)
class Day:
    """`totals` is what the last line says this day must create. `digest` names the file's content."""

    path: Path
    lines: tuple[Line, ...]
    totals: dict[str, int]
    digest: str


class Refused(Exception):
    """The file is not a day: one `file:line: what is wrong` per trouble, the first twenty."""

    def __init__(self, troubles: list[str]) -> None:
        more = [f"... and {len(troubles) - 20} more"] if len(troubles) > 20 else []
        super().__init__("\n".join(troubles[:20] + more))


def read_day(path: Path) -> Day:
    """Raises Refused before anything is sent."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Refused([f"{path}: {error.strerror}"]) from error
    troubles: list[str] = []
    lines: list[Line] = []
    labels: set[str] = set()
    totals: dict[str, int] | None = None
    rows = content.splitlines()
    for number, raw in enumerate(rows, 1):
        try:
            row = _object(raw)
            if row.get("verb") == "totals":
                if number != len(rows):
                    raise ValueError("the totals stand before the last line")
                totals = _totals(row)
            else:
                lines.append(_line(row, labels))
        except ValueError as error:
            troubles.append(f"{path}:{number}: {error}")
    if totals is None and not troubles:
        troubles.append(f"{path}:{len(rows) or 1}: the last line is not the totals; is the file cut short?")
    if troubles or totals is None:
        raise Refused(troubles)
    return Day(path, tuple(lines), totals, hashlib.sha256(content).hexdigest())


def _object(raw: bytes) -> dict[str, Any]:
    try:
        row = json.loads(raw)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    return row


def _line(row: dict[str, Any], labels: set[str]) -> Line:
    """Checks what one line alone can tell, and that what it acts on was named before."""
    try:
        line = Line.model_validate(row)
    except ValidationError as error:
        told = [f"{'.'.join(map(str, e['loc'])) or 'line'}: {e['msg'].lower()}" for e in error.errors()]
        raise ValueError("; ".join(told)) from error
    if line.verb not in VERBS:
        raise ValueError(f"verb: {line.verb!r} is none of {', '.join(sorted(VERBS))}")
    if line.verb in ACTING and line.on is None:
        raise ValueError(f"on: {line.verb} acts on something, and this line does not say on what")
    if line.on is not None and line.on not in labels:
        raise ValueError(f"on: no earlier line is labelled {line.on!r}")
    if line.label is not None:
        labels.add(line.label)
    return line


def _totals(row: dict[str, Any]) -> dict[str, int]:
    body = row.get("body")
    if not isinstance(body, dict) or not all(isinstance(value, int) for value in body.values()):
        raise ValueError("body: the totals are not whole numbers by name")
    return body


def journeys(lines: tuple[Line, ...]) -> list[int]:
    """Which journey each line belongs to: lines that share a label, a key or a person must keep their order."""
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for line in lines:
        for name in (line.label, line.on, line.actor.id.removeprefix("citizen:") if _is_person(line) else None):
            if name is not None:
                parent[find(f"label {name}")] = find(f"key {line.key}")
    numbers: dict[str, int] = {}
    return [numbers.setdefault(find(f"key {line.key}"), len(numbers)) for line in lines]


def _is_person(line: Line) -> bool:
    return line.actor.role == "citizen" and line.actor.id not in ("citizen:anonymous", "citizen:somebody-else")
