"""The clocks of a referral, and what it holds at its destination."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from libs.common.refusal import Refused
from libs.contracts.event import Event
from libs.contracts.referral import Hours, Weekday
from services.referral import directory, usecases
from services.referral.domain import clocks, referral
from services.referral.domain import commands as machine
from services.referral.domain.commands import By, Step
from services.referral.domain.events import (
    PatientBackReferred,
    ReferralBreached,
    ReservationGivenUp,
    ReservationsReleased,
)
from services.referral.domain.referral import Referral, decide, evolve, open_moves
from services.referral.domain.reservations import Reservation, Slot

NOW = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
HERE, THERE, ELSEWHERE = "HP-KNR-CHC-POOH", "HP-KNR-RH-PEO", "LA-LEH-DH-SNM"
REQUEST = machine.Request("p1", THERE, "surgery", "urgent", "acute abdomen, guarding")
DOCTOR_HERE, DOCTOR_THERE = By("doctor", HERE), By("doctor", THERE)


def fold(events: list[Event]) -> Referral:
    state: Referral | None = None
    for event in events:
        state = evolve(state, event)
    assert state is not None
    return state


def requested() -> list[Event]:
    return decide(None, REQUEST, DOCTOR_HERE, NOW)


HALF_AN_HOUR = dt.timedelta(minutes=30)


def promised() -> list[Event]:
    return decide(None, dataclasses.replace(REQUEST, answer_within=HALF_AN_HOUR), DOCTOR_HERE, NOW)


def test_the_clock_lapses_what_nobody_answered_once_and_not_a_moment_early() -> None:
    state = fold(promised())
    assert referral.due(state) == NOW + HALF_AN_HOUR
    assert (
        referral.overdue(state, f"nodal-officer@{ELSEWHERE}", None, NOW + HALF_AN_HOUR - dt.timedelta(seconds=1)) == []
    )
    told = promised() + referral.overdue(state, f"nodal-officer@{ELSEWHERE}", None, NOW + HALF_AN_HOUR)
    lapsed = fold(told)
    assert [move.command for move in open_moves(lapsed, DOCTOR_THERE)][:2] == ["accept", "decline"]
    assert (lapsed.status, lapsed.escalated_to, lapsed.escalated_at) == (
        "lapsed",
        f"nodal-officer@{ELSEWHERE}",
        ELSEWHERE,
    )
    assert referral.due(lapsed) is None
    assert referral.overdue(lapsed, f"nodal-officer@{ELSEWHERE}", None, NOW + 2 * HALF_AN_HOUR) == []


def breaches(events: list[Event]) -> list[tuple[str, str, str | None]]:
    return [(e.promise, e.escalated_to, e.facility) for e in events if isinstance(e, ReferralBreached)]


def test_each_promise_that_is_broken_is_said_aloud_once_and_a_question_for_advice_is_not() -> None:
    cell = "LA-STATE-CELL"
    whole = dataclasses.replace(REQUEST, answer_within=HALF_AN_HOUR, chain_within=2 * HALF_AN_HOUR)
    told = decide(None, whole, DOCTOR_HERE, NOW)
    for at, promise in ((HALF_AN_HOUR, "answer"), (2 * HALF_AN_HOUR, "chain")):
        said = referral.overdue(fold(told), f"nodal-officer@{cell}", None, NOW + at)
        assert breaches(said) == [(promise, f"nodal-officer@{cell}", cell)]
        assert [e.rests_with for e in said if isinstance(e, ReferralBreached)] == [THERE]
        told += said
        assert referral.overdue(fold(told), f"nodal-officer@{cell}", None, NOW + at) == []
    late = accepted(travel=by_road(1))
    said = referral.overdue(fold(late), f"nodal-officer@{cell}", by_road(1), NOW + 2 * HALF_AN_HOUR)
    assert breaches(said) == [("arrival", f"nodal-officer@{cell}", cell)]
    assert [e.rests_with for e in said if isinstance(e, ReferralBreached)] == [HERE]
    question = machine.Ask("p1", THERE, "surgery", "urgent", "may he travel?", answer_within=HALF_AN_HOUR)
    asked = decide(None, question, DOCTOR_HERE, NOW)
    said = referral.overdue(fold(asked), f"nodal-officer@{cell}", None, NOW + HALF_AN_HOUR)
    assert fold(asked + said).status == "advice-lapsed"
    assert breaches(said) == []


@pytest.mark.parametrize(
    ("command", "by", "status"),
    [
        (machine.Accept(), DOCTOR_THERE, "accepted"),
        (machine.Decline("no-bed"), DOCTOR_THERE, "declined"),
        (machine.Cancel("patient-improved"), DOCTOR_HERE, "cancelled"),
    ],
)
def test_what_lapsed_can_still_be_answered(command: Step, by: By, status: str) -> None:
    told = promised()
    told += referral.overdue(fold(told), f"nodal-officer@{ELSEWHERE}", None, NOW + HALF_AN_HOUR)
    told += decide(fold(told), command, by, NOW + 2 * HALF_AN_HOUR)
    assert fold(told).status == status
    assert referral.due(fold(told)) is None


def test_what_was_answered_in_time_never_lapses() -> None:
    told = promised()
    told += decide(fold(told), machine.Accept(), DOCTOR_THERE, NOW)
    assert referral.due(fold(told)) is None
    assert referral.overdue(fold(told), f"nodal-officer@{ELSEWHERE}", None, NOW + 2 * HALF_AN_HOUR) == []


@pytest.mark.parametrize("role", ["doctor", "desk", "nodal-officer", "system"])
def test_nobody_but_the_clock_lapses(role: str) -> None:
    with pytest.raises(Refused):
        decide(fold(promised()), machine.Lapse("nodal-officer@X"), By(role, THERE), NOW)


def test_nobody_is_promised_a_place_in_hours_that_are_over() -> None:
    for ago, taken in ((dt.timedelta(hours=3), True), (dt.timedelta(hours=25), False)):
        slot = Slot(clinic="surgery", at=NOW - ago)
        if taken:
            assert decide(fold(promised()), machine.Accept(slot=slot), DOCTOR_THERE, NOW)
            continue
        with pytest.raises(Refused) as refused:
            decide(fold(promised()), machine.Accept(slot=slot), DOCTOR_THERE, NOW)
        assert refused.value.field == "slot"


BED = Reservation(id="res-1", ledger="icu-beds", facility=THERE, what="bed", kind="icu")
SLOT = Reservation(id="res-2", ledger="morning", facility=THERE, what="slot", kind="surgery", at=NOW)


SLOT_OF = Slot(clinic="surgery", at=NOW)


def by_road(hours: int, says: str | None = None, opened_at: dt.datetime | None = None) -> machine.Travel:
    return lambda origin, destination, urgency: machine.Trip(dt.timedelta(hours=hours), says, opened_at)


def accepted(*held: Reservation, travel: machine.Travel | None = None) -> list[Event]:
    told = requested()
    return told + decide(fold(told), machine.Accept(reserved=held, travel=travel), DOCTOR_THERE, NOW)


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ([], True),
        ([(machine.Arrive(), By("desk", THERE))], True),
        ([(machine.Arrive(), By("desk", THERE)), (machine.RecordOutcome("admitted"), DOCTOR_THERE)], True),
        ([(machine.RequestCancel("other"), DOCTOR_HERE)], True),
        ([(machine.Arrive(), By("desk", THERE)), (machine.RecordOutcome("left-against-advice"), DOCTOR_THERE)], False),
        ([(machine.RecordOutcome("admitted"), DOCTOR_THERE), (machine.BackRefer("rest"), DOCTOR_THERE)], False),
        ([(machine.RecordDeath("on-the-way"), By("transport", HERE))], False),
        ([(machine.RefuseTravel(), DOCTOR_HERE)], False),
        ([(machine.Cancel("other"), DOCTOR_HERE)], False),
        ([(machine.Decline("no-bed"), DOCTOR_THERE)], False),
        ([(machine.NoShow(), By("desk", THERE))], False),
        ([(machine.Redirect(ELSEWHERE, "no-bed", next="r2"), DOCTOR_THERE)], False),
        ([(machine.Void("duplicate"), DOCTOR_HERE)], False),
    ],
)
def test_a_bed_is_kept_while_it_is_needed_and_given_back_once_after(steps: list[Any], kept: bool) -> None:
    told = accepted(BED)
    for command, by in steps:
        told += decide(fold(told), command, by, NOW)
    state = fold(told)
    assert (state.reserved, state.releasing) == (((BED,), ()) if kept else ((), (BED,)))
    assert referral.owes(state) == (not kept or state.opening is not None)
    told.append(ReservationsReleased(ids=(BED.id,), at=NOW))
    assert fold(told).releasing == ()


def test_a_reservation_that_was_given_up_is_never_taken() -> None:
    told: list[Event] = [*requested(), ReservationGivenUp(id=BED.id, at=NOW)]
    with pytest.raises(Refused) as refused:
        decide(fold(told), machine.Accept(reserved=(BED,)), DOCTOR_THERE, NOW)
    assert refused.value.code == "reservation-given-up"
    assert fold(told).status == "requested"


def test_another_appointment_gives_back_the_place_of_the_one_before_and_keeps_the_bed() -> None:
    told = accepted(BED)
    desk = By("desk", THERE)
    told += decide(fold(told), machine.Schedule(NOW + dt.timedelta(days=1), reserved=(SLOT,)), desk, NOW)
    told += decide(fold(told), machine.Reschedule(NOW + dt.timedelta(days=2)), desk, NOW)
    assert (fold(told).reserved, fold(told).releasing) == ((BED,), (SLOT,))


def test_an_appointment_in_the_hours_that_are_its_own_keeps_their_place() -> None:
    told = accepted(BED, SLOT)
    told += decide(fold(told), machine.Schedule(NOW, SLOT_OF, reserved=(SLOT,)), By("desk", THERE), NOW)
    assert (fold(told).reserved, fold(told).releasing) == ((BED, SLOT), ())


@pytest.mark.parametrize("gone", ["lapsed", "cancelled"])
def test_a_place_that_went_back_meanwhile_is_not_kept(gone: str) -> None:
    """Between the look at what the referral has and the appointment, its promise to arrive was broken, or it was
    called off and made anew."""
    told = accepted(BED, SLOT, travel=by_road(10))
    due = NOW + dt.timedelta(hours=10)
    if gone == "lapsed":
        told += referral.overdue(fold(told), f"nodal-officer@{ELSEWHERE}", by_road(10), due)
    else:
        told += decide(fold(told), machine.Schedule(due), By("desk", THERE), NOW)
        told += decide(fold(told), machine.CancelAppointment(), By("desk", THERE), NOW)
    at = due + dt.timedelta(days=1)
    stale = machine.Schedule(at, Slot(clinic="surgery", at=at), reserved=(SLOT,), kept=(SLOT.id,))
    with pytest.raises(Refused) as refused:
        decide(fold(told), stale, By("desk", THERE), due)
    assert refused.value.code == referral.GIVEN_UP
    anew = dataclasses.replace(stale, kept=())
    told += decide(fold(told), anew, By("desk", THERE), due)
    assert SLOT in fold(told).reserved


def test_who_does_not_arrive_in_time_loses_the_bed_and_may_still_arrive() -> None:
    told = accepted(BED, travel=by_road(10))
    due = NOW + dt.timedelta(hours=10)
    assert referral.due(fold(told)) == due
    told += referral.overdue(fold(told), f"nodal-officer@{ELSEWHERE}", by_road(10), due)
    state = fold(told)
    assert (state.status, state.arrival_lapsed, state.releasing) == ("accepted", True, (BED,))
    assert (state.escalated_at, referral.due(state)) == (ELSEWHERE, None)
    told += decide(state, machine.Arrive(), By("desk", THERE), due)
    assert fold(told).status == "arrived"


def test_the_promise_to_arrive_is_stretched_while_nobody_comes_through_and_says_so() -> None:
    told = accepted(BED, travel=by_road(10, "snow slows the road"))
    assert fold(told).clock_says == "snow slows the road"
    due = NOW + dt.timedelta(hours=10)
    closed = by_road(10, "waits: the pass is closed")
    told += referral.overdue(fold(told), f"nodal-officer@{ELSEWHERE}", closed, due)
    state = fold(told)
    assert (state.arrive_due, state.clock_says) == (due + dt.timedelta(hours=10), "waits: the pass is closed")
    assert (state.reserved, state.escalated_to) == ((BED,), None)
    told += referral.overdue(state, f"nodal-officer@{ELSEWHERE}", by_road(10), due + dt.timedelta(hours=10))
    assert fold(told).releasing == (BED,)


@pytest.mark.parametrize(
    ("command", "by"),
    [
        (machine.Arrive(), By("desk", THERE)),
        (machine.Decline("no-bed"), DOCTOR_THERE),
        (machine.RequestCancel("other"), DOCTOR_HERE),
    ],
)
def test_nobody_waits_for_the_road_of_who_is_there_or_does_not_come(command: machine.Step, by: By) -> None:
    told = accepted(travel=by_road(10, "waits: the pass is closed"))
    told += decide(fold(told), command, by, NOW)
    assert fold(told).clock_says is None


def test_while_the_transport_is_held_the_clock_waits_and_goes_on_with_what_was_left() -> None:
    told = accepted(travel=by_road(10))
    transport = By("transport", HERE)
    told += decide(fold(told), machine.Hold("pass-closed"), transport, NOW + dt.timedelta(hours=4))
    assert (fold(told).clock_says, referral.due(fold(told))) == ("waits: pass-closed", None)
    later = NOW + dt.timedelta(days=30)
    told += decide(fold(told), machine.Depart("helicopter"), transport, later)
    assert (fold(told).clock_says, fold(told).arrive_due) == (None, later + dt.timedelta(hours=6))


def test_who_waited_for_a_closed_way_has_the_whole_time_from_its_opening() -> None:
    told = accepted(BED, travel=by_road(10, "waits: the pass is closed"))
    due, opened = NOW + dt.timedelta(hours=10), NOW + dt.timedelta(hours=9)
    told += referral.overdue(fold(told), f"nodal-officer@{ELSEWHERE}", by_road(10, opened_at=opened), due)
    state = fold(told)
    assert (state.arrive_due, state.reserved) == (opened + dt.timedelta(hours=10), (BED,))
    assert state.clock_says == "stretched: the way opened at 20-11 18:30"
    told += referral.overdue(
        state, f"nodal-officer@{ELSEWHERE}", by_road(10, opened_at=opened), opened + 2 * (due - NOW)
    )
    assert fold(told).releasing == (BED,)
    early = accepted(BED, travel=by_road(10, "waits: the pass is closed"))
    early += referral.overdue(fold(early), f"nodal-officer@{ELSEWHERE}", by_road(10, opened_at=NOW), due)
    assert fold(early).arrival_lapsed


def test_two_promises_that_end_at_one_instant_are_told_apart_and_each_is_told() -> None:
    request = dataclasses.replace(REQUEST, answer_within=HALF_AN_HOUR, chain_within=HALF_AN_HOUR)
    told, names, promises = decide(None, request, DOCTOR_HERE, NOW), [], []
    while referral.due(fold(told)) is not None:
        names.append(usecases.step_of(fold(told))[0])
        late = referral.overdue(fold(told), f"nodal-officer@{ELSEWHERE}", None, NOW + HALF_AN_HOUR)
        promises += [event.promise for event in late if isinstance(event, ReferralBreached)]
        told += late
    assert names == ["requested", "chain"]
    assert promises == ["answer", "chain"]


HOURS = dt.timedelta(hours=1)
DESK, TRANSPORT = By("desk", THERE), By("transport", HERE)


@pytest.mark.parametrize(
    ("command", "by"),
    [
        (machine.Arrive(), DESK),
        (machine.NoShow(), DESK),
        (machine.Decline("no-bed"), DOCTOR_THERE),
        (machine.WriteNote("seen in the clinic"), DOCTOR_THERE),
        (machine.RequestCancel("other"), DOCTOR_HERE),
        (machine.RefuseTravel(), DOCTOR_HERE),
    ],
)
def test_the_chains_clock_goes_on_when_the_way_that_was_held_is_over(command: machine.Step, by: By) -> None:
    request = dataclasses.replace(REQUEST, chain_within=100 * HOURS)
    told = decide(None, request, DOCTOR_HERE, NOW)
    told += decide(fold(told), machine.Accept(travel=by_road(10)), DOCTOR_THERE, NOW)
    told += decide(fold(told), machine.Hold("pass-closed"), TRANSPORT, NOW + 4 * HOURS)
    assert fold(told).chain_due is None
    told += decide(fold(told), command, by, NOW + 24 * HOURS)
    state = fold(told)
    assert (state.chain_due, state.chain_seconds) == (NOW + 120 * HOURS, None)
    assert (state.arrive_due, state.arrive_seconds, state.clock_says) == (None, None, None)
    assert referral.due(state) == state.chain_due
    [_, breached] = referral.overdue(state, f"nodal-officer@{ELSEWHERE}", None, NOW + 120 * HOURS)
    assert isinstance(breached, ReferralBreached)
    assert breached.promise == "chain"


def test_an_appointment_that_is_made_anew_makes_nobody_late_who_is_held() -> None:
    request = dataclasses.replace(REQUEST, chain_within=100 * HOURS)
    told = decide(None, request, DOCTOR_HERE, NOW)
    told += decide(fold(told), machine.Accept(travel=by_road(10)), DOCTOR_THERE, NOW)
    told += decide(fold(told), machine.Depart("own-vehicle"), TRANSPORT, NOW)
    told += decide(fold(told), machine.Hold("pass-closed"), TRANSPORT, NOW + 4 * HOURS)
    steps = [machine.Schedule(NOW + 20 * HOURS), machine.CancelAppointment(), machine.Schedule(NOW + 30 * HOURS)]
    for command in steps:
        told += decide(fold(told), command, DESK, NOW + 5 * HOURS)
        state = fold(told)
        assert (state.arrive_due, state.chain_due, state.clock_says) == (None, None, "waits: pass-closed")
        assert referral.due(state) is None
    assert (fold(told).transport, fold(told).chain_seconds) == ("held", 96 * 3600)
    assert fold(told).arrive_seconds == (30 + 24 - 5) * 3600
    told += decide(fold(told), machine.Depart("own-vehicle"), TRANSPORT, NOW + 50 * HOURS)
    state = fold(told)
    assert (state.arrive_due, state.chain_due) == (NOW + 99 * HOURS, NOW + 146 * HOURS)
    assert (state.arrive_seconds, state.chain_seconds, state.clock_says) == (None, None, None)


def test_a_question_that_becomes_a_request_begins_a_chain_with_its_clock() -> None:
    question = machine.Ask(**{f.name: getattr(REQUEST, f.name) for f in dataclasses.fields(REQUEST)})
    told = decide(None, question, DOCTOR_HERE, NOW)
    assert fold(told).chain_due is None
    later = NOW + 5 * HOURS
    convert = machine.Convert(HALF_AN_HOUR, "stretched: opens at 21-11 09:00", 48 * HOURS)
    told += decide(fold(told), convert, DOCTOR_HERE, later)
    state = fold(told)
    assert (state.chain_began_at, state.chain_due) == (later, later + 48 * HOURS)
    assert (state.answer_due, state.clock_says) == (later + HALF_AN_HOUR, "stretched: opens at 21-11 09:00")


def test_who_dies_on_the_ward_goes_home_as_having_died_and_keeps_no_bed() -> None:
    told = accepted(BED)
    told += decide(fold(told), machine.RecordOutcome("admitted", "sepsis"), DOCTOR_THERE, NOW)
    told += decide(fold(told), machine.RecordDeath("at-destination"), DOCTOR_THERE, NOW + HOURS)
    state = fold(told)
    assert (state.status, state.outcome, state.summary, state.releasing) == ("treated", "died", "sepsis", (BED,))
    assert state.place_of_death == "at-destination"
    assert state.milestones["OutcomeRecorded"] == NOW
    [back] = decide(state, machine.BackRefer("papers"), DOCTOR_THERE, NOW + 2 * HOURS)
    assert isinstance(back, PatientBackReferred)
    assert back.deceased


@pytest.mark.parametrize("outcome", ["died", "left-against-advice", "treated-and-discharged", "referred-onward"])
def test_only_who_was_admitted_dies_on_the_ward_and_only_once(outcome: str) -> None:
    told = accepted()
    told += decide(fold(told), machine.RecordOutcome(outcome), DOCTOR_THERE, NOW)
    with pytest.raises(Refused) as refused:
        decide(fold(told), machine.RecordDeath("at-destination"), DOCTOR_THERE, NOW)
    anew = ("outcome",) if outcome == "died" else ()
    assert (refused.value.code, refused.value.allowed) == ("illegal-move", ("back-refer", *anew))


@pytest.mark.parametrize("on_the_ward", [True, False])
def test_who_did_not_die_on_the_ward_has_their_outcome_said_anew_until_they_are_handed_back(on_the_ward: bool) -> None:
    told = accepted()
    told += decide(fold(told), machine.RecordOutcome("admitted" if on_the_ward else "died"), DOCTOR_THERE, NOW)
    if on_the_ward:
        told += decide(fold(told), machine.RecordDeath("at-destination"), DOCTOR_THERE, NOW + HOURS)
    with pytest.raises(Refused) as still:
        decide(fold(told), machine.RecordOutcome("died"), DOCTOR_THERE, NOW + HOURS)
    assert still.value.field == "outcome"
    told += decide(fold(told), machine.RecordOutcome("admitted", "another's papers"), DOCTOR_THERE, NOW + 2 * HOURS)
    state = fold(told)
    assert (state.status, state.outcome, state.place_of_death) == ("treated", "admitted", None)
    assert (state.milestones["OutcomeRecorded"], "DeathRecorded" in state.milestones) == (NOW, False)
    with pytest.raises(Refused) as once:
        decide(state, machine.RecordOutcome("left-against-advice"), DOCTOR_THERE, NOW)
    assert once.value.code == "illegal-move"
    [back] = decide(state, machine.BackRefer("rest"), DOCTOR_THERE, NOW + 3 * HOURS)
    assert isinstance(back, PatientBackReferred)
    assert not back.deceased


def test_a_death_that_was_somebody_elses_is_taken_back() -> None:
    told = accepted()
    told += decide(fold(told), machine.RecordDeath("on-the-way"), TRANSPORT, NOW)
    told += decide(fold(told), machine.Void("wrong-person"), DOCTOR_HERE, NOW)
    assert fold(told).status == "entered-in-error"


@pytest.mark.parametrize(
    ("void", "field"),
    [
        (machine.Void("duplicate"), "reason"),
        (machine.Void("other"), "reason"),
        (machine.Void("wrong-person", "p2", next="r2"), "patient"),
    ],
)
def test_a_death_is_taken_back_for_no_other_reason_and_nobody_is_asked_for_anew(void: machine.Void, field: str) -> None:
    told = accepted()
    told += decide(fold(told), machine.RecordDeath("on-the-way"), TRANSPORT, NOW)
    with pytest.raises(Refused) as refused:
        decide(fold(told), void, DOCTOR_HERE, NOW)
    assert refused.value.field == field


def test_who_was_declined_and_dies_has_their_death_written_down() -> None:
    declined = requested()
    declined += decide(fold(declined), machine.Decline("no-bed"), DOCTOR_THERE, NOW)
    declined += decide(fold(declined), machine.RecordDeath("at-origin"), DOCTOR_HERE, NOW)
    assert fold(declined).status == "deceased"


def test_an_unanswered_request_waits_for_no_pass() -> None:
    state = fold(promised())
    assert state.answer_due == NOW + HALF_AN_HOUR
    assert referral.overdue(state, f"nodal-officer@{ELSEWHERE}", by_road(1, "waits: closed"), NOW + HALF_AN_HOUR)


@pytest.mark.parametrize(
    ("urgency", "said_at", "due", "says"),
    [
        ("urgent", "2026-11-20T04:00:00Z", "2026-11-20T08:00:00Z", None),
        ("urgent", "2026-11-20T09:30:00Z", "2026-11-21T03:30:00Z", "stretched: opens at 21-11 09:00"),
        ("urgent", "2026-11-21T09:30:00Z", "2026-11-23T03:30:00Z", "stretched: opens at 23-11 09:00"),
        ("emergency", "2026-11-21T09:30:00Z", "2026-11-21T13:30:00Z", None),
    ],
)
def test_what_is_no_emergency_is_due_when_the_destination_opens(
    urgency: str, said_at: str, due: str, says: str | None
) -> None:
    """From Monday to Saturday, nine to five, Indian time."""
    days: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat")
    hours = (Hours(days=days, opens="09:00", closes="17:00"),)
    card = directory.read(Path("data/facilities.csv"))[0].card.model_copy(update={"hours": hours})
    now = dt.datetime.fromisoformat(said_at)
    within, said = clocks.to_answer(card, urgency, dt.timedelta(hours=4), now)
    assert (now + within, said) == (dt.datetime.fromisoformat(due), says)
