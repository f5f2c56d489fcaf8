"""Link two CSV files of people, or find duplicates within one: `python -m services.registration.match A.csv [B.csv]`.

The map (JSON) gives for each of our fields its column, or a list of columns to be joined by a space, and `id` for the
record's id (the first column if it is left out). Our fields are name, given_name, family_name, sex, birth_date, age,
phone, guardian, house, street, village, district, state, postcode; any other name is an identifier. Nothing is
configured: term frequencies and weights are learnt from the files themselves.

Writes CSV with header left,right,weight,band to standard output; pairs of the band `new` are left out. The weight is in
bits. Exit status 2: a file, the map or a column it names cannot be read.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import io
import json
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from services.registration.domain.matching.births import read_age, read_birth
from services.registration.domain.matching.linking import link
from services.registration.domain.matching.person import Person, present, read_person

Columns = Mapping[str, tuple[str, ...]]

AGE_IN_DOUBT = 5
"""Years by which two samples of one population may differ in age."""


class Unusable(Exception):
    """What was given cannot be used; the text says why."""


def main(arguments: Sequence[str] | None = None, out: TextIO = sys.stdout, err: TextIO = sys.stderr) -> int:
    asked = _parser().parse_args(arguments)
    try:
        tables = [read_table(path) for path in asked.files]
        columns = read_map(asked.map)
        check_columns(columns, tables)
        day_first = days_first(columns, tables)
        this_year = year_of_ages(columns, tables, day_first)
        people = [to_people(table, columns, first, this_year) for table, first in zip(tables, day_first, strict=True)]
    except Unusable as error:
        print(f"match: {error}", file=err)
        return 2
    bar = Bar(err)
    links = link(people[0], people[1] if len(people) > 1 else None, bar.show)
    bar.end()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["left", "right", "weight", "band"])
    for one in links:
        writer.writerow([one.left, one.right, f"{one.weight:.2f}", one.band])
    out.flush()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.registration.match", description=__doc__.split("\n")[0])
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="CSV", help="one file for duplicates within, two to link"
    )
    parser.add_argument("--map", type=Path, required=True, help="JSON: our field -> column, or a list of columns")
    original = parser.parse_args

    def parse(*args: Any, **keywords: Any) -> Any:
        asked = original(*args, **keywords)
        if len(asked.files) > 2:
            parser.error("one file or two")
        return asked

    parser.parse_args = parse  # type: ignore[method-assign]
    return parser


class Table:
    """A file's rows by column name, each trimmed."""

    def __init__(self, path: Path, header: list[str], rows: list[list[str]]) -> None:
        self.path = path
        self.header = header
        self._places = {name.casefold(): place for place, name in reversed(list(enumerate(header)))}
        self.rows = rows

    def has(self, column: str) -> bool:
        return column.strip().casefold() in self._places

    def text(self, row: list[str], columns: Sequence[str]) -> str:
        """What the columns say, joined by a space; what is empty is left out."""
        places = [self._places.get(column.strip().casefold()) for column in columns]
        said = [row[place] for place in places if place is not None and place < len(row)]
        return " ".join(text for value in said if (text := present(value)))


def read_table(path: Path) -> Table:
    """UTF-8 with or without a mark, UTF-16 with one, else Latin-1; comma, semicolon, tab or bar. Raises Unusable."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    csv.field_size_limit(1 << 24)
    lines = io.StringIO(_decoded(raw).replace("\0", ""), newline="")
    first = lines.readline()
    if told := re.fullmatch(r'"?sep=([,;\t|])"?\s*', first):
        # A spreadsheet's own line, which says what parts the columns.
        delimiter = told.group(1)
    else:
        lines.seek(0)
        delimiter = max(",;\t|", key=re.sub('"[^"]*"', "", first).count)
    try:
        rows = [row for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if any(row)]
    except csv.Error as error:
        raise Unusable(f"{path}: {error}") from None
    if not rows:
        raise Unusable(f"{path}: has no header")
    return Table(path, [name.strip() for name in rows[0]], [[value.strip() for value in row] for row in rows[1:]])


def _decoded(raw: bytes) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def read_map(path: Path) -> Columns:
    """Raises Unusable."""
    try:
        said = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise Unusable(f"{path}: is not JSON in UTF-8") from None
    if not isinstance(said, dict):
        raise Unusable(f"{path}: must be an object of our fields")
    columns: dict[str, tuple[str, ...]] = {}
    for field, value in said.items():
        if isinstance(value, dict) and field in ("identifiers", "identifier"):
            columns |= {str(kind): _listed(path, kind, inner) for kind, inner in value.items()}
        elif value not in (None, "", []):
            columns[field] = _listed(path, field, value)
    return columns


def _listed(path: Path, field: str, value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) and one.strip() for one in values):
        raise Unusable(f"{path}: {field} must be a column's name, or a list of them")
    return tuple(values)


def check_columns(columns: Columns, tables: Sequence[Table]) -> None:
    """A column that no file has is a mistake in the map; one that a single file lacks is missing there."""
    for field, names in columns.items():
        for name in names:
            if not any(table.has(name) for table in tables):
                raise Unusable(f"map: {field}: no file has a column {name!r}")
    for table in tables:
        names = columns.get("id", ())
        if names and not any(table.has(name) for name in names):
            raise Unusable(f"map: id: {table.path} has no column {names[0]!r}")


def days_first(columns: Columns, tables: Sequence[Table]) -> list[bool]:
    """Of each file, whether 04/05/1987 is the fourth of May: as most of its dates say that leave no doubt; where none
    does, as the other file writes, else as India does."""
    evidence = [_days_first(columns, table) for table in tables]
    return [own >= 0 if own else sum(evidence) >= 0 for own in evidence]


def _days_first(columns: Columns, table: Table) -> int:
    """By how many dates more than the contrary."""
    more = 0
    for row in table.rows[:20000]:
        found = re.match(
            r"^(\d{1,2})[^0-9a-zA-Z](\d{1,2})[^0-9a-zA-Z]\d{2,4}\b", table.text(row, columns.get("birth_date", ()))
        )
        if found and int(found.group(1)) <= 31:
            more += (int(found.group(1)) > 12) - (int(found.group(2)) > 12)
    return more


def year_of_ages(columns: Columns, tables: Sequence[Table], day_first: Sequence[bool]) -> int:
    """The year ages count from: as the records that have both tell, else as the people of both kinds were born at much
    the same time, else this year."""
    both, births, ages = [], [], []
    for table, first in zip(tables, day_first, strict=True):
        for row in table.rows[:5000]:
            birth = read_birth(table.text(row, columns.get("birth_date", ())), first)
            age = read_age(table.text(row, columns.get("age", ())))
            if birth is not None and birth.year and age is not None:
                both.append(birth.year + age)
            elif birth is not None and birth.year:
                births.append(birth.year)
            elif age is not None:
                ages.append(age)
    if both:
        return int(statistics.median(both))
    today = dt.date.today().year
    if not births or not ages:
        return today
    guessed = round(statistics.median(births) + statistics.median(ages))
    return guessed if abs(guessed - today) > AGE_IN_DOUBT else today


def to_people(table: Table, columns: Columns, day_first: bool, this_year: int) -> list[Person]:
    of_id = columns.get("id") or (table.header[0],)
    fields = [field for field in columns if field != "id"]
    people = []
    for row in table.rows:
        said = {field: table.text(row, columns[field]) for field in fields}
        id = " ".join(row[place] for place in _places(table, of_id) if place < len(row))
        people.append(read_person(id, said, day_first=day_first, this_year=this_year))
    return people


def _places(table: Table, columns: Sequence[str]) -> list[int]:
    wanted = [column.strip().casefold() for column in columns]
    return [place for name in wanted for place, header in enumerate(table.header) if header.casefold() == name][
        : len(wanted)
    ]


class Bar:
    """Progress on a terminal or in a log: at most one line's rewrite per percent."""

    WIDTH = 30

    def __init__(self, err: TextIO) -> None:
        self._err = err
        self._last = -1

    def show(self, what: str, done: float) -> None:
        percent = int(100 * min(done, 1.0))
        if percent == self._last:
            return
        self._last = percent
        filled = "#" * (percent * self.WIDTH // 100)
        self._err.write(f"\r[{filled:<{self.WIDTH}}] {percent:3d} % {what:<16}")
        self._err.flush()

    def end(self) -> None:
        self._err.write("\n")
        self._err.flush()


if __name__ == "__main__":
    raise SystemExit(main())
