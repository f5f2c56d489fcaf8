"""The machine: any sequence of commands leaves only legal moves, and the state is what the journal folds to."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from grievance_case import (
    ABOUT,
    ALSO,
    FIRST,
    FIXED,
    OFFICE,
    POLICY,
    SECOND,
    START,
    TO_FIRST,
    after,
    entries,
    run,
    tick_of,
    timed,
)
from hypothesis import example, given, settings

from libs.common.refusal import Refused
from libs.contracts.event import PUBLIC, is_personal
from services.grievance.domain import moments
from services.grievance.domain.commands import (
    Appeal,
    AppealSettled,
    Assign,
    Attempt,
    CloseUnreachable,
    Command,
    Confirm,
    Interim,
    NoteAppealOpened,
    Pause,
    Reopen,
    Resolve,
    Resume,
    Tick,
    Transfer,
)
from services.grievance.domain.events import (
    Acknowledged,
    Confirmed,
    Escalated,
    Filed,
)
from services.grievance.domain.fold import evolve
from services.grievance.domain.grievance import decide
from services.grievance.domain.moves import allowed
from services.grievance.domain.state import Grievance
from services.grievance.store import GRIEVANCE


@settings(max_examples=300, deadline=None)
@given(timed)
def test_state_is_the_fold_of_the_stored_journal(commands: list[tuple[Any, int]]) -> None:
    state, journal = run(commands)
    assert GRIEVANCE.fold(entries(journal)) == state
    stored = json.loads(json.dumps(state.model_dump(mode="json")))
    assert Grievance.model_validate(stored) == state


LEGAL: dict[str, set[str]] = {
    "Assigned": {"filed", "assigned"},
    "Transferred": {"filed", "assigned"},
    "InterimReplied": {"filed", "assigned"},
    "Paused": {"filed", "assigned"},
    "Resumed": {"filed", "assigned"},
    "Resolved": {"filed", "assigned"},
    "Screened": {"filed", "assigned"},
    "Consulted": {"filed", "assigned"},
    "Paged": {"filed", "assigned"},
    "Verified": {"resolved"},
    "Attached": {"filed", "assigned", "resolved"},
    "Escalated": {"filed", "assigned"},
    "ContactAttempted": {"resolved"},
    "ClosedUnreachable": {"resolved"},
    "Confirmed": {"resolved"},
    "Reopened": {"resolved", "closed-unreachable"},
    "Appealed": {"resolved", "closed-unreachable"},
    "AppealOpened": {"resolved"},
    "AppealDecided": {"resolved"},
    "ClockMissed": {"filed", "assigned", "resolved"},
}


SETTLED_BEFORE_NOTED: list[tuple[Any, int]] = [
    (FIXED, 1),
    (Appeal("a1", "Not so"), 1),
    (AppealSettled("a1", None), 1),
    (Confirm(5), 1),
    (NoteAppealOpened("a1"), 1),
]


@settings(max_examples=300, deadline=None)
@given(timed)
@example(SETTLED_BEFORE_NOTED)
def test_only_legal_moves(commands: list[tuple[Any, int]]) -> None:
    state, journal = run(commands)
    assert [type(event) for event in journal[:2]] == [Filed, Acknowledged]
    replayed = evolve(evolve(None, journal[0]), journal[1])
    for event in journal[2:]:
        name = type(event).__name__
        if name not in ("Rederived", "Contributed", "Clustered"):
            assert replayed.status in LEGAL[name]
        if name in ("Confirmed", "ClosedUnreachable", "Reopened"):
            assert not replayed.appeals_open
        replayed = evolve(replayed, event)
    assert replayed == state


@given(timed)
def test_no_move_changes_the_promise_or_the_age(commands: list[tuple[Any, int]]) -> None:
    state, _ = run(commands)
    assert state.due_at == START + dt.timedelta(hours=6)
    assert state.filed_at == START


@given(timed)
def test_the_accused_are_never_in_the_route(commands: list[tuple[Any, int]]) -> None:
    state, journal = run([*commands, (Tick("redress", 1, ABOUT), 10_000), (Transfer(ALSO, "wrong-office", "x"), 1)])
    assert not {ABOUT, ALSO} & set(state.offices)
    assert all(event.model_dump().get("handled_by") not in (ABOUT, ALSO) for event in journal)


@given(timed)
def test_one_step_per_breach_and_each_at_or_after_its_date(commands: list[tuple[Any, int]]) -> None:
    state, journal = run(commands)
    steps = [event for event in journal if isinstance(event, Escalated)]
    assert [event.step for event in steps] == list(range(1, len(steps) + 1))
    assert state.step == len(steps) <= 3
    assert len({event.due_at for event in steps}) == len(steps)
    assert all(event.escalated_at >= event.due_at for event in steps)


@given(timed)
def test_offices_it_had_may_always_act(commands: list[tuple[Any, int]]) -> None:
    state, _ = run(commands)
    assert state.offices[0] == FIRST
    assert state.handled_by in state.offices
    if state.open:
        assert decide(state, TO_FIRST, START, OFFICE)


@given(timed)
def test_what_leaves_the_journal_says_nothing_personal(commands: list[tuple[Any, int]]) -> None:
    _, journal = run(commands)
    for event in journal:
        if event.TOPIC is None:
            continue
        public = PUBLIC[event.TYPE]
        assert not any(is_personal(field) for field in public.model_fields.values())
        data = event.model_dump(mode="json")
        told = json.dumps({name: data[name] for name in public.model_fields})
        for secret in ("Waited five", "citizen:p1", "spoke to them", "nothing changed", "was it in stock", ALSO):
            assert secret not in told


@given(timed)
def test_the_clock_never_runs_hot(commands: list[tuple[Any, int]]) -> None:
    """Whatever is due, the timer's own step makes it no longer due at that instant."""
    state, _ = run(commands)
    late = START + dt.timedelta(days=60)
    for _ in range(12):
        clock = moments.next_due(state)
        if clock is None or clock.due_at > late:
            return
        events = decide(state, tick_of(state), late, OFFICE)
        assert events, clock
        for event in events:
            state = evolve(state, event)
    raise AssertionError(f"still due: {moments.next_due(state)}")


@given(timed)
def test_a_repeated_confirmation_closes_once(commands: list[tuple[Any, int]]) -> None:
    _, journal = run([*commands, (Confirm(5), 1), (Confirm(5), 1)])
    assert sum(isinstance(event, Confirmed) for event in journal) <= 1


def test_acknowledged_at_once_with_a_promise() -> None:
    state, journal = run([])
    assert isinstance(journal[1], Acknowledged)
    assert (state.acknowledged_at, state.due_at) == (START, START + dt.timedelta(hours=6))
    assert state.policy == POLICY


OFFICERS = ("assign", "transfer")
NODAL = ("interim", "pause", "resolve", "screen", "consult")
PAUSED = ("interim", "resume", "resolve", "screen", "consult")


@pytest.mark.parametrize(
    ("path", "who", "moves"),
    [
        ([], "officer", OFFICERS),
        ([], "nodal-officer", NODAL),
        ([], "reporter", ()),
        ([(TO_FIRST, 1)], "officer", OFFICERS),
        ([(Pause("weather", START + dt.timedelta(days=1)), 1)], "nodal-officer", PAUSED),
        ([(FIXED, 1)], "officer", ()),
        ([(FIXED, 1)], "nodal-officer", ("attempt", "close-unreachable")),
        ([(FIXED, 1)], "reporter", ("confirm", "reopen", "appeal")),
        ([(FIXED, 1), (Appeal("a1", "no"), 1)], "reporter", ()),
        ([(FIXED, 1), (Appeal("a1", "no"), 1)], "nodal-officer", ("attempt",)),
        ([(FIXED, 1), (Confirm(4), 1)], "reporter", ()),
    ],
)
def test_moves_allowed_to_an_actor(path: list[tuple[Any, int]], who: str, moves: tuple[str, ...]) -> None:
    assert allowed(after(path), who) == moves


@pytest.mark.parametrize(
    ("path", "command", "moves"),
    [
        ([], Confirm(5), ()),
        ([], Reopen("no"), ()),
        ([], Attempt("phone", True), NODAL),
        ([], Resume(), NODAL),
        ([(FIXED, 1)], TO_FIRST, ()),
        ([(FIXED, 1)], FIXED, ("attempt", "close-unreachable")),
        ([(FIXED, 1)], Transfer(SECOND, "wrong-office", "x"), ()),
        ([(FIXED, 1), (Confirm(4), 1)], Reopen("no"), ()),
        ([(FIXED, 1), (Confirm(4), 1)], Confirm(4), ()),
        ([(FIXED, 1), (Confirm(4), 1)], Appeal("a1", "no"), ()),
        ([(FIXED, 1), (Appeal("a1", "no"), 1)], Confirm(4), ()),
        ([(FIXED, 1), (Appeal("a1", "no"), 1)], CloseUnreachable(), ("attempt",)),
    ],
)
def test_an_illegal_move_is_refused(path: list[tuple[Any, int]], command: Command, moves: tuple[str, ...]) -> None:
    with pytest.raises(Refused) as refusal:
        decide(after(path), command, START, OFFICE)
    assert (refusal.value.code, refusal.value.field, refusal.value.allowed) == ("move-not-allowed", None, moves)


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (Assign(f"officer@{FIRST}"), "to"),
        (Assign(f"nodal-officer@{ABOUT}"), "to"),
        (Assign("nodal-officer"), "to"),
        (Assign(f"nodal-officer@{SECOND}"), "to"),
        (Resolve("wonderful", "done"), "outcome"),
        (Resolve("fixed", "  "), "action_taken"),
        (Transfer(SECOND, "not-ours", "x"), "reason"),
        (Transfer(ABOUT, "wrong-office", "x"), "to"),
        (Transfer(ALSO, "wrong-office", "x"), "to"),
        (Transfer(FIRST, "wrong-office", "x"), "to"),
        (Interim(START, "x"), "expected_by"),
        (Interim(START + dt.timedelta(days=400), "x"), "expected_by"),
        (Pause("holiday", START + dt.timedelta(days=1)), "reason"),
        (Pause("weather", START), "until"),
        (Pause("weather", START + dt.timedelta(days=31)), "until"),
    ],
)
def test_nonsense_names_its_field(command: Command, field: str) -> None:
    with pytest.raises(Refused) as refusal:
        decide(after([]), command, START, OFFICE)
    assert refusal.value.field == field


def test_rating_is_one_to_five() -> None:
    for rating in (0, 6):
        with pytest.raises(Refused) as refusal:
            decide(after([(FIXED, 1)]), Confirm(rating), START, OFFICE)
        assert refusal.value.field == "rating"


def test_not_fixed_is_told_apart_from_fixed() -> None:
    state = after([(Resolve("not-fixed", "no post sanctioned"), 1), (Confirm(1), 1)])
    assert (state.status, state.outcome) == ("closed", "not-fixed")
