"""What can be asked for: texts checked, people and rosters, a caller's own sends, receipts, campaigns, digests."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from notifications_post import HERE, THERE, Inboxes, Messages, Others, eventually, new_id, patient, phone, registered
from standardwebhooks import Webhook

from deploy.local.testing import Served, TestStack
from libs.common.clock import machine_now
from libs.contracts import referral, registration

pytest_plugins = ("notifications_fixtures",)


class Caller:
    """Somebody with a token."""

    def __init__(self, stack: TestStack, served: Served, role: str, facility: str = "", subject: str = "") -> None:
        token = stack.issuer.token(role=role, facility=facility, subject=subject or f"{role}-{secrets.token_hex(3)}")
        self._client, self._headers = served.client, {"Authorization": f"Bearer {token}"}

    async def get(self, path: str, status: int = 200, **more: Any) -> Any:
        answer = await self._client.get(path, headers=self._headers, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, status: int = 200, key: str = "") -> Any:
        headers = self._headers | {"Idempotency-Key": key or new_id()}
        answer = await self._client.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def operator(stack: TestStack, served: Served) -> Caller:
    return Caller(stack, served, "operator")


@pytest.fixture
def desk(stack: TestStack, served: Served) -> Caller:
    return Caller(stack, served, "desk", HERE)


def referred(kind: type[referral.ReferralEvent], patient: str, **more: Any) -> referral.ReferralEvent:
    return kind(patient=patient, origin=HERE, destination=THERE, service="surgery", urgency="routine", **more)


async def test_texts_are_checked_and_costed(operator: Caller) -> None:
    bad = {"text": "Dear {#var#}, call 18005550199.", "header": "XY-HILHLT-S"}
    found = await operator.post("/templates/lint", bad)
    rules = {fault["rule"] for fault in found["faults"]}
    assert {"tag-untyped", "number-not-whitelisted", "header-form"} <= rules
    assert not found["ok"]
    seen = await operator.post(
        "/templates/preview", {"template": "registered", "variables": {"facility": "CHC Sankoo"}}
    )
    by_language = {item["language"]: item for item in seen["items"]}
    assert set(by_language) == {"bo", "doi", "en", "hi", "ks", "lbj", "ur"}
    assert (by_language["en"]["encoding"], by_language["hi"]["encoding"]) == ("gsm-7", "ucs-2")
    assert all(item["paise"] == 15 * item["segments"] and not item["faults"] for item in seen["items"])
    refused = await operator.post("/templates/preview", {"template": "registered", "variables": {}}, 422)
    assert refused["errors"][0]["field"] == "variables"
    shown = await operator.get("/templates/registered")
    assert "{#alphanumeric#}" in shown["languages"][0]["registered_text"]


async def test_family_and_those_on_duty_are_told_once(
    stack: TestStack, served: Served, world: Others, messages: Messages, desk: Caller, operator: Caller
) -> None:
    who = await registered(world, messages)
    mother = {"kind": "family", "name": "Marked Mother", "phone": phone(), "language": "hi", "patients": [who]}
    relative = (await desk.post("/people", mother, 201))["id"]
    event = await world.publish(referred(referral.PatientArrived, who), new_id())
    told = await eventually(lambda: _of(messages, event, f"person:{relative}"))
    assert {state["channel"] for state in told} == {"in-app", "sms"}
    assert "परिजन" in told[0]["text"]
    assert "Marked" not in told[0]["text"]

    doctor = {"kind": "staff", "name": "Marked Doctor", "phone": phone(), "subject": "doctor-7"}
    on_duty = (await desk.post("/people", doctor, 201))["id"]
    now = machine_now()
    shift = {"person": on_duty, "begins": (now - dt.timedelta(hours=20)).isoformat()}
    shift |= {"ends": (now + dt.timedelta(days=2)).isoformat()}
    roster = await desk.post(f"/rosters/doctor@{HERE}/shifts", shift, 201)
    assert roster["on_duty"] == [on_duty]
    await Caller(stack, served, "desk", THERE).post(f"/rosters/doctor@{HERE}/shifts", shift, 403)
    declined = await world.publish(referred(referral.ReferralDeclined, who, reason="no-bed"), new_id())
    await eventually(lambda: _of(messages, declined, f"person:{on_duty}"))
    feed = await Caller(stack, served, "doctor", HERE, subject="doctor-7").get("/feed")
    assert [item["template"] for item in feed["items"]] == ["doctor-referral-declined"]
    # Nobody is known of this event's group: that too is written down, with its reason.
    absent = await world.publish(referred(referral.PatientNoShow, who), new_id())
    found = await eventually(lambda: messages.database["audiences"].find_one({"state.event": absent}))
    assert (found["state"]["members"], found["state"]["reason"]) == ([], "no-asha-known")


async def _of(messages: Messages, event: str, recipient: str) -> list[dict[str, Any]]:
    """States of an event's messages to one recipient, once there are two and none is under way."""
    found = messages.database["messages"].find({"state.event": event})
    states = [one["state"] async for one in found if one["state"]["recipient"] == recipient]
    settled = [state for state in states if state["status"] not in ("waiting", "sending")]
    return settled if len(settled) == 2 else []


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A caller's own address; its first answer is an error."""
    got: list[tuple[dict[str, str], bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        got.append((headers, body))
        status = "500 Oops" if len(got) == 1 else "204 No Content"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/told", got
    server.close()


async def test_a_caller_sends_by_template_and_is_called_back(
    stack: TestStack,
    served: Served,
    world: Others,
    messages: Messages,
    inboxes: Inboxes,
    receiver: tuple[str, list[tuple[dict[str, str], bytes]]],
) -> None:
    url, got = receiver
    who = await registered(world, messages)
    caller = Caller(stack, served, "desk", HERE)
    item = {"to": f"patient:{who}", "variables": {"facility": "CHC Sankoo"}, "reference": "mine-1"}
    body = {"template": "report-ready", "items": [item], "callback": url, "languages": ["en"]}
    key = new_id()
    first = await caller.post("/sends/batch", body, 202, key)
    again = await caller.post("/sends/batch", body, 202, key)
    assert again["id"] == first["id"]

    async def over() -> Any:
        shown = (await caller.get(f"/sends/{first['id']}"))["items"][0]["messages"]
        return shown if len(shown) == 2 and all(one["status"] in ("sent", "queued") for one in shown) else None

    sms = next(one for one in await eventually(over) if one["channel"] == "sms")
    await Caller(stack, served, "doctor", HERE).get(f"/sends/{first['id']}", 403)
    if sms["status"] == "sent":
        assert len(inboxes.sms(sms["id"])) == 1
    await eventually(lambda: _true(len(got) >= 3 - (sms["status"] == "queued")))
    secret = (await caller.get("/callback-secret"))["secret"]
    told = [Webhook(secret).verify(body, headers) for headers, body in got]
    assert {one["data"]["reference"] for one in told} == {"mine-1"}
    assert {one["type"] for one in told} == {"message.sent"}
    # The first was answered with an error, and came again under the same id.
    assert len({headers["webhook-id"] for headers, _ in got}) == len(got) - 1

    wrong = body | {"items": [item, {"to": f"patient:{who}", "variables": {}}]}
    refused = await caller.post("/sends/batch", wrong, 422)
    assert refused["errors"][0]["field"] == "items.1.variables"
    outside = await caller.post("/sends/batch", body | {"callback": "https://other.example/x"}, 422)
    assert outside["errors"][0]["field"] == "callback"


async def _true(value: bool) -> bool:
    return value


async def test_receipts_are_signed_and_change_what_is_known(
    served: Served, world: Others, messages: Messages, inboxes: Inboxes, operator: Caller
) -> None:
    who = await registered(world, messages)
    event = await world.publish(referred(referral.ReferralAccepted, who), new_id())
    sms = (await messages.settled(event, 2))["patient", "sms"]

    async def receipt(expected: int = 200, *, signed: bool = True, **body: Any) -> Any:
        secret = (await operator.get("/receipt-secrets"))["sms"]
        text, id, now = json.dumps(body), new_id(), machine_now()
        signature = Webhook(secret).sign(id, now, text)
        headers = {"webhook-id": id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
        if not signed:
            headers["webhook-signature"] = "v1,bm90aGluZw=="
        answer = await served.client.post("/receipts/sms", content=text, headers=headers)
        assert answer.status_code == expected, answer.text
        return answer.json()

    await receipt(401, signed=False, reference=sms["_id"], status="delivered")
    assert (await receipt(reference=new_id(), status="delivered")) == {"noted": 0, "unknown": 1}
    # Not there for now: it is sent again, under a reference of its own.
    await receipt(reference=sms["_id"], status="undelivered", code="ABSENT-SUB")
    again = (await messages.settled(event, 2))["patient", "sms"]
    assert (again["is"], again["state"]["redeliveries"]) == ("sent", 1)
    assert len(inboxes.sms(f"{sms['_id']}.1")) == 1
    await receipt(reference=f"{sms['_id']}.1", status="delivered")
    shown = await operator.get(f"/messages/{sms['_id']}")
    assert (shown["status"], shown["delivery"]) == ("sent", "delivered")
    assert "notifications.MessageUndelivered.v1" in [entry["type"] for entry in shown["history"]]

    # A number that takes none is marked: the next message to it is not tried.
    other = await world.publish(referred(referral.PatientBackReferred, who), new_id())
    sms = (await messages.settled(other, 2))["patient", "sms"]
    await receipt(reference=sms["_id"], status="failed", code="INVALID-SUB")
    third = await world.publish(referred(referral.ReferralClosed, who), new_id())
    sms = (await messages.settled(third, 2))["patient", "sms"]
    assert (sms["is"], sms["state"]["reason"]) == ("failed", "number-marked")
    assert inboxes.sms(sms["_id"]) == []


async def test_a_template_that_the_operators_refuse_rests_until_it_is_resumed(
    world: Others, messages: Messages, inboxes: Inboxes, operator: Caller, served: Served
) -> None:
    one, two = await registered(world, messages, language="bo"), await registered(world, messages, language="bo")
    event = await world.publish(referred(referral.ReferralCancelled, one, reason="moved"), new_id())
    first = (await messages.settled(event, 2))["patient", "sms"]
    stopping = {"reference": first["_id"], "status": "undelivered", "code": "DLT-640"}
    await operator.post("/receipts/sms", stopping)
    event = await world.publish(referred(referral.ReferralCancelled, two, reason="moved"), new_id())

    async def held() -> Any:
        found = (await messages.of(event)).get(("patient", "sms"))
        return found if found and found["state"]["reason"] == "template-stopped" else None

    second = await eventually(held)
    assert inboxes.sms(second["_id"]) == []
    shown = await operator.get("/templates/referral-cancelled")
    assert {of["language"]: of["stopped"] for of in shown["languages"]}["bo"] == "dlt-640"
    metrics = (await served.client.get("/metrics")).text
    assert 'hillhealth_template_stopped{language="bo",template="referral-cancelled"} 1.0' in metrics
    resumed = await operator.post("/templates/referral-cancelled/bo/resume")
    assert resumed["released"] == 2
    sent = (await messages.settled(event, 2))["patient", "sms"]
    assert sent["is"] == "sent"
    assert len(inboxes.sms(second["_id"])) == 1
    await operator.post("/templates/referral-cancelled/bo/resume", status=409)


async def test_who_has_no_phone_is_told_by_their_asha(
    stack: TestStack, served: Served, world: Others, messages: Messages, desk: Caller, operator: Caller
) -> None:
    who = new_id()
    await messages.settled(await world.publish(patient(who, phone=None, village="Barsoo"), who), 1)
    asha = {"kind": "asha", "phone": phone(), "villages": ["Barsoo"], "subject": "asha-9"}
    await desk.post("/people", asha, 201)
    await asyncio.sleep(2.1)  # a process believes for two seconds that nobody relays
    sent = await desk.post(
        "/sends", {"template": "report-ready", "to": f"patient:{who}", "variables": {"facility": "CHC Sankoo"}}, 202
    )
    mine = Caller(stack, served, "asha", subject="asha-9")

    async def listed() -> Any:
        return (await mine.get("/relay"))["items"]

    (item,) = await eventually(listed)
    assert "CHC Sankoo" in item["text"]
    await Caller(stack, served, "asha", subject="asha-10").post(f"/relay/{item['id']}/passed-on", {"told": True}, 403)
    told = await mine.post(f"/relay/{item['id']}/passed-on", {"told": True})
    assert (told["channel"], told["delivery"]) == ("relay", "delivered")
    assert await listed() == []
    assert sent["id"]


async def test_a_campaign_is_approved_by_somebody_else_and_can_be_stopped(
    stack: TestStack, served: Served, world: Others, messages: Messages
) -> None:
    village = f"V{secrets.token_hex(3)}"
    people = [await registered(world, messages, village=village) for _ in range(3)]
    one, two = Caller(stack, served, "nodal-officer", HERE, "drafts-it"), Caller(stack, served, "nodal-officer", THERE)
    one_as_officer = Caller(stack, served, "officer", HERE, "drafts-it")
    body = {"title": "You are not alone", "template": "mental-health-support", "per_minute": 20}
    await one.post("/campaigns", body | {"audience": {}}, 422)
    id = (await one.post("/campaigns", body | {"audience": {"village": village}}, 201))["id"]
    await two.post(f"/campaigns/{id}/approve", status=409)
    reach = (await one.post(f"/campaigns/{id}/preview"))["reach"]
    assert (reach["people"], reach["by_channel"]["sms"], reach["by_language"]) == (3, 3, {"ur": 3})
    assert reach["paise"] == 15 * reach["segments"] > 0
    await one.post(f"/campaigns/{id}/approve", status=409)
    await one_as_officer.post(f"/campaigns/{id}/approve", status=409)
    assert (await two.post(f"/campaigns/{id}/approve"))["status"] == "running"

    async def begun() -> Any:
        return (await one.get(f"/campaigns/{id}"))["told"]

    # Twenty a minute are two in six seconds: the third waits, and the campaign is stopped before.
    assert await eventually(begun) == 2
    assert (await one.post(f"/campaigns/{id}/stop", {"reason": "wrong village"}))["status"] == "stopped"
    figures = await one.get(f"/campaigns/{id}/figures")
    assert figures["people"] == 2
    assert figures["by_channel"]["in-app"] == {"sent": 2}
    assert len(people) == 3
    await two.post(f"/campaigns/{id}/resume", status=409)


async def test_who_is_erased_takes_along_what_was_said_of_them_and_who_was_recorded_for_them(
    world: Others, messages: Messages, desk: Caller
) -> None:
    who = await registered(world, messages)
    relative = {"kind": "family", "name": "Marked Aunt", "phone": phone(), "patients": [who]}
    person = (await desk.post("/people", relative, 201))["id"]
    item = {"to": f"patient:{who}", "template": "report-ready", "variables": {"facility": "Marked Place"}}
    sent = (await desk.post("/sends", item, 202))["id"]
    await world.publish(registration.PatientErased(), who)

    async def forgotten() -> Any:
        found = [
            await messages.database["people"].find_one({"_id": person}),
            await messages.database["sends"].find_one({"_id": sent}),
        ]
        return found if not any("Marked" in json.dumps(one, default=str) for one in found) else None

    erased, _ = await eventually(forgotten)
    assert not erased["state"]["active"]
