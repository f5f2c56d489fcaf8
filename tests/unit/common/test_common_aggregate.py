"""Kinds of aggregates: the fold, older shapes, and what an erasure leaves."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, computed_field

from libs.common.aggregate import AggregateType
from libs.common.journal import redact
from libs.contracts.event import Event, personal
from libs.contracts.referral import REFERRAL, ReferralAccepted
from libs.contracts.registration import PATIENT, PatientRegistered
from tests.toy.ledger import LEDGER, PERSON, Asked, Contact, Ledger, Noted, Reached, accepted, asked, card


def _entry(event: Event, **changes: Any) -> dict[str, Any]:
    return {"id": "1", "cause": "c", "sequence": 1, "type": event.TYPE, "data": event.model_dump(mode="json")} | changes


def test_state_is_the_fold_of_the_journal() -> None:
    state = LEDGER.fold([_entry(asked(reason="x")), _entry(accepted()), _entry(Noted(text="n"))])
    assert state is not None
    assert (state.asked, state.accepted, state.reason, state.notes) == (1, 1, "x", ("n",))
    assert LEDGER.fold([]) is None
    assert LEDGER.fold([_entry(accepted())], state) == state.model_copy(update={"accepted": 2})


def test_a_fuller_form_of_a_public_event_keeps_its_type() -> None:
    assert Asked.TYPE == "referral.ReferralRequested.v1"
    assert Noted.TOPIC is None


def test_an_event_of_no_known_type_is_not_read() -> None:
    with pytest.raises(KeyError, match="knows no event of type"):
        LEDGER.read({"type": "Nothing", "data": {}})


def test_a_kind_takes_only_its_own_topics_events_and_each_once() -> None:
    def kind(*events: type[Event]) -> AggregateType[Any]:
        return AggregateType("x", "xs", BaseModel, events, lambda s, e: s, topic=REFERRAL)

    with pytest.raises(TypeError, match=PATIENT.name):
        kind(PatientRegistered)
    with pytest.raises(TypeError, match="twice"):
        kind(ReferralAccepted, ReferralAccepted)


class Renamed(Event):
    text: str = personal("")
    by: str = ""


OLDER = AggregateType(
    "older",
    "olders",
    BaseModel,
    (Renamed,),
    lambda state, event: state,
    upcasters={"Renamed": lambda data: {"text": data.pop("words", data.get("text", "")), **data}},
)


def test_entries_of_an_older_shape_are_read_through_the_upcaster_and_todays_as_they_are() -> None:
    assert OLDER.read({"type": "Renamed", "data": {"words": "old", "by": "x"}}) == Renamed(text="old", by="x")
    assert OLDER.read({"type": "Renamed", "data": {"text": "new"}}) == Renamed(text="new")


def test_an_erasure_redacts_entries_of_an_older_shape_too() -> None:
    entry = {"id": "1", "type": "Renamed", "data": {"words": "Marked", "by": "x", "gone": "Marked"}}
    redacted = redact(OLDER, entry)
    assert redacted == {"id": "1", "type": "Renamed", "data": {"text": "", "by": "x"}}
    assert entry["data"] == {"words": "Marked", "by": "x", "gone": "Marked"}, "what is stored is not changed in place"
    assert OLDER.read(redacted) == Renamed(by="x")


def test_ids_codes_and_causes_stay_and_whatever_says_who_somebody_is_goes() -> None:
    marked = card("p1", "Marked", phone="+915550000001", abha_number="00", village="Marked")
    entry = _entry(PatientRegistered(card=marked))
    redacted = redact(PERSON, entry)
    assert "Marked" not in str(redacted)
    assert "+91555" not in str(redacted)
    assert {name: redacted[name] for name in ("id", "cause", "sequence")} == {"id": "1", "cause": "c", "sequence": 1}
    assert redacted["data"]["card"]["registered_at"] == "A1"
    assert redact(PERSON, redacted) == redacted
    PERSON.read(redacted)


def test_models_in_options_and_sequences_are_redacted() -> None:
    more = (Contact(phone="Marked"), Contact(phone="Marked"))
    reached = Reached(one=Contact(phone="Marked", language="ur"), more=more)
    data = redact(LEDGER, _entry(reached))["data"]
    assert data == {"one": {"phone": None, "language": "ur"}, "more": [{"phone": None, "language": "en"}] * 2}
    assert redact(LEDGER, _entry(Reached()))["data"] == {"one": None, "more": []}


def test_a_kind_that_stores_what_is_derived_says_by_which_derivation() -> None:
    class Counting(BaseModel):
        words: str = ""

        @computed_field  # type: ignore[prop-decorator]
        @property
        def count(self) -> int:
            return len(self.words.split())

    class Shapely(BaseModel):
        derivation: str = ""

    def kind(state: type[BaseModel], shape: int) -> AggregateType[Any]:
        return AggregateType("x", "xs", state, (), lambda s, e: s, shape=shape)

    with pytest.raises(TypeError, match="needs a shape"):
        kind(Counting, 1)
    with pytest.raises(TypeError, match="of its own"):
        kind(Shapely, 2)
    assert kind(Counting, 2).stored(Counting(words="one two")) == {"words": "one two", "count": 2, "derivation": 2}
    assert LEDGER.stored(Ledger(asked=1)) == Ledger(asked=1).model_dump(mode="json", exclude_none=True)


def test_a_null_is_not_stored_and_what_is_not_there_is_null() -> None:
    class Nullable(BaseModel):
        known: str | None = None
        unknown: str | None = None

    class Assuming(BaseModel):
        language: str | None = "en"

    class Needing(BaseModel):
        language: str | None

    def kind(state: type[BaseModel]) -> AggregateType[Any]:
        return AggregateType("x", "xs", state, (), lambda s, e: s)

    stored = kind(Nullable).stored(Nullable(known="this"))
    assert stored == {"known": "this"}
    assert Nullable.model_validate(stored) == Nullable(known="this")
    assert kind(Nullable).shown(stored) == {"known": "this", "unknown": None}
    for state in (Assuming, Needing):
        with pytest.raises(TypeError, match="`language` must be null"):
            kind(state)
