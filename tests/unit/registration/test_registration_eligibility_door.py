"""`POST /eligibility` over HTTP: open to anybody, keeps nothing, names the field at fault. Needs no store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

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


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"family_size": True}, "family_size"),
        ({"mgnrega_days": True}, "mgnrega_days"),
        ({"state_lgd": True}, "state_lgd"),
        ({"state_lgd": 39}, "state_lgd"),
        ({"state_lgd": 99}, "state_lgd"),
        ({"district_lgd": True}, "district_lgd"),
        ({"members": [{"birth_year": True}]}, "members.0.birth_year"),
        ({"members": [{"disability_percent": True}]}, "members.0.disability_percent"),
        ({"cards": [{"scheme": "himcare", "issued_on": "2024-01-01", "years": True}]}, "cards.0.years"),
        ({"on": "2025-07-10", "members": [{"birth_date": "2199-01-01"}]}, "members.0.birth_date"),
        ({"on": "2025-07-10", "members": [{}, {"birth_year": 2199}]}, "members.1.birth_year"),
    ],
)
async def test_what_is_no_number_no_state_and_nobody_yet_is_refused_by_field(
    client: httpx.AsyncClient, said: Any, field: str
) -> None:
    answer = await client.post("/eligibility", json=said)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field]), answer.text


async def test_who_was_born_since_is_not_of_the_family_of_that_day(client: httpx.AsyncClient) -> None:
    members = [
        {"ref": "mother", "age_years": 30},
        *({"ref": f"child-{n}", "birth_date": "2024-05-01"} for n in "12345"),
    ]
    asked = {"state_lgd": 2, "pm_jay": False, "categories": ["daily-wage"], "schemes": ["himcare", "himcare"]}
    for on, people in (("2024-04-30", [1]), ("2024-05-01", [5, 1])):
        for size in ({}, {"family_size": 6}):
            answer = (await client.post("/eligibility", json=asked | size | {"on": on, "members": members})).json()
            [himcare] = answer["schemes"]
            assert [unit["people"] for unit in himcare["units"]] == people, (on, size)
    assert (await client.post("/eligibility", json=asked | {"on": "2018-01-01", "members": members})).status_code == 200


async def test_of_two_cards_the_one_that_lasts_longest_is_the_familys(client: httpx.AsyncClient) -> None:
    cards = [{"scheme": "himcare", "valid_to": day} for day in ("2026-06-30", "2025-06-30")]
    asked = {"on": "2025-07-10", "state_lgd": 2, "family_size": 6, "pm_jay": False, "categories": ["shopkeeper"]}
    for held in (cards, cards[::-1]):
        answer = (await client.post("/eligibility", json=asked | {"schemes": ["himcare"], "cards": held})).json()
        assert answer["schemes"][0]["card"]["valid_to"] == "2026-06-30"
