"""One-time codes: how long, how often, how often missed; and provisional cards, from a phone to a desk."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.refusal import Refused
from libs.contracts.event import Event
from libs.contracts.registration import CallerCard, CallerErased
from services.registration.domain import home_card as cards
from services.registration.domain.caller import (
    TRIES,
    Caller,
    CodeAccepted,
    CodeMissed,
    Command,
    RequestCode,
    TryCode,
    decide,
    evolve,
)
from services.registration.domain.home_card import HomeCard, card_number, well_formed
from services.registration.domain.patient import Details
from services.registration.home import Keeper

START = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
CARD = CallerCard(id="c1", phone="+915550123456", language="hi")


def ask(minute: float, code: str = "123456") -> RequestCode:
    return RequestCode(CARD, code, START + dt.timedelta(minutes=minute))


def tried(minute: float, code: str = "123456") -> TryCode:
    return TryCode(code, START + dt.timedelta(minutes=minute))


def play(*commands: Command) -> tuple[Caller | None, list[Event]]:
    state: Caller | None = None
    told: list[Event] = []
    for command in commands:
        for event in decide(state, command):
            state = evolve(state, type(event).model_validate(event.model_dump(mode="json")))
            told.append(event)
    return state, told


@pytest.mark.parametrize(
    ("commands", "accepted"),
    [
        ((ask(0), tried(9.9)), True),
        ((ask(0), tried(10)), False),
        ((ask(0), tried(1, "654321")), False),
        ((ask(0), tried(1), tried(2)), False),
        ((ask(0), ask(1, "222222"), tried(2)), False),
        ((ask(0), ask(1, "222222"), tried(2, "222222")), True),
        ((ask(0), *[tried(1, "000000")] * (TRIES - 1), tried(2)), True),
        ((ask(0), *[tried(1, "000000")] * TRIES, tried(2)), False),
        ((ask(0), *[tried(1, "000000")] * TRIES, ask(3, "222222"), tried(4, "222222")), True),
        ((ask(0), tried(1, "")), False),
    ],
)
def test_a_code_is_good_once_for_ten_minutes_and_five_tries(commands: tuple[Command, ...], accepted: bool) -> None:
    _, told = play(*commands)
    assert isinstance(told[-1], CodeAccepted if accepted else CodeMissed)


def test_a_phone_gets_three_codes_in_a_quarter_of_an_hour_and_ten_a_day() -> None:
    with pytest.raises(Refused):
        play(ask(0), ask(1), ask(2), ask(14))
    play(ask(0), ask(1), ask(2), ask(15.1))
    with pytest.raises(Refused):
        play(*(ask(index * 20) for index in range(11)))
    state, _ = play(*(ask(index * 160) for index in range(30)))
    assert state
    assert len(state.asked) <= 10


def test_an_erased_phone_accepts_nothing() -> None:
    state, _ = play(ask(0))
    state = evolve(state, CallerErased())
    assert state.card == CallerCard(id="c1")
    assert isinstance(decide(state, tried(1))[0], CodeMissed)


def test_ids_codes_and_sessions_follow_from_the_key_and_from_nothing_else() -> None:
    one, other = Keeper(b"a" * 32), Keeper(b"b" * 32)
    assert one.caller_id("+915550123456") == one.caller_id("+915550123456") != other.caller_id("+915550123456")
    assert one.code("c1", "x") == one.code("c1", "x")
    assert len({one.code("c1", str(index)) for index in range(200)}) > 150
    token = one.session("c1", START + dt.timedelta(hours=1))
    read = one.read(token, START)
    assert read is not None
    assert (read.caller, other.read(token, START)) == ("c1", None)
    assert one.read(token, START + dt.timedelta(hours=1)) is None
    for forged in (token[:-1], token + "x", token.replace("c1", "c2", 1), "", "..", "c1.9.x", "c1.²." + token[-43:]):
        assert one.read(forged, START) is None


@given(st.binary(min_size=8, max_size=32), st.integers(1, 9), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_a_cards_number_shows_a_wrong_sign(seed: bytes, place: int, sign: str) -> None:
    number = card_number(seed)
    assert well_formed(number)
    assert len(number) == 10
    wrong = number[:place] + sign + number[place + 1 :]
    if sign != number[place]:
        assert not well_formed(wrong) or place < 9


DETAILS = Details(name="Padma", sex="female", age_years=60)
TODAY = dt.date(2026, 11, 20)


def card(*commands: cards.Command) -> HomeCard:
    state: HomeCard | None = None
    for command in (cards.Issue("H1", "c1", "self", DETAILS), *commands):
        for event in cards.decide(state, command):
            state = cards.evolve(state, type(event).model_validate(event.model_dump(mode="json")))
    assert state
    return state


def test_a_card_goes_from_home_to_a_desk() -> None:
    state = card(
        cards.Choose("LA-X", TODAY, TODAY),
        cards.Arrive("LA-X", TODAY, "p1", "v1", True),
        cards.Verify("LA-X", "p1"),
        cards.Arrive("LA-Y", TODAY, "p1", "v2", False),
    )
    assert (state.status, state.patient, state.visit, state.verified_at) == ("verified", "p1", "v2", "LA-X")


@pytest.mark.parametrize(
    ("before", "command", "code"),
    [
        ((), cards.Choose("LA-X", TODAY - dt.timedelta(days=1), TODAY), "day-out-of-range"),
        ((), cards.Choose("LA-X", TODAY + dt.timedelta(days=31), TODAY), "day-out-of-range"),
        ((), cards.Arrive("LA-X", TODAY, "p", "v", True), "not-this-day"),
        ((cards.Choose("LA-X", TODAY, TODAY),), cards.Arrive("LA-Y", TODAY, "p", "v", True), "not-this-day"),
        ((cards.Withdraw(),), cards.Arrive("LA-X", TODAY, "p", "v", False), "cannot-arrive"),
        ((cards.Arrive("LA-X", TODAY, "p", "v", False),), cards.Withdraw(), "cannot-withdraw"),
    ],
)
def test_what_a_card_may_not_do_is_refused(
    before: tuple[cards.Command, ...], command: cards.Command, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        cards.decide(card(*before), command)
    assert refused.value.code == code


def test_what_was_withdrawn_is_forgotten() -> None:
    assert card(cards.Withdraw()).details is None
