"""The relay on a real broker and store: nothing marked before it is acknowledged, in order, by one at a time."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaError
from pymongo.asynchronous.collection import AsyncCollection

from deploy.local.testing import TestStack
from libs.common import relay as relaying
from libs.common.access import SYSTEM
from libs.common.clock import machine_now
from libs.common.journal import Journal
from libs.common.mongo import STORE_AWAY, Document
from libs.common.relay import Relay
from libs.common.service import Service
from libs.contracts.referral import REFERRAL
from libs.contracts.registration import PATIENT, PatientErased, PatientRegistered
from tests.toy.ledger import LEDGER, PERSON, Noted, accepted, asked, card, new_id, request
from tests.toy.running import clients_closed as clients_closed
from tests.toy.running import header, on_topic, running, toy, worker
from tests.waiting import eventually


async def _ask(service: Service, id: str | None = None, times: int = 1) -> str:
    id = id or new_id()
    for _ in range(times):
        await service.journal.append(LEDGER, id, lambda s: [asked()], request(), SYSTEM)
    return id


async def _document(service: Service, id: str) -> Document:
    document = await service.journal.load(LEDGER, id)
    assert document is not None
    return document


async def _none_pending(service: Service) -> bool:
    return await service.database["referrals"].find_one({"pending_since": {"$exists": True}}) is None


def _ids(records: Sequence[Any]) -> list[str | None]:
    return [header(record, "ce_id") for record in records]


async def _leading(service: Service) -> Relay:
    """The service's relay with the lease, not running: rounds by hand."""
    await service.ensure_indexes()
    assert await service.relay._lease.acquire()
    return service.relay


async def test_what_is_not_acknowledged_is_not_marked_and_goes_out_later(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    relay = await _leading(service)
    id = await _ask(service)
    send, calls = relay._acknowledged, 0

    async def refused(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        raise KafkaError("not acknowledged")

    relay._acknowledged = refused  # type: ignore[method-assign]
    with pytest.raises(KafkaError):
        await relay.round()
    document = await _document(service, id)
    assert calls == 1
    assert document["published"] == 0
    assert "pending_since" in document
    assert relay._producer is None, "a producer that failed is not used again"
    relay._acknowledged = send  # type: ignore[method-assign]
    await relay.round()
    document = await _document(service, id)
    assert document["published"] == 1
    assert "pending_since" not in document
    assert len(await on_topic(stack, REFERRAL, [id])) == 1
    await service._stop()


async def test_killed_between_acknowledgement_and_mark_it_sends_the_same_event_again(
    stack: TestStack, prefix: str
) -> None:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    id = await _ask(service, times=2)
    async with worker(stack, prefix, "mark") as process:
        assert await asyncio.wait_for(process.wait(), 30) == -9
    document = await _document(service, id)
    assert document["published"] == 0
    assert len(await on_topic(stack, REFERRAL, [id])) == 2
    async with running(service):
        await eventually(lambda: _none_pending(service))
    records = await on_topic(stack, REFERRAL, [id])
    expected = [entry["id"] for entry in document["journal"]]
    assert _ids(records) == expected * 2


async def test_records_carry_the_envelope_and_only_what_is_public(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    relay = await _leading(service)
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
    relay = await _leading(service)
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
        await asyncio.gather(*(_ask((one, two)[n % 2], id, times=12) for n, id in enumerate(ids)))
        await eventually(lambda: _none_pending(one))
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
            ids.append(await _ask(writer))

    callers = [asyncio.create_task(load()) for _ in range(4)]
    for _ in range(3):
        service = toy(stack, prefix)
        async with running(service):
            seen = len(ids)
            await eventually(lambda seen=seen: len(ids) > seen + 10)
    loading = False
    await asyncio.gather(*callers)
    async with running(toy(stack, prefix)):
        await eventually(lambda: _none_pending(writer))
    found = _ids(await on_topic(stack, REFERRAL, ids))
    assert len(found) == len(set(found)) == len(ids)


async def test_what_is_appended_while_a_batch_is_under_way_is_not_forgotten(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    relay = await _leading(service)
    id = await _ask(service)
    send = relay._send

    async def send_meanwhile(*arguments: Any) -> Any:
        sent = await send(*arguments)
        await _ask(service, id)
        return sent

    relay._send = send_meanwhile  # type: ignore[method-assign]
    await relay.round()
    document = await _document(service, id)
    assert document["published"] == 1
    assert "pending_since" in document
    relay._send = send  # type: ignore[method-assign]
    await relay.round()
    assert [header(r, "ce_sequence") for r in await on_topic(stack, REFERRAL, [id])] == ["1", "2"]
    assert "pending_since" not in await _document(service, id)
    await service._stop()


async def test_a_lease_lost_after_a_send_marks_the_aggregates_pending_again(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    relay = await _leading(service)
    id = await _ask(service, times=2)
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
    document = await _document(service, id)
    assert document["published"] == 0
    assert "pending_since" in document
    await service._stop()


async def test_who_does_not_hold_the_lease_sends_nothing(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    await service.database["leases"].insert_one(
        {"_id": "relay", "owner": "other", "until": machine_now() + dt.timedelta(seconds=2)}
    )
    id = await _ask(service)
    async with running(service):
        assert not service.relay._lease.held
        assert "pending_since" in await _document(service, id)
        # It takes over as soon as the other's time is up.
        await eventually(lambda: _none_pending(service))


async def test_a_dead_holders_work_is_taken_over_within_six_seconds(stack: TestStack, prefix: str) -> None:
    async with worker(stack, prefix) as holder:
        assert holder.stdout is not None
        assert (await asyncio.wait_for(holder.stdout.readline(), 30)).strip() == b"ready"
        standby = toy(stack, prefix)
        async with running(standby):
            await _ask(standby)
            await eventually(lambda: _none_pending(standby))
            assert not standby.relay._lease.held, "the other process relayed it"
            holder.kill()
            killed = time.monotonic()
            await _ask(standby)
            await eventually(lambda: _none_pending(standby), 10)
            assert time.monotonic() - killed < 6.0


async def test_a_producer_that_died_is_built_anew(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    async with running(service):
        await _ask(service)
        await eventually(lambda: _none_pending(service))
        dead = service.relay._producer
        assert dead is not None
        await dead.stop()
        id = await _ask(service)
        await eventually(lambda: _none_pending(service))
        assert service.relay._producer is not dead
    assert len(await on_topic(stack, REFERRAL, [id])) == 1


async def test_pending_is_found_whatever_its_id_and_however_late_it_was_inserted(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    relay = await _leading(service)
    late, early = f"00000000-{new_id()[9:]}", f"ffffffff-{new_id()[9:]}"
    await _ask(service, early)
    await relay.round()
    past = machine_now() - dt.timedelta(days=1)
    await _ask(service, late)
    await service.database["referrals"].update_one(
        {"_id": late}, {"$set": {"pending_since": past, "journal.0.recorded_at": past}}
    )
    await relay.round()
    assert len(await on_topic(stack, REFERRAL, [late])) == 1
    await service._stop()


async def test_one_broken_partition_does_not_hold_up_the_others(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    relay = await _leading(service)
    ids = [await _ask(service) for _ in range(30)]
    acknowledged = relay._acknowledged

    async def not_partition_three(producer: Any, batch: Any, topic: Any, partition: int) -> None:
        if partition == 3:
            raise KafkaError("not this one")
        await acknowledged(producer, batch, topic, partition)

    relay._acknowledged = not_partition_three  # type: ignore[method-assign]
    await relay.round()
    sent = {record.key.decode(): record.partition for record in await on_topic(stack, REFERRAL, ids)}
    documents = [await _document(service, id) for id in ids]
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
    relay = await _leading(service)
    await asyncio.gather(*(_ask(service) for _ in range(50)))
    asked_of_store: list[str] = []
    original = type(service.database).__getitem__

    class Counting:
        def __init__(self, database: Any) -> None:
            self._database = database

        def __getitem__(self, name: str) -> Any:
            asked_of_store.append(name)
            return original(self._database, name)

    relay._database = Counting(service.database)  # type: ignore[assignment]
    await relay.round()
    assert await _none_pending(service)
    assert asked_of_store == ["referrals", "referrals"]
    await service._stop()


class _NeverAsked:
    """A database that what this process appended is not read from."""

    def __getitem__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


async def test_what_this_process_appended_is_sent_without_being_read_and_reads_the_same(
    stack: TestStack, prefix: str
) -> None:
    service = toy(stack, prefix)
    relay = await _leading(service)
    id = await _ask(service, times=2)
    relay._database = _NeverAsked()  # type: ignore[assignment]
    await relay._round(False)
    relay._database = service.database
    assert "pending_since" in await _document(service, id), "it is marked with others, a moment later"
    await relay._mark_all()
    document = await _document(service, id)
    assert document["published"] == 2
    assert "pending_since" not in document
    await service.database["referrals"].update_one(
        {"_id": id}, {"$set": {"published": 0, "pending_since": machine_now()}}
    )
    await relay.round()
    handed, read = [], []
    for number, record in enumerate(await on_topic(stack, REFERRAL, [id])):
        (handed if number < 2 else read).append((record.key, record.value, record.headers))
    assert handed == read
    assert len(handed) == 2
    await service._stop()


async def test_what_another_process_appended_before_is_sent_before(stack: TestStack, prefix: str) -> None:
    service, other = toy(stack, prefix), toy(stack, prefix, relay=False)
    relay = await _leading(service)
    id = await _ask(service)
    await relay._round(False)
    await _ask(other, id)
    await _ask(service, id)
    await relay._round(False)
    assert [header(r, "ce_sequence") for r in await on_topic(stack, REFERRAL, [id])] == ["1", "2", "3"]
    await service._stop()


async def test_a_mark_leaves_what_another_relay_wants_sent_once_more(stack: TestStack, prefix: str) -> None:
    service, frozen = toy(stack, prefix), toy(stack, prefix)
    relay = await _leading(service)
    id = await _ask(service, times=2)
    document = await _document(service, id)
    await relay._round(False)
    # The other one sent these too, before it lost its lease to this one, and finds out just now.
    await frozen.relay._rewind(LEDGER, [frozen.relay._outgoing(LEDGER, id, document["journal"])])
    await relay._mark_all()
    document = await _document(service, id)
    assert document["published"] == 0
    assert "pending_since" in document
    await _ask(service, id)
    await relay._round(False)
    await relay._mark_all()
    sequences = [header(record, "ce_sequence") for record in await on_topic(stack, REFERRAL, [id])]
    assert sequences == ["1", "2", "1", "2", "3"]
    document = await _document(service, id)
    assert document["published"] == 3
    assert not {"pending_since", "rewound"} & document.keys()
    await service._stop()


async def test_whoever_takes_the_lease_anew_reads_what_somebody_else_may_have_sent(
    stack: TestStack, prefix: str
) -> None:
    service = toy(stack, prefix, sweep_seconds=600)
    relay = await _leading(service)
    await relay._look()
    id = await _ask(service)
    await relay._lease.release()
    await service.database["referrals"].update_one(
        {"_id": id}, {"$set": {"published": 1}, "$unset": {"pending_since": ""}}
    )
    assert await relay._lease.acquire()
    await relay._look()
    assert await on_topic(stack, REFERRAL, [id]) == []
    await service._stop()


async def test_an_erasure_whose_answer_was_lost_is_not_followed_by_what_waited(
    stack: TestStack, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = toy(stack, prefix, kinds=(PERSON,))
    relay = await _leading(service)
    id = new_id()
    await service.journal.create(PERSON, id, lambda s: [PatientRegistered(card=card(id, "Marked"))], request(), SYSTEM)
    written = AsyncCollection.update_one

    async def lost(self: Any, *arguments: Any, **named: Any) -> Any:
        await written(self, *arguments, **named)
        raise STORE_AWAY[0]("the answer is lost")

    erasing = request()
    monkeypatch.setattr(AsyncCollection, "update_one", lost)
    with pytest.raises(STORE_AWAY):
        await service.journal.erase(PERSON, id, PatientErased(), erasing, SYSTEM)
    monkeypatch.undo()
    assert (await service.journal.erase(PERSON, id, PatientErased(), erasing, SYSTEM)).repeated
    await relay._round(False)
    first, second = await on_topic(stack, PATIENT, [id])
    assert b"Marked" not in first.value
    assert second.value is None
    await service._stop()


async def test_stopped_while_one_topic_hangs_it_still_marks_what_another_acknowledged(
    stack: TestStack, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "LONGEST_LAST_ROUND_SECONDS", 0.5)
    service = toy(stack, prefix, kinds=(LEDGER, PERSON))
    acknowledged = service.relay._acknowledged

    async def hangs(producer: Any, batch: Any, topic: Any, partition: int) -> None:
        if topic == PATIENT:
            await asyncio.Event().wait()
        await acknowledged(producer, batch, topic, partition)

    service.relay._acknowledged = hangs  # type: ignore[method-assign]
    await service.ensure_indexes()
    patient = card(new_id())
    await service.journal.create(PERSON, patient.id, lambda s: [PatientRegistered(card=patient)], request(), SYSTEM)
    id = await _ask(service)
    async with running(service, ready=False):
        await eventually(lambda: on_topic(stack, REFERRAL, [id]))
        assert "pending_since" in await _document(service, id), "its round has not ended"
    assert "pending_since" not in await _document(service, id)


async def test_a_mark_that_fails_holds_up_neither_other_marks_nor_what_is_sent(
    stack: TestStack, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = toy(stack, prefix, kinds=(PERSON, LEDGER))
    async with running(service):
        mark = service.relay._mark

        async def fails(kind: Any) -> None:
            if kind is PERSON:
                raise RuntimeError("no mark")
            await mark(kind)

        service.relay._sweep_at = math.inf
        service.relay._mark = fails  # type: ignore[method-assign]
        for _ in range(2):
            await _ask(service)
            await eventually(lambda: _none_pending(service))
        service.relay._mark = mark  # type: ignore[method-assign]


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
