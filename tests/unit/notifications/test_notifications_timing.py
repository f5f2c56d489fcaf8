"""Quiet hours against a slow minute-by-minute reference."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications.domain.timing import IST, QuietHours, indian_day

MINUTE = dt.timedelta(minutes=1)
moments = st.integers(0, 60 * 24 * 3).map(lambda minutes: dt.datetime(2026, 11, 20, tzinfo=dt.UTC) + minutes * MINUTE)
times = st.integers(0, 24 * 60 - 1).map(lambda minutes: dt.time(minutes // 60, minutes % 60))


def is_quiet(hours: QuietHours, now: dt.datetime) -> bool:
    """Walks the day from the beginning of the quiet to its end and looks whether this minute is met."""
    minute = dt.datetime.combine(dt.date(2026, 1, 1), hours.begin)
    wanted = now.astimezone(IST).time().replace(second=0, microsecond=0)
    while minute.time() != hours.end:
        if minute.time() == wanted:
            return True
        minute += MINUTE
    return False


@given(moments, times, times)
def test_as_the_slow_reference_says(now: dt.datetime, begin: dt.time, end: dt.time) -> None:
    if begin == end:
        with pytest.raises(ValueError, match="different times"):
            QuietHours(begin=begin, end=end)
        return
    hours = QuietHours(begin=begin, end=end)
    until = hours.ends_at(now)
    assert (until is not None) == is_quiet(hours, now)
    if until is not None:
        assert now < until <= now + dt.timedelta(days=1)
        assert until.astimezone(IST).time() == end
        assert hours.ends_at(until) is None
        assert is_quiet(hours, until - MINUTE)


def test_over_midnight() -> None:
    hours = QuietHours()
    evening = dt.datetime(2026, 11, 20, 21, 0, tzinfo=IST)
    assert hours.ends_at(evening) == dt.datetime(2026, 11, 21, 8, 0, tzinfo=IST)
    assert hours.ends_at(evening - MINUTE) is None
    assert hours.ends_at(dt.datetime(2026, 11, 21, 7, 59, tzinfo=IST)) == dt.datetime(2026, 11, 21, 8, 0, tzinfo=IST)
    assert hours.ends_at(dt.datetime(2026, 11, 21, 8, 0, tzinfo=IST)) is None


def test_the_indian_day_begins_before_the_utc_one() -> None:
    assert indian_day(dt.datetime(2026, 11, 20, 18, 30, tzinfo=dt.UTC)) == dt.date(2026, 11, 21)
    assert indian_day(dt.datetime(2026, 11, 20, 18, 29, tzinfo=dt.UTC)) == dt.date(2026, 11, 20)
