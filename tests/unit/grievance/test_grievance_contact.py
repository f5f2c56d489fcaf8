"""A reporter who is not a patient has a card of their own, written once."""

from __future__ import annotations

import datetime as dt

from libs.contracts.grievance import ContactErased, ContactRecorded
from services.grievance.domain.contact import Contact, Record, decide, evolve
from services.grievance.store import CONTACT

NOW = dt.datetime(2026, 11, 20, 4, 0, tzinfo=dt.UTC)
RECORD = Record(id="c1", name="Rigzin", phone="+915550000001", email=None, language="lbj")


def test_recorded_once() -> None:
    (event,) = decide(None, RECORD, NOW)
    assert isinstance(event, ContactRecorded)
    state = evolve(None, event)
    assert state.card is not None
    assert (state.card.phone, state.card.language) == ("+915550000001", "lbj")
    assert decide(state, RECORD, NOW) == []
    assert CONTACT.fold([{"type": event.TYPE, "data": event.model_dump(mode="json")}]) == state


def test_erased_leaves_nothing() -> None:
    state = evolve(evolve(None, decide(None, RECORD, NOW)[0]), ContactErased())
    assert state == Contact(card=None)
    assert decide(state, RECORD, NOW) == []
