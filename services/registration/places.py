"""Reads the places of the directory from places.yaml beside this file; a bad one is refused with its line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from libs.common.lined import read
from libs.common.misfit import Misfit
from services.registration.domain.identifiers import fold
from services.registration.domain.places import FOR_EVER, KINDS, LONG_AGO, Kind, Place, Places, Within

FILE = Path(__file__).with_name("places.yaml")

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,60}$")]
Name = Annotated[str, Field(max_length=100)]


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WithinRow(_Written):
    place: Key
    since: dt.date = LONG_AGO
    until: dt.date = FOR_EVER


class Row(_Written):
    """`within` is one place for good, or a list of places with their days. `codes` are several places that have nothing
    of their own but a name and a code."""

    kind: Kind
    code: Annotated[int, Field(ge=1, le=999_999)] | None = None
    codes: dict[Name, Annotated[int, Field(ge=1, le=999_999)]] = Field(default_factory=dict)
    key: Key | None = None
    name: Name = ""
    also: tuple[str, ...] = ()
    since: dt.date = LONG_AGO
    until: dt.date = FOR_EVER
    within: Key | tuple[WithinRow, ...] = ()
    language: str | None = None
    note: str = Field("", max_length=300)

    @model_validator(mode="after")
    def _one_or_several(self) -> Row:
        if self.codes and self.model_fields_set & {"name", "code", "key", "also"}:
            raise ValueError("has codes by name, so it has no name or code of its own")
        return self

    def each(self) -> list[Row]:
        """Itself, or one for each of its codes."""
        own = [{"name": name, "code": code, "codes": {}} for name, code in self.codes.items()]
        return [self.model_copy(update=one) for one in own] or [self]

    @property
    def parents(self) -> str:
        return self.within if isinstance(self.within, str) else ", ".join(one.place for one in self.within)

    @property
    def own_key(self) -> str:
        return self.key or f"{self.kind}-{self.code}"

    def place(self) -> Place:
        if isinstance(self.within, str):
            within: tuple[Within, ...] = (Within(self.within, self.since, self.until),)
        else:
            within = tuple(Within(each.place, each.since, each.until) for each in self.within)
        return Place(
            key=self.own_key,
            kind=self.kind,
            name=self.name,
            code=self.code,
            also=self.also,
            since=self.since,
            until=self.until,
            within=within,
            language=self.language,
            note=self.note,
        )


class Directory(RootModel[list[Row]]):
    @model_validator(mode="after")
    def _fits_together(self) -> Directory:
        rows: dict[str, Row] = {}
        names: dict[tuple[str, str, str], str] = {}
        for index, row in self._each():
            if not row.name:
                raise Misfit("needs a name, or codes by name", index)
            if row.code is None and row.key is None:
                raise Misfit("needs a code, or a key while it has none", index)
            if row.own_key in rows:
                raise Misfit(f"{row.own_key} stands twice", index)
            if row.since > row.until:
                raise Misfit("ends before it begins", index, "until")
            for name in {fold(each) for each in (row.name, *row.also)}:
                if (taken := names.setdefault((row.kind, name, row.parents), row.own_key)) != row.own_key:
                    raise Misfit(f"{taken} is called {name} too", index, "name")
            rows[row.own_key] = row
        for index, row in self._each():
            self._check_parents(index, row, rows)
        return self

    def _each(self) -> Iterator[tuple[int, Row]]:
        for index, row in enumerate(self.root):
            for one in row.each():
                yield index, one

    def _check_parents(self, index: int, row: Row, rows: dict[str, Row]) -> None:
        """Part of a larger place on each of its days, and of one at a time."""
        within = row.place().within
        if row.kind == "state":
            if within:
                raise Misfit("a state is part of nothing here", index, "within")
            return
        day = row.since
        for each in within:
            above = rows.get(each.place)
            if above is None or KINDS.index(above.kind) >= KINDS.index(row.kind):
                raise Misfit(f"{each.place} is no larger place of this file", index, "within")
            if each.since != day:
                problem = "gap" if each.since > day else "contradiction"
                raise Misfit(f"{problem}: must go on from {day}", index, "within")
            if each.since < above.since or each.until > above.until:
                raise Misfit(f"{each.place} is not there on all of these days", index, "within")
            day = each.until if each.until == FOR_EVER else each.until + dt.timedelta(days=1)
        if not within or within[-1].until != row.until:
            raise Misfit("gap: must be part of something to its last day", index, "within")


def read_places(path: Path = FILE) -> Places:
    """Raises BadFile."""
    return Places.of([one.place() for row in read(path, Directory).root for one in row.each()])
