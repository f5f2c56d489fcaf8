"""Reads what a camp brings: CSV with a header or JSON Lines, in UTF-8, each row by itself.

A row that cannot be read is answered with its field and reason; the others go on.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError, field_validator

from libs.contracts.event import Instant
from services.registration.domain.camp import Format
from services.registration.domain.identifiers import NoAadhaar
from services.registration.domain.patient import Details

MOST_ROWS = 20_000
NUMBERS = frozenset({"age_years", "district_lgd", "state_lgd"})


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
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(lines)]
    except (StopIteration, csv.Error):
        raise Unreadable("must begin with a header") from None
    known = [name for name in header if name in COLUMNS]
    if len(known) != len(header) or len(set(known)) != len(known):
        raise Unreadable(f"the header may name only these, each once: {', '.join(sorted(COLUMNS))}")
    if missing := {"row_key", "occurred_at", "name", "sex"} - set(known):
        raise Unreadable(f"the header lacks {', '.join(sorted(missing))}")

    def rows() -> Iterator[Read]:
        while True:
            try:
                cells = next(lines)
            except StopIteration:
                return
            except csv.Error:
                yield Read(lines.line_num, None, None, (("row", "is no CSV: a quote is open"),))
                return
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                yield Read(lines.line_num, None, None, (("row", f"has {len(cells)} cells, not {len(header)}"),))
                continue
            yield _row(lines.line_num, dict(zip(header, cells, strict=True)))

    return rows()


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
