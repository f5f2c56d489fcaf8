"""What can be hit. Each hit leaves the stack whole again: everything runs, once, when `heal` returns."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local import store
from deploy.local.layout import REPOSITORY
from deploy.local.ports import free_port
from deploy.local.store import SERVICES
from deploy.local.testing import TestStack
from tests.rewinding import rewind

FROZEN_SECONDS = 13.0
"""Longer than a consumer's session (10 s) and a relay's lease (4 s)."""

Act = Callable[[TestStack, random.Random], None]


def _nothing(stack: TestStack, chance: random.Random) -> None:
    return None


@dataclass(frozen=True)
class Hit:
    """`prepare` runs before the load, `strike` at the instant, `heal` when the load is through."""

    name: str
    strike: Act
    prepare: Act = _nothing
    heal: Act = _nothing


# A process dies


def kill(stack: TestStack, name: str) -> None:
    process = stack.processes.running(name)
    assert process is not None, f"{name} does not run"
    process.kill()
    process.wait(10)


def start_service(stack: TestStack, service: str, name: str | None = None) -> None:
    """Starts it (or, under another name, one more of it) and waits until it is ready."""
    name = name or service
    environment = stack.environment(service) | {"PYTHONPATH": str(REPOSITORY), "PORT": str(stack.port[name])}
    stack.processes.start(name, [sys.executable, "-m", f"services.{service}"], environment)
    stack.processes.wait_until(name, lambda: _unready(f"http://127.0.0.1:{stack.port[name]}/readyz"))


def kill_service(service: str, stack: TestStack, chance: random.Random) -> None:
    kill(stack, service)
    time.sleep(chance.random() * 2)
    start_service(stack, service)


def kill_broker(stack: TestStack, chance: random.Random) -> None:
    kill(stack, "kafka")
    time.sleep(chance.random() * 2)
    stack._up_broker()


def kill_store(stack: TestStack, chance: random.Random) -> None:
    kill(stack, "store")
    time.sleep(chance.random() * 2)
    stack.processes.start("store", store.prepare(stack.layout, stack.port["store"]), {})
    stack.processes.wait_until("store", lambda: store.unready(stack.mongodb_uri))


# A process stands still


def freeze(name: str, stack: TestStack, chance: random.Random) -> None:
    process = stack.processes.running(name)
    assert process is not None, f"{name} does not run"
    os.kill(process.pid, signal.SIGSTOP)
    try:
        time.sleep(FROZEN_SECONDS)
    finally:
        os.kill(process.pid, signal.SIGCONT)


# Two of one service


def second(service: str, stack: TestStack, chance: random.Random) -> None:
    stack.port[f"{service}-2"] = free_port()
    start_service(stack, service, f"{service}-2")


def stop_second(service: str, stack: TestStack, chance: random.Random) -> None:
    stack.processes.stop(f"{service}-2")
    stack.port.pop(f"{service}-2", None)
    if stack.processes.running(service) is None:
        start_service(stack, service)


def kill_first_of_two(service: str, stack: TestStack, chance: random.Random) -> None:
    kill(stack, service)
    time.sleep(1 + chance.random() * 2)
    start_service(stack, service)


def freeze_first_of_two(service: str, stack: TestStack, chance: random.Random) -> None:
    freeze(service, stack, chance)


# A topic says things twice, or nonsense


def duplicate(stack: TestStack, chance: random.Random) -> None:
    """Every record that stands on the topics now is written once more, as it is, in order."""
    asyncio.run(_duplicate(stack.kafka_bootstrap))


async def _duplicate(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await admin.start()
    await consumer.start()
    await producer.start()
    try:
        topics = [name for name in await admin.list_topics() if not name.startswith("__")]
        described = await admin.describe_topics(topics)
        partitions = [TopicPartition(of["topic"], each["partition"]) for of in described for each in of["partitions"]]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition, begin in (await consumer.beginning_offsets(partitions)).items():
            consumer.seek(partition, begin)
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for partition, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    known = record.offset < ends[partition] and not _newer_card_follows(record, partition)
                    if known and not _was_planted(record.key):
                        await producer.send(
                            partition.topic, record.value, record.key, partition.partition, headers=list(record.headers)
                        )
        await producer.flush()
    finally:
        await producer.stop()
        await consumer.stop()
        await admin.close()


def _newer_card_follows(record: object, partition: TopicPartition) -> bool:
    """On a compacted topic an old card written last would stay after compaction: nobody may do that to us, and the
    relay never does, so only thin topics are doubled."""
    return partition.topic in ("registration.patient.v1", "referral.facility.v1", "grievance.contact.v1")


def _was_planted(key: bytes | None) -> bool:
    """Nonsense of an earlier round, which an operator has looked at: twice is not what is tried here."""
    return key is not None and key.startswith(POISON_KEY.encode())


def replay(service: str, stack: TestStack, chance: random.Random) -> None:
    """The service is stopped, its groups forget everything, and it reads every topic from the beginning."""
    stack.processes.stop(service)
    asyncio.run(rewind(stack.kafka_bootstrap, f"hillhealth.{service}."))
    start_service(stack, service)


POISON_TOPICS = ("referral.referral.v1", "grievance.grievance.v1", "registration.visit.v1", "registration.patient.v1")
POISON_KEY = "poison-"
POISONS: tuple[tuple[bytes | None, list[tuple[str, bytes | None]]], ...] = (
    (b"{not json", [("ce_type", b"referral.ReferralAccepted.v1"), ("ce_sequence", b"1")]),
    (b"{}", [("ce_type", b"referral.ReferralAccepted.v1"), ("ce_sequence", b"1")]),
    (b"\xff\xfe", [("traceparent", None), ("ce_type", b"\xff")]),
    (None, [("ce_type", b"registration.PatientRegistered.v1"), ("ce_sequence", b"x")]),
)


def poison(stack: TestStack, chance: random.Random) -> None:
    """Nonsense under keys of its own; nobody else's event may wait for it."""
    asyncio.run(_poison(stack.kafka_bootstrap))


async def _poison(bootstrap: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for topic in POISON_TOPICS:
            for value, headers in POISONS:
                name = f"{POISON_KEY}{secrets.token_hex(8)}".encode()
                await producer.send_and_wait(topic, value, name, headers=[("ce_id", name), *headers])
    finally:
        await producer.stop()


def discard_poison(stack: TestStack, chance: random.Random) -> None:
    """An operator looks at what was put aside and discards it: exactly what was planted, nothing else."""
    token = stack.issuer.token(role="operator")
    for service in SERVICES:
        with httpx.Client(base_url=stack.url(service), headers={"Authorization": f"Bearer {token}"}) as client:
            deadline = time.monotonic() + 30
            letters = client.get("/dead-letters").json()
            while _planted(service) > len(letters) and time.monotonic() < deadline:
                time.sleep(0.2)
                letters = client.get("/dead-letters").json()
            for letter in letters:
                headers = {"Idempotency-Key": secrets.token_hex(16)}
                client.post(
                    f"/dead-letters/{letter['_id']}/discard", json={"note": "planted by the harness"}, headers=headers
                ).raise_for_status()


def _planted(service: str) -> int:
    """At least the record that is not JSON must have been put aside by who reads that topic with a reaction."""
    return {"notifications": 4, "referral": 1}.get(service, 0)


def _unready(url: str) -> str | None:
    try:
        answer = httpx.get(url, timeout=3)
    except httpx.HTTPError as error:
        return type(error).__name__
    return None if answer.status_code == 200 else answer.text[:200]


HITS: tuple[Hit, ...] = (
    *(Hit(f"SIGKILL {service}", partial(kill_service, service)) for service in SERVICES),
    Hit("SIGKILL broker", kill_broker),
    Hit("SIGKILL store", kill_store),
    *(Hit(f"SIGSTOP {service}", partial(freeze, service)) for service in ("registration", "notifications")),
    Hit("SIGSTOP broker", partial(freeze, "kafka")),
    *(
        Hit(
            f"two {service}, one killed",
            partial(kill_first_of_two, service),
            partial(second, service),
            partial(stop_second, service),
        )
        for service in ("registration", "referral", "notifications")
    ),
    *(
        Hit(
            f"two {service}, one frozen",
            partial(freeze_first_of_two, service),
            partial(second, service),
            partial(stop_second, service),
        )
        for service in ("referral", "grievance", "notifications")
    ),
    Hit("topics duplicated", duplicate),
    *(Hit(f"topics replayed to {service}", partial(replay, service)) for service in ("notifications", "referral")),
    Hit("poison events", poison, heal=discard_poison),
)
