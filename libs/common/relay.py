"""Journal to Kafka: leased, ordered per aggregate, batched, woken in process, swept every second.

What is pending is found by a sparse index on `pending_since`, never by an id or a time. A mark is set only after
Kafka's acknowledgement (acks=all, idempotent).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from libs.common import background
from libs.common.aggregate import AggregateType
from libs.common.clock import machine_now
from libs.common.kafka import security
from libs.common.lease import Lease
from libs.common.logs import logger
from libs.common.metrics import Metrics
from libs.common.mongo import ASCENDING, STORE_AWAY, Database, Document, UpdateMany
from libs.common.records import Record, encode
from libs.common.settings import ServiceSettings
from libs.contracts.event import Topic

log = logger("relay")

BATCH = 500
"""Aggregates in one round of one collection at most."""

PENDING: Document = {"pending_since": {"$gt": dt.datetime.fromtimestamp(0, dt.UTC)}}
"""Whatever is pending: a comparison that the sparse index answers. An `$exists` or a hint makes some servers read
everything, every second."""

LONGEST_LAST_ROUND_SECONDS = 5.0
LONGEST_REST_SECONDS = 0.02

Told = Callable[[str], None]


@dataclass(frozen=True)
class _Outgoing:
    """What one aggregate has to say, in order, and how far that brings it."""

    id: str
    records: tuple[Record, ...]
    first: int
    last: int
    written: tuple[float, ...]


class Relay:
    """One per process; works while it holds the service's lease."""

    def __init__(
        self,
        settings: ServiceSettings,
        database: Database,
        kinds: Sequence[AggregateType[Any]],
        metrics: Metrics,
        told: Told = lambda type_: None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._kinds = [kind for kind in kinds if kind.topic is not None]
        self._metrics = metrics
        self._told = told
        self._lease = Lease(database, "relay", settings.lease_seconds)
        self._wake = asyncio.Event()
        self._wanted: set[str] = set()
        self._sweep_at = 0.0
        self._producer: AIOKafkaProducer | None = None
        self._partitions: dict[str, list[int]] = {}
        self._partitioner = DefaultPartitioner()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._building = asyncio.Lock()
        self.moving = False

    def wake(self, collection: str) -> None:
        """Something was appended there. What nobody tells of, another process's, say, is found by the sweep."""
        self._wanted.add(collection)
        self._wake.set()

    def start(self) -> None:
        self._stopping = False
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Lets a round under way end, within bounds, so that nothing acknowledged is left to be sent again."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=LONGEST_LAST_ROUND_SECONDS)
        await background.end(self._task)
        await self._close_producer()
        await self._lease.release()

    async def _run(self) -> None:
        while not self._stopping:
            busy = False
            try:
                if not await self.lead():
                    self._metrics.relay_leader.set(0)
                    self.moving = True
                elif self._lease.held:
                    self._metrics.relay_leader.set(1)
                    busy = await self._look()
                    self.moving = True
            except (*STORE_AWAY, KafkaError, OSError) as error:
                self.moving = False
                self._sweep_at = 0.0
                self._metrics.relay_failures.inc()
                log.warning("relay round failed", extra={"error": type(error).__name__})
                await asyncio.sleep(0.2)
            except Exception:
                self.moving = False
                self._sweep_at = 0.0
                self._metrics.relay_failures.inc()
                log.error("relay round failed", exc_info=True)
                await asyncio.sleep(0.5)
            if not busy and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._settings.sweep_seconds)
            self._wake.clear()

    async def lead(self) -> bool:
        """Whether it is this relay's turn; False if another one holds the lease."""
        return await self._lease.keep()

    async def _look(self) -> bool:
        """A round of the collections that were written, or of all when it is time to sweep; True if there may be more.

        Where many write, a round is followed by a rest as long as itself: their requests go first, and what they
        append meanwhile goes out together.
        """
        wanted, self._wanted = self._wanted, set()
        began = time.monotonic()
        sweeps = began >= self._sweep_at
        carried = await self._round([kind for kind in self._kinds if sweeps or kind.collection in wanted])
        if sweeps:
            self._sweep_at = began + self._settings.sweep_seconds
        if carried >= BATCH:
            self._sweep_at = 0.0
        elif carried > 1:
            await asyncio.sleep(min(time.monotonic() - began, LONGEST_REST_SECONDS))
        return carried >= BATCH

    async def round(self) -> bool:
        """Publishes up to one batch of each collection; True if there may be more."""
        return await self._round(self._kinds) >= BATCH

    async def _round(self, kinds: Sequence[AggregateType[Any]]) -> int:
        """How many aggregates the fullest batch had."""
        return max(await asyncio.gather(*(self._round_of(kind) for kind in kinds)), default=0)

    async def _round_of(self, kind: AggregateType[Any]) -> int:
        found = (
            await self._database[kind.collection]
            .find(PENDING, {"journal": 1, "published": 1})
            .sort("pending_since", ASCENDING)
            .limit(BATCH)
            .to_list(BATCH)
        )
        if found:
            await self._publish(kind, found)
        return len(found)

    async def _publish(self, kind: AggregateType[Any], found: Sequence[Document]) -> None:
        assert kind.topic is not None
        outgoing = [self._outgoing(kind, document) for document in found]
        acknowledged, failure = await self._send(kind.topic, outgoing)
        if not self._lease.held and not await self._lease.resume():
            # Also what was not acknowledged may stand on the topic by now, behind what the other relay sent.
            await self._mark(kind, outgoing, again=True)
            log.warning("lease lost after a send; marked pending again", extra={"aggregates": len(outgoing)})
        elif acknowledged:
            await self._mark(kind, acknowledged, again=False)
        if failure is not None and not acknowledged:
            raise failure

    def _outgoing(self, kind: AggregateType[Any], document: Document) -> _Outgoing:
        published: int = document["published"]
        entries: list[Document] = [entry for entry in document["journal"] if entry.get("sequence", 0) > published]
        key = str(document["_id"])
        return _Outgoing(
            id=key,
            records=tuple(
                encode(entry | {"data": kind.data(entry)}, key, self._settings.ce_epoch) for entry in entries
            ),
            first=entries[0]["sequence"] if entries else published + 1,
            last=entries[-1]["sequence"] if entries else published,
            written=tuple(entry["recorded_at"].timestamp() for entry in entries),
        )

    async def _send(self, topic: Topic, outgoing: Sequence[_Outgoing]) -> tuple[list[_Outgoing], BaseException | None]:
        """Those of which Kafka acknowledged everything, and the first failure.

        Each partition's records go out in one batch at a time: nothing later of an aggregate is handed over before
        what is earlier is acknowledged, whatever the producer does about a failure.
        """
        producer = await self._ready_producer()
        if topic.name not in self._partitions:
            self._partitions[topic.name] = sorted(await producer.partitions_for(topic.name))
        partitions = self._partitions[topic.name]
        by_partition: dict[int, list[_Outgoing]] = defaultdict(list)
        for aggregate in outgoing:
            by_partition[self._partitioner(aggregate.id.encode(), partitions, partitions)].append(aggregate)
        results = await asyncio.gather(
            *(self._send_partition(producer, topic, partition, of) for partition, of in by_partition.items()),
            return_exceptions=True,
        )
        acknowledged = [aggregate for result in results if isinstance(result, list) for aggregate in result]
        failure = next((result for result in results if isinstance(result, BaseException)), None)
        if failure is not None:
            # A sender that met OutOfOrderSequence or ProducerFenced never sends again: build a new one.
            await self._close_producer()
            self._metrics.relay_failures.inc()
            log.warning("send failed, producer is rebuilt", extra={"error": type(failure).__name__})
        return acknowledged, failure

    async def _send_partition(
        self, producer: AIOKafkaProducer, topic: Topic, partition: int, outgoing: Sequence[_Outgoing]
    ) -> list[_Outgoing]:
        batch = producer.create_batch()
        records = [record for aggregate in outgoing for record in aggregate.records]
        for record in records:
            arguments = {"key": record.key, "value": record.value, "timestamp": None, "headers": record.headers}
            if batch.append(**arguments) is None:
                await self._acknowledged(producer, batch, topic, partition)
                batch = producer.create_batch()
                if batch.append(**arguments) is None:
                    raise ValueError("an event larger than the producer's largest request")
        if batch.record_count():
            await self._acknowledged(producer, batch, topic, partition)
        now = machine_now().timestamp()
        self._metrics.relayed.labels(topic.name).inc(len(records))
        for aggregate in outgoing:
            for written in aggregate.written:
                self._metrics.relay_seconds.observe(max(0.0, now - written))
            for record in aggregate.records:
                self._told(next(value for name, value in record.headers if name == "ce_type").decode())
        return list(outgoing)

    async def _acknowledged(self, producer: AIOKafkaProducer, batch: object, topic: Topic, partition: int) -> None:
        await (await producer.send_batch(batch, topic.name, partition=partition))

    async def _mark(self, kind: AggregateType[Any], sent: Sequence[_Outgoing], *, again: bool) -> None:
        """Raises `published`, and clears the mark only where nothing newer was appended.

        `again`: the lease was lost meanwhile, so another relay may have overtaken these sends; they go out once more.
        """
        collection = self._database[kind.collection]
        if again:
            await collection.bulk_write(
                [
                    UpdateMany(
                        {"_id": {"$in": ids}}, {"$min": {"published": first - 1, "pending_since": machine_now()}}
                    )
                    for first, ids in _grouped((aggregate.first, aggregate.id) for aggregate in sent)
                ],
                ordered=False,
            )
            return
        reached = [(aggregate.last, aggregate.id) for aggregate in sent]
        written = await collection.bulk_write(marks(reached), ordered=False)
        if written.matched_count < len(sent):
            await collection.bulk_write(
                [UpdateMany({"_id": {"$in": ids}}, {"$max": {"published": last}}) for last, ids in _grouped(reached)],
                ordered=False,
            )
            self.wake(kind.collection)

    async def broker_answers(self) -> None:
        """Asks Kafka for its metadata. Raises KafkaError where nobody answers."""
        producer = await self._ready_producer()
        await producer.client.fetch_all_metadata()

    async def _ready_producer(self) -> AIOKafkaProducer:
        async with self._building:
            return await self._built_producer()

    async def _built_producer(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._settings.kafka_bootstrap,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                max_batch_size=1 << 20,
                request_timeout_ms=10_000,
                **security(self._settings),
            )
            try:
                await producer.start()
            except BaseException:
                with contextlib.suppress(Exception):
                    await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def _close_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(5):
                    await producer.stop()

    async def measure(self) -> None:
        """Pending aggregates and the age of the oldest, for the gauges."""
        pending, oldest = 0, 0.0
        for kind in self._kinds:
            collection = self._database[kind.collection]
            pending += await collection.count_documents(PENDING)
            first = (
                await collection.find(PENDING, {"pending_since": 1})
                .sort("pending_since", ASCENDING)
                .limit(1)
                .to_list(1)
            )
            if first:
                oldest = max(oldest, (machine_now() - first[0]["pending_since"]).total_seconds())
        self._metrics.pending.set(pending)
        self._metrics.oldest_pending.set(oldest)


def marks(sent: Iterable[tuple[int, str]]) -> list[UpdateMany]:
    """For aggregates (newest sequence sent, id): a statement per sequence, one commit of the store and not one each."""
    return [
        UpdateMany(
            {"_id": {"$in": ids}, "sequence": last}, {"$max": {"published": last}, "$unset": {"pending_since": ""}}
        )
        for last, ids in _grouped(sent)
    ]


def _grouped(pairs: Iterable[tuple[int, str]]) -> list[tuple[int, list[str]]]:
    groups: dict[int, list[str]] = defaultdict(list)
    for sequence, id in pairs:
        groups[sequence].append(id)
    return sorted(groups.items())
