"""From an event to a message in somebody's hand, on the real stack, with providers that misbehave."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from notifications_post import (
    HERE,
    THERE,
    Inboxes,
    Messages,
    Others,
    complaint,
    contact,
    eventually,
    facility,
    message_id,
    new_id,
    others,
    patient,
    phone,
    requested,
    token,
    types,
)

from deploy.local import store
from deploy.local.testing import Served, TestStack, empty_topics, serving
from libs.common.access import SYSTEM
from libs.common.cause import Cause
from libs.common.clock import machine_now
from libs.contracts import grievance, registration
from services.notifications.domain.message import Plan, Render, decide
from services.notifications.store import MESSAGE

QUICK = {
    "SWEEP_SECONDS": "0.1",
    "SMS_CONNECT_SECONDS": "0.5",
    "SMS_ANSWER_SECONDS": "0.5",
    "SMTP_SECONDS": "1.5",
    "LEASE_ATTEMPT_SECONDS": "2",
    "ASK_AFTER_SECONDS": "0.2",
    "RETRY_BASE_SECONDS": "0.1",
}


@pytest.fixture(scope="module")
async def served(stack: TestStack) -> AsyncIterator[Served]:
    """One service for the whole file, so that it starts once."""
    prefix = f"test_{secrets.token_hex(4)}_"
    await empty_topics(stack.kafka_bootstrap)
    async with serving(stack.settings("notifications", DATABASE_PREFIX=prefix, **QUICK), "notifications") as served:
        async with others(stack) as world:
            for code in (HERE, THERE):
                await world.publish(facility(code), code)
        yield served
    store.drop(stack.mongodb_uri, prefix)


@pytest.fixture
async def world(stack: TestStack, served: Served) -> AsyncIterator[Others]:
    async with others(stack) as world:
        yield world


@pytest.fixture
async def inboxes(stack: TestStack) -> AsyncIterator[Inboxes]:
    inboxes = Inboxes(stack)
    await inboxes.lift()
    yield inboxes
    await inboxes.lift()
    await inboxes.gateway.aclose()


@pytest.fixture
def messages(served: Served) -> Messages:
    return Messages(served.service.database)


async def registered(world: Others, messages: Messages, **changed: Any) -> str:
    """A patient whose card is known, and who has been told so."""
    who = new_id()
    event = await world.publish(patient(who, **changed), who)
    await messages.settled(event, 1 if changed.get("phone", "") is None else 2)
    return who


async def test_a_registration_is_told_by_sms_and_in_the_feed(
    world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    who, number = new_id(), phone()
    event = await world.publish(patient(who, phone=number, language="bo"), who)
    found = await messages.settled(event, 2)
    assert {key: document["is"] for key, document in found.items()} == {
        ("patient", "in-app"): "sent",
        ("patient", "sms"): "sent",
    }
    sms = found["patient", "sms"]
    assert sms["_id"] == message_id(event, f"patient:{who}", "sms")
    assert types(sms) == ["MessageRendered", "SendAttempted", "MessageSent"]
    (received,) = inboxes.sms(sms["_id"])
    assert received["to"] == number
    assert received["language"] == "bo"
    assert "CHC Sankoo" in received["text"]
    assert received["text"] == found["patient", "in-app"]["state"]["text"]
    assert number not in str(sms["journal"]) + str(sms["state"])


async def test_without_a_phone_only_the_feed_tells(world: Others, messages: Messages) -> None:
    who = await registered(world, messages, phone=None)
    event = await world.publish(token(who), new_id())
    found = await messages.settled(event, 1)
    assert {key: document["is"] for key, document in found.items()} == {("patient", "in-app"): "sent"}
    assert "7" in found["patient", "in-app"]["state"]["text"]


async def test_an_event_that_comes_again_is_told_once(world: Others, messages: Messages, inboxes: Inboxes) -> None:
    who = await registered(world, messages)
    id, record = world.record(token(who), new_id())
    for _ in range(5):
        await world.send(record)
    found = await messages.settled(id, 2)
    # Something behind it on the same key shows that all five were handled.
    _, last = world.record(token(who, 8), record.key.decode())
    await world.send(last)
    await messages.settled(_, 2)
    assert len(await messages.of(id)) == 2
    assert len(inboxes.sms(found["patient", "sms"]["_id"])) == 1
    assert types(found["patient", "sms"]).count("SendAttempted") == 1


async def test_a_phone_learnt_later_brings_no_message_about_the_past(world: Others, messages: Messages) -> None:
    who = await registered(world, messages, phone=None)
    id, record = world.record(token(who), new_id())
    await world.send(record)
    await messages.settled(id, 1)
    await world.publish(
        registration.PatientCorrected(card=patient(who).card, changed=("phone",)),
        who,
    )
    await eventually(lambda: _has_phone(messages, who))
    await world.send(record)
    following, last = world.record(token(who, 8), record.key.decode())
    await world.send(last)
    await messages.settled(following, 2)
    assert len(await messages.of(id)) == 1


async def _has_phone(messages: Messages, who: str) -> bool:
    card = await messages.database["patients"].find_one({"_id": who})
    return bool(card and card["card"]["phone"])


async def test_three_refusals_then_one_sms(world: Others, messages: Messages, inboxes: Inboxes) -> None:
    who = await registered(world, messages)
    await inboxes.plant(sms={"status": 500, "times": 3})
    event = await world.publish(token(who), new_id())
    found = await messages.settled(event, 2)
    sms = found["patient", "sms"]
    assert sms["is"] == "sent"
    assert types(sms).count("SendAttempted") == 4
    assert len(inboxes.sms(sms["_id"])) == 1


async def test_busy_is_tried_again(world: Others, messages: Messages, inboxes: Inboxes) -> None:
    who = await registered(world, messages)
    await inboxes.plant(sms={"status": 429, "times": 1})
    event = await world.publish(token(who), new_id())
    sms = (await messages.settled(event, 2))["patient", "sms"]
    assert types(sms) == [
        "MessageRendered",
        "SendAttempted",
        "RetryScheduled",
        "SendAttempted",
        "MessageSent",
    ]


async def test_refused_for_good_is_a_failure(world: Others, messages: Messages, inboxes: Inboxes) -> None:
    who = await registered(world, messages)
    await inboxes.plant(sms={"status": 400, "times": 1})
    event = await world.publish(token(who), new_id())
    sms = (await messages.settled(event, 2))["patient", "sms"]
    assert (sms["is"], sms["state"]["reason"]) == ("failed", "gateway-400")
    assert inboxes.sms(sms["_id"]) == []


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500, "after_accept": True},
        {"status": 200, "after_accept": True, "hang_s": 1.5},
    ],
    ids=["an error after it was taken", "an answer that came too late"],
)
async def test_an_answer_that_was_lost_is_asked_for_and_nothing_sent_twice(
    world: Others, messages: Messages, inboxes: Inboxes, fault: dict[str, Any]
) -> None:
    who = await registered(world, messages)
    await inboxes.plant(sms=fault)
    event = await world.publish(token(who), new_id())
    sms = (await messages.settled(event, 2))["patient", "sms"]
    assert sms["is"] == "sent"
    assert types(sms).count("SendAttempted") == 1
    assert len(inboxes.sms(sms["_id"])) == 1


async def test_a_gateway_that_cannot_be_asked_is_asked_again(
    world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    who = await registered(world, messages)
    await inboxes.plant(
        sms={"status": 500, "after_accept": True},
        sms_status={"status": 503, "times": 2},
    )
    event = await world.publish(token(who), new_id())
    sms = (await messages.settled(event, 2))["patient", "sms"]
    assert sms["is"] == "sent"
    assert types(sms).count("AnswerAwaited") == 2
    assert len(inboxes.sms(sms["_id"])) == 1


async def test_a_card_that_comes_later_completes_the_message(
    world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    who = new_id()
    event = await world.publish(token(who), new_id())

    async def waits() -> Any:
        found = await messages.of(event)
        return found if found and found["patient", "in-app"]["is"] == "waiting" else None

    waiting = (await eventually(waits))["patient", "in-app"]
    assert waiting["state"]["awaiting"] == f"patient:{who}"
    await world.publish(registration.PatientCorrected(card=patient(who, language="lbj").card), who)
    found = await messages.settled(event, 2, seconds=5)
    assert found["patient", "in-app"]["is"] == "sent"
    assert found["patient", "sms"]["state"]["language"] == "lbj"
    assert len(inboxes.sms(found["patient", "sms"]["_id"])) == 1


async def test_a_facility_that_comes_later_completes_the_message(world: Others, messages: Messages) -> None:
    who, code = new_id(), f"LA-{uuid.uuid4().hex[:8].upper()}"
    event = await world.publish(patient(who, registered_at=code), who)

    async def waits() -> bool:
        found = await messages.of(event)
        return bool(found) and found["patient", "in-app"]["state"]["awaiting"] == f"facility:{code}"

    await eventually(waits)
    await world.publish(facility(code, name="PHC of the last valley"), code)
    found = await messages.settled(event, 2, seconds=5)
    assert "PHC of the last valley" in found["patient", "sms"]["state"]["text"]


async def test_the_sweep_completes_what_the_hook_missed(
    served: Served, world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    who = new_id()
    event = await world.publish(token(who), new_id())
    await eventually(lambda: messages.of(event))
    # Straight into the replica: no hook is called, as after a crash between the card and the hook.
    await messages.database["patients"].insert_one(
        {"_id": who, "epoch": 1, "sequence": 1, "card": patient(who).model_dump(mode="json")["card"]}
    )
    found = await messages.settled(event, 2)
    assert {document["is"] for document in found.values()} == {"sent"}


async def test_a_referral_tells_the_desk_of_the_destination_by_mail_once(
    world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    who = await registered(world, messages)
    id, record = world.record(requested(who), new_id())
    for _ in range(3):
        await world.send(record)
    found = await messages.settled(id, 3)
    mail = found["desk", "email"]
    assert mail["state"]["recipient"] == f"desk@{THERE}"

    async def arrived() -> Any:
        return inboxes.mails(mail["_id"])

    (received,) = await eventually(arrived)
    assert received["to"] == [f"desk.{THERE.lower()}@hospital.example"]
    assert "CHC Sankoo" in received["body"]
    assert "urgent" not in received["body"]
    assert len(inboxes.mails(mail["_id"])) == 1


async def test_a_desk_without_a_mailbox_is_a_failure_that_says_so(world: Others, messages: Messages) -> None:
    code = f"LA-{uuid.uuid4().hex[:8].upper()}"
    await world.publish(facility(code, desk_email=None), code)
    who = await registered(world, messages)
    event = await world.publish(requested(who).model_copy(update={"destination": code}), new_id())
    mail = (await messages.settled(event, 3))["desk", "email"]
    assert (mail["is"], mail["state"]["reason"]) == ("failed", "no-address")


async def test_a_reporter_who_is_no_patient_is_told_wherever_there_is_an_address(
    world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    who = new_id()
    await world.publish(contact(who, phone=phone(), email="reporter@people.example"), who)
    due = machine_now() + dt.timedelta(days=7)
    reporter = {"kind": "contact", "id": who}
    event = await world.publish(complaint(grievance.GrievanceAcknowledged, reporter, due_at=due), new_id())
    found = await messages.settled(event, 3)
    assert {key: document["is"] for key, document in found.items()} == {
        ("contact", "in-app"): "sent",
        ("contact", "sms"): "sent",
        ("contact", "email"): "sent",
    }
    (mail,) = inboxes.mails(found["contact", "email"]["_id"])
    assert "GRV-26-0001" in mail["body"]


async def test_officers_hear_of_an_anonymous_complaint_and_nobody_else_does(
    world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    event = await world.publish(complaint(grievance.GrievanceFiled, {"kind": "anonymous"}), new_id())
    found = await messages.settled(event, 1)
    assert set(found) == {("officer", "email")}
    assert found["officer", "email"]["state"]["recipient"] == f"officer@{THERE}"


async def test_what_is_too_old_lapses_and_is_not_sent(world: Others, messages: Messages, inboxes: Inboxes) -> None:
    who = await registered(world, messages)
    event = await world.publish(token(who), new_id(), occurred_at=machine_now() - dt.timedelta(hours=13))
    found = await messages.settled(event, 1)
    lead = found["patient", "in-app"]
    assert (lead["is"], lead["state"]["reason"]) == ("lapsed", "too-late")
    assert inboxes.sms(message_id(event, f"patient:{who}", "sms")) == []


async def test_what_waits_too_long_lapses(served: Served, world: Others, messages: Messages) -> None:
    occurred = machine_now() - dt.timedelta(hours=12) + dt.timedelta(seconds=1.5)
    event = await world.publish(token(new_id()), new_id(), occurred_at=occurred)

    async def lapsed() -> Any:
        # The day's clock goes on with every time of sending it sees.
        served.service.clock.saw(machine_now())
        found = await messages.of(event)
        return found if found and found["patient", "in-app"]["is"] != "waiting" else None

    lead = (await eventually(lapsed))["patient", "in-app"]
    assert types(lead)[0] == "CardAwaited"
    assert (lead["is"], lead["state"]["reason"]) == ("lapsed", "too-late")


async def test_a_claim_whose_sender_died_is_resolved(served: Served, messages: Messages, inboxes: Inboxes) -> None:
    """The journal says that an attempt was claimed; whether it reached the gateway nobody knows."""
    who = new_id()
    await messages.database["patients"].insert_one(
        {"_id": who, "epoch": 1, "sequence": 1, "card": patient(who).model_dump(mode="json")["card"]}
    )
    now = machine_now()
    for reached in (True, False):
        event = new_id()
        plan = Plan(
            event=event,
            event_type="registration.TokenIssued.v1",
            occurred_at=now,
            recipient=f"patient:{who}",
            template="token-issued",
            channels=("in-app", "sms"),
            useful_until=now + dt.timedelta(hours=1),
        )
        command = Render(plan, "sms", "en", "text", "", "gsm-7", 1, at=now, lease_until=now)
        id = message_id(event, plan.recipient, "sms")
        if reached:
            await inboxes.gateway.post("/sms", json={"to": "x", "text": "text", "reference": id})
        await served.service.journal.create(
            MESSAGE,
            id,
            lambda state, command=command: decide(state, command, now),
            Cause(new_id(), "test", now),
            SYSTEM,
        )
        sms = (await messages.settled(event, 1))["patient", "sms"]
        assert sms["is"] == "sent"
        assert types(sms).count("SendAttempted") == (1 if reached else 2)
        assert len(inboxes.sms(id)) == 1


async def test_a_mail_whose_answer_was_lost_is_left_to_a_person(
    stack: TestStack, served: Served, messages: Messages
) -> None:
    now, event = machine_now(), new_id()
    plan = Plan(
        event=event,
        event_type="referral.ReferralRequested.v1",
        occurred_at=now,
        recipient=f"desk@{THERE}",
        template="desk-referral-requested",
        channels=("email",),
        useful_until=now + dt.timedelta(hours=1),
    )
    id = message_id(event, plan.recipient, "email")
    command = Render(plan, "email", "en", "text", "subject", "gsm-7", 1, at=now, lease_until=now)
    await served.service.journal.create(
        MESSAGE, id, lambda state: decide(state, command, now), Cause(new_id(), "test", now), SYSTEM
    )
    mail = (await messages.settled(event, 1))["desk", "email"]
    assert mail["is"] == "outcome-unknown"

    operator = {"Authorization": f"Bearer {stack.issuer.token(role='operator', facility='')}"}
    listed = await served.client.get("/messages", params={"status": "outcome-unknown"}, headers=operator)
    assert id in [item["id"] for item in listed.json()["items"]]
    key = {"Idempotency-Key": new_id()}
    for _ in range(2):
        answer = await served.client.post(f"/messages/{id}/resolve", json={"outcome": "sent"}, headers=operator | key)
        assert (answer.status_code, answer.json()["status"]) == (200, "sent")
    again = await served.client.post(
        f"/messages/{id}/resolve", json={"outcome": "failed"}, headers=operator | {"Idempotency-Key": new_id()}
    )
    assert again.status_code == 409
    shown = (await served.client.get(f"/messages/{id}", headers=operator)).json()
    assert shown["history"][-1]["actor"] == "operator"
    assert "text" not in shown


async def test_who_is_erased_is_forgotten_and_told_nothing_more(
    world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    who = await registered(world, messages)
    told = await world.publish(token(who), new_id())
    await messages.settled(told, 2)
    await world.publish(registration.PatientErased(), who)

    async def forgotten() -> bool:
        return all(document["state"]["erased"] for document in (await messages.of(told)).values())

    await eventually(forgotten)
    for document in (await messages.of(told)).values():
        assert document["is"] == "sent"
        assert document["state"]["text"] == ""
        rendered = [entry for entry in document["journal"] if entry["type"] == "MessageRendered"]
        assert [entry["data"]["text"] for entry in rendered] == [""]
    after = await world.publish(token(who, 9), new_id())
    lead = (await messages.settled(after, 1))["patient", "in-app"]
    assert (lead["is"], lead["state"]["reason"]) == ("lapsed", "recipient-erased")


async def test_what_waits_for_someone_erased_lapses(world: Others, messages: Messages) -> None:
    who = new_id()
    event = await world.publish(token(who), new_id())
    await eventually(lambda: messages.of(event))
    await world.publish(registration.PatientErased(), who)
    lead = (await messages.settled(event, 1))["patient", "in-app"]
    assert (lead["is"], lead["state"]["reason"]) == ("lapsed", "recipient-erased")


async def test_a_citizen_reads_their_own_feed_and_the_reading_is_logged(
    stack: TestStack, served: Served, world: Others, messages: Messages
) -> None:
    who, other = await registered(world, messages, language="en"), await registered(world, messages)
    for number in range(1, 4):
        event = await world.publish(
            token(who, number), new_id(), occurred_at=machine_now() + dt.timedelta(seconds=number)
        )
        await messages.settled(event, 2)
    headers = {"Authorization": f"Bearer {stack.issuer.token(role='citizen', facility='', patient=who)}"}
    first = (await served.client.get("/feed", params={"limit": 2}, headers=headers)).json()
    assert [item["template"] for item in first["items"]] == ["token-issued"] * 2
    assert "number is 3" in first["items"][0]["text"]
    rest = (await served.client.get("/feed", params={"cursor": first["next"]}, headers=headers)).json()
    assert [item["template"] for item in rest["items"]] == ["token-issued", "registered"]
    assert rest["next"] is None
    reads = await messages.database["reads"].find({"patient": who}).to_list(None)
    assert [read["route"] for read in reads] == ["GET /feed"] * 2
    nobody = {"Authorization": f"Bearer {stack.issuer.token(role='citizen', facility='')}"}
    assert (await served.client.get("/feed", headers=nobody)).status_code == 403
    strange = {"Authorization": f"Bearer {stack.issuer.token(role='citizen', facility='', patient=other)}"}
    texts = (await served.client.get("/feed", headers=strange)).json()["items"]
    assert [item["template"] for item in texts] == ["registered"]


async def test_nothing_personal_leaves_by_metrics(served: Served) -> None:
    text = (await served.client.get("/metrics")).text
    assert "hillhealth_messages_settled_total" in text
    assert "hillhealth_sms_segments_total" in text
    assert "5550" not in text
    assert "Marked" not in text


async def test_many_at_once_each_once(world: Others, messages: Messages, inboxes: Inboxes) -> None:
    who = await registered(world, messages)
    records = [world.record(token(who, number), new_id()) for number in range(1, 121)]
    await asyncio.gather(*(world.send(record) for _, record in records * 2))

    async def all_sent() -> bool:
        wanted = {"state.recipient": f"patient:{who}", "state.channel": "sms", "state.status": "sent"}
        return await messages.database["messages"].count_documents(wanted) == 121

    await eventually(all_sent, 60)
    for id, _ in records:
        assert len(inboxes.sms(message_id(id, f"patient:{who}", "sms"))) == 1
