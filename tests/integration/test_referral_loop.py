"""The loop on the real broker and store: what is told, in which order, once, and to whom a move belongs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from referral_desk import ELSEWHERE, HERE, LOOP, REASON, THERE, Desk, data, header, open_desk, person

from deploy.local.testing import TestStack, serving
from libs.contracts.referral import REFERRAL
from services.referral.access import ACCESS
from services.referral.domain import moves


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with open_desk(stack) as desk:
        yield desk


async def test_a_full_loop_is_told_in_order_and_without_a_word_about_the_illness(desk: Desk) -> None:
    asked = await desk.request()
    assert (asked["status"], asked["origin"], asked["destination"]) == ("requested", HERE, THERE)
    statuses = [(await desk.step(asked["id"], *step))["status"] for step in LOOP]
    assert statuses == ["accepted", "accepted", "accepted", "arrived", "treated", "back-referred", "closed"]

    records = await desk.told(REFERRAL, asked["id"])
    assert [header(record, "ce_type").split(".")[1] for record in records] == [
        "ReferralRequested",
        "ReferralAccepted",
        "TransportDeparted",
        "TransportHeld",
        "PatientArrived",
        "OutcomeRecorded",
        "PatientBackReferred",
        "ReferralClosed",
    ]
    assert [int(header(record, "ce_sequence")) for record in records] == list(range(1, 9))
    assert header(records[1], "ce_actor") == f"doctor@{THERE}"
    for record in records:
        assert (
            data(record).items()
            >= {
                "patient": person(),
                "origin": HERE,
                "destination": THERE,
                "service": "surgery",
                "urgency": "urgent",
            }.items()
        )
        for word in (REASON, "appendix", "stitches"):
            assert word not in record.value.decode()

    document = await desk.document(asked["id"])
    assert [entry["id"] for entry in document["journal"]] == [header(record, "ce_id") for record in records]
    assert document["journal"][0]["data"]["reason"] == REASON
    shown = (await desk.get("doctor", HERE, f"/referrals/{asked['id']}")).json()
    assert (shown["summary"], shown["advice"]) == ("appendix taken out", "stitches out in ten days")


async def test_a_retry_gets_its_first_answer_and_a_second_acceptance_is_refused(desk: Desk) -> None:
    body = {"patient": person(), "to": THERE, "service": "surgery", "urgency": "routine", "reason": REASON}
    first = await desk.post("doctor", HERE, "/referrals", body, "request-1")
    path = f"/referrals/{first.json()['id']}"
    accepted = await desk.post("doctor", THERE, f"{path}/accept", {}, "accept-1")
    await desk.step(first.json()["id"], "arrive", "desk", THERE, {})

    for key, repeat, before in (("request-1", "/referrals", first), ("accept-1", f"{path}/accept", accepted)):
        role_at = HERE if repeat == "/referrals" else THERE
        again = await desk.post("doctor", role_at, repeat, body if role_at == HERE else {}, key)
        assert (again.status_code, again.json()) == (before.status_code, before.json())

    second = await desk.post("doctor", THERE, f"{path}/accept", {}, "accept-2")
    assert second.status_code == 409
    assert second.json()["type"] == "urn:hillhealth:problem:illegal-move"
    assert second.json()["allowed"] == ["decline", "note", "outcome", "refer-onward", "void"]
    other = await desk.post("doctor", HERE, "/referrals", body | {"urgency": "urgent"}, "request-1")
    assert other.status_code == 422
    document = await desk.document(first.json()["id"])
    assert (document["version"], len(document["journal"])) == (3, 3)


async def test_every_route_of_the_machine_refuses_another_role_and_another_facility(desk: Desk) -> None:
    asked = await desk.request()
    bodies: dict[str, dict[str, Any]] = {command: body for command, _, _, body in LOOP}
    bodies |= {"advise": {"verdict": "send", "text": "at once"}, "convert": {}, "treat-here": {}, "withdraw": {}}
    bodies |= {"tell-more": {"reason": "fever since yesterday"}}
    bodies |= {"decline": {"reason": "no-bed"}, "cancel": {"reason": "patient-improved"}, "no-show": {}}
    bodies |= {"request-cancel": {"reason": "other"}, "note": {"text": "seen"}, "record-death": {"place": "at-home"}}
    bodies |= {"redirect": {"to": ELSEWHERE, "reason": "no-bed"}, "void": {"reason": "duplicate"}}
    bodies |= {"refer-onward": {"to": ELSEWHERE, "service": "surgery", "reason": "needs a theatre"}}
    bodies |= {command: {"appointment_at": "2099-01-04T04:30:00Z"} for command in ("schedule", "reschedule")}
    ends = {"origin": HERE, "destination": THERE}
    for command in moves.commands():
        if command in ("request", "ask"):
            continue
        path, body = f"/referrals/{asked['id']}/{command}", bodies.get(command, {})
        who = {(actor.role, ends[actor.side]) for actor in moves.actors(command) if actor.role != moves.CLOCK}
        wrong = {(role, ELSEWHERE) for role, _ in who} | {("citizen", THERE), ("officer", HERE)}
        wrong |= {(role, HERE if facility == THERE else THERE) for role, facility in who} - who
        for role, facility in sorted(wrong):
            refused = await desk.post(role, facility, path, body)
            assert refused.status_code in ((403,) if facility == ELSEWHERE else (403, 409)), refused.text
    for route, rule in ACCESS.items():
        if route.startswith("GET /referrals/{id}"):
            path = route.split()[1].replace("{id}", asked["id"])
            assert (await desk.get("doctor", ELSEWHERE, path)).status_code == 403
            assert set(rule.at) <= {"origin", "destination", "answered_by", "escalated_at"}
    document = await desk.document(asked["id"])
    assert (document["version"], document["state"]["status"]) == (1, "requested")
    assert len(await desk.told(REFERRAL, asked["id"])) == 1


async def test_the_moves_said_are_exactly_those_that_succeed(desk: Desk) -> None:
    asked = await desk.request()
    path = f"/referrals/{asked['id']}/moves"
    expected = {
        ("doctor", THERE): ["accept", "decline", "redirect", "record-death"],
        ("doctor", HERE): ["request-cancel", "cancel", "redirect", "record-death", "void"],
        ("desk", THERE): [],
        ("transport", HERE): ["record-death"],
    }
    for (role, facility), commands in expected.items():
        said = (await desk.get(role, facility, path)).json()
        assert [move["command"] for move in said["moves"]] == commands
        assert said["status"] == "requested"
    await desk.step(asked["id"], "accept", "doctor", THERE, {})
    said = (await desk.get("transport", HERE, path)).json()
    assert [move["command"] for move in said["moves"]] == ["depart", "hold", "refuse-travel", "record-death"]
    assert "helicopter" in said["moves"][0]["needs"][0]["codes"]


async def test_two_processes_that_accept_at_once_give_one_acceptance(desk: Desk) -> None:
    prefix = desk.served.service.settings.database_prefix
    async with serving(desk.stack.settings("referral", DATABASE_PREFIX=prefix), "referral") as other:
        desks = (desk, Desk(desk.stack, other))
        asked = [(await desk.request(f"patient {number}"))["id"] for number in range(12)]
        for number, id in enumerate(asked):
            retried = f"accept-{id}" if number % 2 == 0 else None
            answers = await asyncio.gather(
                *(
                    either.post("doctor", THERE, f"/referrals/{id}/accept", {}, retried)
                    for either in desks
                    for _ in range(2)
                )
            )
            codes = sorted(answer.status_code for answer in answers)
            if retried:
                assert codes == [200] * 4
                assert len({answer.text for answer in answers}) == 1
            else:
                assert codes == [200, 409, 409, 409]
        for id in asked:
            document = await desk.document(id)
            both = ["ReferralRequested", "ReferralAccepted"]
            assert [entry["type"].split(".")[1] for entry in document["journal"]] == both
        records = [record for record in await desk.told(REFERRAL) if record.key.decode() in asked]
        assert len({header(record, "ce_id") for record in records}) == len(records) == 24


GOOD = {"patient": person(), "to": THERE, "service": "surgery", "urgency": "urgent", "reason": REASON}


NONSENSE: list[tuple[str, str, str, Any, str]] = [
    ("/referrals", "doctor", HERE, GOOD | {"to": "HP-KNR-NO-SUCH"}, "to"),
    ("/referrals", "doctor", HERE, GOOD | {"to": HERE}, "to"),
    ("/referrals", "doctor", HERE, GOOD | {"to": "  "}, "to"),
    ("/referrals", "doctor", HERE, GOOD | {"urgency": "soon"}, "urgency"),
    ("/referrals", "doctor", HERE, GOOD | {"service": "Heart & Lungs"}, "service"),
    ("/referrals", "doctor", HERE, GOOD | {"reason": "   "}, "reason"),
    ("/referrals", "doctor", HERE, GOOD | {"reason": "x" * 501}, "reason"),
    ("/referrals", "doctor", HERE, GOOD | {"reason": None}, "reason"),
    ("/referrals", "doctor", HERE, GOOD | {"patient": [person()]}, "patient"),
    ("/referrals", "doctor", HERE, GOOD | {"patient": "Tsering Dolma"}, "patient"),
    ("/referrals", "doctor", HERE, GOOD | {"patient": "+915550123456"}, "patient"),
    ("/referrals", "doctor", HERE, GOOD | {"service": "tsering-dolma"}, "service"),
    ("/referrals", "doctor", HERE, GOOD | {"status": "closed"}, "status"),
    ("/referrals", "doctor", HERE, GOOD | {"occurred_at": "yesterday"}, "occurred_at"),
    ("/referrals", "doctor", HERE, GOOD | {"occurred_at": "2099-01-01T00:00:00Z"}, "occurred_at"),
    ("/referrals", "doctor", HERE, {}, "patient"),
    ("/referrals", "doctor", HERE, [], "body"),
    ("{id}/decline", "doctor", THERE, {"reason": "because"}, "reason"),
    ("{id}/decline", "doctor", THERE, {}, "reason"),
    ("{id}/cancel", "doctor", HERE, {"reason": "no-bed"}, "reason"),
    ("{id}/accept", "doctor", THERE, {"bed": 4}, "bed"),
]


async def test_nonsense_is_refused_with_its_field_and_changes_nothing(desk: Desk) -> None:
    asked = await desk.request("whom nonsense is said about")
    before = len(await desk.told(REFERRAL))
    for path, role, facility, body, field in NONSENSE:
        path = path.replace("{id}", f"/referrals/{asked['id']}")
        answer = await desk.post(role, facility, path, body)
        assert answer.status_code in (400, 422), (body, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert field in [error["field"] for error in answer.json()["errors"]], (body, answer.text)
    assert (await desk.document(asked["id"]))["version"] == 1
    assert len(await desk.told(REFERRAL)) == before


async def test_a_write_without_a_key_and_an_unknown_referral_are_refused(desk: Desk) -> None:
    headers = desk.headers("doctor", HERE)
    del headers["Idempotency-Key"]
    answer = await desk.served.client.post("/referrals", json=GOOD, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert (await desk.post("doctor", THERE, "/referrals/no-such/accept", {})).status_code == 404
    assert (await desk.get("doctor", THERE, "/referrals/no-such")).status_code == 404
