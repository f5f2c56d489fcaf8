"""What the gateway says when it says no: five shapes of body, and codes that are believed before the status."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import httpx
import pytest

from services.registration.abdm import Gateway, GatewayRefused, error_code, error_fields, timestamp
from services.registration.domain.patient import Details
from services.registration.older_profile import todays_shape
from services.registration.places import read_places
from services.registration.profile import ShareRefused, read_profile
from services.registration.settings import Settings

ON = dt.date(2026, 11, 20)
PLACES = read_places()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"code": "ABDM-1016: ", "message": "Invalid Timestamp"}}, "ABDM-1016"),
        ([{"error": {"code": "ABDM-1087", "message": "x"}}], "ABDM-1087"),
        ({"error": [{"code": "ABDM-1006", "message": "x"}]}, "ABDM-1006"),
        ({"code": "ABDM-2402", "message": "x"}, "ABDM-2402"),
        ({"code": 900901, "message": "Invalid Credentials"}, "900901"),
        ({"abhaAddress": "Invalid ABHA address", "timestamp": "2026-11-20 04:00:00"}, "http-404"),
        ({"timestamp": "2026-11-20 04:00:00", "loginId": "Invalid LoginId"}, "http-404"),
        ({"details": [{"message": "x", "code": "ABDM-1010"}]}, "ABDM-1010"),
        ({"error": "ABDM-1035"}, "ABDM-1035"),
        ({"error": {}}, "http-404"),
        ({}, "http-404"),
        ([], "http-404"),
        (None, "http-404"),
    ],
)
def test_the_code_is_found_in_each_shape(body: Any, code: str) -> None:
    assert error_code(httpx.Response(404, json=body)) == code


def test_the_fields_of_a_body_keyed_by_field_are_named_and_what_it_says_is_not() -> None:
    keyed = {"abhaAddress": "Invalid dolma@sbx", "timestamp": "2026-11-20 04:00:00", "a name": "x"}
    assert error_fields(httpx.Response(400, json=keyed)) == ["abhaAddress"]
    assert error_fields(httpx.Response(400, json={"code": "ABDM-1006", "abhaAddress": "x"})) == []
    assert error_fields(httpx.Response(400, content=b"")) == []


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff", b'"text"', b"12"])
def test_no_body_or_another_is_known_by_its_status(content: bytes) -> None:
    assert error_code(httpx.Response(502, content=content)) == "http-502"


def test_a_code_that_is_no_code_is_never_kept() -> None:
    assert error_code(httpx.Response(400, json={"code": "Tsering Dolma +915550123456"})) == "http-400"


async def test_an_error_under_a_good_status_is_an_error(tmp_path: Any) -> None:
    said: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        said.append(request)
        if request.url.path == "/session":
            return httpx.Response(200, json={"accessToken": "t", "expiresIn": 600})
        return httpx.Response(200, json={"error": {"code": "ABDM-1024: "}})

    settings = Settings(abdm_on_share_url="http://gateway/on", abdm_session_url="http://gateway/session",
                        secrets_dir=tmp_path)  # fmt: skip
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(GatewayRefused) as refused:
            await Gateway(settings, client).on_share("r", {})
    assert refused.value.code == "ABDM-1024"
    for request in said:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", request.headers["timestamp"])


async def test_the_key_set_is_asked_for_by_session_and_once_more_when_that_is_stale(tmp_path: Any) -> None:
    sessions: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/session":
            sessions.append(f"t{len(sessions)}")
            return httpx.Response(200, json={"accessToken": sessions[-1], "expiresIn": 600})
        good = request.headers.get("authorization") == "Bearer t1"
        return httpx.Response(200 if good else 401, json={"keys": []} if good else {"code": "900901"})

    settings = Settings(abdm_jwks="http://gateway/certs", abdm_session_url="http://gateway/session",
                        secrets_dir=tmp_path)  # fmt: skip
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        assert await Gateway(settings, client).key_set() == {"keys": []}
    assert sessions == ["t0", "t1"]


def test_a_time_goes_out_in_utc_with_z_from_wherever_it_came() -> None:
    india = dt.timezone(dt.timedelta(hours=5, minutes=30))
    assert timestamp(dt.datetime(2026, 11, 20, 9, 0, 0, 123456, india)) == "2026-11-20T03:30:00.123Z"


PATIENT_2023 = {
    "healthId": "dolma@sbx", "healthIdNumber": "00-2073-0231-9521", "name": "Tsering Dolma", "gender": "D",
    "yearOfBirth": 1986, "dayOfBirth": 6, "monthOfBirth": None,
    "address": {"line": None, "district": "LEH", "state": "LADAKH", "pincode": "194101"},
    "identifiers": [{"type": "MOBILE", "value": "5550123456"}, {"type": "NDHM_HEALTH_NUMBER", "value": "x"}],
}  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {
            "requestId": "r", "timestamp": "t", "intent": {"type": "REGISTRATION"},
            "location": {"latitude": "34.1", "longitude": None},
            "profile": {"hipCode": "OPD1", "patient": PATIENT_2023},
        },
        {
            "intent": {"type": "PROFILE_SHARE"}, "metaData": {"hipId": "IN9900000101", "context": "OPD1"},
            "profile": {"patient": PATIENT_2023},
        },
    ],
)  # fmt: skip
def test_the_shapes_of_2023_are_read(body: dict[str, Any]) -> None:
    shared = read_profile(todays_shape(body, "IN9900000101"), ON, PLACES)
    assert (shared.hip_id, shared.counter, shared.state_lgd) == ("IN9900000101", "OPD1", 37)
    details: Details = shared.details
    assert (details.abha_address, details.abha_number) == ("dolma@sbx", "00207302319521")
    assert (details.phone, details.age_years, details.sex) == ("+915550123456", 40, "unknown")


@pytest.mark.parametrize("body", [None, [], {}, {"intent": {"type": "PAYMENT"}}, {"profile": None}, {"profile": []}])
def test_nonsense_in_an_older_shape_is_refused_like_any(body: Any) -> None:
    with pytest.raises(ShareRefused):
        read_profile(todays_shape(json.loads(json.dumps(body)), "IN9900000101"), ON, PLACES)
