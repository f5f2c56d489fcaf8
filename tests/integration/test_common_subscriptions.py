"""What a subscription is made of, and what of an event goes on in its effect."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest
from faststream import AckPolicy

from deploy.local.testing import TestStack
from libs.common.clock import machine_now
from libs.common.records import Received
from libs.contracts.referral import REFERRAL
from tests.toy.ledger import EFFECTS, new_id
from tests.toy.running import clients_closed as clients_closed
from tests.toy.running import produce, toy
from tests.toy.stream import done, event, in_group_of, listening, subscriber
from tests.waiting import eventually


async def _fail(received: Received) -> None:
    raise RuntimeError


async def test_a_reaction_carries_the_events_trace_and_cause(stack: TestStack, prefix: str) -> None:
    key, id = new_id(), new_id()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    service = subscriber(stack, prefix)
    async with listening(stack, service):
        await produce(
            stack, REFERRAL, event(key, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "ce_id": id})
        )
        await eventually(lambda: done(service, key))
    (entry,) = await service.journal.history(EFFECTS, key)
    assert entry["cause"] == id
    assert trace in entry["traceparent"]
    assert entry["actor"] == "doctor@A1"


async def test_every_subscription_is_manual_earliest_and_in_a_group_of_its_own(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix, "notifications")
    service.react(REFERRAL, _fail)
    service.replica(REFERRAL, "copies")
    names = {subscription.group for subscription in service.listener.subscriptions}
    assert names == {
        "hillhealth.notifications.referral.referral.v1",
        "hillhealth.notifications.referral.referral.v1.replica",
    }
    for made in service.listener._build().subscribers:
        assert made.ack_policy is AckPolicy.MANUAL
        assert made._connection_args["auto_offset_reset"] == "earliest"
        assert made._connection_args["enable_auto_commit"] is False
        assert made.group_id in names
    with pytest.raises(ValueError, match="two subscriptions in group"):
        service.react(REFERRAL, _fail)


async def test_the_day_clock_sees_when_events_were_recorded(stack: TestStack, prefix: str) -> None:
    key = new_id()
    service = toy(stack, prefix, "notifications", kinds=(EFFECTS,), clock="day")
    seen = asyncio.Event()

    async def react(received: Received) -> None:
        seen.set()

    service.react(REFERRAL, react)
    in_group_of(service, prefix)
    async with listening(stack, service):
        await produce(stack, REFERRAL, event(key, headers={"ce_recordedat": "2031-02-03T04:05:06.789Z"}))
        await eventually(seen.is_set)
    assert service.clock.now() == dt.datetime(2031, 2, 3, 4, 5, 6, 789000, dt.UTC)
    assert machine_now().year != 2031
