"""Where people are to be found on a day, and what their places were and are called, through the doors."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from registration_desk import ELSEWHERE, Desk, serving_desk

from deploy.local.testing import TestStack


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with serving_desk(stack) as desk:
        yield desk


async def test_a_camp_finds_the_herders_where_they_are_in_that_month(desk: Desk) -> None:
    herder = await desk.register(
        village="Korzok", district_lgd=None, state_lgd=None, place="Nyoma",
        second_place={"months": [11, 12, 1, 2, 3], "place": "Leh", "village": "Choglamsar"},
    )  # fmt: skip
    settled = await desk.register(village="Choglamsar", district_lgd=None, state_lgd=None, place="Leh")
    await desk.register(village="Drass", district_lgd=None, state_lgd=None, place="Dras")

    async def camp(key: str, on: str) -> set[tuple[str, str]]:
        found = await desk.get(f"/places/{key}/patients?on={on}")
        assert found.status_code == 200, found.text
        return {(each["patient"], each["at"]) for each in found.json()["patients"]}

    assert await camp("sub-district-10", "2027-01-15") == {(herder["id"], "second-place"), (settled["id"], "home")}
    assert await camp("sub-district-10", "2027-07-15") == {(settled["id"], "home")}
    assert await camp("district-changthang", "2027-07-15") == {(herder["id"], "home")}
    where = (await desk.get(f"/patients/{herder['id']}/where?on=2027-01-15")).json()
    assert (where["at"], where["there"]["village"]) == ("second-place", "Choglamsar")
    assert [place["name"] for place in where["home"]["is_now"]] == ["Ladakh", "Changthang", "Nyoma", "Nyoma"]
    elsewhere = await desk.get(f"/patients/{herder['id']}/where", facility=ELSEWHERE)
    assert elsewhere.status_code == 403
    refused = await desk.post("/patients", {"name": "Sonam", "sex": "male", "age_years": 3, "place": "Timbuktu"})
    assert refused.json()["errors"][0]["field"] == "place"


async def test_the_directory_answers_for_any_day(desk: Desk) -> None:
    async def found(query: str) -> list[str]:
        answer = await desk.served.client.get(f"/places?{query}")
        assert answer.status_code == 200, answer.text
        return [place["name"] for place in answer.json()["places"]]

    ladakh = "kind=district&within=state-37"
    assert len(await found(f"{ladakh}&on=2023-06-01")) == 2
    assert len(await found(f"{ladakh}&on=2026-06-01")) == 7
    for spelt in ("Khalsi", "Khaltsi", "Khaltse"):
        assert await found(f"name={spelt}&on=2026-06-01") == ["Khalsi", "Khaltsi"]
    first = (await desk.served.client.get("/places?limit=3")).json()
    second = (await desk.served.client.get(f"/places?limit=3&cursor={first['cursor']}")).json()
    assert len({place["key"] for page in (first, second) for place in page["places"]}) == 6
    kargil = (await desk.served.client.get("/places/district-6?on=2026-06-01")).json()
    assert {place["name"] for place in kargil["became"]} == {"Zanskar", "Drass"}
    zanskar = (await desk.served.client.get("/places/sub-district-15?on=2023-06-01")).json()
    assert [place["name"] for place in zanskar["within"]] == ["Kargil", "Ladakh"]
    assert [each["place"]["name"] for each in zanskar["was_within"]] == ["Kargil", "Zanskar"]
