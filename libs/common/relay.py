"""Journal to Kafka: leased, ordered per aggregate, batched, handed over in process, swept every second.

What is pending is found by a sparse index on `pending_since`, never by an id or a time; what this process appended
itself is sent without being read (handover.py). A mark is set only after Kafka's acknowledgement (acks=all,
idempotent), and with others: decision 0014.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import math
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from libs.common import background
from libs.common.aggregate import AggregateType
from libs.common.clock import machine_now
from libs.common.gathering import gathered
from libs.common.handover import Appended, Handover
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

MARK_AFTER_SECONDS = 0.25
"""What was acknowledged is marked so much later, or when its round ends: what is killed before sends that once more."""

LONGEST_LAST_ROUND_SECONDS = 5.0
LONGEST_REST_SECONDS = 0.02

Told = Callable[[str], None]

K = TypeVar("K")


@dataclass(frozen=True)
class _Outgoing:
    """What one aggregate has to say, in order, and how far that brings it."""

    id: str
    records: tuple[Record, ...]
    first: int
    last: int
    written: tuple[float, ...]
    rewound: str | None = None


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
        self._tenure = 0
        self._handover = Handover()
        self._unmarked: dict[str, dict[str, _Outgoing]] = defaultdict(dict)
        self._mark_at = math.inf
        self._wake = asyncio.Event()
        self._sweep_at = 0.0
        self._producer: AIOKafkaProducer | None = None
        self._partitions: dict[str, list[int]] = {}
        self._partitioner = DefaultPartitioner()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._building = asyncio.Lock()
        self.moving = False

    @property
    def generation(self) -> int:
        return self._handover.generation

    def tell(self, collection: str, id: str, appended: Appended | None) -> None:
        """Something was appended there. What nobody tells of, another process's, say, is found by the sweep."""
        if appended is None or not self._lease.held:
            self._handover.read(collection)
        else:
            self._handover.add(collection, id, appended)
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
        try:
            async with asyncio.timeout(LONGEST_LAST_ROUND_SECONDS):
                await self._mark_all()
        except Exception as error:
            log.warning("what was sent last is not marked", extra={"error": type(error).__name__})
        await self._close_producer()
        await self._lease.release()

    async def _run(self) -> None:
        while not self._stopping:
            busy = False
            await self._mark_what_is_due()
            try:
                if not await self.lead():
                    self._metrics.relay_leader.set(0)
                    self.moving = True
                elif self._lease.held:
                    self._metrics.relay_leader.set(1)
                    busy = await self._look()
                    self.moving = True
            except (*STORE_AWAY, KafkaError, OSError) as error:
                self._failed()
                log.warning("relay round failed", extra={"error": type(error).__name__})
                await asyncio.sleep(0.2)
            except Exception:
                self._failed()
                log.error("relay round failed", exc_info=True)
                await asyncio.sleep(0.5)
            if not busy and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    rest = min(self._settings.sweep_seconds, max(0.0, self._mark_at - time.monotonic()))
                    await asyncio.wait_for(self._wake.wait(), rest)
            self._wake.clear()

    def _failed(self) -> None:
        self.moving = False
        self._read_all()
        self._metrics.relay_failures.inc()

    def _read_all(self) -> None:
        self._handover.clear()
        self._sweep_at = 0.0

    async def lead(self) -> bool:
        """Whether it is this relay's turn; False if another one holds the lease."""
        return await self._lease.keep()

    async def _look(self) -> bool:
        """A round of what was appended, or of all that is pending when it is time to sweep; True if there may be more.

        Where many write, a round is followed by a rest as long as itself: their requests go first, and what they
        append meanwhile goes out together.
        """
        if self._lease.tenure != self._tenure:
            self._tenure = self._lease.tenure
            self._read_all()
        began = time.monotonic()
        sweeps = began >= self._sweep_at
        if sweeps:
            self._sweep_at = began + self._settings.sweep_seconds
        carried = await self._round(sweeps)
        if carried >= BATCH:
            self._sweep_at = 0.0
        elif carried > 1:
            await asyncio.sleep(min(time.monotonic() - began, LONGEST_REST_SECONDS))
        return carried >= BATCH

    async def round(self) -> bool:
        """Publishes and marks up to one batch of what is pending in each collection; True if there may be more."""
        carried = await self._round(True)
        await self._mark_all()
        return carried >= BATCH

    async def _round(self, sweeps: bool) -> int:
        """How many aggregates the fullest batch had."""
        rounds = [self._round_of(kind, sweeps) for kind in self._kinds]
        # Each to its end: two rounds of one collection must not meet.
        return max(await gathered(*rounds), default=0)

    async def _round_of(self, kind: AggregateType[Any], sweeps: bool) -> int:
        handed = self._handover.take(kind.collection)
        if handed is None or sweeps:
            # What bears its mark after this is not sent yet.
            await self._mark(kind)
            outgoing = await self._pending(kind)
        else:
            outgoing = [self._outgoing(kind, id, entries) for id, entries in handed.items()]
        if outgoing:
            await self._publish(kind, outgoing)
        return len(outgoing)

    async def _pending(self, kind: AggregateType[Any]) -> list[_Outgoing]:
        found = (
            await self._database[kind.collection]
            .find(PENDING, {"journal": 1, "published": 1, "rewound": 1})
            .sort("pending_since", ASCENDING)
            .limit(BATCH)
            .to_list(BATCH)
        )
        outgoing = []
        for document in found:
            published: int = document["published"]
            entries = [entry for entry in document["journal"] if entry.get("sequence", 0) > published]
            outgoing.append(self._outgoing(kind, str(document["_id"]), entries, published, document.get("rewound")))
            self._handover.goes(kind.collection, outgoing[-1].id, outgoing[-1].last)
        return outgoing

    async def _publish(self, kind: AggregateType[Any], outgoing: Sequence[_Outgoing]) -> None:
        assert kind.topic is not None
        acknowledged, failure = await self._send(kind.topic, outgoing)
        if not self._lease.held and not await self._lease.resume():
            # Also what was not acknowledged may stand on the topic by now, behind what the other relay sent.
            await self._rewind(kind, outgoing)
            log.warning("lease lost after a send; marked pending again", extra={"aggregates": len(outgoing)})
            return
        if acknowledged:
            self._unmarked[kind.collection] |= {aggregate.id: aggregate for aggregate in acknowledged}
            self._mark_at = min(self._mark_at, time.monotonic() + MARK_AFTER_SECONDS)
        if failure is not None:
            self._read_all()
            if not acknowledged:
                raise failure

    def _outgoing(
        self,
        kind: AggregateType[Any],
        id: str,
        entries: Sequence[Document],
        published: int = 0,
        rewound: str | None = None,
    ) -> _Outgoing:
        return _Outgoing(
            id=id,
            records=tuple(encode(entry | {"data": kind.data(entry)}, id, self._settings.ce_epoch) for entry in entries),
            first=entries[0]["sequence"] if entries else published + 1,
            last=entries[-1]["sequence"] if entries else published,
            written=tuple(entry["recorded_at"].timestamp() for entry in entries),
            rewound=rewound,
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

    async def _mark_what_is_due(self) -> None:
        """Whoever leads: what was acknowledged stands on the topic. A mark that fails holds up nothing else."""
        if time.monotonic() < self._mark_at:
            return
        try:
            await self._mark_all()
        except Exception as error:
            self._metrics.relay_failures.inc()
            log.warning("mark failed", extra={"error": type(error).__name__})

    async def _mark_all(self) -> None:
        self._mark_at = math.inf
        await gathered(*(self._mark(kind) for kind in self._kinds))

    async def _mark(self, kind: AggregateType[Any]) -> None:
        """Raises `published` of what was acknowledged, and clears the mark only where nothing newer was appended."""
        unmarked = self._unmarked.pop(kind.collection, {})
        if not unmarked:
            return
        collection = self._database[kind.collection]
        reached = [(sent.last, sent.rewound, sent.id) for sent in unmarked.values()]
        try:
            written = await collection.bulk_write(marks(reached, newest=True), ordered=False)
            if written.matched_count < len(reached):
                await collection.bulk_write(marks(reached, newest=False), ordered=False)
        except BaseException:
            self._unmarked[kind.collection] = unmarked | self._unmarked[kind.collection]
            self._mark_at = min(self._mark_at, time.monotonic() + MARK_AFTER_SECONDS)
            raise

    async def _rewind(self, kind: AggregateType[Any], sent: Sequence[_Outgoing]) -> None:
        """The lease was lost meanwhile, so another relay may have overtaken these: whoever reads this sends them again.

        Its own mark, that only a relay which read it takes off: one that does not know of it may be about to mark.
        """
        by_first = _grouped((aggregate.first, aggregate.id) for aggregate in sent)
        await self._database[kind.collection].bulk_write(
            [
                UpdateMany(
                    {"_id": {"$in": ids}},
                    {
                        "$min": {"published": first - 1, "pending_since": machine_now()},
                        "$set": {"rewound": secrets.token_hex(4)},
                    },
                )
                for first, ids in by_first
            ],
            ordered=False,
        )

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


Reached = Iterable[tuple[int, str | None, str]]
"""The newest sequence sent, what its document said of being rewound, and the aggregate's id."""


def marks(sent: Reached, newest: bool) -> list[UpdateMany]:
    """A statement per sequence, one commit of the store and not one each.

    `newest`: only where nothing was appended after what was sent, and what does not wait any more is not pending.
    """
    statements = []
    for (last, rewound), ids in _grouped(((last, rewound), id) for last, rewound, id in sent):
        where: Document = {"_id": {"$in": ids}, "rewound": rewound}
        gone = {"rewound": ""}
        if newest:
            where["sequence"] = last
            gone["pending_since"] = ""
        statements.append(UpdateMany(where, {"$max": {"published": last}, "$unset": gone}))
    return statements


def _grouped(pairs: Iterable[tuple[K, str]]) -> list[tuple[K, list[str]]]:
    groups: dict[K, list[str]] = defaultdict(list)
    for common, id in pairs:
        groups[common].append(id)
    return list(groups.items())
