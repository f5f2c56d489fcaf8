"""A copy of another service's cards: the newest per key, guarded by (epoch, sequence); a grave outranks everything."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pydantic import ValidationError

from libs.common.clock import machine_now
from libs.common.listen import Subscription, reason_of
from libs.common.logs import logger
from libs.common.mongo import (
    ASCENDING,
    DUPLICATE_KEY,
    STORE_AWAY,
    BulkWriteError,
    Collection,
    Database,
    Document,
    IndexModel,
    UpdateOne,
)
from libs.common.one_person import FOLLOWED
from libs.common.records import Received, Undecodable

log = logger("replica")

Changed = Callable[[list[str]], Awaitable[None]]


async def _nobody(keys: list[str]) -> None:
    return None


SEQUENCES = 10**12
"""More than a key will ever have: `order` = epoch * this + sequence compares as (epoch, sequence) does."""


class Replica:
    """Documents {_id: key, epoch, sequence, order, card}, or grave: true instead of the card for who was erased."""

    def __init__(self, database: Database, collection: str, indexes: Sequence[tuple[str, ...]] = ()) -> None:
        self.collection: Collection = database[collection]
        self._indexes = indexes

    async def ensure_indexes(self) -> None:
        for paths in self._indexes:
            await self.collection.create_indexes([IndexModel([(path, ASCENDING) for path in paths])])

    async def get(self, key: str) -> dict[str, Any] | None:
        """The card; None while it is not yet known, or when it was erased. A card that was merged into another is
        followed to where it lives on, and stands by itself again once it was unmerged."""
        card: dict[str, Any] | None = None
        for _ in range(FOLLOWED):
            found = await self.collection.find_one({"_id": key})
            if found and found.get("grave"):
                return None
            following: dict[str, Any] | None = found.get("card") if found else None
            if following is None:
                # What it was merged into has not come yet: better the older card than none.
                return card
            card = following
            into = following.get("merged_into")
            if not into:
                return following
            key = into
        return card

    async def erased(self, key: str) -> bool:
        found = await self.collection.find_one({"_id": key}, {"grave": 1})
        return bool(found and found.get("grave"))

    async def get_many(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Cards by key, of those that are known. Meant for a page's worth of keys."""
        cards = await asyncio.gather(*(self.get(key) for key in dict.fromkeys(keys)))
        return {key: card for key, card in zip(dict.fromkeys(keys), cards, strict=True) if card is not None}

    async def any(self) -> bool:
        return await self.collection.find_one({}, {"_id": 1}) is not None

    async def every(self) -> list[dict[str, Any]]:
        """Every card there is: for small sets only, like a directory's."""
        return [found["card"] async for found in self.collection.find({}, {"card": 1}) if found.get("card")]

    async def apply(self, received: Sequence[Received]) -> tuple[list[str], int]:
        """Keeps the newest of each key in one bulk write. Returns the keys written and how many were stale."""
        newest: dict[str, Received] = {}
        for event in received:
            held = newest.get(event.key)
            if held is None or _outranks(event, held):
                newest[event.key] = event
        if not newest:
            return [], 0
        keys, now = list(newest), machine_now()
        stale: set[int] = set()
        try:
            await self.collection.bulk_write([_upsert(newest[key], now) for key in keys], ordered=False)
        except BulkWriteError as error:
            failures = (error.details or {}).get("writeErrors", [])
            # The upsert of a card that is not newer finds no match and meets the _id that is there.
            durable = not (error.details or {}).get("writeConcernErrors")
            if not durable or any(failure["code"] != DUPLICATE_KEY for failure in failures):
                raise
            stale = {failure["index"] for failure in failures}
        return [key for index, key in enumerate(keys) if index not in stale], len(stale)


def _outranks(event: Received, held: Received) -> bool:
    if held.event.TOMBSTONE or event.event.TOMBSTONE:
        return event.event.TOMBSTONE and not held.event.TOMBSTONE
    return (event.envelope.epoch, event.sequence) > (held.envelope.epoch, held.sequence)


def _upsert(received: Received, now: dt.datetime) -> UpdateOne:
    epoch, sequence = received.envelope.epoch, received.sequence
    order = epoch * SEQUENCES + sequence
    fields: Document = {"epoch": epoch, "sequence": sequence, "order": order, "seen_at": now}
    if received.event.TOMBSTONE:
        return UpdateOne(
            {"_id": received.key, "grave": {"$ne": True}},
            {"$set": fields | {"grave": True}, "$unset": {"card": ""}},
            upsert=True,
        )
    card = received.event.model_dump(mode="json")["card"]
    # One comparison and no `$or` of two: some servers read the whole collection for an `$or`, even beside an `_id`.
    older = {"_id": received.key, "grave": {"$ne": True}, "order": {"$not": {"$gte": order}}}
    return UpdateOne(older, {"$set": fields | {"card": card}}, upsert=True)


class ReplicaSubscription(Subscription):
    """A batch becomes one unordered bulk write; only a duplicate `_id` is forgiven."""

    shape = "replica"

    def __init__(self, *args: Any, replica: Replica, changed: Changed = _nobody) -> None:
        super().__init__(*args)
        self._replica = replica
        self._changed = changed

    async def handle(self, records: Sequence[Any]) -> None:
        await self._kept(await self._received(records))

    async def _received(self, records: Sequence[Any]) -> list[tuple[Any, Received]]:
        """What can be read; the others are put aside."""
        received: list[tuple[Any, Received]] = []
        for record in records:
            try:
                event = self._read(record)
            except (Undecodable, ValidationError) as error:
                await self._put_aside(record, reason_of(error))
                continue
            if event is not None:
                received.append((record, event))
        return received

    async def _kept(self, received: Sequence[tuple[Any, Received]]) -> None:
        try:
            await self._keep([event for _, event in received])
        except STORE_AWAY:
            raise
        except Exception:
            log.warning("a batch fails, its records are tried one by one", exc_info=True)
            await self._one_by_one(received)
        self._effects([event for _, event in received])

    async def _keep(self, events: Sequence[Received]) -> None:
        _, stale = await self._replica.apply(events)
        self._metrics.duplicates.labels(self.name).inc(stale)
        if events:
            # Also what was written before: a crash may have come between writing it and telling of it.
            await self._changed(list(dict.fromkeys(event.key for event in events)))

    async def _one_by_one(self, received: Sequence[tuple[Any, Received]]) -> None:
        """Which one is it that fails while the store answers? That one goes to the dead letters."""
        for record, event in received:
            try:
                await self._keep([event])
            except STORE_AWAY:
                raise
            except Exception as error:
                await self._put_aside(record, reason_of(error))

    async def redrive(self, record: Any) -> None:
        event = self._read(record)
        if event is not None:
            await self._keep([event])
