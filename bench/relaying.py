"""Pending events to acknowledged and marked, against the store's bare bulk write of the same marks.

The bare write says one statement for each aggregate. The relay says the same marks in one statement for each sequence,
which a store that syncs every statement thanks; what that alone would do stands beside it.
"""

from __future__ import annotations

from typing import Any

from bench import filling
from bench.filling import fill, pend
from bench.setting import ROUNDS, Setting, median, now, run
from libs.common.metrics import Metrics
from libs.common.mongo import connect, open_database
from libs.common.relay import BATCH, Relay, marks
from services.registration.aggregates import PATIENT

EVENTS = 20_000
MARKS = 5_000
"""Of the bare writes, which have the same rate however many there are."""


def measure(here: Setting) -> dict[str, Any]:
    return run(_measure(here))


async def _measure(here: Setting) -> dict[str, Any]:
    settings = here.stack.settings("registration", CLOCK="system", LEASE_SECONDS="600")
    client = connect(settings.mongodb_uri)
    database = open_database(client, "bench_relay_registration")
    await database[PATIENT.collection].create_index("pending_since", sparse=True)
    await fill(database, EVENTS, "relay")
    collection = database[PATIENT.collection]
    relayed, bare, grouped = [], [], []
    relay = Relay(settings, database, [PATIENT], Metrics())
    try:
        assert await relay.lead()
        for number in range(ROUNDS + 1):
            ids = await pend(database, PATIENT)
            began = now()
            while await relay.round():
                pass
            took = now() - began
            assert await collection.count_documents({"pending_since": {"$exists": True}}) == 0
            if number:
                relayed.append(EVENTS / took)
            await pend(database, PATIENT)
            began = now()
            for start in range(0, MARKS, BATCH):
                await collection.bulk_write(filling.marks(ids[start : start + BATCH], 1), ordered=False)
            if number:
                bare.append(MARKS / (now() - began))
            await pend(database, PATIENT)
            began = now()
            for start in range(0, MARKS, BATCH):
                of_batch = [(1, None, id) for id in ids[start : start + BATCH]]
                await collection.bulk_write(marks(of_batch, newest=True), ordered=False)
            if number:
                grouped.append(MARKS / (now() - began))
    finally:
        await relay.stop()
        await client.drop_database("bench_relay_registration")
        await client.close()
    return {
        "relay_per_s": median(relayed),
        "relay_vs_store": median([ours / theirs for ours, theirs in zip(relayed, bare, strict=True)]),
        "store_marks_per_s": median(bare),
        "store_grouped_marks_per_s": median(grouped),
    }
