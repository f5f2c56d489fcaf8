"""A ledger never promises more than there is, whatever comes in whichever order."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.refusal import Refused
from libs.contracts.event import Event
from services.referral import country, directory
from services.referral.beds import ledger_id, total_of
from services.referral.domain import ledger
from services.referral.domain.ledger import Ledger, Place

NOW = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
ICU = Place("HP-KNR-RH-PEO", "bed", "icu")
IDS = st.sampled_from([f"res-{number}" for number in range(8)])
STEPS = st.one_of(
    st.tuples(st.just("reserve"), IDS),
    st.tuples(st.just("confirm"), IDS),
    st.tuples(st.just("release"), IDS),
)


@given(steps=st.lists(STEPS, max_size=60), total=st.integers(0, 5))
def test_reserved_and_free_are_all_there_are_and_a_refusal_means_that_none_is_free(
    steps: list[tuple[str, str]], total: int
) -> None:
    state: Ledger | None = None
    told: list[Event] = []
    for what, id in steps:
        try:
            match what:
                case "reserve":
                    events = ledger.reserve(state, ICU, total, id, f"referral-{id}", NOW)
                case "confirm":
                    events = ledger.settle(state, (id,), ())
                case _:
                    events = ledger.settle(state, (), (id,))
        except Refused:
            assert what == "reserve"
            assert total == 0 or (state is not None and len(state.open) == total)
            continue
        for event in events:
            state = ledger.evolve(state, event)
        told += events
        if state is not None:
            assert len(state.open) <= total
            assert len(state.open) + state.free == state.total == total
            assert state.count == len(state.open)
            assert len({each.id for each in state.open}) == len(state.open)
    folded: Ledger | None = None
    for event in told:
        folded = ledger.evolve(folded, type(event).model_validate(event.model_dump(mode="json")))
    assert folded == state


def test_a_clinic_keeps_the_places_that_it_promised() -> None:
    clinic = Place("HP-KNR-RH-PEO", "slot", "surgery", NOW)
    state = ledger.evolve(None, ledger.count(None, clinic, 2)[0])
    for id in ("a", "b"):
        state = ledger.evolve(state, ledger.reserve(state, clinic, None, id, id, NOW)[0])
    with pytest.raises(Refused) as refused:
        ledger.count(state, clinic, 1)
    assert refused.value.field == "places"
    assert ledger.count(state, clinic, 2) == []
    assert ledger.evolve(state, ledger.count(state, clinic, 3)[0]).free == 1


def test_a_ledger_has_its_own_id_by_facility_kind_and_hours() -> None:
    later = Place("HP-KNR-RH-PEO", "slot", "surgery", NOW + dt.timedelta(hours=1))
    places = [ICU, Place("LA-LEH-DH-SNM", "bed", "icu"), Place("HP-KNR-RH-PEO", "bed", "general"), later]
    assert len({ledger_id(place) for place in places}) == 4
    india = dt.timezone(dt.timedelta(hours=5, minutes=30))
    assert later.at is not None
    assert ledger_id(later) == ledger_id(Place("HP-KNR-RH-PEO", "slot", "surgery", later.at.astimezone(india)))


def test_beds_are_counted_where_they_are_named_or_were_promised() -> None:
    plain = directory.read(Path("data/facilities.csv"))[0].card.model_copy(update={"beds": 4, "beds_by_kind": {}})
    named = plain.model_copy(update={"beds_by_kind": {"icu": 2}})
    assert country._free({"a": plain, "b": named}, {}) == {"b": {"icu": 2}}
    promised = {"a": {"general": 3}, "b": {"icu": 1, "gone": 1}}
    assert country._free({"a": plain, "b": named}, promised) == {"a": {"general": 1}, "b": {"icu": 1}}


def test_a_facility_that_names_no_kinds_has_its_beds() -> None:
    card = directory.read(Path("data/facilities.csv"))[0].card
    assert total_of(card, "general") == card.beds
    assert total_of(card, "icu") is None
    named = card.model_copy(update={"beds_by_kind": {"icu": 2}})
    assert (total_of(named, "icu"), total_of(named, "general")) == (2, None)
