"""A family's household, its five different benefit units, and what every scheme says to it, through the doors."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from registration_desk import HERE, Desk, published_of, serving_desk

from deploy.local.testing import TestStack


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with serving_desk(stack) as desk:
        yield desk


async def family(desk: Desk, *ages: int) -> list[str]:
    return [(await desk.register(age_years=age, state_lgd=2, district_lgd=21))["id"] for age in ages]


async def made(desk: Desk, path: str, body: dict[str, Any], status: int = 201, **how: Any) -> dict[str, Any]:
    answer = await desk.post(path, body, **how)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_family_of_six_is_one_household_and_five_different_sets(desk: Desk) -> None:
    ids = await family(desk, 45, 43, 20, 17, 12, 74)
    members = [{"patient": id} for id in ids]
    household = await made(desk, "/households", {"members": members})
    assert household["state_lgd"] == 2
    sets: dict[str, list[list[str]]] = {}
    for kind, of, number in (
        ("him-parivar-family", ids[:5], "HP-22-0001"),
        ("ration-card-family", ids, "RC-77/1"),
        ("pm-jay-family", ids, None),
        ("vay-vandana-group", ids[5:], None),
    ):
        body = {"kind": kind, "household": household["id"], "members": [{"patient": id} for id in of]}
        units = (await made(desk, "/benefit-units", body | ({"number": number} if number else {})))["units"]
        sets[kind] = [[each["patient"] for each in unit["members"]] for unit in units]
    key = secrets.token_hex(8)
    himcare = {"kind": "himcare-unit", "household": household["id"], "members": members}
    first, again = [await made(desk, "/benefit-units", himcare, key=key) for _ in range(2)]
    assert first == again
    sets["himcare-unit"] = [[each["patient"] for each in unit["members"]] for unit in first["units"]]
    assert sets == {
        "him-parivar-family": [ids[:5]],
        "ration-card-family": [ids],
        "pm-jay-family": [ids],
        "vay-vandana-group": [ids[5:]],
        "himcare-unit": [ids[:5], ids[5:]],
    }
    grandmother = (await desk.get(f"/patients/{ids[5]}/units")).json()
    assert grandmother["household"] == household["id"]
    assert [unit["kind"] for unit in grandmother["units"]] == [
        "himcare-unit", "pm-jay-family", "ration-card-family", "vay-vandana-group",
    ]  # fmt: skip

    # Nobody is in two units of one kind, and the sixth of five is told to form another.
    refused = await desk.post("/benefit-units", himcare)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "members.0.patient")
    [seventh] = await family(desk, 1)
    full = await desk.post(f"/benefit-units/{first['units'][0]['id']}/members", {"patient": seventh})
    assert (full.status_code, full.json()["type"]) == (409, "urn:hillhealth:problem:unit-full")
    second = f"/benefit-units/{first['units'][1]['id']}"
    joined = await made(desk, f"{second}/members", {"patient": seventh, "relation": "child"}, 200)
    assert [each["patient"] for each in joined["members"]] == [ids[5], seventh]

    told = await published_of(desk.stack, "registration.benefit-unit.v1", first["units"][1]["id"], 2)
    assert [record["type"].split(".")[1] for record in told] == ["BenefitUnitFormed", "BenefitUnitMemberJoined"]
    assert "number" not in told[0]["data"]


async def test_a_household_is_told_what_every_scheme_says_and_an_officer_opens_the_window(desk: Desk) -> None:
    ids = await family(desk, 45, 43, 20, 17, 12, 74)
    household = await made(desk, "/households", {"members": [{"patient": id, "since": "2025-01-01"} for id in ids]})
    path = f"/households/{household['id']}"
    wrong = await desk.post(f"{path}/describe", {"members": [{"patient": ids[0], "categories": ["astronaut"]}]})
    assert wrong.json()["errors"][0]["field"] == "members.0.categories.0"
    said = {"pm_jay": False, "members": [{"patient": ids[0], "categories": ["Daily Wager"]}]}
    described = await made(desk, f"{path}/describe", said, 200)
    assert described["description"]["members"][ids[0]]["categories"] == ["daily-wage"]

    async def told(on: str) -> dict[str, Any]:
        answer = await made(desk, f"{path}/eligibility", {"on": on}, 200, role="doctor")
        return {each["scheme"]: each for each in answer["schemes"]}

    on_that_day = await told("2025-07-10")
    assert [unit["members"] for unit in on_that_day["himcare"]["units"]] == [ids[:5], ids[5:]]
    assert on_that_day["himcare"]["cost"]["total_inr"] == 730
    assert [unit["members"] for unit in on_that_day["vay-vandana"]["units"]] == [ids[5:]]
    before = (await told("2024-12-31"))["himcare"]
    assert "members" in {each["field"] for each in before["missing"]}, "nobody lived there yet"

    leave = {"scheme": "himcare", "reason": "severe-disease"}
    at = {"Date": "Wed, 15 Jul 2026 06:00:00 GMT"}
    by_desk = await desk.post(f"{path}/overrides", leave)
    assert by_desk.status_code == 403
    by_officer = await desk.post(f"{path}/overrides", leave, role="officer", headers=at)
    assert by_officer.json()["errors"][0]["field"] == "scheme", "an office of which the rules say nothing"
    assert not (await told("2026-07-16"))["himcare"]["enrolment"]["open"]
    kept = await made(desk, f"{path}/refusals", {"scheme": "himcare", "reason": "outside-window"}, 200, headers=at)
    assert [(each["scheme"], each["reversed"]) for each in kept["refusals"]] == [("himcare", False)]
    again = await desk.post(f"{path}/refusals", {"scheme": "himcare", "reason": "other"}, headers=at)
    assert again.status_code in (409, 422)
    await made(desk, f"{path}/overrides", leave, 200, role="medical-superintendent", facility="HP-SML-MC", headers=at)
    journal = (await desk.database["households"].find_one({"_id": household["id"]}))["journal"]
    said_outside = {entry["type"].split(".")[1]: entry["data"] for entry in journal if "sequence" in entry}
    assert said_outside["EnrolmentRefused"]["entitled"] is False, "the window was closed that day"
    assert said_outside["EnrolmentRefusalReversed"] == {
        "facility": HERE,
        "scheme": "himcare",
        "refused_on": "2026-07-15",
        "because": "officers-leave",
    }
    by_desk = await desk.post(f"{path}/refusals/reverse", {"scheme": "himcare"})
    assert by_desk.status_code == 403

    # In September new cards are made: what is refused then was the family's by the rules.
    september = {"Date": "Tue, 15 Sep 2026 06:00:00 GMT"}
    await made(desk, f"{path}/refusals", {"scheme": "himcare", "reason": "papers-missing"}, 200, headers=september)
    unknown = await desk.post(f"{path}/refusals", {"scheme": "nonsense", "reason": "other"}, headers=september)
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "scheme")
    reverse = {"scheme": "himcare", "because": "papers-were-there"}
    told_twice = [
        await desk.post(f"{path}/refusals/reverse", reverse, role="officer", headers=september) for _ in range(2)
    ]
    assert [answer.status_code for answer in told_twice] == [200, 422]
    journal = (await desk.database["households"].find_one({"_id": household["id"]}))["journal"]
    refused = [entry["data"] for entry in journal if entry["type"] == "registration.EnrolmentRefused.v1"]
    assert [each["entitled"] for each in refused] == [False, True]
    enrolment = (await told("2026-07-16"))["himcare"]["enrolment"]
    assert (enrolment["open"], enrolment["by_override"]) == (True, True)
    assert not (await told("2026-08-20"))["himcare"]["enrolment"]["open"]


async def test_members_come_and_go_by_the_day(desk: Desk) -> None:
    first, second = await family(desk, 40, 38)
    household = await made(desk, "/households", {"members": [{"patient": first, "since": "2025-01-01"}]})
    path = f"/households/{household['id']}"
    await made(desk, f"{path}/members", {"patient": second, "relation": "spouse", "since": "2025-06-01"}, 200)
    await made(desk, f"{path}/members/leave", {"patient": second, "until": "2025-06-30", "reason": "moved"}, 200)

    async def there(on: str) -> list[str]:
        return [each["patient"] for each in (await desk.get(f"{path}?on={on}")).json()["members"]]

    assert [await there(on) for on in ("2025-05-31", "2025-06-30", "2025-07-01")] == [[first], [first, second], [first]]
    unknown = await desk.post(f"{path}/members", {"patient": "nobody"})
    assert unknown.json()["errors"][0]["field"] == "patient"
    taken = await desk.post("/households", {"members": [{"patient": first}]})
    assert (taken.status_code, taken.json()["holder"]) == (409, household["id"])
    assert household["facility"] == HERE
