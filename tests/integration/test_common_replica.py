"""Copies of another service's cards on a real store: the newest wins, and a grave outranks everything."""

from __future__ import annotations

import json

import pytest

from deploy.local.testing import TestStack
from libs.common.mongo import BulkWriteError
from libs.common.records import Received, envelope_of
from libs.common.replica import Replica
from libs.common.service import Service
from libs.contracts.event import PUBLIC
from libs.contracts.registration import PATIENT
from tests.toy.ledger import new_id
from tests.toy.running import Raw, produce, toy
from tests.toy.running import clients_closed as clients_closed
from tests.toy.stream import card_event, ends, in_group_of, listening
from tests.waiting import eventually


class Consumed:
    """A record as a consumer would give it."""

    def __init__(self, raw: Raw) -> None:
        key, self.value, headers = raw
        self.key = key.encode() if isinstance(key, str) else key
        self.headers = [(name, None if text is None else text.encode()) for name, text in headers.items()]
        self.topic, self.partition, self.offset, self.timestamp = PATIENT.name, 0, 0, 0


def _received(raw: Raw) -> Received:
    envelope = envelope_of(Consumed(raw))
    return Received(envelope, PUBLIC[envelope.type].model_validate(json.loads(envelope.value or b"{}")))


@pytest.fixture
async def replica(stack: TestStack, prefix: str) -> Replica:
    return Replica(toy(stack, prefix, "grievance").database, "patients")


async def _name(replica: Replica, key: str) -> str | None:
    card = await replica.get(key)
    return card["name"] if card else None


async def test_the_newest_by_epoch_and_sequence_wins_in_whatever_order(replica: Replica) -> None:
    key = new_id()
    for sequence, name, epoch, expected in (
        (3, "third", 1, "third"),
        (2, "second", 1, "third"),
        (3, "third again", 1, "third"),
        (4, "fourth", 1, "fourth"),
        (1, "restored", 2, "restored"),
        (9, "before the restore", 1, "restored"),
    ):
        await replica.apply([_received(card_event(key, sequence, name, epoch=epoch))])
        assert await _name(replica, key) == expected


async def test_within_a_batch_too(replica: Replica) -> None:
    key, other = new_id(), new_id()
    written, stale = await replica.apply(
        [
            _received(event)
            for event in (
                card_event(key, 2, "second"),
                card_event(key, 1, "first"),
                card_event(other, 1, "other"),
            )
        ]
    )
    assert (sorted(written), stale) == (sorted([key, other]), 0)
    assert await _name(replica, key) == "second"
    written, stale = await replica.apply(
        [_received(card_event(key, 1, "first")), _received(card_event(other, 2, "newer"))]
    )
    assert (written, stale) == ([other], 1)
    assert await _name(replica, key) == "second"


async def test_a_grave_outranks_every_later_sequence_and_epoch(replica: Replica) -> None:
    key, never_seen = new_id(), new_id()
    await replica.apply([_received(card_event(key, 5, "Marked"))])
    # Also one whose sequence is older than what is held: an erasure is never late.
    await replica.apply([_received(card_event(key, 2, erased=True)), _received(card_event(never_seen, 2, erased=True))])
    for late in (card_event(key, 9, "risen"), card_event(key, 1, "risen", epoch=7), card_event(never_seen, 1, "risen")):
        await replica.apply([_received(late)])
    for id in (key, never_seen):
        assert await replica.get(id) is None
        assert await replica.erased(id)
    assert "Marked" not in str(await replica.collection.find_one({"_id": key}))


async def test_a_grave_and_a_card_in_one_batch(replica: Replica) -> None:
    key = new_id()
    await replica.apply([_received(card_event(key, 2, erased=True)), _received(card_event(key, 3, "risen"))])
    assert await replica.get(key) is None


async def test_only_a_duplicate_key_is_forgiven(replica: Replica) -> None:
    await _refuse_the_name(replica, "BAD")
    good, bad = new_id(), new_id()
    with pytest.raises(BulkWriteError):
        await replica.apply([_received(card_event(bad, 1, "BAD")), _received(card_event(good, 1, "fine"))])


async def _refuse_the_name(replica: Replica, name: str) -> None:
    """Makes the store itself refuse a card, for another reason than a duplicate `_id`."""
    database = replica.collection.database
    await database.create_collection(replica.collection.name, validator={"card.name": {"$ne": name}})


async def test_a_card_that_the_store_refuses_is_a_dead_letter_and_the_others_are_kept(
    stack: TestStack, prefix: str
) -> None:
    service, told = _copying(stack, prefix)
    good, bad = new_id(), new_id()
    replica = service._replicas[0]
    await _refuse_the_name(replica, "BAD")
    async with listening(stack, service):
        await produce(stack, PATIENT, card_event(bad, 1, "BAD"), card_event(good, 1, "fine"))
        (letter,) = await eventually(service.letters.show)
        await eventually(lambda: _name(replica, good))
    assert letter["reason"] == "failing:BulkWriteError"
    assert letter["key"] == bad
    assert good in told


def _copying(stack: TestStack, prefix: str) -> tuple[Service, list[str]]:
    service = toy(stack, prefix, "grievance", kinds=())
    told: list[str] = []

    async def changed(keys: list[str]) -> None:
        told.extend(keys)

    service.replica(PATIENT, "patients", indexes=(("card.phone",),), changed=changed)
    return in_group_of(service, prefix), told


async def test_a_poisoned_card_is_put_aside_and_later_cards_of_the_key_are_kept(stack: TestStack, prefix: str) -> None:
    service, _ = _copying(stack, prefix)
    (replica,) = service._replicas
    key = new_id()
    _, _, headers = card_event(key, 1)
    async with listening(stack, service):
        await produce(stack, PATIENT, (key, b'{"card": {"name": "Marked"}}', headers), card_event(key, 2, "second"))
        await eventually(lambda: _name(replica, key))
        (letter,) = await eventually(service.letters.show)
        assert letter["reason"] == "schema:card.id,card.registered_at"
        assert letter["event"] == headers["ce_id"]
        assert "Marked" not in str(letter)
        failed = await service.redrive(letter["_id"], by="op")
        assert failed["failed"] == letter["_id"]


async def test_what_a_crash_left_untold_is_told_when_it_comes_again(stack: TestStack, prefix: str) -> None:
    service, told = _copying(stack, prefix)
    (replica,) = service._replicas
    key, event = new_id(), card_event(new_id(), 1, "first")
    # Written, and killed before anybody was told.
    await replica.apply([_received((key, event[1], event[2]))])
    async with listening(stack, service):
        await produce(stack, PATIENT, (key, event[1], event[2]))
        await eventually(lambda: key in told)


async def test_a_topic_replayed_from_zero_changes_no_card(stack: TestStack, prefix: str) -> None:
    service, _ = _copying(stack, prefix)
    (replica,) = service._replicas
    start = await ends(stack, PATIENT)
    keys = [new_id() for _ in range(6)]
    async with listening(stack, service):
        await produce(stack, PATIENT, *(card_event(key, n, f"name {n}") for n in (1, 2, 3) for key in keys))
        await produce(stack, PATIENT, card_event(keys[0], 4, erased=True))
        await eventually(lambda: replica.erased(keys[0]))
        await eventually(lambda: _all_at_three(replica, keys[1:]))
    before = await replica.collection.find().sort("_id", 1).to_list(None)
    again, told = _copying(stack, prefix)
    in_group_of(again, "again")
    async with listening(stack, again, start):
        await eventually(lambda: set(keys) <= set(told))
        (subscription,) = again.listener.subscriptions
        await eventually(lambda: _no_lag(subscription))
    assert await replica.collection.find().sort("_id", 1).to_list(None) == before


async def _all_at_three(replica: Replica, keys: list[str]) -> bool:
    return all([await _name(replica, key) == "name 3" for key in keys])


async def _no_lag(subscription: object) -> bool:
    return await subscription.lag() == 0  # type: ignore[attr-defined]
