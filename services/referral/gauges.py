"""What Prometheus sees of referrals, beside what it sees of every service. Kept up to date in the background."""

from __future__ import annotations

import asyncio
from collections import Counter

from prometheus_client import Gauge

from libs.common import background
from libs.common.logs import logger
from libs.common.mongo import STORE_AWAY
from libs.common.service import Service
from services.referral import auditing, store
from services.referral.country import Country
from services.referral.domain.codes import URGENCIES

log = logger("gauges")

EVERY_SECONDS = 15.0
RATIO_EVERY = 8
"""Rounds between two counts of closed loops: it is the dearer one."""


class Gauges:
    def __init__(self, service: Service, country: Country) -> None:
        self._service = service
        self._country = country
        registry = service.metrics.registry
        self.oldest = Gauge(
            "hillhealth_referral_oldest_unanswered_seconds",
            "Age of the oldest referral that waits for an answer, 0 if none does",
            ["urgency"],
            registry=registry,
        )
        self.beds = Gauge(
            "hillhealth_referral_beds_free",
            "Beds free in facilities that say which they have",
            ["kind"],
            registry=registry,
        )
        self.over = Gauge(
            "hillhealth_referral_beds_over",
            "Beds that are promised to referrals and do not stand there any more, where there are any",
            ["facility", "kind"],
            registry=registry,
        )
        self.lapsed = Gauge(
            "hillhealth_referral_lapsed",
            "Referrals that nobody answered in time, nor since",
            ["urgency"],
            registry=registry,
        )
        self.closed = Gauge(
            "hillhealth_referral_closed_loop_ratio",
            "Closed referrals of all that ended or go on, questions for advice aside",
            registry=registry,
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        await background.end(self._task)

    async def measure(self, *, ratio: bool = True) -> None:
        """Raises what the store raises."""
        for urgency, seconds in (
            await auditing.oldest_unanswered(self._service.database, self._service.clock.now())
        ).items():
            self.oldest.labels(urgency).set(seconds)
        # Shown from the start, so that a panel has something to draw before the first facility says what it has.
        free: Counter[str] = Counter({"general": 0})
        known = await self._country.known()
        for kinds in known.beds.values():
            free.update(kinds)
        # Kinds that nobody has any more must not stay as they were last seen.
        self.beds.clear()
        for kind, beds in free.items():
            self.beds.labels(kind).set(beds)
        self.over.clear()
        for facility, over in known.over.items():
            for kind, beds in over.items():
                self.over.labels(facility, kind).set(beds)
        for urgency in URGENCIES:
            self.lapsed.labels(urgency).set(await store.count_in_status(self._service.database, "lapsed", urgency))
        if ratio:
            closed, sent = await store.closed_of_sent(self._service.database)
            self.closed.set(closed / sent if sent else 0.0)

    async def _run(self) -> None:
        rounds = 0
        while True:
            try:
                await self.measure(ratio=rounds % RATIO_EVERY == 0)
            except STORE_AWAY:
                log.warning("store away")
            except Exception:
                # A gauge that cannot be read leaves the others and the service as they are.
                log.error("cannot measure", exc_info=True)
            rounds += 1
            await asyncio.sleep(EVERY_SECONDS)
