"""What is due, oldest first, once. The due instant is an indexed field of the aggregate; there is no timer table.

A step appends with a timer's cause (clock, step, cycle), so that two schedulers take it once between them.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

from libs.common import background
from libs.common.aggregate import AggregateType
from libs.common.clock import Clock, machine_now
from libs.common.gathering import gathered
from libs.common.lease import Lease
from libs.common.logs import logger
from libs.common.metrics import Metrics
from libs.common.mongo import ASCENDING, STORE_AWAY, Database, Document
from libs.common.settings import ServiceSettings

log = logger("timers")

AT_ONCE = 64
"""Aggregates whose step runs at the same time, and the size of a look while there is no backlog."""

LARGEST_LOOK = 1024
"""Aggregates read in one look at most. A look doubles up to here while it comes back full: some servers read the whole
backlog for every look, so that a backlog of ten thousand must not cost more than a dozen of them."""

REMEMBERED = 10_000
"""Aggregates of which is known at which version their step was last taken."""

Step = Callable[[str, Document], Awaitable[object]]


class Timers:
    """Looks at `due` by the domain's clock and at `retry_at` by the machine's. Works while it holds the lease."""

    def __init__(
        self, settings: ServiceSettings, database: Database, clock: Clock, metrics: Metrics, *, leased: bool = True
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._lease = Lease(database, "timers", settings.lease_seconds) if leased else None
        self._steps: list[tuple[AggregateType[Any], Step]] = []
        self._failing: dict[str, tuple[int, dt.datetime]] = {}
        self._taken: dict[str, int] = {}
        self._look: dict[tuple[str, str], int] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, kind: AggregateType[Any], step: Step) -> None:
        self._steps.append((kind, step))

    def wake(self) -> None:
        self._wake.set()

    def start(self) -> None:
        if self._steps:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        await background.end(self._task)
        if self._lease is not None:
            await self._lease.release()

    async def _run(self) -> None:
        while True:
            taken = 0
            try:
                if await self._ours():
                    taken = await self.sweep()
            except STORE_AWAY:
                log.warning("store away")
                await asyncio.sleep(0.5)
            except Exception:
                log.error("sweep failed", exc_info=True)
                await asyncio.sleep(0.5)
            if not taken:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._settings.sweep_seconds)
            self._wake.clear()

    async def _ours(self) -> bool:
        """Whether this process has the lease, renewed in time: a sweep may take longer than it lasts."""
        return self._lease is None or await self._lease.keep()

    async def sweep(self) -> int:
        """Takes the steps that are due now, oldest first; returns how many were taken."""
        taken = 0
        if len(self._taken) > REMEMBERED:
            self._taken.clear()
        for kind, step in self._steps:
            for field, before in (("due", self._clock.due_before()), ("retry_at", machine_now())):
                taken += await self._work(kind, step, await self._due(kind, field, before))
        return taken

    async def _due(self, kind: AggregateType[Any], field: str, before: dt.datetime) -> list[Document]:
        """By a comparison alone, which the sparse index answers: a hint makes some servers read everything."""
        place = (kind.collection, field)
        look = self._look.get(place, AT_ONCE)
        found: list[Document] = (
            await self._database[kind.collection]
            .find({field: {"$lte": before}})
            .sort(field, ASCENDING)
            .limit(look + len(self._failing))
            .to_list(None)
        )
        self._look[place] = min(look * 2, LARGEST_LOOK) if len(found) >= look else AT_ONCE
        now = machine_now()
        return [document for document in found if self._failing.get(document["_id"], (0, now))[1] <= now][:look]

    async def _work(self, kind: AggregateType[Any], step: Step, found: list[Document]) -> int:
        """So many at a time, begun in the order found. Stops where the lease is lost or the store goes away."""
        waiting, stopped = iter(found), False

        async def work() -> int:
            nonlocal stopped
            taken = 0
            for document in waiting:
                if stopped or not await self._ours():
                    stopped = True
                    break
                try:
                    taken += await self._take(kind, step, document)
                except BaseException:
                    stopped = True
                    raise
            return taken

        return sum(await gathered(*(work() for _ in range(min(AT_ONCE, len(found))))))

    async def _take(self, kind: AggregateType[Any], step: Step, document: Document) -> bool:
        """A step that fails, or again changes nothing though it stays due, rests for a while, doubling up to a minute,
        so that the others are not starved."""
        id = document["_id"]
        try:
            await step(id, document)
        except STORE_AWAY:
            raise
        except Exception:
            self._rest(id)
            self._metrics.timer_failures.labels(kind.name).inc()
            log.error("timer step failed", exc_info=True, extra={"aggregate": kind.name, "id": id})
            return False
        if self._taken.get(id) == document["version"]:
            self._rest(id)
            return False
        self._taken[id] = document["version"]
        self._failing.pop(id, None)
        self._metrics.timer_steps.labels(kind.name).inc()
        return True

    def _rest(self, id: str) -> None:
        tries = self._failing.get(id, (0, machine_now()))[0] + 1
        self._failing[id] = (tries, machine_now() + dt.timedelta(seconds=min(60, 2**tries)))

    async def measure(self) -> None:
        """How many are due and how late the oldest is, for the gauges."""
        for kind, _ in self._steps:
            due, oldest = 0, 0.0
            for field, before in (("due", self._clock.due_before()), ("retry_at", machine_now())):
                collection = self._database[kind.collection]
                due += await collection.count_documents({field: {"$lte": before}})
                first = (
                    await collection.find({field: {"$lte": before}}, {field: 1})
                    .sort(field, ASCENDING)
                    .limit(1)
                    .to_list(1)
                )
                if first:
                    oldest = max(oldest, (before - first[0][field]).total_seconds())
            self._metrics.timers_due.labels(kind.name).set(due)
            self._metrics.oldest_due.labels(kind.name).set(oldest)
