"""Waits until every event is handled: nothing to publish, nothing unread, nothing on its way to anybody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from pymongo import MongoClient

from tools.checking.expected import AGGREGATES, FINISHED_SHARE, GROUPS, TOPICS, UNFINISHED_MESSAGE
from tools.checking.reaching import PerService, credentials
from tools.checking.topics import partitions_of

EVERY = 0.4
"""Seconds between two looks."""


@dataclass(frozen=True)
class Names:
    """How this installation names its databases, topics and groups."""

    database_prefix: str = "hillhealth_"
    topic_prefix: str = ""
    group_prefix: str = "hillhealth"


class Unsettled(Exception):
    """The time is over and something is still under way; the text says what."""


async def wait_until_settled(
    client: MongoClient[dict[str, Any]] | PerService,
    bootstrap: str,
    names: Names,
    timeout: float,
    tell: Callable[[str], None],
) -> None:
    """Returns once everything has been at rest at two looks in a row. Raises Unsettled after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, **credentials())
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **credentials())
    await consumer.start()
    try:
        await admin.start()
        try:
            partitions: list[TopicPartition] | None = None
            before: dict[TopicPartition, int] | None = None
            told = ""
            while True:
                ends: dict[TopicPartition, int] = {}
                try:
                    if partitions is None:
                        partitions = await partitions_of(bootstrap, names.topic_prefix)
                    if partitions:
                        ends = dict(await consumer.end_offsets(partitions))
                    why = await _behind(admin, names, ends) or _under_way(client, names)
                except KafkaError as error:
                    # A broker that has just come back is still loading its groups; one that stays away ends the wait.
                    why = f"the broker says {type(error).__name__}"
                if why is None and ends == before:
                    return
                before = ends if why is None else None
                if why is not None and why != told:
                    tell(why)
                    told = why
                if time.monotonic() > deadline:
                    raise Unsettled(why or "the topics keep growing")
                await asyncio.sleep(EVERY)
        finally:
            await admin.close()
    finally:
        await consumer.stop()


async def _behind(admin: AIOKafkaAdminClient, names: Names, ends: dict[TopicPartition, int]) -> str | None:
    """Which group still has something to read; subscriptions beyond the ones that must exist count too."""
    groups = await _groups(admin, names)
    behind: dict[str, int] = {}
    for service, topics in GROUPS.items():
        for topic in topics:
            if not any(of == (service, topic) for of in groups.values()):
                unread = sum(end for partition, end in ends.items() if partition.topic == names.topic_prefix + topic)
                if unread:
                    behind[f"{service} of {topic} (no group yet)"] = unread
    for group, (_, topic) in groups.items():
        committed = await admin.list_consumer_group_offsets(group)
        for partition, end in ends.items():
            if partition.topic == names.topic_prefix + topic and end:
                done = committed.get(partition)
                lag = end - max(done.offset, 0) if done else end
                if lag > 0:
                    behind[group] = behind.get(group, 0) + lag
    if not behind:
        return None
    return "unread: " + ", ".join(f"{group} {lag}" for group, lag in sorted(behind.items()))


async def _groups(admin: AIOKafkaAdminClient, names: Names) -> dict[str, tuple[str, str]]:
    """Every consumer group of the four services, with its service and topic."""
    found: dict[str, tuple[str, str]] = {}
    for group, *_ in await admin.list_consumer_groups():
        if str(group).startswith(names.group_prefix + "."):
            service, _, rest = str(group)[len(names.group_prefix) + 1 :].partition(".")
            topic = rest.removesuffix(".replica")
            if service in AGGREGATES and topic in TOPICS:
                found[str(group)] = (service, topic)
    return found


def _under_way(client: MongoClient[dict[str, Any]] | PerService, names: Names) -> str | None:
    """What a store still has to publish or to send: one small look per collection."""
    for service, collections in AGGREGATES.items():
        database = client[names.database_prefix + service]
        for collection in collections:
            if database[collection].find_one({"pending_since": {"$exists": True}}, {"_id": 1}):
                return f"to be published: {service}.{collection}"
    messages = client[names.database_prefix + "notifications"]["messages"]
    for status in UNFINISHED_MESSAGE:
        if messages.find_one({"state.status": status}, {"_id": 1}):
            return f"messages {status}"
    shares = client[names.database_prefix + "registration"]["shares"]
    for share in shares.find({}, {"state.status": 1, "state.next_at": 1}):
        state = share.get("state", {})
        if state.get("status") not in FINISHED_SHARE and state.get("next_at") is not None:
            return "shares not yet acknowledged"
    return None
