"""What the ABDM gateway sends, in every shape seen."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.registration.abdm import error_code, timestamp
from services.registration.older_profile import todays_shape
from services.registration.places import read_places
from services.registration.profile import ShareRefused, read_profile

ON = dt.date(2026, 11, 20)
PLACES = read_places()
OBSERVED: dict[str, Any] = {
    "intent": "PROFILE_SHARE",
    "metaData": {"hipId": "IN9900000001", "context": "OPD1", "hprId": None, "latitude": "34.16", "longitude": None},
    "profile": {
        "patient": {
            "abhaNumber": None,
            "abhaAddress": "x@sbx",
            "name": "Tsering Dolma",
            "gender": "F",
            "dayOfBirth": "6",
            "monthOfBirth": None,
            "yearOfBirth": "2000",
            "address": {"line": "Diskit", "district": None, "state": "LADAKH", "pincode": None},
            "phoneNumber": "5550123456",
        }
    },
}


def sent(meta: dict[str, Any] | None = None, **patient: Any) -> dict[str, Any]:
    body = copy.deepcopy(OBSERVED)
    body["profile"]["patient"] |= patient
    body["metaData"] |= meta or {}
    return body


def test_the_observed_payload() -> None:
    shared = read_profile(OBSERVED, ON, PLACES)
    said = shared.details
    assert (shared.hip_id, shared.counter, shared.state_lgd) == ("IN9900000001", "OPD1", 37)
    assert (said.name, said.sex, said.phone, said.village) == ("Tsering Dolma", "female", "+915550123456", "Diskit")
    assert (said.birth_date, said.age_years, said.abha_number, said.abha_address) == (None, 26, None, "x@sbx")


nullable = st.fixed_dictionaries(
    {},
    optional={
        "abhaNumber": st.sampled_from([None, "", "00-8211-6734-2079", "00821167342079"]),
        "gender": st.sampled_from([None, "M", "F", "O", "D", "T", "U", "m"]),
        "dayOfBirth": st.sampled_from([None, "", "6", 6, "06", "31", "0", "x"]),
        "monthOfBirth": st.sampled_from([None, "", "2", 2, "12", "13"]),
        "yearOfBirth": st.sampled_from([None, "", "2000", 2000, "2026"]),
        "phoneNumber": st.sampled_from([None, "", "5550123456", 5550123456, "+915550123456", "05550123456", "12"]),
        "address": st.sampled_from(
            [
                None,
                {},
                {"line": None, "district": None, "state": None, "pincode": None},
                {"line": "H.No 12/4, Main Bazar", "state": "JAMMU AND KASHMIR", "pincode": "194101"},
                {"line": "12/4", "pinCode": 194101, "PINCODE": None},
                {"line": "Karzoo " * 60, "state": "ladakh"},
            ]
        ),
    },
)
meta = st.fixed_dictionaries(
    {},
    optional={
        "hprId": st.sampled_from([None, "", "71234567890123"]),
        "latitude": st.sampled_from([None, "", "34.16", 34.16]),
        "longitude": st.sampled_from([None, "77.58"]),
    },
)


@settings(max_examples=300, deadline=None)
@given(nullable, meta)
def test_every_null_and_spelling_is_taken(patient: dict[str, Any], about: dict[str, Any]) -> None:
    said = read_profile(sent(about, **patient), ON, PLACES).details
    assert said.name == "Tsering Dolma"
    assert said.abha_number in (None, "00821167342079")
    assert said.phone in (None, "+915550123456")
    assert said.birth_date is None or said.age_years is None


@pytest.mark.parametrize(
    "key", ["abhaNumber", "gender", "dayOfBirth", "monthOfBirth", "yearOfBirth", "address", "phoneNumber"]
)
def test_what_is_null_may_be_missing(key: str) -> None:
    body = sent()
    del body["profile"]["patient"][key]
    assert read_profile(body, ON, PLACES).details.abha_address == "x@sbx"


@pytest.mark.parametrize(
    ("parts", "date", "age"),
    [
        (("6", "1", "1976"), dt.date(1976, 1, 6), None),
        ((6, 1, 1976), dt.date(1976, 1, 6), None),
        ((None, None, "1976"), None, 50),
        (("31", "2", "1976"), None, 50),
        (("21", "11", "2026"), None, 0),
        ((None, None, None), None, None),
    ],
)
def test_birth(parts: tuple[Any, Any, Any], date: dt.date | None, age: int | None) -> None:
    day, month, year = parts
    said = read_profile(sent(dayOfBirth=day, monthOfBirth=month, yearOfBirth=year), ON, PLACES).details
    assert (said.birth_date, said.age_years) == (date, age)


REFUSED: list[tuple[Any, str, str]] = [
    ([], "body", "ABDM-1006"),
    ({"intent": "RECORD_SHARE"}, "intent", "ABDM-1149"),
    (OBSERVED | {"intent": None}, "intent", "ABDM-1149"),
    (OBSERVED | {"metaData": None}, "metaData", "ABDM-1006"),
    (OBSERVED | {"profile": None}, "profile", "ABDM-1102"),
    (OBSERVED | {"profile": {"patient": None}}, "profile.patient", "ABDM-1102"),
    (sent({"hipId": "IN99"}), "metaData.hipId", "ABDM-1035"),
    (sent({"context": ""}), "metaData.context", "ABDM-1006"),
    (sent({"context": "OPD-1"}), "metaData.context", "ABDM-1006"),
    (sent({"context": "A" * 21}), "metaData.context", "ABDM-1006"),
    (sent(name=None), "profile.patient.name", "ABDM-1006"),
    (sent(name="  "), "profile.patient.name", "ABDM-1006"),
    (sent(gender="X"), "profile.patient.gender", "ABDM-1006"),
    (sent(abhaNumber="12345"), "profile.patient.abhaNumber", "ABDM-1013"),
    (sent(abhaAddress=None), "profile.patient.abhaAddress", "ABDM-1170"),
    (sent(abhaAddress="nobody"), "profile.patient.abhaAddress", "ABDM-1170"),
    (sent(yearOfBirth="19"), "profile.patient.yearOfBirth", "ABDM-1006"),
    (sent(yearOfBirth="2027"), "profile.patient.yearOfBirth", "ABDM-1006"),
    (sent(yearOfBirth="long ago"), "profile.patient.yearOfBirth", "ABDM-1006"),
]


@pytest.mark.parametrize(("body", "field", "code"), REFUSED)
def test_nonsense_is_refused_by_field_and_code(body: Any, field: str, code: str) -> None:
    with pytest.raises(ShareRefused) as caught:
        read_profile(body, ON, PLACES)
    assert (caught.value.field, caught.value.code) == (field, code)


@pytest.mark.parametrize(
    "where",
    ["name", "abhaNumber", "abhaAddress", "phoneNumber", "address", "address.pincode", "nickname", "x999941057058"],
)  # fmt: skip
def test_an_aadhaar_number_is_refused_everywhere_and_not_repeated(where: str) -> None:
    number = "999941057058"  # UIDAI's published test number
    value: Any = {
        "address": {"line": f"Diskit {number}"},
        "address.pincode": {"line": "Diskit", "pincode": number},
        "abhaAddress": f"{number}@sbx",
        "nickname": [{"also": number}],
    }.get(where, number)
    with pytest.raises(ShareRefused) as caught:
        read_profile(sent(**{where.split(".")[0]: value}), ON, PLACES)
    assert number not in f"{caught.value.field} {caught.value.detail}"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(OBSERVED["profile"]["patient"])), json_values)
def test_anything_in_any_field_is_read_or_refused(key: str, value: Any) -> None:
    with contextlib.suppress(ShareRefused):
        assert read_profile(sent(**{key: value}), ON, PLACES).hip_id == "IN9900000001"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"code": "ABDM-1016: ", "message": "x"}}, "ABDM-1016"),
        ([{"error": {"code": "ABDM-1006", "message": "x"}}], "ABDM-1006"),
        ({"error": [{"code": "ABDM-1007"}]}, "ABDM-1007"),
        ({"code": "900901", "message": "x"}, "900901"),
        ({"code": 1149}, "1149"),
        ({"loginId": "Invalid LoginId"}, "http-404"),
        ({"error": "made for a patient called Tashi"}, "http-404"),
        ([], "http-404"),
        (None, "http-404"),
    ],
)
def test_error_bodies_are_read_before_the_status(body: Any, code: str) -> None:
    content = b"" if body is None else json.dumps(body).encode()
    assert error_code(httpx.Response(404, content=content)) == code


def test_timestamps_are_utc_with_z() -> None:
    ist = dt.timezone(dt.timedelta(hours=5, minutes=30))
    assert timestamp(dt.datetime(2026, 11, 20, 9, 0, 0, 5000, tzinfo=ist)) == "2026-11-20T03:30:00.005Z"


@pytest.mark.parametrize("intent", [[], [None], {}, {"type": []}, {"type": ["REGISTRATION"]}, 7, None, True])
def test_an_older_intent_of_another_kind_is_refused_by_its_code(intent: Any) -> None:
    with pytest.raises(ShareRefused) as refused:
        read_profile(todays_shape(OBSERVED | {"intent": intent}, "IN9900000001"), ON, PLACES)
    assert (refused.value.code, refused.value.field) == ("ABDM-1149", "intent")


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["intent", "metaData", "profile", "location", "code"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(
                    st.sampled_from(["patient", "type", "hipCode", "identifiers", "value"]), inner, max_size=3
                )
            ),
            max_leaves=8,
        ),
    )
)
def test_an_older_body_of_any_shape_is_read_or_refused(body: dict[str, Any]) -> None:
    with contextlib.suppress(ShareRefused):
        read_profile(todays_shape(OBSERVED | body, "IN9900000001"), ON, PLACES)


@pytest.mark.parametrize(("said", "sex"), [("FEMALE", "female"), ("Male", "male"), ("transgender", "other")])
def test_a_gender_in_words_is_understood(said: str, sex: str) -> None:
    assert read_profile(sent(gender=said), ON, PLACES).details.sex == sex
