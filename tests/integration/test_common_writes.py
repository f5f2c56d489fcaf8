"""What different callers read and write at the same time, on a real store: one command, and each its own answer."""

from __future__ import annotations

import asyncio
from typing import Any

from deploy.local.testing import TestStack
from libs.common.access import SYSTEM
from libs.common.cause import Cause
from libs.common.clock import machine_now
from libs.common.mongo import DuplicateKey
from libs.common.service import Service
from libs.common.writes import Guarded, Writes
from tests.toy.counting import Counting
from tests.toy.ledger import LEDGER, PERSON, accepted, asked, new_id, request
from tests.toy.running import clients_closed as clients_closed
from tests.toy.running import toy


async def _written(service: Service, *ids: str) -> None:
    for id in ids:
        await service.journal.append(LEDGER, id, lambda s: [asked()], request(), SYSTEM)


def _guarded(id: str, version: int, **fields: Any) -> Guarded:
    write = new_id()
    change = {"$set": {"version": version + 1, **fields}, "$push": {"journal": {"write": write, "cause": "same"}}}
    return Guarded(id, version, change, write)


async def test_whose_write_it_was_is_told_by_its_own_document(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    ids = [new_id() for _ in range(2)]
    await _written(service, *ids)
    writes = Writes(service.database)
    won = _guarded(ids[0], 1)
    lost = Guarded(ids[1], 0, won.change, won.write)
    assert await asyncio.gather(*(writes.update(LEDGER.collection, each) for each in (won, lost))) == [True, False]
    await service._stop()


async def test_each_of_many_writes_has_an_answer_of_its_own(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix, kinds=(LEDGER, PERSON))
    await service.ensure_indexes()
    ids = [new_id() for _ in range(6)]
    await _written(service, *ids)
    collection = service.database[LEDGER.collection]
    await collection.update_one({"_id": ids[0]}, {"$set": {"claims": ["leg:1"]}})
    changes = [
        _guarded(ids[1], 1),
        _guarded(ids[2], 7),
        _guarded(ids[3], 1, claims=["leg:1"]),
        _guarded(new_id(), 1),
        _guarded(ids[4], 1),
        _guarded(ids[5], 0),
    ]
    writes = Writes(service.database)
    written = await asyncio.gather(
        *(writes.update(LEDGER.collection, change) for change in changes), return_exceptions=True
    )
    assert [answer for index, answer in enumerate(written) if index != 2] == [True, False, False, True, False]
    assert isinstance(written[2], DuplicateKey)
    versions = {document["_id"]: document["version"] async for document in collection.find({"_id": {"$in": ids}})}
    assert [versions[id] for id in ids] == [1, 2, 1, 1, 2, 1]
    await service._stop()


async def test_of_two_processes_that_act_for_one_cause_only_one_has_written(stack: TestStack, prefix: str) -> None:
    one, two = toy(stack, prefix), toy(stack, prefix)
    await one.ensure_indexes()
    ids = [new_id() for _ in range(8)]
    await _written(one, *ids)
    causes = {id: request() for id in ids}
    done = await asyncio.gather(
        *(
            service.journal.append(LEDGER, id, lambda s: [accepted()], causes[id], SYSTEM)
            for service in (one, two)
            for id in ids
        )
    )
    assert sorted(outcome.id for outcome in done if not outcome.repeated) == sorted(ids)
    assert {outcome.version for outcome in done} == {2}
    await one._stop()
    await two._stop()


async def test_what_another_asks_for_at_the_same_time_is_no_reason_to_refuse_a_reaction(
    stack: TestStack, prefix: str
) -> None:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    one, other = new_id(), new_id()
    await _written(service, one, other)
    # An event has acted on one aggregate and is about to act on another one, while a request on the first is retried.
    event, asking = Cause(new_id(), "referral", machine_now()), request()
    for cause in (event, asking):
        await service.journal.append(LEDGER, one, lambda s: [accepted()], cause, SYSTEM)
    retried, reaction = await asyncio.gather(
        service.journal.append(LEDGER, one, lambda s: [accepted()], asking, SYSTEM),
        service.journal.append(LEDGER, other, lambda s: [accepted()], event, SYSTEM),
    )
    assert (retried.repeated, reaction.repeated) == (True, False)
    await service._stop()


async def test_what_is_written_at_the_same_time_is_written_together(stack: TestStack, prefix: str) -> None:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    ids = [new_id() for _ in range(20)]
    holders, writes = Counting(service.database), Counting(service.database)
    service.journal._holders._database = holders  # type: ignore[assignment]
    service.journal._writes._database = writes  # type: ignore[assignment]
    await asyncio.gather(*(service.journal.create(LEDGER, id, lambda s: [asked()], request(), SYSTEM) for id in ids))
    assert (len(holders.asked), len(writes.asked)) == (0, 1)
    done = await asyncio.gather(
        *(service.journal.append(LEDGER, id, lambda s: [accepted()], request(), SYSTEM) for id in ids)
    )
    assert [outcome.version for outcome in done] == [2] * len(ids)
    assert len(holders.asked) == 1
    # Their documents were read each by itself: who is there first is written while the others wait for theirs.
    assert len(writes.asked) - 1 < len(ids) / 2
    await service._stop()
