"""At night, on the day's clock: what can wait is held, the newest of a case goes out in the morning, once."""

from __future__ import annotations

import datetime as dt
from typing import Any

from notifications_post import (
    Inboxes,
    Messages,
    Others,
    complaint,
    eventually,
    new_id,
    patient,
    registered,
    token,
    types,
)

from deploy.local.testing import Served
from libs.common.clock import machine_now
from libs.contracts import grievance
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
