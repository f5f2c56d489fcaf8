"""Who may read what they were told, and that who is erased is forgotten."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from notifications_post import (
    HERE,
    NAMES,
    THERE,
    Inboxes,
    Messages,
    Others,
    eventually,
    facility,
    new_id,
    patient,
    registered,
    requested,
    token,
)

from deploy.local.testing import Served, TestStack
from libs.common.clock import machine_now
from libs.contracts import referral, registration

pytest_plugins = ("notifications_fixtures",)


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


async def test_who_refuses_sms_gets_none_from_then_on_but_in_a_named_emergency(
    stack: TestStack, served: Served, world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    who = await registered(world, messages)
    citizen = {"Authorization": f"Bearer {stack.issuer.token(role='citizen', facility='', patient=who)}"}
    said = {"channel": "sms", "allowed": False}
    key = {"Idempotency-Key": new_id()}
    first, again = [await served.client.post("/preferences", json=said, headers=citizen | key) for _ in range(2)]
    assert first.status_code == 200
    assert first.json() == again.json()
    assert [(c["channel"], c["scope"], c["allowed"]) for c in first.json()["choices"]] == [("sms", "all", False)]

    found = await messages.settled(await world.publish(token(who), new_id()), 2)
    assert found["patient", "in-app"]["is"] == "sent"
    assert (found["patient", "sms"]["is"], found["patient", "sms"]["state"]["reason"]) == ("lapsed", "opted-out")
    assert inboxes.sms(found["patient", "sms"]["_id"]) == []

    emergency = requested(who).model_dump() | {"urgency": "emergency"}
    told = await messages.settled(await world.publish(referral.ReferralAccepted(**emergency), new_id()), 2)
    assert told["patient", "sms"]["is"] == "sent"
    assert told["patient", "sms"]["state"]["override"] == "emergency-referral"

    operator = {"Authorization": f"Bearer {stack.issuer.token(role='operator', facility='')}"}
    answer = await served.client.post(
        f"/recipients/patient:{who}/preferences",
        json=said | {"allowed": True},
        headers=operator | {"Idempotency-Key": new_id()},
    )
    assert answer.json() == (await served.client.get("/preferences", headers=citizen)).json()
    after = await messages.settled(await world.publish(token(who), new_id()), 2)
    assert after["patient", "sms"]["is"] == "sent"


async def test_a_refusal_stops_what_is_queued(
    stack: TestStack, served: Served, world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    who = await registered(world, messages)
    await inboxes.plant(sms={"status": 429, "times": 1000})
    event = await world.publish(token(who), new_id())

    async def tried() -> bool:
        found = await messages.of(event)
        return ("patient", "sms") in found and found["patient", "sms"]["state"]["attempt"] >= 1

    await eventually(tried)
    citizen = {"Authorization": f"Bearer {stack.issuer.token(role='citizen', facility='', patient=who)}"}
    said = {"channel": "sms", "scope": "care", "allowed": False}
    await served.client.post("/preferences", json=said, headers=citizen | {"Idempotency-Key": new_id()})
    sms = (await messages.settled(event, 2))["patient", "sms"]
    assert (sms["is"], sms["state"]["reason"]) == ("lapsed", "opted-out")


async def test_who_owes_a_step_is_reached_by_who_is_on_duty_or_else_the_desk_and_a_cell_waits_for_its_card(
    stack: TestStack, served: Served, world: Others, messages: Messages
) -> None:
    leg = requested(new_id()).model_dump()
    owed = leg | {"step": "acknowledge", "owed_by": f"doctor@{HERE}", "owed_since": machine_now(), "reminder": 1}
    event = await world.publish(referral.StepOwed(**owed, role="doctor", facility=HERE), new_id())
    found = await messages.settled(event, 1)
    assert {who: each["is"] for who, each in found.items()} == {("desk", "email"): "sent"}

    cell = f"LA-CELL-{new_id()[:4].upper()}"
    breach = leg | {"promise": "answer", "escalated_to": f"nodal-officer@{cell}", "facility": cell}
    event = await world.publish(referral.ReferralBreached(**breach), new_id())

    async def waits() -> bool:
        return [each["is"] for each in (await messages.of(event)).values()] == ["waiting"]

    await eventually(waits)
    await world.publish(facility(cell, level="CELL", hip_id="", desk_email=None), cell)
    found = await messages.settled(event, 1)
    assert {who: each["is"] for who, each in found.items()} == {("officer", "email"): "sent"}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/preferences", {"channel": "in-app", "allowed": False}, "channel"),
        ("/preferences", {"channel": "sms"}, "allowed"),
        ("/preferences", {"channel": "sms", "allowed": False, "who": "x"}, "who"),
        ("/messages/x/resolve", {"outcome": "perhaps"}, "outcome"),
    ],
)
async def test_bad_input_is_named_and_nothing_changes(
    stack: TestStack, served: Served, messages: Messages, path: str, body: dict[str, Any], field: str
) -> None:
    role = "citizen" if path == "/preferences" else "operator"
    token_ = stack.issuer.token(role=role, facility="", patient="p-bad" if role == "citizen" else None)
    headers = {"Authorization": f"Bearer {token_}", "Idempotency-Key": new_id()}
    answer = await served.client.post(path, json=body, headers=headers)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await messages.database["preferences"].count_documents({"_id": "patient:p-bad"}) == 0


async def test_whose_record_was_opened_elsewhere_finds_it_in_their_messages(
    stack: TestStack, served: Served, world: Others, messages: Messages
) -> None:
    who = new_id()
    card = patient(who, language="en").card
    await messages.settled(await world.publish(registration.PatientRegistered(card=card), who), 2)
    opened = registration.RecordOpened(card=card, facility=THERE, break_glass=True)
    for event in (opened, registration.RecordOpened(card=card, facility=THERE)):
        await world.publish(event, who)
    citizen = {"Authorization": f"Bearer {stack.issuer.token(role='citizen', facility='', patient=who)}"}

    async def both() -> list[dict[str, Any]] | None:
        items = (await served.client.get("/feed", headers=citizen)).json()["items"]
        told = [item for item in items if item["template"].startswith("record-opened")]
        return told if len(told) == 2 else None

    told = {item["template"]: item["text"] for item in await eventually(both)}
    assert set(told) == {"record-opened", "record-opened-in-emergency"}
    assert all(NAMES[THERE] in text and "Marked" not in text for text in told.values())
    assert "without asking you" in told["record-opened-in-emergency"]
    refused = {"channel": "sms", "allowed": False}
    await served.client.post("/preferences", json=refused, headers=citizen | {"Idempotency-Key": new_id()})
    event = await world.publish(opened, who)

    async def lapsed() -> bool:
        sms = (await messages.of(event)).get(("patient", "sms"))
        return bool(sms and (sms["is"], sms["state"]["reason"]) == ("lapsed", "opted-out"))

    await eventually(lapsed)


async def test_a_merged_record_is_told_as_the_one_it_lives_on_in_and_back_again(
    stack: TestStack, served: Served, world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    cards = {name: patient(new_id(), language=language).card for name, language in (("old", "ur"), ("new", "en"))}
    for card in cards.values():
        await messages.settled(await world.publish(registration.PatientRegistered(card=card), card.id), 2)
    old, new = cards["old"], cards["new"]

    async def told_at() -> str:
        event = await world.publish(token(old.id), new_id())
        [sms] = inboxes.sms((await messages.settled(event, 2))["patient", "sms"]["_id"])
        return str(sms["to"])

    async def feed_of(who: str) -> int:
        headers = {"Authorization": f"Bearer {stack.issuer.token(role='citizen', facility='', patient=who)}"}
        return len((await served.client.get("/feed", headers=headers)).json()["items"])

    async def known(merged_into: str | None) -> None:
        async def there() -> bool:
            found = await messages.database["patients"].find_one({"_id": old.id})
            return bool(found["card"].get("merged_into") == merged_into)

        await eventually(there)

    assert await told_at() == old.phone
    merged = old.model_copy(update={"merged_into": new.id})
    await world.publish(registration.PatientMerged(card=merged, merged_into=new.id), old.id)
    await known(new.id)
    assert await told_at() == new.phone
    assert (await feed_of(new.id), await feed_of(old.id)) == (4, 4), "both registrations and both tokens"
    await world.publish(registration.PatientUnmerged(card=old, merged_into=new.id), old.id)
    await known(None)
    assert await told_at() == old.phone
    assert (await feed_of(new.id), await feed_of(old.id)) == (1, 4)
