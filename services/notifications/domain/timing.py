"""When a message may go out: not at night, unless it cannot wait."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

IST = dt.timezone(dt.timedelta(hours=5, minutes=30))
"""Indian Standard Time: one zone for the whole country, no daylight saving."""

When = Literal["at-once", "daytime"]


class QuietHours(BaseModel):
    """From and to, in Indian Standard Time; the end belongs to the day. May run over midnight."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    begin: dt.time = Field(dt.time(21, 0), alias="from")
    end: dt.time = Field(dt.time(8, 0), alias="to")

    @model_validator(mode="after")
    def _some_day_is_left(self) -> QuietHours:
        if self.begin.tzinfo or self.end.tzinfo:
            raise ValueError("times are Indian, and are written without a zone")
        if self.begin == self.end:
            raise ValueError("quiet hours must begin and end at different times")
        return self

    def ends_at(self, now: dt.datetime) -> dt.datetime | None:
        """When the quiet that holds at `now` is over; None in the daytime."""
        local = now.astimezone(IST)
        time = local.time()
        over_midnight = self.begin > self.end
        quiet = (time >= self.begin or time < self.end) if over_midnight else self.begin <= time < self.end
        if not quiet:
            return None
        day = local.date() + dt.timedelta(days=1 if over_midnight and time >= self.begin else 0)
        return dt.datetime.combine(day, self.end, IST).astimezone(dt.UTC)


def indian_day(now: dt.datetime) -> dt.date:
    """The date in India."""
    return now.astimezone(IST).date()


def next_at(time: dt.time, now: dt.datetime) -> dt.datetime:
    """The next moment after `now` when it is `time` in India."""
    local = now.astimezone(IST)
    today = dt.datetime.combine(local.date(), time, IST)
    return (today if today > local else today + dt.timedelta(days=1)).astimezone(dt.UTC)
