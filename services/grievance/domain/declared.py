"""Days that a place declares otherwise: a snow closure, a half-day, an extra working Sunday."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from libs.common.refusal import Refused
from libs.contracts.event import Code, Event
from services.grievance.domain.calendar import Shifts

REASONS = (
    "snow",
    "road-closed",
    "strike",
    "election",
    "local-holiday",
    "holiday-moved",
    "half-day",
    "extra-day",
    "mistake",
)
FURTHEST = dt.timedelta(days=732)


class DeclaredDays(BaseModel):
    """`changes` counts declarations; `derived` how many of them every open case has been held against."""

    model_config = ConfigDict(frozen=True)

    days: Mapping[dt.date, Shifts] = Field(default_factory=dict)
    changes: int = 0
    derived: int = 0


class DayDeclared(Event):
    day: dt.date
    shifts: Shifts
    reason: Code


class DatesDerived(Event):
    """Every open case of the place was held against the calendar as it was after so many changes."""

    changes: int


@dataclass(frozen=True)
class Declare:
    """No shifts: closed. `reason` is one of REASONS."""

    day: dt.date
    shifts: Shifts
    reason: str


@dataclass(frozen=True)
class NoteDerived:
    changes: int


def decide(state: DeclaredDays | None, command: Declare | NoteDerived, now: dt.datetime) -> list[Event]:
    if isinstance(command, NoteDerived):
        return [DatesDerived(changes=command.changes)] if state and command.changes > state.derived else []
    if command.reason not in REASONS:
        raise Refused("unknown-reason", f"must be one of {', '.join(REASONS)}", field="reason")
    if abs(command.day - now.date()) > FURTHEST:
        raise Refused("date-out-of-range", f"must be within {FURTHEST.days} days of today", field="day")
    in_order = sorted(command.shifts, key=lambda shift: shift.opens)
    if any(early.closes > late.opens for early, late in itertools.pairwise(in_order)):
        raise Refused("shifts-overlap", "must not overlap", field="shifts")
    return [DayDeclared(day=command.day, shifts=tuple(in_order), reason=command.reason)]


def evolve(state: DeclaredDays | None, event: Event) -> DeclaredDays:
    state = state or DeclaredDays()
    match event:
        case DayDeclared():
            days = {**state.days, event.day: event.shifts}
            return state.model_copy(update={"days": days, "changes": state.changes + 1})
        case DatesDerived():
            return state.model_copy(update={"derived": event.changes})
    raise TypeError(f"a calendar knows no {event.TYPE}")
