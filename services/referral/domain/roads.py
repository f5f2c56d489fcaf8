"""How long it takes from one facility to the others on a day, over roads that seasons slow or close.

A road leads from each facility to the one it refers to, `road_hours` long in the dry season; that is all the directory
knows of roads. What its `winter_access` means is data.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from libs.contracts.referral import FacilityCard

MonthDay = tuple[int, int]


@dataclass(frozen=True)
class Season:
    """From one day of the year to another, both included, perhaps over the turn of the year."""

    since: MonthDay
    until: MonthDay
    closed: bool
    slower: float
    air_hours: float | None
    says: str

    def holds_on(self, day: dt.date) -> bool:
        today = (day.month, day.day)
        if self.since <= self.until:
            return self.since <= today <= self.until
        return today >= self.since or today <= self.until


Seasons = Mapping[str, tuple[Season, ...]]
"""By `winter_access`; one that is not named is open all year."""


@dataclass(frozen=True)
class Leg:
    """One way between two neighbours today. `hours` None: closed. `says` what the season does to it, if anything."""

    to: str
    hours: float | None
    by_air: bool = False
    says: tuple[str, ...] = ()


@dataclass(frozen=True)
class Way:
    """The quickest way to a facility today."""

    hours: float
    by_air: bool
    says: tuple[str, ...]


def legs_on(day: dt.date, cards: Iterable[FacilityCard], seasons: Seasons) -> dict[str, list[Leg]]:
    """Every facility's neighbours on this day, both ways."""
    legs: dict[str, list[Leg]] = defaultdict(list)
    for card in cards:
        if card.refers_to is None:
            continue
        hours: float | None = card.road_hours
        by_air, says = False, []
        for season in seasons.get(card.winter_access, ()):
            if not season.holds_on(day):
                continue
            says.append(season.says)
            if season.closed:
                hours, by_air = season.air_hours, season.air_hours is not None
            elif hours is not None and not by_air:
                hours *= season.slower
        legs[card.code].append(Leg(card.refers_to, hours, by_air, tuple(says)))
        legs[card.refers_to].append(Leg(card.code, hours, by_air, tuple(says)))
    return legs


def ways_from(origin: str, legs: Mapping[str, list[Leg]]) -> dict[str, Way]:
    """The quickest way to each facility that can be reached (Dijkstra), the origin itself left out."""
    found: dict[str, Way] = {}
    waiting: list[tuple[float, str, bool, tuple[str, ...]]] = [(0.0, origin, False, ())]
    while waiting:
        hours, code, by_air, says = heapq.heappop(waiting)
        if code in found:
            continue
        found[code] = Way(round(hours, 2), by_air, says)
        for leg in legs.get(code, ()):
            if leg.hours is not None and leg.to not in found:
                said = tuple(dict.fromkeys((*says, *leg.says)))
                heapq.heappush(waiting, (hours + leg.hours, leg.to, by_air or leg.by_air, said))
    del found[origin]
    return found


def closed_between(origin: str, legs: Mapping[str, list[Leg]]) -> dict[str, tuple[str, ...]]:
    """What stands between the origin and each facility that closed roads alone keep out of reach."""
    said: dict[str, tuple[str, ...]] = {origin: ()}
    waiting = [origin]
    while waiting:
        code = waiting.pop()
        for leg in legs.get(code, ()):
            if leg.to not in said:
                said[leg.to] = tuple(dict.fromkeys((*said[code], *(leg.says if leg.hours is None else ()))))
                waiting.append(leg.to)
    return {code: why for code, why in said.items() if why}
