"""Which of a case's clocks run now, when the next is due, and how a date is derived."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from services.grievance.domain.calendar import Interval, WorkingCalendar
from services.grievance.domain.clocks import Clock, Span, due
from services.grievance.domain.state import Grievance

OPEN_CLOCKS = ("first-action", "redress")
"""Run while it is to be put right, and stand in a pause."""

ON_CALL = "on-call"
"""Runs while nobody has taken an emergency."""

RESOLVED_CLOCKS = ("tell", "confirm")
"""Run while the complainant's word is waited for."""


def started(now: dt.datetime, calendar: WorkingCalendar, **spans: Span | None) -> tuple[Clock, ...]:
    """A clock for each span there is. Raises NoWorkingTime."""
    return tuple(
        Clock(name=name, started_at=now, span=span, due_at=due(span, now, calendar))
        for name, span in spans.items()
        if span is not None
    )


def derived(clocks: Sequence[Clock], calendar: WorkingCalendar, pauses: Sequence[Interval]) -> tuple[Clock, ...]:
    """The same clocks by this calendar and these pauses, which concern only those that stand in a pause."""
    return tuple(
        clock.model_copy(
            update={"due_at": due(clock.span, clock.started_at, calendar, pauses if clock.name in OPEN_CLOCKS else ())}
        )
        for clock in clocks
    )


def promise(clocks: Sequence[Clock], now: dt.datetime) -> dt.datetime:
    """When redress is due."""
    return next((clock.due_at for clock in clocks if clock.name == "redress"), now)


def running(state: Grievance) -> list[Clock]:
    if state.status == "resolved" and not state.appeals_open:
        return [clock for clock in state.clocks if clock.name in RESOLVED_CLOCKS]
    if not state.open:
        return []
    if state.paused is not None:
        span = Span(amount=1, unit="minutes")
        return [Clock(name="pause", started_at=state.paused.since, span=span, due_at=state.paused.until)]
    return [clock for clock in state.clocks if clock.name in OPEN_CLOCKS or clock.name == ON_CALL]


def next_due(state: Grievance) -> Clock | None:
    """The running clock that is due first; of two at one instant the one of the lesser consequence."""
    return min(running(state), key=lambda clock: (clock.due_at, clock.name == "redress"), default=None)


def step(state: Grievance, clock: Clock) -> int:
    """The number of the step that this clock's date asks for: never given twice to the same case."""
    if clock.name == "redress":
        return state.step + 1
    if clock.name == "pause":
        return len(state.pauses) + 1
    if clock.name == ON_CALL:
        return len(state.paged) + 1
    return len(state.missed) + 1
