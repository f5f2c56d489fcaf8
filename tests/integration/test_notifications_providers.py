"""Providers that refuse, hang, lose their answer or die: at most one send, and never silence."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from notifications_post import (
    THERE,
    Inboxes,
    Messages,
    Others,
    message_id,
    new_id,
    patient,
    registered,
    token,
    types,
)

from deploy.local.testing import Served, TestStack
from libs.common.access import SYSTEM
from libs.common.cause import Cause
from libs.common.clock import machine_now
from services.notifications.domain.message import Plan, Render, decide
from services.notifications.store import MESSAGE

pytest_plugins = ("notifications_fixtures",)


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
