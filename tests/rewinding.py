"""Consumer groups made to read their topics again from the beginning."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient


async def rewind(bootstrap: str, prefix: str) -> list[str]:
    """Commits offset 0 for every group whose name begins so; their members must have left. Returns the groups."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        groups = [name for name, *_ in await admin.list_consumer_groups() if name.startswith(prefix)]
        for group in groups:
            # A group whose topic is empty has committed nothing, and begins at the beginning anyway.
            if partitions := list(await admin.list_consumer_group_offsets(group)):
                await _commit(bootstrap, group, dict.fromkeys(partitions, 0))
        return groups
    finally:
        await admin.close()


async def _commit(bootstrap: str, group: str, offsets: dict[TopicPartition, int]) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit(offsets)
    finally:
        await consumer.stop()
