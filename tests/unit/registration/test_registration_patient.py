"""A patient record: any sequence of commands leaves the fold of its journal, by legal moves only."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from libs.common.refusal import Refused
from libs.contracts.event import Event
from libs.contracts.registration import PatientCorrected, PatientErased, PatientRegistered, PatientVoided
from services.registration.domain.patient import (
    Changes,
    Correct,
    Details,
    Patient,
    Prove,
    Register,
    SeeAt,
    Void,
    claims,
    decide,
    evolve,
    new_card,
    searchable,
    warnings,
)
from services.registration.domain.review import RecordExplained
from services.registration.places import read_places

PLACES = read_places()
TODAY = dt.date(2026, 11, 20)
ABHA = "00821167342079"
details = st.builds(
    Details,
    name=st.sampled_from(["Tsering Dolma", "Gh Nabi Bhat", "सुनीता देवी"]),
    sex=st.sampled_from(["male", "female", "other", "unknown"]),
    age_years=st.integers(0, 130),
    phone=st.sampled_from([None, "5550123456", "+915550123457"]),
    district_lgd=st.sampled_from([None, 6, 9, 21]),
    abha_number=st.sampled_from([None, ABHA]),
    abha_address=st.sampled_from([None, "a@sbx", "B@sbx"]),
)
change_values = {
    "name": st.sampled_from(["Tsering Dolma", "Tsering", None]),
    "sex": st.sampled_from(["male", "female", None]),
    "age_years": st.sampled_from([None, 3, 70]),
    "birth_date": st.sampled_from([None, "1980-05-06", "2027-01-01"]),
    "phone": st.sampled_from([None, "5550999999"]),
    "district_lgd": st.sampled_from([None, 6, 13, 999]),
    "state_lgd": st.sampled_from([None, 1, 2, 37, 5]),
    "abha_address": st.sampled_from([None, "c@sbx"]),
}
changes = st.fixed_dictionaries({}, optional=change_values).map(Changes.model_validate)
commands = st.one_of(
    details.map(lambda said: Register(new_card("p", said, "LA-X", TODAY, PLACES))),
    st.builds(Correct, changes=changes, on=st.just(TODAY)),
    st.builds(Void, reason=st.sampled_from(["duplicate", "test-entry"])),
    st.builds(SeeAt, facility=st.sampled_from(["LA-X", "LA-Y", "HP-Z"])),
    st.builds(
        Prove, abha_address=st.sampled_from(["a@sbx", "d@sbx", "e@sbx"]), abha_number=st.sampled_from([None, ABHA])
    ),
    st.just("erase"),
)


def registered(**said: object) -> Patient:
    said = {"name": "Tsering Dolma", "sex": "female", "age_years": 40} | said
    [event] = decide(None, Register(new_card("p", Details.model_validate(said), "LA-X", TODAY, PLACES)), PLACES)
    return evolve(None, event)


@settings(max_examples=300, deadline=None)
@given(st.lists(commands, max_size=12))
def test_the_state_is_the_fold_of_its_events_and_only_legal_moves_are_made(given_commands: list[object]) -> None:
    state: Patient | None = None
    journal: list[Event] = []
    for command in given_commands:
        before = state
        try:
            events = (
                [PatientErased()]
                if command == "erase" and state
                else decide(state, command, PLACES)
                if command != "erase"
                else []
            )
        except Refused:
            continue
        for event in events:
            state = evolve(state, type(event).model_validate(event.model_dump(mode="json")))
            journal.append(event)
        if events and command != "erase":
            assert isinstance(command, Register) == (before is None)
            assert before is None or before.status == "active"
    folded: Patient | None = None
    for event in journal:
        folded = evolve(folded, event)
    assert folded == state
    if state:
        assert Patient.model_validate(state.model_dump(mode="json")) == state
        assert len(set(state.facilities)) == len(state.facilities) >= 1
        assert len(set(claims(state))) == len(claims(state))
        assert not (claims(state) and state.status != "active")
        if state.status == "active":
            assert state.card.district_lgd is None or PLACES.districts[state.card.district_lgd] == state.card.state_lgd
        if state.status == "erased":
            assert "Tsering" not in state.model_dump_json()
            assert "5550" not in state.model_dump_json()


def test_an_age_gives_the_year_of_birth_by_the_day_at_the_desk() -> None:
    assert registered(age_years=40).card.birth_year == 1986
    assert registered(age_years=40).card.birth_date is None
    born = registered(age_years=None, birth_date="1986-11-20").card
    assert (born.birth_date, born.birth_year) == (dt.date(1986, 11, 20), 1986)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"age_years": None}, "age_years"),
        ({"age_years": 3, "birth_date": "2023-01-01"}, "age_years"),
        ({"age_years": None, "birth_date": "2026-11-21"}, "birth_date"),
        ({"age_years": None, "birth_date": "1800-01-01"}, "birth_date"),
        ({"state_lgd": 3}, "state_lgd"),
        ({"district_lgd": 999}, "district_lgd"),
        ({"district_lgd": 9, "state_lgd": 1}, "district_lgd"),
        ({"district_lgd": 6, "state_lgd": 2}, "district_lgd"),
    ],
)
def test_a_rule_names_the_field(said: dict[str, object], field: str) -> None:
    with pytest.raises(Refused) as caught:
        registered(**said)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"name": "   "}, "name"),
        ({"age_years": -3}, "age_years"),
        ({"age_years": 131}, "age_years"),
        ({"age_years": "40"}, "age_years"),
        ({"birth_date": 5}, "birth_date"),
        ({"birth_date": "1987-13-01"}, "birth_date"),
        ({"abha_number": "12345"}, "abha_number"),
        ({"language": "fr"}, "language"),
        ({"sex": "F"}, "sex"),
        ({"phone": "12"}, "phone"),
        ({"village": 7}, "village"),
    ],
)
def test_a_malformed_field_is_named_alone(said: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        registered(**said)
    assert {error["loc"][0] for error in caught.value.errors()} == {field}


@pytest.mark.parametrize(("district", "state"), [(6, 37), (9, 37), (13, 1), (21, 2), (620, 1)])
def test_a_district_brings_its_state(district: int, state: int) -> None:
    assert registered(district_lgd=district).card.state_lgd == state


def test_a_luhn_failure_is_a_warning_and_no_refusal() -> None:
    assert warnings(registered(abha_number=ABHA).card) == []
    doubtful = ABHA[:-1] + str((int(ABHA[-1]) + 1) % 10)
    assert [warning["field"] for warning in warnings(registered(abha_number=doubtful).card)] == ["abha_number"]


def test_a_correction_publishes_the_whole_card_and_says_what_changed() -> None:
    state = registered(phone="5550123456")
    [event] = decide(state, Correct(Changes.model_validate({"phone": None, "name": "Tsering Angmo"}), TODAY), PLACES)
    assert isinstance(event, PatientCorrected)
    assert event.changed == ("name", "phone")
    assert event.card.phone is None
    assert event.card.sex == "female"
    assert evolve(state, event).search.words == ("tsering", "angmo")
    assert evolve(state, event).search.pairs == ("angmo tsering",)


def test_a_record_of_before_matching_is_given_its_keys_and_an_erased_one_none() -> None:
    state = registered(phone="5550123456")
    assert state.search.keys
    older = {**state.model_dump(mode="json"), "search": {"name": state.search.name, "words": state.search.words}}
    assert searchable(Patient.model_validate(older)) == state
    erased = evolve(state, PatientErased())
    assert searchable(erased) == erased


def test_nothing_to_correct_is_said_so() -> None:
    with pytest.raises(Refused, match="nothing-to-correct"):
        decide(registered(), Correct(Changes(), TODAY), PLACES)
    with pytest.raises(Refused, match="nothing-changed"):
        decide(registered(), Correct(Changes(name="Tsering Dolma"), TODAY), PLACES)


def test_a_voided_record_gives_up_its_identifiers_and_is_not_corrected() -> None:
    state = registered(abha_number=ABHA, abha_address="a@sbx")
    assert claims(state) == [f"abha-number:{ABHA}", "abha-address:a@sbx"]
    event, why = decide(state, Void("duplicate", "desk@X"), PLACES)
    assert isinstance(why, RecordExplained)
    assert (why.what, why.reason, why.by) == ("voided", "duplicate", "desk@X")
    assert isinstance(event, PatientVoided)
    assert event.card.status == "entered-in-error"
    voided = evolve(state, event)
    assert claims(voided) == []
    for command in (Correct(Changes(name="X"), TODAY), Void("duplicate"), SeeAt("LA-Y")):
        with pytest.raises(Refused) as caught:
            decide(voided, command, PLACES)
        assert caught.value.field is None
        assert "correct" not in caught.value.allowed


def test_what_the_gateway_proves_is_learnt_once() -> None:
    state = registered()
    [event] = decide(state, Prove("a@sbx", ABHA), PLACES)
    assert isinstance(event, PatientCorrected)
    assert event.changed == ("abha_address", "abha_number")
    state = evolve(state, event)
    assert decide(state, Prove("a@sbx", ABHA), PLACES) == []
    [added] = decide(state, Prove("second@sbx", ABHA), PLACES)
    state = evolve(state, added)
    assert claims(state) == [f"abha-number:{ABHA}", "abha-address:a@sbx", "abha-address:second@sbx"]
    assert decide(state, Prove("second@sbx", None), PLACES) == []


def test_a_registration_event_carries_the_whole_card() -> None:
    [event] = decide(
        None,
        Register(
            new_card(
                "p",
                Details(name="A", sex="male", age_years=1, village="Diskit", district_lgd=9),
                "LA-X",
                TODAY,
                PLACES,
            )
        ),
        PLACES,
    )
    assert isinstance(event, PatientRegistered)
    assert (event.card.village, event.card.state_lgd, event.card.registered_at) == ("Diskit", 37, "LA-X")
