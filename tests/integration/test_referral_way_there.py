"""The way there over HTTP: asked for, assigned, told of by SMS, held, handed over; the slip scanned at the desk."""

from __future__ import annotations

import base64
import datetime as dt
import json
import secrets
from collections.abc import AsyncIterator
from email.utils import format_datetime
from typing import Any

import pytest
from referral_desk import ELSEWHERE, HERE, THERE, Desk, card, open_desk, person, publish, until

from deploy.local.testing import TestStack
from libs.contracts.registration import PatientRegistered
from services.referral import slips


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with open_desk(stack) as desk:
        yield desk


async def accepted(desk: Desk, name: str) -> str:
    asked = await desk.request(person(name))
    await desk.step(asked["id"], "accept", "doctor", THERE, {})
    return str(asked["id"])


async def test_a_journey_from_the_asking_to_the_handing_over(desk: Desk) -> None:
    id = await accepted(desk, "on the way")

    async def sms(text: str, role: str = "transport", facility: str = HERE) -> dict[str, Any]:
        answer = await desk.post(role, facility, "/transport/messages", {"text": text})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    moves = (await desk.get("transport", HERE, f"/referrals/{id}/moves")).json()
    assert moves["transport_moves"] == ["request", "assign"]
    asked = await desk.step(id, "transport/request", "doctor", HERE, {"needs": ["oxygen"]})
    assert (asked["leg"]["status"], asked["leg"]["needs"]) == ("requested", ["oxygen"])
    assigned = await desk.step(id, "transport/assign", "transport", HERE, {"mode": "army-convoy", "vehicle": "HP 25"})
    code = assigned["leg"]["code"]
    departed = await sms(f"HH {code} DEP ARMY")
    assert (departed["transport"], departed["leg"]["status"]) == ("departed", "departed")
    assert departed["leg"]["travel_seconds"] == 2.5 * 3600
    journaled = len((await desk.document(id))["journal"])
    assert (await sms(f"HH {code} DEP ARMY", "operator", ""))["leg"]["status"] == "departed"
    assert len((await desk.document(id))["journal"]) == journaled, "the same message, delivered twice"
    moved = await sms(f"HH {code} POS 31.7 78.45", "operator", "")
    assert moved["leg"]["position"]["latitude"] == 31.7
    held = await sms(f"HH {code} HELD PASS 6")
    assert (held["held_for"], held["leg"]["held_for"]) == ("pass-closed", "pass-closed")
    assert held["leg"]["expected_release"] > held["leg"]["held_since"]
    await sms(f"HH {code} DEP ARMY")
    done = await sms(f"HH {code} DONE")
    assert done["leg"]["status"] == "handed-over"
    assert set(done["leg"]["lost_seconds"]) == {"pass-closed"}
    refused = await desk.post("transport", HERE, f"/referrals/{id}/transport/assign", {"mode": "other"})
    assert refused.status_code == 409
    arrived = await desk.step(id, "arrive", "desk", THERE, {})
    assert arrived["leg"]["ended_at"]
    assert (await desk.post("transport", HERE, "/transport/messages", {"text": f"HH {code} DONE"})).status_code == 404


async def test_a_message_is_for_its_own_journey_and_of_those_who_may(desk: Desk) -> None:
    id = await accepted(desk, "told of")
    assigned = await desk.step(id, "transport/assign", "transport", HERE, {"mode": "ambulance-108"})
    text = f"HH {assigned['leg']['code']} DEP 108"
    assert (await desk.post("transport", ELSEWHERE, "/transport/messages", {"text": text})).status_code == 403
    assert (await desk.post("doctor", HERE, "/transport/messages", {"text": text})).status_code == 403
    wrong = await desk.post("transport", HERE, "/transport/messages", {"text": "where are you"})
    assert wrong.json()["errors"][0]["field"] == "text"
    assert (await desk.get("desk", THERE, f"/referrals/{id}")).json()["referral"]["transport"] == "none"


async def test_a_slip_is_printed_scanned_and_refused_with_a_reason(desk: Desk) -> None:
    patient = person("with a slip")
    await publish(desk.stack.kafka_bootstrap, PatientRegistered(card=card(patient, language="ur")), patient, 1)

    async def known() -> bool:
        found = await desk.served.service.database["patients"].find_one({"_id": patient})
        return found is not None

    await until(known)
    id = await accepted(desk, "with a slip")
    pdf = await desk.get("desk", HERE, f"/referrals/{id}/slip")
    assert pdf.status_code == 200, pdf.text
    assert pdf.headers["content-type"] == "application/pdf"
    assert b"NaskhArabic" in pdf.content
    assert (await desk.get("desk", THERE, f"/referrals/{id}/slip")).status_code == 403
    reads = await desk.served.service.database["reads"].count_documents(
        {"patient": patient, "route": "GET /referrals/{id}/slip"}
    )
    assert reads == 1

    key = slips.SlipKey(desk.served.service.settings.secret("slip_key"))
    assert (await desk.served.client.get("/slips/keys")).json() == key.key_set
    document = await desk.document(id)
    kind = desk.served.service.kinds[0].state
    text = key.sign(id, kind.model_validate(document["state"]), desk.served.service.clock.now())

    async def scan(text: str, facility: str = THERE, idempotency: str | None = None) -> Any:
        return await desk.post("desk", facility, "/slips/scan", {"slip": text}, idempotency)

    async def refused(text: str, facility: str = THERE) -> str:
        answer = await scan(text, facility)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"] == "slip"
        return str(answer.json()["type"])

    assert "slip-for-elsewhere" in await refused(text, ELSEWHERE)
    head, claims, signature = text.split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    other = base64.urlsafe_b64encode(json.dumps(said | {"d": ELSEWHERE}).encode()).decode().rstrip("=")
    assert "slip-forged" in await refused(f"{head}.{other}.{signature}", ELSEWHERE)
    assert "slip-malformed" in await refused("not a slip")
    assert (await desk.document(id))["state"]["status"] == "accepted"

    once = secrets.token_hex(8)
    first, again = await scan(text, idempotency=once), await scan(text, idempotency=once)
    assert (first.status_code, first.json()) == (200, again.json())
    assert first.json()["status"] == "arrived"
    assert (await scan(text)).json()["status"] == "arrived"
    history = (await desk.get("desk", THERE, f"/referrals/{id}/history")).json()["items"]
    assert [entry["type"] for entry in history].count("PatientArrived") == 1

    cancelled = await accepted(desk, "with a slip too")
    gone = await desk.document(cancelled)
    late = key.sign(cancelled, kind.model_validate(gone["state"]), desk.served.service.clock.now())
    await desk.step(cancelled, "cancel", "doctor", HERE, {"reason": "patient-improved"})
    assert (await scan(late)).status_code == 409


async def test_whether_it_was_avoidable_and_what_to_take_go_home(desk: Desk) -> None:
    id = await accepted(desk, "could have stayed")
    await desk.step(id, "arrive", "desk", THERE, {})
    done = {"outcome": "treated-and-discharged", "procedure": False}
    told = await desk.step(id, "outcome", "doctor", THERE, done)
    assert told["avoidable"] is True
    tablets = {"name": "Paracetamol 500 mg", "dose": "1 tablet", "days": 5}
    await desk.step(id, "back-refer", "doctor", THERE, {"advice": "rest", "medicines": [tablets]})
    at_home = (await desk.get("doctor", HERE, f"/referrals/{id}")).json()
    assert at_home["referral"]["avoidable"] is True
    assert at_home["medicines"][0]["name"] == "Paracetamol 500 mg"
    assert (await desk.get("desk", HERE, f"/referrals/{id}")).json()["medicines"] == []
    wrong = await desk.post(
        "doctor", THERE, f"/referrals/{id}/back-refer", {"advice": "x", "medicines": [{"name": ""}]}
    )
    assert wrong.json()["errors"][0]["field"].startswith("medicines.0")


async def test_a_desk_without_a_network_tells_of_an_arrival_when_it_was(desk: Desk) -> None:
    id = await accepted(desk, "who came while the link was down")
    clock, key = desk.served.service.clock, slips.SlipKey(desk.served.service.settings.secret("slip_key"))
    state = desk.served.service.kinds[0].state.model_validate((await desk.document(id))["state"])
    text, came = key.sign(id, state, clock.now()), clock.now() + dt.timedelta(hours=1)
    headers = desk.headers("desk", THERE) | {"Date": format_datetime(came + slips.GOOD_FOR, usegmt=True)}
    body = {"slip": text, "occurred_at": came.isoformat()}
    scanned = await desk.served.client.post("/slips/scan", json=body, headers=headers)
    assert scanned.status_code == 200, scanned.text
    arrived = (await desk.document(id))["state"]["milestones"]["PatientArrived"]
    assert abs(dt.datetime.fromisoformat(arrived) - came) < dt.timedelta(seconds=1)
    headers["Idempotency-Key"] = secrets.token_hex(8)
    expired = await desk.served.client.post("/slips/scan", json={"slip": text}, headers=headers)
    assert "slip-expired" in expired.json()["type"]
