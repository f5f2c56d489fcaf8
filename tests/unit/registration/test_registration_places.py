"""Places by the day: names however spelt, what codes meant, what became of them, and where people are when."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.lined import BadFile
from libs.common.refusal import Refused
from libs.contracts.registration import PatientCard
from services.registration.ashas_api import NewBeat, _beats
from services.registration.domain import patient as patients
from services.registration.domain.patient import Changes, Details, Patient
from services.registration.domain.places import FIELDS, Kind, Lived, lived_in
from services.registration.places import FILE, read_places
from services.registration.places_api import is_in, spot, whereabouts
from services.registration.profile import read_profile

PLACES = read_places()
BEFORE, AFTER = dt.date(2023, 6, 1), dt.date(2026, 6, 1)


def districts(on: dt.date) -> set[str]:
    return {
        place.name
        for place in PLACES.all.values()
        if place.kind == "district" and place.holds(on) and place.parent(on) == "state-37"
    }


def test_ladakh_has_two_districts_and_then_seven() -> None:
    assert districts(dt.date(2019, 10, 30)) == set()
    assert districts(dt.date(2024, 8, 25)) == {"Kargil", "Leh Ladakh"}
    assert districts(dt.date(2024, 8, 26)) == {
        "Kargil", "Leh Ladakh", "Zanskar", "Drass", "Sham", "Nubra", "Changthang",
    }  # fmt: skip


@pytest.mark.parametrize("spelt", ["Khalsi", "Khaltsi", "Khaltse", "KHALATSE", "khaltsey"])
def test_one_place_however_it_is_spelt(spelt: str) -> None:
    lived = PLACES.lived(spelt, Lived(), BEFORE)
    assert lived == Lived(37, 9, 12, 95, BEFORE)


@pytest.mark.parametrize(
    ("spelt", "keys"),
    [
        ("Sankoo", {"sub-district-14", "block-69"}),
        ("Sanku", {"sub-district-14", "block-69"}),
        ("Zansker", {"district-zanskar", "sub-district-15", "block-73"}),
        ("Diskit", {"block-98"}),
        ("Lahaul & Spiti", {"district-21"}),
        ("J&K", {"state-1"}),
        ("Timbuktu", set()),
    ],
)
def test_aliases(spelt: str, keys: set[str]) -> None:
    assert {place.key for place in PLACES.named(spelt)} == keys


@pytest.mark.parametrize(
    ("said", "lived"),
    [
        (("Tissa", None), Lived(2, 16, None, 144, AFTER)),
        (("Baddi", None), Lived(2, 25, 162, None, AFTER)),
        (("Manali", None), Lived(2, 20, 117, None, AFTER)),
        # As Sopore or as Shahpur.
        (("Sopur", None), None),
        (("Sopur", 1), Lived(1, 3, 32, 31, AFTER)),
        (("Srinagar North", None), Lived(1, 13, 43, None, AFTER)),
        # Namesakes that lie in one another, down to the block.
        (("Spiti", None), Lived(2, 21, 116, 174, AFTER)),
        (("Gurez", None), Lived(1, 623, 40, 24, AFTER)),
        (("Chopal", None), Lived(2, 23, 185, 187, AFTER)),
        (("Handwara", None), Lived(1, 8, 2, 7002, AFTER)),
        (("Kullu", None), Lived(2, 20, 118, 170, AFTER)),
        (("Leh", None), Lived(37, 9, 10, 97, AFTER)),
        # A district of Himachal, and a sub-district and block of Poonch.
        (("Mandi", None), None),
        (("Mandi", 2), Lived(2, 22, 133, None, AFTER)),
        (("Mandi", 1), Lived(1, 10, 17, 102, AFTER)),
        # Of two territories.
        (("Rajgarh", None), None),
        (("Rajgarh", 1), Lived(1, 621, 6762, 6947, AFTER)),
        (("Rajgarh", 2), Lived(2, 24, 167, 197, AFTER)),
        # A sub-district of Budgam and a block of Kupwara.
        (("Magam", 1), None),
    ],
)
def test_sub_districts_and_blocks_of_all_three_territories_are_known_by_name(
    said: tuple[str, int | None], lived: Lived | None
) -> None:
    name, state = said
    if lived is not None:
        assert PLACES.lived(name, Lived(state_lgd=state), AFTER) == lived
        return
    with pytest.raises(Refused) as refused:
        PLACES.lived(name, Lived(state_lgd=state), AFTER)
    assert (refused.value.code, refused.value.field) == ("place-not-clear", "place")


@pytest.mark.parametrize(
    ("kind", "of_state"), [("sub-district", {1: 202, 2: 173, 37: 12}), ("block", {1: 287, 2: 80, 37: 13})]
)
def test_each_territory_has_its_sub_districts_and_blocks(kind: Kind, of_state: dict[int, int]) -> None:
    codes = [place.code for place in PLACES.all.values() if place.kind == kind]
    assert Counter(PLACES.settled(lived_in({kind: code}), AFTER).state_lgd for code in codes) == of_state


def test_every_district_of_lgd_has_sub_districts() -> None:
    codes = [place.code for place in PLACES.all.values() if place.kind == "sub-district"]
    of_district = Counter(PLACES.settled(Lived(sub_district_lgd=code), AFTER).district_lgd for code in codes)
    assert set(of_district) == set(PLACES.districts)
    assert {code: of_district[code] for code in (18, 19, 21, 5, 10, 626)} == {
        18: 35,
        19: 7,
        21: 3,
        5: 21,
        10: 6,
        626: 6,
    }


def test_a_beat_by_name_asks_where_namesakes_lie_apart() -> None:
    def beat(name: str) -> str:
        [found] = _beats(PLACES, (NewBeat(place=name),), AFTER)
        return found.place

    assert [beat(name) for name in ("Rohru", "Palampur", "Nubra", "sub-district-17")] == [
        "block-192", "sub-district-111", "sub-district-11", "sub-district-17",
    ]  # fmt: skip
    for name in ("Magam", "Mandi", "Rajgarh"):
        with pytest.raises(Refused) as refused:
            beat(name)
        assert (refused.value.code, refused.value.field) == ("place-not-clear", "places.0.place")


def test_a_stored_record_does_not_change_its_meaning_when_the_district_does() -> None:
    recorded = PLACES.lived("Zanskar", Lived(), BEFORE)
    assert (recorded.state_lgd, recorded.district_lgd, recorded.sub_district_lgd) == (37, 6, 15)
    shown = spot(PLACES, recorded, "Padum", AFTER)
    assert [place.name for place in shown.meant] == ["Ladakh", "Kargil", "Zanskar", "Zansker"]
    assert [place.name for place in shown.is_now] == ["Ladakh", "Zanskar", "Zanskar", "Zansker"]
    assert shown.certain
    # Of who is only known to be of Kargil, nobody can tell which of its heirs it is.
    vague = spot(PLACES, PLACES.settled(Lived(district_lgd=6), BEFORE), None, AFTER)
    assert [place.name for place in vague.meant] == ["Ladakh", "Kargil"]
    assert {place.name for place in vague.is_now} == {"Kargil", "Zanskar", "Drass"}
    assert not vague.certain
    # And of the days of the old state.
    old = PLACES.settled(Lived(1, 9), dt.date(2018, 1, 1))
    assert [place.name for place in PLACES.meaning(old).values()] == ["Jammu and Kashmir", "Leh Ladakh"]
    with pytest.raises(Refused) as refused:
        PLACES.settled(Lived(1, 9), AFTER)
    assert refused.value.field == "district_lgd"


def test_while_a_new_district_has_no_code_its_people_are_recorded_under_the_old_one() -> None:
    assert PLACES.lived("Zanskar", Lived(), AFTER) == Lived(37, 6, 15, 73, AFTER)
    assert PLACES.settled(Lived(sub_district_lgd=11), AFTER) == Lived(37, 9, 11, None, AFTER)


@given(st.sampled_from(sorted(PLACES.all)), st.dates(dt.date(2015, 1, 1), dt.date(2030, 1, 1)))
def test_whatever_is_settled_stays_as_it_is_settled(key: str, on: dt.date) -> None:
    place = PLACES.all[key]
    if place.code is None or not place.holds(on):
        return
    settled = PLACES.settled(Lived(**{FIELDS[place.kind]: place.code}), on)  # type: ignore[arg-type]
    assert PLACES.settled(settled, on) == settled
    assert all(settled.code(kind) for kind in {"state", place.kind})
    meant = PLACES.meaning(settled)
    assert meant[place.kind] is place
    # What it meant then, it means whenever it is asked.
    assert PLACES.meaning(settled, on) == meant


def card(**said: object) -> PatientCard:
    details = Details.model_validate({"name": "Tsering", "sex": "male", "age_years": 30} | said)
    [event] = patients.decide(
        None, patients.Register(patients.new_card("p1", details, "LA-LEH-CHC-NYOMA", AFTER, PLACES)), PLACES
    )
    return patients.evolve(None, event).card


def test_people_who_move_with_the_seasons_are_found_where_they_are() -> None:
    person = card(
        place="Nyoma",
        village="Korzok",
        second_place={"months": [3, 11, 12, 1, 2], "place": "Leh", "village": "Choglamsar"},
    )
    assert (person.district_lgd, person.sub_district_lgd, person.place_on) == (9, 7162, AFTER)
    assert person.second_place is not None
    assert person.second_place.months == (1, 2, 3, 11, 12)
    summer = whereabouts(PLACES, "p1", person, dt.date(2026, 7, 1))
    winter = whereabouts(PLACES, "p1", person, dt.date(2027, 1, 31))
    assert (summer.at, summer.there.village) == ("home", "Korzok")
    assert (winter.at, winter.there.village) == ("second-place", "Choglamsar")
    assert [place.name for place in summer.there.is_now] == ["Ladakh", "Changthang", "Nyoma", "Nyoma"]
    assert is_in(PLACES, person, person.place_on, PLACES.all["district-changthang"], dt.date(2026, 7, 1))
    assert not is_in(PLACES, person.second_place, person.place_on, PLACES.all["district-changthang"], AFTER)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"place": "Timbuktu"}, "place"),
        ({"place": "Nubra", "district_lgd": 6}, "place"),
        ({"place": "Nubra", "state_lgd": 2}, "place"),
        ({"sub_district_lgd": 15, "district_lgd": 9}, "sub_district_lgd"),
        ({"block_lgd": 4711}, "block_lgd"),
        ({"second_place": {"months": [1], "place": "Timbuktu"}}, "second_place.place"),
        ({"second_place": {"months": [1], "district_lgd": 9, "state_lgd": 2}}, "second_place.district_lgd"),
    ],
)
def test_a_wrong_place_names_its_field(said: dict[str, object], field: str) -> None:
    with pytest.raises(Refused) as refused:
        card(**said)
    assert refused.value.field == field


def test_moving_house_brings_new_codes_and_their_day() -> None:
    state = Patient(card=card(place="Khaltse"))
    later = dt.date(2027, 2, 3)
    [event] = patients.decide(state, patients.Correct(Changes(district_lgd=20), later), PLACES)
    moved = patients.evolve(state, event).card
    assert (moved.state_lgd, moved.district_lgd, moved.sub_district_lgd, moved.block_lgd) == (2, 20, None, None)
    assert moved.place_on == later


def test_a_shared_profile_brings_its_district_by_any_of_its_names() -> None:
    def shared(district: str | None) -> int | None:
        body = {
            "intent": "PROFILE_SHARE",
            "metaData": {"hipId": "IN9900000101", "context": "OPD1"},
            "profile": {
                "patient": {
                    "abhaAddress": "a@sbx", "name": "Dolma", "gender": "F", "yearOfBirth": "1986",
                    "address": {"line": "x", "district": district, "state": "HIMACHAL PRADESH"},
                }
            },
        }  # fmt: skip
        return read_profile(body, AFTER, PLACES).details.district_lgd

    assert [shared(name) for name in ("LAHUL & SPITI", "Lahaul Spiti", "Srinagar", None)] == [21, 21, None, None]


SHIPPED = FILE.read_text(encoding="utf-8")


OLD_STATE = "{place: state-1, until: 2019-10-30}"


@pytest.mark.parametrize(
    ("was", "becomes", "why"),
    [
        (
            "{place: state-1, until: 2019-10-30}",
            "{place: state-1, until: 2019-10-29}",
            "gap: must go on from 2019-10-30",
        ),
        (
            "{place: state-1, until: 2019-10-30}",
            "{place: state-1, until: 2019-10-31}",
            "contradiction: must go on from",
        ),
        ("code: 2, name: Budgam", "code: 1, name: Budgam", "district-1 stands twice"),
        ("name: Budgam", "name: Anantnag", "district-1 is called anantnag too"),
        ("within: state-1", "within: state-99", "state-99 is no larger place"),
        ("Gohar: 176", "Gohar: 175", "block-175 stands twice"),
        ("Baddi: 162", "Baddi: 158", "sub-district-158 stands twice"),
        ("{Nahan: 194,", "{Nahan: 194, nahan: 4711,", "block-194 is called nahan too"),
        ("  within: district-15\n", "  within: district-15\n  name: Bilaspur\n", "has codes by name"),
        ("kind: district, code: 1,", "kind: hamlet, code: 1,", "'state', 'district', 'sub-district' or 'block'"),
    ],
)
def test_a_bad_directory_is_refused_with_its_line(tmp_path: Path, was: str, becomes: str, why: str) -> None:
    assert was in SHIPPED
    path = tmp_path / "places.yaml"
    path.write_text(SHIPPED.replace(was, becomes, 1), encoding="utf-8")
    with pytest.raises(BadFile, match=r"places.yaml:\d+: ") as bad:
        read_places(path)
    assert why in str(bad.value)
