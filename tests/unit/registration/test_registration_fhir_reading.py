"""What comes in FHIR, in any shape: read as far as it says something, or refused with the place, never with a crash."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from libs.common.aadhaar import contains_aadhaar
from libs.common.access import Access, Caller
from libs.contracts.registration import PatientCard
from services.registration.domain.fhir_patient import bundle, fits_birth, from_fhir, to_fhir
from services.registration.domain.matching.model import Band
from services.registration.domain.patient import Patient
from services.registration.domain.review import Candidate
from services.registration.fhir_api import _parameters, _posted, _searched, _wanted, router

HERE = "LA-LEH-CHC-DISKIT"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("name", "telecom", "birthDate", "gender", "address", "contact", "identifier")


@given(st.fixed_dictionaries(dict.fromkeys(FIELDS, ANYTHING)))
def test_a_patient_of_any_shape_is_read_as_far_as_it_says_something(said: dict[str, Any]) -> None:
    assert set(from_fhir(said)) >= {"name", "sex", "phone"}


@pytest.mark.parametrize(
    "said",
    [
        {"contact": [{"name": "Tashi"}]},
        {"identifier": [{"type": ["HIN"], "value": "1"}]},
        {"identifier": [{"type": {"coding": [{"code": ["HIN"]}]}, "value": "1"}]},
        {"identifier": [{"type": {"coding": [{"code": {"HIN": 1}}]}, "value": "1"}]},
        {"identifier": 7},
        {"name": {"text": "not a list"}},
        {"name": [{"given": "Padma", "family": 4}]},
    ],
)
def test_a_field_of_another_kind_says_nothing(said: dict[str, Any]) -> None:
    assert from_fhir(said)["name"] == ""


@pytest.mark.parametrize("parameter", [7, {"name": "resource"}, [7], [{"name": "resource", "resource": []}], None])
def test_parameters_of_another_kind_are_refused(parameter: Any) -> None:
    with pytest.raises(ValueError, match="resource must be a Patient"):
        _parameters(json.dumps({"resourceType": "Parameters", "parameter": parameter}).encode())


def test_an_aadhaar_number_is_refused_with_the_place_where_it_stands() -> None:
    patient = {"resourceType": "Patient", "address": [{"line": ["near 9999 4105 7058"]}]}
    asked = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": patient}]}
    with pytest.raises(ValueError, match=r"^Patient\.address\.line holds twelve digits") as refused:
        _parameters(json.dumps(asked).encode())
    assert "4105" not in str(refused.value)


def test_a_phone_of_a_match_may_look_like_an_aadhaar_number_with_91_before_it_and_no_otherwise() -> None:
    def asked(phone: str) -> bytes:
        patient = {"resourceType": "Patient", "telecom": [{"system": "phone", "value": phone}]}
        parameters = [{"name": "resource", "resource": patient}]
        return json.dumps({"resourceType": "Parameters", "parameter": parameters}).encode()

    alike = next(f"5550{n:06d}" for n in range(100) if contains_aadhaar(f"91 5550{n:06d}"))
    assert _parameters(asked(f"+91 {alike}"))[0]["phone"] == f"+91 {alike}"
    for phone in (f"91{alike}", "9999 4105 7058", "999941057058"):
        with pytest.raises(ValueError, match=r"^Patient\.telecom\.value holds twelve digits"):
            _parameters(asked(phone))


@pytest.mark.parametrize(
    ("said", "others", "place"),
    [
        ({"name": "Padma"}, [], "Patient must have"),
        ({"name": [{"text": "Padma"}], "gender": "F"}, [], "Patient.gender"),
        ({"name": [{"text": "Padma"}], "gender": 5}, [], "Patient.gender"),
        ({"name": [{"text": "Padma"}], "birthDate": "1980-02-30"}, [], "Patient.birthDate"),
        ({"name": [{"text": "Padma"}], "birthDate": "30-04-1980"}, [], "Patient.birthDate"),
        ({"name": [{"text": "Padma"}], "birthDate": 1980}, [], "Patient.birthDate"),
        ({"name": [{"text": "Padma"}]}, [{"name": "count", "valueInteger": True}], "the parameter count"),
        ({"name": [{"text": "Padma"}]}, [{"name": "count", "valueInteger": 0}], "the parameter count"),
        ({"name": [{"text": "Padma"}]}, [{"name": "count", "valueString": "3"}], "the parameter count"),
        ({"name": [{"text": "Padma"}]}, [{"name": "onlyCertainMatches", "valueBoolean": "x"}], "the parameter only"),
    ],
)
def test_a_match_that_asks_nonsense_is_refused_with_the_place(said: Any, others: list[Any], place: str) -> None:
    resource = {"name": "resource", "resource": {"resourceType": "Patient"} | said}
    asked = {"resourceType": "Parameters", "parameter": [resource, *others]}
    with pytest.raises(ValueError, match=f"^{place}"):
        _parameters(json.dumps(asked).encode())


@pytest.mark.parametrize(
    ("form", "parameter"),
    [
        ("name=Padma&gender=x", "gender"),
        ("name=Padma&_count=x", "_count"),
        ("name=Padma&_count=-1", "_count"),
        ("name=Padma&_format=xml", "_format"),
        ("name=Padma&birthdate=1980-02-30", "birthdate"),
        ("name=Padma&birthdate=0000", "birthdate"),
        ("name=Padma&phone=5550123456&phone=5550123457", "phone"),
        ("name=" + "b" * 20_000, "name"),
        ("name=Padma&Padma+Lhamo=x", "one of these"),
    ],
)
def test_a_search_that_asks_nonsense_is_refused_by_the_parameters_name(form: str, parameter: str) -> None:
    with pytest.raises(ValueError, match=f"^{parameter} "):
        _wanted(_posted(form.encode()))


def test_names_that_come_several_times_all_apply_and_a_token_may_name_its_system() -> None:
    wanted = _wanted(_posted(b"name=Padma&given=Lhamo&name=Angmo&telecom=phone%7C5550123456&_format=json&_count=0"))
    assert (set(wanted["words"]), wanted["phone"], wanted["count"]) == ({"padma", "lhamo", "angmo"}, "+915550123456", 0)
    assert "entry" not in bundle([], counted=1)
    assert bundle([], counted=1)["total"] == 1


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"name=%FF", b"&".join(b"a%d=1" % n for n in range(60))])
def test_a_form_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="form in UTF-8"):
        _posted(raw)


@pytest.mark.parametrize(
    ("born", "asked", "fits"),
    [
        ("1987-04-30", "1987-04-30", True),
        ("1987-04-30", "eq1987-04", True),
        ("1987-04-30", "1987-05", False),
        ("1987", "1987", True),
        ("1987", "1987-04-30", False),
        ("1987-04-30", "ge1987", True),
        ("1987-04-30", "gt1987", False),
        ("1987-04-30", "gt1986-12-31", True),
        ("1987-04-30", "lt1987-05", True),
        ("1987-04-30", "le1987-04-29", False),
        ("1987-04-30", "ne1987", False),
    ],
)
def test_a_birth_date_is_searched_for_by_day_month_year_and_before_and_after(born: str, asked: str, fits: bool) -> None:
    assert fits_birth(born, asked) is fits


@pytest.mark.parametrize("asked", ["30/04/1987", "1987-13", "x1987", "1987-4", "about1987", "\u0661987"])
def test_what_is_no_date_is_refused_by_name(asked: str) -> None:
    with pytest.raises(ValueError, match="birthdate must be like"):
        fits_birth("1987", asked)


def test_of_who_was_erased_no_empty_name_is_shown() -> None:
    shown = to_fhir("p", PatientCard(id="p", registered_at="LA-LEH-CHC-DISKIT"))
    assert "name" not in shown
    assert shown["active"] is False


PEOPLE = {f"p{n}": Patient(card=PatientCard(id=f"p{n}", name="Padma Lhamo", registered_at=HERE)) for n in range(3)}


class Asked:
    """Three people of one name, and who of them was written down as read."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.journal = self.read_log = self.known = self

    async def record(self, access: Any, patient: list[str]) -> None:
        self.read += patient

    async def search(self, *_: Any, limit: int, **__: Any) -> tuple[list[dict[str, Any]], None]:
        return [{"_id": id, "state": state.model_dump(mode="json")} for id, state in PEOPLE.items()][:limit], None

    async def merged_into(self, id: str) -> list[str]:
        return []

    async def candidates(self, id: str, card: Any) -> tuple[list[Candidate], bool]:
        bands: list[Band] = ["ask", "same", "same"]
        return [
            Candidate(patient=id, band=band, weight=9.0, probability=0.9)
            for id, band in zip(PEOPLE, bands, strict=True)
        ], False

    async def load(self, kind: Any, id: str) -> dict[str, Any]:
        return {"_id": id, "state": PEOPLE[id].model_dump(mode="json")}


DESK = Access(Caller("d1", "desk", HERE))


@pytest.mark.parametrize(("count", "shown"), [("0", []), ("2", ["p0", "p1"]), ("20", ["p0", "p1", "p2"])])
def test_of_a_search_those_whom_the_answer_shows_were_read_and_no_others(count: str, shown: list[str]) -> None:
    asked: Any = Asked()
    answer = json.loads(asyncio.run(_searched(asked, asked, {"name": "Padma", "_count": count}, DESK)).body)
    assert [entry["resource"]["id"] for entry in answer.get("entry", [])] == asked.read == shown
    assert answer["total"] == (len(shown) or 3)


@pytest.mark.parametrize(("certain", "count", "shown"), [(True, 9, ["p1"]), (False, 2, ["p0", "p1"])])
def test_of_a_match_those_whom_the_answer_shows_were_read(certain: bool, count: int, shown: list[str]) -> None:
    asked: Any = Asked()
    said = [
        {"name": "resource", "resource": {"resourceType": "Patient", "name": [{"text": "Padma Lhamo"}]}},
        {"name": "onlyCertainMatches", "valueBoolean": certain},
        {"name": "count", "valueInteger": count},
    ]
    body = json.dumps({"resourceType": "Parameters", "parameter": said}).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    [match] = [one.endpoint for one in router(asked, asked).routes if getattr(one, "path", "").endswith("$match")]  # type: ignore[attr-defined]
    answer = json.loads(asyncio.run(match(request, DESK)).body)
    assert [entry["resource"]["id"] for entry in answer["entry"]] == asked.read == shown
