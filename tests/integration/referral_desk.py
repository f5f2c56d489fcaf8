"""What the referral tests share: calls under a role at a facility, cards put on their topic, topics read back."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.local.testing import Served, TestStack, serving
from libs.common.records import encode
from libs.contracts.event import Event, Topic
from libs.contracts.registration import PatientCard

HERE, THERE, ELSEWHERE = "HP-KNR-CHC-POOH", "HP-KNR-RH-PEO", "LA-LEH-DH-SNM"
REASON = "acute abdomen, guarding"

LOOP: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("accept", "doctor", THERE, {}),
    ("depart", "transport", HERE, {"mode": "army-convoy"}),
    ("hold", "transport", HERE, {"reason": "pass-closed"}),
    ("arrive", "desk", THERE, {}),
    ("outcome", "doctor", THERE, {"outcome": "treated-and-discharged", "summary": "appendix taken out"}),
    ("back-refer", "doctor", THERE, {"advice": "stitches out in ten days"}),
    ("acknowledge", "doctor", HERE, {}),
)
"""Everything after the request, in order: command, role, facility, body."""


def person(name: str = "somebody") -> str:
    """The id of a patient for a test: the same for the same name, and given back for an id."""
    with contextlib.suppress(ValueError):
        return str(uuid.UUID(name))
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


@dataclass
class Desk:
    """Somebody who calls one running service with development tokens."""

    stack: TestStack
    served: Served

    def headers(self, role: str, facility: str, key: str | None = None) -> dict[str, str]:
        token = self.stack.issuer.token(role=role, facility=facility)
        return {"Authorization": f"Bearer {token}", "Idempotency-Key": key or secrets.token_hex(8)}

    async def post(self, role: str, facility: str, path: str, body: Any, key: str | None = None) -> httpx.Response:
        return await self.served.client.post(path, json=body, headers=self.headers(role, facility, key))

    async def get(self, role: str, facility: str, path: str, **query: Any) -> httpx.Response:
        return await self.served.client.get(path, params=query, headers=self.headers(role, facility))

    async def request(
        self, patient: str = "somebody", key: str | None = None, origin: str = HERE, to: str = THERE, **more: Any
    ) -> dict[str, Any]:
        body = {
            "patient": person(patient),
            "to": to,
            "service": "surgery",
            "urgency": "urgent",
            "reason": REASON,
        } | more
        answer = await self.post("doctor", origin, "/referrals", body, key)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def step(self, id: str, command: str, role: str, facility: str, body: Any) -> dict[str, Any]:
        answer = await self.post(role, facility, f"/referrals/{id}/{command}", body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def document(self, id: str) -> dict[str, Any]:
        """As it stands in the store."""
        found: dict[str, Any] = await self.served.service.database["referrals"].find_one({"_id": id})
        return found

    async def told(self, topic: Topic, key: str | None = None) -> list[Any]:
        """The records of a topic once everything is published."""
        await until(lambda: all_published(self.served))
        return await read(self.stack.kafka_bootstrap, topic, key)


@contextlib.asynccontextmanager
async def open_desk(stack: TestStack) -> AsyncIterator[Desk]:
    """A service over databases of its own and empty topics, for a whole file."""
    async with (
        stack.untouched() as prefix,
        serving(stack.settings("referral", DATABASE_PREFIX=prefix), "referral") as served,
    ):
        yield Desk(stack, served)


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 10.0) -> Any:
    """The first true answer. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (answer := await condition()):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.02)
    return answer


async def all_published(served: Served) -> bool:
    """Whether no aggregate has anything left to publish."""
    service = served.service
    left = [
        await service.database[kind.collection].count_documents({"pending_since": {"$exists": True}})
        for kind in service.kinds
    ]
    return not any(left)


async def read(bootstrap: str, topic: Topic, key: str | None = None) -> list[Any]:
    """Every record of the topic as it stands, or those of one key, in the order of each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition, start in (await consumer.beginning_offsets(partitions)).items():
            consumer.seek(partition, start)
        found: list[Any] = []
        for partition, end in ends.items():
            while await consumer.position(partition) < end:
                found += (await consumer.getmany(partition, timeout_ms=1000)).get(partition, [])
        return [record for record in found if key is None or record.key.decode() == key]
    finally:
        await consumer.stop()


def header(record: Any, name: str) -> str:
    return dict(record.headers)[name].decode()


def data(record: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record.value)
    return found


async def publish(bootstrap: str, event: Event, key: str, sequence: int) -> None:
    """Puts an event on its topic as its owner would."""
    now = dt.datetime.now(dt.UTC)
    entry = {
        "id": f"00000000-0000-4000-8000-{secrets.token_hex(6)}",
        "type": event.TYPE,
        "data": event.model_dump(mode="json"),
        "sequence": sequence,
        "occurred_at": now,
        "recorded_at": now,
        "cause": secrets.token_hex(8),
        "actor": f"desk@{HERE}",
    }
    record = encode(entry, key, 1)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(record.topic, key=record.key, value=record.value, headers=record.headers)
    finally:
        await producer.stop()


def card(id: str, **more: Any) -> PatientCard:
    known = {"name": "Tsering Dolma", "sex": "female", "phone": "+915550123456", "registered_at": HERE}
    return PatientCard(id=id, **{**known, **more})
