"""Reads topics back from Kafka, from the beginning to the end they had when reading began."""

from __future__ import annotations

import json
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tools.checking.expected import TOPICS
from tools.checking.reaching import credentials
from tools.checking.world import Record

POLL_MS = 500


async def read_topics(bootstrap: str, prefix: str = "") -> dict[str, list[Record]]:
    """Every record of every topic, by topic without `prefix`, in offset order within a partition.

    Reads outside any consumer group, so that nobody's offsets are touched. A topic that is not there is empty.
    """
    found: dict[str, list[Record]] = {topic: [] for topic in TOPICS}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
        **credentials(),
    )
    await consumer.start()
    try:
        partitions = await partitions_of(bootstrap, prefix)
        if not partitions:
            return found
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.beginning_offsets(partitions)
        unread = {partition for partition in partitions if ends[partition] > begins[partition]}
        consumer.pause(*[partition for partition in partitions if partition not in unread])
        # Not seek_to_beginning: right behind an assignment, aiokafka may leave the position where it was.
        for partition in partitions:
            consumer.seek(partition, begins[partition])
        while unread:
            batches = await consumer.getmany(*unread, timeout_ms=POLL_MS, max_records=10_000)
            for partition, batch in batches.items():
                topic = partition.topic[len(prefix) :]
                found[topic].extend(_record(topic, record) for record in batch if record.offset < ends[partition])
            for partition in list(unread):
                if await consumer.position(partition) >= ends[partition]:
                    unread.discard(partition)
                    consumer.pause(partition)
        return found
    finally:
        await consumer.stop()


async def partitions_of(bootstrap: str, prefix: str = "") -> list[TopicPartition]:
    """Every partition of every topic that is there. (A consumer knows only partitions of topics it follows.)"""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **credentials())
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        wanted = [prefix + topic for topic in TOPICS if prefix + topic in existing]
        described = await admin.describe_topics(wanted) if wanted else []
        return [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in described
            for partition in sorted(topic["partitions"], key=lambda partition: int(partition["partition"]))
        ]
    finally:
        await admin.close()


def _record(topic: str, record: ConsumerRecord[bytes, bytes]) -> Record:
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers if value is not None}
    sequence = headers.get("ce_sequence", "")
    return Record(
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        key=(record.key or b"").decode("utf-8", "replace"),
        id=headers.get("ce_id", ""),
        type=headers.get("ce_type", ""),
        sequence=int(sequence) if sequence.isdigit() else None,
        value=_value(record.value),
    )


def _value(body: bytes | None) -> dict[str, Any] | None:
    if body is None:
        return None
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
