"""The clocks of a case, side by side: each has its own start, its own span and its own date, and none moves another."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from libs.contracts.event import Instant
from services.grievance.domain.calendar import HORIZON_DAYS, IST, Interval, NoWorkingTime, WorkingCalendar, without

Unit = Literal["minutes", "hours", "days", "working hours", "working days"]
_WRITTEN = re.compile(r"^(\d+(?:\.\d+)?) (working )?(minute|hour|day)s?$")


class Span(BaseModel):
    """How long something may take, written `21 days`, `4 hours`, `15 working days`.

    Hours and days pass by night and on holidays too. Working days are counted whole: the day it starts is not counted,
    and it is due when the last of them closes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: float = Field(gt=0, le=1000)
    unit: Unit

    @model_validator(mode="before")
    @classmethod
    def _as_written(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = _WRITTEN.match(value)
        if found is None or (found[2] and found[3] == "minute"):
            raise ValueError("must be written like `21 days`, `4 hours`, `30 minutes`, `15 working days`")
        return {"amount": float(found[1]), "unit": f"{found[2] or ''}{found[3]}s"}

    @model_validator(mode="after")
    def _whole_working_days(self) -> Self:
        if self.unit == "working days" and self.amount != int(self.amount):
            raise ValueError("working days must be a whole number")
        return self

    @model_serializer
    def _written(self) -> str:
        return f"{self.amount:g} {self.unit}"

    @property
    def works(self) -> bool:
        """Whether it depends on a working calendar."""
        return self.unit.startswith("working")


class Clock(BaseModel):
    """One clock of a case: what it measures, since when, and by when."""

    model_config = ConfigDict(frozen=True)

    name: str
    started_at: Instant
    span: Span
    due_at: Instant


def due(span: Span, started_at: dt.datetime, calendar: WorkingCalendar, pauses: Sequence[Interval] = ()) -> dt.datetime:
    """When it is due, in UTC: time in `pauses` does not count. Raises NoWorkingTime."""
    if span.unit == "working days":
        return _end_of_working_day(int(span.amount), started_at, calendar, pauses).astimezone(dt.UTC)
    unit = span.unit.removeprefix("working ")
    left = dt.timedelta(**{unit: span.amount})
    open_times = calendar.from_(started_at) if span.works else _always(started_at)
    for interval in open_times:
        for start, end in without(interval, pauses):
            if end - start >= left:
                return (start + left).astimezone(dt.UTC)
            left -= end - start
    raise NoWorkingTime(calendar.code)


def _always(start: dt.datetime) -> Iterator[Interval]:
    yield start, start + dt.timedelta(days=2 * HORIZON_DAYS)


def _end_of_working_day(
    days: int, started_at: dt.datetime, calendar: WorkingCalendar, pauses: Sequence[Interval]
) -> dt.datetime:
    """The close of the last of so many working days after the day it started on.

    A day that a pause touches does not count.
    """
    for interval in _working_days_after(started_at, calendar):
        if any(paused < interval[1] and resumed > interval[0] for paused, resumed in pauses):
            continue
        days -= 1
        if days == 0:
            return interval[1]
    raise NoWorkingTime(calendar.code)


def _working_days_after(started_at: dt.datetime, calendar: WorkingCalendar) -> Iterator[Interval]:
    first = started_at.astimezone(IST).date()
    for ahead in range(1, HORIZON_DAYS):
        hours = calendar.hours(first + dt.timedelta(days=ahead))
        if hours:
            yield hours[0][0], hours[-1][1]
