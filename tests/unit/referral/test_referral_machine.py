"""The machine walked at random, by anybody: its state is the fold of its events, and only the table moves it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.refusal import Refused
from libs.contracts.event import PUBLIC, Event
from services.referral.domain import codes, moves
from services.referral.domain import commands as machine
from services.referral.domain.commands import By, Command, Step
from services.referral.domain.events import (
    ASIDE,
    EVENTS,
    Asked,
    HopAsked,
    PassedThrough,
    ReferralErased,
)
from services.referral.domain.referral import Referral, decide, evolve, open_moves

NOW = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
HALF_AN_HOUR = dt.timedelta(minutes=30)
HERE, THERE, ELSEWHERE = "HP-KNR-CHC-POOH", "HP-KNR-RH-PEO", "LA-LEH-DH-SNM"
SIDES: dict[str, moves.Side] = {HERE: "origin", THERE: "destination"}
STEPS: tuple[type[Step], ...] = Step.__args__

NOT_SAID = {
    "travel_seconds",
    *("listed", "offered", "withdrawn", "findings", "warnings", "answer_within", "chain_within", "hop", "next"),
    *("reserved", "kept", "travel", "clock_says"),
}
"""What is looked up, and what may always be absent."""

REQUEST = machine.Request("p1", THERE, "surgery", "urgent", "acute abdomen, guarding")
DOCTOR_HERE, DOCTOR_THERE = By("doctor", HERE), By("doctor", THERE)
ROLES = ("doctor", "desk", "transport", "officer", "citizen", "")

FIELDS: dict[type[Any], st.SearchStrategy[Any]] = {
    machine.Advise: st.builds(
        machine.Advise,
        st.sampled_from(codes.VERDICTS),
        st.text(min_size=1, max_size=20).filter(lambda t: bool(t.strip())),
    ),
    machine.Convert: st.just(machine.Convert()),
    machine.TellMore: st.just(machine.TellMore("guarding gone, fever since")),
    machine.Decline: st.builds(machine.Decline, st.sampled_from(codes.DECLINE_REASONS)),
    machine.Cancel: st.builds(machine.Cancel, st.sampled_from(codes.CANCEL_REASONS)),
    machine.Depart: st.builds(machine.Depart, st.sampled_from(codes.DEPART_MODES)),
    machine.Hold: st.builds(machine.Hold, st.sampled_from(codes.HOLD_REASONS)),
    machine.RecordOutcome: st.builds(machine.RecordOutcome, st.sampled_from(codes.OUTCOMES), st.text(max_size=20)),
    machine.BackRefer: st.builds(machine.BackRefer, st.text(min_size=1, max_size=20).filter(lambda t: bool(t.strip()))),
    machine.Schedule: st.just(machine.Schedule(NOW + dt.timedelta(days=30))),
    machine.Reschedule: st.just(machine.Reschedule(NOW + dt.timedelta(days=40))),
    machine.RequestCancel: st.builds(machine.RequestCancel, st.sampled_from(codes.CANCEL_REASONS)),
    machine.WriteNote: st.just(machine.WriteNote("seen in the clinic, to come again")),
    machine.Redirect: st.builds(
        machine.Redirect, st.just(ELSEWHERE), st.sampled_from(codes.DECLINE_REASONS), next=st.just("r2")
    ),
    machine.ReferOnward: st.just(machine.ReferOnward(ELSEWHERE, "surgery", "needs a theatre", next="r2")),
    machine.RecordDeath: st.builds(machine.RecordDeath, st.sampled_from(codes.PLACES_OF_DEATH)),
    machine.Void: st.builds(
        machine.Void, st.sampled_from(codes.VOID_REASONS), st.sampled_from([None, "p2"]), next=st.just("r3")
    ),
}
WHOSE_DEATH = machine.Void("wrong-person", next="r3")
any_step = st.sampled_from(STEPS).flatmap(lambda step: FIELDS.get(step, st.builds(step)))
any_actor = st.builds(By, st.sampled_from(ROLES), st.sampled_from((HERE, THERE, ELSEWHERE, "")))


def fold(events: list[Event]) -> Referral:
    state: Referral | None = None
    for event in events:
        state = evolve(state, event)
    assert state is not None
    return state


def requested() -> list[Event]:
    return decide(None, REQUEST, DOCTOR_HERE, NOW)


def asked() -> list[Event]:
    question = {field.name: getattr(REQUEST, field.name) for field in dataclasses.fields(REQUEST)}
    return decide(None, machine.Ask(**question), DOCTOR_HERE, NOW)


@given(walk=st.lists(st.tuples(any_step, any_actor), max_size=40), question=st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_walk_by_anybody_moves_only_as_the_table_says(walk: list[tuple[Command, By]], question: bool) -> None:
    told = asked() if question else requested()
    state = fold(told)
    for minute, (command, by) in enumerate(walk, 1):
        row = moves.find(state.status, command.verb)
        side = SIDES.get(by.facility)
        theirs = row is not None and side is not None and moves.Actor(by.role, side) in row.who and row.fits(state)
        now = NOW + dt.timedelta(minutes=minute)
        if not theirs:
            before = state.model_dump()
            with pytest.raises(Refused) as refused:
                decide(state, command, by, now)
            assert refused.value.field is None
            assert refused.value.allowed == tuple(move.command for move in open_moves(state, by))
            assert state.model_dump() == before
            continue
        assert row is not None
        assert command.verb in [move.command for move in open_moves(state, by)]
        if isinstance(command, machine.Void) and state.status == "deceased" and command != WHOSE_DEATH:
            with pytest.raises(Refused) as refused:
                decide(state, command, by, now)
            assert refused.value.field in ("reason", "patient")
            continue
        if isinstance(command, machine.RecordOutcome) and command.outcome == state.outcome:
            with pytest.raises(Refused) as refused:
                decide(state, command, by, now)
            assert refused.value.field == "outcome"
            continue
        events = decide(state, command, by, now)
        names = [type(event).__name__ for event in events if not isinstance(event, HopAsked)]
        assert names == [*(["PassedThrough"] if row.through else []), row.event]
        told += events
        before_it = state
        for event in events:
            state = evolve(state, event)
        assert state.status == row.to
        another_way = before_it.leg is not None and before_it.leg.ended_at is not None and state.leg != before_it.leg
        assert state.transport == (row.transport or ("none" if another_way else before_it.transport))
        assert state.changed_at == now
        assert not (state.reserved and not moves.STANDINGS[state.status].holds)
    assert state == fold(told)
    assert state == Referral.model_validate_json(state.model_dump_json())


@given(walk=st.lists(any_step, max_size=30), question=st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_journal_read_back_from_the_store_folds_to_the_same(walk: list[Command], question: bool) -> None:
    told = asked() if question else requested()
    for command in walk:
        state = fold(told)
        row = moves.find(state.status, command.verb)
        if isinstance(command, machine.Void) and state.status == "deceased":
            command = WHOSE_DEATH
        said_already = isinstance(command, machine.RecordOutcome) and command.outcome == state.outcome
        if row is not None and row.fits(state) and not said_already:
            actor = row.who[0]
            told += decide(state, command, By(actor.role, getattr(state, actor.side)), NOW)
    read_back: list[Event] = [type(event).model_validate(event.model_dump(mode="json")) for event in told]
    assert fold(read_back) == fold(told)


def test_each_row_can_be_reached_and_every_status_has_its_way() -> None:
    reached: set[str | None] = {None}
    for _ in moves.MOVES:
        reached |= {move.to for move in moves.MOVES if move.at in reached}
    assert {move.at for move in moves.MOVES} <= reached
    assert set(moves.Status.__args__) == reached - {None}  # type: ignore[attr-defined]


MAIN = {
    ("requested", "lapse", "lapsed"),
    ("lapsed", "accept", "accepted"),
    ("lapsed", "decline", "declined"),
    ("lapsed", "cancel", "cancelled"),
    (None, "request", "requested"),
    ("requested", "accept", "accepted"),
    ("requested", "decline", "declined"),
    ("requested", "cancel", "cancelled"),
    ("accepted", "cancel", "cancelled"),
    ("accepted", "no-show", "no-show"),
    ("accepted", "arrive", "arrived"),
    ("accepted", "depart", "accepted"),
    ("accepted", "hold", "accepted"),
    ("arrived", "outcome", "treated"),
    ("treated", "back-refer", "back-referred"),
    ("back-referred", "acknowledge", "closed"),
}


def test_a_day_as_it_is_recorded_moves_as_it_always_did() -> None:
    assert {(move.at, move.command, move.to) for move in moves.MOVES} >= MAIN


BSER = {
    "01": (None, "2.0"),
    "02": ("2.0", "3.0"),
    "03": ("2.0", "4.0"),
    "04": ("2.0", "5.2"),
    "05": ("3.0", "4.0"),
    "06": ("3.0", "5.1.1"),
    "07": ("3.0", "5.2"),
    "08": ("3.0", "5.1.4"),
    "09": ("3.0", "7.0"),
    "10": ("5.1.1", "4.0"),
    "11": ("5.1.1", "5.1.1"),
    "12": ("5.1.1", "5.1.2"),
    "13": ("5.1.1", "5.1.3"),
    "14": ("5.1.1", "5.2"),
    "15": ("5.1.1", "5.1.4"),
    "16": ("5.1.1", "7.0"),
    "17": ("5.1.2", "4.0"),
    "18": ("5.1.2", "5.1.1"),
    "19": ("5.1.2", "5.1.3"),
    "20": ("5.1.2", "5.2"),
    "21": ("5.1.3", "5.1.1"),
    "22": ("5.1.3", "5.2"),
    "23": ("5.2", "6.0"),
    "24": ("5.2", "7.0"),
    "25": ("5.1.4", "4.0"),
    "26": ("5.1.4", "5.1.1"),
    "27": ("5.1.4", "5.1.3"),
    "28": ("5.1.4", "5.2"),
    "29": ("5.1.4", "5.1.4"),
    "30": ("5.1.4", "7.0"),
    "31": ("3.0", "5.1"),
    "32": ("3.0", "5.1"),
    "33": ("5.1", "4.0"),
    "34": ("5.1", "5.2"),
}
"""BSeR/360X's harmonised transitions, by number: from which of its business statuses to which."""


def test_all_34_transitions_of_bser_are_rows_and_whose_they_are() -> None:
    rows = {move.bser: move for move in moves.MOVES if move.bser}
    codes_of = {None: None} | {status: standing.bser for status, standing in moves.STANDINGS.items()}
    assert {number: (codes_of[row.at], codes_of[row.to]) for number, row in rows.items()} == BSER
    initiator = {"01", "04", "07", "14", "20", "22", "28", "34"}
    for number, row in rows.items():
        assert {actor.side for actor in row.who} == {"origin" if number in initiator else "destination"}


def test_what_is_asked_to_be_cancelled_may_have_been_done_already() -> None:
    told = requested()
    told += decide(fold(told), machine.Accept(), DOCTOR_THERE, NOW)
    told += decide(fold(told), machine.RequestCancel("patient-improved"), DOCTOR_HERE, NOW)
    assert fold(told).status == "cancel-requested"
    race = told + decide(fold(told), machine.RecordOutcome("treated-and-discharged"), DOCTOR_THERE, NOW)
    assert (fold(race).status, fold(race).outcome) == ("treated", "treated-and-discharged")
    told += decide(fold(told), machine.ConfirmCancel(), DOCTOR_THERE, NOW)
    assert (fold(told).status, fold(told).cancelled_for) == ("cancelled", "patient-improved")


@pytest.mark.parametrize(
    ("command", "by", "through", "told_as"),
    [
        (machine.Cancel("patient-died"), DOCTOR_HERE, "cancel-requested", "ReferralCancelled"),
        (machine.NoShow(), By("desk", THERE), "scheduled", "PatientNoShow"),
    ],
)
def test_a_verb_that_crosses_a_state_journals_both_moves_at_once(
    command: Step, by: By, through: str, told_as: str
) -> None:
    told = requested()
    told += decide(fold(told), machine.Accept(), DOCTOR_THERE, NOW)
    events = decide(fold(told), command, by, NOW)
    assert [type(event).__name__ for event in events] == ["PassedThrough", told_as]
    crossed = events[0]
    assert isinstance(crossed, PassedThrough)
    assert (crossed.status, crossed.TOPIC) == (through, None)
    assert fold([*told, crossed]).status == through


def test_a_second_appointment_after_a_no_show() -> None:
    told = requested()
    told += decide(fold(told), machine.Accept(), DOCTOR_THERE, NOW)
    told += decide(fold(told), machine.Schedule(NOW + dt.timedelta(days=1)), By("desk", THERE), NOW)
    told += decide(fold(told), machine.NoShow(), By("desk", THERE), NOW)
    told += decide(fold(told), machine.Reschedule(NOW + dt.timedelta(days=3)), By("desk", THERE), NOW)
    told += decide(fold(told), machine.Arrive(), By("desk", THERE), NOW)
    state = fold(told)
    assert (state.status, state.appointments, state.no_shows) == ("arrived", 2, 1)
    earlier = fold(told[:3])
    with pytest.raises(Refused) as refused:
        decide(earlier, machine.Reschedule(NOW - dt.timedelta(minutes=1)), By("desk", THERE), NOW)
    assert refused.value.field == "appointment_at"


BAD_TABLES = {
    "a status that nothing leads to": ("{in: treated, command: back-refer", "{in: closed, command: back-refer"),
    "a role at no side": ("who: doctor@origin, next: closed", "who: doctor@home, next: closed"),
    "a kind that is none": ("outcome: outcome}", "outcome: whatever}"),
    "a row twice": ("{in: arrived, command: note", "{in: seen, command: note"),
    "an event that leads elsewhere": (
        "command: admit, who: doctor@destination, next: arrived",
        "command: admit, who: doctor@destination, next: seen",
    ),
    "a state crossed that does not go on": ("through: scheduled", "through: arrived"),
}


@pytest.mark.parametrize("why", BAD_TABLES)
def test_a_table_that_does_not_fit_together_is_not_taken(why: str) -> None:
    text = moves.FILE.read_text(encoding="utf-8")
    before, after = BAD_TABLES[why]
    assert before in text
    with pytest.raises(ValueError, match=r"."):
        moves.read(text.replace(before, after, 1))


def test_no_two_rows_answer_the_same_command_in_the_same_status() -> None:
    assert len({(move.at, move.command) for move in moves.MOVES}) == len(moves.MOVES)


def test_an_event_leads_to_one_status_from_each() -> None:
    told = {(move.at, move.event) for move in moves.MOVES}
    for at, event in told:
        assert len({(m.to, m.transport) for m in moves.MOVES if (m.at, m.event) == (at, event)}) == 1


def test_every_command_and_every_event_stands_in_the_table() -> None:
    commands = {step.verb: step for step in (machine.Request, machine.Ask, machine.Lapse, *STEPS)}
    assert set(commands) == {move.command for move in moves.MOVES}
    assert {event.__name__ for event in EVENTS} == {move.event for move in moves.MOVES} | {e.__name__ for e in ASIDE}
    for move in moves.MOVES:
        if move.command != "lapse":
            said = {field.name for field in dataclasses.fields(commands[move.command])} - NOT_SAID
            left_out = {"patient"} if move.at == "deceased" else set()
            assert said - left_out == {need.field for need in move.needs}, move


def test_the_rows_of_advice() -> None:
    rows = {(move.at, move.command, move.to) for move in moves.MOVES}
    assert {row for row in rows if "advice" in (row[0] or "") or row[1] == "ask"} == {
        (None, "ask", "advice-asked"),
        ("advice-asked", "advise", "advice-given"),
        ("advice-asked", "lapse", "advice-lapsed"),
        ("advice-asked", "convert", "requested"),
        ("advice-asked", "withdraw", "withdrawn"),
        ("advice-lapsed", "advise", "advice-given"),
        ("advice-lapsed", "convert", "requested"),
        ("advice-lapsed", "withdraw", "withdrawn"),
        ("advice-given", "convert", "requested"),
        ("advice-given", "withdraw", "withdrawn"),
        ("advice-given", "treat-here", "treated-at-origin"),
        ("advice-given", "tell-more", "advice-asked"),
    }


def test_nothing_about_advice_is_public_until_it_becomes_a_request() -> None:
    told = asked()
    told += decide(fold(told), machine.Advise("treat-there", "a plaster"), DOCTOR_THERE, NOW)
    assert [event.TOPIC for event in told] == [None, None]
    later = NOW + dt.timedelta(hours=1)
    told += decide(fold(told), machine.Convert(HALF_AN_HOUR), DOCTOR_HERE, later)
    assert told[-1].TYPE == "referral.ReferralRequested.v1"
    state = fold(told)
    assert (state.status, state.reason, state.verdict) == ("requested", REQUEST.reason, "treat-there")
    assert (state.specialist_text, state.answer_due) == ("a plaster", later + HALF_AN_HOUR)


def test_only_the_contract_leaves_the_journal() -> None:
    for event in EVENTS:
        if event.TOPIC is None:
            continue
        contract = PUBLIC[event.TYPE]
        private = set(event.model_fields) - set(contract.model_fields)
        clocks = {"reserved", "arrive_due", "clock_says", "appointment_at"}
        beside = {"place", "travel_seconds", "expected_release", "procedure", "medicines"}
        assert private <= {"at", "summary", "advice"} | clocks | beside | set(Asked.model_fields)
        assert "at" in private


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (machine.Decline("because"), "reason"),
        (machine.Decline(""), "reason"),
        (machine.Cancel("no-bed"), "reason"),
        (machine.Depart("on-foot"), "mode"),
        (machine.Hold(""), "reason"),
        (machine.RecordOutcome("cured"), "outcome"),
        (machine.RecordOutcome("admitted", "x" * 2001), "summary"),
        (machine.BackRefer("   "), "advice"),
        (machine.BackRefer("x" * 2001), "advice"),
    ],
)
def test_what_must_be_present_is_named(command: Step, field: str) -> None:
    row = next(move for move in moves.MOVES if move.command == command.verb)
    assert row.at is not None
    state = fold(requested()).model_copy(update={"status": row.at})
    with pytest.raises(Refused) as refused:
        decide(state, command, By(row.who[0].role, getattr(state, row.who[0].side)), NOW)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": HERE}, "to"),
        ({"to": ELSEWHERE, "listed": False}, "to"),
        ({"to": "  "}, "to"),
        ({"patient": ""}, "patient"),
        ({"withdrawn": True}, "patient"),
        ({"offered": False}, "service"),
        ({"service": ""}, "service"),
        ({"urgency": "soon"}, "urgency"),
        ({"reason": "  "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
    ],
)
def test_a_request_that_cannot_be_taken_names_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as refused:
        decide(None, dataclasses.replace(REQUEST, **change), DOCTOR_HERE, NOW)
    assert refused.value.field == field


@pytest.mark.parametrize("by", [By("desk", HERE), By("transport", HERE), By("doctor", ""), By("citizen", HERE)])
def test_only_a_doctor_with_a_facility_requests(by: By) -> None:
    with pytest.raises(Refused):
        decide(None, REQUEST, by, NOW)


def test_a_second_acceptance_says_what_may_be_done_instead() -> None:
    told = requested()
    told += decide(fold(told), machine.Accept(), DOCTOR_THERE, NOW)
    with pytest.raises(Refused) as refused:
        decide(fold(told), machine.Accept(), DOCTOR_THERE, NOW)
    assert refused.value.code == "illegal-move"
    assert refused.value.field is None
    with pytest.raises(Refused) as refused:
        decide(fold(told), machine.Advise("send", "today"), DOCTOR_THERE, NOW)
    assert refused.value.allowed == ("decline", "note", "outcome", "admit", "redirect", "record-death")
    mine = [move.command for move in open_moves(fold(told), DOCTOR_HERE)]
    assert mine == ["request-cancel", "cancel", "redirect", "refuse-travel", "record-death", "void"]


def test_a_patient_may_arrive_who_never_departed_or_was_held() -> None:
    told = requested()
    told += decide(fold(told), machine.Accept(), DOCTOR_THERE, NOW)
    told += decide(fold(told), machine.Hold("pass-closed"), By("transport", HERE), NOW)
    assert (fold(told).transport, fold(told).held_for) == ("held", "pass-closed")
    told += decide(fold(told), machine.Arrive(), By("desk", THERE), NOW)
    assert fold(told).status == "arrived"


def test_after_an_erasure_the_referral_goes_on_and_no_text_is_kept() -> None:
    told: list[Event] = [*requested(), ReferralErased(at=NOW)]
    for command, by in (
        (machine.Accept(), DOCTOR_THERE),
        (machine.Arrive(), By("desk", THERE)),
        (machine.RecordOutcome("admitted", "appendix"), DOCTOR_THERE),
        (machine.BackRefer("stitches out in ten days"), DOCTOR_THERE),
        (machine.Acknowledge(), DOCTOR_HERE),
    ):
        told += decide(fold(told), command, by, NOW)
    state = fold(told)
    assert (state.status, state.outcome, state.erased) == ("closed", "admitted", True)
    assert (state.summary, state.advice) == ("", "")
    assert not any("appendix" in event.model_dump_json() or "stitches" in event.model_dump_json() for event in told)


def test_a_step_on_what_does_not_exist_decides_nothing() -> None:
    assert decide(None, machine.Accept(), DOCTOR_THERE, NOW) == []
