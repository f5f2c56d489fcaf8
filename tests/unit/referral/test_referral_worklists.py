"""What waits for whom: every referral that waits stands on a list of who must act, and nobody is reminded for ever."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.refusal import Refused
from services.referral.answers import ReferralAnswer
from services.referral.domain import commands as machine
from services.referral.domain import moves, reminders, worklists
from services.referral.domain.commands import By
from services.referral.domain.events import HopAsked, ReferralErased
from services.referral.domain.leg import Leg
from services.referral.domain.referral import Referral, decide, evolve, overdue
from services.referral.domain.referral import due as promised
from services.referral.domain.worklists import LISTS, entries, key

NOW = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
TODAY = dt.date(2026, 11, 20)
HERE, THERE, ABOVE = "HP-KNR-CHC-POOH", "HP-KNR-RH-PEO", "HP-SML-MC-IGMC"


def referral(status: moves.Status, **more: object) -> Referral:
    known = {
        "patient": "p1",
        "origin": HERE,
        "destination": THERE,
        "service": "surgery",
        "urgency": "urgent",
        "requested_at": NOW,
        "changed_at": NOW,
    }
    return Referral.model_validate(known | {"status": status} | more)


@pytest.mark.parametrize("status", sorted(moves.STANDINGS))
def test_whoever_has_a_move_in_a_status_finds_it_on_a_list(status: moves.Status) -> None:
    """But for what may still be done to what has ended."""
    stands = {entry.split("@")[1] for entry in entries(referral(status))}
    acting = {
        actor.side
        for move in moves.MOVES
        if move.at == status and move.command not in ("record-death", "void")
        for actor in move.who
        if actor.role != moves.CLOCK
    }
    assert bool(stands) == bool(acting), status


@given(
    status=st.sampled_from(sorted(moves.STANDINGS)),
    leg=st.sampled_from(["none", "departed", "held"]),
    late=st.booleans(),
)
@settings(max_examples=150)
def test_every_entry_is_a_known_list_at_an_end_of_the_referral(status: moves.Status, leg: str, late: bool) -> None:
    state = referral(status, leg=Leg(status=leg), arrival_lapsed=late, escalated_at=ABOVE, arrive_due=NOW)  # type: ignore[arg-type]
    for entry in entries(state):
        name, facility = entry.split("@")
        assert name.startswith("expected:") or name in LISTS
        assert facility in (HERE, THERE, ABOVE)
    assert Referral.model_validate(state.model_dump(mode="json")).lists == state.lists == entries(state)


def test_who_is_on_the_way_is_seen_at_both_ends_and_expected_on_a_day() -> None:
    leg = Leg(status="departed", departed_at=NOW, travel_seconds=3600)
    state = referral("accepted", leg=leg, arrive_due=NOW + dt.timedelta(days=3))
    assert set(entries(state)) == {f"en-route@{THERE}", f"en-route@{HERE}", key("expected-today", THERE, TODAY)}
    waiting = referral("accepted", arrive_due=NOW + dt.timedelta(days=3))
    assert set(entries(waiting)) == {
        f"to-send@{HERE}",
        key("expected-today", THERE, TODAY + dt.timedelta(days=3)),
    }
    booked = referral("scheduled", appointment_at=NOW + dt.timedelta(days=1), arrive_due=NOW + dt.timedelta(days=2))
    assert key("expected-today", THERE, TODAY + dt.timedelta(days=1)) in entries(booked)


def test_a_broken_promise_is_seen_at_both_ends_and_where_it_was_told() -> None:
    late = referral("lapsed", escalated_at=ABOVE)
    assert {f"overdue@{place}" for place in (HERE, THERE, ABOVE)} < set(entries(late))
    assert not any(entry.startswith("overdue") for entry in entries(referral("requested")))
    assert not any(entry.startswith("overdue") for entry in entries(referral("closed", chain_escalated=True)))


def test_emergencies_come_first_then_the_oldest() -> None:
    old = referral("requested", urgency="routine", requested_at=NOW - dt.timedelta(days=9))
    new = referral("requested", urgency="emergency")
    newer = referral("requested", urgency="emergency", requested_at=NOW + dt.timedelta(milliseconds=1))
    assert sorted([newer.rank, old.rank, new.rank]) == [new.rank, newer.rank, old.rank]


@pytest.mark.parametrize("status", sorted(reminders.OWED))
def test_whoever_owes_a_step_is_reminded_a_few_times(status: moves.Status) -> None:
    owed = reminders.OWED[status]
    assert moves.find(status, owed.step) is not None
    state = referral(status)
    at = reminders.due(state)
    assert at == NOW + owed.every
    assert at is not None
    assert reminders.remind(state, at - dt.timedelta(seconds=1)) == []
    told = []
    while (at := reminders.due(state)) is not None:
        (event,) = reminders.remind(state, at)
        told.append(event)
        state = evolve(state, event)
    assert [event.reminder for event in told] == [1, 2, 3]  # type: ignore[attr-defined]
    place = HERE if owed.side == "origin" else THERE
    assert {event.owed_by for event in told} == {f"{owed.role}@{place}"}  # type: ignore[attr-defined]
    assert state.status == status


def test_reminders_that_are_late_come_one_after_the_other() -> None:
    every, late = reminders.OWED["treated"].every, NOW + dt.timedelta(days=30)
    state = referral("treated")
    [first] = reminders.remind(state, late)
    state = evolve(state, first)
    assert reminders.due(state) == late + every
    assert reminders.remind(state, late) == []
    before_it_was_kept = referral("treated", reminded=1)
    assert reminders.due(before_it_was_kept) == NOW + 2 * every


def test_an_erasure_begins_no_reminder_anew_that_its_timer_has_told_already() -> None:
    state = referral("treated")
    told = []
    for _ in range(reminders.AT_MOST):
        at = reminders.due(state)
        assert at is not None
        [event] = reminders.remind(state, at)
        told.append(event)
        state = evolve(evolve(state, event), ReferralErased(at=at))
    assert [event.reminder for event in told] == [1, 2, 3]  # type: ignore[attr-defined]
    assert reminders.due(state) is None


def test_who_is_held_is_remembered_when_the_way_was_to_open_or_after_a_day() -> None:
    transport = By("transport", HERE)
    for release, first in ((NOW + dt.timedelta(hours=3), 3), (None, 24), (NOW - dt.timedelta(hours=3), 0)):
        [held] = decide(referral("accepted"), machine.Hold("pass-closed", release), transport, NOW)
        state = evolve(referral("accepted"), held)
        at = reminders.due(state)
        assert at == NOW + dt.timedelta(hours=first)
        assert at is not None
        [owed] = reminders.remind(state, at)
        assert (owed.owed_by, owed.step) == (f"transport@{HERE}", "depart")  # type: ignore[attr-defined]
        assert reminders.due(evolve(state, owed)) == at + dt.timedelta(hours=24)
        [on] = decide(state, machine.Depart("own-vehicle"), transport, at)
        assert reminders.due(evolve(state, on)) is None


def test_the_desk_is_asked_of_who_should_have_come() -> None:
    [missed] = reminders.remind(referral("scheduled", arrival_lapsed=True), NOW + dt.timedelta(hours=24))
    assert (missed.owed_by, missed.step) == (f"desk@{THERE}", "no-show")  # type: ignore[attr-defined]
    assert all(moves.find(status, "no-show") for status in ("accepted", "scheduled"))  # type: ignore[arg-type]
    assert reminders.due(referral("scheduled")) is None


def test_who_was_declined_and_is_treated_at_home_waits_for_nobody() -> None:
    declined = referral("declined", declined_for="manageable-at-origin")
    assert entries(declined) == (f"to-decide@{HERE}",)
    [settled] = decide(declined, machine.TreatHere(), By("doctor", HERE), NOW)
    after = evolve(declined, settled)
    assert (after.status, entries(after), reminders.due(after)) == ("declined", (), None)
    assert settled.TOPIC is None
    with pytest.raises(Refused) as twice:
        decide(after, machine.TreatHere(), By("doctor", HERE), NOW)
    assert (twice.value.code, twice.value.field) == ("illegal-move", None)
    assert "treat-here" not in twice.value.allowed
    assert ReferralAnswer.of("r1", after).settled


def test_who_is_treated_at_home_breaks_no_promise_and_has_what_was_left_if_sent_on_after_all() -> None:
    due, doctor = NOW + dt.timedelta(hours=10), By("doctor", HERE)
    late = referral("declined", declined_for="no-bed", chain_escalated=True, escalated_at=ABOVE)
    for declined in (referral("declined", declined_for="no-bed", chain_due=due), late):
        [settled] = decide(declined, machine.TreatHere(), doctor, NOW + dt.timedelta(hours=4))
        after = evolve(declined, settled)
        assert overdue(after, f"nodal-officer@{ABOVE}", None, due + dt.timedelta(days=9)) == []
        assert (promised(after), entries(after)) == (None, ())
    before = referral("declined", settled=True, chain_due=due)
    assert overdue(before, f"nodal-officer@{ABOVE}", None, due) == []
    [settled] = decide(referral("declined", chain_due=due), machine.TreatHere(), doctor, NOW + dt.timedelta(hours=4))
    after = evolve(referral("declined", chain_due=due), settled)
    later = due + dt.timedelta(days=2)
    [moved, hop] = decide(after, machine.Redirect(ABOVE, "no-bed", next="r2"), doctor, later)
    assert isinstance(hop, HopAsked)
    assert hop.chain_due == later + dt.timedelta(hours=6)
    assert not evolve(after, moved).settled


def test_a_step_that_is_done_is_not_reminded_of_and_the_next_starts_anew() -> None:
    state = referral("treated", reminded=2)
    (done,) = decide(state, machine.BackRefer("rest"), By("doctor", THERE), NOW + dt.timedelta(days=9))
    after = evolve(state, done)
    assert after.reminded == 0
    assert reminders.due(after) == NOW + dt.timedelta(days=9) + reminders.OWED["back-referred"].every
    assert reminders.due(referral("closed")) is None


def test_every_list_says_what_it_is_and_who_looks() -> None:
    assert all(listing.about and listing.roles for listing in LISTS.values())
    assert set(worklists.Name.__args__) == set(LISTS)  # type: ignore[attr-defined]
