"""A token's moves: which from where, what each says, and that it says it once."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.refusal import Refused
from libs.contracts.event import Event
from libs.contracts.registration import TokenCalled, TokenTransferred
from services.registration.domain.queue import TakeToken
from services.registration.domain.queue import decide as take
from services.registration.domain.queue import evolve as queued
from services.registration.domain.visit import (
    MOVES,
    Call,
    Move,
    NoShow,
    Open,
    PutFirst,
    Recall,
    Serve,
    Skip,
    Transfer,
    Visit,
    Void,
    allowed,
    decide,
    evolve,
)

OPENS = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)


def opened() -> Visit:
    command = TakeToken("LA-X", "OPD1", OPENS.date(), "v1", "p1", OPENS, dt.timedelta(minutes=30), OPENS, "walk-in")
    [taken] = take(None, command)
    [issued] = decide(None, Open(taken))  # type: ignore[arg-type]
    return evolve(None, issued)


def after(*moves: Move) -> tuple[Visit, list[Event]]:
    state, told = opened(), []
    for move in moves:
        for event in decide(state, move):
            state = evolve(state, type(event).model_validate(event.model_dump(mode="json")))
            told.append(event)
    return state, told


def test_the_first_call_says_how_long_was_waited_and_a_recall_does_not() -> None:
    state, told = after(Call(OPENS + dt.timedelta(minutes=21)), Recall(OPENS + dt.timedelta(minutes=25)))
    first, again = told
    assert isinstance(first, TokenCalled)
    assert isinstance(again, TokenCalled)
    assert (first.waited_seconds, first.times) == (21 * 60, 1)
    assert (again.waited_seconds, again.times) == (None, 2)
    assert (state.status, state.calls, state.called_at) == ("called", 2, OPENS + dt.timedelta(minutes=25))


def test_who_was_called_before_the_token_by_a_wrong_clock_waited_no_time() -> None:
    _, [called] = after(Call(OPENS - dt.timedelta(minutes=3)))
    assert isinstance(called, TokenCalled)
    assert called.waited_seconds == 0


@pytest.mark.parametrize(
    ("moves", "status"),
    [
        ((), "waiting"),
        ((Skip(),), "skipped"),
        ((Skip(), Recall(OPENS)), "called"),
        ((Call(OPENS), Serve()), "served"),
        ((Call(OPENS), NoShow()), "no-show"),
        ((Call(OPENS), NoShow(), Recall(OPENS)), "called"),
        ((Transfer("OPD2", "v2"),), "transferred"),
        ((Void("left"),), "void"),
        ((PutFirst(True),), "waiting"),
    ],
)
def test_each_way_ends_where_it_says(moves: tuple[Move, ...], status: str) -> None:
    state, _ = after(*moves)
    assert state.status == status


any_move = st.sampled_from(
    [Call(OPENS), Recall(OPENS), Serve(), Skip(), NoShow(), Transfer("OPD2", "v2"), Void("left"), PutFirst(True),
     PutFirst(False)]
)  # fmt: skip


@given(st.lists(any_move, max_size=12))
def test_a_move_is_made_exactly_where_it_is_said_to_be_allowed(moves: list[Move]) -> None:
    state = opened()
    for move in moves:
        name = MOVES[type(move)][0]
        changes_nothing = isinstance(move, PutFirst) and move.urgent == state.urgent
        if name not in allowed(state.status) or changes_nothing:
            with pytest.raises(Refused) as refused:
                decide(state, move)
            assert refused.value.allowed == allowed(state.status)
            continue
        events = decide(state, move)
        before = state
        for event in events:
            state = evolve(state, event)
        assert (state.number, state.patient, state.facility) == (before.number, before.patient, before.facility)
    if state.status in ("served", "transferred", "void"):
        assert allowed(state.status) == ()


def test_a_transfer_names_where_to_and_never_to_itself() -> None:
    state, [moved] = after(Transfer("OPD2", "v2"))
    assert isinstance(moved, TokenTransferred)
    assert (moved.to_counter, moved.to_visit, state.to_visit) == ("OPD2", "v2", "v2")
    with pytest.raises(Refused) as refused:
        decide(opened(), Transfer("OPD1", "v2"))
    assert refused.value.field == "counter"


def test_a_closed_counter_gives_nothing_new_and_what_was_given_again() -> None:
    def command(at: dt.datetime, closed: bool) -> TakeToken:
        return TakeToken(
            "LA-X", "OPD1", OPENS.date(), "v1", "p1", at, dt.timedelta(minutes=30), at, "scan-and-share", True, closed
        )

    with pytest.raises(Refused) as refused:
        take(None, command(OPENS, True))
    assert refused.value.field == "counter"
    [taken] = take(None, command(OPENS, False))
    state = queued(None, taken)
    [again] = take(state, command(OPENS + dt.timedelta(minutes=5), True))
    assert again.number == 1  # type: ignore[attr-defined]
    with pytest.raises(Refused):
        take(state, command(OPENS + dt.timedelta(minutes=31), True))
