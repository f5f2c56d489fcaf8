"""Subscriptions on a real broker and store: effects before offsets, keys in order, nothing dropped without a trace."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from aiokafka import TopicPartition

from deploy.local.testing import TestStack
from libs.common.dead_letters import CannotOpen, DeadLetters
from libs.common.mongo import STORE_AWAY, Document
from libs.common.records import Received
from libs.common.refusal import Refused
from libs.common.service import Service
from libs.contracts.referral import REFERRAL
from tests.toy.ledger import new_id
from tests.toy.running import Proxy, Raw, produce, running, worker
from tests.toy.running import clients_closed as clients_closed
from tests.toy.stream import beside, done, ends, event, in_group_of, listening, subscriber
from tests.waiting import eventually


async def _committed(service: Service) -> int:
    """Offsets committed by the subscription, summed over the partitions it has."""
    (subscription,) = service.listener.subscriptions
    consumer = subscription.consumer
    assert consumer is not None
    return sum([await consumer.committed(partition) or 0 for partition in consumer.assignment()])


async def _letters(service: Service, status: str | None = "waiting") -> list[Document]:
    return await service.letters.show(status)


def _count(service: Service, name: str, **labels: str) -> float:
    """The sum of a counter over the labels that are not given."""
    return sum(
        sample.value
        for metric in service.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def test_a_new_subscriber_starts_at_the_beginning_and_is_ready_when_it_has_caught_up(
    stack: TestStack, prefix: str
) -> None:
    key, go = new_id(), asyncio.Event()

    async def wait(received: Received) -> None:
        if received.key == key:
            await go.wait()

    await produce(stack, REFERRAL, event(key, 1), event(key, 2))
    service = subscriber(stack, prefix, wait)
    async with running(service, ready=False):
        (subscription,) = service.listener.subscriptions
        # Patient, since a broker of yours may hold much that comes before.
        await eventually(lambda: subscription._under_way, 60)
        assert not await _caught_up(service)
        assert (await service.health())["consumers"] != "ok"
        await eventually(lambda: subscription.lag(), 5)
        go.set()
        await eventually(lambda: done(service, key), 60)
        await eventually(lambda: _caught_up(service), 60)
        assert await done(service, key) == (1, 2)
        assert await subscription.lag() == 0
        await eventually(lambda: _all_ok(service))


async def test_offsets_are_committed_after_the_effects(stack: TestStack, prefix: str) -> None:
    key, go, seen = new_id(), asyncio.Event(), asyncio.Event()

    async def wait(received: Received) -> None:
        seen.set()
        await go.wait()

    service = subscriber(stack, prefix, wait)
    async with listening(stack, service):
        before = await _committed(service)
        await produce(stack, REFERRAL, event(key, 1), event(key, 2))
        await seen.wait()
        assert await _committed(service) == before
        go.set()
        await eventually(lambda: _caught_up(service))
        assert await done(service, key) == (1, 2)


async def _all_ok(service: Service) -> bool:
    return all(state == "ok" for state in (await service.health()).values())


async def test_killed_after_the_effects_and_before_the_commit_it_acts_once(stack: TestStack, prefix: str) -> None:
    keys = [new_id() for _ in range(3)]
    async with listening(stack, subscriber(stack, prefix)):
        pass
    await produce(stack, REFERRAL, *(event(key, n) for n in (1, 2, 3) for key in keys))
    async with worker(stack, prefix, "commit") as process:
        assert await asyncio.wait_for(process.wait(), 40) == -9
    service = subscriber(stack, prefix)
    assert any([await done(service, key) for key in keys]), "killed after its first effects"
    async with listening(stack, service):
        await eventually(lambda: _done_all(service, dict.fromkeys(keys, 3)))
        await eventually(lambda: _count(service, "hillhealth_events_duplicate_total", at="effect"))
    for key in keys:
        assert await done(service, key) == (1, 2, 3)


async def _done_all(service: Service, expected: dict[str, int]) -> bool:
    return all([len(await done(service, key)) >= count for key, count in expected.items()])


async def _fail(received: Received) -> None:
    raise RuntimeError("Marked Name +915550000001")


async def _refuse(received: Received) -> None:
    raise Refused("not-wanted", "Marked Name")


Poison = tuple[Raw, str]


def _poison(name: str) -> Poison:
    key = new_id()
    normal = event(key)
    schema = b'{"patient": 7, "origin": "Marked Name", "destination": "B1", "service": "x", "urgency": "routine"}'
    return {
        "not JSON": (event(key, value=b"\xff\x00 Marked Name"), "undecodable:not JSON"),
        "schema": (event(key, value=schema), "schema:origin,patient"),
        "no body": (event(key, value=None), "undecodable:no value"),
        "null id": (event(key, headers={"ce_id": None}), "undecodable:no header ce_id"),
        "no sequence": (event(key, headers={"ce_sequence": "Marked"}), "undecodable:ce_sequence or ce_epoch"),
        "sequence too large": (event(key, headers={"ce_sequence": "9" * 30}), "undecodable:ce_sequence or ce_epoch"),
        "null key": ((None, normal[1], normal[2]), "undecodable:no key"),
        "key not text": ((b"\xff\xfe", normal[1], normal[2]), "undecodable:key is not text"),
    }[name]


@pytest.mark.parametrize(
    "name",
    ["not JSON", "schema", "no body", "null id", "no sequence", "sequence too large", "null key", "key not text"],
)
async def test_a_record_that_cannot_be_read_is_a_dead_letter_and_the_rest_moves_on(
    stack: TestStack, prefix: str, name: str
) -> None:
    record, reason = _poison(name)
    good = new_id()
    service = subscriber(stack, prefix)
    async with listening(stack, service):
        sent = time.monotonic()
        await produce(stack, REFERRAL, record, event(good))
        (letter,) = await eventually(lambda: _letters(service))
        assert time.monotonic() - sent < 2.0
        await eventually(lambda: done(service, good))
        await eventually(lambda: _caught_up(service))
    assert letter["reason"].startswith(reason)
    assert "Marked" not in str(letter)
    assert await done(service, str(record[0])) == ()


async def _caught_up(service: Service) -> bool:
    """Offsets have passed everything: a poison event blocks no partition."""
    (subscription,) = service.listener.subscriptions
    assert subscription.consumer is not None
    partitions = [TopicPartition(REFERRAL.name, n) for n in range(REFERRAL.partitions)]
    ends = await subscription.consumer.end_offsets(partitions)
    return sum(ends.values()) == await _committed(service)


@pytest.mark.parametrize(
    ("fault", "reason"), [(_fail, "failing:RuntimeError"), (_refuse, "refused:not-wanted")], ids=["fails", "refuses"]
)
async def test_an_event_that_cannot_be_handled_delays_other_keys_by_no_more_than_a_second(
    stack: TestStack, prefix: str, fault: Any, reason: str
) -> None:
    bad, tried = new_id(), asyncio.Event()
    good = beside(bad)

    async def behave(received: Received) -> None:
        if received.key == bad:
            tried.set()
            await fault(received)

    service = subscriber(stack, prefix, behave)
    async with listening(stack, service):
        sent = time.monotonic()
        await produce(stack, REFERRAL, event(bad))
        await tried.wait()
        after = time.monotonic()
        await produce(stack, REFERRAL, event(good))
        await eventually(lambda: done(service, good))
        assert time.monotonic() - after < 1.0
        (letter,) = await eventually(lambda: _letters(service))
        assert time.monotonic() - sent < 2.0
    assert letter["reason"] == reason
    assert letter["type"] == "referral.ReferralAccepted.v1"
    assert letter["key"] == bad
    assert "Marked" not in str(letter)


async def test_an_unknown_type_or_value_is_skipped_and_counted_not_put_aside(stack: TestStack, prefix: str) -> None:
    key = new_id()
    unknown = event(key, 1, headers={"ce_type": "referral.SomethingNew.v1"})
    stranger = event(key, 2, headers={"ce_type": "registration.TokenIssued.v1"})
    value = event(key, 3, value=(event(key)[1] or b"").replace(b'"routine"', b'"someday"'))
    assert value[1] is not None
    assert b"someday" in value[1]
    service = subscriber(stack, prefix)
    async with listening(stack, service):
        await produce(stack, REFERRAL, unknown, stranger, value, event(key, 4))
        await eventually(lambda: done(service, key))
    assert await done(service, key) == (4,)
    assert await _letters(service, None) == []
    assert _count(service, "hillhealth_events_skipped_total", reason="unknown-type") == 2
    assert _count(service, "hillhealth_events_skipped_total", reason="unknown-value") == 1


async def test_a_null_header_that_is_not_needed_is_no_trouble(stack: TestStack, prefix: str) -> None:
    key = new_id()
    service = subscriber(stack, prefix)
    async with listening(stack, service):
        await produce(stack, REFERRAL, event(key, headers={"traceparent": None, "ce_time": None}))
        await eventually(lambda: done(service, key))


async def test_an_event_that_fails_at_first_is_handled_in_place(stack: TestStack, prefix: str) -> None:
    key, calls = new_id(), 0

    async def twice(received: Received) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise RuntimeError

    service = subscriber(stack, prefix, twice)
    async with listening(stack, service):
        await produce(stack, REFERRAL, event(key, 1), event(key, 2))
        await eventually(lambda: _done_all(service, {key: 2}))
    assert await done(service, key) == (1, 2)
    assert await _letters(service, None) == []


class Faulty:
    """A subscriber whose handler refuses the first event of a key as long as told."""

    def __init__(self, stack: TestStack, prefix: str) -> None:
        self.key = new_id()
        self.refusing = True
        self.service = subscriber(stack, prefix, self.behave)

    async def behave(self, received: Received) -> None:
        if self.refusing and received.key == self.key and received.sequence == 1:
            raise Refused("not-yet", "not yet")


async def test_later_events_of_the_key_wait_behind_and_a_redrive_handles_them_in_order(
    stack: TestStack, prefix: str
) -> None:
    faulty = Faulty(stack, prefix)
    service, key = faulty.service, faulty.key
    other = beside(key)
    async with listening(stack, service):
        await produce(stack, REFERRAL, *(event(key, n) for n in (1, 2)), event(other))
        await eventually(lambda: _letters_of(service, 2))
        await produce(stack, REFERRAL, event(key, 3))
        letters = await eventually(lambda: _letters_of(service, 3))
        assert [letter["reason"] for letter in letters] == ["refused:not-yet", "behind", "behind"]
        assert await done(service, key) == ()
        await eventually(lambda: done(service, other))
        failed = await service.redrive(letters[2]["_id"], by="op")
        assert failed["failed"] == letters[0]["_id"], "the first is still refused, and nothing goes past it"
        assert await done(service, key) == ()
        faulty.refusing = False
        answer = await service.redrive(letters[1]["_id"], by="op")
        assert answer["redriven"] == [letter["_id"] for letter in letters]
        assert await done(service, key) == (1, 2, 3)
        with pytest.raises(Refused):
            await service.redrive(letters[0]["_id"], by="op")
        await produce(stack, REFERRAL, event(key, 4))
        await eventually(lambda: _done_all(service, {key: 4}))
    first = await service.letters.get(letters[0]["_id"])
    assert first is not None
    assert [(entry["by"], entry["did"]) for entry in first["history"]] == [("op", "redrive failed"), ("op", "redriven")]


async def _letters_of(service: Service, count: int) -> list[Document] | None:
    letters = await _letters(service)
    return letters if len(letters) >= count else None


async def test_a_discarded_event_is_passed_over_and_what_waits_behind_it_can_be_redriven(
    stack: TestStack, prefix: str
) -> None:
    faulty = Faulty(stack, prefix)
    service, key = faulty.service, faulty.key
    async with listening(stack, service):
        await produce(stack, REFERRAL, *(event(key, n) for n in (1, 2, 3)))
        letters = await eventually(lambda: _letters_of(service, 3))
        await service.discard(letters[0]["_id"], by="op", note="sent by mistake")
        with pytest.raises(Refused):
            await service.discard(letters[0]["_id"], by="op", note="again")
        # Two still wait: what comes now is not let past them.
        await produce(stack, REFERRAL, event(key, 4))
        await eventually(lambda: _letters_of(service, 3))
        assert await done(service, key) == ()
        await service.redrive(letters[1]["_id"], by="op")
        assert await done(service, key) == (2, 3, 4)
        await produce(stack, REFERRAL, event(key, 5))
        await eventually(lambda: _done_all(service, {key: 4}))
    discarded = await service.letters.get(letters[0]["_id"])
    assert discarded is not None
    assert discarded["status"] == "discarded"
    assert discarded["history"][-1]["note"] == "sent by mistake"


async def test_a_restarted_subscriber_still_knows_what_waits(stack: TestStack, prefix: str) -> None:
    faulty = Faulty(stack, prefix)
    key = faulty.key
    async with listening(stack, faulty.service):
        await produce(stack, REFERRAL, event(key, 1))
        await eventually(lambda: _letters_of(faulty.service, 1))
    service = subscriber(stack, prefix)
    async with listening(stack, service):
        await produce(stack, REFERRAL, event(key, 2))
        letters = await eventually(lambda: _letters_of(service, 2))
    assert letters[1]["reason"] == "behind"
    assert await done(service, key) == ()


async def _everything(service: Service) -> dict[str, list[Document]]:
    names = [name for name in await service.database.list_collection_names() if name != "leases"]
    return {name: await service.database[name].find().sort("_id", 1).to_list(None) for name in sorted(names)}


async def test_a_topic_replayed_from_zero_changes_no_document(stack: TestStack, prefix: str) -> None:
    faulty, start = Faulty(stack, prefix), await ends(stack)
    service, keys = faulty.service, [new_id() for _ in range(5)]
    async with listening(stack, service):
        await produce(stack, REFERRAL, *(event(key, n) for n in (1, 2, 3) for key in (*keys, faulty.key)))
        await produce(stack, REFERRAL, event(new_id(), value=b"no"))
        await eventually(lambda: _done_all(service, dict.fromkeys(keys, 3)))
        letters = await eventually(lambda: _letters_of(service, 4))
        undecodable = next(letter for letter in letters if letter["reason"].startswith("undecodable"))
        await service.discard(undecodable["_id"], by="op", note="nonsense")
    before = await _everything(service)
    again = in_group_of(subscriber(stack, prefix, faulty.behave), "again")
    async with listening(stack, again, start):
        await eventually(lambda: _caught_up(again))
    assert await _everything(again) == before
    assert _count(again, "hillhealth_events_handled_total") >= 15


async def test_the_body_of_a_dead_letter_is_sealed(stack: TestStack, prefix: str) -> None:
    key = new_id()
    service = subscriber(stack, prefix)
    async with listening(stack, service):
        await produce(stack, REFERRAL, event(key, value=b'{"patient": "Marked Name"'))
        (shown,) = await eventually(lambda: _letters(service))
    assert "sealed" not in shown
    stored = await service.letters.get(shown["_id"])
    assert stored is not None
    assert b"Marked" not in stored["sealed"]
    assert service.letters.open(stored).value == b'{"patient": "Marked Name"'
    with pytest.raises(CannotOpen):
        DeadLetters(service.database, b"another key").open(stored)


async def test_a_key_that_is_no_id_is_only_kept_as_its_digest(stack: TestStack, prefix: str) -> None:
    service = subscriber(stack, prefix)
    async with listening(stack, service):
        await produce(stack, REFERRAL, event("Marked +915550000001", value=b"x"))
        (letter,) = await eventually(lambda: _letters(service))
    assert letter["key"].startswith("digest:")
    assert "Marked" not in str(letter)


async def test_a_store_that_is_away_makes_no_dead_letters(stack: TestStack, prefix: str) -> None:
    keys = [new_id() for _ in range(5)]
    port = int(stack.mongodb_uri.split(":")[2].split("/")[0])
    async with Proxy(port) as proxy:
        service = subscriber(stack, prefix, mongodb_uri=f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true")
        async with listening(stack, service):
            await proxy.refuse()
            await produce(stack, REFERRAL, *(event(key, n) for n in (1, 2) for key in keys))
            await eventually(lambda: _count(service, "hillhealth_consumer_store_retries_total"), 20)
            assert (await service.health())["store"] != "ok"
            await proxy.allow()
            await eventually(lambda: _done_all(service, dict.fromkeys(keys, 2)), 20)
            assert await _letters(service, None) == []
            await eventually(lambda: _all_ok(service))
            assert {await done(service, key) for key in keys} == {(1, 2)}


async def test_a_write_that_finds_the_store_away_makes_no_dead_letter_though_one_could_be_kept(
    stack: TestStack, prefix: str
) -> None:
    key, tries = new_id(), 0

    async def away_at_first(received: Received) -> None:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise STORE_AWAY[0]("away")

    service = subscriber(stack, prefix, away_at_first)
    async with listening(stack, service):
        await produce(stack, REFERRAL, event(key, 1))
        await eventually(lambda: _done_all(service, {key: 1}), 20)
        assert await _letters(service, None) == []


async def test_trouble_of_ours_keeps_the_batch_and_loses_no_event(stack: TestStack, prefix: str) -> None:
    key = new_id()
    service = subscriber(stack, prefix)
    (subscription,) = service.listener.subscriptions
    handle, raised = subscription.handle, 0

    async def broken_at_first(records: Any) -> None:
        nonlocal raised
        if raised < 2:
            raised += 1
            raise KeyError("a bug")
        await handle(records)

    subscription.handle = broken_at_first  # type: ignore[method-assign]
    async with listening(stack, service):
        await produce(stack, REFERRAL, event(key, 1))
        await eventually(lambda: raised == 2)
        await produce(stack, REFERRAL, event(key, 2))
        await eventually(lambda: _done_all(service, {key: 2}))
    assert await done(service, key) == (1, 2)


async def test_members_that_join_and_leave_under_load_handle_every_event_once_and_in_order(
    stack: TestStack, prefix: str
) -> None:
    keys = [new_id() for _ in range(24)]
    first = subscriber(stack, prefix)
    sent = 0

    async def load(rounds: int) -> None:
        nonlocal sent
        for _ in range(rounds):
            sent += 1
            await produce(stack, REFERRAL, *(event(key, sent) for key in keys))

    async with listening(stack, first):
        await load(2)
        second = subscriber(stack, prefix)
        joining = asyncio.create_task(load(6))
        async with listening(stack, second):
            await joining
            await load(2)
            await eventually(lambda: _count(second, "hillhealth_events_handled_total") > 0, 30)
            leaving = asyncio.create_task(load(4))
        await leaving
        await eventually(lambda: _done_all(first, dict.fromkeys(keys, sent)), 30)
        await eventually(lambda: _caught_up(first), 30)
    for key in keys:
        assert await done(first, key) == tuple(range(1, sent + 1))
    assert await _letters(first, None) == []
