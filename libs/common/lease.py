"""One leaseholder per work and service; many may ask. Runs on the machine's clock."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import secrets
import time

from libs.common.clock import machine_now
from libs.common.mongo import STORE_AWAY, Database, DuplicateKey

COLLECTION = "leases"


class Lease:
    """Held until `seconds` after the last renewal that the store acknowledged, counted from before it was asked."""

    def __init__(self, database: Database, work: str, seconds: float) -> None:
        self._collection = database[COLLECTION]
        self._work = work
        self._seconds = seconds
        self._owner = secrets.token_hex(8)
        self._held_until = 0.0
        self._renewing = asyncio.Lock()
        self.tenure = 0
        """Counts up whenever it is taken and not renewed: somebody else may have had it in between."""

    @property
    def held(self) -> bool:
        return time.monotonic() < self._held_until

    @property
    def wants_renewal(self) -> bool:
        return time.monotonic() > self._held_until - self._seconds * 0.66

    async def keep(self) -> bool:
        """Whether this process has it: taken, or renewed when its time comes, asking the store only then."""
        if not self.wants_renewal:
            return True
        async with self._renewing:
            return not self.wants_renewal or await self.acquire()

    async def acquire(self) -> bool:
        """Takes or renews it. A holder's own clock decides when it stops believing."""
        asked = time.monotonic()
        now = machine_now()
        until = now + dt.timedelta(seconds=self._seconds)
        mine = await self._collection.update_one(
            {"_id": self._work, "owner": self._owner, "until": {"$gt": now}}, {"$set": {"until": until}}
        )
        if not mine.matched_count:
            taken = await self._collection.update_one(
                {"_id": self._work, "until": {"$lte": now}}, {"$set": {"owner": self._owner, "until": until}}
            )
            if not taken.matched_count:
                try:
                    await self._collection.insert_one({"_id": self._work, "owner": self._owner, "until": until})
                except DuplicateKey:
                    self._held_until = 0.0
                    return False
            self.tenure += 1
        self._held_until = asked + self._seconds * 0.9
        return True

    async def resume(self) -> bool:
        """Holds on to it after its time ran out, if nobody else had it since: else False.

        Asked of the store, not believed: a process that was frozen may have lost it. Whoever takes it writes its own
        name, and whoever gives it up removes it, so finding one's own says that nobody was there in between.
        """
        asked = time.monotonic()
        until = machine_now() + dt.timedelta(seconds=self._seconds)
        mine = await self._collection.update_one({"_id": self._work, "owner": self._owner}, {"$set": {"until": until}})
        if not mine.matched_count:
            self._held_until = 0.0
            return False
        self._held_until = asked + self._seconds * 0.9
        return True

    async def release(self) -> None:
        """Gives it up; where the store is away it lapses by itself."""
        self._held_until = 0.0
        with contextlib.suppress(*STORE_AWAY):
            await self._collection.delete_one({"_id": self._work, "owner": self._owner})
