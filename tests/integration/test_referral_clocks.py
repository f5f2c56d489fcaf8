"""A promise to answer that is broken: told once, oldest first, whatever runs, and still to be answered."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from email.utils import format_datetime
from typing import Any

import pytest
from referral_desk import ELSEWHERE, HERE, REASON, THERE, Desk, data, header, open_desk, person, until

from deploy.local.testing import TestStack, serving
from libs.contracts.referral import FACILITY, REFERRAL

MORNING = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
ABOVE = "HP-SML-MC-IGMC"
"""To which THERE refers."""


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with open_desk(stack) as desk:
        yield desk


async def sent(desk: Desk, at: dt.datetime, role: str, facility: str, path: str, body: Any) -> dict[str, Any]:
    """A request whose time of sending is `at`: on the day's clock that is now."""
    headers = desk.headers(role, facility) | {"Date": format_datetime(at, usegmt=True)}
    answer = await desk.served.client.post(path, json=body, headers=headers)
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


def asking(urgency: str, to: str = THERE) -> dict[str, Any]:
    return {"patient": person(), "to": to, "service": "surgery", "urgency": urgency, "reason": REASON}


async def test_an_unanswered_emergency_is_told_one_level_up_once_and_can_still_be_accepted(desk: Desk) -> None:
    prefix = desk.served.service.settings.database_prefix
    async with serving(desk.stack.settings("referral", DATABASE_PREFIX=prefix), "referral") as other:
        emergency = await sent(desk, MORNING, "doctor", HERE, "/referrals", asking("emergency"))
        urgent = await sent(desk, MORNING, "doctor", HERE, "/referrals", asking("urgent"))
        answered = await sent(desk, MORNING, "doctor", HERE, "/referrals", asking("emergency"))
        await sent(desk, MORNING, "doctor", THERE, f"/referrals/{answered['id']}/accept", {})
        assert emergency["answer_due"] == "2026-11-20T04:30:00.000Z"

        # Somebody calls either process half an hour later: on the day's clock, that is when time is up.
        later = MORNING + dt.timedelta(minutes=30)
        for either in (desk, Desk(desk.stack, other)):
            await sent(either, later, "doctor", ELSEWHERE, "/referrals", asking("routine", HERE))

        async def lapsed() -> bool:
            return bool((await desk.document(emergency["id"]))["state"]["status"] == "lapsed")

        await until(lapsed)
        for served in (desk.served, other):
            await served.service.timers.sweep()

    document = await desk.document(emergency["id"])
    assert [entry["type"].split(".")[-2:][0] for entry in document["journal"]] == [
        "ReferralRequested",
        "ReferralLapsed",
        "ReferralBreached",
    ]
    assert document["journal"][1]["data"]["escalated_to"] == f"nodal-officer@{ABOVE}"
    assert "sequence" not in document["journal"][1]
    assert document["due"] == dt.datetime.fromisoformat(document["state"]["chain_due"]), "only the chain's clock runs"
    assert (await desk.document(urgent["id"]))["state"]["status"] == "requested"
    assert (await desk.document(answered["id"]))["state"]["status"] == "accepted"

    told = (await desk.get("nodal-officer", ABOVE, "/referrals", box="escalated", status="lapsed")).json()["items"]
    assert [item["id"] for item in told] == [emergency["id"]]
    shown = await desk.get("nodal-officer", ABOVE, f"/referrals/{emergency['id']}")
    assert shown.json()["referral"]["escalated_to"] == f"nodal-officer@{ABOVE}"
    assert (await desk.get("nodal-officer", ELSEWHERE, f"/referrals/{emergency['id']}")).status_code == 403
    history = (await desk.get("doctor", HERE, f"/referrals/{emergency['id']}/history")).json()["items"]
    assert history[1]["codes"] == {"escalated_to": f"nodal-officer@{ABOVE}"}
    breach = document["journal"][2]
    assert (breach["data"]["promise"], breach["data"]["facility"], breach["sequence"]) == ("answer", ABOVE, 2)

    moves = (await desk.get("doctor", THERE, f"/referrals/{emergency['id']}/moves")).json()["moves"]
    assert [move["command"] for move in moves] == ["accept", "decline", "redirect", "record-death"]
    accepted = await sent(desk, MORNING, "doctor", THERE, f"/referrals/{emergency['id']}/accept", {})
    assert accepted["status"] == "accepted"
    told_on = [header(record, "ce_type").split(".")[1] for record in await desk.told(REFERRAL, emergency["id"])]
    assert told_on == ["ReferralRequested", "ReferralBreached", "ReferralAccepted"]


async def test_two_clocks_at_one_instant_break_each_promise_once(desk: Desk) -> None:
    start = MORNING + dt.timedelta(hours=2)
    asked = [
        await sent(
            desk, start, "doctor", HERE, "/referrals", asking("emergency") | {"patient": person(f"waiting {number}")}
        )
        for number in range(8)
    ]
    await sent(desk, start + dt.timedelta(hours=1), "doctor", ELSEWHERE, "/referrals", asking("routine", HERE))

    async def all_lapsed() -> bool:
        return all([(await desk.document(each["id"]))["state"]["status"] == "lapsed" for each in asked])

    await until(all_lapsed)
    for each in asked:
        assert len((await desk.document(each["id"]))["journal"]) == 3


async def test_where_no_facility_is_above_the_states_cell_is_told_and_nobody_is_sent_there(desk: Desk) -> None:
    start = MORNING + dt.timedelta(hours=4)
    cell = "HP-STATE-CELL"
    (told,) = await desk.told(FACILITY, cell)
    assert data(told)["card"]["officer_email"] == "officer.hp-state-cell@hospital.example"
    asked = await sent(desk, start, "doctor", THERE, "/referrals", asking("emergency", ABOVE))
    await sent(desk, start + dt.timedelta(minutes=20), "doctor", ELSEWHERE, "/referrals", asking("routine", HERE))

    async def breached() -> Any:
        entries = (await desk.document(asked["id"]))["journal"]
        return [entry["data"] for entry in entries if entry["type"] == "referral.ReferralBreached.v1"]

    (breach,) = await until(breached)
    assert (breach["escalated_to"], breach["facility"]) == (f"nodal-officer@{cell}", cell)
    overdue = (await desk.get("nodal-officer", cell, "/worklists/overdue")).json()["items"]
    assert [item["id"] for item in overdue] == [asked["id"]]

    refused = await desk.post("doctor", HERE, "/referrals", asking("urgent", cell))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "to")
    away = {"to": cell, "reason": "no-bed"}
    refused = await desk.post("doctor", ABOVE, f"/referrals/{asked['id']}/redirect", away)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "to")
    found = (await desk.post("doctor", HERE, "/destinations", {"service": "surgery", "urgency": "urgent"})).json()
    assert cell not in {each["facility"] for each in (*found["ranked"], *found["left_out"])}
    shown = (await desk.get("doctor", HERE, "/facilities", limit=200)).json()["items"]
    assert "CELL" not in {card["level"] for card in shown}
    offices = (await desk.get("doctor", HERE, "/facilities", level="CELL")).json()["items"]
    assert cell in {card["code"] for card in offices}
