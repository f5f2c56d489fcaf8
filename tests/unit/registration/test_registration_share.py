"""What the gateway is owed: attempts one at a time, one acknowledgement, a visible end."""

from __future__ import annotations

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.event import Event
from services.registration.domain.share import (
    GIVE_UP_AFTER,
    LEASE,
    Acknowledge,
    Acknowledged,
    AcknowledgementFailed,
    Attempt,
    Attempted,
    Fail,
    GiveUp,
    Receive,
    Share,
    decide,
    evolve,
    pause,
)

START = dt.datetime(2026, 11, 20, 3, 0, tzinfo=dt.UTC)
RECEIVE = Receive("r-1", "p", "v", 3, "LA-X", "OPD1", "a@sbx")


def waiting() -> Share:
    [event] = decide(None, RECEIVE, START)
    return evolve(None, event)


steps = st.tuples(
    st.one_of(
        st.just(RECEIVE),
        st.builds(Attempt, number=st.integers(1, 5)),
        st.builds(Acknowledge, number=st.integers(1, 5)),
        st.builds(Fail, number=st.integers(1, 5), error=st.just("http-503")),
        st.just(GiveUp()),
    ),
    st.integers(0, 60),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(steps, max_size=20))
def test_the_state_is_the_fold_and_attempts_never_overlap(given_steps: list[tuple[object, int]]) -> None:
    state: Share | None = None
    journal: list[Event] = []
    now = START
    for command, seconds in given_steps:
        now += dt.timedelta(seconds=seconds)
        before = state
        for event in decide(state, command, now):  # type: ignore[arg-type]
            state = evolve(state, type(event).model_validate(event.model_dump(mode="json")))
            journal.append(event)
            if isinstance(event, Attempted):
                assert before
                assert before.next_at is not None
                assert now >= before.next_at
                assert event.number == before.attempts + 1
            if before is not None:
                assert before.status == "waiting"
    folded: Share | None = None
    for event in journal:
        folded = evolve(folded, event)
    assert folded == state
    assert sum(isinstance(event, (Acknowledged, AcknowledgementFailed)) for event in journal) <= 1
    assert state is None or (state.next_at is None) == (state.status != "waiting")


def test_an_attempt_is_claimed_before_and_not_made_again_within_its_lease() -> None:
    [claim] = decide(waiting(), Attempt(1), START)
    state = evolve(waiting(), claim)
    assert decide(state, Attempt(1), START) == []
    assert decide(state, Attempt(2), START) == []
    assert decide(state, Attempt(2), START + LEASE - dt.timedelta(milliseconds=1)) == []
    assert len(decide(state, Attempt(2), START + LEASE)) == 1


def test_what_surely_failed_is_tried_again_after_a_growing_pause() -> None:
    state, now = waiting(), START
    for number in (1, 2, 3):
        state = evolve(state, decide(state, Attempt(number), now)[0])
        state = evolve(state, decide(state, Fail(number, "http-503"), now)[0])
        assert state.next_at == now + pause(number)
        assert decide(state, Attempt(number + 1), now) == []
        now = state.next_at
    assert [pause(n).total_seconds() for n in (1, 2, 3)] == [0.5, 1, 2]
    assert now - START < dt.timedelta(seconds=30)


def test_giving_up_is_visible_and_only_after_the_time_for_it() -> None:
    assert decide(waiting(), GiveUp(), START + GIVE_UP_AFTER) == []
    [event] = decide(waiting(), GiveUp(), START + GIVE_UP_AFTER + dt.timedelta(milliseconds=1))
    state = evolve(waiting(), event)
    assert (state.status, state.last_error, state.next_at) == ("given-up", "no-answer", None)


def test_an_acknowledgement_after_the_screen_went_dark_is_marked_late() -> None:
    for seconds, late in ((29, False), (31, True)):
        state = evolve(waiting(), decide(waiting(), Attempt(1), START)[0])
        state = evolve(state, decide(state, Acknowledge(1), START + dt.timedelta(seconds=seconds))[0])
        assert (state.status, state.late) == ("acknowledged", late)
