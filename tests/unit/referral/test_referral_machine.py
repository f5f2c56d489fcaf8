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
from services.referral.domain import codes, moves, referral
from services.referral.domain import commands as machine
from services.referral.domain.commands import By, Command, Step
from services.referral.domain.events import EVENTS, Asked, ReferralErased
from services.referral.domain.referral import Referral, decide, evolve, open_moves

NOW = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
HERE, THERE, ELSEWHERE = "HP-KNR-CHC-POOH", "HP-KNR-RH-PEO", "LA-LEH-DH-SNM"
SIDES = {HERE: "origin", THERE: "destination"}
STEPS: tuple[type[Step], ...] = Step.__args__  # type: ignore[attr-defined]

NOT_SAID = {"listed", "offered", "withdrawn", "findings", "warnings", "answer_within"}
"""Of a request: what is looked up, and what may always be absent."""

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
    machine.Decline: st.builds(machine.Decline, st.sampled_from(codes.DECLINE_REASONS)),
    machine.Cancel: st.builds(machine.Cancel, st.sampled_from(codes.CANCEL_REASONS)),
    machine.Depart: st.builds(machine.Depart, st.sampled_from(codes.DEPART_MODES)),
    machine.Hold: st.builds(machine.Hold, st.sampled_from(codes.HOLD_REASONS)),
    machine.RecordOutcome: st.builds(machine.RecordOutcome, st.sampled_from(codes.OUTCOMES), st.text(max_size=20)),
    machine.BackRefer: st.builds(machine.BackRefer, st.text(min_size=1, max_size=20).filter(lambda t: bool(t.strip()))),
}
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
        theirs = row is not None and by.role == row.role and SIDES.get(by.facility) == row.side
        now = NOW + dt.timedelta(minutes=minute)
        if not theirs:
            before = state.model_dump()
            with pytest.raises(Refused) as refused:
                decide(state, command, by, now)
            assert refused.value.allowed == tuple(move.command for move in open_moves(state, by))
            assert state.model_dump() == before
            continue
        assert row is not None
        assert command.verb in [move.command for move in open_moves(state, by)]
        events = decide(state, command, by, now)
        assert [type(event).__name__ for event in events] == [row.event]
        told += events
        state = evolve(state, events[0])
        assert state.status == row.to
        assert state.transport == (row.transport or fold(told[:-1]).transport)
        assert state.changed_at == now
    assert state == fold(told)
    assert state == Referral.model_validate_json(state.model_dump_json())


@given(walk=st.lists(any_step, max_size=30), question=st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_journal_read_back_from_the_store_folds_to_the_same(walk: list[Command], question: bool) -> None:
    told = asked() if question else requested()
    for command in walk:
        state = fold(told)
        row = moves.find(state.status, command.verb)
        if row is not None:
            told += decide(state, command, By(row.role, getattr(state, row.side)), NOW)
    read_back: list[Event] = [type(event).model_validate(event.model_dump(mode="json")) for event in told]
    assert fold(read_back) == fold(told)


def test_each_row_can_be_reached_and_every_status_has_its_way() -> None:
    reached: set[str | None] = {None}
    for _ in moves.MOVES:
        reached |= {move.to for move in moves.MOVES if move.at in reached}
    assert {move.at for move in moves.MOVES} <= reached
    assert set(moves.Status.__args__) == reached - {None}  # type: ignore[attr-defined]


def test_the_table_is_the_contract() -> None:
    rows = {(move.at or "–", move.command, move.to, f"{move.role}, {move.side}") for move in moves.MOVES}
    of_advice = {row for row in rows if "advice" in row[0] or row[1] == "ask"}
    assert rows - of_advice == {
        ("requested", "lapse", "lapsed", "clock, destination"),
        ("lapsed", "accept", "accepted", "doctor, destination"),
        ("lapsed", "decline", "declined", "doctor, destination"),
        ("lapsed", "cancel", "cancelled", "doctor, origin"),
        ("–", "request", "requested", "doctor, origin"),
        ("requested", "accept", "accepted", "doctor, destination"),
        ("requested", "decline", "declined", "doctor, destination"),
        ("requested", "cancel", "cancelled", "doctor, origin"),
        ("accepted", "cancel", "cancelled", "doctor, origin"),
        ("accepted", "no-show", "no-show", "desk, destination"),
        ("accepted", "arrive", "arrived", "desk, destination"),
        ("accepted", "depart", "accepted", "transport, origin"),
        ("accepted", "hold", "accepted", "transport, origin"),
        ("arrived", "outcome", "treated", "doctor, destination"),
        ("treated", "back-refer", "back-referred", "doctor, destination"),
        ("back-referred", "acknowledge", "closed", "doctor, origin"),
    }


def test_no_two_rows_answer_the_same_command_in_the_same_status() -> None:
    assert len({(move.at, move.command) for move in moves.MOVES}) == len(moves.MOVES)


def test_who_may_do_a_command_does_not_depend_on_the_status() -> None:
    for rule in moves.commands():
        actors = {(move.role, move.side) for move in moves.MOVES if move.command == rule.command}
        assert actors == {(rule.role, rule.side)}


def test_an_event_leads_to_one_status_only() -> None:
    for event in {move.event for move in moves.MOVES}:
        assert len({(move.to, move.transport) for move in moves.MOVES if move.event == event}) == 1


def test_every_command_and_every_event_stands_in_the_table() -> None:
    commands = {step.verb: step for step in (machine.Request, machine.Ask, machine.Lapse, *STEPS)}
    assert set(commands) == {move.command for move in moves.MOVES}
    assert {event.__name__ for event in EVENTS} == {move.event for move in moves.MOVES} | {"ReferralErased"}
    for rule in moves.commands():
        said = {field.name for field in dataclasses.fields(commands[rule.command])} - NOT_SAID
        assert said == {need.field for need in rule.needs}


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
        ("advice-given", "treat-here", "treated-at-origin"),
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
        assert private <= {"at", "summary", "advice"} | set(Asked.model_fields)
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
        decide(state, command, By(row.role, getattr(state, row.side)), NOW)
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
        decide(fold(told), machine.Decline("no-bed"), DOCTOR_THERE, NOW)
    assert refused.value.allowed == ()
    assert [move.command for move in open_moves(fold(told), DOCTOR_HERE)] == ["cancel"]


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


HALF_AN_HOUR = dt.timedelta(minutes=30)


def promised() -> list[Event]:
    return decide(None, dataclasses.replace(REQUEST, answer_within=HALF_AN_HOUR), DOCTOR_HERE, NOW)


def test_the_clock_lapses_what_nobody_answered_once_and_not_a_moment_early() -> None:
    state = fold(promised())
    assert referral.due(state) == NOW + HALF_AN_HOUR
    assert referral.overdue(state, f"nodal-officer@{ELSEWHERE}", NOW + HALF_AN_HOUR - dt.timedelta(seconds=1)) == []
    told = promised() + referral.overdue(state, f"nodal-officer@{ELSEWHERE}", NOW + HALF_AN_HOUR)
    lapsed = fold(told)
    assert (lapsed.status, lapsed.escalated_to, lapsed.escalated_at) == (
        "lapsed",
        f"nodal-officer@{ELSEWHERE}",
        ELSEWHERE,
    )
    assert referral.due(lapsed) is None
    assert referral.overdue(lapsed, f"nodal-officer@{ELSEWHERE}", NOW + 2 * HALF_AN_HOUR) == []


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
    told += referral.overdue(fold(told), f"nodal-officer@{ELSEWHERE}", NOW + HALF_AN_HOUR)
    told += decide(fold(told), command, by, NOW + 2 * HALF_AN_HOUR)
    assert fold(told).status == status
    assert referral.due(fold(told)) is None


def test_what_was_answered_in_time_never_lapses() -> None:
    told = promised()
    told += decide(fold(told), machine.Accept(), DOCTOR_THERE, NOW)
    assert referral.due(fold(told)) is None
    assert referral.overdue(fold(told), f"nodal-officer@{ELSEWHERE}", NOW + 2 * HALF_AN_HOUR) == []


@pytest.mark.parametrize("role", ["doctor", "desk", "nodal-officer", "system"])
def test_nobody_but_the_clock_lapses(role: str) -> None:
    with pytest.raises(Refused):
        decide(fold(promised()), machine.Lapse("nodal-officer@X"), By(role, THERE), NOW)
