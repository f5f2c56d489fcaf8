"""Events into a replica, against bare aiokafka with the same bulk write; and events into stored, journaled messages."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from bench.setting import ROUNDS, Setting, median, now, run
from libs.common.clock import Clock, machine_now
from libs.common.dead_letters import DeadLetters
from libs.common.ids import derive
from libs.common.listen import BATCH, Listener
from libs.common.metrics import Metrics
from libs.common.mongo import Database, UpdateOne, connect, open_database
from libs.common.records import encode
from libs.common.replica import SEQUENCES, Replica, ReplicaSubscription
from libs.contracts import referral, registration
from libs.contracts.event import Event, Topic

CARDS = 20_000
KEYS = 2_000
REACTIONS = 10_000


def entry(event: Event, key: str, sequence: int) -> dict[str, Any]:
    return {
        "id": derive("bench", key, sequence),
        "type": event.TYPE,
        "data": event.model_dump(mode="json"),
        "occurred_at": machine_now(),
        "recorded_at": machine_now(),
        "cause": derive("bench-cause", key, sequence),
        "actor": "desk@LA-LEH-CHC-KHALTSI",
        "sequence": sequence,
    }


async def produce(bootstrap: str, events: list[tuple[str, int, Event]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=5)
    await producer.start()
    try:
        sent = []
        for key, sequence, event in events:
            record = encode(entry(event, key, sequence), key, 1)
            sent.append(await producer.send(record.topic, record.value, record.key, headers=record.headers))
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def cards() -> list[tuple[str, int, Event]]:
    """Each key's card several times over, interleaved as a day would."""
    made: list[tuple[str, int, Event]] = []
    for number in range(CARDS):
        key, sequence = derive("bench-patient", number % KEYS), number // KEYS + 1
        card = registration.PatientCard(
            id=key, name="Tsering Dolma", sex="female", birth_year=1980, village="Hunder", registered_at="LA-LEH-DH-SNM"
        )
        made.append((key, sequence, registration.PatientRegistered(card=card)))
    return made


async def timed(run: Callable[[], Awaitable[None]]) -> float:
    began = now()
    await run()
    return now() - began


class Counted(ReplicaSubscription):
    """Knows when the first and the last record's effects were durable."""

    seen = 0
    began = 0.0
    ended = 0.0

    async def handle(self, records: Any) -> None:
        self.began = self.began or now()
        await super().handle(records)
        self.seen += len(records)
        self.ended = now()


async def ours(settings: Any, database: Database, topic: Topic, expected: int) -> float:
    """Events per second into a replica through the only way in."""
    letters, metrics = DeadLetters(database, b"bench"), Metrics()
    replica = Replica(database, f"ours_{secrets.token_hex(3)}")
    service = f"bench-{secrets.token_hex(4)}"
    subscription = Counted(service, topic, database, letters, metrics, Clock(), replica=replica)
    listener = Listener(settings)
    listener.add(subscription)
    listener.start()
    try:
        while subscription.seen < expected:
            await asyncio.sleep(0.01)
    finally:
        await listener.stop()
    return expected / (subscription.ended - subscription.began)


async def bare(settings: Any, database: Database, topic: Topic, expected: int) -> float:
    """The same with nothing in between: getmany, JSON, one bulk write, one commit."""
    collection = database[f"bare_{secrets.token_hex(3)}"]
    consumer = AIOKafkaConsumer(
        topic.name,
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=f"bench-{secrets.token_hex(4)}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    seen, began = 0, 0.0
    try:
        while seen < expected:
            batches = await consumer.getmany(timeout_ms=1000, max_records=BATCH)
            began = began or now()
            newest: dict[str, UpdateOne] = {}
            for records in batches.values():
                for record in records:
                    seen += 1
                    headers = dict(record.headers)
                    sequence, key = int(headers["ce_sequence"]), record.key.decode()
                    order = SEQUENCES + sequence
                    fields = {
                        "epoch": 1, "sequence": sequence, "order": order, "card": json.loads(record.value)["card"]
                    }  # fmt: skip
                    older = {"_id": key, "grave": {"$ne": True}, "order": {"$not": {"$gte": order}}}
                    newest[key] = UpdateOne(older, {"$set": fields}, upsert=True)
            if newest:
                await collection.bulk_write(list(newest.values()), ordered=False)
                await consumer.commit()
    finally:
        await consumer.stop()
    return expected / (now() - began)


def measure(here: Setting) -> dict[str, Any]:
    return run(_measure(here))


async def _measure(here: Setting) -> dict[str, Any]:
    settings = here.stack.settings("registration", CLOCK="system")
    client = connect(settings.mongodb_uri)
    database = open_database(client, "bench_replica")
    await produce(settings.kafka_bootstrap, cards())
    theirs, rates = [], []
    try:
        for number in range(ROUNDS + 1):
            one = await ours(settings, database, registration.PATIENT, CARDS)
            other = await bare(settings, database, registration.PATIENT, CARDS)
            if number:
                rates.append(one)
                theirs.append(other)
    finally:
        await client.drop_database("bench_replica")
        await client.close()
    return {
        "replica_per_s": median(rates),
        "replica_vs_raw": median([one / other for one, other in zip(rates, theirs, strict=True)]),
    }


def reactions(here: Setting) -> dict[str, Any]:
    return run(_reactions(here))


async def _reactions(here: Setting) -> dict[str, Any]:
    """ReferralAccepted for people whose card is known and who have no phone: one journaled message each."""
    from deploy.local.testing import serving

    rates = []
    people = [derive("bench-person", number) for number in range(KEYS)]
    for number in range(ROUNDS):
        prefix = f"bench_reactions_{number}_"
        settings = here.stack.settings("notifications", DATABASE_PREFIX=prefix, CLOCK="system", RELAY="false")
        client = connect(settings.mongodb_uri)
        database = open_database(client, f"{prefix}notifications")
        card = {"name": "Tsering Dolma", "language": "bo", "status": "active", "registered_at": "LA-LEH-DH-SNM"}
        await database["patients"].insert_many(
            [{"_id": id, "epoch": 1, "sequence": 1, "card": {"id": id, **card}} for id in people]
        )
        facility = {"name": "SNM Hospital Leh", "code": "LA-LEH-DH-SNM"}
        await database["facilities"].insert_one({"_id": "LA-LEH-DH-SNM", "epoch": 1, "sequence": 1, "card": facility})
        await database["facilities"].insert_one(
            {"_id": "LA-LEH-CHC-KHALTSI", "epoch": 1, "sequence": 1, "card": facility}
        )
        try:
            async with serving(settings, "notifications", 60) as served:
                from libs.common.listen import Reaction

                (reaction,) = [
                    one
                    for one in served.service.listener.subscriptions
                    if one.topic == referral.REFERRAL and isinstance(one, Reaction)
                ]
                clocked = _Clocked(reaction)
                await produce(
                    settings.kafka_bootstrap,
                    [
                        (
                            derive("bench-referral", number, of),
                            1,
                            referral.ReferralAccepted(
                                patient=people[of % KEYS],
                                origin="LA-LEH-CHC-KHALTSI",
                                destination="LA-LEH-DH-SNM",
                                service="surgery",
                                urgency="routine",
                            ),
                        )
                        for of in range(REACTIONS)
                    ],
                )
                while clocked.seen < REACTIONS:
                    await asyncio.sleep(0.02)
                stored = await database["messages"].count_documents({})
                assert stored >= REACTIONS, stored
                rates.append(REACTIONS / (clocked.ended - clocked.began))
        finally:
            await client.drop_database(f"{prefix}notifications")
            await client.close()
    return {"reactions_per_s": median(rates)}


class _Clocked:
    """Times a subscription's batches from outside."""

    def __init__(self, subscription: Any) -> None:
        self.seen, self.began, self.ended = 0, 0.0, 0.0
        handle = subscription.handle

        async def timed_handle(records: Any) -> None:
            self.began = self.began or now()
            await handle(records)
            self.seen += len(records)
            self.ended = now()

        subscription.handle = timed_handle
