"""`python -m services.registration.match`: any two files, or one; read as they come, learnt from alone."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from services.registration import match

SYLLABLES = ["ka", "ro", "mi", "ten", "bal", "su", "dor", "vi", "lan", "pe", "gor", "sha", "nim", "tas", "wel", "bru"]


def made_up(chance: random.Random, syllables: int) -> str:
    return "".join(chance.choice(SYLLABLES) for _ in range(syllables))


def people(seed: int, count: int) -> list[dict[str, str]]:
    """Strangers and households, as a register of another country has them."""
    chance = random.Random(seed)
    given = [made_up(chance, 2) for _ in range(80)]
    found: list[dict[str, str]] = []
    for number in range(count):
        home = found[-1] if found and chance.random() < 0.4 else None
        found.append(
            {
                "rec": f"r{number}",
                "first": chance.choice(given),
                "last": home["last"] if home else made_up(chance, 3),
                "dob": f"{chance.randint(1930, 2015)}{chance.randint(1, 12):02d}{chance.randint(2, 28):02d}",
                "road": home["road"] if home else made_up(chance, 3),
                "no": home["no"] if home else str(chance.randint(1, 200)),
                "town": home["town"] if home else made_up(random.Random(chance.randrange(30)), 3),
                "tel": home["tel"] if home else f"5550{chance.randrange(10**6):06d}",
            }
        )
    return found


def noted_again(chance: random.Random, row: dict[str, str]) -> dict[str, str]:
    row = dict(row, rec=row["rec"] + "x")
    for field in chance.sample(["first", "last", "dob", "road", "town", "tel", "no"], 2):
        text, place = row[field], chance.randrange(len(row[field]))
        row[field] = "" if chance.random() < 0.3 else text[:place] + text[place + 1 :]
    if chance.random() < 0.05:
        row["first"], row["last"] = row["last"], row["first"]
    return row


MAP = {
    "given_name": "first", "family_name": "last", "birth_date": "dob", "street": "road", "house": "no",
    "village": "town", "phone": "tel",
}  # fmt: skip


def write(path: Path, rows: Sequence[dict[str, str]], **options: Any) -> Path:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), **options)
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def run(files: Sequence[Path], mapping: dict[str, Any], folder: Path) -> tuple[list[dict[str, str]], str]:
    (folder / "map.json").write_text(json.dumps(mapping), encoding="utf-8")
    out, err = io.StringIO(), io.StringIO()
    assert match.main([*map(str, files), "--map", str(folder / "map.json")], out, err) == 0
    assert out.getvalue().startswith("left,right,weight,band\n")
    return list(csv.DictReader(io.StringIO(out.getvalue()))), err.getvalue()


def test_two_files_of_a_country_nobody_thought_of_are_linked(tmp_path: Path) -> None:
    chance = random.Random(11)
    ours = people(5, 400)
    theirs = [noted_again(chance, row) for row in ours[:250]] + [
        dict(row, rec=f"{row['rec']}new") for row in people(99, 150)
    ]
    chance.shuffle(theirs)
    links, shown = run([write(tmp_path / "a.csv", ours), write(tmp_path / "b.csv", theirs)], MAP, tmp_path)
    same = [(link["left"], link["right"]) for link in links if link["band"] == "same"]
    right = sum(f"{left}x" == right for left, right in same)
    assert right / len(same) >= 0.99
    assert right / 250 >= 0.93
    assert {link["band"] for link in links} <= {"same", "ask"}
    assert "100 %" in shown


def test_duplicates_within_one_file_are_each_named_once(tmp_path: Path) -> None:
    chance = random.Random(12)
    rows = people(6, 300)
    again = [noted_again(chance, row) for row in rows[:60]]
    both = rows + again
    chance.shuffle(both)
    links, _ = run([write(tmp_path / "a.csv", both)], {"id": "rec", **MAP}, tmp_path)
    same = {frozenset((link["left"], link["right"])) for link in links if link["band"] == "same"}
    true = {frozenset((row["rec"], row["rec"] + "x")) for row in rows[:60]}
    assert len(same & true) / len(same) >= 0.95
    assert len(same & true) / len(true) >= 0.9
    assert len(links) == len({frozenset((link["left"], link["right"])) for link in links})


def test_where_there_is_only_a_name_and_many_bear_it_nobody_is_surely_the_same(tmp_path: Path) -> None:
    chance = random.Random(23)
    given, family = [[made_up(chance, syllables) for _ in range(30)] for syllables in (2, 3)]
    often = lambda names: names[int(30 * chance.random() ** 2)]  # noqa: E731
    ours = [{"rec": f"r{n}", "first": often(given), "last": often(family)} for n in range(700)]
    theirs = [dict(row, rec=row["rec"] + "x") for row in ours[:400]]
    for row in theirs[:200]:
        row["first"], row["last"] = row["last"], row["first"]
    names = {"given_name": "first", "family_name": "last"}
    links, _ = run([write(tmp_path / "a.csv", ours), write(tmp_path / "b.csv", theirs)], names, tmp_path)
    same = [link for link in links if link["band"] == "same"]
    wrong = [link for link in same if f"{link['left']}x" != link["right"]]
    assert len(wrong) <= 0.05 * len(theirs)
    assert len(wrong) <= 0.1 * len(same)


def test_a_sister_at_the_same_address_and_phone_is_not_the_same_person(tmp_path: Path) -> None:
    ours = people(7, 200)
    sister = dict(ours[3], rec="s", first="zulmabet", dob="20030714")
    links, _ = run(
        [write(tmp_path / "a.csv", ours), write(tmp_path / "b.csv", [sister, *people(8, 100)])], MAP, tmp_path
    )
    assert not [link for link in links if link["right"] == "s" and link["band"] == "same"]


@pytest.mark.parametrize(
    "raw",
    [
        "\ufeffid,name,born\n1,José Müller Ortega,30/04/1987\n2,,\n".encode(),
        "id;name;born\n1;José Müller Ortega;30/04/1987\n2;;\n".encode("latin-1"),
        "id\tname\tborn\r\n1\tJosé Müller Ortega\t1987-04-30\r\n\r\n2\r\n".encode(),
        ' id , name , born\n1, "José Müller Ortega", 19870430\n2,nan,unknown\n'.encode(),
        "id,name,born\n1,José Müller Ortega,19870430\n2,\0,31/31/1987\n".encode("utf-16"),
    ],
)
def test_files_are_read_however_they_were_written(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(raw)
    table = match.read_table(path)
    columns = {"name": ("name",), "birth_date": ("Born",)}
    first, second = match.to_people(table, columns, True, 2026)
    assert (first.id, [word.text for word in first.name.words]) == ("1", ["jose", "muller", "ortega"])
    assert first.birth is not None
    assert (first.birth.year, first.birth.month, first.birth.day) == (1987, 4, 30)
    assert not second.name


def test_columns_are_joined_and_dates_read_as_the_file_writes_them(tmp_path: Path) -> None:
    rows = [{"k": "7", "a": "Anna", "b": "", "c": "Lee", "y": "1980", "m": "2", "d": "3", "x": "04/30/1987"}]
    table = match.read_table(write(tmp_path / "a.csv", rows))
    columns = {"given_name": ("a", "b"), "family_name": ("c",), "birth_date": ("y", "m", "d")}
    [person] = match.to_people(table, columns, match.days_first(columns, [table])[0], 2026)
    assert person.birth is not None
    assert (person.birth.month, person.birth.day) == (2, 3)
    assert match.days_first({"birth_date": ("x",)}, [table]) == [False]


def test_each_file_writes_its_dates_its_own_way(tmp_path: Path) -> None:
    ours = [{"id": "1", "born": "04/30/1987"}, {"id": "2", "born": "03/02/1980"}]
    theirs = [{"id": "1", "born": "30/04/1987"}, {"id": "2", "born": "02/03/1980"}]
    undecided = [{"id": "1", "born": "1987-04-30"}]
    tables = [match.read_table(write(tmp_path / f"{n}.csv", rows)) for n, rows in enumerate((ours, theirs, undecided))]
    columns = {"birth_date": ("born",)}
    assert match.days_first(columns, tables[:2]) == [False, True]
    assert match.days_first(columns, [tables[0], tables[2]]) == [False, False]
    assert match.days_first(columns, [tables[2]]) == [True]
    read = [
        match.to_people(table, columns, first, 2026)[1].birth
        for table, first in zip(tables[:2], match.days_first(columns, tables[:2]), strict=True)
    ]
    assert read[0] == read[1]


@pytest.mark.parametrize(
    ("ours", "theirs", "year"),
    [
        ({"born": "1960-01-05", "age": "40"}, {"age": "50"}, 2000),
        ({"born": "1960-01-05"}, {"age": "40"}, 2000),
        ({"born": "1960-01-05"}, {"born": "1960-01-05"}, dt.date.today().year),
        ({"age": "30"}, {"age": "40"}, dt.date.today().year),
    ],
)
def test_ages_count_from_the_year_the_files_tell(
    tmp_path: Path, ours: dict[str, str], theirs: dict[str, str], year: int
) -> None:
    files = [
        write(tmp_path / f"{n}.csv", [{"id": "1", "age": "", "born": "", **row}])
        for n, row in enumerate((ours, theirs))
    ]
    tables = [match.read_table(path) for path in files]
    columns = {"birth_date": ("born",), "age": ("age",)}
    assert match.year_of_ages(columns, tables, [True, True]) == year


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({"name": "nobody"}, "no file has a column 'nobody'"),
        ({"id": "nobody", "name": "first"}, "no file has a column"),
        ({"name": 7}, "must be a column's name"),
        ([], "must be an object"),
    ],
)
def test_a_map_that_fits_nothing_is_said_and_not_guessed(tmp_path: Path, mapping: Any, says: str) -> None:
    write(tmp_path / "a.csv", people(1, 3))
    (tmp_path / "map.json").write_text(json.dumps(mapping))
    out, err = io.StringIO(), io.StringIO()
    assert match.main([str(tmp_path / "a.csv"), "--map", str(tmp_path / "map.json")], out, err) == 2
    assert says in err.getvalue()
    assert out.getvalue() == ""


def test_a_file_that_says_by_what_it_is_parted_is_read_so(tmp_path: Path) -> None:
    raw = "sep=;\nid;name, full;dob\n1;Asta Brun, Dr;3 Jan 1980\n2;Brun, Asta;29223\n"
    (tmp_path / "a.csv").write_text(raw)
    (tmp_path / "map.json").write_text(json.dumps({"name": "name, full", "birth_date": "dob", "phone": "", "sex": []}))
    out = io.StringIO()
    assert match.main([str(tmp_path / "a.csv"), "--map", str(tmp_path / "map.json")], out, io.StringIO()) == 0
    assert [line.split(",")[:2] for line in out.getvalue().splitlines()[1:]] == [["1", "2"]]


def test_a_map_too_deep_to_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,name\n")
    (tmp_path / "map.json").write_text('{"name": ' + "[" * 100_000 + "]" * 100_000 + "}")
    err = io.StringIO()
    assert match.main([str(tmp_path / "a.csv"), "--map", str(tmp_path / "map.json")], io.StringIO(), err) == 2
    assert "is not JSON" in err.getvalue()


@pytest.mark.parametrize("rows", [0, 1])
def test_a_file_with_nobody_to_compare_has_no_links(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,name\n" + "1,Anna\n" * rows)
    links, _ = run([path], {"name": "name"}, tmp_path)
    assert links == []
