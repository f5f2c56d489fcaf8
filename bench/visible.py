"""From commit to a subscriber at 100 events a second, beside the floor: bare produce to consume."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import BaseModel

from bench.setting import ROUNDS, Setting, median, now, run
from libs.common.access import SYSTEM
from libs.common.aggregate import AggregateType
from libs.common.cause import Cause
from libs.common.clock import machine_now
from libs.common.records import Received
from libs.common.service import Service
from libs.contracts import referral

PER_SECOND = 100
SECONDS = 8


class State(BaseModel):
    count: int = 0


KIND = AggregateType(
    name="referral",
    collection="referrals",
    state=State,
    events=(referral.ReferralRequested,),
    evolve=lambda state, event: State(count=(state.count if state else 0) + 1),
    topic=referral.REFERRAL,
)
EVENT = referral.ReferralRequested(
    patient="p", origin="LA-LEH-CHC-KHALTSI", destination="LA-LEH-DH-SNM", service="surgery", urgency="routine"
)


def measure(here: Setting) -> dict[str, Any]:
    return run(_measure(here))


async def _measure(here: Setting) -> dict[str, Any]:
    rounds = [(await _ours(here), await _floor(here)) for _ in range(ROUNDS)]
    return {
        "visible_p50_ms": median([ours[0] for ours, _ in rounds]),
        "visible_p99_ms": median([ours[1] for ours, _ in rounds]),
        "floor_p50_ms": median([floor[0] for _, floor in rounds]),
        "floor_p99_ms": median([floor[1] for _, floor in rounds]),
    }


def _percentiles(ms: list[float]) -> tuple[float, float]:
    ms.sort()
    return ms[len(ms) // 2], ms[int(len(ms) * 0.99)]


async def _paced(one: Any) -> None:
    began = now()
    tasks = []
    for number in range(PER_SECOND * SECONDS):
        await asyncio.sleep(max(0.0, began + number / PER_SECOND - now()))
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)


async def _ours(here: Setting) -> tuple[float, float]:
    prefix = f"bench_visible_{secrets.token_hex(3)}_"
    settings = here.stack.settings("referral", DATABASE_PREFIX=prefix, CLOCK="system")
    service = Service("referral", settings, kinds=(KIND,), access={}, about="measured")
    committed: dict[str, float] = {}
    seen: dict[str, float] = {}

    async def react(received: Received) -> None:
        seen[received.key] = now()

    service.react(referral.REFERRAL, react)
    async with service.app.router.lifespan_context(service.app):
        while any(state != "ok" for state in (await service.health()).values()):
            await asyncio.sleep(0.05)

        async def one(number: int) -> None:
            cause = Cause(str(uuid.uuid4()), "doctor@LA-LEH-CHC-KHALTSI", machine_now())
            id = cause.new_id("referral")
            await service.journal.create(KIND, id, lambda state: [EVENT], cause, SYSTEM)
            committed[id] = now()

        await _paced(one)
        while not committed.keys() <= seen.keys():
            await asyncio.sleep(0.01)
        await service.database.client.drop_database(f"{prefix}referral")
    return _percentiles([(seen[id] - at) * 1000 for id, at in committed.items()])


async def _floor(here: Setting) -> tuple[float, float]:
    bootstrap = here.stack.kafka_bootstrap
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=0)
    consumer = AIOKafkaConsumer(
        referral.REFERRAL.name, bootstrap_servers=bootstrap, group_id=f"bench-{secrets.token_hex(4)}"
    )
    await producer.start()
    await consumer.start()
    while not consumer.assignment():
        await asyncio.sleep(0.05)
    await consumer.seek_to_end()
    sent: dict[bytes, float] = {}
    seen: dict[bytes, float] = {}

    async def listen() -> None:
        async for record in consumer:
            seen[bytes(record.key)] = now()

    async def one(number: int) -> None:
        key = str(uuid.uuid4()).encode()
        # Of a type that nobody knows: the service of the next round reads these too, and passes over them.
        headers = [("ce_id", key), ("ce_type", b"bench.Floor.v1"), ("ce_sequence", b"1")]
        sent[key] = now()
        await producer.send_and_wait(referral.REFERRAL.name, EVENT.model_dump_json().encode(), key, headers=headers)

    listening = asyncio.create_task(listen())
    try:
        await _paced(one)
        while not sent.keys() <= seen.keys():
            await asyncio.sleep(0.01)
    finally:
        listening.cancel()
        await consumer.stop()
        await producer.stop()
    return _percentiles([(seen[key] - at) * 1000 for key, at in sent.items()])
