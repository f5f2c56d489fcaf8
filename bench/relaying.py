"""Pending events to acknowledged and marked, against the store's bare bulk write of the same marks."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.filling import fill, marks, pend
from bench.setting import ROUNDS, Setting, median, now
from libs.common.metrics import Metrics
from libs.common.mongo import connect, open_database
from libs.common.relay import BATCH, Relay
from services.registration.aggregates import PATIENT

EVENTS = 20_000


def measure(here: Setting) -> dict[str, Any]:
    return asyncio.run(_measure(here))


async def _measure(here: Setting) -> dict[str, Any]:
    settings = here.stack.settings("registration", CLOCK="system", LEASE_SECONDS="600")
    client = connect(settings.mongodb_uri)
    database = open_database(client, "bench_relay_registration")
    await database[PATIENT.collection].create_index(
        "pending_since", partialFilterExpression={"pending_since": {"$exists": True}}
    )
    await fill(database, EVENTS, "relay")
    relayed, bare = [], []
    relay = Relay(settings, database, [PATIENT], Metrics())
    try:
        for number in range(ROUNDS + 1):
            ids = await pend(database, PATIENT)
            began = now()
            while await relay.round():
                pass
            took = now() - began
            assert await database[PATIENT.collection].count_documents({"pending_since": {"$exists": True}}) == 0
            if number:
                relayed.append(EVENTS / took)
            await pend(database, PATIENT)
            began = now()
            for start in range(0, len(ids), BATCH):
                await database[PATIENT.collection].bulk_write(marks(ids[start : start + BATCH], 1), ordered=False)
            if number:
                bare.append(EVENTS / (now() - began))
    finally:
        await relay.stop()
        await client.drop_database("bench_relay_registration")
        client.close()
    return {
        "relay_per_s": median(relayed),
        "relay_vs_store": median([ours / theirs for ours, theirs in zip(relayed, bare, strict=True)]),
        "store_marks_per_s": median(bare),
    }
