"""What subscribers are sent in these tests, and a subscriber that journals what it did."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from deploy.local.testing import TestStack
from libs.common.access import SYSTEM
from libs.common.records import Received
from libs.common.service import Service
from libs.contracts import referral, registration
from libs.contracts.event import Topic
from libs.contracts.referral import REFERRAL
from tests.toy.ledger import EFFECTS, Done, accepted, card, new_id
from tests.toy.running import Raw, headers_of, running, toy

Behaviour = Callable[[Received], Awaitable[None]]


def event(key: str, sequence: int = 1, **changes: Any) -> Raw:
    """A well-formed referral event; `headers` are put over its own, `value` in place of its body."""
    headers: dict[str, str | None] = dict(headers_of("referral.ReferralAccepted.v1", sequence=sequence))
    headers |= changes.get("headers", {})
    body = accepted().model_dump_json().encode()
    return key, changes.get("value", body), headers


def card_event(key: str, sequence: int = 1, name: str = "", *, epoch: int = 1, erased: bool = False) -> Raw:
    type_ = "registration.PatientErased.v1" if erased else "registration.PatientCorrected.v1"
    body = None if erased else registration.PatientCorrected(card=card(key, name)).model_dump_json().encode()
    headers: dict[str, str | None] = dict(headers_of(type_, sequence=sequence, epoch=epoch))
    return key, body, headers


def beside(key: str, topic: Topic = REFERRAL) -> str:
    """Another key of the same partition."""
    numbers = list(range(topic.partitions))
    partition = DefaultPartitioner()(key.encode(), numbers, numbers)
    while True:
        other = new_id()
        if DefaultPartitioner()(other.encode(), numbers, numbers) == partition:
            return other


def subscriber(stack: TestStack, prefix: str, behaviour: Behaviour | None = None, **overrides: Any) -> Service:
    """Journals one effect per event, after `behaviour` had its say."""
    service = toy(stack, prefix, "notifications", kinds=(EFFECTS,), **overrides)

    async def react(received: Received) -> None:
        if behaviour is not None:
            await behaviour(received)
        await service.journal.append(
            EFFECTS,
            received.key,
            lambda state: [Done(sequence=received.sequence, type=received.type)],
            received.cause(),
            SYSTEM,
        )

    service.react(referral.REFERRAL, react)
    return in_group_of(service, prefix)


def in_group_of(service: Service, name: str) -> Service:
    """Gives its subscriptions groups of this test's own, which have read nothing yet."""
    for subscription in service.listener.subscriptions:
        subscription.group = f"{subscription.group}.{name}"
    return service


async def done(service: Service, key: str) -> tuple[int, ...]:
    document = await service.journal.load(EFFECTS, key)
    return tuple(document["state"]["done"]) if document else ()


Offsets = dict[TopicPartition, int]


async def ends(stack: TestStack, topic: Topic = REFERRAL) -> Offsets:
    """Where the topic ends now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka_bootstrap)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        found: Offsets = await consumer.end_offsets(partitions)
        return found
    finally:
        await consumer.stop()


@contextlib.asynccontextmanager
async def listening(stack: TestStack, service: Service, at: Offsets | None = None) -> AsyncIterator[Service]:
    """Runs it from `at` on, by default from now: what other tests left on the topics is none of its business.

    A group that has committed before goes on from there.
    """
    for subscription in service.listener.subscriptions:
        offsets = at if at is not None else await ends(stack, subscription.topic)
        # By itself it would commit where it happens to stand when it stops, which may be the end.
        consumer = AIOKafkaConsumer(
            bootstrap_servers=stack.kafka_bootstrap, group_id=subscription.group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            consumer.assign(list(offsets))
            if all([await consumer.committed(partition) is None for partition in offsets]):
                await consumer.commit(offsets)
        finally:
            await consumer.stop()
    async with running(service):
        yield service
