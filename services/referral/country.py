"""The country as it was a moment ago: every facility's card, the roads, what is closed of them, the beds that are free.

For ranking and for showing, never for a rule that promises anything. Kept in memory, because 500 cards are not read
anew for every question; what this process itself changes is seen at once, what another one changes within seconds.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from libs.common.mongo import Database
from libs.contracts.referral import FacilityCard
from services.referral import store
from services.referral.domain.closure import RoadState
from services.referral.domain.destinations import kinds_of
from services.referral.domain.roads import Closed, Road, Seasons, opened_with_its_season, roads_of
from services.referral.domain.today import INDIA, day_of
from services.referral.network import Network, Roadmap
from services.referral.roadbook import Roadbook

FRESH_SECONDS = 2.0
"""As old as what is answered with may be without a look."""

STALE_SECONDS = 10.0
"""Between these two it is answered with, and looked at meanwhile; beyond, it is looked at first."""

FreeBeds = Mapping[str, Mapping[str, int]]
"""By facility and kind; a facility or kind that keeps no ledger is absent."""


@dataclass(frozen=True)
class Known:
    """`version` changes with the cards; `roads` follow from them. `over`: beds that are promised and do not stand there
    any more, where there are any. `opened`: when each road that was closed once, and is not now, was opened."""

    cards: Mapping[str, FacilityCard]
    versions: Mapping[str, int]
    version: int
    roads: tuple[Road, ...]
    closures: tuple[Closed, ...]
    beds: FreeBeds
    over: FreeBeds
    opened: Mapping[str, dt.datetime]


NOTHING = Known({}, {}, 0, (), (), {}, {}, {})


class Country:
    def __init__(
        self,
        database: Database,
        seasons: Seasons,
        book: Roadbook,
        promised: Callable[[Database], Awaitable[FreeBeds]] = store.promised_beds,
    ) -> None:
        self._database = database
        self.seasons = seasons
        self._book = book
        self._promised = promised
        self._network = Network(seasons)
        self._known = NOTHING
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._writes = 0
        self._newest: Roadmap | None = None
        self._ahead: asyncio.Task[None] | None = None

    async def known(self) -> Known:
        """Raises what the store raises, where there is nothing recent enough to answer with."""
        age = time.monotonic() - self._read_at
        if age > FRESH_SECONDS:
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
                self._reading.add_done_callback(self._done)
            if age > STALE_SECONDS:
                await asyncio.shield(self._reading)
                # Written meanwhile: once more, and what is then known is as new as the question.
                if self._read_at == float("-inf"):
                    await self._read()
        return self._known

    def changed(self) -> None:
        """Something was written here: the next question looks again first."""
        self._read_at = float("-inf")
        self._reading = None
        # A look that began before the write may have missed it, and is not kept.
        self._writes += 1

    async def cards(self) -> Mapping[str, FacilityCard]:
        return (await self.known()).cards

    def opened(self, known: Known, way: Collection[str], now: dt.datetime) -> dt.datetime | None:
        """When the last of these roads that were closed was opened: by whoever closed it, when that was to end, or on
        the day after its season. None where none was."""
        found = [known.opened[road] for road in way if road in known.opened]
        found += [c.until for c in self._book.closures if c.road in way and c.until is not None and c.slower is None]
        for road in known.roads:
            if road.id in way and (day := opened_with_its_season(road, day_of(now), self.seasons)) is not None:
                found.append(dt.datetime.combine(day, dt.time(), INDIA))
        return max((at for at in found if at <= now), default=None)

    def roadmap(self, known: Known, now: dt.datetime) -> Roadmap:
        """The roads as they are at this moment."""
        roadmap = self._network.at(day_of(now), now, known.roads, known.version, known.closures)
        if roadmap is not self._newest:
            self._newest = roadmap
            self._ahead = asyncio.create_task(self._work_out(roadmap, tuple(known.cards)))
        return roadmap

    async def _work_out(self, roadmap: Roadmap, origins: tuple[str, ...]) -> None:
        """Every facility's ways before somebody asks, a moment for each."""
        for origin in origins:
            if self._newest is not roadmap:
                return
            roadmap.ways_from(origin)
            await asyncio.sleep(0.005)

    def roadmap_with(self, known: Known, now: dt.datetime, road: str, closed: Closed | None) -> Roadmap:
        """What the roads would be with this road closed thus, or open."""
        others = [c for c in known.closures if c.road != road and c.holds_at(now)]
        return self._network.fresh(day_of(now), now, known.roads, [*others, *([closed] if closed else [])])

    def _done(self, task: asyncio.Task[None]) -> None:
        if self._reading is task:
            self._reading = None
        if not task.cancelled():
            task.exception()

    async def _read(self) -> None:
        writes, began, before = self._writes, time.monotonic(), self._known
        versions, states, promised = await asyncio.gather(
            store.facility_versions(self._database), store.road_states(self._database), self._promised(self._database)
        )
        new = [code for code, version in versions.items() if before.versions.get(code) != version]
        if new or len(versions) != len(before.versions):
            read = await store.cards(self._database, new)
            cards = {code: read.get(code) or before.cards[code] for code in versions}
            roads = tuple(roads_of(cards.values(), self._book.roads))
            version = before.version + 1
        else:
            cards, roads, version = dict(before.cards), before.roads, before.version
        if writes != self._writes:
            return
        closures = (*self._book.closures, *_closed(states))
        free, over = _free(cards, promised), _over(cards, promised)
        self._known = Known(cards, versions, version, roads, closures, free, over, _opened(states))
        self._read_at = began


def _free(cards: Mapping[str, FacilityCard], promised: FreeBeds) -> FreeBeds:
    """Of each facility that says which beds stand there, or has promised any: those that are not promised."""
    return {
        code: {kind: max(0, beds - promised.get(code, {}).get(kind, 0)) for kind, beds in kinds_of(card).items()}
        for code, card in cards.items()
        if card.beds_by_kind or code in promised
    }


def _over(cards: Mapping[str, FacilityCard], promised: FreeBeds) -> FreeBeds:
    """Beds were taken away after they had been promised; no promise is broken for it, and none is made."""
    found: dict[str, dict[str, int]] = {}
    for code, kinds in promised.items():
        card = cards.get(code)
        there = kinds_of(card) if card else {}
        over = {kind: count - there.get(kind, 0) for kind, count in kinds.items() if count > there.get(kind, 0)}
        if over:
            found[code] = over
    return found


def _opened(states: list[RoadState]) -> dict[str, dt.datetime]:
    """One that opens by itself is there with the moment at which it does, also beforehand."""
    found = {state.road: state.until if state.closed else state.changed_at for state in states}
    return {road: at for road, at in found.items() if at is not None}


def _closed(states: list[RoadState]) -> list[Closed]:
    return [closed for state in states if (closed := state.closed) is not None]
