"""The only way in: batches, key order, retry, dead letters, and offsets committed after the effects are durable.

FastStream's own acknowledgement is switched to manual and never used: it commits positions, not what was finished.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import FAKE_CONSUMER, KafkaMessage
from pydantic import ValidationError

from libs.common import background, tracing
from libs.common.clock import Clock, machine_now
from libs.common.dead_letters import DeadLetters
from libs.common.gathering import gathered
from libs.common.kafka import faststream_security
from libs.common.logs import logger
from libs.common.metrics import Metrics
from libs.common.mongo import STORE_AWAY, Database
from libs.common.records import Envelope, Received, Undecodable, envelope_of
from libs.common.refusal import Refused
from libs.common.settings import ServiceSettings
from libs.contracts.event import PUBLIC, Topic

log = logger("listen")

BATCH = 500
"""Records in one batch at most."""

DELAYS_BEFORE_GIVING_UP = (0.05, 0.15, 0.3)
"""Seconds between the tries of an event that fails while the store answers; together well under a second."""

LONGEST_STORE_PAUSE = 5.0
DRAIN_SECONDS = 10.0

React = Callable[[Received], Awaitable[object]]
UNKNOWN_VALUE = frozenset({"literal_error", "enum"})


class _PatientConsumer(AIOKafkaConsumer):
    """Waits for records: FastStream sleeps after an empty poll, during which an event would lie about."""

    async def getmany(self, *partitions: Any, timeout_ms: int = 0, max_records: int | None = None) -> Any:
        while True:
            if found := await super().getmany(*partitions, timeout_ms=1000, max_records=max_records):
                return found
            await asyncio.sleep(0)


class Subscription:
    """One topic, one group, one shape. `handle` makes the effects of a batch durable before it returns."""

    shape = "reaction"

    def __init__(
        self, service: str, topic: Topic, database: Database, letters: DeadLetters, metrics: Metrics, clock: Clock
    ) -> None:
        suffix = "" if self.shape == "reaction" else f".{self.shape}"
        self.topic = topic
        self.name = f"{topic.name}{suffix}"
        self.group = f"hillhealth.{service}.{self.name}"
        self.consumer: AIOKafkaConsumer | None = None
        self._database = database
        self._letters = letters
        self._metrics = metrics
        self._clock = clock
        self._busy = asyncio.Lock()
        self._under_way: dict[TopicPartition, int] = {}
        self._targets: dict[TopicPartition, int] = {}
        self.assigned = False
        self.stopping = False

    async def handle(self, records: Sequence[Any]) -> None:
        raise NotImplementedError

    async def redrive(self, record: Any) -> None:
        """Handles one record outside the stream. Raises what the handler raises."""
        raise NotImplementedError

    async def consume(self, records: Sequence[Any], consumer: AIOKafkaConsumer) -> None:
        """A batch: effects first, then the offsets of exactly these records."""
        async with self._busy:
            offsets: dict[TopicPartition, int] = {}
            for record in records:
                partition = TopicPartition(record.topic, record.partition)
                self._under_way.setdefault(partition, record.offset)
                offsets[partition] = record.offset + 1
            if not await self._handled(records):
                return
            self._under_way.clear()
            try:
                await consumer.commit(offsets)
            except KafkaError as error:
                # Somebody else has the partition now, or the broker is away: they come again, and act once.
                log.warning("commit failed", extra={"subscription": self.name, "error": type(error).__name__})

    async def _handled(self, records: Sequence[Any]) -> bool:
        """Tries until the effects are durable; False if the service stops first.

        Whatever is raised, the batch is kept: to let it go would be to lose it at the next commit.
        """
        pause = 0.05
        while not self.stopping:
            try:
                await self.handle(records)
                return True
            except STORE_AWAY:
                self._metrics.store_retries.labels(self.name).inc()
                log.warning("store away, batch is kept", extra={"subscription": self.name})
            except Exception:
                log.error("batch fails, and is kept", exc_info=True, extra={"subscription": self.name})
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_STORE_PAUSE)
        return False

    async def drain(self) -> None:
        """Waits, within bounds, until the batch under way is durable and committed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS), self._busy:
                pass

    async def on_assigned(self, consumer: AIOKafkaConsumer, partitions: set[TopicPartition]) -> None:
        self.consumer = consumer
        self.assigned = True
        self._under_way.clear()
        self._targets = {}
        if partitions:
            with contextlib.suppress(KafkaError):
                self._targets = await consumer.end_offsets(list(partitions))

    async def caught_up(self) -> bool:
        """Whether everything that stood in the topic at the last assignment has been handled."""
        if not self.assigned or self.consumer is None:
            return False
        for partition, target in list(self._targets.items()):
            if (
                target == 0
                or partition not in self.consumer.assignment()
                or (await self.consumer.committed(partition) or 0) >= target
            ):
                self._targets.pop(partition, None)
        return not self._targets

    async def lag(self) -> int:
        """Records not yet handled up to the end of the topic, as far as this member knows."""
        consumer, behind = self.consumer, 0
        if consumer is None:
            return 0
        for partition in consumer.assignment():
            end = consumer.highwater(partition)
            if end is not None:
                with contextlib.suppress(KafkaError, AssertionError, TimeoutError):
                    async with asyncio.timeout(1):
                        position = await consumer.position(partition)
                    behind += max(0, end - min(position, self._under_way.get(partition, position)))
        return behind

    async def _put_aside(self, record: Any, reason: str) -> None:
        envelope: Envelope | None = None
        with contextlib.suppress(Undecodable):
            envelope = envelope_of(record)
        await self._letters.put(
            self.name, record, reason, envelope.id if envelope else None, envelope.type if envelope else None
        )
        self._metrics.dead_letters.labels(self.name, reason.split(":")[0]).inc()
        log.error(
            "dead letter",
            extra={"subscription": self.name, "reason": reason, "partition": record.partition, "offset": record.offset},
        )

    def _read(self, record: Any) -> Received | None:
        """The typed event; None where it is to be skipped. Raises Undecodable and ValidationError."""
        envelope = envelope_of(record)
        self._clock.saw(envelope.recorded_at)
        contract = PUBLIC.get(envelope.type)
        if contract is None or self.topic != contract.TOPIC:
            self._metrics.skipped.labels(self.name, "unknown-type").inc()
            return None
        if envelope.value is None:
            if not contract.TOMBSTONE:
                raise Undecodable("no value")
            return Received(envelope, contract.model_validate({}))
        try:
            return Received(envelope, contract.model_validate_json(envelope.value))
        except ValidationError as error:
            if all(found["type"] in UNKNOWN_VALUE for found in error.errors(include_input=False, include_url=False)):
                self._metrics.skipped.labels(self.name, "unknown-value").inc()
                return None
            raise

    def _effects(self, received: Sequence[Received]) -> None:
        """Counts what has taken effect just now."""
        for type, count in Counter(one.type for one in received).items():
            self._metrics.handled.labels(self.name, type).inc(count)
        now, seconds = machine_now(), self._metrics.effect_seconds.labels(self.name)
        for one in received:
            seconds.observe(max((now - one.recorded_at).total_seconds(), 0))


def reason_of(error: Exception) -> str:
    """A reason that says what is wrong and where, and never with what."""
    if isinstance(error, Undecodable):
        return f"undecodable:{error}"
    if isinstance(error, ValidationError):
        fields = {
            ".".join(str(part) for part in found["loc"] if isinstance(part, int) or part.isidentifier())
            for found in error.errors(include_input=False, include_url=False)
        }
        if any(found["type"].startswith("json_") for found in error.errors(include_input=False, include_url=False)):
            return "undecodable:not JSON"
        return "schema:" + ",".join(sorted(fields))[:200]
    if isinstance(error, Refused):
        return f"refused:{error.code}"
    return f"failing:{type(error).__name__}"


class Reaction(Subscription):
    """Because this happened, do that. Keys run side by side, one key in order.

    An event that cannot be handled is put aside, and later events of its key wait behind it.
    """

    def __init__(self, *args: Any, react: React) -> None:
        super().__init__(*args)
        self._react = react
        self._blocked: set[str] = set()
        self._knows_blocked = False

    async def on_assigned(self, consumer: AIOKafkaConsumer, partitions: set[TopicPartition]) -> None:
        # Another member may have put letters aside for the keys that come to this one.
        self._knows_blocked = False
        await super().on_assigned(consumer, partitions)

    async def handle(self, records: Sequence[Any]) -> None:
        if not self._knows_blocked:
            self._knows_blocked = True
            try:
                self._blocked |= await self._letters.blocked_keys(self.name)
            except BaseException:
                self._knows_blocked = False
                raise
        by_key: dict[bytes, list[Any]] = defaultdict(list)
        for record in records:
            by_key[bytes(record.key or b"")].append(record)
        await gathered(*(self._handle_key(of_key) for of_key in by_key.values()))

    async def _handle_key(self, records: Sequence[Any]) -> None:
        key = self._letters.safe_key(records[0])
        for record in records:
            if key in self._blocked:
                if await self._letters.is_blocked(self.name, key):
                    await self._put_aside(record, "behind")
                    continue
                self._blocked.discard(key)
            if (reason := await self._try(record)) is not None:
                await self._put_aside(record, reason)
                self._blocked.add(key)

    async def _try(self, record: Any) -> str | None:
        """None when done; else why this event can never be handled. Raises only while the store is away."""
        for delay in (*DELAYS_BEFORE_GIVING_UP, None):
            try:
                received = self._read(record)
                if received is None:
                    return None
                with tracing.within(received.envelope.traceparent):
                    await self._react(received)
                self._effects([received])
                return None
            except STORE_AWAY:
                raise
            except (Undecodable, ValidationError, Refused) as error:
                return reason_of(error)
            except Exception as error:
                log.warning("event fails", exc_info=True, extra={"subscription": self.name})
                if delay is None:
                    return reason_of(error)
                await asyncio.sleep(delay)
        raise AssertionError("unreachable")

    async def redrive(self, record: Any) -> None:
        received = self._read(record)
        if received is not None:
            with tracing.within(received.envelope.traceparent):
                await self._react(received)


class _Drain(ConsumerRebalanceListener):
    """A revoked partition's batch is finished before somebody else gets it."""

    def __init__(self, subscription: Subscription, broker: Callable[[], AIOKafkaConsumer | None]) -> None:
        self._subscription = subscription
        self._consumer = broker

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if revoked:
            await self._subscription.drain()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        if (consumer := self._consumer()) is not None:
            await self._subscription.on_assigned(consumer, assigned)


async def _tolerant(message: Any) -> KafkaMessage:
    """FastStream's own parser breaks on a null header before anything of ours runs, and the next commit passes over
    the record; this one leaves the raw records to `Subscription`."""
    return KafkaMessage(raw_message=message, body=b"", headers={}, consumer=FAKE_CONSUMER)


async def _raw(message: KafkaMessage) -> Any:
    return message.raw_message


class Listener:
    """All subscriptions of a service, on one FastStream broker that connects when Kafka is there."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._broker: KafkaBroker | None = None
        self._task: asyncio.Task[None] | None = None
        self.subscriptions: list[Subscription] = []

    def add(self, subscription: Subscription) -> None:
        if any(subscription.group == other.group for other in self.subscriptions):
            raise ValueError(f"two subscriptions in group {subscription.group}")
        self.subscriptions.append(subscription)

    @property
    def assigned(self) -> bool:
        return all(subscription.assigned for subscription in self.subscriptions)

    async def broker_answers(self) -> None:
        """Asks Kafka for its metadata where something is listened to. Raises KafkaError where nobody answers."""
        consumer = next((s.consumer for s in self.subscriptions if s.consumer is not None), None)
        if consumer is not None:
            await consumer.topics()

    def start(self) -> None:
        for subscription in self.subscriptions:
            subscription.stopping = False
        self._task = asyncio.create_task(self._connect())

    async def stop(self) -> None:
        for subscription in self.subscriptions:
            subscription.stopping = True
        await background.end(self._task)
        await asyncio.gather(*(subscription.drain() for subscription in self.subscriptions))
        if self._broker is not None:
            await self._broker.stop()
            self._broker = None

    async def _connect(self) -> None:
        """Keeps trying: a service starts before its broker and is merely not ready."""
        pause = 0.2
        while self.subscriptions:
            broker = self._build()
            try:
                await broker.connect()
                _wait_for_records(broker)
                await broker.start()
                self._broker = broker
                return
            except (KafkaError, OSError) as error:
                log.warning("Kafka away", extra={"error": type(error).__name__})
                with contextlib.suppress(Exception):
                    await broker.stop()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    def _build(self) -> KafkaBroker:
        broker = KafkaBroker(
            self._settings.kafka_bootstrap,
            security=faststream_security(self._settings),
            allow_auto_create_topics=False,
            consumer_only=True,
            graceful_timeout=DRAIN_SECONDS,
            apply_types=False,
            logger=None,
        )
        for subscription in self.subscriptions:
            _subscribe(broker, subscription)
        return broker


def _subscribe(broker: KafkaBroker, subscription: Subscription) -> None:
    subscriber = broker.subscriber(
        subscription.topic.name,
        batch=True,
        max_records=BATCH,
        group_id=subscription.group,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.MANUAL,
        parser=_tolerant,
        decoder=_raw,
        no_reply=True,
        fetch_max_wait_ms=500,
        # A batch that waits for the store must not be taken for a dead member: heartbeats tell that.
        max_poll_interval_ms=24 * 3600 * 1000,
        session_timeout_ms=10_000,
        listener=_Drain(subscription, lambda: subscriber.consumer),
    )

    @subscriber
    async def handle(records: Sequence[Any]) -> None:
        assert subscriber.consumer is not None
        await subscription.consume(records, subscriber.consumer)


def _wait_for_records(broker: KafkaBroker) -> None:
    configuration = broker.config.broker_config
    build = configuration.builder
    assert isinstance(build, partial)
    configuration.builder = partial(_PatientConsumer, *build.args, **build.keywords)
