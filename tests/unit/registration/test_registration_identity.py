"""Which record a record is part of is said once per change, whatever was begun and came to nothing."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.registration import RecordsJoined, RecordsParted
from services.registration.domain.identity import Identity, begin, evolve, settle

NOW = dt.datetime(2026, 11, 20, 5, 0, tzinfo=dt.UTC)


@given(st.lists(st.sampled_from([None, "b", "c"]), max_size=8))
def test_who_follows_what_is_said_ends_where_the_record_is(records: list[str | None]) -> None:
    state: Identity | None = None
    followed: str | None = None
    for into in records:
        for event in begin("a", NOW):
            state = evolve(state, event)
        for event in settle(state, into):
            state = evolve(state, event)
            if isinstance(event, RecordsJoined):
                followed = event.into
            elif isinstance(event, RecordsParted):
                assert event.into == followed
                followed = None
        assert state is not None
        assert (followed, state.settle_at) == (into, None)
        assert settle(state, into) == [], "said once"


def test_nothing_is_settled_that_was_not_begun() -> None:
    assert settle(None, "b") == []
