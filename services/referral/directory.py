"""Reads the facility directory from a CSV file. A bad row stops the start, with its line and field."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from libs.contracts.referral import FacilityCard

PROJECT = Path(__file__).resolve().parents[2]

COLUMNS = (
    "code",
    "hip_id",
    "name",
    "level",
    "state_lgd",
    "district_lgd",
    "latitude",
    "longitude",
    "altitude_m",
    "beds",
    "services",
    "refers_to",
    "road_hours",
    "winter_access",
    "desk_email",
)
"""Further columns are notes of whoever keeps the file, and not read; `officer_email` is read where there is one."""

MAY_BE_EMPTY = frozenset({"services", "refers_to", "desk_email"})


class BadRow(ValueError):
    """A row of the directory that cannot be taken; says line and field."""

    def __init__(self, path: Path, line: int, field: str, why: str) -> None:
        super().__init__(f"{path.name}, line {line}, {field}: {why}")
        self.line = line
        self.field = field


@dataclass(frozen=True)
class Row:
    """A facility as its row has it. `source` is the hash of its content, whatever the order of columns."""

    card: FacilityCard
    source: str


def located(path: Path) -> Path:
    """A relative path is meant from the project's root, wherever the process was started."""
    return path if path.is_absolute() else PROJECT / path


def read(path: Path, seasons: Collection[str] | None = None) -> list[Row]:
    """Every facility of the file, in its order. Raises BadRow (also for a `winter_access` that is none of `seasons`),
    and FileNotFoundError."""
    path = located(path)
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        for column in COLUMNS:
            if column not in (reader.fieldnames or ()):
                raise BadRow(path, 1, column, "this column is missing")
        found = [(reader.line_num, _row(path, reader.line_num, cells)) for cells in reader]
    _check_together(path, found)
    for line, row in found:
        if seasons is not None and row.card.winter_access not in seasons:
            raise BadRow(path, line, "winter_access", f"must be one of {', '.join(sorted(seasons))}")
    return [row for _, row in found]


def _row(path: Path, line: int, cells: dict[str | None, str | list[str] | None]) -> Row:
    if None in cells:
        raise BadRow(path, line, "row", "more cells than columns")
    said: dict[str, str] = {}
    for column in COLUMNS:
        cell = cells[column]
        if not isinstance(cell, str):
            raise BadRow(path, line, column, "this cell is missing")
        said[column] = cell.strip()
        if not said[column] and column not in MAY_BE_EMPTY:
            raise BadRow(path, line, column, "must not be empty")
    officer = cells.get("officer_email")
    officer_email = officer.strip() if isinstance(officer, str) else ""
    offered = tuple(code.strip() for code in said["services"].split("|")) if said["services"] else ()
    if "" in offered:
        raise BadRow(path, line, "services", "a code between two bars is empty")
    desk = said["desk_email"]
    if not officer_email and desk.startswith("desk."):
        officer_email = "officer." + desk.removeprefix("desk.")
    try:
        card = FacilityCard.model_validate(
            {name: value or None for name, value in said.items()}
            | {"services": offered, "officer_email": officer_email or None}
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BadRow(path, line, str(first["loc"][0]), first["msg"]) from None
    _check_ranges(path, line, card)
    said["officer_email"] = officer_email
    content = "\x1f".join(f"{name}={said[name]}" for name in sorted(said))
    return Row(card, hashlib.sha256(content.encode()).hexdigest())


def _check_ranges(path: Path, line: int, card: FacilityCard) -> None:
    if not -90 <= card.latitude <= 90:
        raise BadRow(path, line, "latitude", "must be degrees between -90 and 90")
    if not -180 <= card.longitude <= 180:
        raise BadRow(path, line, "longitude", "must be degrees between -180 and 180")
    if card.beds < 0:
        raise BadRow(path, line, "beds", "must not be negative")
    if card.road_hours < 0:
        raise BadRow(path, line, "road_hours", "must not be negative")
    for field, mailbox in (("desk_email", card.desk_email), ("officer_email", card.officer_email)):
        if mailbox is not None and mailbox.count("@") != 1:
            raise BadRow(path, line, field, "must be a mailbox")


def _check_together(path: Path, found: list[tuple[int, Row]]) -> None:
    codes: dict[str, int] = {}
    hips: dict[str, int] = {}
    for line, row in found:
        for field, value, seen in (("code", row.card.code, codes), ("hip_id", row.card.hip_id, hips)):
            if value in seen:
                raise BadRow(path, line, field, f"stands in line {seen[value]} already")
            seen[value] = line
    for line, row in found:
        if row.card.refers_to is not None and row.card.refers_to not in codes:
            raise BadRow(path, line, "refers_to", "is not a facility of this file")
        if row.card.refers_to == row.card.code:
            raise BadRow(path, line, "refers_to", "is the facility itself")
