"""The directory's file: what is read, and which line and field are named when it cannot be."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from services.referral import directory
from services.referral.directory import BadRow
from services.referral.domain import facility
from services.referral.domain.facility import FacilityChanged, FacilityListed

GOOD = {
    "code": "HP-KNR-CHC-POOH",
    "hip_id": "IN9900000001",
    "name": "CHC Pooh",
    "level": "CHC",
    "state_lgd": "2",
    "district_lgd": "19",
    "latitude": "31.76",
    "longitude": "78.59",
    "altitude_m": "2837",
    "beds": "30",
    "services": "general-medicine|obstetrics",
    "refers_to": "",
    "road_hours": "2.5",
    "winter_access": "open",
    "desk_email": "desk.pooh@hospital.example",
    "confidence": "medium",
}


def write(path: Path, *rows: dict[str, str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_projects_own_file_is_read_whole() -> None:
    rows = directory.read(Path("data/facilities.csv"))
    assert len(rows) == 35
    peo = next(row.card for row in rows if row.card.code == "HP-KNR-RH-PEO")
    assert peo.refers_to == "HP-SML-MC-IGMC"
    assert "blood-bank" in peo.services
    assert peo.officer_email == "officer.hp-knr-rh-peo@hospital.example"


def test_an_officers_mailbox_of_its_own_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", GOOD | {"officer_email": "complaints@hospital.example"})
    assert directory.read(path)[0].card.officer_email == "complaints@hospital.example"


def test_a_desk_without_the_prefix_gives_no_officer(tmp_path: Path) -> None:
    card = directory.read(write(tmp_path / "f.csv", GOOD | {"desk_email": "pooh@hospital.example"}))[0].card
    assert (card.desk_email, card.officer_email) == ("pooh@hospital.example", None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"code": "hp pooh"}, "code"),
        ({"code": ""}, "code"),
        ({"beds": "many"}, "beds"),
        ({"beds": "-1"}, "beds"),
        ({"latitude": "131"}, "latitude"),
        ({"longitude": "-200"}, "longitude"),
        ({"road_hours": "-2"}, "road_hours"),
        ({"refers_to": "NO-SUCH-PLACE"}, "refers_to"),
        ({"refers_to": "HP-KNR-CHC-POOH"}, "refers_to"),
        ({"services": "surgery||dental"}, "services"),
        ({"desk_email": "nobody"}, "desk_email"),
        ({"level": " "}, "level"),
    ],
)
def test_a_bad_row_is_named_by_line_and_field(tmp_path: Path, change: dict[str, str], field: str) -> None:
    first = GOOD | {"code": "HP-KNR-RH-PEO", "hip_id": "IN9900000003"}
    with pytest.raises(BadRow) as bad:
        directory.read(write(tmp_path / "f.csv", first, GOOD | change))
    assert (bad.value.line, bad.value.field) == (3, field)
    assert field in str(bad.value)
    assert "line 3" in str(bad.value)


def test_a_season_that_nobody_knows_is_named(tmp_path: Path) -> None:
    with pytest.raises(directory.BadRow, match="winter_access"):
        directory.read(Path("data/facilities.csv"), {"open"})


def test_a_code_that_stands_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRow) as bad:
        directory.read(write(tmp_path / "f.csv", GOOD, GOOD | {"hip_id": "IN9900000009"}))
    assert (bad.value.line, bad.value.field) == (3, "code")


def test_a_missing_column_and_a_missing_cell_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadRow) as bad:
        directory.read(write(tmp_path / "f.csv", {k: v for k, v in GOOD.items() if k != "beds"}))
    assert (bad.value.line, bad.value.field) == (1, "beds")
    path = write(tmp_path / "g.csv", GOOD)
    path.write_text(path.read_text(encoding="utf-8") + "HP-KNR-RH-PEO,IN9900000003,Peo\n", encoding="utf-8")
    with pytest.raises(BadRow) as bad:
        directory.read(path)
    assert (bad.value.line, bad.value.field) == (3, "level")


def test_the_hash_follows_the_content_and_not_the_order_of_columns(tmp_path: Path) -> None:
    row = directory.read(write(tmp_path / "a.csv", GOOD))[0]
    turned = directory.read(write(tmp_path / "b.csv", dict(reversed(GOOD.items()))))[0]
    changed = directory.read(write(tmp_path / "c.csv", GOOD | {"beds": "31"}))[0]
    assert row.source == turned.source != changed.source


def test_a_facility_is_listed_then_changed_only_when_it_says_something_new(tmp_path: Path) -> None:
    row = directory.read(write(tmp_path / "a.csv", GOOD))[0]
    listed = facility.decide(None, row.card, row.source)
    assert [type(event) for event in listed] == [FacilityListed]
    state = facility.evolve(None, listed[0])
    assert facility.decide(state, row.card, row.source) == []
    larger = row.card.model_copy(update={"beds": 31})
    changed = facility.decide(state, larger, "another")
    assert [type(event) for event in changed] == [FacilityChanged]
    assert facility.evolve(state, changed[0]).card.beds == 31
