"""Working time, against a slow reference that walks minute by minute, and the bugs that others had with it."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.grievance.domain.calendar import IST, NoWorkingTime, Season, Shift, WorkingCalendar
from services.grievance.domain.clocks import Span, due

MINUTE = dt.timedelta(minutes=1)


def shift(opens: str, closes: str) -> Shift:
    return Shift(opens=dt.time.fromisoformat(opens), closes=dt.time.fromisoformat(closes))


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=IST)


DAY = (shift("09:30", "17:30"),)
SPLIT = (shift("09:30", "13:00"), shift("14:00", "17:30"))
OFFICE = WorkingCalendar(code="office", week=(DAY, DAY, DAY, DAY, DAY, (), ()))

shifts = st.sampled_from(
    [(), DAY, SPLIT, (shift("10:00", "14:00"),), (shift("00:00", "23:59"),), (shift("22:00", "23:00"),)]
)
weeks = st.tuples(*[shifts] * 7).filter(any)
days = st.dates(dt.date(2026, 11, 1), dt.date(2026, 12, 31))
calendars = st.builds(
    WorkingCalendar,
    code=st.just("any"),
    week=weeks,
    seasons=st.one_of(st.just(()), st.builds(lambda week: (Season(first="11-15", last="02-28", week=week),), weeks)),
    holidays=st.dictionaries(days, st.just("holiday"), max_size=4),
    days=st.dictionaries(days, shifts, max_size=4),
)
instants = st.integers(0, 20 * 24 * 60).map(lambda minutes: at("2026-11-16T00:00") + minutes * MINUTE)
pauses = st.lists(st.tuples(instants, st.integers(1, 3000)), max_size=3).map(
    lambda found: tuple((start, start + length * MINUTE) for start, length in found)
)


def counts(
    moment: dt.datetime, calendar: WorkingCalendar | None, paused: tuple[tuple[dt.datetime, dt.datetime], ...]
) -> bool:
    """Whether the minute that starts at `moment` counts."""
    if any(start <= moment < end for start, end in paused):
        return False
    if calendar is None:
        return True
    return any(
        found.opens <= moment.timetz().replace(tzinfo=None) < found.closes for found in calendar.shifts(moment.date())
    )


@settings(max_examples=150, deadline=None)
@given(calendars, instants, st.integers(1, 40), pauses, st.booleans())
def test_hours_as_a_slow_walk_counts_them(
    calendar: WorkingCalendar,
    start: dt.datetime,
    hours: int,
    paused: tuple[tuple[dt.datetime, dt.datetime], ...],
    works: bool,
) -> None:
    moment, left, walked = start, hours * 60, 0
    while left and walked < 90 * 24 * 60:
        left -= counts(moment, calendar if works else None, paused)
        moment += MINUTE
        walked += 1
    if left:
        return
    assert due(Span(amount=hours, unit="working hours" if works else "hours"), start, calendar, paused) == moment


@settings(max_examples=150, deadline=None)
@given(calendars, instants, st.integers(1, 10), pauses)
def test_working_days_as_a_slow_walk_counts_them(
    calendar: WorkingCalendar, start: dt.datetime, wanted: int, paused: tuple[tuple[dt.datetime, dt.datetime], ...]
) -> None:
    day, left = start.date(), wanted
    while left and (day - start.date()).days < 90:
        day += dt.timedelta(days=1)
        found = sorted(calendar.shifts(day), key=lambda each: each.opens)
        if not found:
            continue
        opens, closes = (dt.datetime.combine(day, time, IST) for time in (found[0].opens, found[-1].closes))
        minutes = (opens + number * MINUTE for number in range(int((closes - opens) / MINUTE)))
        if all(counts(moment, None, paused) for moment in minutes):
            left -= 1
            closing = closes
    if left:
        return
    assert due(Span(amount=wanted, unit="working days"), start, calendar, paused) == closing


def test_an_hour_on_friday_evening_is_due_on_monday_morning() -> None:
    """Chatwoot PR 13392: 16:30 and an hour was due at 17:30 though the office closes at 17:00."""
    short = WorkingCalendar(code="short", week=(*[(shift("09:00", "17:00"),)] * 5, (), ()))
    assert due(Span(amount=1, unit="working hours"), at("2026-11-20T16:30"), short) == at("2026-11-23T09:30")


def test_a_day_may_have_two_shifts() -> None:
    """Chatwoot #14009: one interval per day."""
    split = WorkingCalendar(code="split", week=(SPLIT,) * 7)
    assert due(Span(amount=1, unit="working hours"), at("2026-11-20T12:30"), split) == at("2026-11-20T14:30")


def test_holidays_do_not_count() -> None:
    """Chatwoot #6467: no holidays."""
    calendar = OFFICE.model_copy(update={"holidays": {dt.date(2026, 11, 23): "a holiday"}})
    assert due(Span(amount=1, unit="working days"), at("2026-11-20T11:00"), calendar) == at("2026-11-24T17:30")


def test_nothing_is_due_at_midnight() -> None:
    """Zammad #4432, GLPI PR 22678: reminders and escalations at 00:00."""
    for hour in range(24):
        moment = due(Span(amount=8, unit="working hours"), at(f"2026-11-18T{hour:02}:15"), OFFICE).astimezone(IST)
        assert dt.time(9, 30) < moment.time() <= dt.time(17, 30)


def test_a_pause_over_a_weekend_is_counted_once() -> None:
    """GLPI #10594: pending across a weekend was taken off twice."""
    paused = ((at("2026-11-20T16:30"), at("2026-11-23T10:30")),)
    assert due(Span(amount=2, unit="working hours"), at("2026-11-20T15:30"), OFFICE, paused) == at("2026-11-23T11:30")


def test_clocks_side_by_side_do_not_override_each_other() -> None:
    """Zammad #5177: the update clock overrides the first response."""
    start = at("2026-11-20T10:00")
    spans = {"first-action": "4 working hours", "redress": "21 days", "tell": "5 working days"}
    dates = [due(Span.model_validate(span), start, OFFICE) for span in spans.values()]
    assert dates == [at("2026-11-20T14:00"), at("2026-12-11T10:00"), at("2026-11-27T17:30")]


def test_winter_hours_and_half_days() -> None:
    winter = Season(first="11-16", last="03-15", week=(*[(shift("10:00", "16:00"),)] * 5, (), ()))
    calendar = OFFICE.model_copy(
        update={"seasons": (winter,), "days": {dt.date(2026, 11, 18): (shift("10:00", "12:00"),)}}
    )
    assert due(Span(amount=3, unit="working hours"), at("2026-11-18T10:00"), calendar) == at("2026-11-19T11:00")
    assert calendar.shifts(dt.date(2026, 4, 1)) == DAY
    assert calendar.shifts(dt.date(2027, 1, 4)) == (shift("10:00", "16:00"),)


def test_a_snow_closure_does_not_count_and_an_extra_sunday_does() -> None:
    snowed = OFFICE.model_copy(update={"days": {dt.date(2026, 11, 20): (), dt.date(2026, 11, 22): DAY}})
    assert due(Span(amount=1, unit="working days"), at("2026-11-19T11:00"), snowed) == at("2026-11-22T17:30")


def test_emergencies_ignore_office_hours() -> None:
    assert due(Span(amount=4, unit="hours"), at("2026-11-21T22:00"), OFFICE) == at("2026-11-22T02:00")


def test_a_calendar_without_working_time_says_so() -> None:
    never = WorkingCalendar(code="never", week=((),) * 7)
    for unit in ("working hours", "working days"):
        with pytest.raises(NoWorkingTime):
            due(Span.model_validate({"amount": 1, "unit": unit}), at("2026-11-20T10:00"), never)


@pytest.mark.parametrize("written", ["21 days", "4 hours", "30 minutes", "15 working days", "1.5 working hours"])
def test_a_span_reads_as_it_is_written(written: str) -> None:
    assert Span.model_validate(written).model_dump() == written


@pytest.mark.parametrize(
    "written", ["soon", "0 days", "-1 days", "1.5 working days", "3 working minutes", "5000 days", 4]
)
def test_nonsense_is_no_span(written: object) -> None:
    with pytest.raises(ValidationError):
        Span.model_validate(written)
