"""Programmes over HTTP: what they measure and what they would say, without a token; nothing is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.registration.main import create_app
from services.registration.settings import Settings


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "seal_key").write_text("00" * 32)
    app = create_app(Settings(secrets_dir=tmp_path))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://registration") as client:
        yield client


async def test_a_programme_says_what_it_measures_and_by_which_cut_offs(client: httpx.AsyncClient) -> None:
    listed = {each["programme"]: each for each in (await client.get("/programmes")).json()["programmes"]}
    assert listed["t3-anaemia"]["measures"]["haemoglobin"]["unit"] == "g/dL"
    assert "fibrosis-unlikely" in listed["nafld"]["results"]
    detail = (await client.get("/programmes/t3-anaemia")).json()
    assert {group["group"]: group["cut"]["mild"] for group in detail["groups"]}["woman"] == 12.0
    assert (await client.get("/programmes/astrology")).status_code == 404


async def test_at_4180_metres_the_same_blood_says_something_else(client: httpx.AsyncClient) -> None:
    async def told(altitude: int) -> dict[str, Any]:
        body = {"age_years": 30, "sex": "female", "measures": {"haemoglobin": 14.5, "altitude_m": altitude}}
        answer = await client.post("/programmes/t3-anaemia/assess", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    low, high = await told(200), await told(4180)
    assert (low["result"], high["result"]) == ("not-anaemic", "mild-anaemia")
    assert (high["values"]["adjustment"], high["values"]["adjusted"]) == (2.9, 11.6)
    assert {each["do"] for each in high["suggestions"]} == {"treatment", "talk"}


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"measures": {}}, "measures.haemoglobin"),
        ({"measures": {"haemoglobin": 14.5, "altitude_m": 99999}}, "measures.altitude_m"),
        ({"measures": {"haemoglobin": 14.5, "altitude_m": 0, "iq": 100}}, "measures.iq"),
        ({"measures": {"haemoglobin": 14.5, "altitude_m": 0}, "age_years": 999}, "age_years"),
        ({"measures": {"haemoglobin": 14.5, "altitude_m": 0}, "age_years": 0, "age_months": 2}, "patient"),
        ({"measures": {"haemoglobin": 14.5, "altitude_m": 0}, "age_months": 24}, "age_months"),
        ({"measures": {"haemoglobin": 14.5, "altitude_m": 0}, "age_months": True}, "age_months"),
    ],
)
async def test_a_wrong_field_is_named(client: httpx.AsyncClient, said: dict[str, Any], field: str) -> None:
    answer = await client.post("/programmes/t3-anaemia/assess", json={"age_years": 30, "sex": "female"} | said)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_places_by_name_and_day(client: httpx.AsyncClient) -> None:
    async def count(on: str) -> int:
        query = {"kind": "district", "within": "state-37", "on": on}
        return len((await client.get("/places", params=query)).json()["places"])

    assert (await count("2023-06-01"), await count("2026-06-01")) == (2, 7)
    wrong = await client.get("/places", params={"within": "atlantis"})
    assert wrong.json()["errors"][0]["field"] == "within"
