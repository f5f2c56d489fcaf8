"""Journals hold everything: re-send from them, and compare them with the topics."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from libs.common.aggregate import AggregateType
from libs.common.kafka import security
from libs.common.mongo import Document
from libs.common.records import Record, encode
from libs.contracts.event import Topic

if TYPE_CHECKING:
    from libs.common.service import Service


async def _entries(
    service: Service, kind: AggregateType[Any], id: str | None = None
) -> AsyncIterator[tuple[str, list[Document]]]:
    """Each aggregate's published public entries, archived ones first."""
    collection = service.database[kind.collection]
    async for document in collection.find({"_id": id} if id else {}):
        entries = (
            await service.journal.history(kind, document["_id"]) if document.get("archived") else document["journal"]
        )
        yield document["_id"], [entry for entry in entries if 0 < entry.get("sequence", 0) <= document["published"]]


async def _entries_of(service: Service, kind: AggregateType[Any], id: str) -> list[Document]:
    return [entry async for _, entries in _entries(service, kind, id) for entry in entries]


def _encoded(service: Service, kind: AggregateType[Any], id: str, entry: Document) -> Record:
    return encode(entry | {"data": kind.data(entry)}, id, service.settings.ce_epoch)


def _kinds(service: Service, topic: str | None) -> list[AggregateType[Any]]:
    kinds = [kind for kind in service.kinds if kind.topic is not None]
    if topic is None:
        return kinds
    chosen = [kind for kind in kinds if kind.topic is not None and kind.topic.name == topic]
    if not chosen:
        raise ValueError(f"{service.name} does not publish {topic}")
    return chosen


async def _producer(service: Service) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(
        bootstrap_servers=service.settings.kafka_bootstrap,
        acks="all",
        enable_idempotence=True,
        **security(service.settings),
    )
    await producer.start()
    return producer


async def republish(
    service: Service,
    topic: str | None = None,
    aggregate: str | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> dict[str, int]:
    """Re-sends what was published, by topic, aggregate or recording time, with the same ids; on a compacted topic only
    the newest card. Returns events sent by topic. What is still pending is the relay's."""
    sent: dict[str, int] = {}
    producer = await _producer(service)
    try:
        for kind in _kinds(service, topic):
            assert kind.topic is not None
            async for id, entries in _entries(service, kind, aggregate):
                if kind.topic.compacted:
                    entries = entries[-1:]
                for entry in entries:
                    if (since and entry["recorded_at"] < since) or (until and entry["recorded_at"] >= until):
                        continue
                    record = _encoded(service, kind, id, entry)
                    await producer.send_and_wait(record.topic, record.value, record.key, headers=record.headers)
                    sent[record.topic] = sent.get(record.topic, 0) + 1
    finally:
        await producer.stop()
    return sent


async def _on_topic(service: Service, topic: Topic) -> tuple[set[str], dict[str, str]]:
    """Every event id on the topic, and the id of the last record of each key."""
    partitions = await _partitions(service, topic)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=service.settings.kafka_bootstrap, enable_auto_commit=False, **security(service.settings)
    )
    await consumer.start()
    ids: set[str] = set()
    last: dict[str, str] = {}
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for records in (await consumer.getmany(timeout_ms=500, max_records=5000)).values():
                for record in records:
                    found = next((value for name, value in record.headers if name == "ce_id" and value), None)
                    if found is not None and record.key is not None:
                        id = found.decode("utf-8", "replace")
                        ids.add(id)
                        last[record.key.decode("utf-8", "replace")] = id
    finally:
        await consumer.stop()
    return ids, last


async def _partitions(service: Service, topic: Topic) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=service.settings.kafka_bootstrap, **security(service.settings))
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic.name])
        return [TopicPartition(topic.name, found["partition"]) for found in described["partitions"]]
    finally:
        await admin.close()


async def _stale_card(
    service: Service, kind: AggregateType[Any], id: str, last: str | None, newest: str
) -> list[tuple[str, Document]]:
    """The newest card, unless what stands last on the topic is that one or was published since."""
    entries = await _entries_of(service, kind, id)
    ids = [entry["id"] for entry in entries]
    return [] if last in ids[ids.index(newest) :] else [(id, entries[-1])]


async def reconcile(service: Service, *, repair: bool = False) -> dict[str, Any]:
    """Compares journals with topics: events missing, and on compacted topics last cards that are not the newest.

    With `repair`, re-sends them. `failed` is true if something differed and was not repaired.
    """
    report: dict[str, Any] = {}
    producer = await _producer(service) if repair else None
    try:
        for kind in _kinds(service, None):
            assert kind.topic is not None
            # Journals first: what is published while this runs is then on the topic, and not reported as missing.
            journaled = {id: [entry["id"] for entry in entries] async for id, entries in _entries(service, kind)}
            ids, last = await _on_topic(service, kind.topic)
            missing: list[tuple[str, Document]] = []
            for id, published in journaled.items():
                if kind.topic.compacted:
                    differs = bool(published) and last.get(id) != published[-1]
                    missing += await _stale_card(service, kind, id, last.get(id), published[-1]) if differs else []
                elif not ids.issuperset(published):
                    entries = await _entries_of(service, kind, id)
                    missing += [(id, entry) for entry in entries if entry["id"] in set(published) - ids]
            for id, entry in missing:
                if producer is None:
                    break
                record = _encoded(service, kind, id, entry)
                await producer.send_and_wait(record.topic, record.value, record.key, headers=record.headers)
            report[kind.topic.name] = {
                "journaled": sum(len(published) for published in journaled.values()),
                "missing": [entry["id"] for _, entry in missing],
                "repaired": bool(producer),
            }
    finally:
        if producer is not None:
            await producer.stop()
    differs = any(found["missing"] for found in report.values())
    return report | {"failed": differs and not repair}
