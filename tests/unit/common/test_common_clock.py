"""The day's clock goes by what it has seen, and by nothing else."""

from __future__ import annotations

import datetime as dt

from libs.common.clock import LONG_AGO, DayClock

IST = dt.timezone(dt.timedelta(hours=5, minutes=30))
MORNING = dt.datetime(2026, 11, 20, 8, 30, tzinfo=IST)


def test_what_is_recorded_before_the_day_begins_does_not_push_another_s_clock_past_it() -> None:
    starting, listening = DayClock(), DayClock()
    listening.saw(starting.now())
    assert listening.due_before() == LONG_AGO
    listening.saw(MORNING)
    assert listening.now() == MORNING


def test_it_never_goes_back() -> None:
    clock = DayClock()
    clock.saw(MORNING)
    clock.saw(MORNING - dt.timedelta(hours=1))
    assert clock.now() == clock.due_before() == MORNING
