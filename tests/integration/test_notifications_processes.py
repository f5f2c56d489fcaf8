"""Processes that are killed, and two that share the work: one message, one send."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from notifications_post import (
    HERE,
    THERE,
    Inboxes,
    Messages,
    Others,
    eventually,
    facility,
    message_id,
    new_id,
    others,
    patient,
    requested,
    token,
)
from pymongo import AsyncMongoClient

from deploy.local.ports import free_port
from deploy.local.testing import TestStack
from libs.contracts.grievance import CONTACT
from libs.contracts.referral import FACILITY
from services.notifications.catalogue import HEARD

QUICK = {
    "SWEEP_SECONDS": "0.1",
    "LEASE_SECONDS": "1",
    "SMS_CONNECT_SECONDS": "1",
    "SMS_ANSWER_SECONDS": "4",
    "SMTP_SECONDS": "4",
    "LEASE_ATTEMPT_SECONDS": "6",
    "ASK_AFTER_SECONDS": "0.2",
    "RETRY_BASE_SECONDS": "0.1",
}


class Service:
    """The notifications service in processes of its own."""

    def __init__(self, stack: TestStack, prefix: str) -> None:
        self._stack = stack
        self._prefix = prefix
        self._running: list[Process] = []

    async def start(self) -> Process:
        port = free_port()
        told = self._stack.environment("notifications") | QUICK | {"PORT": str(port), "DATABASE_PREFIX": self._prefix}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.notifications", env=os.environ | told, stdout=DEVNULL, stderr=DEVNULL
        )
        self._running.append(process)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def ready() -> bool:
                assert process.returncode is None, "the service ended while starting"
                with contextlib.suppress(httpx.HTTPError):
                    return (await client.get("/readyz")).status_code == 200
                return False

            await eventually(ready, 60)
        return process

    async def stop(self) -> None:
        for process in self._running:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
                await process.wait()


async def kill(process: Process) -> None:
    process.send_signal(signal.SIGKILL)
    await process.wait()


@pytest.fixture
async def prefix(stack: TestStack) -> AsyncIterator[str]:
    async with stack.untouched() as prefix:
        yield prefix


@pytest.fixture
async def service(stack: TestStack, prefix: str) -> AsyncIterator[Service]:
    service = Service(stack, prefix)
    yield service
    await service.stop()


@pytest.fixture
async def world(stack: TestStack, prefix: str) -> AsyncIterator[Others]:
    async with others(stack) as world:
        for code in (HERE, THERE):
            await world.publish(facility(code), code)
        yield world


@pytest.fixture
async def messages(stack: TestStack, prefix: str) -> AsyncIterator[Messages]:
    client: AsyncMongoClient[Any] = AsyncMongoClient(stack.mongodb_uri, tz_aware=True)
    yield Messages(client[f"{prefix}notifications"])
    await client.close()


@pytest.fixture
async def inboxes(stack: TestStack) -> AsyncIterator[Inboxes]:
    inboxes = Inboxes(stack)
    await inboxes.lift()
    yield inboxes
    await inboxes.lift()
    await inboxes.gateway.aclose()


@pytest.mark.parametrize("after_accept", [True, False], ids=["taken", "not taken"])
async def test_killed_between_claim_and_answer(
    service: Service, world: Others, messages: Messages, inboxes: Inboxes, after_accept: bool
) -> None:
    """SIGKILL while the gateway is at it: the next process asks before it sends, and the person gets one SMS."""
    first = await service.start()
    who = new_id()
    await messages.settled(await world.publish(patient(who), who), 2, 30)
    await inboxes.plant(sms={"status": 500, "hang_s": 3.0, "after_accept": after_accept})
    event = await world.publish(token(who), new_id())

    async def claimed() -> bool:
        found = await messages.of(event)
        return ("patient", "sms") in found and found["patient", "sms"]["is"] == "sending"

    await eventually(claimed)
    sms = message_id(event, f"patient:{who}", "sms")
    if after_accept:

        async def taken() -> Any:
            return inboxes.sms(sms)

        await eventually(taken)
    await kill(first)
    await service.start()
    found = await messages.settled(event, 2, 40)
    assert found["patient", "sms"]["is"] == "sent"
    assert len(inboxes.sms(sms)) == 1
    attempts = [entry for entry in found["patient", "sms"]["journal"] if entry["type"] == "SendAttempted"]
    # On a slow machine the first process may itself have asked and begun again before it was killed.
    assert len(attempts) == 1 if after_accept else len(attempts) > 1


async def test_two_processes_share_the_work_and_a_killed_ones_is_taken_over(
    stack: TestStack, service: Service, world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    first, _ = await asyncio.gather(service.start(), service.start())
    people = [new_id() for _ in range(20)]
    for who in people:
        await world.publish(patient(who), who)
    events = [world.record(token(who, number), new_id()) for who in people for number in (1, 2)]
    referrals = [world.record(requested(who), new_id()) for who in people[:5]]
    half = len(events) // 2
    await asyncio.gather(*(world.send(record) for _, record in events[:half]))
    await kill(first)
    await asyncio.gather(*(world.send(record) for _, record in events[half:] + referrals + events[:5]))
    wanted = 2 * len(people) + 2 * len(events) + 3 * len(referrals)

    async def all_told() -> bool:
        documents = messages.database["messages"]
        open_ = [
            await documents.count_documents({"state.status": status}) for status in ("waiting", "queued", "sending")
        ]
        return await messages.count() == wanted and not any(open_)

    await eventually(all_told, 90)
    documents = await messages.database["messages"].find().to_list(None)
    assert len({(d["state"]["event"], d["state"]["recipient"], d["state"]["channel"]) for d in documents}) == wanted
    for document in documents:
        sent = {"sms": inboxes.sms, "email": inboxes.mails}.get(document["state"]["channel"])
        if sent is None:
            assert document["state"]["status"] == "sent"
        elif document["state"]["status"] == "sent":
            assert len(sent(document["_id"])) == 1
        else:
            # Of a mail, nobody can say after a kill; it was sent once at most.
            assert (document["state"]["status"], document["state"]["channel"]) == ("outcome-unknown", "email")
            assert len(sent(document["_id"])) <= 1
    assert await public_sequences_are_gapless(stack, documents)


async def public_sequences_are_gapless(stack: TestStack, documents: list[dict[str, Any]]) -> bool:
    """Every public entry of every journal stands on the topic, in order."""
    wanted = {d["_id"]: [e["id"] for e in d["journal"] if "sequence" in e] for d in documents}
    consumer = AIOKafkaConsumer(
        "notifications.message.v1", bootstrap_servers=stack.kafka_bootstrap, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        read: dict[str, list[str]] = {}

        async def all_there() -> bool:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    ids = read.setdefault(record.key.decode(), [])
                    if (id := dict(record.headers)["ce_id"].decode()) not in ids:
                        ids.append(id)
            return read == wanted

        return bool(await eventually(all_there, 30))
    finally:
        await consumer.stop()


async def test_every_topic_replayed_from_zero_changes_no_document(
    stack: TestStack, prefix: str, service: Service, world: Others, messages: Messages, inboxes: Inboxes
) -> None:
    first = await service.start()
    who, silent, late = new_id(), new_id(), new_id()
    waiting = await world.publish(token(late), new_id())
    await eventually(lambda: messages.of(waiting))
    told = [
        (await world.publish(patient(who), who), 2),
        (await world.publish(patient(silent, phone=None), silent), 1),
        (await world.publish(patient(late, phone=None), late), 1),
        (waiting, 1),
    ]
    for event, count in told:
        await messages.settled(event, count, 30)
    for event, count in [
        (await world.publish(token(silent), new_id()), 1),
        (await world.publish(requested(who), new_id()), 3),
    ]:
        await messages.settled(event, count, 30)
    # Everybody has a phone from now on: the past must not be told to it.
    for id in (silent, late):
        await world.publish(patient(id), id)
    await eventually(lambda: _phones(messages, [silent, late]))
    last = new_id()
    await messages.settled(await world.publish(patient(last), last), 2, 30)
    first.terminate()
    await first.wait()
    before = await _documents(messages)
    await _rewind(stack)
    await service.start()
    marker = new_id()
    await messages.settled(await world.publish(patient(marker), marker), 2, 30)
    after = {id: document for id, document in (await _documents(messages)).items() if id in before}
    assert after == before
    assert len(await _documents(messages)) == len(before) + 2


async def _phones(messages: Messages, people: list[str]) -> bool:
    cards = [await messages.database["patients"].find_one({"_id": id}) for id in people]
    return all(card and card["card"]["phone"] for card in cards)


async def _documents(messages: Messages) -> dict[str, Any]:
    ignored = ("pending_since", "published")
    found = await messages.database["messages"].find().to_list(None)
    return {d["_id"]: {name: value for name, value in d.items() if name not in ignored} for d in found}


async def _rewind(stack: TestStack) -> None:
    """Every consumer group of the service starts over. Its members must be gone: a group in use refuses."""
    for topic in (*HEARD, CONTACT, FACILITY):
        for shape in ("", ".replica"):
            consumer = AIOKafkaConsumer(
                bootstrap_servers=stack.kafka_bootstrap,
                group_id=f"hillhealth.notifications.{topic.name}{shape}",
                enable_auto_commit=False,
            )
            await consumer.start()
            try:
                partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
                consumer.assign(partitions)

                async def rewound(consumer: Any = consumer, partitions: Any = partitions) -> bool:
                    with contextlib.suppress(KafkaError):
                        await consumer.commit(dict.fromkeys(partitions, 0))
                        return True
                    return False

                await eventually(rewound, 30)
            finally:
                await consumer.stop()
