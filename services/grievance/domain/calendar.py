"""When an office works: shifts by weekday and season, holidays, days declared otherwise. Indian time (UTC+5:30)."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

IST = dt.timezone(dt.timedelta(hours=5, minutes=30), "IST")
HORIZON_DAYS = 3 * 366
"""How far ahead working time is looked for."""

Interval = tuple[dt.datetime, dt.datetime]


class NoWorkingTime(Exception):
    """The calendar has no working time within the horizon: nothing can become due by it."""


class Shift(BaseModel):
    """A stretch of work within one day; a day may have several."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opens: dt.time
    closes: dt.time

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> Self:
        if self.opens.tzinfo or self.closes.tzinfo:
            raise ValueError("times are Indian, and are written without a zone")
        if self.opens >= self.closes:
            raise ValueError("opens must be before closes")
        return self


def _apart(shifts: tuple[Shift, ...]) -> tuple[Shift, ...]:
    """In order. Time that stood in two shifts would count twice."""
    in_order = tuple(sorted(shifts, key=lambda shift: shift.opens))
    if any(early.closes > late.opens for early, late in itertools.pairwise(in_order)):
        raise ValueError("shifts must not overlap")
    return in_order


Shifts = Annotated[tuple[Shift, ...], AfterValidator(_apart)]
Week = Annotated[tuple[Shifts, ...], Field(min_length=7, max_length=7)]
"""Monday first."""

LEAP = 2024
"""A year that has every day there is."""


def _in_some_year(month_day: str) -> str:
    dt.date.fromisoformat(f"{LEAP}-{month_day}")
    return month_day


MonthDay = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}-[0-9]{2}$"), AfterValidator(_in_some_year)]


class Season(BaseModel):
    """Other hours for a part of every year, both ends included; it may pass over New Year."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: MonthDay
    last: MonthDay
    week: Week

    def covers(self, day: dt.date) -> bool:
        here = f"{day:%m-%d}"
        if self.first <= self.last:
            return self.first <= here <= self.last
        return here >= self.first or here <= self.last


def overlapping(seasons: Sequence[tuple[str, str]]) -> int | None:
    """The first of these (their first and last days) that covers a day of an earlier one: it would not hold there."""
    taken: set[dt.date] = set()
    for index, (first, last) in enumerate(seasons):
        season = Season(first=first, last=last, week=((),) * 7)
        days = {day for day in (dt.date(LEAP, 1, 1) + dt.timedelta(days=n) for n in range(366)) if season.covers(day)}
        if days & taken:
            return index
        taken |= days
    return None


class WorkingCalendar(BaseModel):
    """`days` are declared one by one (a snow closure, a half-day, an extra Sunday) and outrank all else.

    A day without shifts is closed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    week: Week
    seasons: tuple[Season, ...] = ()
    holidays: Mapping[dt.date, str] = Field(default_factory=dict)
    days: Mapping[dt.date, Shifts] = Field(default_factory=dict)

    def shifts(self, day: dt.date) -> Shifts:
        if day in self.days:
            return self.days[day]
        if day in self.holidays:
            return ()
        for season in self.seasons:
            if season.covers(day):
                return season.week[day.weekday()]
        return self.week[day.weekday()]

    def hours(self, day: dt.date) -> list[Interval]:
        """The day's working time, in order."""
        return [
            (dt.datetime.combine(day, shift.opens, IST), dt.datetime.combine(day, shift.closes, IST))
            for shift in sorted(self.shifts(day), key=lambda shift: shift.opens)
        ]

    def from_(self, start: dt.datetime) -> Iterator[Interval]:
        """Working time from `start` on. Raises NoWorkingTime where it ends within the horizon."""
        day = start.astimezone(IST).date()
        for _ in range(HORIZON_DAYS):
            for opens, closes in self.hours(day):
                if closes > start:
                    yield max(opens, start), closes
            day += dt.timedelta(days=1)
        raise NoWorkingTime(self.code)


def without(interval: Interval, pauses: Sequence[Interval]) -> list[Interval]:
    """What is left of the interval outside the pauses, in order."""
    left = [interval]
    for paused, resumed in pauses:
        left = [
            piece
            for start, end in left
            for piece in ((start, min(end, paused)), (max(start, resumed), end))
            if piece[0] < piece[1]
        ]
    return sorted(left)
