"""`python -m libs.common.topics`: create every public topic with its partitions, retention and compaction."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code
from pydantic import Field

import libs.contracts
from libs.common.kafka import security
from libs.common.settings import ServiceSettings
from libs.contracts.event import PUBLIC, Topic

WEEKS_8_MS = 8 * 7 * 24 * 3600 * 1000
"""Thin topics are kept, and tombstones stay, longer than the longest outage a far site may have."""


def public_topics() -> list[Topic]:
    """Every topic that a public event names, by name."""
    for module in pkgutil.iter_modules(libs.contracts.__path__):
        if module.name != "generate":
            importlib.import_module(f"libs.contracts.{module.name}")
    return sorted({event.TOPIC for event in PUBLIC.values() if event.TOPIC}, key=lambda topic: topic.name)


def configuration(topic: Topic) -> dict[str, str]:
    if topic.compacted:
        return {
            "cleanup.policy": "compact",
            "delete.retention.ms": str(WEEKS_8_MS),
            "min.compaction.lag.ms": str(24 * 3600 * 1000),
            "segment.ms": str(7 * 24 * 3600 * 1000),
        }
    return {"cleanup.policy": "delete", "retention.ms": str(WEEKS_8_MS)}


async def create_topics(settings: ServiceSettings, replication: int = 1) -> list[str]:
    """Creates what is missing; returns the names of all. Raises a KafkaError that is not 'already exists'."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap, **security(settings))
    await admin.start()
    try:
        topics = public_topics()
        answer = await admin.create_topics(
            [
                NewTopic(topic.name, topic.partitions, replication, topic_configs=configuration(topic))
                for topic in topics
            ]
        )
        for name, code, *_ in answer.topic_errors:
            if code not in (0, TopicAlreadyExistsError.errno):
                raise for_code(code)(name)
        return [topic.name for topic in topics]
    finally:
        await admin.close()


class TopicSettings(ServiceSettings):
    topic_replication: int = Field(1, ge=1, description="Copies of each topic: 3 on a cluster of three brokers or more")


def main() -> None:
    settings = TopicSettings()
    for name in asyncio.run(create_topics(settings, settings.topic_replication)):
        print(name)


if __name__ == "__main__":
    main()
