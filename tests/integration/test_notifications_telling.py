"""From an event to a message in somebody's hand, on the real stack, with providers that misbehave."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from typing import Any

from notifications_post import (
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
    patient,
    phone,
    registered,
    requested,
    token,
    types,
)

from deploy.local.testing import Served
from libs.common.clock import machine_now
from libs.contracts import grievance, registration
from services.notifications.domain.timing import QuietHours

pytest_plugins = ("notifications_fixtures",)


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
    served: Served, world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    """By whatever hour this is run: at night the SMS waits."""
    who = new_id()
    await world.publish(contact(who, phone=phone(), email="reporter@people.example"), who)
    due = machine_now() + dt.timedelta(days=7)
    reporter = {"kind": "contact", "id": who}
    event = await world.publish(complaint(grievance.GrievanceAcknowledged, reporter, due_at=due), new_id())
    at_night = QuietHours().ends_at(served.service.clock.now()) is not None
    wanted = {
        ("contact", "in-app"): "sent",
        ("contact", "sms"): "queued" if at_night else "sent",
        ("contact", "email"): "sent",
    }

    async def told() -> Any:
        found = await messages.of(event)
        return found if {key: document["is"] for key, document in found.items()} == wanted else None

    found = await eventually(told)
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
    found = await messages.settled(event, 2)
    for channel in ("in-app", "sms"):
        document = found["patient", channel]
        assert (document["is"], document["state"]["reason"]) == ("lapsed", "too-late")
    assert inboxes.sms(found["patient", "sms"]["_id"]) == []


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


async def test_many_at_once_each_once(world: Others, messages: Messages, inboxes: Inboxes) -> None:
    people = [new_id() for _ in range(30)]
    await asyncio.gather(*(world.publish(patient(who), who) for who in people))
    records = [(who, *world.record(token(who, number), new_id())) for who in people for number in (1, 2, 3)]
    await asyncio.gather(*(world.send(record) for _, _, record in records * 2))

    async def all_sent() -> bool:
        found = [await messages.of(id) for _, id, _ in records]
        return all(("patient", "sms") in m and m["patient", "sms"]["is"] == "sent" for m in found)

    await eventually(all_sent, 60)
    for who, id, _ in records:
        assert len(inboxes.sms(message_id(id, f"patient:{who}", "sms"))) == 1


async def test_no_storm_passes_the_ceiling_of_a_persons_day(
    served: Served, world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    most = served.service.settings.sms_per_person_and_day
    who = await registered(world, messages)
    records = [world.record(token(who, number), new_id()) for number in range(1, most + 6)]
    await asyncio.gather(*(world.send(record) for _, record in records * 2))
    for id, _ in records:
        await messages.settled(id, 2, 30)
    found = [(await messages.of(id))["patient", "sms"] for id, _ in records]
    received = [document for document in found if inboxes.sms(document["_id"])]
    assert len(received) == most - 1  # one was the registration
    beyond = [document for document in found if document not in received]
    assert {(document["is"], document["state"]["reason"]) for document in beyond} == {("lapsed", "day-ceiling")}


async def test_the_ceiling_holds_for_e_mail_to_a_person_and_not_for_a_mailbox(
    served: Served, world: Others, messages: Messages
) -> None:
    most = served.service.settings.sms_per_person_and_day
    who, due = new_id(), machine_now() + dt.timedelta(days=7)
    await world.publish(contact(who, email="reporter@people.example"), who)
    reporter = {"kind": "contact", "id": who}
    kinds = (grievance.GrievanceAcknowledged, {"due_at": due}), (grievance.GrievanceFiled, {})
    told = []
    for kind, more in kinds:
        records = [world.record(complaint(kind, reporter, **more), new_id()) for _ in range(most + 3)]
        await asyncio.gather(*(world.send(record) for _, record in records))
        role = "contact" if kind is grievance.GrievanceAcknowledged else "officer"
        found = [(await messages.settled(id, 1 if role == "officer" else 2, 60))[role, "email"] for id, _ in records]
        told.append(sum(document["is"] == "sent" for document in found))
        beyond = {document["state"]["reason"] for document in found if document["is"] != "sent"}
        assert beyond == ({"day-ceiling"} if role == "contact" else set())
    assert told == [most, most + 3]
