"""A store or broker that is not ours: what we made in it, so that cleaning up drops that and nothing else."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from pymongo.errors import PyMongoError

from deploy.local import store
from deploy.local.layout import Layout, read_json, write_json

if TYPE_CHECKING:
    from deploy.local.stack import Stack


def remember(layout: Layout, stack: Stack) -> None:
    """Before the first use. Topics that were there before us are not ours."""
    path = layout.state / "outside.json"
    record = read_json(path) or {"databases": [], "topics": []}
    if os.environ.get("MONGODB_URI"):
        entry = {"uri": stack.mongodb_uri, "prefix": stack.prefix}
        if entry not in record["databases"]:
            record["databases"].append(entry)
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP")
    if bootstrap and not any(entry["bootstrap"] == bootstrap for entry in record["topics"]):
        record["topics"].append({"bootstrap": bootstrap, "before": asyncio.run(_topics(bootstrap))})
    if record["databases"] or record["topics"]:
        write_json(path, record)


def drop(layout: Layout) -> list[str]:
    """The databases of our prefix, and the topics that we brought, with their offsets; says what was dropped, and
    what could not be: whoever lent it may have taken it away."""
    record = read_json(layout.state / "outside.json") or {"databases": [], "topics": []}
    said = []
    for entry in record["databases"]:
        try:
            said += [f"dropped database {name}" for name in store.drop(entry["uri"], entry["prefix"])]
        except PyMongoError:
            said.append(f"the store that was lent is away: databases {entry['prefix']}* may be left in it")
    for entry in record["topics"]:
        try:
            said += asyncio.run(_drop_topics(entry["bootstrap"], set(entry["before"])))
        except KafkaError:
            said.append("the broker that was lent is away: our topics may be left in it")
    return said


async def _topics(bootstrap: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return sorted(await admin.list_topics())
    finally:
        await admin.close()


async def _drop_topics(bootstrap: str, before: set[str]) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        present = set(await admin.list_topics()) - before
        ours = sorted(name for name in present if name.split(".")[0] in store.SERVICES)
        if ours:
            await admin.delete_topics(ours)
        return [f"dropped topic {name}" for name in ours]
    finally:
        await admin.close()
