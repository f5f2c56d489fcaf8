"""A counter's numbers: gapless, none twice, the same one for who scans again in time."""

from __future__ import annotations

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.event import Event
from services.registration.domain import visit as visits
from services.registration.domain.queue import (
    ConfirmKept,
    EndHold,
    PromisesChecked,
    Queue,
    TakeToken,
    TokenRepeated,
    TokenTaken,
    decide,
    desk_day,
    evolve,
    queue_id,
)

OPENS = dt.datetime(2026, 11, 20, 3, 0, tzinfo=dt.UTC)
HALF_AN_HOUR = dt.timedelta(minutes=30)


def take(patient: str, minute: float, *, visit: str = "v", again: bool = True) -> TakeToken:
    at = OPENS + dt.timedelta(minutes=minute)
    return TakeToken(
        facility="LA-X", counter="OPD1", date=desk_day(at), visit=visit, patient=patient, at=at,
        validity=HALF_AN_HOUR, noted_at=at, door="scan-and-share" if again else "walk-in", again=again,
    )  # fmt: skip


def play(commands: list[TakeToken | ConfirmKept]) -> tuple[Queue | None, list[Event]]:
    state: Queue | None = None
    journal: list[Event] = []
    for command in commands:
        for event in decide(state, command):
            state = evolve(state, type(event).model_validate(event.model_dump(mode="json")))
            journal.append(event)
    return state, journal


def test_who_scans_again_after_a_void_token_gets_one_that_will_be_called() -> None:
    held = play([take("a", 0, visit="v1"), take("b", 1, visit="v2")])[0]
    for patient, visit, number in (("a", "v1", 3), ("a", "another", 1), ("b", "v2", 3)):
        ended = held
        for event in decide(held, EndHold(patient, visit)):
            ended = evolve(ended, type(event).model_validate(event.model_dump(mode="json")))
        [event] = decide(ended, take(patient, 5, visit="v3"))
        assert isinstance(event, TokenTaken | TokenRepeated)
        assert event.number == number


takes = st.builds(
    take, st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 300), visit=st.uuids().map(str), again=st.booleans()
)
checks = st.builds(ConfirmKept, kept=st.integers(0, 12), noted_at=st.just(OPENS))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(takes, checks), max_size=25))
def test_numbers_are_gapless_and_the_state_is_the_fold(commands: list[TakeToken | ConfirmKept]) -> None:
    state, journal = play(commands)
    taken = [event for event in journal if isinstance(event, TokenTaken)]
    assert [event.number for event in taken] == list(range(1, len(taken) + 1))
    assert len({event.visit for event in taken}) == len(taken)
    folded: Queue | None = None
    for event in journal:
        folded = evolve(folded, event)
    assert folded == state
    if state:
        promises = [event for event in journal if isinstance(event, (TokenTaken, TokenRepeated))]
        assert state.last == len(taken)
        assert state.promises == len(promises)
        assert state.checked <= state.promises
        assert (state.check_at is None) == (state.checked == state.promises)
        assert Queue.model_validate(state.model_dump(mode="json")) == state
    for event in journal:
        if isinstance(event, TokenRepeated):
            assert any((t.number, t.visit, t.patient) == (event.number, event.visit, event.patient) for t in taken)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 600), min_size=1, max_size=20))
def test_scans_in_order_get_a_new_number_exactly_when_the_last_has_expired(minutes: list[int]) -> None:
    _, journal = play([take("a", minute, visit=str(index)) for index, minute in enumerate(sorted(minutes))])
    expires, expected = -1.0, []
    for minute in sorted(minutes):
        if minute >= expires:
            expected.append(TokenTaken)
            expires = minute + 30
        else:
            expected.append(TokenRepeated)
    assert [type(event) for event in journal] == expected


def test_a_desk_that_asks_for_a_token_gets_a_new_one() -> None:
    _, journal = play([take("a", 0, again=False), take("a", 1, again=False)])
    assert [type(event) for event in journal] == [TokenTaken, TokenTaken]


def test_a_scan_that_comes_out_of_order_still_finds_its_token() -> None:
    _, journal = play([take("a", 10), take("b", 60), take("a", 25)])
    assert isinstance(journal[-1], TokenRepeated)
    assert journal[-1].number == 1


def test_one_look_for_a_burst() -> None:
    state, _ = play([take(str(number), number / 60) for number in range(50)])
    assert state
    assert state.check_at == OPENS + dt.timedelta(seconds=5)
    [event] = decide(state, ConfirmKept(kept=50, noted_at=OPENS))
    assert isinstance(event, PromisesChecked)
    assert evolve(state, event).check_at is None
    assert decide(evolve(state, event), ConfirmKept(kept=50, noted_at=OPENS)) == []


def test_the_day_is_the_desks_not_utc() -> None:
    assert desk_day(dt.datetime(2026, 11, 20, 18, 29, tzinfo=dt.UTC)) == dt.date(2026, 11, 20)
    assert desk_day(dt.datetime(2026, 11, 20, 18, 30, tzinfo=dt.UTC)) == dt.date(2026, 11, 21)


def test_counters_facilities_and_days_have_queues_of_their_own() -> None:
    day = dt.date(2026, 11, 20)
    ids = {
        queue_id("LA-X", "OPD1", day), queue_id("LA-X", "OPD2", day), queue_id("LA-Y", "OPD1", day),
        queue_id("LA-X", "OPD1", dt.date(2026, 11, 21)),
    }  # fmt: skip
    assert len(ids) == 4


def test_a_visit_says_what_was_taken_and_opens_once() -> None:
    _, [taken] = play([take("a", 0, visit="v1")])
    assert isinstance(taken, TokenTaken)
    [issued] = visits.decide(None, visits.Open(taken))
    state = visits.evolve(None, issued)
    assert (state.patient, state.number, state.counter, state.door) == ("a", 1, "OPD1", "scan-and-share")
    assert state.expires_at == OPENS + HALF_AN_HOUR
    assert visits.decide(state, visits.Open(taken)) == []
