"""Documents that an older version wrote, brought up to what today's queries ask for.

Worklists and searches go by fields that follow from the rest of a state. A document that was written before such a
field was thought of lacks it, and would be found by nobody. So each stored state says by which derivation it was
written (`AggregateType.shape`), and what is older is derived anew: no event, no new version, nothing said to anybody.

A document is written only as it was read (guarded by `version`), so that whoever appends meanwhile wins, and writes
today's shape anyway; an old replica that still runs may write the older one again, which a later look finds. What is
done no longer shows, so a pass that is cut off goes on where it was. Works while it holds the lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from libs.common import background
from libs.common.aggregate import SHAPE, AggregateType
from libs.common.lease import Lease
from libs.common.logs import logger
from libs.common.metrics import Metrics
from libs.common.mongo import STORE_AWAY, Database, Document, DuplicateKey
from libs.common.settings import ServiceSettings

log = logger("rederivation")

AT_ONCE = 64
"""Documents that are read, and written, together."""

LOOK_EVERY_SECONDS = 15.0
"""How long what an old replica writes during an upgrade may be missing from lists."""


class Rederivation:
    def __init__(
        self, settings: ServiceSettings, database: Database, kinds: Sequence[AggregateType[Any]], metrics: Metrics
    ) -> None:
        self._database = database
        self._kinds = [kind for kind in kinds if kind.shape > 1]
        self._metrics = metrics
        self._lease = Lease(database, "rederivation", settings.lease_seconds)
        self._task: asyncio.Task[None] | None = None
        self.done = not self._kinds
        """Whether everything that stood there at the start was gone through."""

    def start(self) -> None:
        if self._kinds:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            await background.end(self._task)
            await self._lease.release()

    async def _run(self) -> None:
        while True:
            passed = False
            try:
                passed = await self.sweep()
                self.done = self.done or passed
            except STORE_AWAY:
                log.warning("store away")
            except Exception:
                log.error("cannot derive anew", exc_info=True)
            await asyncio.sleep(LOOK_EVERY_SECONDS if passed else 0.5)

    async def sweep(self) -> bool:
        """One pass over what is of an older shape; False where another replica is at it."""
        for kind in self._kinds:
            left: set[str] = set()
            for older in (None, *range(2, kind.shape)):
                while found := await self._older(kind, older, left):
                    if not await self._lease.keep():
                        return False
                    left |= {id for id in await asyncio.gather(*(self._derive(kind, each) for each in found)) if id}
            self._metrics.underived.labels(kind.name).set(len(left))
        if self._lease.held:
            await self._lease.release()
        return True

    async def _older(self, kind: AggregateType[Any], shape: int | None, left: set[str]) -> list[Document]:
        """By an index that holds what is absent, too; one document is not looked at twice in a pass if it cannot be
        derived."""
        found = self._database[kind.collection].find({f"state.{SHAPE}": shape}, {"state": 1, "version": 1})
        return [each for each in await found.limit(AT_ONCE + len(left)).to_list(None) if each["_id"] not in left]

    async def _derive(self, kind: AggregateType[Any], document: Document) -> str | None:
        """The id of what cannot be derived."""
        id = document["_id"]
        try:
            state = kind.derive(kind.state.model_validate(document["state"]))
            fields, absent = kind.operational(state)
            update: Document = {"$set": fields | {"state": kind.stored(state)}}
            if absent:
                update["$unset"] = dict.fromkeys(absent, "")
            written = await self._database[kind.collection].update_one(
                {"_id": id, "version": document["version"]}, update
            )
        except STORE_AWAY:
            raise
        except DuplicateKey:
            log.error("an older document claims what another has", extra={"aggregate": kind.name, "id": id})
            return str(id)
        except Exception as error:
            # Only the kind of error: what it says may quote the document.
            why = {"aggregate": kind.name, "id": id, "error": type(error).__name__}
            log.error("an older document cannot be read", extra=why)
            return str(id)
        if written.matched_count:
            self._metrics.rederived.labels(kind.name).inc()
        return None
