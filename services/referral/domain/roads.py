"""Roads between facilities, and what a day, a season or a closure does to them.

A road leads from each facility to the one it refers to, `road_hours` long in the dry season, and further ones stand in
a file. What its `access` means is data by day of the year; a closure is a fact with dates, told by whoever closed it.
"""

from __future__ import annotations

import datetime as dt
from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping
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

    def ended(self, day: dt.date) -> dt.date | None:
        """The first day after it, of the last time that it held before this day; None while it holds."""
        if self.holds_on(day):
            return None
        month, last = self.until
        ends = (dt.date(year, month, min(last, monthrange(year, month)[1])) for year in (day.year, day.year - 1))
        return next(end + dt.timedelta(days=1) for end in ends if end < day)


Seasons = Mapping[str, tuple[Season, ...]]
"""By `winter_access`; one that is not named is open all year."""


@dataclass(frozen=True)
class Road:
    """`hours` in the dry season. `between` two facilities, open both ways or closed both ways."""

    id: str
    between: tuple[str, str]
    hours: float
    access: str = "open"
    over: str | None = None
    """The pass, if one is known by name."""


@dataclass(frozen=True)
class Closed:
    """From a moment to another (None: until it is opened). `slower`: not closed, but that much slower.
    `air_hours`: what the air takes meanwhile, if anything flies."""

    road: str
    since: dt.datetime
    until: dt.datetime | None
    reason: str
    slower: float | None = None
    air_hours: float | None = None

    def holds_at(self, now: dt.datetime) -> bool:
        return self.since <= now and not self.is_over(now)

    def is_over(self, now: dt.datetime) -> bool:
        return self.until is not None and self.until <= now

    @property
    def says(self) -> str:
        what = "slow" if self.slower is not None else "closed"
        expected = f", expected open {self.until:%Y-%m-%d %H:%M} UTC" if self.until else ""
        return f"the road is {what}: {self.reason.replace('-', ' ')}{expected}"


@dataclass(frozen=True)
class Passage:
    """A road as it is now. `hours` None: nobody comes through. `says` what is done to it, if anything."""

    road: Road
    hours: float | None
    by_air: bool = False
    says: tuple[str, ...] = ()


@dataclass(frozen=True)
class Way:
    """The quickest way to a facility now, over these roads."""

    hours: float
    by_air: bool
    says: tuple[str, ...]
    roads: tuple[str, ...] = ()


def roads_of(cards: Iterable[FacilityCard], more: Iterable[Road] = ()) -> Iterator[Road]:
    """Every facility's road to where it refers to, and those of the file whose ends the directory knows."""
    known = set()
    for card in cards:
        known.add(card.code)
        if card.refers_to is not None:
            ends = (card.code, card.refers_to)
            yield Road(f"{card.code}--{card.refers_to}", ends, card.road_hours, card.winter_access)
    yield from (road for road in more if known.issuperset(road.between))


def opened_with_its_season(road: Road, day: dt.date, seasons: Seasons) -> dt.date | None:
    """The day (India's) since which the road, which some season closes, is open again; None where none does."""
    closed = [season.ended(day) for season in seasons.get(road.access, ()) if season.closed]
    return max((ended for ended in closed if ended is not None), default=None) if None not in closed else None


def passage(road: Road, day: dt.date, now: dt.datetime, seasons: Seasons, closures: Iterable[Closed]) -> Passage:
    """The road on this day (India's), at this moment, under its season and the closures of it."""
    hours: float | None = road.hours
    by_air, says = False, []
    for season in seasons.get(road.access, ()):
        if not season.holds_on(day):
            continue
        says.append(season.says)
        if season.closed:
            hours, by_air = season.air_hours, season.air_hours is not None
        elif hours is not None and not by_air:
            hours *= season.slower
    for closure in closures:
        if closure.road != road.id or not closure.holds_at(now):
            continue
        says.append(closure.says)
        if closure.slower is None:
            # A closed road does not ground what already flies over it.
            if not by_air:
                hours, by_air = closure.air_hours, closure.air_hours is not None
        elif hours is not None and not by_air:
            hours *= closure.slower
    return Passage(road, hours, by_air, tuple(says))
