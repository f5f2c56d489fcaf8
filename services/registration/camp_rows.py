"""Reads what a camp brings: CSV with a header or JSON Lines, in UTF-8, each row by itself.

A row that cannot be read is answered with its field and reason; the others go on.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError, field_validator

from libs.contracts.event import Instant
from services.registration.domain.camp import Format
from services.registration.domain.identifiers import NoAadhaar
from services.registration.domain.patient import Details

MOST_ROWS = 20_000
LONGEST_RECORD = 20
"""Lines that a row may go over, by quoted line ends in its cells."""
NUMBERS = frozenset({"age_years", "district_lgd", "state_lgd", "block_lgd", "sub_district_lgd"})
NESTED = frozenset({"identifiers", "second_place"})
"""What has fields of its own, and so no cell: JSON Lines may have it."""


class CampRow(Details):
    """One person as the device wrote them down. `occurred_at` is when, with offset; `card` from the device's block."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    row_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:\-]{0,63}$"), NoAadhaar]
    occurred_at: Instant
    card: Annotated[str | None, Field(pattern=r"^C[0-9A-HJKMNP-TV-Z]{11}$")] = None

    @field_validator("occurred_at", mode="before")
    @classmethod
    def _as_iso(cls, value: Any) -> Any:
        if not isinstance(value, str) or not re.match(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:", value, re.ASCII):
            raise ValueError("must be an ISO 8601 time with offset, like 2026-07-10T09:30:00+05:30")
        return value

    @field_validator("card", mode="before")
    @classmethod
    def _as_printed(cls, value: Any) -> Any:
        return value.replace("-", "").replace(" ", "").upper() if isinstance(value, str) else value


COLUMNS = frozenset(CampRow.model_fields)


class Unreadable(Exception):
    """Nothing in the file can be read; says why, and repeats nothing of it."""


@dataclass(frozen=True)
class Read:
    """Line `line` of the file: a row, or what is wrong with it as (field, reason)."""

    line: int
    row: CampRow | None
    row_key: str | None
    errors: tuple[tuple[str, str], ...] = ()


def read_rows(content: bytes, format: Format) -> Iterator[Read]:
    """Every row, in order. Raises Unreadable before the first."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("must be UTF-8") from None
    return _csv(text) if format == "csv" else _json_lines(text)


def _csv(text: str) -> Iterator[Read]:
    records = (one for one in _records(text) if not isinstance(one[1], list) or any(cell.strip() for cell in one[1]))
    _, first = next(records, (0, None))
    if not isinstance(first, list):
        raise Unreadable("must begin with a header")
    header = [name.strip() for name in first]
    known = [name for name in header if name in COLUMNS - NESTED]
    if len(known) != len(header) or len(set(known)) != len(known):
        raise Unreadable(f"the header may name only these, each once: {', '.join(sorted(COLUMNS - NESTED))}")
    if missing := {"row_key", "occurred_at", "name", "sex"} - set(known):
        raise Unreadable(f"the header lacks {', '.join(sorted(missing))}")

    def rows() -> Iterator[Read]:
        for line, cells in records:
            if isinstance(cells, str):
                yield Read(line, None, None, (("row", cells),))
            elif len(cells) != len(header):
                yield Read(line, None, None, (("row", f"has {len(cells)} cells, not {len(header)}"),))
            else:
                yield _row(line, dict(zip(header, cells, strict=True)))

    return rows()


def _records(text: str) -> Iterator[tuple[int, list[str] | str]]:
    """Each record with its last line: its cells, or what is wrong with it. What cannot be read is one line, and reading
    goes on after it: a quote that nobody closed takes no other row along."""
    lines = list(io.StringIO(text, newline=""))
    at = 0
    while at < len(lines):
        taken, cells = _record(lines, at)
        yield at + taken, cells
        at += taken


def _record(lines: Sequence[str], at: int) -> tuple[int, list[str] | str]:
    """How many lines it is long, and the record that begins at this one."""
    for taken in range(1, min(LONGEST_RECORD, len(lines) - at) + 1):
        try:
            return taken, next(csv.reader(lines[at : at + taken], strict=True), [])
        except csv.Error as error:
            if "unexpected end" not in str(error):
                break
    return 1, "is no CSV: a quote is open, or stands within a cell, or a cell is too long"


def _json_lines(text: str) -> Iterator[Read]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            yield Read(number, None, None, (("row", "is no JSON"),))
            continue
        if not isinstance(said, dict):
            yield Read(number, None, None, (("row", "must be an object"),))
            continue
        yield _row(number, said)


def _row(line: int, said: Mapping[str, Any]) -> Read:
    """Empty cells are absent; numbers may be written as text."""
    given = {name: value.strip() if isinstance(value, str) else value for name, value in said.items()}
    given = {name: value for name, value in given.items() if value not in ("", None)}
    for name in NUMBERS & given.keys():
        if isinstance(given[name], str) and given[name].isascii() and given[name].isdecimal():
            given[name] = int(given[name])
    key = given.get("row_key")
    try:
        row = CampRow.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_input=False, include_context=False, include_url=False)
        errors = tuple((_field(item["loc"]), str(item["msg"]).removeprefix("Value error, ")) for item in found)
        shown = key if isinstance(key, str) and all(field != "row_key" for field, _ in errors) else None
        return Read(line, None, shown, errors)
    return Read(line, row, row.row_key)


def _field(place: tuple[int | str, ...]) -> str:
    name = str(place[0]) if place else "row"
    return name if name in COLUMNS else "(unknown)"
