"""At night, on the day's clock: what can wait is held, the newest of a case goes out in the morning, once."""

from __future__ import annotations

import datetime as dt
from typing import Any

from notifications_post import (
    HERE,
    THERE,
    Inboxes,
    Messages,
    Others,
    complaint,
    eventually,
    new_id,
    patient,
    phone,
    registered,
    token,
    types,
)

from deploy.local.testing import Served, TestStack
from libs.common.clock import machine_now
from libs.contracts import grievance, referral
from services.notifications.domain.timing import IST

pytest_plugins = ("notifications_fixtures",)


def next_night() -> dt.datetime:
    """23:00 in India, the next to come."""
    local = machine_now().astimezone(IST)
    night = local.replace(hour=23, minute=0, second=0, microsecond=0)
    return night if night > local else night + dt.timedelta(days=1)


async def test_the_night_holds_what_can_wait_and_only_the_newest_goes_out(
    served: Served, world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    who = await registered(world, messages)
    night = next_night()
    served.service.clock.saw(night)
    case, reporter = new_id(), {"kind": "patient", "id": who}
    due = night + dt.timedelta(days=7)
    older = await world.publish(
        complaint(grievance.GrievanceAcknowledged, reporter, due_at=due), case, occurred_at=night
    )
    newer = await world.publish(
        complaint(grievance.GrievanceResolved, reporter, outcome="fixed"),
        case,
        occurred_at=night + dt.timedelta(minutes=10),
    )
    urgent = await world.publish(token(who), new_id(), occurred_at=night)
    assert (await messages.settled(urgent, 2))["patient", "sms"]["is"] == "sent"

    async def held() -> Any:
        found = [(await messages.of(event)).get(("patient", "sms")) for event in (older, newer)]
        return found if all(found) else None

    for document in await eventually(held):
        assert types(document) == ["MessageRendered", "MessageHeld"]
        assert document["is"] == "queued"
        assert inboxes.sms(document["_id"]) == []
    for event in (older, newer):
        assert (await messages.of(event))["patient", "in-app"]["is"] == "sent"

    served.service.clock.saw(night + dt.timedelta(hours=9))
    first = (await messages.settled(older, 2))["patient", "sms"]
    second = (await messages.settled(newer, 2))["patient", "sms"]
    assert (first["is"], first["state"]["reason"]) == ("lapsed", "superseded")
    assert second["is"] == "sent"
    assert (len(inboxes.sms(first["_id"])), len(inboxes.sms(second["_id"]))) == (0, 1)


async def test_once_a_death_is_recorded_no_phone_is_written_to(
    stack: TestStack, served: Served, world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    """What was held for the number of who has died, or for the ASHA about them, is withdrawn; the feed stays."""
    who = await registered(world, messages)
    operator = {"Authorization": f"Bearer {stack.issuer.token(role='operator', facility='')}"}
    asha = await served.client.post(
        "/people",
        json={"kind": "asha", "phone": phone(), "patients": [who], "facility": HERE},
        headers=operator | {"Idempotency-Key": new_id()},
    )
    assert asha.status_code == 201, asha.text
    night = next_night() + dt.timedelta(days=1)
    served.service.clock.saw(night)
    referred: dict[str, Any] = {"patient": who, "origin": HERE, "destination": THERE, "service": "x"}
    case, urgency = new_id(), {"urgency": "routine"}
    missed = await world.publish(referral.PatientNoShow(**referred, **urgency), case, occurred_at=night)
    reporter = {"kind": "patient", "id": who}
    complained = await world.publish(
        complaint(grievance.GrievanceAcknowledged, reporter, due_at=night), new_id(), occurred_at=night
    )

    async def held() -> Any:
        found = await messages.of(complained), await messages.of(missed)
        both = found[0].get(("patient", "sms")), found[1].get(("person", "sms"))
        return both if all(one and one["is"] == "queued" for one in both) else None

    await eventually(held)
    await world.publish(referral.PatientDeceased(**referred, **urgency, place="home"), case, occurred_at=night)
    mine = (await messages.settled(complained, 2))["patient", "sms"]
    hers = (await messages.settled(missed, 4))["person", "sms"]
    assert (mine["is"], mine["state"]["reason"]) == ("lapsed", "recipient-deceased")
    assert (hers["is"], hers["state"]["reason"]) == ("lapsed", "patient-deceased")
    assert inboxes.sms(mine["_id"]) == inboxes.sms(hers["_id"]) == []

    later = await messages.settled(await world.publish(token(who), new_id(), occurred_at=night), 2)
    assert later["patient", "in-app"]["is"] == "sent"
    assert (later["patient", "sms"]["is"], later["patient", "sms"]["state"]["reason"]) == (
        "lapsed",
        "recipient-deceased",
    )
    gone = await world.publish(referral.PatientNoShow(**referred, **urgency), new_id(), occurred_at=night)
    await messages.settled(gone, 2)
    audience = await messages.database["audiences"].find_one({"state.event": gone})
    assert (audience["state"]["members"], audience["state"]["reason"]) == ([], "patient-deceased")

    headers = operator | {"Idempotency-Key": new_id()}
    for _ in range(2):
        lives = await served.client.post(f"/recipients/patient:{who}/lives", json={}, headers=headers)
        assert lives.json() == {"recipient": f"patient:{who}", "withdrawn": 1}, lives.text
    again = await messages.settled(await world.publish(token(who, 8), new_id(), occurred_at=night), 2)
    assert again["patient", "sms"]["is"] == "sent"


async def test_what_a_campaign_holds_for_the_morning_is_withdrawn_when_it_is_stopped(
    stack: TestStack, served: Served, world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    village = f"V{new_id()[:6]}"
    people = [await registered(world, messages, village=village) for _ in range(2)]
    served.service.clock.saw(next_night() + dt.timedelta(days=2))

    async def ask(who: str, path: str, body: dict[str, Any], status: int = 200) -> Any:
        token = stack.issuer.token(role="officer", facility=HERE, subject=who)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": new_id()}
        answer = await served.client.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    draft = {"title": "You are not alone", "template": "mental-health-support", "per_minute": 6000}
    id = (await ask("one", "/campaigns", draft | {"audience": {"village": village}}, 201))["id"]
    await ask("one", f"/campaigns/{id}/preview", {})
    await ask("two", f"/campaigns/{id}/approve", {})

    async def held() -> Any:
        found = await messages.database["messages"].find({"state.case": id, "state.channel": "sms"}).to_list(None)
        return found if [one["state"]["status"] for one in found] == ["queued"] * len(people) else None

    waiting = await eventually(held)

    async def done() -> bool:
        return (await messages.database["campaigns"].find_one({"_id": id}))["state"]["status"] == "done"

    await eventually(done)
    assert (await ask("one", f"/campaigns/{id}/stop", {"reason": "wrong village"}))["status"] == "stopped"

    async def withdrawn() -> bool:
        found = await messages.database["messages"].find({"state.case": id, "state.channel": "sms"}).to_list(None)
        return all((one["state"]["status"], one["state"]["reason"]) == ("lapsed", "campaign-stopped") for one in found)

    await eventually(withdrawn)
    assert [inboxes.sms(one["_id"]) for one in waiting] == [[], []]


async def test_what_was_overtaken_while_nothing_got_through_is_not_sent(
    served: Served, world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    who = new_id()
    await messages.settled(await world.publish(patient(who), who), 2)
    noon = served.service.clock.now().astimezone(IST).replace(hour=12) + dt.timedelta(days=1)
    served.service.clock.saw(noon)
    await inboxes.plant(sms={"status": 429, "times": 1000})
    case, reporter = new_id(), {"kind": "patient", "id": who}
    older = await world.publish(
        complaint(grievance.GrievanceResolved, reporter, outcome="fixed"), case, occurred_at=noon
    )
    newer = await world.publish(
        complaint(grievance.GrievanceConfirmed, reporter, rating=5), case, occurred_at=noon + dt.timedelta(minutes=1)
    )

    async def given_up() -> bool:
        found = await messages.of(older)
        return ("patient", "sms") in found and found["patient", "sms"]["is"] == "lapsed"

    await eventually(given_up, 40)
    await inboxes.lift()
    told = await messages.settled(newer, 2, 60)
    assert told["patient", "sms"]["is"] == "sent"
    assert (await messages.of(older))["patient", "sms"]["state"]["reason"] == "superseded"


async def test_after_weeks_without_a_link_only_the_newest_of_a_case_goes_out(
    served: Served, world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    who = await registered(world, messages)
    noon = served.service.clock.now().astimezone(IST).replace(hour=12) + dt.timedelta(days=10)
    served.service.clock.saw(noon)
    case, told = new_id(), []
    for hours, kind in (
        (60, referral.ReferralRequested),
        (50, referral.ReferralAccepted),
        (40, referral.ReferralClosed),
    ):
        event = kind(patient=who, origin=HERE, destination=THERE, service="surgery", urgency="routine")
        told.append(await world.publish(event, case, occurred_at=noon - dt.timedelta(hours=hours)))
    too_old = referral.PatientNoShow(patient=who, origin=HERE, destination=THERE, service="x", urgency="routine")
    too_old_event = await world.publish(too_old, new_id(), occurred_at=noon - dt.timedelta(days=20))
    found = [(await messages.settled(event, 2))["patient", "sms"] for event in told]
    assert [(sms["is"], sms["state"].get("reason")) for sms in found] == [
        ("lapsed", "superseded"),
        ("lapsed", "superseded"),
        ("sent", None),
    ]
    assert [len(inboxes.sms(sms["_id"])) for sms in found] == [0, 0, 1]
    assert found[2]["state"]["because"] == ["catching-up"]
    assert {one["state"]["reason"] for one in (await messages.settled(too_old_event, 1)).values()} == {"too-late"}


async def test_a_mailbox_that_asks_for_it_gets_one_mail_a_day(
    stack: TestStack, served: Served, world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    operator = {"Authorization": f"Bearer {stack.issuer.token(role='operator', facility='')}"}
    asked = await served.client.post(
        f"/recipients/officer@{THERE}/preferences/digest",
        json={"at": "07:30:00"},
        headers=operator | {"Idempotency-Key": new_id()},
    )
    assert asked.json()["digests"] == [{"channel": "email", "at": "07:30:00"}]
    noon = served.service.clock.now().astimezone(IST).replace(hour=12, minute=0) + dt.timedelta(days=1)
    served.service.clock.saw(noon)
    filed = []
    for ticket in ("GRV-26-1001", "GRV-26-1002"):
        event = complaint(grievance.GrievanceFiled, {"kind": "anonymous"}).model_copy(update={"ticket": ticket})
        filed.append(await world.publish(event, new_id(), occurred_at=noon))

    async def in_state(status: str) -> Any:
        found = [(await messages.of(event)).get(("officer", "email")) for event in filed]
        return found if all(one and one["is"] == status for one in found) else None

    for mail in await eventually(lambda: in_state("queued")):
        assert mail["state"]["reason"] == "digest"
    served.service.clock.saw(noon.replace(hour=7, minute=31) + dt.timedelta(days=1))
    first, _ = await eventually(lambda: in_state("digested"))
    into = next(e["data"]["into"] for e in first["journal"] if e["type"].startswith("notifications.MessageDigested"))

    async def mailed() -> Any:
        return inboxes.mails(into)

    (mail,) = await eventually(mailed)
    digest = await messages.database["messages"].find_one({"_id": into})
    assert all(ticket in digest["state"]["text"] for ticket in ("GRV-26-1001", "GRV-26-1002"))
    assert mail["to"] == [f"officer.{THERE.lower()}@hospital.example"]
    assert all(inboxes.mails(one["_id"]) == [] for one in await in_state("digested"))
