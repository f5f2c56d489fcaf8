"""A rolling upgrade: old and new version of a service alive at once, callers served by both, then the old one gone.

What is new in the new version is what a contract may grow by: an optional field, an event, a code.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.local.testing import Served, TestStack
from libs.common.records import encode
from tests.conftest import Serve
from tests.integration.test_deploy_restore import HERE, PERSON

TOPIC = "registration.patient.v1"


async def register(stack: TestStack, served: Served, key: str) -> str:
    headers = {
        "Authorization": f"Bearer {stack.issuer.token(role='desk', facility=HERE)}",
        "Idempotency-Key": key,
    }
    answer = await served.client.post("/patients", json=PERSON, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def ids_on(stack: TestStack, topic: str) -> list[str]:
    """`ce_id` of every record."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka_bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(12)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[str] = []
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [dict(record.headers)["ce_id"].decode() for record in records]
        return found
    finally:
        await consumer.stop()


async def copies(referral: Served, wanted: int) -> set[str]:
    """Ids in referral's replica, once there are as many as wanted. Raises TimeoutError."""
    patients = referral.service.database["patients"]
    async with asyncio.timeout(30):
        while await patients.count_documents({}) < wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return {document["_id"] for document in await patients.find({}, {"_id": 1}).to_list(None)}


async def test_two_versions_serve_together_and_the_old_one_leaves(stack: TestStack, prefix: str, serve: Serve) -> None:
    """Every acknowledged registration is known downstream, once; the lease of the one that left is taken over."""
    run = secrets.token_hex(4)
    made: list[str] = []

    async def work(served: Served, name: str, count: int) -> None:
        for number in range(count):
            made.append(await register(stack, served, f"{run}-{name}-{number}"))

    async with serve("referral") as referral, serve("registration") as new:
        async with serve("registration") as old:
            await asyncio.gather(work(old, "old", 25), work(new, "new", 25))
            # One request, sent to both: whichever is asked, it is the same patient.
            both = await asyncio.gather(register(stack, old, f"{run}-twice"), register(stack, new, f"{run}-twice"))
            assert both[0] == both[1]
            made.append(both[0])
        await work(new, "after", 25)
        assert await copies(referral, len(made)) == set(made)
        patients = new.service.database["patients"]
        async with asyncio.timeout(20):
            while await patients.find_one({"pending_since": {"$exists": True}}) is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    sent = await ids_on(stack, TOPIC)
    assert len(sent) == len(made)
    assert len(set(sent)) == len(sent)


async def test_an_old_reader_passes_over_what_a_newer_writer_says(stack: TestStack, prefix: str, serve: Serve) -> None:
    """An unknown event and an unknown field: the first is counted, the second ignored, and reading goes on."""
    async with serve("referral") as referral, serve("registration") as registration:
        known = await register(stack, registration, secrets.token_hex(6))
        await copies(referral, 1)
        newest = (await registration.service.database["patients"].find_one({"_id": known}))["journal"][-1]
        producer = AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap, acks="all")
        await producer.start()
        try:
            for key, sequence, type_, field in (
                (known, 2, "registration.PatientPraised.v1", {}),
                (str(uuid.uuid4()), 1, newest["type"], {"favourite_dispensary": "Hunder"}),
            ):
                record = encode(newest | {"id": str(uuid.uuid4()), "sequence": sequence}, key, 1)
                said = json.loads(record.value or b"")
                said["card"] |= field
                headers = [(name, type_.encode() if name == "ce_type" else value) for name, value in record.headers]
                await producer.send_and_wait(TOPIC, json.dumps(said).encode(), key=record.key, headers=headers)
        finally:
            await producer.stop()
        await copies(referral, 2)
        text = (await referral.client.get("/metrics")).text
        skipped = [line for line in text.splitlines() if line.startswith("hillhealth_events_skipped_total")]
        assert any('reason="unknown-type"' in line and line.endswith(" 1.0") for line in skipped), skipped
        assert await referral.service.letters.waiting() == 0
