"""What an older version wrote lacks the fields that today's queries go by: nobody is lost over an upgrade."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest
from referral_desk import HERE, THERE, Desk, open_desk, until

from deploy.local.testing import TestStack
from libs.common import rederivation
from libs.common.access import SYSTEM
from libs.common.service import Service
from tests.toy.ledger import LEDGER, Claimed, Ledger, Noted, asked, new_id, request
from tests.toy.running import clients_closed as clients_closed
from tests.toy.running import is_ready, running, toy

COUNTED = dataclasses.replace(
    LEDGER, shape=2, derive=lambda state: state.model_copy(update={"accepted": len(state.notes)})
)
"""The next version of the toy, which finds ledgers by how many notes they have."""


@pytest.fixture
async def old(stack: TestStack, prefix: str) -> Service:
    service = toy(stack, prefix)
    await service.ensure_indexes()
    return service


@pytest.fixture
async def new(stack: TestStack, prefix: str) -> Service:
    service = toy(stack, prefix, kinds=(COUNTED,))
    await service.ensure_indexes()
    return service


async def noted(service: Service, id: str, kind: object = LEDGER) -> None:
    chosen = LEDGER if kind is LEDGER else COUNTED
    await service.journal.append(chosen, id, lambda state: [Noted(text="n")], request(), SYSTEM)


async def found(service: Service, accepted: int) -> set[str]:
    wanted = {"state.accepted": accepted}
    return {each["_id"] for each in await service.database["referrals"].find(wanted, {"_id": 1}).to_list(None)}


async def test_what_an_older_version_wrote_is_found_and_says_nothing_new(old: Service, new: Service) -> None:
    ids = {new_id() for _ in range(rederivation.AT_ONCE + 3)}
    for id in ids:
        await old.journal.create(LEDGER, id, lambda state: [asked(), Noted(text="n")], request(), SYSTEM)
    before = {each["_id"]: each for each in await old.database["referrals"].find({}).to_list(None)}
    assert await found(new, 1) == set()
    assert not new.rederivation.done
    assert await new.rederivation.sweep()
    assert await found(new, 1) == ids
    for each in await new.database["referrals"].find({}).to_list(None):
        older = before[each["_id"]]
        assert each.pop("state") == older.pop("state") | {"accepted": 1, "derivation": 2}
        assert each == older
    text = new.metrics.registry.get_sample_value
    assert text("hillhealth_states_rederived_total", {"aggregate": "referral"}) == len(ids)


async def test_whoever_appends_meanwhile_wins_and_an_old_replica_may_write_once_more(
    old: Service, new: Service
) -> None:
    id = new_id()
    await old.journal.create(LEDGER, id, lambda state: [asked(), Noted(text="n")], request(), SYSTEM)
    as_read = await old.journal.load(LEDGER, id)
    assert as_read is not None
    await noted(old, id)
    assert await new.rederivation._derive(COUNTED, as_read) is None
    later = await old.journal.load(LEDGER, id)
    assert later is not None
    assert (len(later["state"]["notes"]), later["state"].get("derivation")) == (2, None)
    await new.rederivation.sweep()
    assert await found(new, 2) == {id}
    await noted(old, id)
    assert await found(new, 3) == set()
    await new.rederivation.sweep()
    assert await found(new, 3) == {id}
    await noted(new, id, COUNTED)
    written = await new.journal.load(COUNTED, id)
    assert written is not None
    assert written["state"]["derivation"] == 2
    assert Ledger.model_validate(written["state"]).notes == ("n",) * 4


async def test_one_that_cannot_be_derived_is_named_and_stops_none_of_the_others(old: Service, new: Service) -> None:
    first, second, broken, good = (new_id() for _ in range(4))
    for id, claim in ((first, "1"), (second, "2"), (good, None)):
        await old.journal.create(LEDGER, id, lambda state, said=claim: [Claimed(claim=said)], request(), SYSTEM)
    # A derivation may come to claim what another holds, and a document may be damaged.
    await old.database["referrals"].update_one({"_id": second}, {"$set": {"state.claim": "1"}})
    await old.database["referrals"].insert_one(
        {"_id": broken, "version": 1, "state": {"asked": "many"}, "journal": [], "sequence": 0, "published": 0}
    )
    assert await new.rederivation.sweep()
    left = new.metrics.registry.get_sample_value("hillhealth_states_underived", {"aggregate": "referral"})
    assert left == 2
    shapes = {
        each["_id"]: each["state"].get("derivation") for each in await new.database["referrals"].find({}).to_list(None)
    }
    assert shapes == {first: 2, second: None, broken: None, good: 2}


async def test_one_replica_does_it_and_none_is_ready_before(stack: TestStack, prefix: str, old: Service) -> None:
    ids = {new_id() for _ in range(20)}
    for id in ids:
        await old.journal.create(LEDGER, id, lambda state: [asked(), Noted(text="n")], request(), SYSTEM)
    replicas = [toy(stack, prefix, kinds=(COUNTED,)) for _ in range(2)]
    assert [(await each.health())["derived"] for each in replicas] == ["deriving what an older version wrote"] * 2
    async with running(replicas[0]), running(replicas[1]):
        assert await asyncio.gather(*(is_ready(each) for each in replicas)) == [True, True]
        assert await found(replicas[1], 1) == ids


@pytest.fixture(scope="module")
async def desk(stack: TestStack) -> AsyncIterator[Desk]:
    async with open_desk(stack) as desk:
        yield desk


async def test_a_referral_of_before_worklists_stands_on_them_after_the_upgrade(desk: Desk) -> None:
    """And none is gone from `GET /worklists` because it was written by whoever knew none."""
    id = (await desk.request("of-before"))["id"]
    referrals = desk.served.service.database["referrals"]
    gone = dict.fromkeys(("state.lists", "state.rank", "state.derivation"), "")
    await referrals.update_one({"_id": id}, {"$unset": gone})
    assert (await desk.get("doctor", THERE, "/worklists/to-answer")).json()["items"] == []
    await desk.served.service.rederivation.sweep()

    async def listed() -> bool:
        answer = await desk.get("doctor", THERE, "/worklists/to-answer")
        return [item["id"] for item in answer.json()["items"]] == [id]

    await until(listed)
    assert (await desk.step(id, "accept", "doctor", THERE, {}))["status"] == "accepted"
    assert [entry["actor"] for entry in (await desk.document(id))["journal"]] == [f"doctor@{HERE}", f"doctor@{THERE}"]
