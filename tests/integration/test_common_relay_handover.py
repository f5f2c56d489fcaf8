"""What a process appended itself goes to its relay, and is marked a while after; on a real broker and store."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from pymongo.asynchronous.collection import AsyncCollection

from deploy.local.testing import TestStack
from libs.common import relay as relaying
from libs.common.access import SYSTEM
from libs.common.clock import machine_now
from libs.common.mongo import STORE_AWAY
from libs.contracts.referral import REFERRAL
from libs.contracts.registration import PATIENT, PatientErased, PatientRegistered
from tests.toy.ledger import LEDGER, PERSON, card, new_id, request
from tests.toy.relaying import ask, leading, none_pending, stored
from tests.toy.running import clients_closed as clients_closed
from tests.toy.running import header, on_topic, running, toy
from tests.waiting import eventually


class _NeverAsked:
    """A database that what this process appended is not read from."""

    def __getitem__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


async def test_what_this_process_appended_is_sent_without_being_read_and_reads_the_same(
    stack: TestStack, prefix: str
) -> None:
    service = toy(stack, prefix)
    relay = await leading(service)
    id = await ask(service, times=2)
    relay._database = _NeverAsked()  # type: ignore[assignment]
    await relay._round(False)
    relay._database = service.database
    assert "pending_since" in await stored(service, id), "it is marked with others, a moment later"
    await relay._mark_all()
    document = await stored(service, id)
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
    relay = await leading(service)
    id = await ask(service)
    await relay._round(False)
    await ask(other, id)
    await ask(service, id)
    await relay._round(False)
    assert [header(r, "ce_sequence") for r in await on_topic(stack, REFERRAL, [id])] == ["1", "2", "3"]
    await service._stop()


async def test_a_mark_leaves_what_another_relay_wants_sent_once_more(stack: TestStack, prefix: str) -> None:
    service, frozen = toy(stack, prefix), toy(stack, prefix)
    relay = await leading(service)
    id = await ask(service, times=2)
    document = await stored(service, id)
    await relay._round(False)
    # The other one sent these too, before it lost its lease to this one, and finds out just now.
    await frozen.relay._rewind(LEDGER, [frozen.relay._outgoing(LEDGER, id, document["journal"])])
    await relay._mark_all()
    document = await stored(service, id)
    assert document["published"] == 0
    assert "pending_since" in document
    await ask(service, id)
    await relay._round(False)
    await relay._mark_all()
    sequences = [header(record, "ce_sequence") for record in await on_topic(stack, REFERRAL, [id])]
    assert sequences == ["1", "2", "1", "2", "3"]
    document = await stored(service, id)
    assert document["published"] == 3
    assert not {"pending_since", "rewound"} & document.keys()
    await service._stop()


async def test_whoever_takes_the_lease_anew_reads_what_somebody_else_may_have_sent(
    stack: TestStack, prefix: str
) -> None:
    service = toy(stack, prefix, sweep_seconds=600)
    relay = await leading(service)
    await relay._look()
    id = await ask(service)
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
    relay = await leading(service)
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
    id = await ask(service)
    async with running(service, ready=False):
        await eventually(lambda: on_topic(stack, REFERRAL, [id]))
        assert "pending_since" in await stored(service, id), "its round has not ended"
    assert "pending_since" not in await stored(service, id)


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
            await ask(service)
            await eventually(lambda: none_pending(service))
        service.relay._mark = mark  # type: ignore[method-assign]
