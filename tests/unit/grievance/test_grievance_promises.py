"""Clocks, escalation, pauses, transfer, appeal: what a case is promised, and that nothing closes it falsely."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest
from grievance_case import (
    ABOUT,
    ALSO,
    CELL,
    FILE,
    FIRST,
    FIXED,
    OFFICE,
    POLICY,
    SECOND,
    SNOWED_IN,
    START,
    TO_FIRST,
    after,
    names,
    run,
    span,
)

from libs.common.refusal import Refused
from services.grievance.domain import moments
from services.grievance.domain.calendar import IST
from services.grievance.domain.commands import (
    Appeal,
    AppealSettled,
    Attempt,
    CloseUnreachable,
    Confirm,
    Interim,
    NoteAppealOpened,
    Pause,
    Rederive,
    Reopen,
    TellParent,
    Tick,
    Transfer,
)
from services.grievance.domain.events import AppealDecided, ClockMissed, Escalated, Rederived, Reopened, Resumed
from services.grievance.domain.fold import evolve
from services.grievance.domain.grievance import decide
from services.grievance.domain.moves import allowed
from services.grievance.domain.state import Status
from services.grievance.store import GRIEVANCE


def test_reopening_counts_cycles_and_goes_back_to_who_had_it() -> None:
    one_round: list[tuple[Any, int]] = [(FIXED, 1), (Reopen("nothing changed"), 1)]
    state, journal = run([(TO_FIRST, 1), *one_round, *one_round])
    assert [event.cycle for event in journal if isinstance(event, Reopened)] == [1, 2]
    assert (state.status, state.reopened, state.assigned_to) == ("assigned", 2, f"nodal-officer@{FIRST}")
    assert (state.outcome, state.action_taken, state.resolved_at) == (None, "", None)
    assert after(one_round).status == "filed"


def test_escalation_goes_up_while_the_first_office_stays_legal() -> None:
    state = after([("tick", 121), ("tick", 361), ("tick", 121)])
    assert (state.handled_by, state.offices, state.missed) == (CELL, (FIRST, SECOND, CELL), ("first-action",))
    assert decide(state, FIXED, START, OFFICE)


def test_escalation_needs_a_breach_and_its_own_step() -> None:
    state = after([(TO_FIRST, 1)])
    late = START + dt.timedelta(hours=6)
    assert decide(state, Tick("redress", 1, SECOND), late - dt.timedelta(seconds=1), OFFICE) == []
    assert decide(state, Tick("redress", 2, SECOND), late, OFFICE) == []
    (event,) = decide(state, Tick("redress", 1, SECOND), late, OFFICE)
    assert isinstance(event, Escalated)
    assert (event.due_at, event.clocks[0].due_at) == (late, late + dt.timedelta(hours=2))
    later = evolve(state, event)
    assert decide(later, Tick("redress", 1, SECOND), late + dt.timedelta(hours=9), OFFICE) == []


def test_the_clock_stands_while_it_is_resolved_and_a_missed_date_still_counts_after_a_reopening() -> None:
    state = after([(FIXED, 60), (Attempt("phone", True), 1)])
    then = START + dt.timedelta(hours=9)
    due = GRIEVANCE.due(state)
    assert due == START + dt.timedelta(hours=1, days=2)
    assert decide(state, Tick("redress", 1, SECOND), then, OFFICE) == []
    reopened = evolve(state, decide(state, Reopen("nothing changed"), then, OFFICE)[0])
    assert moments.next_due(reopened) is not None
    assert len(decide(reopened, Tick("redress", 1, SECOND), then, OFFICE)) == 1


def test_after_the_last_step_it_stays_overdue_without_a_clock() -> None:
    state = after([(TO_FIRST, 1), ("tick", 400), ("tick", 400), ("tick", 400), ("tick", 400)])
    assert (state.step, state.open, GRIEVANCE.due(state)) == (3, True, None)


def test_assigning_again_does_not_touch_the_clock() -> None:
    """rival-digit.md W13: there any edit moves `lastModifiedTime`, and with it the escalation."""
    assert GRIEVANCE.due(after([(TO_FIRST, 300), (TO_FIRST, 59)])) == START + dt.timedelta(hours=6)


def test_a_first_action_missed_is_recorded_once_and_escalates_nobody() -> None:
    state, journal = run([("tick", 121), ("tick", 1)])
    assert names(journal)[2:] == ["ClockMissed"]
    missed = journal[2]
    assert isinstance(missed, ClockMissed)
    assert (missed.clock, missed.due_at) == ("first-action", START + dt.timedelta(hours=2))
    assert (state.missed, state.step, state.handled_by) == (("first-action",), 0, FIRST)


def test_a_pause_stops_the_clocks_and_ends_by_itself() -> None:
    until = START + dt.timedelta(hours=5)
    paused = after([(TO_FIRST, 10), (Pause("road-closed", until), 50)])
    assert GRIEVANCE.due(paused) == until
    (event,) = decide(paused, Tick("pause", 1, SECOND), until, OFFICE)
    assert isinstance(event, Resumed)
    resumed = evolve(paused, event)
    assert GRIEVANCE.due(resumed) == START + dt.timedelta(hours=10)
    assert resumed.due_at == START + dt.timedelta(hours=6)
    assert decide(resumed, Tick("pause", 1, SECOND), until, OFFICE) == []


def test_resolving_ends_a_pause() -> None:
    state, journal = run([(Pause("weather", START + dt.timedelta(days=2)), 10), (FIXED, 60)])
    assert names(journal)[2:] == ["Paused", "Resumed", "Resolved"]
    assert (state.paused, len(state.pauses)) == (None, 1)


def test_a_changed_calendar_derives_anew_keeps_the_old_promise_and_fires_nothing_twice() -> None:
    promises = POLICY.promises.model_copy(
        update={"redress": span("1 working days"), "ladder": (span("1 working days"),)}
    )
    slow = dataclasses.replace(FILE, policy=POLICY.model_copy(update={"promises": promises}))
    state, _ = run([(TO_FIRST, 1)], first=slow)
    monday = dt.datetime(2026, 11, 23, 17, tzinfo=IST)
    assert state.due_at == monday
    (event,) = decide(state, Rederive(), START, SNOWED_IN)
    assert isinstance(event, Rederived)
    assert (event.was_due_at, event.due_at) == (monday, dt.datetime(2026, 11, 25, 17, tzinfo=IST))
    snowed = evolve(state, event)
    assert decide(snowed, Tick("redress", 1, SECOND), monday, SNOWED_IN) == []
    assert decide(snowed, Rederive(), START, SNOWED_IN) == []
    wednesday = dt.datetime(2026, 11, 25, 17, tzinfo=IST)
    escalated = evolve(snowed, decide(snowed, Tick("redress", 1, SECOND), wednesday, SNOWED_IN)[0])
    back = decide(escalated, Rederive(), wednesday, OFFICE)
    for event in back:
        escalated = evolve(escalated, event)
    assert escalated.due_at == monday
    assert decide(escalated, Tick("redress", 1, SECOND), wednesday + dt.timedelta(days=9), OFFICE) == []
    assert escalated.step == 1


def test_an_interim_reply_keeps_the_promise() -> None:
    expected = START + dt.timedelta(days=9)
    state = after([(Interim(expected, "the part is on its way"), 5)])
    assert (state.expected_by, state.due_at) == (expected, START + dt.timedelta(hours=6))


def test_a_transfer_keeps_when_it_was_received_and_whom_it_had() -> None:
    state = after([(TO_FIRST, 10), (Transfer(SECOND, "wrong-office", "the district runs it"), 60)])
    assert (state.status, state.handled_by, state.assigned_to, state.transfers) == ("filed", SECOND, None, 1)
    assert (state.filed_at, state.due_at) == (START, START + dt.timedelta(hours=6))
    assert state.offices == (FIRST, SECOND)


def test_unreachable_needs_attempts_over_days_and_nobody_reached() -> None:
    day = 24 * 60
    few = after([(FIXED, 1), (Attempt("phone", False), 1)])
    at_once = after([(FIXED, 1), (Attempt("phone", False), 1), (Attempt("visit", False), 1)])
    reached = after([(FIXED, 1), (Attempt("phone", False), 1), (Attempt("visit", True), day)])
    for state, code in ((few, "too-few-attempts"), (at_once, "too-few-attempts"), (reached, "complainant-was-reached")):
        with pytest.raises(Refused) as refusal:
            decide(state, CloseUnreachable(), START, OFFICE)
        assert (refusal.value.code, refusal.value.field) == (code, None)
    enough = [(FIXED, 1), (Attempt("phone", False), 1), (Attempt("visit", False), day), (CloseUnreachable(), 1)]
    closed = after(enough)
    assert (closed.status, closed.rating) == ("closed-unreachable", None)
    assert after([*enough, (Reopen("I am back"), 9 * day)]).status == "filed"
    again = after([*enough, (Reopen("I am back"), 1), (FIXED, 1), (CloseUnreachable(), 1)])
    assert again.status == "resolved", "attempts of an earlier cycle do not count"


def test_an_appeal_holds_its_parent_open_until_it_is_decided() -> None:
    state = after([(FIXED, 1), (Appeal("a1", "not enough"), 1)])
    assert (state.appeals_open, state.appeal_waits, GRIEVANCE.due(state)) == (("a1",), "a1", None)
    assert GRIEVANCE.retry_at(state) is not None
    opened = evolve(state, decide(state, NoteAppealOpened("a1"), START, OFFICE)[0])
    assert GRIEVANCE.retry_at(opened) is None
    assert decide(opened, NoteAppealOpened("a1"), START, OFFICE) == []
    assert decide(opened, AppealSettled("a2", "fixed"), START, OFFICE) == []
    (event,) = decide(opened, AppealSettled("a1", "fixed"), START, OFFICE)
    assert isinstance(event, AppealDecided)
    decided = evolve(opened, event)
    assert decide(decided, AppealSettled("a1", "fixed"), START, OFFICE) == []
    assert allowed(decided, "reporter") == ("confirm", "reopen", "appeal")
    assert GRIEVANCE.due(decided) == START + dt.timedelta(days=2)


def test_an_appeal_comes_in_time_and_not_where_there_is_none() -> None:
    with pytest.raises(Refused) as refusal:
        decide(after([(FIXED, 1)]), Appeal("a1", "no"), START + dt.timedelta(days=3, hours=1), OFFICE)
    assert refusal.value.code == "appeal-too-late"
    final = dataclasses.replace(FILE, policy=POLICY.model_copy(update={"appeal": None}), parent="g1")
    state, _ = run([(FIXED, 1)], first=final)
    assert allowed(state, "reporter") == ("confirm", "reopen")
    closed, _ = run([(FIXED, 1), (Confirm(3), 1)], first=final)
    assert closed.parent_waits
    assert GRIEVANCE.retry_at(closed) is not None
    told = evolve(closed, decide(closed, TellParent(), START, OFFICE)[0])
    assert GRIEVANCE.retry_at(told) is None
    assert decide(told, TellParent(), START, OFFICE) == []


def test_filing_about_oneself_is_impossible() -> None:
    for office in (ABOUT, ALSO):
        with pytest.raises(Refused) as refusal:
            decide(None, dataclasses.replace(FILE, handled_by=office), START, OFFICE)
        assert refusal.value.field == "about_facility"


def test_a_move_on_nothing_decides_nothing() -> None:
    assert decide(None, Confirm(5), START, OFFICE) == []


def test_every_status_is_reached() -> None:
    reached: set[Status] = {
        after(path).status
        for path in (
            [],
            [(TO_FIRST, 1)],
            [(FIXED, 1)],
            [(FIXED, 1), (Confirm(5), 1)],
            [(FIXED, 1), (Attempt("sms", False), 1), (Attempt("sms", False), 2000), (CloseUnreachable(), 1)],
        )
    }
    assert reached == {"filed", "assigned", "resolved", "closed", "closed-unreachable"}
