"""What the registration tests share: a directory of two facilities on its topic, calls at each door, topics read.

One service serves the tests of a module: each uses people, counters and identifiers of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import datetime as dt
import json
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from deploy.local.inbox import received
from deploy.local.testing import Served, TestStack, serving
from libs.common.records import encode
from libs.contracts.referral import FacilityCard, FacilityListed

HERE, ELSEWHERE = "LA-LEH-CHC-DISKIT", "HP-KNR-CHC-POOH"
HIP, OTHER_HIP = "IN9900000101", "IN9900000102"
PATIENT_TOPIC, VISIT_TOPIC = "registration.patient.v1", "registration.visit.v1"
SHARE = "/api/v3/hip/patient/share"
RUN = secrets.token_hex(4)
"""Ids follow from keys: a run on topics that an earlier one wrote to must have keys of its own."""

PERSON = {
    "name": "Tsering Dolma", "sex": "female", "age_years": 40, "phone": "+915550123456", "village": "Hunder",
    "district_lgd": 9, "state_lgd": 37, "language": "bo",
}  # fmt: skip


async def list_facilities(stack: TestStack) -> None:
    """What the referral service would have published."""
    producer = AIOKafkaProducer(bootstrap_servers=stack.kafka_bootstrap, acks="all")
    await producer.start()
    try:
        for code, hip, state, district in ((HERE, HIP, 37, 9), (ELSEWHERE, OTHER_HIP, 2, 19)):
            card = FacilityCard(
                code=code, hip_id=hip, name=code, level="CHC", state_lgd=state, district_lgd=district,
                latitude=34.5, longitude=77.5, altitude_m=3000, beds=30,
            )  # fmt: skip
            now = dt.datetime.now(dt.UTC)
            event = FacilityListed(card=card)
            entry = {
                "id": str(uuid.uuid4()),
                "type": event.TYPE,
                "data": event.model_dump(mode="json"),
                "occurred_at": now,
                "recorded_at": now,
                "cause": "listed",
                "actor": "referral",
                "sequence": 1,
            }
            record = encode(entry, code, 1)
            await producer.send_and_wait(record.topic, record.value, key=record.key, headers=record.headers)
    finally:
        await producer.stop()


@dataclass
class Desk:
    """Somebody who calls one running service with development tokens, or as the ABDM gateway."""

    stack: TestStack
    served: Served

    @property
    def database(self) -> Any:
        return self.served.service.database

    async def post(
        self,
        path: str,
        body: Any,
        *,
        role: str = "desk",
        facility: str = HERE,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        token = self.stack.issuer.token(role=role, facility=facility)
        said = {"Authorization": f"Bearer {token}", "Idempotency-Key": key or secrets.token_hex(8)} | (headers or {})
        return await self.served.client.post(path, json=body, headers=said)

    async def get(
        self, path: str, *, role: str = "desk", facility: str = HERE, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        token = self.stack.issuer.token(role=role, facility=facility)
        return await self.served.client.get(path, headers={"Authorization": f"Bearer {token}"} | (headers or {}))

    async def register(self, key: str | None = None, at: str = HERE, **said: Any) -> dict[str, Any]:
        answer = await self.post("/patients", PERSON | said, facility=at, key=key)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def token(self, patient: str, counter: str = "OPD1", **how: Any) -> dict[str, Any]:
        answer = await self.post("/visits", {"patient": patient, "counter": counter}, **how)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def share(
        self,
        *,
        request_id: str | None = None,
        at: dt.datetime | None = None,
        hip: str = HIP,
        counter: str = "OPD1",
        headers: dict[str, str] | None = None,
        **patient: Any,
    ) -> httpx.Response:
        at = at or dt.datetime.now(dt.UTC)
        said = {
            "Authorization": f"Bearer {self.stack.abdm.token()}",
            "REQUEST-ID": request_id or str(uuid.uuid4()),
            "TIMESTAMP": at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "X-HIP-ID": hip,
        } | (headers or {})
        said = {name: value for name, value in said.items() if value}
        return await self.served.client.post(SHARE, json=shared(hip, counter, **patient), headers=said)

    async def documents(self) -> dict[str, int]:
        """How many documents of each kind there are."""
        kinds = ("patients", "queues", "visits", "shares")
        return {kind: await self.database[kind].count_documents({}) for kind in kinds}

    def acknowledgements(self, request_id: str) -> list[dict[str, Any]]:
        """What the stand-in for the gateway took for this request."""
        return [
            line
            for line in received(self.stack.inbox / "on_share.jsonl")
            if line["body"]["response"]["requestId"] == request_id
        ]

    async def fault(self, **planted: Any) -> None:
        async with httpx.AsyncClient() as client:
            await client.delete(f"{self.stack.gateways}/faults")
            if planted:
                (await client.post(f"{self.stack.gateways}/faults", json=planted)).raise_for_status()


def shared(hip: str = HIP, counter: str = "OPD1", **patient: Any) -> dict[str, Any]:
    """A body as the gateway sends it."""
    body: dict[str, Any] = {
        "intent": "PROFILE_SHARE",
        "metaData": {"hipId": hip, "context": counter, "hprId": None, "latitude": "34.16", "longitude": None},
        "profile": {
            "patient": {
                "abhaNumber": None, "abhaAddress": "dolma@sbx", "name": "Tsering Dolma", "gender": "F",
                "dayOfBirth": None, "monthOfBirth": None, "yearOfBirth": "1986",
                "address": {"line": "Hunder", "district": None, "state": "LADAKH", "pincode": None},
                "phoneNumber": "5550123456",
            }
        },
    }  # fmt: skip
    body = copy.deepcopy(body)
    body["profile"]["patient"] |= patient
    return body


@contextlib.asynccontextmanager
async def serving_desk(stack: TestStack, **settings: str) -> AsyncIterator[Desk]:
    """Registration over a directory of two facilities, and nothing of what others published."""
    async with stack.untouched() as prefix:
        told = {"DATABASE_PREFIX": prefix, "CLOCK": "system", "SWEEP_SECONDS": "0.1"} | settings
        await list_facilities(stack)
        async with serving(stack.settings("registration", **told), "registration") as served:
            yield Desk(stack, served)


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 15.0) -> Any:
    """The first true answer. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (answer := await condition()):  # noqa: ASYNC110  the condition is in the store, not in this loop
            await asyncio.sleep(0.02)
    return answer


async def published_of(stack: TestStack, topic: str, key: str, count: int) -> list[dict[str, Any]]:
    """The records of this key, once there are so many."""

    async def enough() -> list[dict[str, Any]] | None:
        found = [record for record in await published(stack, topic) if record["key"] == key]
        return found if len(found) >= count else None

    found: list[dict[str, Any]] = await until(enough)
    return found


async def published(stack: TestStack, topic: str) -> list[dict[str, Any]]:
    """Every record of the topic so far: key, type, sequence, data (None: a tombstone)."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=stack.kafka_bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    found: list[dict[str, Any]] = []
    try:
        partitions = sorted(consumer.assignment())
        assert partitions, f"no topic {topic}"
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    headers = {name: value.decode() for name, value in record.headers}
                    data = json.loads(record.value) if record.value is not None else None
                    found.append(
                        {
                            "key": record.key.decode(),
                            "type": headers["ce_type"],
                            "sequence": int(headers["ce_sequence"]),
                            "data": data,
                            "actor": headers["ce_actor"],
                        }
                    )
    finally:
        await consumer.stop()
    return found
