"""`POST /eligibility` over HTTP: open to anybody, keeps nothing, names the field at fault. Needs no store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services.registration.eligibility_api import _EXAMPLES
from services.registration.main import create_app
from services.registration.settings import Settings


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    for secret in ("tracking_key", "seal_key"):
        (tmp_path / secret).write_text("00" * 32)
    app = create_app(Settings(secrets_dir=tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://registration") as client:
        yield client


async def test_every_example_of_the_documentation_is_answered(client: httpx.AsyncClient) -> None:
    shown = (await client.get("/openapi.json")).json()["paths"]["/eligibility"]["post"]["requestBody"]
    assert set(shown["content"]["application/json"]["examples"]) == set(_EXAMPLES)
    for example in _EXAMPLES.values():
        answer = await client.post("/eligibility", json=example["value"])
        assert answer.status_code == 200, answer.text
        found = {each["scheme"]: each for each in answer.json()["schemes"]}
        assert set(found) == {"himcare", "pm-jay", "vay-vandana", "sehat", "ladakh-universal"}
        assert all(each["says"] and each["rule"]["source"] and each["rule"]["says"] for each in found.values())


async def test_the_labourers_family_over_http(client: httpx.AsyncClient) -> None:
    said = _EXAMPLES["daily-wage family of six"]["value"]
    answer = (await client.post("/eligibility", json=said | {"schemes": ["himcare"]})).json()
    [himcare] = answer["schemes"]
    assert answer["on"] == "2025-07-10"
    assert [unit["members"] for unit in himcare["units"]] == [
        ["father", "mother", "daughter", "son", "grandfather"],
        ["grandmother"],
    ]
    assert himcare["cost"]["per_unit_inr"] == 365
    assert himcare["enrolment"]["opens_on"] == "2025-09-01"


async def test_without_a_day_today_is_meant_and_without_anything_the_answer_says_what_is_missing(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/eligibility", json={})
    assert answer.status_code == 200
    assert {each["answer"] for each in answer.json()["schemes"]} == {"unknown"}


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"on": "10-07-2025"}, "on"),
        ({"on": "9999-12-31"}, "on"),
        ({"on": "0001-01-01"}, "on"),
        ({"members": [{"age_years": "old"}]}, "members.0.age_years"),
        ({"members": [{"age_years": 3, "birth_year": 2020}]}, "members.0"),
        ({"members": [{"ref": "999941057058"}]}, "members.0.ref"),
        ({"horoscope": 1}, "horoscope"),
        ({"categories": ["astronaut"]}, "categories.0"),
        ({"state": "Atlantis"}, "state"),
    ],
)
async def test_a_wrong_field_is_named(client: httpx.AsyncClient, said: dict[str, object], field: str) -> None:
    answer = await client.post("/eligibility", json=said)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_the_schemes_are_listed_with_the_days_of_their_rules(client: httpx.AsyncClient) -> None:
    found = (await client.get("/schemes")).json()
    himcare = next(each for each in found["schemes"] if each["scheme"] == "himcare")
    assert himcare["versions"][0]["valid_from"] == "2019-01-01"
    assert len(himcare["versions"]) == 6
    assert found["categories"]["daily-wage"] == "Daily-wage worker"
