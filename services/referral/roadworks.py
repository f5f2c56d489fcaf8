"""Closing and opening roads, and who is then on the wrong side."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from dataclasses import dataclass

from libs.common.access import Access
from libs.common.cause import Cause
from libs.common.clock import Clock
from libs.common.journal import Journal, NotFound, Outcome
from libs.common.mongo import Document
from services.referral import store
from services.referral.country import Country, Known
from services.referral.domain import closure
from services.referral.domain.closure import LISTED_AT_MOST, RoadClosed, RoadState, WrongSide
from services.referral.domain.codes import URGENCIES
from services.referral.domain.roads import Closed, Road
from services.referral.network import Roadmap
from services.referral.store import ROAD
from services.referral.usecases import Surroundings

NOT_ARRIVED = ("requested", "lapsed", "accepted", "scheduled")
"""Statuses in which the patient may still have to come over a road."""

_FIELDS = ("origin", "destination", "urgency", "status", "transport")


@dataclass(frozen=True)
class Closing:
    """What is said of a closure; `since` None: now."""

    reason: str
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    slower: float | None = None
    air_hours: float | None = None


async def road_of(country: Country, id: str) -> tuple[Known, Road]:
    """Raises NotFound."""
    known = await country.known()
    road = next((road for road in known.roads if road.id == id), None)
    if road is None:
        raise NotFound
    return known, road


async def close(
    journal: Journal, around: Surroundings, clock: Clock, id: str, said: Closing, cause: Cause, access: Access
) -> Outcome[RoadState]:
    """The road is closed, and the referrals now on the wrong side of it are named. Raises NotFound, Refused."""
    known, road = await road_of(around.country, id)
    now = clock.now()
    since = said.since or now
    closed = Closed(id, since, said.until, said.reason, said.slower, said.air_hours)
    before = around.country.roadmap_with(known, now, id, None)
    after = around.country.roadmap_with(known, now, id, closed)
    wrong = await wrong_side(around, road, before, after)
    event = RoadClosed(
        road=id,
        ends=road.between,
        since=since,
        until=said.until,
        reason=said.reason,
        slower=said.slower,
        air_hours=said.air_hours,
        wrong_side=tuple(wrong[:LISTED_AT_MOST]),
        wrong_side_count=len(wrong),
        at=now,
    )
    outcome = await journal.append(ROAD, id, lambda state: closure.close(state, event), cause, access)
    around.country.changed()
    return outcome


async def open_again(
    journal: Journal, around: Surroundings, clock: Clock, id: str, cause: Cause, access: Access
) -> Outcome[RoadState]:
    """Raises NotFound for an unknown road, Refused for one that is open."""
    _, road = await road_of(around.country, id)
    if await journal.load(ROAD, id) is None:
        access.check({"ends": [*road.between]})
        raise closure.is_open()
    outcome = await journal.append(ROAD, id, lambda state: closure.open_again(state, clock.now()), cause, access)
    around.country.changed()
    return outcome


async def cut_off(around: Surroundings, clock: Clock, id: str) -> list[WrongSide]:
    """The referrals on the wrong side of this road as it is now: none if it is open. Raises NotFound."""
    known, road = await road_of(around.country, id)
    now = clock.now()
    before = around.country.roadmap_with(known, now, id, None)
    return await wrong_side(around, road, before, around.country.roadmap(known, now))


async def wrong_side(around: Surroundings, road: Road, before: Roadmap, after: Roadmap) -> list[WrongSide]:
    """The referrals whose patient has not arrived and whose way led over the road, if that way is now longer or gone:
    emergencies first, then the oldest."""
    lists = await asyncio.gather(
        *(
            store.in_status(around.database, status, urgency, _FIELDS)
            for urgency in reversed(URGENCIES)
            for status in NOT_ARRIVED
        )
    )
    by_way: dict[tuple[str, str], bool] = {}
    found: list[WrongSide] = []
    groups: dict[str, set[str]] = defaultdict(set)
    for document in (document for documents in lists for document in documents):
        groups[document["state"]["origin"]].add(document["state"]["destination"])
    for origin, destinations in groups.items():
        ways = before.ways_from(origin)
        for destination in destinations:
            way = ways.get(destination)
            by_way[origin, destination] = way is not None and road.id in way.roads
        # Another origin's ways are worked out in a moment of their own.
        await asyncio.sleep(0)
    for documents in lists:
        for document in documents:
            state = document["state"]
            if by_way[state["origin"], state["destination"]]:
                one = _cut_off(document, before, after)
                if one.hours_after is None or one.hours_after > one.hours_before:
                    found.append(one)
    return found


def _cut_off(document: Document, before: Roadmap, after: Roadmap) -> WrongSide:
    state = document["state"]
    left = after.ways_from(state["origin"]).get(state["destination"])
    return WrongSide(
        referral=document["_id"],
        **{name: state[name] for name in _FIELDS},
        hours_before=before.ways_from(state["origin"])[state["destination"]].hours,
        hours_after=left.hours if left else None,
        by_air=left.by_air if left else False,
    )
