"""The relay on a real broker and store: nothing marked before it is acknowledged, in order, by one at a time."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from deploy.local.testing import TestStack
from libs.common.access import SYSTEM
from libs.common.clock import machine_now
from libs.common.journal import Journal
from libs.contracts.referral import REFERRAL
from libs.contracts.registration import PATIENT, PatientErased, PatientRegistered
from tests.toy.counting import Counting
from tests.toy.ledger import LEDGER, PERSON, Noted, accepted, asked, card, new_id, request
from tests.toy.relaying import ask, leading, none_pending, stored
from tests.toy.running import clients_closed as clients_closed
from tests.toy.running import header, on_topic, running, toy, worker
from tests.waiting import eventually


def _ids(records: Sequence[Any]) -> list[str | None]:
    return [header(record, "ce_id") for record in records]


async def test_what_is_not_acknowledged_is_not_marked_and_goes_out_later(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    relay = await leading(service)
    id = await ask(service)
    send, calls = relay._acknowledged, 0

    async def refused(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        raise KafkaError("not acknowledged")

    relay._acknowledged = refused  # type: ignore[method-assign]
    with pytest.raises(KafkaError):
        await relay.round()
    document = await stored(service, id)
    assert calls == 1
    assert document["published"] == 0
    assert "pending_since" in document
    assert relay._producer is None, "a producer that failed is not used again"
    relay._acknowledged = send  # type: ignore[method-assign]
    await relay.round()
    document = await stored(service, id)
    assert document["published"] == 1
    assert "pending_since" not in document
    assert len(await on_topic(stack, REFERRAL, [id])) == 1
    await service._stop()


async def test_killed_between_acknowledgement_and_mark_it_sends_the_same_event_again(
    stack: TestStack, prefix: str
) -> None:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    id = await ask(service, times=2)
    async with worker(stack, prefix, "mark") as process:
        assert await asyncio.wait_for(process.wait(), 30) == -9
    document = await stored(service, id)
    assert document["published"] == 0
    assert len(await on_topic(stack, REFERRAL, [id])) == 2
    async with running(service):
        await eventually(lambda: none_pending(service))
    records = await on_topic(stack, REFERRAL, [id])
    expected = [entry["id"] for entry in document["journal"]]
    assert _ids(records) == expected * 2


async def test_records_carry_the_envelope_and_only_what_is_public(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    relay = await leading(service)
    id = new_id()
    cause = request()
    await service.journal.append(
        LEDGER, id, lambda s: [asked(reason="Marked"), Noted(text="Marked"), accepted()], cause, SYSTEM
    )
    await relay.round()
    first, second = await on_topic(stack, REFERRAL, [id])
    assert b"Marked" not in first.value
    assert header(first, "ce_type") == "referral.ReferralRequested.v1"
    assert header(second, "ce_type") == "referral.ReferralAccepted.v1"
    assert [header(record, "ce_sequence") for record in (first, second)] == ["1", "2"]
    assert header(first, "ce_cause") == cause.id
    assert header(first, "ce_actor") == "doctor@A1"
    assert header(first, "ce_source") == "urn:hillhealth:referral"
    await service._stop()


async def test_an_erasure_is_a_tombstone_on_the_compacted_topic(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix, kinds=(PERSON,))
    relay = await leading(service)
    id = new_id()
    await service.journal.create(PERSON, id, lambda s: [PatientRegistered(card=card(id, "Marked"))], request(), SYSTEM)
    await service.journal.erase(PERSON, id, PatientErased(), request(), SYSTEM)
    await relay.round()
    first, second = await on_topic(stack, PATIENT, [id])
    assert b"Marked" not in first.value, "erased before it was sent"
    assert second.value is None
    assert header(second, "ce_type") == "registration.PatientErased.v1"
    await service._stop()


async def test_events_of_an_aggregate_go_out_in_order_and_once_from_two_relays(stack: TestStack, prefix: str) -> None:
    one, two = toy(stack, prefix), toy(stack, prefix)
    async with running(one), running(two):
        assert one.relay._lease.held != two.relay._lease.held, "one leaseholder, not none and not two"
        ids = [new_id() for _ in range(12)]
        await asyncio.gather(*(ask((one, two)[n % 2], id, times=12) for n, id in enumerate(ids)))
        await eventually(lambda: none_pending(one))
    by_key = defaultdict(list)
    for record in await on_topic(stack, REFERRAL, ids):
        by_key[record.key.decode()].append(int(header(record, "ce_sequence") or 0))
    assert by_key == {id: list(range(1, 13)) for id in ids}


async def test_a_relay_that_is_stopped_under_load_leaves_nothing_to_be_sent_twice(
    stack: TestStack, prefix: str
) -> None:
    writer = toy(stack, prefix, relay=False)
    await writer.ensure_indexes()
    ids: list[str] = []
    loading = True

    async def load() -> None:
        while loading:
            ids.append(await ask(writer))

    callers = [asyncio.create_task(load()) for _ in range(4)]
    for _ in range(3):
        service = toy(stack, prefix)
        async with running(service):
            seen = len(ids)
            await eventually(lambda seen=seen: len(ids) > seen + 10)
    loading = False
    await asyncio.gather(*callers)
    async with running(toy(stack, prefix)):
        await eventually(lambda: none_pending(writer))
    found = _ids(await on_topic(stack, REFERRAL, ids))
    assert len(found) == len(set(found)) == len(ids)


async def test_what_is_appended_while_a_batch_is_under_way_is_not_forgotten(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    relay = await leading(service)
    id = await ask(service)
    send = relay._send

    async def send_meanwhile(*arguments: Any) -> Any:
        sent = await send(*arguments)
        await ask(service, id)
        return sent

    relay._send = send_meanwhile  # type: ignore[method-assign]
    await relay.round()
    document = await stored(service, id)
    assert document["published"] == 1
    assert "pending_since" in document
    relay._send = send  # type: ignore[method-assign]
    await relay.round()
    assert [header(r, "ce_sequence") for r in await on_topic(stack, REFERRAL, [id])] == ["1", "2"]
    assert "pending_since" not in await stored(service, id)
    await service._stop()


async def test_a_lease_lost_after_a_send_marks_the_aggregates_pending_again(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    relay = await leading(service)
    id = await ask(service, times=2)
    send = relay._send

    async def send_and_lose(*arguments: Any) -> Any:
        sent = await send(*arguments)
        until = machine_now() + dt.timedelta(seconds=30)
        await service.database["leases"].update_one({"_id": "relay"}, {"$set": {"owner": "other", "until": until}})
        relay._lease._held_until = 0.0
        # The other relay has sent the same meanwhile, and marked it.
        await service.database["referrals"].update_one(
            {"_id": id}, {"$set": {"published": 2}, "$unset": {"pending_since": ""}}
        )
        return sent

    relay._send = send_and_lose  # type: ignore[method-assign]
    await relay.round()
    document = await stored(service, id)
    assert document["published"] == 0
    assert "pending_since" in document
    await service._stop()


async def test_who_does_not_hold_the_lease_sends_nothing(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    await service.database["leases"].insert_one(
        {"_id": "relay", "owner": "other", "until": machine_now() + dt.timedelta(seconds=2)}
    )
    id = await ask(service)
    async with running(service):
        assert not service.relay._lease.held
        assert "pending_since" in await stored(service, id)
        # It takes over as soon as the other's time is up.
        await eventually(lambda: none_pending(service))


async def test_a_dead_holders_work_is_taken_over_within_six_seconds(stack: TestStack, prefix: str) -> None:
    async with worker(stack, prefix) as holder:
        assert holder.stdout is not None
        assert (await asyncio.wait_for(holder.stdout.readline(), 30)).strip() == b"ready"
        standby = toy(stack, prefix)
        async with running(standby):
            await ask(standby)
            await eventually(lambda: none_pending(standby))
            assert not standby.relay._lease.held, "the other process relayed it"
            holder.kill()
            killed = time.monotonic()
            await ask(standby)
            await eventually(lambda: none_pending(standby), 10)
            assert time.monotonic() - killed < 6.0


async def test_a_producer_that_died_is_built_anew(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    async with running(service):
        await ask(service)
        await eventually(lambda: none_pending(service))
        dead = service.relay._producer
        assert dead is not None
        await dead.stop()
        id = await ask(service)
        await eventually(lambda: none_pending(service))
        assert service.relay._producer is not dead
    assert len(await on_topic(stack, REFERRAL, [id])) == 1


async def test_pending_is_found_whatever_its_id_and_however_late_it_was_inserted(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    relay = await leading(service)
    late, early = f"00000000-{new_id()[9:]}", f"ffffffff-{new_id()[9:]}"
    await ask(service, early)
    await relay.round()
    past = machine_now() - dt.timedelta(days=1)
    await ask(service, late)
    await service.database["referrals"].update_one(
        {"_id": late}, {"$set": {"pending_since": past, "journal.0.recorded_at": past}}
    )
    await relay.round()
    assert len(await on_topic(stack, REFERRAL, [late])) == 1
    await service._stop()


async def test_one_broken_partition_does_not_hold_up_the_others(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    relay = await leading(service)
    ids = [await ask(service) for _ in range(30)]
    acknowledged = relay._acknowledged

    async def not_partition_three(producer: Any, batch: Any, topic: Any, partition: int) -> None:
        if partition == 3:
            raise KafkaError("not this one")
        await acknowledged(producer, batch, topic, partition)

    relay._acknowledged = not_partition_three  # type: ignore[method-assign]
    await relay.round()
    sent = {record.key.decode(): record.partition for record in await on_topic(stack, REFERRAL, ids)}
    documents = [await stored(service, id) for id in ids]
    marked = {document["_id"] for document in documents if document["published"] == 1}
    assert marked == set(sent)
    assert 3 not in sent.values()
    assert all("pending_since" in document for document in documents if document["_id"] not in marked)
    await service._stop()


async def test_the_index_that_finds_pending_holds_only_what_is_pending(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    indexes = await service.database["referrals"].index_information()
    for field in ("pending_since", "due", "retry_at"):
        (index,) = [index for index in indexes.values() if index["key"] == [(field, 1)]]
        assert index["sparse"]


async def test_a_batch_costs_one_find_and_one_bulk_write(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    relay = await leading(service)
    await asyncio.gather(*(ask(service) for _ in range(50)))
    relay._database = counting = Counting(service.database)  # type: ignore[assignment]
    await relay.round()
    assert await none_pending(service)
    assert counting.asked == ["referrals", "referrals"]
    await service._stop()


async def test_the_gauges_tell_how_much_waits_and_how_long(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    journal: Journal = service.journal
    for _ in range(3):
        await journal.create(LEDGER, new_id(), lambda s: [asked()], request(), SYSTEM)
    await service.database["referrals"].update_one(
        {}, {"$set": {"pending_since": machine_now() - dt.timedelta(seconds=90)}}
    )
    await service.relay.measure()
    value = service.metrics.registry.get_sample_value
    assert value("hillhealth_events_pending") == 3
    assert 90 <= (value("hillhealth_events_oldest_pending_seconds") or 0) < 100
